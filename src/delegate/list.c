// SPDX-License-Identifier: GPL-3.0-or-later
/* Reading whole delegates, from a snapshot or within a transaction. */
#include <string.h>

#include "delegate/internal.h"

/* Where entries are read from. Errors of store_snapshot_get(). */
struct origin {
	struct store_snapshot *view; /* or else: */
	struct store_txn *txn;
};

static int get(const struct origin *o, enum store_table table, const void *key, size_t key_len, void *out,
	size_t cap, size_t *len)
{
	return o->view ? store_snapshot_get(o->view, table, key, key_len, out, cap, len)
		       : store_txn_get(o->txn, table, key, key_len, out, cap, len);
}

/* The rest of a key whose id the account has named. */
static int read_key(const struct origin *o, struct delegate_stored_key *k)
{
	struct delegate_key owner;
	uint8_t record[KEY_RECORD_MAX];
	size_t len;
	int rc = get(o, STORE_KEYS, k->id, sizeof k->id, record, sizeof record, &len);
	return rc ? ERR_STORE : delegate_key_record_decode(record, len, k, &owner);
}

static int decode(const struct origin *o, const uint8_t *key, size_t key_len, const uint8_t *name,
	size_t name_len, struct delegate *out)
{
	uint8_t account[ACCOUNT_MAX];
	size_t len;
	int rc = delegate_record_decode(name, name_len, &out->values, &out->history);
	rc = rc ? rc : delegate_key_parse(key, key_len, &out->id);
	if (rc)
		return rc;
	if (get(o, STORE_DELEGATES, key, key_len, account, sizeof account, &len))
		return ERR_STORE; /* also if there is none: a name has an account */
	rc = delegate_account_decode(account, len, out);
	for (size_t i = 0; !rc && i < out->key_count; i++)
		rc = read_key(o, &out->keys[i]);
	return rc;
}

int delegate_decode(struct store_snapshot *v, const uint8_t *key, size_t key_len, const uint8_t *name,
	size_t name_len, struct delegate *out)
{
	return decode(&(struct origin){.view = v}, key, key_len, name, name_len, out);
}

int delegate_get(struct store_txn *t, const struct delegate_id *id, struct delegate *out)
{
	struct delegate_key key;
	uint8_t name[NAME_RECORD_MAX];
	size_t len;
	if (delegate_key_of(id, &key))
		return ERR_NOTFOUND;
	int rc = store_txn_get(t, STORE_NAMES, key.bytes, key.len, name, sizeof name, &len);
	return rc ? rc : decode(&(struct origin){.txn = t}, key.bytes, key.len, name, len, out);
}

struct listing {
	struct store_snapshot *view;
	delegate_visit *visit;
	void *ctx;
	struct delegate delegate;
};

/* What was removed or is damaged is passed over. */
static bool visit_name(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *name, size_t name_len)
{
	struct listing *l = ctx;
	if (delegate_decode(l->view, key, key_len, name, name_len, &l->delegate))
		return true;
	return l->visit(l->ctx, &l->delegate);
}

int delegate_list(struct store_snapshot *v, const struct delegate_id *after, size_t max,
	delegate_visit *visit, void *ctx, bool *more)
{
	struct listing l = {.view = v, .visit = visit, .ctx = ctx};
	struct delegate_key key = {.len = 0};
	*more = false;
	if (after && delegate_key_of(after, &key))
		return OK;
	return store_snapshot_walk(v, STORE_NAMES, key.bytes, key.len, max, visit_name, &l, more);
}
