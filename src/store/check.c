// SPDX-License-Identifier: GPL-3.0-or-later
/* Is everything there that was committed last, and nothing else? What cannot be noticed: damage to the newest
 * of the two meta pages that makes it look exactly like the one of two commits ago, for then the commit
 * before the last is a whole store like any other; a whole file that was exchanged for an older one; and
 * damage to records that have no seal yet. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/pages.h"
#include "util/clock.h"
#include "util/text.h"

enum { GO_ON_EVERY = 10000, PROBLEM_NAME = 40, NODE_SUBTREE = 2 };

struct check {
	const struct store_check *asked;
	struct store_checked *out;
	struct pages pages;
	bool found[STORE_TABLES];
	struct pages_tree tables[STORE_TABLES];
	/* from the meta table */
	bool formatted, summed, migrating;
	struct store_sealed sealed;
	struct store_sums noted, sums;
	unsigned table; /* being read */
};

/* ---- the trees of LMDB's own ---- */

/* Pages that are free: nothing else may refer to them. */
static int visit_free(void *ctx, const MDB_val *key, const MDB_val *value, unsigned flags)
{
	struct check *x = ctx;
	size_t commit, count, page, room = value->mv_size / sizeof count;
	memcpy(&commit, key->mv_data, sizeof commit);
	count = room;
	if (room)
		memcpy(&count, value->mv_data, sizeof count);
	if (flags || !room || count > room - 1 || commit > x->pages.meta.commit) {
		pages_problem(&x->pages, "the list of free pages is damaged at commit %zu", commit);
		return OK;
	}
	for (size_t i = 1; i <= count; i++) {
		memcpy(&page, (const uint8_t *)value->mv_data + i * sizeof page, sizeof page);
		if (!pages_refer(&x->pages, "the list of free pages", page))
			break;
	}
	return OK;
}

static int visit_main(void *ctx, const MDB_val *key, const MDB_val *value, unsigned flags)
{
	struct check *x = ctx;
	for (unsigned i = 0; i < STORE_TABLES; i++) {
		size_t len = strlen(store_table_names[i]);
		if (key->mv_size != len || memcmp(key->mv_data, store_table_names[i], len) != 0)
			continue;
		memcpy(&x->tables[i], value->mv_data,
			value->mv_size < sizeof *x->tables ? value->mv_size : sizeof *x->tables);
		x->found[i] = true;
		if (flags != NODE_SUBTREE || value->mv_size != sizeof *x->tables || x->tables[i].flags)
			pages_problem(
				&x->pages, "the entry of the table of %s is damaged", store_table_names[i]);
		return OK;
	}
	pages_problem(&x->pages,
		"there is a table that is none of ours: an entry of the list of tables is damaged");
	return OK;
}

/* ---- our tables ---- */

static bool is_key(const MDB_val *key, const char *name)
{
	return key->mv_size == strlen(name) && memcmp(key->mv_data, name, key->mv_size) == 0;
}

static void damaged_record(struct check *x, const MDB_val *key)
{
	char hex[2 * STORE_MAX_KEY + 1];
	text_hex(key->mv_data, key->mv_size < STORE_MAX_KEY ? key->mv_size : STORE_MAX_KEY, hex);
	pages_problem(
		&x->pages, "the record %s in the table of %s is damaged", hex, store_table_names[x->table]);
}

static int visit_record(void *ctx, const MDB_val *key, const MDB_val *value, unsigned flags)
{
	struct check *x = ctx;
	MDB_val plain = *value;
	if (++x->out->records % GO_ON_EVERY == 0 && x->asked->go_on &&
		!x->asked->go_on(x->asked->ctx, x->out->records))
		return ERR_CLOSED;
	if (flags || key->mv_size > STORE_MAX_KEY || value->mv_size > STORE_MAX_VALUE + STORE_SEAL) {
		damaged_record(x, key);
		return OK;
	}
	if (!store_is_sealed(&x->sealed, x->table, key->mv_data, key->mv_size)) {
		x->out->unsealed++;
		return OK;
	}
	if (!store_unseal(x->table, key, &plain)) {
		damaged_record(x, key);
		return OK;
	}
	x->sums.of[x->table].count++;
	x->sums.of[x->table].sum += store_seal(x->table, key, plain.mv_data, plain.mv_size);
	return OK;
}

/* What the meta table says about the others, which is not in its own sum. */
static int visit_meta(void *ctx, const MDB_val *key, const MDB_val *value, unsigned flags)
{
	struct check *x = ctx;
	MDB_val plain = *value;
	bool sealed, good = true;
	if (is_key(key, STORE_KEY_FORMAT)) {
		x->formatted = good = !store_read_format(value, &x->out->format, &sealed);
	} else if (is_key(key, STORE_KEY_SUMS)) {
		x->summed = good =
			store_unseal(STORE_META, key, &plain) && !store_decode_sums(&plain, &x->noted);
	} else if (is_key(key, STORE_KEY_SEALED)) {
		x->migrating = true;
		good = store_unseal(STORE_META, key, &plain) && !store_decode_sealed(&plain, &x->sealed);
	} else {
		return visit_record(ctx, key, value, flags);
	}
	if (!good)
		damaged_record(x, key);
	return OK;
}

