// SPDX-License-Identifier: GPL-3.0-or-later
/* acme-dns's tables: records(Username, Password, Subdomain, AllowFrom), one row an account, and
 * txt(Subdomain, Value, LastUpdate), two rows an account of which those that are not empty are published. Its
 * first version had no txt and kept Value in records. Columns are selected by name, because old files keep
 * columns of before.
 *
 * Accounts become lines of the data format, so what is allowed in a delegate is checked in one place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bulk/acmedns.h"
#include "bulk/database.h"
#include "bulk/internal.h"
#include "util/secure.h"
#include "util/scarce.h"
#include "util/text.h"

enum {
	VALUES = 2,        /* acme-dns publishes no more */
	TEXT_MAX = 8 << 10 /* of a column; the largest is an allow list */
};

enum { USERNAME, PASSWORD, SUBDOMAIN, ALLOW, VALUE, COLUMNS };

/* An account, put together from the rows of its values. */
struct account {
	bool null[COLUMNS];
	char text[COLUMNS][TEXT_MAX];
	char values[VALUES][TEXT_MAX]; /* the newest ones, oldest first, none twice */
	size_t value_count;
	bool too_long;
};

struct acmedns {
	struct database *database; /* NULL: let go */
	const struct acmedns_settings *settings;
	bool row; /* there is one that was not taken yet */
	struct account account;
	char why[DATABASE_WHY];
	char line[BULK_LINE_MAX];
};

static const char current_layout[] =
	"SELECT r.Username, r.Password, r.Subdomain, r.AllowFrom, t.Value FROM records r "
	"LEFT JOIN txt t ON t.Subdomain = r.Subdomain AND t.Value <> '' "
	"ORDER BY r.Username, t.LastUpdate, t.rowid";
static const char first_layout[] =
	"SELECT Username, Password, Subdomain, AllowFrom, Value FROM records ORDER BY Username";

/* ---- opening ---- */

static int has_column(struct database *b, const char *table, const char *name, bool *has)
{
	char sql[300];
	*has = false;
	int rc = b->column_query(sql, sizeof sql, table, name);
	rc = rc ? rc : b->query(b, sql);
	rc = rc ? rc : b->row(b);
	*has = !rc;
	return rc == ERR_NOTFOUND ? OK : rc;
}

/* The version acme-dns has noted; 0 where it has noted none, as its first version did. */
static int read_version(struct database *b, long *version)
{
	bool noted;
	size_t len;
	*version = 0;
	int rc = has_column(b, "acmedns", "value", &noted);
	if (rc || !noted)
		return rc;
	rc = b->query(b, "SELECT Value FROM acmedns WHERE Name = 'db_version'");
	rc = rc ? rc : b->row(b);
	const char *text = rc ? NULL : b->column(b, 0, &len);
	if (text)
		*version = strtol(text, NULL, 10);
	return rc == ERR_NOTFOUND ? OK : rc;
}

/* Begins to read the accounts. */
static int begin(struct database *b, const char *name, struct diag *d)
{
	bool accounts = false, values = false, first = false;
	long version = 0;
	int rc = has_column(b, "records", "password", &accounts);
	rc = rc ? rc : has_column(b, "txt", "value", &values);
	rc = rc ? rc : has_column(b, "records", "value", &first);
	rc = rc ? rc : read_version(b, &version);
	if (!rc && !accounts) {
		diag_error(
			d, name, 0, "not a database of acme-dns: it has no table \"records\" with passwords");
		return ERR_INVALID;
	}
	if (!rc && version > 1) {
		diag_error(d, name, 0,
			"made by a newer acme-dns: its layout is %ld, and those up to 1 are known", version);
		return ERR_INVALID;
	}
	first = first && (version == 0 || !values);
	if (!rc && !first && !values) {
		diag_error(d, name, 0, "not a database of acme-dns: it has no table \"txt\" with values");
		return ERR_INVALID;
	}
	rc = rc ? rc : b->query(b, first ? first_layout : current_layout);
	return rc ? rc : b->row(b);
}

