// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"
#include "util/cursor.h"
#include "util/text.h"

enum {
	READERS = 1024, /* slots in the reader table: one per dns worker, and what died and was not reaped yet
			 */
	SMALLEST_FILE = 8192, /* LMDB's two meta pages */
	LOCK_FILE = 128 << 10 /* bytes; more than READERS slots of 64 bytes need */
};

int store_map_error(int code)
{
	switch (code) {
	case 0:
		return OK;
	case MDB_NOTFOUND:
		return ERR_NOTFOUND;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case MDB_MAP_FULL:
		return ERR_FULL;
	case ENOMEM:
		return ERR_NOMEM;
	case EACCES:
	case EPERM:
	case EROFS:
	case ENOENT:
	case ENOTDIR:
		return ERR_SYSTEM;
	default:
		return ERR_STORE;
	}
}

static void explain(struct diag *why, const char *path, int code)
{
	if (!why)
		return;
	int rc = store_map_error(code);
	if (rc == ERR_STORE)
		diag_error(why, path, 0, "the store is damaged or not a store (%s); restore it from a backup",
			mdb_strerror(code));
	else if (rc == ERR_NOMEM)
		diag_error(why, path, 0,
			"cannot map the store (%s); is there a limit on address space (ulimit -v)?",
			mdb_strerror(code));
	else
		diag_error(why, path, 0, "cannot open the store: %s", mdb_strerror(code));
}

/* LMDB takes an empty file for a new store. An existing one that has shrunk to nothing is damage, and must
 * not turn into "no such name" for every delegate. */
static int check_file(const char *path, enum store_mode mode, struct diag *why)
{
	char file[4096];
	struct stat st;
	if (text_format(file, sizeof file, "%s/data.mdb", path))
		return ERR_RANGE;
	if (stat(file, &st)) {
		if (errno == ENOENT && mode == STORE_WRITE)
			return OK;
		explain(why, path, errno);
		return errno == ENOENT ? ERR_NOTFOUND : ERR_SYSTEM;
	}
	if (st.st_size >= SMALLEST_FILE)
		return OK;
	if (why)
		diag_error(why, file, 0,
			"the store is damaged: the file has only %lld bytes; restore it from a backup, or "
			"remove it if "
			"the store was never used",
			(long long)st.st_size);
	return ERR_STORE;
}

static int check_format(struct store *s, MDB_txn *txn, const char *path, struct diag *why, uint32_t *format)
{
	MDB_val key = {sizeof STORE_KEY_FORMAT - 1, (void *)STORE_KEY_FORMAT}, value;
	bool sealed;
	int rc = mdb_get(txn, s->tables[STORE_META], &key, &value);
	if (rc == MDB_NOTFOUND)
		return ERR_NOTFOUND;
	if (rc)
		return store_map_error(rc);
	rc = store_read_format(&value, format, &sealed);
	if (rc)
		return ERR_STORE;
	if (*format <= STORE_FORMAT)
		return OK;
	if (why)
		diag_error(why, path, 0,
			"the store has format %u, this version of acme-delegate knows formats up to %d; use "
			"the version "
			"that made it",
			*format, STORE_FORMAT);
	return ERR_FORMAT;
}

static int open_tables(struct store *s, MDB_txn *txn, unsigned flags, uint32_t format)
{
	int rc = 0;
	for (int i = 0; !rc && i < STORE_TABLES; i++) {
		rc = mdb_dbi_open(txn, store_table_names[i], flags, &s->tables[i]);
		s->absent[i] = rc == MDB_NOTFOUND && format == 1 && i > STORE_EXPIRY;
		rc = s->absent[i] ? 0 : rc;
	}
	return rc;
}

/* Opens what is there without changing anything. ERR_NOTFOUND: a new, empty store. *format: what it has. */
static int open_existing(struct store *s, const char *path, struct diag *why, uint32_t *format)
{
	int code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->opening);
	if (code) {
		s->opening = NULL;
		explain(why, path, code);
		return store_map_error(code);
	}
	/* The meta table first: a newer format may lack the others. */
	code = mdb_dbi_open(s->opening, store_table_names[STORE_META], 0, &s->tables[STORE_META]);
	int rc = code ? store_map_error(code) : check_format(s, s->opening, path, why, format);
	/* The first commit makes all tables: what was committed to, and has none, is no new store. */
	if (rc == ERR_NOTFOUND && mdb_txn_id(s->opening))
		rc = ERR_STORE;
	if (!rc) {
		code = open_tables(s, s->opening, 0, *format);
		rc = code == MDB_NOTFOUND ? ERR_STORE : store_map_error(code);
	}
	if (rc == ERR_STORE)
		explain(why, path, code ? code : MDB_CORRUPTED);
	/* Commit, not abort: that keeps the table handles. */
	MDB_txn *txn = s->opening;
	s->opening = NULL;
	code = mdb_txn_commit(txn);
	return rc ? rc : store_map_error(code);
}

/* In a new store, or in one of an older format, which then has the newest, its records to be migrated. */
static int create_tables(struct store *s, const char *path, bool new, struct diag *why)
{
	MDB_txn *txn;
	int rc = OK, code = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (!code) {
		code = open_tables(s, txn, MDB_CREATE, STORE_FORMAT);
		code = code ? code : store_begin_format(s, txn, new);
		if (code)
			mdb_txn_abort(txn);
		else
			code = mdb_txn_commit(txn);
	}
	rc = code == ERR_DAMAGED ? ERR_STORE : store_map_error(code);
	if (rc)
		explain(why, path, code == ERR_DAMAGED ? MDB_CORRUPTED : code);
	return rc;
}

