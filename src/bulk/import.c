// SPDX-License-Identifier: GPL-3.0-or-later
/* Reading sorts the entries of all lines, checking walks over what is sorted, and only then is it written, in
 * the order of the keys of each table and in transactions of bounded size. Keys go first and names last:
 * whatever ends the import when, a delegate that exists has its account and its keys, and doing it again
 * completes it. */
#include <stdlib.h>
#include <string.h>

#include "bulk/internal.h"
#include "bulk/sort.h"
#include "util/cursor.h"
#include "util/text.h"

enum { PUTS_PER_TRANSACTION = 100000 };

/* Account and name of a delegate go through the sorter as one entry, because they have the same key. */
struct import {
	struct store *store;
	const struct bulk_import_settings *settings;
	struct bulk_import_result *result;
	struct sorter *names, *keys, *expiries;
	uint8_t *left_out; /* one bit a line: bad, or there already */
	size_t left_out_len;
	uint64_t steps, steps_total;
	enum bulk_phase phase;
	/* the line being read */
	uint64_t line;
	int64_t version;         /* of the format; 0: not said */
	char name[BULK_WHY / 2]; /* of what is next, where a source says so */
	uint8_t account[SORTER_VALUE_MAX];
	size_t account_len;
	/* the transaction being filled */
	struct store_txn *txn;
	unsigned puts;
	uint64_t named, marked; /* delegates and deleted labels in it */
};

/* ---- lines that are left out ---- */

static bool is_left_out(const struct import *m, uint64_t line)
{
	return line / 8 < m->left_out_len && (m->left_out[line / 8] & 1u << line % 8);
}

static int leave_out(struct import *m, uint64_t line)
{
	if (line / 8 >= m->left_out_len) {
		size_t len = 2 * (line / 8) + 1024;
		uint8_t *larger = realloc(m->left_out, len);
		if (!larger)
			return ERR_NOMEM;
		memset(larger + m->left_out_len, 0, len - m->left_out_len);
		m->left_out = larger;
		m->left_out_len = len;
	}
	m->left_out[line / 8] |= (uint8_t)(1u << line % 8);
	return OK;
}

static void report(struct import *m, uint64_t line, const char *why)
{
	m->result->bad++;
	if (m->settings->watcher.bad)
		m->settings->watcher.bad(m->settings->watcher.ctx, line, why);
}

/* A line that was good by itself turns out to be bad among others. */
static int reject(struct import *m, uint64_t line, const char *why)
{
	if (is_left_out(m, line))
		return OK;
	report(m, line, why);
	return leave_out(m, line);
}

/* ---- steps ---- */

static void begin_phase(struct import *m, enum bulk_phase phase, uint64_t total)
{
	m->phase = phase;
	m->steps = 0;
	m->steps_total = total;
}

/* Counts a step. ERR_CLOSED: told to stop. */
static int step(struct import *m)
{
	const struct bulk_watcher *w = &m->settings->watcher;
	if (++m->steps % BULK_STEPS)
		return OK;
	if (w->progress)
		w->progress(w->ctx, m->phase, m->steps, m->steps_total);
	return bulk_told_to_stop(m->settings->stop) ? ERR_CLOSED : OK;
}

/* ---- reading ---- */

/* Entries come in the order of delegate_encode(): the name behind its account. */
static int sort_entry(void *ctx, enum store_table table, const void *key, size_t key_len, const void *value,
	size_t value_len)
{
	struct import *m = ctx;
	struct writer w = writer_over(m->account, sizeof m->account);
	switch (table) {
	case STORE_KEYS:
		return sorter_add(m->keys, key, key_len, value, value_len, m->line);
	case STORE_EXPIRY:
		return sorter_add(m->expiries, key, key_len, value, value_len, m->line);
	case STORE_DELEGATES:
		write_u16(&w, (uint16_t)value_len);
		write_bytes(&w, value, value_len);
		return writer_finish(&w, &m->account_len);
	default:
		w.at += m->account_len;
		write_bytes(&w, value, value_len);
		int rc = writer_finish(&w, &m->account_len);
		return rc ? rc : sorter_add(m->names, key, key_len, m->account, m->account_len, m->line);
	}
}

/* A name without an account. */
static int sort_deleted(struct import *m, const struct delegate_id *id)
{
	struct writer w = writer_over(m->account, sizeof m->account);
	write_u16(&w, 0);
	int rc = writer_finish(&w, &m->account_len);
	return rc ? rc : delegate_encode_deleted(id, sort_entry, m);
}

