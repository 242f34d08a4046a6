// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulk/internal.h"
#include "util/text.h"

enum {
	DELEGATES_PER_SNAPSHOT = 1000, /* a fraction of a second */
	OUTPUT_BUFFER = 4 * BULK_LINE_MAX
};

struct dump {
	const struct bulk_export_settings *settings;
	struct bulk_export_result *result;
	struct store_snapshot *view;
	int error; /* what ended a walk */
	uint64_t steps;
	uint8_t last[STORE_MAX_KEY]; /* the next walk goes on behind it */
	size_t last_len;
	struct delegate delegate;
	size_t filled;
	char buffer[OUTPUT_BUFFER];
};

static int flush(struct dump *x)
{
	for (size_t at = 0; at < x->filled;) {
		ssize_t n = write(x->settings->output, x->buffer + at, x->filled - at);
		if (n < 0 && errno != EINTR)
			return ERR_SYSTEM;
		at += n > 0 ? (size_t)n : 0;
	}
	x->filled = 0;
	return OK;
}

/* Room for one more line. */
static int make_room(struct dump *x)
{
	return sizeof x->buffer - x->filled < BULK_LINE_MAX ? flush(x) : OK;
}

static int put_text(struct dump *x, const char *format, ...) PRINTF(2, 3) MUST_USE;

static int put_text(struct dump *x, const char *format, ...)
{
	va_list args;
	int rc = make_room(x);
	if (rc)
		return rc;
	va_start(args, format);
	int n = vsnprintf(x->buffer + x->filled, sizeof x->buffer - x->filled, format, args);
	va_end(args);
	x->filled += n > 0 ? (size_t)n : 0;
	return OK;
}

static const char *zone_name(const struct dump *x, uint16_t id)
{
	for (size_t i = 0; i < x->settings->zone_count; i++)
		if (x->settings->zones[i].id == id)
			return x->settings->zones[i].name;
	return NULL;
}

static int put_delegate(struct dump *x)
{
	const char *zone = zone_name(x, x->delegate.id.zone);
	size_t len;
	if (!zone) {
		x->result->nameless++;
		return OK;
	}
	int rc = make_room(x);
	rc = rc ? rc : record_format(&x->delegate, zone, x->settings->now, x->buffer + x->filled, &len);
	if (rc)
		return rc;
	x->filled += len;
	x->result->exported++;
	return OK;
}

/* One delegate that cannot be read must not keep the others in. */
static int pass_over(struct dump *x, const uint8_t *key, size_t key_len)
{
	const struct bulk_watcher *w = &x->settings->watcher;
	char hex[2 * STORE_MAX_KEY + 1], why[BULK_WHY];
	x->result->damaged++;
	text_hex(key, key_len, hex);
	bulk_complain(why, "a record is damaged; its key is %s", hex);
	if (w->bad)
		w->bad(w->ctx, 0, why);
	return OK;
}

/* A label that is not to be given out again, here or wherever the lines are read. */
static int put_deleted(struct dump *x, const struct delegate_id *id)
{
	const char *zone = zone_name(x, id->zone);
	size_t len;
	if (!zone)
		return OK; /* nobody can ask for it */
	int rc = make_room(x);
	rc = rc ? rc : record_format_deleted(id, zone, x->buffer + x->filled, &len);
	if (rc)
		return rc;
	x->filled += len;
	x->result->deleted++;
	return OK;
}

static int put_entry(struct dump *x, const uint8_t *key, size_t key_len, const uint8_t *name, size_t name_len)
{
	int rc = delegate_decode(x->view, key, key_len, name, name_len, &x->delegate);
	bool gone = rc == ERR_NOTFOUND;
	if (gone)
		rc = delegate_decode_id(key, key_len, &x->delegate.id);
	/* The server's own, which it makes when it needs it; nobody could import it. */
	if (rc || delegate_label_reserved(x->delegate.id.label))
		return rc;
	return gone ? put_deleted(x, &x->delegate.id) : put_delegate(x);
}

static int put_end(struct dump *x)
{
	unsigned long long delegates = x->result->exported, deleted = x->result->deleted;
	return deleted ? put_text(x, "{\"delegates\":%llu,\"deleted\":%llu}\n", delegates, deleted)
		       : put_text(x, "{\"delegates\":%llu}\n", delegates);
}

static bool visit(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len)
{
	struct dump *x = ctx;
	memcpy(x->last, key, key_len);
	x->last_len = key_len;
	x->steps++;
	int rc = put_entry(x, key, key_len, value, value_len);
	if (rc == ERR_STORE && !store_snapshot_broken(x->view))
		rc = pass_over(x, key, key_len);
	x->error = rc;
	return !rc;
}

static int walk(struct dump *x)
{
	const struct bulk_watcher *w = &x->settings->watcher;
	bool more = true;
	int rc = OK;
	while (!rc && more) {
		rc = store_snapshot_renew(x->view);
		rc = rc ? rc
			: store_snapshot_walk(x->view, STORE_NAMES, x->last, x->last_len,
				  DELEGATES_PER_SNAPSHOT, visit, x, &more);
		store_snapshot_release(x->view);
		rc = rc ? rc : x->error;
		if (w->progress)
			w->progress(w->ctx, BULK_WRITING, x->steps, 0);
		if (!rc && bulk_told_to_stop(x->settings->stop))
			rc = ERR_CLOSED;
	}
	return rc;
}

static int run(struct dump *x)
{
	int rc = put_text(x, "{\"format\":\"%s\",\"version\":%d}\n", bulk_format_name, BULK_FORMAT_VERSION);
	rc = rc ? rc : walk(x);
	rc = rc ? rc : put_end(x);
	return rc ? rc : flush(x);
}

int bulk_export(struct store *s, const struct bulk_export_settings *settings, struct bulk_export_result *out)
{
	memset(out, 0, sizeof *out);
	struct dump *x = malloc(sizeof *x);
	if (!x)
		return ERR_NOMEM;
	x->settings = settings;
	x->result = out;
	x->error = OK;
	x->steps = 0;
	x->last_len = x->filled = 0;
	int rc = store_snapshot_new(s, &x->view);
	rc = rc ? rc : run(x);
	store_snapshot_free(&x->view);
	free(x);
	return rc;
}
