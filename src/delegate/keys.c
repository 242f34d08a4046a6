// SPDX-License-Identifier: GPL-3.0-or-later
/* Keys: who has one, and how one takes the place of another. */
#include <string.h>

#include "delegate/internal.h"
#include "util/text.h"

static const uint8_t *id_of(const struct delegate *d, size_t i)
{
	return d->keys[i].id;
}

/* The place of a key in its delegate's account; key_count: it is not there. */
static size_t find_key(const struct delegate *d, const uint8_t id[static DELEGATE_KEY_ID_SIZE])
{
	size_t i = 0;
	while (i < d->key_count && memcmp(id_of(d, i), id, DELEGATE_KEY_ID_SIZE) != 0)
		i++;
	return i;
}

static int put_key(struct store_txn *t, const struct delegate_stored_key *k, const struct delegate_key *owner)
{
	uint8_t record[KEY_RECORD_MAX];
	size_t len;
	int rc = delegate_key_record_encode(k, owner, record, &len);
	return rc ? rc : store_txn_put(t, STORE_KEYS, k->id, sizeof k->id, record, len);
}

/* Takes a key out of the account, which is not saved yet. What is left has no successor any more. */
static int drop_key(struct store_txn *t, struct delegate *d, size_t i)
{
	int rc = store_txn_delete(t, STORE_KEYS, id_of(d, i), DELEGATE_KEY_ID_SIZE);
	d->key_count--;
	memmove(&d->keys[i], &d->keys[i + 1], (d->key_count - i) * sizeof d->keys[0]);
	for (size_t k = 0; k < d->key_count; k++)
		d->keys[k].retiring = false;
	return rc;
}

/* ---- who is this ---- */

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

/* The key is in use: the one it succeeds, if there is one, has done its duty. */
static int retire_other(struct store_txn *t, const struct delegate_key *owner, struct delegate *d, size_t own,
	struct delegate_login *out)
{
	for (size_t i = 0; i < d->key_count; i++) {
		if (i == own || !d->keys[i].retiring)
			continue;
		out->retired_other = true;
		memcpy(out->other, id_of(d, i), sizeof out->other);
		int rc = drop_key(t, d, i);
		return rc ? rc : delegate_account_save(t, owner, d);
	}
	return OK;
}

/* What the delegate's account says about a key whose secret is right, or still to be checked. */
static int admit(struct store_txn *t, const struct delegate_stored_key *key, const struct delegate_key *owner,
	const struct address *client, struct delegate_login *out)
{
	struct delegate d;
	int rc = delegate_account_load(t, owner, &d);
	/* An import that was interrupted leaves keys whose delegates are still to come. */
	if (rc)
		return rc == ERR_NOTFOUND ? ERR_FORBIDDEN : rc;
	size_t own = find_key(&d, key->id);
	if (own == d.key_count || !delegate_allows(&d.allow, client))
		return ERR_FORBIDDEN;
	memcpy(out->key, key->id, sizeof out->key);
	rc = delegate_key_parse(owner->bytes, owner->len, &out->id);
	if (rc || key->hash == DELEGATE_SHA256)
		return rc ? rc : retire_other(t, owner, &d, own, out);
	memcpy(out->bcrypt, key->bcrypt, sizeof out->bcrypt);
	return ERR_AGAIN;
}

int delegate_authenticate(struct store_txn *t, const char *key_id, const char *secret,
	const struct address *client, struct delegate_login *out)
{
	struct delegate_key owner;
	/* An unknown id is compared too, with a digest that nothing has, so that it takes as long as a known
	 * one. */
	struct delegate_stored_key key = {.hash = DELEGATE_SHA256};
	uint8_t given[SECURE_DIGEST_SIZE];
	*out = (struct delegate_login){.retired_other = false};
	int known = get_key(t, key_id, &key, &owner);
	if (known && known != ERR_NOTFOUND)
		return known;
	int rc = secure_sha256(secret, strlen(secret), given);
	if (rc)
		return rc;
	bool equal = secure_equal(key.digest, given, sizeof given);
	secure_wipe(given, sizeof given);
	if (known || (!equal && key.hash == DELEGATE_SHA256))
		return ERR_FORBIDDEN;
	return admit(t, &key, &owner, client, out);
}

