// SPDX-License-Identifier: GPL-3.0-or-later
/* Accounts and keys as bytes, and whole delegates as entries of the store. */
#include <string.h>

#include "delegate/internal.h"

enum {
	ACCOUNT_VERSION_1 = 1, /* without retiring and aliases */
	ACCOUNT_VERSION = 2,
	KEY_SHA256 = 1,
	KEY_BCRYPT = 2
};

/* ---- accounts ---- */

void delegate_write_allow(struct writer *w, const struct delegate_allow *allow)
{
	write_u8(w, (uint8_t)allow->count);
	for (size_t i = 0; i < allow->count; i++) {
		write_bytes(w, allow->prefixes[i].base.bytes, 16);
		write_u8(w, allow->prefixes[i].bits);
	}
}

void delegate_read_allow(struct reader *r, struct delegate_allow *out)
{
	out->count = read_u8(r);
	r->failed |= out->count > DELEGATE_MAX_PREFIXES;
	for (size_t i = 0; i < out->count && !r->failed; i++) {
		struct prefix *p = &out->prefixes[i];
		const uint8_t *base = read_bytes(r, 16);
		p->bits = read_u8(r);
		r->failed |= p->bits > 128;
		if (base)
			memcpy(p->base.bytes, base, 16);
	}
}

int delegate_account_encode(const struct delegate *d, uint8_t out[static ACCOUNT_MAX], size_t *len)
{
	struct writer w = writer_over(out, ACCOUNT_MAX);
	write_u8(&w, ACCOUNT_VERSION);
	write_u64(&w, (uint64_t)d->created);
	write_u8(&w, (uint8_t)d->key_count);
	for (size_t i = 0; i < d->key_count; i++) {
		write_bytes(&w, d->keys[i].id, DELEGATE_KEY_ID_SIZE);
		write_u8(&w, d->keys[i].retiring);
	}
	delegate_write_allow(&w, &d->allow);
	write_u8(&w, (uint8_t)d->aliases.count);
	for (size_t i = 0; i < d->aliases.count; i++)
		write_string(&w, d->aliases.names[i], strlen(d->aliases.names[i]));
	return writer_finish(&w, len);
}

static void read_key_ids(struct reader *r, uint8_t version, struct delegate *out)
{
	out->key_count = read_u8(r);
	r->failed |= out->key_count > DELEGATE_MAX_KEYS;
	for (size_t i = 0; i < out->key_count && !r->failed; i++) {
		const uint8_t *id = read_bytes(r, DELEGATE_KEY_ID_SIZE);
		if (id)
			memcpy(out->keys[i].id, id, DELEGATE_KEY_ID_SIZE);
		out->keys[i].retiring = version >= ACCOUNT_VERSION && read_u8(r);
	}
}

static void read_aliases(struct reader *r, struct delegate_aliases *out)
{
	out->count = read_u8(r);
	r->failed |= out->count > DELEGATE_MAX_ALIASES;
	for (size_t i = 0; i < out->count && !r->failed; i++)
		read_string(r, out->names[i], sizeof out->names[i]);
}

int delegate_account_decode(const uint8_t *bytes, size_t len, struct delegate *out)
{
	struct reader r = reader_over(bytes, len);
	uint8_t version = read_u8(&r);
	r.failed |= version != ACCOUNT_VERSION_1 && version != ACCOUNT_VERSION;
	out->created = (int64_t)read_u64(&r);
	read_key_ids(&r, version, out);
	delegate_read_allow(&r, &out->allow);
	out->aliases.count = 0;
	if (version >= ACCOUNT_VERSION)
		read_aliases(&r, &out->aliases);
	return reader_finish(&r) ? ERR_STORE : OK;
}

int delegate_account_load(struct store_txn *t, const struct delegate_key *key, struct delegate *out)
{
	uint8_t record[ACCOUNT_MAX];
	size_t len;
	int rc = store_txn_get(t, STORE_DELEGATES, key->bytes, key->len, record, sizeof record, &len);
	return rc ? rc : delegate_account_decode(record, len, out);
}

int delegate_account_save(struct store_txn *t, const struct delegate_key *key, const struct delegate *d)
{
	uint8_t record[ACCOUNT_MAX];
	size_t len;
	int rc = delegate_account_encode(d, record, &len);
	return rc ? rc : store_txn_put(t, STORE_DELEGATES, key->bytes, key->len, record, len);
}

/* ---- keys ---- */