/* LMDB makes the lock file sparse and writes to it through its mapping: on a full disk that is a bus error.
 * With its blocks there already, a full disk is an error like others. */
static int reserve_lock_file(const char *path, struct diag *why)
{
	char file[4096];
	if (text_format(file, sizeof file, "%s/lock.mdb", path))
		return ERR_RANGE;
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int code = fd < 0 ? errno : posix_fallocate(fd, 0, LOCK_FILE);
	if (fd >= 0)
		close(fd);
	if (code)
		explain(why, path, code);
	return store_map_error(code);
}

static int open_environment(struct store *s, const char *path, enum store_mode mode, struct diag *why)
{
	/* NOTLS: a snapshot belongs to its object, not to a thread. NORDAHEAD: keys are random, reading ahead
	 * is waste. */
	unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (mode == STORE_READ ? MDB_RDONLY : 0);
	int code = mdb_env_create(&s->env);
	if (code)
		return store_map_error(code);
	if (!(code = mdb_env_set_maxdbs(s->env, STORE_TABLES)) &&
		!(code = mdb_env_set_mapsize(s->env, STORE_MAP_SIZE)) &&
		!(code = mdb_env_set_maxreaders(s->env, READERS)))
		code = mdb_env_open(s->env, path, flags, 0600);
	if (code) {
		explain(why, path, code);
		return store_map_error(code);
	}
	return store_guard_setup(s->env);
}

/* A writer that died in the middle has left LMDB's lock, and the number of its last commit, which that of the
 * file need not be: the file may have been put there since. Whoever takes the lock next repairs both, and
 * until then a snapshot has the wrong number, and even the wrong one of the two newest states. Then disk and
 * memory are made to agree on which commit is the newest. */
static int settle(struct store *s, const char *path, struct diag *why)
{
	MDB_txn *txn;
	int code = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (!code) {
		/* A disk that refuses it can still be read; then it is tried again by whoever writes. */
		s->unsettled = store_metas_write_again(s->env) != 0;
		mdb_txn_abort(txn);
	}
	if (code)
		explain(why, path, code);
	return store_map_error(code);
}

static int open_guarded(struct store *s, const char *path, enum store_mode mode, struct diag *why)
{
	int rc = open_environment(s, path, mode, why);
	if (rc)
		return rc;
	if (STORE_GUARD()) {
		explain(why, path, MDB_CORRUPTED);
		return ERR_STORE;
	}
	uint32_t format = STORE_FORMAT;
	rc = mode == STORE_WRITE ? settle(s, path, why) : OK;
	rc = rc ? rc : open_existing(s, path, why, &format);
	bool new = rc == ERR_NOTFOUND;
	if (mode == STORE_WRITE && (new || (!rc && format < STORE_FORMAT)))
		rc = new || !s->unsettled ? create_tables(s, path, new, why) : ERR_FULL;
	store_guard_end();
	return rc;
}

int store_open(const char *path, enum store_mode mode, struct diag *why, struct store **out)
{
	*out = NULL;
	if (mode == STORE_WRITE && mkdir(path, 0700) && errno != EEXIST) {
		explain(why, path, errno);
		return store_map_error(errno);
	}
	int rc = check_file(path, mode, why);
	if (!rc && mode == STORE_WRITE)
		rc = reserve_lock_file(path, why);
	if (rc)
		return rc;
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return ERR_NOMEM;
	s->writer.store = s;
	rc = open_guarded(s, path, mode, why);
	if (rc)
		store_close(&s);
	*out = s;
	return rc;
}

void store_close(struct store **handle)
{
	struct store *s = *handle;
	*handle = NULL;
	if (!s)
		return;
	if (s->opening)
		mdb_txn_abort(s->opening);
	/* An abandoned transaction holds the writers' lock, a robust mutex in the mapped lock file. The
	 * kernel hands it on when this process ends, but only while it is mapped: unmapped it would stay
	 * locked for ever. */
	if (s->abandoned)
		store_guard_leave(s->env);
	else if (s->env)
		mdb_env_close(s->env);
	free(s);
}

int store_measure(struct store *s, struct store_size *out)
{
	MDB_txn *txn = NULL;
	MDB_envinfo info;
	MDB_stat stat;
	*out = (struct store_size){.bytes = 0};
	if (STORE_GUARD())
		return ERR_STORE;
	int code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	code = code ? code : mdb_env_info(s->env, &info);
	for (int i = 0; !code && i < STORE_TABLES; i++) {
		code = s->absent[i] ? 0 : mdb_stat(txn, s->tables[i], &stat);
		out->entries[i] = s->absent[i] || code ? 0 : stat.ms_entries;
	}
	if (!code)
		out->bytes = (info.me_last_pgno + 1) * stat.ms_psize;
	store_guard_end();
	mdb_txn_abort(txn);
	return code ? ERR_STORE : OK;
}

int store_copy(struct store *s, int fd)
{
	if (STORE_GUARD())
		return ERR_STORE;
	int code = mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT);
	store_guard_end();
	int rc = store_map_error(code);
	if (rc == ERR_STORE && code > 0) /* LMDB's own codes are negative */
		rc = ERR_SYSTEM;
	errno = code > 0 ? code : 0;
	return rc;
}

void store_reap_readers(struct store *s)
{
	int dead;
	if (mdb_reader_check(s->env, &dead))
		return; /* the next call tries again */
}
