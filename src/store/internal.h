// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of the store share. lmdb.h is included here only. */
#pragma once

#include <setjmp.h>
#include <signal.h>

#include <lmdb.h>

#include "store/store.h"

enum {
	/* Of keys and values. A store with a higher number is refused. 1 had no evidence, tokens and events,
	 * 2 no seals: what such a store has is read as it is, and gets them step by step when it is opened
	 * for writing (migrate.c). */
	STORE_FORMAT = 3,
	STORE_FORMAT_SEALED = 3, /* the first with seals */
	STORE_SEAL = 4           /* bytes */
};

/* Up to where records have seals, in the order of tables and keys: all before it and the one at it have, what
 * is behind it has not got them yet. Behind the last table: all have. */
struct store_sealed {
	unsigned table;
	size_t len;
	uint8_t key[STORE_MAX_KEY];
};

/* What the sealed records of each table are together: how many, and the sum of their seals. So records that
 * are missing, or that come back from an older commit, show although each seal by itself is right. */
struct store_sums {
	uint64_t commit; /* the one that wrote this */
	struct {
		uint64_t count, sum;
	} of[STORE_TABLES];
};
enum { STORE_SUMS_SIZE = 8 + STORE_TABLES * 16 };

struct store_txn {
	struct store *store;
	MDB_txn *txn; /* NULL: none under way */
	int failed;   /* the first error that sticks */
	bool writes;
	struct store_sealed sealed;
	struct store_sums sums;
	bool summed; /* they were read */
};

struct store {
	MDB_env *env;
	MDB_txn *opening; /* under way while the store is being opened */
	bool abandoned;   /* a write transaction was left in the middle */
	bool unsettled;   /* the meta pages could not be written again: no commit before they are */
	MDB_dbi tables[STORE_TABLES];
	bool absent[STORE_TABLES]; /* in a store of an older format that is only read: as if empty */
	bool migrated;             /* every record has a seal: seen once, it stays so */
	struct {
		store_watch *tell; /* NULL: nobody */
		void *ctx;
	} watches[STORE_TABLES];
	struct store_txn writer; /* there is only ever one */
};

/* The map is address space, not memory: the file grows as it must. */
#define STORE_MAP_SIZE ((size_t)256 << 30)

/* ---- seal.c: the four bytes behind every record, which the rooms above never see ---- */

/* Keys of the meta table. */
#define STORE_KEY_FORMAT "format"
#define STORE_KEY_SEALED "sealed" /* there while a store is being migrated */
#define STORE_KEY_SUMS   "sums"

extern const char *const store_table_names[STORE_TABLES];

uint32_t store_seal(unsigned table, const MDB_val *key, const void *value, size_t len);
/* Takes the seal off a record. False: it does not fit, or there is none. */
bool store_unseal(unsigned table, const MDB_val *key, MDB_val *value) MUST_USE;
bool store_is_sealed(const struct store_sealed *upto, unsigned table, const void *key, size_t len);
/* Whether a record with this key has a seal; takes it off if so. ERR_DAMAGED. */
int store_open_record(
	const struct store_sealed *upto, unsigned table, const MDB_val *key, MDB_val *value) MUST_USE;
/* A key was not found: is that so? The records on both sides of where it would be must be what they should
 * be, or the search was misled. ERR_NOTFOUND: it is so. ERR_DAMAGED, or an MDB_* code. */
int store_absent(
	const struct store_sealed *upto, unsigned table, MDB_cursor *cursor, const MDB_val *key) MUST_USE;
/* Up to where records have seals in what `txn` shows, which is checked to be of its commit. ERR_DAMAGED, or
 * an error that an MDB_* code maps to. Under the guard. */
int store_sealed_upto(struct store *s, MDB_txn *txn, bool writes, struct store_sealed *out) MUST_USE;
/* The number of the format in its record. ERR_DAMAGED. *sealed: the record has a seal. */
int store_read_format(const MDB_val *record, uint32_t *format, bool *sealed) MUST_USE;
void store_encode_sums(const struct store_sums *from, uint8_t out[static STORE_SUMS_SIZE]);
int store_decode_sums(const MDB_val *record, struct store_sums *out) MUST_USE;     /* ERR_DAMAGED */
int store_decode_sealed(const MDB_val *record, struct store_sealed *out) MUST_USE; /* ERR_DAMAGED */

/* ---- txn.c ---- */

/* Writes a record that has no seal yet anew, with one; under the guard. MDB_* codes, or ERR_DAMAGED. */
int store_seal_record(struct store_txn *t, unsigned table, MDB_val *key, const MDB_val *value) MUST_USE;

/* A step of the migration in a transaction, under the guard. */
int store_txn_seal_some(
	struct store_txn *t, size_t max, int (*seal_some)(struct store_txn *t, size_t max)) MUST_USE;

/* ---- migrate.c ---- */

/* In the transaction that makes the tables: this format from here on. Records of a store that is not new have
 * their seals to get. MDB_* codes, or ERR_DAMAGED. */
int store_begin_format(struct store *s, MDB_txn *txn, bool new) MUST_USE;

/* Maps an errno or MDB_* code to an error of the store's contract. */
int store_map_error(int code);

/* Writes the two meta pages as they are read, and syncs; whoever calls holds the writers' lock. A sync or a
 * synced write that failed leaves unknown which of the two commits they name is on the disk: what is read and
 * counts as written need not be there, and what was to be undone may be. A later commit would write over
 * pages that the disk's newest commit needs, and a power cut before it is complete would leave a damaged
 * store. An errno or MDB_* code. */
int store_metas_write_again(MDB_env *env);

/* Reading a mapped page can fail only by SIGBUS, and LMDB meets damage with an assertion. Between STORE_GUARD
 * and store_guard_end() both come back here as a non-zero return of STORE_GUARD instead of ending the
 * process:
 *
 *     if (STORE_GUARD())
 *             return ERR_STORE;
 *     ... read ...
 *     store_guard_end();
 *
 * A macro, because the frame that called sigsetjmp must still be there when the signal comes. No mask is
 * saved (the handler runs with SA_NODEFER), so it costs a few nanoseconds. */
#define STORE_GUARD() (sigsetjmp(*store_guard_buffer(), 0) != 0 || store_guard_arm())

sigjmp_buf *store_guard_buffer(void);
bool store_guard_arm(void); /* always false: "not come back by a jump" */
void store_guard_end(void);
/* Keeps an environment mapped until the process ends. */
void store_guard_leave(MDB_env *env);
/* Installs the signal handler of the process and the assertion handler of the environment. ERR_SYSTEM. */
int store_guard_setup(MDB_env *env) MUST_USE;