int delegate_settle_key(struct store_txn *t, const char *key_id, const char *bcrypt, const char *secret)
{
	struct delegate_stored_key key;
	struct delegate_key owner;
	int rc = get_key(t, key_id, &key, &owner);
	if (rc == ERR_NOTFOUND)
		return OK;
	if (rc || key.hash != DELEGATE_BCRYPT || strcmp(key.bcrypt, bcrypt) != 0)
		return rc;
	key.hash = DELEGATE_SHA256;
	rc = secure_sha256(secret, strlen(secret), key.digest);
	return rc ? rc : put_key(t, &key, &owner);
}

/* ---- more keys, and fewer ---- */

static int load(
	struct store_txn *t, const struct delegate_id *id, struct delegate_key *owner, struct delegate *d)
{
	return delegate_key_of(id, owner) ? ERR_NOTFOUND : delegate_account_load(t, owner, d);
}

/* Puts a key behind the others of the account, which is saved. */
static int append_key(struct store_txn *t, const struct delegate_key *owner, struct delegate *d,
	const struct delegate_stored_key *key)
{
	d->keys[d->key_count++] = *key;
	int rc = put_key(t, key, owner);
	return rc ? rc : delegate_account_save(t, owner, d);
}

int delegate_key_add(
	struct store_txn *t, const struct delegate_id *id, int64_t now, struct delegate_credentials *out)
{
	struct delegate_key owner;
	struct delegate d;
	struct delegate_stored_key key;
	out->id = *id;
	int rc = load(t, id, &owner, &d);
	if (!rc && d.key_count == DELEGATE_MAX_KEYS)
		rc = ERR_LIMIT;
	rc = rc ? rc : delegate_key_draw(now, &key, out);
	return rc ? rc : append_key(t, &owner, &d, &key);
}

/* Makes room for a successor of the key in place `old`. Nothing may fail behind it but the store. */
static int make_room(struct store_txn *t, struct delegate *d, size_t old, bool at_once)
{
	int rc = OK;
	if (d->keys[old].retiring && d->key_count > 1) {
		rc = drop_key(t, d, !old); /* its successor, which was never used */
		old = 0;
	}
	if (!rc && at_once)
		return drop_key(t, d, old);
	d->keys[old].retiring = true;
	return rc;
}

int delegate_key_rotate(struct store_txn *t, const struct delegate_id *id,
	const uint8_t key[static DELEGATE_KEY_ID_SIZE], bool at_once, int64_t now,
	struct delegate_credentials *out)
{
	struct delegate_key owner;
	struct delegate d;
	struct delegate_stored_key made;
	out->id = *id;
	int rc = load(t, id, &owner, &d);
	size_t old = rc ? 0 : find_key(&d, key);
	if (!rc && old == d.key_count)
		rc = ERR_NOTFOUND;
	if (!rc && d.key_count == DELEGATE_MAX_KEYS && !d.keys[old].retiring && !at_once)
		rc = ERR_LIMIT;
	rc = rc ? rc : delegate_key_draw(now, &made, out);
	rc = rc ? rc : make_room(t, &d, old, at_once);
	return rc ? rc : append_key(t, &owner, &d, &made);
}

int delegate_key_revoke(struct store_txn *t, const struct delegate_id *id,
	const uint8_t key[static DELEGATE_KEY_ID_SIZE], bool last_too)
{
	struct delegate_key owner;
	struct delegate d;
	int rc = load(t, id, &owner, &d);
	size_t i = rc ? 0 : find_key(&d, key);
	if (!rc && i == d.key_count)
		rc = ERR_NOTFOUND;
	if (!rc && d.key_count == 1 && !last_too)
		rc = ERR_LIMIT;
	rc = rc ? rc : drop_key(t, &d, i);
	return rc ? rc : delegate_account_save(t, &owner, &d);
}
