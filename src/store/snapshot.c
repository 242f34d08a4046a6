// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"
#include "util/cursor.h"

struct store_snapshot {
	struct store *store;
	MDB_txn *txn;
	MDB_cursor *probe; /* NULL: none */
	struct store_sealed sealed;
	bool pinned, broken;
};

int store_snapshot_new(struct store *s, struct store_snapshot **out)
{
	*out = NULL;
	struct store_snapshot *v = calloc(1, sizeof *v);
	if (!v)
		return ERR_NOMEM;
	v->store = s;
	int code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &v->txn);
	if (code) {
		free(v);
		return code == ENOMEM ? ERR_NOMEM : ERR_STORE;
	}
	mdb_txn_reset(v->txn);
	*out = v;
	return OK;
}

void store_snapshot_free(struct store_snapshot **v)
{
	if (!*v)
		return;
	mdb_cursor_close((*v)->probe);
	mdb_txn_abort((*v)->txn);
	free(*v);
	*v = NULL;
}

int store_snapshot_renew(struct store_snapshot *v)
{
	store_snapshot_release(v);
	if (STORE_GUARD()) {
		v->broken = true;
		return ERR_STORE;
	}
	v->pinned = mdb_txn_renew(v->txn) == 0;
	if (v->pinned && store_sealed_upto(v->store, v->txn, false, &v->sealed)) {
		mdb_txn_reset(v->txn);
		v->pinned = false;
	}
	store_guard_end();
	v->broken |= !v->pinned;
	return v->pinned ? OK : ERR_STORE;
}

void store_snapshot_release(struct store_snapshot *v)
{
	if (v->pinned)
		mdb_txn_reset(v->txn);
	v->pinned = false;
}

bool store_snapshot_broken(const struct store_snapshot *v)
{
	return v->broken;
}

/* Under the guard. As store_absent(), in errors of ours. */
static int confirm_absence(struct store_snapshot *v, enum store_table table, const MDB_val *key)
{
	/* One that a jump has left behind goes now. */
	mdb_cursor_close(v->probe);
	v->probe = NULL;
	int code = mdb_cursor_open(v->txn, v->store->tables[table], &v->probe);
	code = code ? code : store_absent(&v->sealed, table, v->probe, key);
	mdb_cursor_close(v->probe);
	v->probe = NULL;
	return code == ERR_NOTFOUND || code == ERR_DAMAGED ? code : ERR_STORE;
}

int store_snapshot_get(struct store_snapshot *v, enum store_table table, const void *key, size_t key_len,
	void *out, size_t cap, size_t *len)
{
	if (!v->pinned)
		return ERR_STORE;
	if (v->store->absent[table])
		return ERR_NOTFOUND;
	if (STORE_GUARD()) {
		v->broken = true;
		return ERR_STORE;
	}
	MDB_val k = {key_len, (void *)key}, value = {0, NULL};
	int code = mdb_get(v->txn, v->store->tables[table], &k, &value);
	int rc = code == 0 ? OK : code == MDB_NOTFOUND ? confirm_absence(v, table, &k) : ERR_STORE;
	rc = rc ? rc : store_open_record(&v->sealed, table, &k, &value);
	if (!rc && value.mv_size > cap)
		rc = ERR_RANGE;
	if (!rc) {
		memcpy(out, value.mv_data, value.mv_size);
		*len = value.mv_size;
	}
	store_guard_end();
	v->broken |= rc == ERR_STORE;
	return rc;
}

uint64_t store_snapshot_version(const struct store_snapshot *v)
{
	return v->pinned ? mdb_txn_id(v->txn) : 0;
}

enum {
	ENTRY_MAX = 2 + STORE_MAX_KEY + 2 + STORE_MAX_VALUE,
	WALK_BUFFER = 8 * ENTRY_MAX /* many entries of usual size, and on the stack */
};

/* Where a walk stands: entries are copied under the guard, a buffer at a time, and visited outside of it. */
struct walk {
	MDB_cursor *cursor;
	uint8_t last[STORE_MAX_KEY]; /* the walk goes on behind this key */
	size_t last_len;
	uint8_t copied[WALK_BUFFER]; /* key and value of each entry, each behind its length */
	size_t copied_len, count;
	bool end; /* no entry behind those copied */
};

