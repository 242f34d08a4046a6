// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <string.h>

#include "store/internal.h"
#include "util/cursor.h"

/* Remembers the first failure: one of ours as it is, one of LMDB's by what it means. */
static int stick(struct store_txn *t, int code)
{
	/* LMDB says EIO for a write that came out short, which is how a disk fills up. Also after a real I/O
	 * error the transaction is undone: its pages are referenced by nothing, and the next one writes its
	 * own anew. (A failure that LMDB itself cannot undo makes it refuse the next transaction.) */
	int rc = code == EIO ? ERR_FULL : code == ERR_DAMAGED ? code : store_map_error(code);
	if (rc == ERR_SYSTEM) /* once the store is open, no access is as bad as no page */
		rc = ERR_STORE;
	if (rc && !t->failed)
		t->failed = rc;
	return rc;
}

/* Left in the middle of LMDB: it still holds the writers' lock. */
static int abandon(struct store_txn *t)
{
	t->store->abandoned = true;
	return t->failed = ERR_STORE;
}

int store_txn_begin(struct store *s, struct store_txn **out)
{
	struct store_txn *t = &s->writer;
	*out = NULL;
	if (STORE_GUARD())
		return abandon(t);
	t->failed = OK;
	t->writes = t->summed = false;
	int rc = stick(t, mdb_txn_begin(s->env, NULL, 0, &t->txn));
	if (!rc) {
		rc = t->failed = store_sealed_upto(s, t->txn, true, &t->sealed);
		if (rc)
			mdb_txn_abort(t->txn);
	}
	store_guard_end();
	if (!rc)
		*out = t;
	return rc;
}

static int copy_out(const MDB_val *from, void *out, size_t cap, size_t *len)
{
	if (from->mv_size > cap)
		return ERR_RANGE;
	memcpy(out, from->mv_data, from->mv_size);
	*len = from->mv_size;
	return OK;
}

/* Under the guard. As store_absent(). */
static int confirm_absence(struct store_txn *t, enum store_table table, const MDB_val *key)
{
	MDB_cursor *cursor;
	int code = mdb_cursor_open(t->txn, t->store->tables[table], &cursor);
	if (code)
		return stick(t, code);
	code = store_absent(&t->sealed, table, cursor, key);
	mdb_cursor_close(cursor);
	return code == ERR_NOTFOUND ? code : stick(t, code);
}

int store_txn_get(struct store_txn *t, enum store_table table, const void *key, size_t key_len, void *out,
	size_t cap, size_t *len)
{
	if (t->failed)
		return t->failed;
	if (STORE_GUARD())
		return abandon(t);
	MDB_val k = {key_len, (void *)key}, value;
	int code = mdb_get(t->txn, t->store->tables[table], &k, &value);
	int rc = code == MDB_NOTFOUND ? confirm_absence(t, table, &k) : stick(t, code);
	rc = rc ? rc : stick(t, store_open_record(&t->sealed, table, &k, &value));
	rc = rc ? rc : copy_out(&value, out, cap, len);
	store_guard_end();
	return rc;
}

void store_watch_writes(struct store *s, enum store_table table, store_watch *watch, void *ctx)
{
	s->watches[table].tell = watch;
	s->watches[table].ctx = ctx;
}

static void tell(const struct store_txn *t, enum store_table table, const void *key, size_t key_len)
{
	const struct store *s = t->store;
	if (s->watches[table].tell)
		s->watches[table].tell(s->watches[table].ctx, key, key_len);
}

/* ---- sums of the sealed records ---- */

static int read_sums(struct store_txn *t)
{
	MDB_val key = {sizeof STORE_KEY_SUMS - 1, (void *)STORE_KEY_SUMS}, value;
	if (t->summed)
		return 0;
	int code = mdb_get(t->txn, t->store->tables[STORE_META], &key, &value);
	t->summed = !code;
	if (code)
		return code == MDB_NOTFOUND ? ERR_DAMAGED : code;
	return store_unseal(STORE_META, &key, &value) ? store_decode_sums(&value, &t->sums) : ERR_DAMAGED;
}

static uint32_t seal_of(const MDB_val *record)
{
	struct reader r = reader_over((const uint8_t *)record->mv_data + record->mv_size, STORE_SEAL);
	return read_u32(&r);
}

/* The record that is about to be replaced or deleted does not count any more. */
static int take_off(struct store_txn *t, unsigned table, MDB_val *key)
{
	MDB_val old;
	int code = mdb_get(t->txn, t->store->tables[table], key, &old);
	if (code)
		return code == MDB_NOTFOUND ? 0 : code;
	if (!store_unseal(table, key, &old))
		return ERR_DAMAGED;
	t->sums.of[table].count--;
	t->sums.of[table].sum -= seal_of(&old);
	return 0;
}

