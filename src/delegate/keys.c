// SPDX-License-Identifier: GPL-3.0-or-later
#include <string.h>

#include "delegate/internal.h"
#include "util/text.h"

enum {
	RECORD_VERSION = 1,
	ACCOUNT_MAX = 1 + 8 + 1 + 16 + 1 + DELEGATE_MAX_PREFIXES * 17,
	KEY_RECORD_MAX = 1 + 8 + SECURE_DIGEST_SIZE + KEY_MAX
};

static int put_name(struct store_txn *t, const struct delegate_key *key)
{
	uint8_t record[NAME_RECORD_MAX];
	size_t len;
	struct value_set none = {.count = 0};
	int rc = delegate_record_encode(&none, record, &len);
	return rc ? rc : store_txn_put(t, STORE_NAMES, key->bytes, key->len, record, len);
}

static int put_account(struct store_txn *t, const struct delegate_key *key, const uint8_t key_id[static 16],
	const struct delegate_allow *allow, int64_t now)
{
	uint8_t record[ACCOUNT_MAX];
	size_t len;
	struct writer w = writer_over(record, sizeof record);
	write_u8(&w, RECORD_VERSION);
	write_u64(&w, (uint64_t)now);
	write_u8(&w, 1);
	write_bytes(&w, key_id, 16);
	write_u8(&w, (uint8_t)allow->count);
	for (size_t i = 0; i < allow->count; i++) {
		write_bytes(&w, allow->prefixes[i].base.bytes, 16);
		write_u8(&w, allow->prefixes[i].bits);
	}
	int rc = writer_finish(&w, &len);
	return rc ? rc : store_txn_put(t, STORE_DELEGATES, key->bytes, key->len, record, len);
}

static int put_key(struct store_txn *t, const uint8_t key_id[static 16], const char *secret,
	const struct delegate_key *key, int64_t now)
{
	uint8_t record[KEY_RECORD_MAX], digest[SECURE_DIGEST_SIZE];
	size_t len;
	int rc = secure_sha256(secret, strlen(secret), digest);
	if (rc)
		return rc;
	struct writer w = writer_over(record, sizeof record);
	write_u8(&w, RECORD_VERSION);
	write_u64(&w, (uint64_t)now);
	write_bytes(&w, digest, sizeof digest);
	write_bytes(&w, key->bytes, key->len);
	rc = writer_finish(&w, &len);
	return rc ? rc : store_txn_put(t, STORE_KEYS, key_id, 16, record, len);
}

/* A random label that was never given out. 122 random bits do not collide; a second draw only guards against
 * a store to which somebody imported names. */
static int draw_label(struct store_txn *t, uint16_t zone, struct delegate_id *id, struct delegate_key *key)
{
	for (int attempt = 0; attempt < 3; attempt++) {
		uint8_t uuid[16], record[NAME_RECORD_MAX];
		size_t len;
		int rc = secure_uuid(uuid);
		if (rc)
			return rc;
		text_from_uuid(uuid, id->label);
		id->zone = zone;
		rc = delegate_key_of(id, key);
		if (rc)
			return rc;
		rc = store_txn_get(t, STORE_NAMES, key->bytes, key->len, record, sizeof record, &len);
		if (rc)
			return rc == ERR_NOTFOUND ? OK : rc;
	}
	return ERR_EXISTS;
}

int delegate_register(struct store_txn *t, uint16_t zone, const struct delegate_allow *allow, int64_t now,
	struct delegate_credentials *out)
{
	struct delegate_key key;
	uint8_t key_id[16];
	if (allow->count > DELEGATE_MAX_PREFIXES)
		return ERR_RANGE;
	int rc = draw_label(t, zone, &out->id, &key);
	rc = rc ? rc : secure_uuid(key_id);
	rc = rc ? rc : secure_secret(out->secret);
	if (rc)
		return rc;
	text_from_uuid(key_id, out->key_id);
	rc = put_name(t, &key);
	rc = rc ? rc : put_account(t, &key, key_id, allow, now);
	return rc ? rc : put_key(t, key_id, out->secret, &key, now);
}

/* ERR_NOTFOUND: no such key. */
static int get_key(struct store_txn *t, const char *key_id, uint8_t digest[static SECURE_DIGEST_SIZE],
	struct delegate_key *key)
{
	uint8_t id[16], record[KEY_RECORD_MAX];
	size_t len;
	if (text_to_uuid(key_id, strlen(key_id), id))
		return ERR_NOTFOUND;
	int rc = store_txn_get(t, STORE_KEYS, id, sizeof id, record, sizeof record, &len);
	if (rc)
		return rc;
	struct reader r = reader_over(record, len);
	uint8_t version = read_u8(&r);
	read_u64(&r);
	const uint8_t *stored = read_bytes(&r, SECURE_DIGEST_SIZE);
	key->len = (size_t)(r.end - r.at);
	const uint8_t *bytes = read_bytes(&r, key->len);
	if (reader_finish(&r) || version != RECORD_VERSION || !key->len || key->len > sizeof key->bytes)
		return ERR_STORE;
	memcpy(digest, stored, SECURE_DIGEST_SIZE);
	memcpy(key->bytes, bytes, key->len);
	return OK;
}

/* ERR_FORBIDDEN: the delegate has an allow list, and the address is not in it. */
static int check_allowed(struct store_txn *t, const struct delegate_key *key, const struct address *client)
{
	uint8_t record[ACCOUNT_MAX];
	size_t len;
	int rc = store_txn_get(t, STORE_DELEGATES, key->bytes, key->len, record, sizeof record, &len);
	if (rc)
		return rc == ERR_NOTFOUND ? ERR_STORE : rc;
	struct reader r = reader_over(record, len);
	uint8_t version = read_u8(&r);
	read_u64(&r);
	read_bytes(&r, (size_t)16 * read_u8(&r));
	unsigned count = read_u8(&r);
	bool allowed = !count;
	for (unsigned i = 0; i < count; i++) {
		struct prefix p;
		const uint8_t *base = read_bytes(&r, 16);
		p.bits = read_u8(&r);
		if (!base || p.bits > 128)
			return ERR_STORE;
		memcpy(p.base.bytes, base, 16);
		allowed |= prefix_contains(&p, client);
	}
	if (reader_finish(&r) || version != RECORD_VERSION)
		return ERR_STORE;
	return allowed ? OK : ERR_FORBIDDEN;
}

int delegate_authenticate(struct store_txn *t, const char *key_id, const char *secret,
	const struct address *client, struct delegate_id *out)
{
	struct delegate_key key;
	/* An unknown id is compared too, with a digest that nothing has, so that it takes as long as a known
	 * one. */
	uint8_t stored[SECURE_DIGEST_SIZE] = {0}, given[SECURE_DIGEST_SIZE];
	int known = get_key(t, key_id, stored, &key);
	if (known && known != ERR_NOTFOUND)
		return known;
	int rc = secure_sha256(secret, strlen(secret), given);
	if (rc)
		return rc;
	bool equal = secure_equal(stored, given, sizeof given);
	secure_wipe(given, sizeof given);
	if (known || !equal)
		return ERR_FORBIDDEN;
	rc = check_allowed(t, &key, client);
	return rc ? rc : delegate_key_parse(key.bytes, key.len, out);
}