static int first_behind(struct walk *w, MDB_val *key, MDB_val *value)
{
	if (!w->last_len)
		return mdb_cursor_get(w->cursor, key, value, MDB_FIRST);
	*key = (MDB_val){w->last_len, w->last};
	int code = mdb_cursor_get(w->cursor, key, value, MDB_SET_RANGE);
	if (!code && key->mv_size == w->last_len && memcmp(key->mv_data, w->last, w->last_len) == 0)
		code = mdb_cursor_get(w->cursor, key, value, MDB_NEXT);
	return code;
}

/* Copies up to `max` entries. An MDB_* code, or ERR_DAMAGED. */
static int copy_entries(const struct store_snapshot *v, unsigned table, struct walk *w, size_t max)
{
	struct writer out = writer_over(w->copied, sizeof w->copied);
	MDB_val key, value;
	int damaged = OK;
	w->count = 0;
	int code = first_behind(w, &key, &value);
	for (; !code; code = mdb_cursor_get(w->cursor, &key, &value, MDB_NEXT)) {
		if (w->count == max || out.end - out.at < ENTRY_MAX)
			break;
		damaged = store_open_record(&v->sealed, table, &key, &value);
		if (damaged)
			break;
		if (key.mv_size > STORE_MAX_KEY || value.mv_size > STORE_MAX_VALUE)
			return MDB_CORRUPTED;
		write_u16(&out, (uint16_t)key.mv_size);
		write_bytes(&out, key.mv_data, key.mv_size);
		write_u16(&out, (uint16_t)value.mv_size);
		write_bytes(&out, value.mv_data, value.mv_size);
		w->count++;
	}
	w->end = code == MDB_NOTFOUND;
	if (writer_finish(&out, &w->copied_len))
		return MDB_CORRUPTED;
	if (damaged) /* what is before it can still be had */
		return w->count ? 0 : damaged;
	return w->end ? 0 : code;
}

/* The next entries of a walk, copied out. ERR_STORE, ERR_DAMAGED. */
static int walk_on(struct store_snapshot *v, enum store_table table, struct walk *w, size_t max)
{
	MDB_stat unused;
	MDB_dbi dbi = v->store->tables[table];
	w->cursor = NULL;
	if (!v->pinned)
		return ERR_STORE;
	if (STORE_GUARD()) {
		v->broken = true;
		mdb_cursor_close(w->cursor);
		return ERR_STORE;
	}
	/* mdb_stat reads the table's root, so that mdb_cursor_open need not: nothing it allocates is lost in
	 * a jump. */
	int code = mdb_stat(v->txn, dbi, &unused);
	code = code ? code : mdb_cursor_open(v->txn, dbi, &w->cursor);
	code = code ? code : copy_entries(v, table, w, max);
	store_guard_end();
	mdb_cursor_close(w->cursor);
	if (code == ERR_DAMAGED)
		return code;
	v->broken |= code != 0;
	return code ? ERR_STORE : OK;
}

/* Visits what was copied; false: visit() has said stop. *visited counts on. */
static bool visit_copied(struct walk *w, store_visit *visit, void *ctx, size_t *visited)
{
	struct reader in = reader_over(w->copied, w->copied_len);
	for (size_t i = 0; i < w->count; i++) {
		size_t key_len = read_u16(&in);
		const uint8_t *key = read_bytes(&in, key_len);
		size_t value_len = read_u16(&in);
		const uint8_t *value = read_bytes(&in, value_len);
		if (!key || !value) /* cannot be: we have written them */
			return false;
		memcpy(w->last, key, key_len);
		w->last_len = key_len;
		++*visited;
		if (!visit(ctx, key, key_len, value, value_len)) {
			w->end &= i + 1 == w->count;
			return false;
		}
	}
	return true;
}

int store_snapshot_walk(struct store_snapshot *v, enum store_table table, const void *after, size_t after_len,
	size_t max, store_visit *visit, void *ctx, bool *more)
{
	struct walk w;
	size_t visited = 0;
	*more = true;
	if (after_len > sizeof w.last)
		return ERR_STORE; /* no such key was ever written */
	if (after_len)
		memcpy(w.last, after, after_len);
	w.last_len = after_len;
	w.end = v->store->absent[table];
	while (visited < max && !w.end) {
		int rc = walk_on(v, table, &w, max - visited);
		if (rc)
			return rc;
		if (!visit_copied(&w, visit, ctx, &visited))
			break;
	}
	*more = !w.end;
	return OK;
}
