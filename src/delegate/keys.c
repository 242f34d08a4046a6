// SPDX-License-Identifier: GPL-3.0-or-later
#include <string.h>

#include "delegate/internal.h"
#include "util/text.h"

static int put(void *ctx, enum store_table table, const void *key, size_t key_len, const void *value,
	size_t value_len)
{
	return store_txn_put(ctx, table, key, key_len, value, value_len);
}

/* A random label that was never given out. 122 random bits do not collide; a second draw only guards against
 * a store to which somebody imported names. */
static int draw_label(struct store_txn *t, uint16_t zone, struct delegate_id *id)
{
	for (int attempt = 0; attempt < 3; attempt++) {
		struct delegate_key key;
		uint8_t uuid[16], record[NAME_RECORD_MAX];
		size_t len;
		int rc = secure_uuid(uuid);
		if (rc)
			return rc;
		text_from_uuid(uuid, id->label);
		id->zone = zone;
		rc = delegate_key_of(id, &key);
		if (rc)
			return rc;
		rc = store_txn_get(t, STORE_NAMES, key.bytes, key.len, record, sizeof record, &len);
		if (rc)
			return rc == ERR_NOTFOUND ? OK : rc;
	}
	return ERR_EXISTS;
}

int delegate_register(
	struct store_txn *t, const struct delegate_wish *w, int64_t now, struct delegate_credentials *out)
{
	struct delegate d = {.created = now, .allow = w->allow, .key_count = 1, .keys = {{.created = now}}};
	int rc = draw_label(t, w->zone, &out->id);
	rc = rc ? rc : secure_uuid(d.keys[0].id);
	rc = rc ? rc : secure_secret(out->secret);
	rc = rc ? rc : secure_sha256(out->secret, strlen(out->secret), d.keys[0].digest);
	if (rc)
		return rc;
	text_from_uuid(d.keys[0].id, out->key_id);
	d.id = out->id;
	return delegate_encode(&d, put, t);
}

/* ERR_NOTFOUND: no such key. */
static int get_key(
	struct store_txn *t, const char *key_id, struct delegate_stored_key *out, struct delegate_key *owner)
{
	uint8_t record[KEY_RECORD_MAX];
	size_t len;
	if (text_to_uuid(key_id, strlen(key_id), out->id))
		return ERR_NOTFOUND;
	int rc = store_txn_get(t, STORE_KEYS, out->id, sizeof out->id, record, sizeof record, &len);
	return rc ? rc : delegate_key_record_decode(record, len, out, owner);
}

/* ERR_FORBIDDEN: the delegate has an allow list, and the address is not in it. */
static int check_allowed(struct store_txn *t, const struct delegate_key *key, const struct address *client)
{
	struct delegate d;
	uint8_t record[ACCOUNT_MAX];
	size_t len;
	int rc = store_txn_get(t, STORE_DELEGATES, key->bytes, key->len, record, sizeof record, &len);
	/* An import that was interrupted leaves keys whose delegates are still to come. */
	if (rc)
		return rc == ERR_NOTFOUND ? ERR_FORBIDDEN : rc;
	rc = delegate_account_decode(record, len, &d);
	if (rc)
		return rc;
	bool allowed = !d.allow.count;
	for (size_t i = 0; i < d.allow.count; i++)
		allowed |= prefix_contains(&d.allow.prefixes[i], client);
	return allowed ? OK : ERR_FORBIDDEN;
}

int delegate_authenticate(struct store_txn *t, const char *key_id, const char *secret,
	const struct address *client, struct delegate_login *out)
{
	struct delegate_key owner;
	/* An unknown id is compared too, with a digest that nothing has, so that it takes as long as a known
	 * one. */
	struct delegate_stored_key key = {.created = 0};
	uint8_t given[SECURE_DIGEST_SIZE];
	int known = get_key(t, key_id, &key, &owner);
	if (known && known != ERR_NOTFOUND)
		return known;
	int rc = secure_sha256(secret, strlen(secret), given);
	if (rc)
		return rc;
	bool equal = secure_equal(key.digest, given, sizeof given);
	secure_wipe(given, sizeof given);
	if (known || !equal)
		return ERR_FORBIDDEN;
	rc = check_allowed(t, &owner, client);
	memcpy(out->key, key.id, sizeof out->key);
	return rc ? rc : delegate_key_parse(owner.bytes, owner.len, &out->id);
}