/* What a file says about itself. With a header it must say at its end how many delegates it has, because a
 * pipe that breaks off looks like one that has ended. */
struct frame {
	bool header, end;
};

/* ERR_INVALID: see `why`. ERR_FORMAT. */
static int take_record(struct import *m, struct frame *f, const struct record *r, char why[static BULK_WHY])
{
	bool after_end = f->end;
	f->header |= r->kind == RECORD_HEADER;
	f->end |= r->kind == RECORD_END;
	m->result->lines += r->kind == RECORD_DELEGATE || r->kind == RECORD_DELETED;
	if (r->kind == RECORD_HEADER && r->number > BULK_FORMAT_VERSION)
		return ERR_FORMAT;
	if (r->kind == RECORD_HEADER)
		m->version = (int64_t)r->number;
	if (after_end)
		return bulk_complain(why, "behind the line that says how many delegates there are");
	if (r->kind == RECORD_HEADER && m->line != 1)
		return bulk_complain(why, "a header that is not the first line");
	if (r->kind == RECORD_END && r->number + r->deleted != m->result->lines)
		return bulk_complain(why, "%llu delegates were to come before this line, and %llu did",
			(unsigned long long)(r->number + r->deleted), (unsigned long long)m->result->lines);
	m->account_len = 0;
	if (r->kind == RECORD_DELETED)
		return sort_deleted(m, &r->delegate.id);
	return r->kind == RECORD_DELEGATE ? delegate_encode(&r->delegate, sort_entry, m) : OK;
}

/* The next line from the source, or else (l not NULL) from the file. */
static int next_line(
	struct import *m, struct lines *l, const char **line, size_t *len, char why[static BULK_WHY])
{
	const struct bulk_source *source = m->settings->source;
	struct bulk_why said = {"", ""};
	m->line++;
	if (l)
		return lines_next(l, line, len);
	int rc = source->next(source->ctx, line, len, &said);
	memcpy(m->name, said.name, sizeof m->name);
	return rc == ERR_INVALID ? bulk_complain(why, "%s", said.reason) : rc;
}

/* ERR_INVALID: see `why`. Others as next_line(). */
static int next_record(struct import *m, struct lines *l, struct record *r, char why[static BULK_WHY])
{
	const struct record_rules rules = {
		m->settings->zones, m->settings->zone_count, m->settings->now, m->version};
	const char *line;
	size_t len;
	int rc = next_line(m, l, &line, &len, why);
	m->result->unreadable = rc == ERR_SYSTEM;
	if (rc == ERR_RANGE)
		return bulk_complain(why, "longer than any delegate can be");
	return rc ? rc : record_parse(line, len, &rules, r, why);
}

/* A line that is bad by itself. */
static void report_read(struct import *m, const char *why)
{
	char named[BULK_WHY];
	if (*m->name) {
		bulk_complain(named, "%s: %s", m->name, why);
		why = named;
	}
	report(m, m->line, why);
}

static int take_line(struct import *m, struct frame *f, struct lines *l, struct record *r)
{
	char why[BULK_WHY];
	int rc = next_record(m, l, r, why);
	/* Whatever a bad line was to be: it counts, so that the last line is not bad because of it. */
	m->result->lines += rc == ERR_INVALID;
	rc = rc ? rc : take_record(m, f, r, why);
	if (rc == ERR_INVALID) {
		report_read(m, why);
		rc = OK;
	}
	return rc ? rc : step(m);
}

static int read_lines(struct import *m)
{
	struct frame f = {false, false};
	struct lines *l = NULL;
	struct record *r = calloc(1, sizeof *r);
	int rc = r ? OK : ERR_NOMEM;
	if (!rc && !m->settings->source)
		rc = lines_new(m->settings->input, m->settings->stop, &l);
	while (!rc)
		rc = take_line(m, &f, l, r);
	if (rc == ERR_NOTFOUND)
		rc = OK;
	if (!rc && f.header && !f.end)
		report(m, m->line,
			"the input ends without its last line, which says how many delegates there are");
	lines_free(&l);
	free(r);
	return rc;
}

/* ---- checking ---- */

/* Some bytes of the entry before, to compare with. */
struct before {
	uint8_t key[SORTER_KEY_MAX], value[SORTER_VALUE_MAX];
	size_t key_len, value_len;
	uint64_t line; /* 0: none */
};

static bool same_key(const struct before *b, const struct sorted *e)
{
	return b->line && b->key_len == e->key_len && memcmp(b->key, e->key, e->key_len) == 0;
}

