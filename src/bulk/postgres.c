// SPDX-License-Identifier: GPL-3.0-or-later
/* A PostgreSQL database, read in one transaction that disturbs nobody, one row at a time. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "bulk/database.h"
#include "util/text.h"

#define FUNCTIONS(X)                                                                                         \
	X(PQconninfoParse)                                                                                   \
	X(PQconninfoFree)                                                                                    \
	X(PQfreemem)                                                                                         \
	X(PQconnectdb)                                                                                       \
	X(PQstatus)                                                                                          \
	X(PQerrorMessage)                                                                                    \
	X(PQresultErrorMessage)                                                                              \
	X(PQfinish)                                                                                          \
	X(PQexec)                                                                                            \
	X(PQsendQuery)                                                                                       \
	X(PQsetSingleRowMode)                                                                                \
	X(PQgetResult)                                                                                       \
	X(PQresultStatus)                                                                                    \
	X(PQclear)                                                                                           \
	X(PQgetisnull)                                                                                       \
	X(PQgetvalue)                                                                                        \
	X(PQgetlength)

struct postgres {
	struct database base; /* first: the two are one */
	void *library;
	PGconn *handle;
	PGresult *result;
#define X(name) __typeof__(&name) name;
	FUNCTIONS(X)
#undef X
};

/* What is left of the query before must be read before there can be another one. */
static void drain(struct postgres *p)
{
	while (p->result) {
		p->PQclear(p->result);
		p->result = p->PQgetResult(p->handle);
	}
}

static int query(struct database *b, const char *sql)
{
	struct postgres *p = (struct postgres *)b;
	drain(p);
	if (!p->PQsendQuery(p->handle, sql) || !p->PQsetSingleRowMode(p->handle))
		return database_failed(b, p->PQerrorMessage(p->handle));
	return OK;
}

static int row(struct database *b)
{
	struct postgres *p = (struct postgres *)b;
	p->PQclear(p->result);
	p->result = p->PQgetResult(p->handle);
	ExecStatusType status = p->PQresultStatus(p->result); /* of NULL: an error */
	if (status == PGRES_SINGLE_TUPLE)
		return OK;
	if (status == PGRES_TUPLES_OK)
		return ERR_NOTFOUND;
	return database_failed(
		b, p->result ? p->PQresultErrorMessage(p->result) : p->PQerrorMessage(p->handle));
}

static const char *column(struct database *b, int i, size_t *len)
{
	struct postgres *p = (struct postgres *)b;
	*len = 0;
	if (p->PQgetisnull(p->result, 0, i))
		return NULL;
	*len = (size_t)p->PQgetlength(p->result, 0, i);
	return p->PQgetvalue(p->result, 0, i);
}

static int column_query(char *sql, size_t cap, const char *table, const char *name)
{
	return text_format(sql, cap,
		"SELECT column_name FROM information_schema.columns WHERE table_name = '%s' AND column_name = "
		"'%s' AND table_schema = ANY (current_schemas(false))",
		table, name);
}

static void close_connection(struct database *b)
{
	struct postgres *p = (struct postgres *)b;
	if (p->handle) {
		p->PQclear(p->result);
		p->PQfinish(p->handle); /* ends transaction and query, too */
	}
	if (p->library)
		dlclose(p->library);
	free(p);
}

static int load(struct postgres *p, struct diag *d)
{
	int rc = OK;
	p->library = database_library("libpq.so.5", "libpq5", "PostgreSQL databases", d);
	if (!p->library)
		return ERR_SYSTEM;
#define X(name) rc = rc ? rc : database_function(p->library, #name, &p->name, d);
	FUNCTIONS(X)
#undef X
	return rc;
}

/* A password with an "@" that is not written as %40 would end up as part of the host's name, and so in
 * libpq's messages. */
static bool is_ambiguous(const char *url)
{
	const char *authority = strstr(url, "://");
	if (!authority)
		return false;
	const char *at = strchr(authority + 3, '@');
	return at && strchr(at + 1, '@');
}

/* libpq's message about a string that it does not understand repeats parts of it; so it is not shown. */
static int check_url(struct postgres *p, const char *url, struct diag *d)
{
	char *why = NULL;
	PQconninfoOption *options = is_ambiguous(url) ? NULL : p->PQconninfoParse(url, &why);
	p->PQfreemem(why);
	if (!options) {
		diag_error(d, NULL, 0,
			"--postgres: not of the form postgres://USER@HOST:PORT/DATABASE; in a password \"@\" is "
			"written %%40, \"/\" %%2F and \"%%\" %%25, or better use PGPASSWORD or ~/.pgpass");
		return ERR_SYSTEM;
	}
	p->PQconninfoFree(options);
	return OK;
}

static int connect_to(struct postgres *p, const char *url, struct diag *d)
{
	p->handle = p->PQconnectdb(url);
	int rc = p->handle ? OK : ERR_NOMEM;
	if (!rc && p->PQstatus(p->handle) != CONNECTION_OK)
		rc = database_failed(&p->base, p->PQerrorMessage(p->handle));
	if (!rc) {
		PGresult *r = p->PQexec(p->handle, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
		if (p->PQresultStatus(r) != PGRES_COMMAND_OK)
			rc = database_failed(&p->base, p->PQerrorMessage(p->handle));
		p->PQclear(r);
	}
	if (rc == ERR_SYSTEM)
		diag_error(d, "PostgreSQL", 0, "cannot read the database: %s", p->base.why);
	return rc;
}

int postgres_open(const char *url, struct diag *d, struct database **out)
{
	*out = NULL;
	struct postgres *p = calloc(1, sizeof *p);
	if (!p)
		return ERR_NOMEM;
	p->base = (struct database){.query = query,
		.row = row,
		.column = column,
		.close = close_connection,
		.column_query = column_query};
	int rc = load(p, d);
	rc = rc ? rc : check_url(p, url, d);
	rc = rc ? rc : connect_to(p, url, d);
	if (rc)
		close_connection(&p->base);
	else
		*out = &p->base;
	return rc;
}
