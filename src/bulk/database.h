// SPDX-License-Identifier: GPL-3.0-or-later
/* What is needed of a database: one read transaction, and rows one after the other. */
#pragma once

#include <stddef.h>

#include "util/diag.h"
#include "util/error.h"

enum { DATABASE_WHY = 240 };

struct database {
	/* Begins a query; one that was under way is ended. ERR_SYSTEM: see why. */
	int (*query)(struct database *b, const char *sql);
	/* OK: there is a row. ERR_NOTFOUND: no more. ERR_SYSTEM: see why. */
	int (*row)(struct database *b);
	/* A column of the row, also one of bytes, valid until the next row(); NULL: it is null. */
	const char *(*column)(struct database *b, int i, size_t *len);
	void (*close)(struct database *b);
	/* Writes a query that has a row if the table has the column; both in lower case. ERR_RANGE. */
	int (*column_query)(char *sql, size_t cap, const char *table, const char *column_name);
	char why[DATABASE_WHY]; /* printable ASCII */
};

/* Open the database and begin a read transaction. What is wrong is said in `d`: ERR_SYSTEM. ERR_NOMEM. */
int sqlite_open(const char *path, struct diag *d, struct database **out) MUST_USE;
int postgres_open(const char *url, struct diag *d, struct database **out) MUST_USE;

/* Notes what a library has said. Returns ERR_SYSTEM. */
int database_failed(struct database *b, const char *why);

/* A library loaded at run time. NULL: it is not there, which is said in `d`. */
void *database_library(const char *file, const char *package, const char *what, struct diag *d);
/* Its function called `name` goes to *function. ERR_SYSTEM: said in `d`. */
int database_function(void *library, const char *name, void *function, struct diag *d) MUST_USE;