int acmedns_open(const char *sqlite, const char *postgres, struct diag *d, struct acmedns **out)
{
	const char *name = sqlite ? sqlite : "PostgreSQL";
	struct acmedns *a = *out = calloc(1, sizeof **out);
	if (!a)
		return ERR_NOMEM;
	int rc = sqlite ? sqlite_open(sqlite, d, &a->database) : postgres_open(postgres, d, &a->database);
	if (!rc) {
		rc = begin(a->database, name, d);
		a->row = !rc;
		if (rc == ERR_SYSTEM)
			diag_error(d, name, 0, "cannot read the database: %s", a->database->why);
		rc = rc == ERR_NOTFOUND ? OK : rc;
	}
	if (rc)
		acmedns_close(out);
	return rc == ERR_INVALID ? ERR_SYSTEM : rc;
}

static void let_go(struct acmedns *a)
{
	if (a->database)
		a->database->close(a->database);
	a->database = NULL;
}

void acmedns_close(struct acmedns **a)
{
	if (!*a)
		return;
	let_go(*a);
	secure_wipe(&(*a)->account, sizeof(*a)->account);
	free(*a);
	*a = NULL;
}

const char *acmedns_error(const struct acmedns *a)
{
	return a->why;
}

/* ---- an account from its rows ---- */

/* A copy, for the row goes. A NUL within becomes what is in no text. */
static void copy_column(struct acmedns *a, int i, char out[static TEXT_MAX], bool *null)
{
	size_t len;
	const char *text = a->database->column(a->database, i, &len);
	*null = !text;
	a->account.too_long |= len >= TEXT_MAX;
	len = text && len < TEXT_MAX ? len : 0;
	for (size_t k = 0; k < len; k++)
		out[k] = text[k] ? text[k] : '?';
	out[len] = 0;
}

/* The rows come from the oldest to the newest. A value that was sent twice fills both rows of acme-dns. */
static void add_value(struct account *k)
{
	const char *text = k->text[VALUE];
	size_t i = 0;
	if (k->null[VALUE] || !*text)
		return;
	while (i < k->value_count && strcmp(k->values[i], text) != 0)
		i++;
	if (i == k->value_count && k->value_count == VALUES)
		i = 0;
	else if (i == k->value_count)
		k->value_count++;
	for (; i + 1 < k->value_count; i++)
		memcpy(k->values[i], k->values[i + 1], TEXT_MAX);
	memcpy(k->values[k->value_count - 1], text, TEXT_MAX);
}

static int next_row(struct acmedns *a)
{
	int rc = a->database->row(a->database);
	a->row = !rc;
	if (rc == ERR_SYSTEM)
		memcpy(a->why, a->database->why, sizeof a->why);
	return rc == ERR_NOTFOUND ? OK : rc;
}

/* ERR_NOTFOUND: there are no more. ERR_SYSTEM. */
static int take_account(struct acmedns *a)
{
	struct account *k = &a->account;
	char username[TEXT_MAX];
	bool null;
	k->value_count = 0;
	k->too_long = false;
	if (!a->row)
		return ERR_NOTFOUND;
	for (int i = 0; i < VALUE; i++)
		copy_column(a, i, k->text[i], &k->null[i]);
	for (;;) {
		copy_column(a, VALUE, k->text[VALUE], &k->null[VALUE]);
		add_value(k);
		int rc = next_row(a);
		if (rc || !a->row)
			return rc;
		copy_column(a, USERNAME, username, &null);
		if (null || strcmp(username, k->text[USERNAME]) != 0)
			return OK;
	}
}

/* ---- a line from an account ---- */

/* What acme-dns takes as a UUID: also in braces, as a URN and without hyphens (github.com/google/uuid,
 * Parse). */
