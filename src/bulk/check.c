// SPDX-License-Identifier: GPL-3.0-or-later
/* A walk through every table of a store that nobody writes to. */
#include <stdlib.h>
#include <string.h>

#include "bulk/internal.h"
#include "delegate/events.h"
#include "delegate/tokens.h"
#include "util/text.h"

enum { ENTRIES_A_WALK = 10000, LIST_AT_ONCE = 1000 };

struct checking {
	struct store_snapshot *view;
	struct bulk_counts *counts;
	const struct bulk_watcher *watcher;
	int stop, error;
	char *why;
	uint64_t steps;
	uint8_t last[STORE_MAX_KEY];
	size_t last_len;
	struct delegate delegate;
	char token[TOKEN_ID_LEN + 1];
	uint64_t event;
};

static int misfit(struct checking *x, const char *what, const uint8_t *key, size_t len)
{
	char hex[2 * STORE_MAX_KEY + 1];
	text_hex(key, len, hex);
	bulk_complain(
		x->why, "the entry %s of the table of %s is damaged or does not fit the others", hex, what);
	return ERR_STORE;
}

static int step(struct checking *x)
{
	if (++x->steps % BULK_STEPS)
		return OK;
	if (x->watcher->progress)
		x->watcher->progress(x->watcher->ctx, BULK_CHECKING, x->steps, 0);
	return bulk_told_to_stop(x->stop) ? ERR_CLOSED : OK;
}

/* ---- one entry of each table ---- */

static bool check_name(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len)
{
	struct checking *x = ctx;
	int rc = delegate_check_name(x->view, key, key_len, value, value_len, &x->delegate);
	x->counts->delegates += !rc;
	x->counts->values += rc ? 0 : x->delegate.values.count;
	x->counts->deleted += rc == ERR_NOTFOUND;
	x->error = rc && rc != ERR_NOTFOUND ? misfit(x, "names", key, key_len) : step(x);
	memcpy(x->last, key, key_len);
	x->last_len = key_len;
	return !x->error;
}

static bool check_account(
	void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len)
{
	struct checking *x = ctx;
	int rc = delegate_check_account(x->view, key, key_len, value, value_len);
	x->error = rc ? misfit(x, "accounts", key, key_len) : step(x);
	memcpy(x->last, key, key_len);
	x->last_len = key_len;
	return !x->error;
}

static bool check_key(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len)
{
	struct checking *x = ctx;
	int rc = delegate_check_key(x->view, key, key_len, value, value_len);
	x->counts->keys += !rc;
	x->counts->unowned += rc == ERR_NOTFOUND;
	x->error = rc && rc != ERR_NOTFOUND ? misfit(x, "keys", key, key_len) : step(x);
	memcpy(x->last, key, key_len);
	x->last_len = key_len;
	return !x->error;
}

static bool check_expiry(
	void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len)
{
	struct checking *x = ctx;
	(void)value;
	int rc = delegate_check_expiry(key, key_len);
	x->error = rc || value_len ? misfit(x, "expiry", key, key_len) : step(x);
	memcpy(x->last, key, key_len);
	x->last_len = key_len;
	return !x->error;
}

static bool count_token(void *ctx, const struct token *k)
{
	struct checking *x = ctx;
	memcpy(x->token, k->id, sizeof x->token);
	x->counts->tokens++;
	return true;
}

static bool count_event(void *ctx, const struct event *e)
{
	struct checking *x = ctx;
	x->event = e->sequence;
	x->counts->events++;
	return true;
}

/* ---- all of them ---- */

static int walk(struct checking *x, enum store_table table, store_visit *visit)
{
	bool more = true;
	int rc = OK;
	x->last_len = 0;
	x->error = OK;
	while (!rc && more) {
		rc = store_snapshot_walk(
			x->view, table, x->last, x->last_len, ENTRIES_A_WALK, visit, x, &more);
		rc = rc ? rc : x->error;
	}
	return rc;
}

static int read_lists(struct checking *x)
{
	bool more = true;
	int rc = OK;
	while (!rc && more)
		rc = token_list(x->view, *x->token ? x->token : NULL, LIST_AT_ONCE, count_token, x, &more);
	more = !rc;
	while (!rc && more)
		rc = events_list(x->view, x->event, LIST_AT_ONCE, count_event, x, &more);
	return rc;
}

int bulk_check(struct store *s, int stop, const struct bulk_watcher *watcher, struct bulk_counts *out,
	char why[static BULK_WHY])
{
	memset(out, 0, sizeof *out);
	bulk_complain(why, "a page of it cannot be read");
	struct checking *x = calloc(1, sizeof *x);
	if (!x)
		return ERR_NOMEM;
	x->counts = out;
	x->watcher = watcher;
	x->stop = stop;
	x->why = why;
	int rc = store_snapshot_new(s, &x->view);
	rc = rc ? rc : store_snapshot_renew(x->view);
	rc = rc ? rc : walk(x, STORE_NAMES, check_name);
	rc = rc ? rc : walk(x, STORE_DELEGATES, check_account);
	rc = rc ? rc : walk(x, STORE_KEYS, check_key);
	rc = rc ? rc : walk(x, STORE_EXPIRY, check_expiry);
	rc = rc ? rc : read_lists(x);
	store_snapshot_free(&x->view);
	free(x);
	return rc;
}
