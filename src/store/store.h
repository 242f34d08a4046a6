// SPDX-License-Identifier: GPL-3.0-or-later
/* The store: ordered tables of bytes -> bytes on disk, with one writer and any number of reading processes.
 *
 * Guarantees, and what they rest on (LMDB stays behind this header):
 *  - A committed transaction is durable (fdatasync has returned) and visible to every snapshot renewed
 * afterwards, in any process. A transaction that is not committed leaves nothing behind, whatever is killed
 * when.
 *  - Readers never wait for the writer, nor the writer for readers; but a snapshot that is held keeps old
 * pages from being used again, so release it before anything that can block.
 *  - Nothing read points into the file: values are copied out. A page that cannot be read (I/O error, file
 * truncated beneath us) becomes ERR_STORE, not a signal.
 *  - A record that is not what was written under its key becomes ERR_DAMAGED, from every function that reads.
 * That is of one record: others can be read, and after a transaction that fails with it the next one may
 * succeed. What else can be damaged, among it records that are missing, is what store_check() finds.
 *
 * Rules for users:
 *  - Open a store after fork(), never before; at most once per process. One thread per process uses it.
 *  - Keys are 1..STORE_MAX_KEY bytes, values at most STORE_MAX_VALUE.
 *  - After ERR_STORE from a transaction end the process and start anew: what LMDB holds in memory, its lock
 *    included, cannot be trusted any more, and the lock is freed by the death of its owner. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"
#include "util/error.h"

enum { STORE_MAX_KEY = 128, STORE_MAX_VALUE = 4096 };

enum store_table {
	STORE_META,      /* format version; zone name -> zone id */
	STORE_NAMES,     /* delegate -> its values, ready for the wire: all that DNS reads */
	STORE_DELEGATES, /* delegate -> its account: keys, allow list */
	STORE_KEYS,      /* key id -> digest of the secret, delegate */
	STORE_EXPIRY,    /* time, delegate: what is to be swept when */
	STORE_EVIDENCE,  /* delegate -> who asked for its values */
	STORE_TOKENS,    /* digest of a registration token -> what it allows */
	STORE_EVENTS,    /* number -> what happened */
	STORE_TABLES
};

enum store_mode { STORE_READ, STORE_WRITE };

struct store;
struct store_snapshot;
struct store_txn;

/* Opens the store in the folder `path`; STORE_WRITE creates folder and store if missing (mode 0700/0600).
 * What is wrong is also said in `why` (may be NULL), as one sentence with what to do. ERR_NOTFOUND: no store
 * there (STORE_READ). ERR_FORMAT: made by a newer version. ERR_STORE: damaged or unreadable. ERR_SYSTEM:
 * folder or file not accessible. ERR_FULL. ERR_NOMEM. */
int store_open(const char *path, enum store_mode mode, struct diag *why, struct store **out) MUST_USE;
void store_close(struct store **s); /* accepts NULL inside; sets it to NULL */

/* A store of an older format is read and written as it is, and brought up to date a step at a time: the next
 * `max` records get their seals, in a transaction of their own. *more: there are others. Whatever ends it
 * when, the next store_open() goes on where it was. Errors as store_txn_commit(). */
int store_migrate(struct store *s, size_t max, bool *more) MUST_USE;

/* How large it is. ERR_STORE. */
struct store_size {
	uint64_t bytes;                 /* of the file */
	uint64_t entries[STORE_TABLES]; /* in the newest commit */
};
int store_measure(struct store *s, struct store_size *out) MUST_USE;

/* How it is inside, of the newest commit. Reads the list of free pages: not for every second. ERR_STORE. */
struct store_state {
	uint64_t map_bytes;         /* what it could grow to */
	uint64_t page_bytes, pages; /* pages: of the file */
	uint64_t pages_free;  /* of them; kept from being used again while a reader holds an old commit */
	uint64_t newest;      /* number of the newest commit */
	uint64_t oldest_held; /* of the oldest one that a reader holds; `newest`: none older */
};
int store_inspect(struct store *s, struct store_state *out) MUST_USE;

/* Writes a copy of the newest commit to `fd`, compacted, while others go on reading and writing; it is what
 * data.mdb is in a store's folder. ERR_FULL, ERR_SYSTEM: errno says why. ERR_STORE. */
int store_copy(struct store *s, int fd) MUST_USE;

/* Frees the reader slots of processes that died. Writer only; cheap. */
void store_reap_readers(struct store *s);

/* Reads the file itself, not through LMDB, which can die of what is damaged; and reads everything: every page
 * that the newest commit uses, every record, and what they must be together. What it does not find is said at
 * its definition. */
struct store_check {
	const char *path; /* the folder */
	bool live; /* there may be a writer: it is kept from using pages of this commit again meanwhile. Not
		      in a process that has the store open */
	int64_t patience;                              /* milliseconds; 0: until it is done */
	void (*complain)(void *ctx, const char *what); /* one problem: what is damaged, and how */
	bool (*go_on)(
		void *ctx, uint64_t records); /* now and then, after so many; false: stop. May be NULL */
	void *ctx;
};
struct store_checked {
	uint32_t format;
	uint64_t pages, records;
	uint64_t unsealed; /* records without a checksum, of a store that is still to be migrated */
	unsigned problems;
};
/* OK: all is well. ERR_STORE: it is damaged; all that is was said. ERR_AGAIN: no patience any more, and
 * nothing wrong so far. ERR_CLOSED: go_on() said so. ERR_NOTFOUND: there is no store. ERR_FORMAT: of a newer
 * version. ERR_SYSTEM: errno says why it cannot be read. ERR_BUSY: try again. ERR_NOMEM. */
