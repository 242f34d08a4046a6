// SPDX-License-Identifier: GPL-3.0-or-later
/* Accounts and keys as bytes, and whole delegates as entries of the store. */
#include <string.h>

#include "delegate/internal.h"

enum { RECORD_VERSION = 1 };

static int account_encode(const struct delegate *d, uint8_t out[static ACCOUNT_MAX], size_t *len)
{
	struct writer w = writer_over(out, ACCOUNT_MAX);
	write_u8(&w, RECORD_VERSION);
	write_u64(&w, (uint64_t)d->created);
	write_u8(&w, (uint8_t)d->key_count);
	for (size_t i = 0; i < d->key_count; i++)
		write_bytes(&w, d->keys[i].id, DELEGATE_KEY_ID_SIZE);
	write_u8(&w, (uint8_t)d->allow.count);
	for (size_t i = 0; i < d->allow.count; i++) {
		write_bytes(&w, d->allow.prefixes[i].base.bytes, 16);
		write_u8(&w, d->allow.prefixes[i].bits);
	}
	return writer_finish(&w, len);
}

int delegate_account_decode(const uint8_t *bytes, size_t len, struct delegate *out)
{
	struct reader r = reader_over(bytes, len);
	uint8_t version = read_u8(&r);
	out->created = (int64_t)read_u64(&r);
	out->key_count = read_u8(&r);
	if (version != RECORD_VERSION || out->key_count > DELEGATE_MAX_KEYS)
		return ERR_STORE;
	for (size_t i = 0; i < out->key_count; i++) {
		const uint8_t *id = read_bytes(&r, DELEGATE_KEY_ID_SIZE);
		if (id)
			memcpy(out->keys[i].id, id, DELEGATE_KEY_ID_SIZE);
	}
	out->allow.count = read_u8(&r);
	if (out->allow.count > DELEGATE_MAX_PREFIXES)
		return ERR_STORE;
	for (size_t i = 0; i < out->allow.count; i++) {
		struct prefix *p = &out->allow.prefixes[i];
		const uint8_t *base = read_bytes(&r, 16);
		p->bits = read_u8(&r);
		if (!base || p->bits > 128)
			return ERR_STORE;
		memcpy(p->base.bytes, base, 16);
	}
	return reader_finish(&r) ? ERR_STORE : OK;
}

static int key_record_encode(const struct delegate_stored_key *k, const struct delegate_key *owner,
	uint8_t out[static KEY_RECORD_MAX], size_t *len)
{
	struct writer w = writer_over(out, KEY_RECORD_MAX);
	write_u8(&w, RECORD_VERSION);
	write_u64(&w, (uint64_t)k->created);
	write_bytes(&w, k->digest, sizeof k->digest);
	write_bytes(&w, owner->bytes, owner->len);
	return writer_finish(&w, len);
}

int delegate_key_record_decode(
	const uint8_t *bytes, size_t len, struct delegate_stored_key *out, struct delegate_key *owner)
{
	struct reader r = reader_over(bytes, len);
	uint8_t version = read_u8(&r);
	out->created = (int64_t)read_u64(&r);
	const uint8_t *digest = read_bytes(&r, sizeof out->digest);
	owner->len = (size_t)(r.end - r.at);
	const uint8_t *key = read_bytes(&r, owner->len);
	if (reader_finish(&r) || version != RECORD_VERSION || !owner->len || owner->len > sizeof owner->bytes)
		return ERR_STORE;
	memcpy(out->digest, digest, sizeof out->digest);
	memcpy(owner->bytes, key, owner->len);
	return OK;
}

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
		rc = key_record_encode(&d->keys[i], key, record, &len);
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
		d->values.count > DELEGATE_MAX_VALUES)
		return ERR_RANGE;
	int rc = delegate_key_of(&d->id, &key);
	rc = rc ? rc : account_encode(d, account, &account_len);
	rc = rc ? rc : delegate_record_encode(&d->values, name, &name_len);
	rc = rc ? rc : emit_keys(d, &key, emit, ctx);
	rc = rc ? rc : emit_expiry(d, &key, emit, ctx);
	rc = rc ? rc : emit(ctx, STORE_DELEGATES, key.bytes, key.len, account, account_len);
	return rc ? rc : emit(ctx, STORE_NAMES, key.bytes, key.len, name, name_len);
}

/* The rest of a key whose ID the account has named. */
static int read_key(struct store_snapshot *v, struct delegate_stored_key *k)
{
	struct delegate_key owner;
	uint8_t record[KEY_RECORD_MAX];
	size_t len;
	int rc = store_snapshot_get(v, STORE_KEYS, k->id, sizeof k->id, record, sizeof record, &len);
	return rc ? ERR_STORE : delegate_key_record_decode(record, len, k, &owner);
}

int delegate_decode(struct store_snapshot *v, const uint8_t *key, size_t key_len, const uint8_t *name,
	size_t name_len, struct delegate *out)
{
	uint8_t account[ACCOUNT_MAX];
	size_t len;
	int rc = delegate_record_decode(name, name_len, &out->values);
	rc = rc ? rc : delegate_key_parse(key, key_len, &out->id);
	if (rc)
		return rc;
	if (store_snapshot_get(v, STORE_DELEGATES, key, key_len, account, sizeof account, &len))
		return ERR_STORE; /* also if there is none: a name has an account */
	rc = delegate_account_decode(account, len, out);
	for (size_t i = 0; !rc && i < out->key_count; i++)
		rc = read_key(v, &out->keys[i]);
	return rc;
}