int delegate_key_record_encode(const struct delegate_stored_key *k, const struct delegate_key *owner,
	uint8_t out[static KEY_RECORD_MAX], size_t *len)
{
	struct writer w = writer_over(out, KEY_RECORD_MAX);
	write_u8(&w, k->hash == DELEGATE_BCRYPT ? KEY_BCRYPT : KEY_SHA256);
	write_u64(&w, (uint64_t)k->created);
	if (k->hash == DELEGATE_BCRYPT)
		write_bytes(&w, k->bcrypt, DELEGATE_BCRYPT_LEN);
	else
		write_bytes(&w, k->digest, sizeof k->digest);
	write_bytes(&w, owner->bytes, owner->len);
	return writer_finish(&w, len);
}

static void read_digest(struct reader *r, uint8_t version, struct delegate_stored_key *out)
{
	out->hash = version == KEY_BCRYPT ? DELEGATE_BCRYPT : DELEGATE_SHA256;
	bool bcrypt = out->hash == DELEGATE_BCRYPT;
	const uint8_t *digest = read_bytes(r, bcrypt ? DELEGATE_BCRYPT_LEN : sizeof out->digest);
	memset(out->digest, 0, sizeof out->digest);
	memset(out->bcrypt, 0, sizeof out->bcrypt);
	if (digest && bcrypt)
		memcpy(out->bcrypt, digest, DELEGATE_BCRYPT_LEN);
	else if (digest)
		memcpy(out->digest, digest, sizeof out->digest);
}

int delegate_key_record_decode(
	const uint8_t *bytes, size_t len, struct delegate_stored_key *out, struct delegate_key *owner)
{
	struct reader r = reader_over(bytes, len);
	uint8_t version = read_u8(&r);
	r.failed |= version != KEY_SHA256 && version != KEY_BCRYPT;
	out->created = (int64_t)read_u64(&r);
	read_digest(&r, version, out);
	owner->len = (size_t)(r.end - r.at);
	const uint8_t *key = read_bytes(&r, owner->len);
	if (reader_finish(&r) || !owner->len || owner->len > sizeof owner->bytes)
		return ERR_STORE;
	memcpy(owner->bytes, key, owner->len);
	return OK;
}

/* ---- whole delegates ---- */

bool delegate_same_owner(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	struct delegate_stored_key unused;
	struct delegate_key one, other;
	if (delegate_key_record_decode(a, a_len, &unused, &one) ||
		delegate_key_record_decode(b, b_len, &unused, &other))
		return false;
	return one.len == other.len && memcmp(one.bytes, other.bytes, one.len) == 0;
}

static int emit_keys(const struct delegate *d, const struct delegate_key *key, delegate_emit *emit, void *ctx)
{
	int rc = OK;
	for (size_t i = 0; !rc && i < d->key_count; i++) {
		uint8_t record[KEY_RECORD_MAX];
		size_t len;
		rc = delegate_key_record_encode(&d->keys[i], key, record, &len);
		rc = rc ? rc : emit(ctx, STORE_KEYS, d->keys[i].id, DELEGATE_KEY_ID_SIZE, record, len);
	}
	return rc;
}

static int emit_expiry(
	const struct delegate *d, const struct delegate_key *key, delegate_emit *emit, void *ctx)
{
	uint8_t entry[8 + KEY_MAX];
	if (!d->values.count)
		return OK;
	return emit(ctx, STORE_EXPIRY, entry, delegate_expiry_key(delegate_earliest(&d->values), key, entry),
		"", 0);
}

int delegate_encode(const struct delegate *d, delegate_emit *emit, void *ctx)
{
	struct delegate_key key;
	uint8_t account[ACCOUNT_MAX], name[NAME_RECORD_MAX];
	size_t account_len, name_len;
	if (d->key_count > DELEGATE_MAX_KEYS || d->allow.count > DELEGATE_MAX_PREFIXES ||
		d->values.count > DELEGATE_MAX_VALUES || d->aliases.count > DELEGATE_MAX_ALIASES ||
		d->history.count > DELEGATE_MAX_CHANGES)
		return ERR_RANGE;
	int rc = delegate_key_of(&d->id, &key);
	rc = rc ? rc : delegate_account_encode(d, account, &account_len);
	rc = rc ? rc : delegate_record_encode(&d->values, &d->history, name, &name_len);
	rc = rc ? rc : emit_keys(d, &key, emit, ctx);
	rc = rc ? rc : emit_expiry(d, &key, emit, ctx);
	rc = rc ? rc : emit(ctx, STORE_DELEGATES, key.bytes, key.len, account, account_len);
	return rc ? rc : emit(ctx, STORE_NAMES, key.bytes, key.len, name, name_len);
}
