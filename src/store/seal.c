// SPDX-License-Identifier: GPL-3.0-or-later
/* Behind the value of each record stand four bytes, its seal: the CRC-32 of table, key and value. So a
 * flipped bit shows, and so does a record under a key, or in a table, that is not its own. */
#include <string.h>
#include <zlib.h>

#include "store/internal.h"
#include "util/cursor.h"

const char *const store_table_names[STORE_TABLES] = {
	"meta", "names", "delegates", "keys", "expiry", "evidence", "tokens", "events"};

uint32_t store_seal(unsigned table, const MDB_val *key, const void *value, size_t len)
{
	/* The key's length, too: or else a byte could wander from key to value. */
	const uint8_t front[2] = {(uint8_t)(table + 1), (uint8_t)key->mv_size};
	uLong crc = crc32(0, front, sizeof front);
	crc = crc32(crc, key->mv_data, (uInt)key->mv_size);
	return (uint32_t)(len ? crc32(crc, value, (uInt)len) : crc);
}

bool store_unseal(unsigned table, const MDB_val *key, MDB_val *value)
{
	if (value->mv_size < STORE_SEAL || value->mv_size > STORE_MAX_VALUE + STORE_SEAL ||
		key->mv_size > STORE_MAX_KEY)
		return false;
	size_t len = value->mv_size - STORE_SEAL;
	struct reader r = reader_over((const uint8_t *)value->mv_data + len, STORE_SEAL);
	value->mv_size = len;
	return read_u32(&r) == store_seal(table, key, value->mv_data, len);
}

bool store_is_sealed(const struct store_sealed *upto, unsigned table, const void *key, size_t len)
{
	if (table != upto->table)
		return table < upto->table;
	int order = memcmp(key, upto->key, len < upto->len ? len : upto->len);
	return order < 0 || (order == 0 && len <= upto->len);
}

int store_open_record(const struct store_sealed *upto, unsigned table, const MDB_val *key, MDB_val *value)
{
	if (!store_is_sealed(upto, table, key->mv_data, key->mv_size))
		return OK;
	return store_unseal(table, key, value) ? OK : ERR_DAMAGED;
}

static int order_of(const MDB_val *a, const MDB_val *b)
{
	int order = memcmp(a->mv_data, b->mv_data, a->mv_size < b->mv_size ? a->mv_size : b->mv_size);
	return order ? order : (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

int store_absent(const struct store_sealed *upto, unsigned table, MDB_cursor *cursor, const MDB_val *key)
{
	MDB_val at = *key, value;
	int code = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE);
	bool last = code == MDB_NOTFOUND;
	if (!code && (order_of(&at, key) <= 0 || store_open_record(upto, table, &at, &value)))
		return ERR_DAMAGED;
	if (code && !last)
		return code;
	code = mdb_cursor_get(cursor, &at, &value, last ? MDB_LAST : MDB_PREV);
	if (!code && (order_of(&at, key) >= 0 || store_open_record(upto, table, &at, &value)))
		return ERR_DAMAGED;
	return code && code != MDB_NOTFOUND ? code : ERR_NOTFOUND;
}

int store_read_format(const MDB_val *record, uint32_t *format, bool *sealed)
{
	MDB_val key = {sizeof STORE_KEY_FORMAT - 1, (void *)STORE_KEY_FORMAT}, value = *record;
	struct reader r = reader_over(record->mv_data, record->mv_size);
	*format = read_u32(&r);
	*sealed = record->mv_size == 4 + STORE_SEAL;
	/* What a later version does is not known, but for the place of the number. */
	if (!r.failed && *format > STORE_FORMAT && (!*sealed || store_unseal(STORE_META, &key, &value)))
		return OK;
	if (*sealed)
		return *format == STORE_FORMAT && store_unseal(STORE_META, &key, &value) ? OK : ERR_DAMAGED;
	return record->mv_size == 4 && *format >= 1 && *format < STORE_FORMAT_SEALED ? OK : ERR_DAMAGED;
}

int store_decode_sealed(const MDB_val *record, struct store_sealed *out)
{
	struct reader r = reader_over(record->mv_data, record->mv_size);
	out->table = read_u8(&r);
	out->len = record->mv_size ? record->mv_size - 1 : 0;
	const uint8_t *key = read_bytes(&r, out->len);
	if (!key || out->len > sizeof out->key || out->table >= STORE_TABLES)
		return ERR_DAMAGED;
	memcpy(out->key, key, out->len);
	return OK;
}

/* Is what `txn` shows all of one commit, and of its own? A list of tables that comes back from an older
 * commit leads to records that are right by themselves. */
static int check_commit(struct store *s, MDB_txn *txn, bool writes)
{
	MDB_val key = {sizeof STORE_KEY_SUMS - 1, (void *)STORE_KEY_SUMS}, value;
	struct store_sums sums;
	size_t commit = mdb_txn_id(txn) - writes;
	int code = mdb_get(txn, s->tables[STORE_META], &key, &value);
	if (code)
		return code == MDB_NOTFOUND ? ERR_DAMAGED : store_map_error(code);
	if (!store_unseal(STORE_META, &key, &value) || store_decode_sums(&value, &sums))
		return ERR_DAMAGED;
	/* LMDB numbers the commits of a copy anew. */
	return sums.commit == commit || commit == 1 ? OK : ERR_DAMAGED;
}

static int read_sealed_upto(struct store *s, MDB_txn *txn, struct store_sealed *out)
{
	MDB_val key = {sizeof STORE_KEY_FORMAT - 1, (void *)STORE_KEY_FORMAT}, value;
	uint32_t format;
	bool sealed;
	*out = (struct store_sealed){.table = STORE_TABLES};
	if (s->migrated)
		return OK;
	int code = mdb_get(txn, s->tables[STORE_META], &key, &value);
	if (code)
		return code == MDB_NOTFOUND ? ERR_DAMAGED : store_map_error(code);
	int rc = store_read_format(&value, &format, &sealed);
	out->table = STORE_META;
	if (rc || !sealed)
		return rc;
	key = (MDB_val){sizeof STORE_KEY_SEALED - 1, (void *)STORE_KEY_SEALED};
	code = mdb_get(txn, s->tables[STORE_META], &key, &value);
	if (code == MDB_NOTFOUND) {
		s->migrated = true;
		out->table = STORE_TABLES;
		return OK;
	}
	if (code)
		return store_map_error(code);
	return store_unseal(STORE_META, &key, &value) ? store_decode_sealed(&value, out) : ERR_DAMAGED;
}

int store_sealed_upto(struct store *s, MDB_txn *txn, bool writes, struct store_sealed *out)
{
	int rc = read_sealed_upto(s, txn, out);
	return rc || out->table == STORE_META ? rc : check_commit(s, txn, writes);
}

void store_encode_sums(const struct store_sums *from, uint8_t out[static STORE_SUMS_SIZE])
{
	struct writer w = writer_over(out, STORE_SUMS_SIZE);
	write_u64(&w, from->commit);
	for (int i = 0; i < STORE_TABLES; i++) {
		write_u64(&w, from->of[i].count);
		write_u64(&w, from->of[i].sum);
	}
}

int store_decode_sums(const MDB_val *record, struct store_sums *out)
{
	struct reader r = reader_over(record->mv_data, record->mv_size);
	out->commit = read_u64(&r);
	for (int i = 0; i < STORE_TABLES; i++) {
		out->of[i].count = read_u64(&r);
		out->of[i].sum = read_u64(&r);
	}
	return reader_finish(&r) ? ERR_DAMAGED : OK;
}