static int walk_table(struct check *x, unsigned table, pages_visit *visit)
{
	char name[PROBLEM_NAME];
	x->table = table;
	if (!x->found[table])
		return OK;
	int rc = text_format(name, sizeof name, "the table of %s", store_table_names[table]);
	return rc ? rc : pages_walk(&x->pages, name, &x->tables[table], false, visit, x);
}

/* Which format it is decides what the meta table has to be: so a first look at that alone. */
static int visit_format(void *ctx, const MDB_val *key, const MDB_val *value, unsigned flags)
{
	struct check *x = ctx;
	bool sealed;
	(void)flags;
	if (is_key(key, STORE_KEY_FORMAT) && !store_read_format(value, &x->out->format, &sealed))
		x->sealed.table = sealed ? STORE_NAMES : STORE_META;
	return OK;
}

static int walk_meta(struct check *x)
{
	/* Neither complaints nor marks of the first look count. */
	unsigned problems = x->pages.problems;
	size_t len = x->pages.meta.last_page / 8 + 1;
	uint8_t *seen = malloc(len);
	if (!seen)
		return ERR_NOMEM;
	memcpy(seen, x->pages.seen, len);
	x->sealed = (struct store_sealed){.table = STORE_NAMES};
	int rc = walk_table(x, STORE_META, visit_format);
	memcpy(x->pages.seen, seen, len);
	free(seen);
	if (rc || x->pages.problems > problems)
		return rc;
	bool old = x->sealed.table == STORE_META;
	rc = walk_table(x, STORE_META, visit_meta);
	if (!rc && !x->migrating && !old)
		x->sealed.table = STORE_TABLES;
	return rc;
}

/* ---- what they are together ---- */

static void check_sums(struct check *x)
{
	const struct store_sums *a = &x->sums, *b = &x->noted;
	size_t commit = x->pages.meta.commit;
	/* LMDB numbers the commits of a copy anew. */
	if (b->commit != commit && commit != 1)
		pages_problem(&x->pages, "the newest commit is %zu, and what it shows is of commit %llu",
			commit, (unsigned long long)b->commit);
	for (unsigned i = 0; i < STORE_TABLES; i++)
		if (a->of[i].count != b->of[i].count)
			pages_problem(&x->pages, "the table of %s has %llu records and should have %llu",
				store_table_names[i], (unsigned long long)a->of[i].count,
				(unsigned long long)b->of[i].count);
		else if (a->of[i].sum != b->of[i].sum)
			pages_problem(&x->pages,
				"the records in the table of %s are not those that were written last",
				store_table_names[i]);
}

static void check_tables(struct check *x)
{
	for (unsigned i = 0; i < STORE_TABLES; i++)
		if (!x->found[i] && (x->out->format != 1 || i <= STORE_EXPIRY))
			pages_problem(&x->pages, "the table of %s is missing", store_table_names[i]);
	if (!x->formatted)
		pages_problem(&x->pages, "the store does not say what format it has");
	else if (x->out->format >= STORE_FORMAT_SEALED && !x->summed)
		pages_problem(&x->pages, "the store does not say what its records are together");
}

static int check_all(struct check *x)
{
	struct pages *p = &x->pages;
	int rc = pages_walk(p, "the list of free pages", &p->meta.free, true, visit_free, x);
	rc = rc ? rc : pages_walk(p, "the list of tables", &p->meta.main, false, visit_main, x);
	if (!rc && p->meta.main.root == PAGES_NONE && !p->meta.commit)
		return ERR_NOTFOUND; /* of a store that was just about to be made */
	if (rc)
		return rc;
	rc = walk_meta(x);
	if (rc || x->out->format > STORE_FORMAT)
		return rc ? rc : ERR_FORMAT;
	check_tables(x);
	for (unsigned i = STORE_META + 1; !rc && i < STORE_TABLES; i++)
		rc = walk_table(x, i, visit_record);
	if (!rc && x->summed && !p->problems)
		check_sums(x);
	return rc;
}

static int open_pages(struct check *x)
{
	char file[4096];
	if (text_format(file, sizeof file, "%s/data.mdb", x->asked->path))
		return ERR_RANGE;
	int rc = pages_open(&x->pages, file);
	return rc || !x->asked->live ? rc : pages_pin(&x->pages, x->asked->path);
}

int store_check(const struct store_check *c, struct store_checked *out)
{
	struct check *x = calloc(1, sizeof *x);
	*out = (struct store_checked){.format = 0};
	if (!x)
		return ERR_NOMEM;
	x->asked = c;
	x->out = out;
	x->pages.fd = -1;
	x->pages.complain = c->complain;
	x->pages.ctx = c->ctx;
	x->pages.deadline = c->patience ? clock_mono_ms() + c->patience : 0;
	int rc = open_pages(x);
	rc = rc ? rc : check_all(x);
	out->pages = x->pages.read;
	out->problems = x->pages.problems;
	int code = errno;
	pages_close(&x->pages);
	free(x);
	errno = code;
	/* Damage that was found is what matters, whatever ended the search. */
	return out->problems ? ERR_STORE : rc;
}