int store_check(const struct store_check *c, struct store_checked *out) MUST_USE;

/* A reusable snapshot, created released. ERR_STORE, ERR_NOMEM. */
int store_snapshot_new(struct store *s, struct store_snapshot **out) MUST_USE;
void store_snapshot_free(struct store_snapshot **v);
/* Pins the newest commit. Renewing a pinned one moves it forward. ERR_STORE. */
int store_snapshot_renew(struct store_snapshot *v) MUST_USE;
void store_snapshot_release(struct store_snapshot *v);
/* True once any step on this snapshot met ERR_STORE: close the store and open it again. */
bool store_snapshot_broken(const struct store_snapshot *v);
/* Copies a value out. OK with *len; ERR_NOTFOUND: no such key in this snapshot; ERR_RANGE: the value is
 * larger than `cap`; ERR_STORE: the page cannot be read, or the snapshot is not pinned. */
int store_snapshot_get(struct store_snapshot *v, enum store_table table, const void *key, size_t key_len,
	void *out, size_t cap, size_t *len) MUST_USE;

/* The number of the commit a pinned snapshot shows; it grows with each commit that wrote something. 0: not
 * pinned. */
uint64_t store_snapshot_version(const struct store_snapshot *v);
/* Gets one entry of a walk. `key` and `value` are copies, valid during the call only. It runs outside the
 * guard against unreadable pages, so it may do what it likes, also use this snapshot, renew it or release it.
 * False: stop. */
typedef bool store_visit(
	void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len);
/* Calls visit() for at most `max` entries whose keys follow `after` (after_len 0: from the first), in key
 * order. *more: there may be others behind the last one visited. A snapshot that visit() renews is walked on
 * from where it is, but the next few entries may have been copied before. ERR_STORE: as store_snapshot_get.
 */
int store_snapshot_walk(struct store_snapshot *v, enum store_table table, const void *after, size_t after_len,
	size_t max, store_visit *visit, void *ctx, bool *more) MUST_USE;

/* Tells which keys of a table transactions write to or delete, at once: whether they are committed is not
 * known yet. For what is derived from the table. */
typedef void store_watch(void *ctx, const uint8_t *key, size_t key_len);
void store_watch_writes(struct store *s, enum store_table table, store_watch *watch, void *ctx);

/* The one write transaction. Its first failure sticks: later steps do nothing and commit returns that error.
 */
int store_txn_begin(struct store *s, struct store_txn **out) MUST_USE;
/* As store_snapshot_get, and sees the transaction's own writes. ERR_NOTFOUND and ERR_RANGE do not stick. */
int store_txn_get(struct store_txn *t, enum store_table table, const void *key, size_t key_len, void *out,
	size_t cap, size_t *len) MUST_USE;
/* Writes or overwrites. ERR_FULL, ERR_STORE, ERR_RANGE (key or value too long); all stick. */
int store_txn_put(struct store_txn *t, enum store_table table, const void *key, size_t key_len,
	const void *value, size_t value_len);
/* As store_txn_put, and quicker where the key follows every key of its table; such entries are also packed
 * more tightly. Errors as store_txn_put. */
int store_txn_append(struct store_txn *t, enum store_table table, const void *key, size_t key_len,
	const void *value, size_t value_len);
/* Deletes; a key that is not there is fine. ERR_STORE, sticks. */
int store_txn_delete(struct store_txn *t, enum store_table table, const void *key, size_t key_len);
/* Copies the smallest key of the table. ERR_NOTFOUND: the table is empty. Others as store_txn_get. */
int store_txn_first(
	struct store_txn *t, enum store_table table, void *key, size_t cap, size_t *key_len) MUST_USE;
/* Copies the largest key of the table. As store_txn_first. */
int store_txn_last(
	struct store_txn *t, enum store_table table, void *key, size_t cap, size_t *key_len) MUST_USE;
/* Copies the first entry whose key is at or behind `from` (a prefix will do). ERR_NOTFOUND: there is none.
 * Others as store_txn_get. */
int store_txn_seek(struct store_txn *t, enum store_table table, const void *from, size_t from_len, void *key,
	size_t key_cap, size_t *key_len, void *value, size_t value_cap, size_t *value_len) MUST_USE;
/* The number this transaction will have once committed, if it writes something: what store_snapshot_version()
 * says of a snapshot that shows it. */
uint64_t store_txn_version(const struct store_txn *t);
/* Has it written anything? Only then does its commit say whether the store can be written. */
bool store_txn_writes(const struct store_txn *t);
/* Ends the transaction. OK: durable and visible; without writes it costs nothing. ERR_FULL: the disk is full
 * or refuses writes; nothing was changed, a later transaction may succeed. ERR_STORE: damage; nothing was
 * acknowledged. *t is NULL afterwards in every case. */
int store_txn_commit(struct store_txn **t) MUST_USE;
void store_txn_abort(struct store_txn **t); /* accepts NULL inside; sets it to NULL */