static void remember(struct before *b, const struct sorted *e)
{
	memcpy(b->key, e->key, e->key_len);
	memcpy(b->value, e->value, e->value_len);
	b->key_len = e->key_len;
	b->value_len = e->value_len;
	b->line = e->line;
}

/* As store_snapshot_get(), also where there is no store. */
static int look_up(struct store_snapshot *v, enum store_table table, const struct sorted *e,
	uint8_t out[static STORE_MAX_VALUE], size_t *len)
{
	return v ? store_snapshot_get(v, table, e->key, e->key_len, out, STORE_MAX_VALUE, len) : ERR_NOTFOUND;
}

/* Does the entry say that a delegate was deleted? It has no account then. */
static bool says_deleted(const struct sorted *e)
{
	struct reader r = reader_over(e->value, e->value_len);
	return read_u16(&r) == 0;
}

static int reject_name(struct import *m, const struct sorted *e, const char *what, uint64_t line)
{
	struct delegate_id id = {.label = ""};
	char why[BULK_WHY];
	int rc = delegate_decode_id(e->key, e->key_len, &id);
	if (line)
		bulk_complain(why, "\"%s\" is %s %llu", id.label, what, (unsigned long long)line);
	else
		bulk_complain(why, "\"%s\" %s", id.label, what);
	return rc ? rc : reject(m, e->line, why);
}

/* A delegate may stand in the input once, and one that exists stays as it is; so does one that was deleted.
 */
static int check_name(struct import *m, struct store_snapshot *v, struct before *b, const struct sorted *e)
{
	uint8_t stored[STORE_MAX_VALUE];
	size_t len;
	if (same_key(b, e))
		return reject_name(m, e, "the same delegate as in line", b->line);
	remember(b, e);
	int rc = look_up(v, STORE_NAMES, e, stored, &len);
	if (rc)
		return rc == ERR_NOTFOUND ? OK : rc;
	bool gone = delegate_is_deleted(stored, len), to_be_gone = says_deleted(e);
	if (to_be_gone && !gone)
		return reject_name(
			m, e, "exists in the store, which an import does not change; delete it there", 0);
	m->result->there += gone == to_be_gone;
	m->result->gone += gone && !to_be_gone;
	return leave_out(m, e->line);
}

static int reject_key(struct import *m, const uint8_t id[static 16], uint64_t line, uint64_t other)
{
	char text[SECURE_UUID_LEN + 1], why[BULK_WHY];
	text_from_uuid(id, text);
	if (other)
		bulk_complain(why, "the key ID %s is that of another delegate in line %llu", text,
			(unsigned long long)other);
	else
		bulk_complain(why, "the key ID %s is that of another delegate in the store", text);
	return reject(m, line, why);
}

/* A key must never change hands. */
static int check_key(struct import *m, struct store_snapshot *v, struct before *b, const struct sorted *e)
{
	uint8_t stored[STORE_MAX_VALUE];
	size_t len;
	int rc = OK;
	/* Of two lines that claim one key nobody can say which is right. */
	if (same_key(b, e) && !delegate_same_owner(b->value, b->value_len, e->value, e->value_len)) {
		rc = reject_key(m, e->key, e->line, b->line);
		rc = rc ? rc : reject_key(m, e->key, b->line, e->line);
	}
	remember(b, e);
	rc = rc ? rc : look_up(v, STORE_KEYS, e, stored, &len);
	if (rc)
		return rc == ERR_NOTFOUND ? OK : rc;
	if (delegate_same_owner(stored, len, e->value, e->value_len))
		return OK; /* of a delegate that exists, or of an import that was interrupted */
	return reject_key(m, e->key, e->line, 0);
}

typedef int check(struct import *m, struct store_snapshot *v, struct before *b, const struct sorted *e);

static int check_all(struct import *m, struct store_snapshot *v, struct sorter *s, check *one)
{
	struct before b = {.line = 0};
	struct sorted e;
	int rc = sorter_begin(s);
	while (!rc && !(rc = sorter_next(s, &e))) {
		rc = one(m, v, &b, &e);
		rc = rc ? rc : step(m);
	}
	return rc == ERR_NOTFOUND ? OK : rc;
}

static int check_lines(struct import *m)
{
	struct store_snapshot *v = NULL;
	begin_phase(m, BULK_CHECKING, sorter_count(m->names) + sorter_count(m->keys));
	int rc = m->store ? store_snapshot_new(m->store, &v) : OK;
	if (rc)
		return rc;
	rc = v ? store_snapshot_renew(v) : OK;
	rc = rc ? rc : check_all(m, v, m->names, check_name);
	rc = rc ? rc : check_all(m, v, m->keys, check_key);
	store_snapshot_free(&v);
	return rc;
}

