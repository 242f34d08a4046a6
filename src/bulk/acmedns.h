// SPDX-License-Identifier: GPL-3.0-or-later
/* The accounts of an acme-dns database as lines for bulk_import(), while acme-dns goes on using it. SQLite
 * and libpq are loaded when they are needed, so that the server's processes never have them. One thread. */
#pragma once

#include "bulk/bulk.h"

struct acmedns;

struct acmedns_settings {
	const char *zone; /* of the delegates */
	int64_t now;      /* milliseconds since the epoch; acme-dns does not know when accounts were made */
	int64_t value_expiry; /* of values that are published at present */
};

/* Opens the database and begins the one transaction in which everything is read; exactly one of `sqlite` (a
 * file) and `postgres` (a connection URL or string) is not NULL. Afterwards neither file nor connection is
 * opened again. ERR_SYSTEM: said in `d`; passwords are not repeated. ERR_NOMEM. */
int acmedns_open(const char *sqlite, const char *postgres, struct diag *d, struct acmedns **out) MUST_USE;
void acmedns_close(struct acmedns **a); /* accepts NULL inside; sets it to NULL */

/* Lines out of it, once. The database is let go after the last one. `settings` must live as long. */
struct bulk_source acmedns_source(struct acmedns *a, const struct acmedns_settings *settings);
/* After ERR_SYSTEM from the source: what the database said. */
const char *acmedns_error(const struct acmedns *a);