static int write_sums(struct store_txn *t)
{
	uint8_t bytes[STORE_SUMS_SIZE + STORE_SEAL];
	MDB_val key = {sizeof STORE_KEY_SUMS - 1, (void *)STORE_KEY_SUMS}, value = {sizeof bytes, bytes};
	struct writer w = writer_over(bytes + STORE_SUMS_SIZE, STORE_SEAL);
	/* Also where only records without seals were written: it says of which commit everything is. */
	int code = read_sums(t);
	if (code)
		return code;
	t->sums.commit = mdb_txn_id(t->txn);
	store_encode_sums(&t->sums, bytes);
	write_u32(&w, store_seal(STORE_META, &key, bytes, STORE_SUMS_SIZE));
	return mdb_put(t->txn, t->store->tables[STORE_META], &key, &value, 0);
}

/* The same but for the number of the new record. `was_sealed`: what is there now has a seal, if anything is.
 */
static int put_with_seal(
	struct store_txn *t, unsigned table, MDB_val *key, const MDB_val *value, bool append, bool was_sealed)
{
	uint8_t bytes[STORE_MAX_VALUE + STORE_SEAL];
	MDB_val sealed = {value->mv_size + STORE_SEAL, bytes};
	MDB_dbi dbi = t->store->tables[table];
	uint32_t seal = store_seal(table, key, value->mv_data, value->mv_size);
	struct writer w = writer_over(bytes, sizeof bytes);
	write_bytes(&w, value->mv_data, value->mv_size);
	write_u32(&w, seal);
	int code = read_sums(t);
	if (!code && append)
		code = mdb_put(t->txn, dbi, key, &sealed, MDB_APPEND);
	/* What LMDB says, having changed nothing, where a key does not follow all others. */
	if ((!code && !append) || code == MDB_KEYEXIST) {
		code = was_sealed ? take_off(t, table, key) : 0;
		code = code ? code : mdb_put(t->txn, dbi, key, &sealed, 0);
	}
	if (!code) {
		t->sums.of[table].count++;
		t->sums.of[table].sum += seal;
	}
	return code;
}

int store_seal_record(struct store_txn *t, unsigned table, MDB_val *key, const MDB_val *value)
{
	return put_with_seal(t, table, key, value, false, false);
}

static int write_entry(struct store_txn *t, enum store_table table, MDB_val *key, MDB_val *value, bool append)
{
	if (store_is_sealed(&t->sealed, table, key->mv_data, key->mv_size))
		return put_with_seal(t, table, key, value, append, true);
	int code = append ? mdb_put(t->txn, t->store->tables[table], key, value, MDB_APPEND) : MDB_KEYEXIST;
	return code == MDB_KEYEXIST ? mdb_put(t->txn, t->store->tables[table], key, value, 0) : code;
}

static int delete_entry(struct store_txn *t, enum store_table table, MDB_val *key)
{
	int code = 0;
	if (store_is_sealed(&t->sealed, table, key->mv_data, key->mv_size)) {
		code = read_sums(t);
		code = code ? code : take_off(t, table, key);
	}
	return code ? code : mdb_del(t->txn, t->store->tables[table], key, NULL);
}

/* ---- writing ---- */

static int put(struct store_txn *t, enum store_table table, const void *key, size_t key_len,
	const void *value, size_t value_len, bool append)
{
	if (t->failed)
		return t->failed;
	if (!key_len || key_len > STORE_MAX_KEY || value_len > STORE_MAX_VALUE)
		return t->failed = ERR_RANGE;
	if (STORE_GUARD())
		return abandon(t);
	MDB_val k = {key_len, (void *)key}, v = {value_len, (void *)value};
	int rc = stick(t, write_entry(t, table, &k, &v, append));
	t->writes |= !rc;
	store_guard_end();
	tell(t, table, key, key_len);
	return rc;
}

int store_txn_put(struct store_txn *t, enum store_table table, const void *key, size_t key_len,
	const void *value, size_t value_len)
{
	return put(t, table, key, key_len, value, value_len, false);
}

int store_txn_append(struct store_txn *t, enum store_table table, const void *key, size_t key_len,
	const void *value, size_t value_len)
{
	return put(t, table, key, key_len, value, value_len, true);
}

int store_txn_seal_some(struct store_txn *t, size_t max, int (*seal_some)(struct store_txn *, size_t))
{
	if (t->failed)
		return t->failed;
	if (STORE_GUARD())
		return abandon(t);
	int rc = stick(t, seal_some(t, max));
	t->writes |= !rc;
	store_guard_end();
	return rc;
}