/* ---- writing ---- */

static int commit(struct import *m)
{
	int rc = m->txn ? store_txn_commit(&m->txn) : OK;
	if (!rc) {
		m->result->imported += m->named;
		m->result->deleted += m->marked;
	}
	m->named = m->marked = 0;
	m->puts = 0;
	return rc;
}

static int append(
	struct import *m, enum store_table table, const struct sorted *e, const void *value, size_t len)
{
	int rc = m->txn ? OK : store_txn_begin(m->store, &m->txn);
	m->puts++;
	return rc ? rc : store_txn_append(m->txn, table, e->key, e->key_len, value, len);
}

static int write_key(struct import *m, const struct sorted *e)
{
	return append(m, STORE_KEYS, e, e->value, e->value_len);
}

static int write_expiry(struct import *m, const struct sorted *e)
{
	return append(m, STORE_EXPIRY, e, e->value, e->value_len);
}

static int write_name(struct import *m, const struct sorted *e)
{
	struct reader r = reader_over(e->value, e->value_len);
	size_t account_len = read_u16(&r);
	const uint8_t *account = read_bytes(&r, account_len);
	size_t name_len = (size_t)(r.end - r.at);
	const uint8_t *name = read_bytes(&r, name_len);
	if (!account || !name)
		return ERR_INVALID; /* cannot be: sort_entry() has put it together */
	m->named += account_len > 0;
	m->marked += account_len == 0;
	int rc = account_len ? append(m, STORE_DELEGATES, e, account, account_len) : OK;
	return rc ? rc : append(m, STORE_NAMES, e, name, name_len);
}

static int write_all(struct import *m, struct sorter *s, int (*one)(struct import *m, const struct sorted *e))
{
	struct sorted e;
	int rc = sorter_begin(s);
	while (!rc && !(rc = sorter_next(s, &e))) {
		if (!is_left_out(m, e.line))
			rc = one(m, &e);
		if (!rc && m->puts >= PUTS_PER_TRANSACTION)
			rc = commit(m);
		rc = rc ? rc : step(m);
	}
	return rc == ERR_NOTFOUND ? commit(m) : rc;
}

static int write_lines(struct import *m)
{
	begin_phase(
		m, BULK_WRITING, sorter_count(m->keys) + sorter_count(m->expiries) + sorter_count(m->names));
	int rc = write_all(m, m->keys, write_key);
	rc = rc ? rc : write_all(m, m->expiries, write_expiry);
	rc = rc ? rc : write_all(m, m->names, write_name);
	store_txn_abort(&m->txn);
	return rc;
}

/* ---- all of it ---- */

/* What would be written. */
static int count_lines(struct import *m)
{
	struct sorted e;
	int rc = sorter_begin(m->names);
	while (!rc && !(rc = sorter_next(m->names, &e))) {
		bool good = !is_left_out(m, e.line);
		m->result->imported += good && !says_deleted(&e);
		m->result->deleted += good && says_deleted(&e);
		rc = step(m);
	}
	return rc == ERR_NOTFOUND ? OK : rc;
}

static int run(struct import *m)
{
	int rc = read_lines(m);
	rc = rc ? rc : check_lines(m);
	if (!rc && m->result->bad && !m->settings->keep_going)
		rc = ERR_INVALID;
	if (rc || m->settings->dry)
		return rc ? rc : count_lines(m);
	m->result->writing = true;
	return write_lines(m);
}

int bulk_import(struct store *s, const struct bulk_import_settings *settings, struct bulk_import_result *out)
{
	memset(out, 0, sizeof *out);
	struct import *m = calloc(1, sizeof *m);
	if (!m)
		return ERR_NOMEM;
	m->store = s;
	m->settings = settings;
	m->result = out;
	/* A delegate has one or two keys, and hardly ever a value. */
	int rc = sorter_new(settings->folder, settings->memory * 3 / 8, &m->names);
	rc = rc ? rc : sorter_new(settings->folder, settings->memory / 2, &m->keys);
	rc = rc ? rc : sorter_new(settings->folder, settings->memory / 8, &m->expiries);
	rc = rc ? rc : run(m);
	sorter_free(&m->names);
	sorter_free(&m->keys);
	sorter_free(&m->expiries);
	free(m->left_out);
	free(m);
	return rc;
}