static void canonical_username(char *text)
{
	char plain[SECURE_UUID_LEN + 1];
	uint8_t id[16];
	size_t len = strlen(text);
	const char *at = text;
	if (len == 45 && strncasecmp(at, "urn:uuid:", 9) == 0) {
		at += 9;
	} else if (len == 38 && at[0] == '{' && at[37] == '}') {
		at += 1;
	} else if (len == 32 && !text_from_hex(at, 32, id, sizeof id)) {
		text_from_uuid(id, text);
		return;
	} else if (len != SECURE_UUID_LEN) {
		return;
	}
	memcpy(plain, at, SECURE_UUID_LEN);
	if (!text_to_uuid(plain, SECURE_UUID_LEN, id))
		text_from_uuid(id, text);
}

/* JSON text as acme-dns wrote it. One that cannot be read keeps everybody out there, and must never let
 * everybody in here. */
static json_t *read_allow(const struct account *k)
{
	json_set_alloc_funcs(scarce_malloc, scarce_free);
	scarce_begin();
	json_t *list = k->null[ALLOW] ? NULL : json_loads(k->text[ALLOW], JSON_DECODE_ANY, NULL);
	bool scarce = scarce_end();
	if (!scarce && json_is_null(list)) /* an empty list, to acme-dns */
		return json_array();
	if (!scarce && json_is_array(list))
		return list;
	json_decref(list);
	return NULL;
}

static json_t *make_values(const struct acmedns *a)
{
	json_t *array = json_array();
	for (size_t i = 0; i < a->account.value_count; i++)
		if (json_array_append_new(array, json_pack("{s:s, s:I}", "value", a->account.values[i],
							 "expiry", (json_int_t)a->settings->value_expiry))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* NULL: a text that is not UTF-8, or no memory. */
static json_t *make_object(const struct acmedns *a, json_t *allow)
{
	const struct account *k = &a->account;
	json_int_t now = a->settings->now;
	json_t *values = make_values(a);
	if (!values) {
		json_decref(allow);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:I, s:o, s:[{s:s, s:I, s:s}], s:o}", "zone", a->settings->zone, "label",
		k->text[SUBDOMAIN], "created", now, "allow", allow, "keys", "id", k->text[USERNAME],
		"created", now, "bcrypt", k->text[PASSWORD], "values", values);
}

static const char *what_is_null(const struct account *k)
{
	static const char *const names[] = {"Username", "Password", "Subdomain", "AllowFrom"};
	for (int i = 0; i < VALUE; i++)
		if (k->null[i])
			return names[i];
	return NULL;
}

static int make_line(struct acmedns *a, size_t *len, struct bulk_why *why)
{
	struct account *k = &a->account;
	bulk_complain(why->reason, "Username \"%.45s\", Subdomain \"%.63s\"", k->text[USERNAME],
		k->text[SUBDOMAIN]);
	snprintf(why->name, sizeof why->name, "%.*s", (int)sizeof why->name - 1, why->reason);
	if (what_is_null(k))
		return bulk_complain(why->reason, "%s is NULL", what_is_null(k));
	if (k->too_long)
		return bulk_complain(why->reason, "a column is longer than %d bytes", TEXT_MAX - 1);
	canonical_username(k->text[USERNAME]);
	for (char *c = k->text[SUBDOMAIN]; *c; c++)
		*c = (char)text_lower((uint8_t)*c);
	json_t *allow = read_allow(k);
	if (!allow)
		return bulk_complain(
			why->reason, "AllowFrom \"%.60s\" is not a JSON array of networks", k->text[ALLOW]);
	json_t *object = make_object(a, allow);
	*len = object ? json_dumpb(object, a->line, sizeof a->line, JSON_COMPACT) : 0;
	json_decref(object);
	if (!*len || *len > sizeof a->line)
		return bulk_complain(why->reason, "a column is not text in UTF-8, or too long");
	return OK;
}

static int next_line(void *ctx, const char **line, size_t *len, struct bulk_why *why)
{
	struct acmedns *a = ctx;
	int rc = take_account(a);
	rc = rc ? rc : make_line(a, len, why);
	*line = a->line;
	if (!a->row) /* so that acme-dns need not wait for what comes now */
		let_go(a);
	return rc;
}

struct bulk_source acmedns_source(struct acmedns *a, const struct acmedns_settings *settings)
{
	a->settings = settings;
	return (struct bulk_source){a, next_line};
}