int store_txn_delete(struct store_txn *t, enum store_table table, const void *key, size_t key_len)
{
	if (t->failed)
		return t->failed;
	if (STORE_GUARD())
		return abandon(t);
	MDB_val k = {key_len, (void *)key};
	int code = delete_entry(t, table, &k);
	int rc = code == MDB_NOTFOUND ? OK : stick(t, code);
	t->writes |= !code;
	store_guard_end();
	tell(t, table, key, key_len);
	return rc;
}

/* An entry found by a cursor: its key and, if wanted, its value. */
struct found {
	void *key, *value; /* value NULL: not wanted */
	size_t key_cap, value_cap;
	size_t *key_len, *value_len;
};

static int copy_found(
	struct store_txn *t, unsigned table, const MDB_val *key, MDB_val *value, const struct found *out)
{
	int damaged = stick(t, store_open_record(&t->sealed, table, key, value));
	if (damaged)
		return damaged;
	int rc = copy_out(key, out->key, out->key_cap, out->key_len);
	return rc || !out->value ? rc : copy_out(value, out->value, out->value_cap, out->value_len);
}

/* `from`: for MDB_SET_RANGE. */
static int find(struct store_txn *t, enum store_table table, MDB_cursor_op op, const void *from,
	size_t from_len, const struct found *out)
{
	if (t->failed)
		return t->failed;
	if (STORE_GUARD())
		return abandon(t);
	MDB_cursor *cursor;
	MDB_val k = {from_len, (void *)from}, v;
	int code = mdb_cursor_open(t->txn, t->store->tables[table], &cursor);
	int rc = stick(t, code);
	if (!code) {
		code = mdb_cursor_get(cursor, &k, &v, op);
		rc = code == MDB_NOTFOUND ? ERR_NOTFOUND
		     : code               ? stick(t, code)
					  : copy_found(t, table, &k, &v, out);
		mdb_cursor_close(cursor);
	}
	store_guard_end();
	return rc;
}

int store_txn_first(struct store_txn *t, enum store_table table, void *key, size_t cap, size_t *key_len)
{
	return find(t, table, MDB_FIRST, NULL, 0,
		&(struct found){.key = key, .key_cap = cap, .key_len = key_len});
}

int store_txn_last(struct store_txn *t, enum store_table table, void *key, size_t cap, size_t *key_len)
{
	return find(
		t, table, MDB_LAST, NULL, 0, &(struct found){.key = key, .key_cap = cap, .key_len = key_len});
}

int store_txn_seek(struct store_txn *t, enum store_table table, const void *from, size_t from_len, void *key,
	size_t key_cap, size_t *key_len, void *value, size_t value_cap, size_t *value_len)
{
	return find(t, table, MDB_SET_RANGE, from, from_len,
		&(struct found){key, value, key_cap, value_cap, key_len, value_len});
}

uint64_t store_txn_version(const struct store_txn *t)
{
	return mdb_txn_id(t->txn);
}

bool store_txn_writes(const struct store_txn *t)
{
	return t->writes;
}

/* See store_metas_write_again(): until that has succeeded once, no page is written. */
static int settle_first(struct store_txn *t)
{
	struct store *s = t->store;
	if (!t->writes || !s->unsettled)
		return OK;
	s->unsettled = store_metas_write_again(s->env) != 0;
	return s->unsettled ? t->failed = ERR_FULL : OK;
}

int store_txn_commit(struct store_txn **handle)
{
	struct store_txn *t = *handle;
	*handle = NULL;
	if (t->failed) {
		int rc = t->failed;
		store_txn_abort(&t);
		return rc;
	}
	if (STORE_GUARD())
		return abandon(t);
	int rc = settle_first(t);
	rc = rc ? rc : stick(t, t->writes ? write_sums(t) : 0);
	if (rc) {
		store_guard_end();
		store_txn_abort(&t);
		return rc;
	}
	MDB_txn *txn = t->txn;
	t->txn = NULL; /* gone whatever commit returns */
	rc = stick(t, mdb_txn_commit(txn));
	store_guard_end();
	return rc;
}

void store_txn_abort(struct store_txn **handle)
{
	struct store_txn *t = *handle;
	*handle = NULL;
	if (!t || !t->txn)
		return;
	/* After damage LMDB's own lists cannot be trusted: leave it, the process is about to end (see
	 * store.h). */
	if (t->failed == ERR_STORE) {
		abandon(t);
		return;
	}
	mdb_txn_abort(t->txn);
	t->txn = NULL;
}
