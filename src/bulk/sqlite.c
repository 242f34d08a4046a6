// SPDX-License-Identifier: GPL-3.0-or-later
/* A SQLite file, opened for reading only. Its writer waits while the transaction lasts, readers do not. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "bulk/database.h"
#include "util/text.h"

enum { BUSY_MS = 10000 };

/* What is called of the library: typed by its own header. */
#define FUNCTIONS(X)                                                                                         \
	X(open_v2)                                                                                           \
	X(close)                                                                                             \
	X(busy_timeout)                                                                                      \
	X(prepare_v2)                                                                                        \
	X(step)                                                                                              \
	X(finalize)                                                                                          \
	X(column_type)                                                                                       \
	X(column_blob)                                                                                       \
	X(column_bytes)                                                                                      \
	X(extended_errcode)                                                                                  \
	X(errmsg)

struct sqlite {
	struct database base; /* first: the two are one */
	void *library;
	sqlite3 *handle;
	sqlite3_stmt *statement;
#define X(name) __typeof__(&sqlite3_##name) name;
	FUNCTIONS(X)
#undef X
};

static int query(struct database *b, const char *sql)
{
	struct sqlite *s = (struct sqlite *)b;
	s->finalize(s->statement);
	s->statement = NULL;
	if (s->prepare_v2(s->handle, sql, -1, &s->statement, NULL) != SQLITE_OK)
		return database_failed(b, s->errmsg(s->handle));
	return OK;
}

static int row(struct database *b)
{
	struct sqlite *s = (struct sqlite *)b;
	int code = s->step(s->statement);
	if (code == SQLITE_ROW)
		return OK;
	return code == SQLITE_DONE ? ERR_NOTFOUND : database_failed(b, s->errmsg(s->handle));
}

/* Passwords are bytes and not text in acme-dns's files; SQLite gives out both in the same way. */
static const char *column(struct database *b, int i, size_t *len)
{
	struct sqlite *s = (struct sqlite *)b;
	*len = 0;
	if (s->column_type(s->statement, i) == SQLITE_NULL)
		return NULL;
	const char *bytes = s->column_blob(s->statement, i); /* NULL: of no length */
	*len = (size_t)s->column_bytes(s->statement, i);
	return bytes ? bytes : "";
}

static int column_query(char *sql, size_t cap, const char *table, const char *name)
{
	return text_format(
		sql, cap, "SELECT name FROM pragma_table_info('%s') WHERE lower(name) = '%s'", table, name);
}

static void close_file(struct database *b)
{
	struct sqlite *s = (struct sqlite *)b;
	if (s->handle) {
		s->finalize(s->statement);
		s->close(s->handle); /* ends the transaction, too */
	}
	if (s->library)
		dlclose(s->library);
	free(s);
}

static int load(struct sqlite *s, struct diag *d)
{
	int rc = OK;
	s->library = database_library("libsqlite3.so.0", "libsqlite3-0", "SQLite files", d);
	if (!s->library)
		return ERR_SYSTEM;
#define X(name) rc = rc ? rc : database_function(s->library, "sqlite3_" #name, &s->name, d);
	FUNCTIONS(X)
#undef X
	return rc;
}

/* The file is opened and locked by the first thing that is read, so that has to be done here. */
static int begin(struct sqlite *s)
{
	int rc = query(&s->base, "BEGIN");
	rc = rc ? rc : row(&s->base);
	rc = rc == ERR_NOTFOUND ? query(&s->base, "SELECT count(*) FROM sqlite_master") : rc;
	return rc ? rc : row(&s->base);
}

static void explain(struct sqlite *s, const char *path, struct diag *d)
{
	int code = s->handle ? s->extended_errcode(s->handle) : SQLITE_NOMEM;
	if (code == SQLITE_READONLY_ROLLBACK || code == SQLITE_READONLY_RECOVERY)
		diag_error(d, path, 0,
			"acme-dns or its machine was stopped in the middle of a change; start acme-dns once, "
			"which repairs the file, and try again");
	else if ((code & 0xff) == SQLITE_BUSY)
		diag_error(
			d, path, 0, "in use by acme-dns for more than %d seconds; try again", BUSY_MS / 1000);
	else
		diag_error(d, path, 0, "cannot read it: %s", s->base.why);
}

int sqlite_open(const char *path, struct diag *d, struct database **out)
{
	*out = NULL;
	/* SQLite's own message says neither that a file is missing nor who may not read it. */
	if (access(path, R_OK)) {
		diag_error(d, path, 0, "cannot open it: %s", strerror(errno));
		return ERR_SYSTEM;
	}
	struct sqlite *s = calloc(1, sizeof *s);
	if (!s)
		return ERR_NOMEM;
	s->base = (struct database){.query = query,
		.row = row,
		.column = column,
		.close = close_file,
		.column_query = column_query};
	int rc = load(s, d);
	if (!rc &&
		s->open_v2(path, &s->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		rc = database_failed(&s->base, s->handle ? s->errmsg(s->handle) : "out of memory");
	else if (!rc)
		rc = s->busy_timeout(s->handle, BUSY_MS) == SQLITE_OK ? begin(s) : ERR_SYSTEM;
	if (rc && s->open_v2)
		explain(s, path, d);
	if (rc)
		close_file(&s->base);
	else
		*out = &s->base;
	return rc;
}
