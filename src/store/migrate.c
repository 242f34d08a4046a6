// SPDX-License-Identifier: GPL-3.0-or-later
/* From a store without seals to one with them. The records get theirs in the order of tables and keys, and up
 * to where that has got is a record of its own, written in the transaction that does it. So at every moment
 * it is known of each record whether it has one: nothing is ever taken for sealed, or for not sealed, because
 * it looks so. */
#include <string.h>

#include "store/internal.h"
#include "util/cursor.h"

/* ---- the beginning ---- */

static int put_meta(struct store *s, MDB_txn *txn, const char *name, const void *bytes, size_t len)
{
	uint8_t record[STORE_SUMS_SIZE + STORE_MAX_KEY + 1 + STORE_SEAL];
	struct writer w = writer_over(record, sizeof record);
	MDB_val key = {strlen(name), (void *)name}, value = {0, record};
	write_bytes(&w, bytes, len);
	write_u32(&w, store_seal(STORE_META, &key, bytes, len));
	if (writer_finish(&w, &value.mv_size))
		return MDB_BAD_VALSIZE;
	return mdb_put(txn, s->tables[STORE_META], &key, &value, 0);
}

/* The few records of the meta table get their seals at once. */
static int seal_meta(struct store *s, MDB_txn *txn, struct store_sums *sums)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	uint8_t last[STORE_MAX_KEY], bytes[STORE_MAX_VALUE + STORE_SEAL];
	int code = mdb_cursor_open(txn, s->tables[STORE_META], &cursor);
	if (code)
		return code;
	for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); !code;
		code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		struct writer w = writer_over(bytes, sizeof bytes);
		if (key.mv_size > sizeof last || value.mv_size > STORE_MAX_VALUE) {
			code = ERR_DAMAGED;
			break;
		}
		uint32_t seal = store_seal(STORE_META, &key, value.mv_data, value.mv_size);
		write_bytes(&w, value.mv_data, value.mv_size);
		write_u32(&w, seal);
		memcpy(last, key.mv_data, key.mv_size);
		key.mv_data = last;
		value = (MDB_val){value.mv_size + STORE_SEAL, bytes};
		if ((code = mdb_put(txn, s->tables[STORE_META], &key, &value, 0)) ||
			(code = mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY)))
			break;
		sums->of[STORE_META].count++;
		sums->of[STORE_META].sum += seal;
	}
	mdb_cursor_close(cursor);
	return code == MDB_NOTFOUND ? 0 : code;
}

int store_begin_format(struct store *s, MDB_txn *txn, bool new)
{
	static const uint8_t start[1] = {STORE_NAMES};
	uint8_t format[4], bytes[STORE_SUMS_SIZE];
	struct store_sums sums = {.commit = mdb_txn_id(txn)};
	struct writer w = writer_over(format, sizeof format);
	MDB_val key = {sizeof STORE_KEY_FORMAT - 1, (void *)STORE_KEY_FORMAT};
	write_u32(&w, STORE_FORMAT);
	int code = mdb_del(txn, s->tables[STORE_META], &key, NULL);
	if (code && code != MDB_NOTFOUND)
		return code;
	code = seal_meta(s, txn, &sums);
	/* These three are not in the sums: two of them come and go by other ways. */
	code = code ? code : put_meta(s, txn, STORE_KEY_FORMAT, format, sizeof format);
	store_encode_sums(&sums, bytes);
	code = code ? code : put_meta(s, txn, STORE_KEY_SUMS, bytes, sizeof bytes);
	return code || new ? code : put_meta(s, txn, STORE_KEY_SEALED, start, sizeof start);
}

/* ---- step by step ---- */

static int note_progress(struct store_txn *t)
{
	struct store *s = t->store;
	uint8_t bytes[1 + STORE_MAX_KEY];
	MDB_val key = {sizeof STORE_KEY_SEALED - 1, (void *)STORE_KEY_SEALED};
	if (t->sealed.table == STORE_TABLES)
		return mdb_del(t->txn, s->tables[STORE_META], &key, NULL);
	bytes[0] = (uint8_t)t->sealed.table;
	memcpy(bytes + 1, t->sealed.key, t->sealed.len);
	return put_meta(s, t->txn, STORE_KEY_SEALED, bytes, 1 + t->sealed.len);
}

/* The first record without a seal in the table the migration is at. MDB_NOTFOUND: there is none. */
static int next_unsealed(struct store_txn *t, MDB_cursor *cursor, MDB_val *key, MDB_val *value)
{
	if (!t->sealed.len)
		return mdb_cursor_get(cursor, key, value, MDB_FIRST);
	*key = (MDB_val){t->sealed.len, t->sealed.key};
	int code = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
	if (!code && key->mv_size == t->sealed.len && memcmp(key->mv_data, t->sealed.key, t->sealed.len) == 0)
		code = mdb_cursor_get(cursor, key, value, MDB_NEXT);
	return code;
}

static int seal_next(struct store_txn *t, MDB_cursor *cursor)
{
	uint8_t bytes[STORE_MAX_VALUE];
	MDB_val key, value;
	int code = next_unsealed(t, cursor, &key, &value);
	if (code)
		return code;
	if (key.mv_size > STORE_MAX_KEY || value.mv_size > sizeof bytes)
		return ERR_DAMAGED;
	/* Writing may move what they point to. */
	memcpy(t->sealed.key, key.mv_data, key.mv_size);
	t->sealed.len = key.mv_size;
	memcpy(bytes, value.mv_data, value.mv_size);
	key.mv_data = t->sealed.key;
	value.mv_data = bytes;
	return store_seal_record(t, t->sealed.table, &key, &value);
}

static int seal_some(struct store_txn *t, size_t max)
{
	int code = 0;
	while (!code && max && t->sealed.table < STORE_TABLES) {
		MDB_cursor *cursor;
		code = mdb_cursor_open(t->txn, t->store->tables[t->sealed.table], &cursor);
		if (code)
			return code;
		for (; !code && max; max--)
			code = seal_next(t, cursor);
		mdb_cursor_close(cursor);
		if (code == MDB_NOTFOUND) {
			t->sealed.table++;
			t->sealed.len = 0;
			code = 0;
		}
	}
	return code ? code : note_progress(t);
}

int store_migrate(struct store *s, size_t max, bool *more)
{
	struct store_txn *t;
	*more = false;
	if (s->migrated)
		return OK;
	int rc = store_txn_begin(s, &t);
	if (rc)
		return rc;
	if (t->sealed.table == STORE_TABLES) {
		store_txn_abort(&t);
		return OK;
	}
	rc = store_txn_seal_some(t, max, seal_some);
	*more = !rc && t->sealed.table < STORE_TABLES;
	int committed = store_txn_commit(&t);
	*more &= !committed;
	return rc ? rc : committed;
}
