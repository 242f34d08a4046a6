// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of the store share. lmdb.h is included here only. */
#pragma once

#include <setjmp.h>
#include <signal.h>

#include <lmdb.h>

#include "store/store.h"

struct store_txn {
	struct store *store;
	MDB_txn *txn; /* NULL: none under way */
	int failed;   /* the first error that sticks */
	bool writes;
};

struct store {
	MDB_env *env;
	MDB_txn *opening; /* under way while the store is being opened */
	bool abandoned;   /* a write transaction was left in the middle */
	bool unsettled;   /* the meta pages could not be written again: no commit before they are */
	MDB_dbi tables[STORE_TABLES];
	bool absent[STORE_TABLES]; /* in a store of an older format that is only read: as if empty */
	struct {
		store_watch *tell; /* NULL: nobody */
		void *ctx;
	} watches[STORE_TABLES];
	struct store_txn writer; /* there is only ever one */
};

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
