// SPDX-License-Identifier: GPL-3.0-or-later
/* A record: version (1) | when (8) | kind (1) | outcome (1) | by (1) | times (4) | uid (4) | client (16) |
 * key, name, detail (texts). Its key is the number, 8 bytes. */
#include "delegate/events.h"

#include <string.h>

#include "util/cursor.h"

enum {
	VERSION = 1,
	TRIM_MAX = 4, /* of those too old are dropped with each new one: so that a lower limit takes effect
			 soon */
	KEY_SIZE = 8,
	RECORD_MAX = 1 + 8 + 3 + 4 + 4 + 16 + 1 + EVENT_KEY_MAX + 1 + EVENT_NAME_MAX + 1 + EVENT_DETAIL_MAX
};

static void key_of(uint64_t sequence, uint8_t out[static KEY_SIZE])
{
	struct writer w = writer_over(out, KEY_SIZE);
	write_u64(&w, sequence);
}

static uint64_t sequence_of(const uint8_t *key, size_t len)
{
	struct reader r = reader_over(key, len);
	uint64_t sequence = read_u64(&r);
	return reader_finish(&r) ? 0 : sequence;
}

static int encode(const struct event *e, uint8_t out[static RECORD_MAX], size_t *len)
{
	struct writer w = writer_over(out, RECORD_MAX);
	write_u8(&w, VERSION);
	write_u64(&w, (uint64_t)e->when);
	write_u8(&w, e->kind);
	write_u8(&w, e->outcome);
	write_u8(&w, e->by);
	write_u32(&w, e->times);
	write_u32(&w, e->uid);
	write_bytes(&w, e->client.bytes, sizeof e->client.bytes);
	write_string(&w, e->key, strlen(e->key));
	write_string(&w, e->name, strlen(e->name));
	write_string(&w, e->detail, strlen(e->detail));
	return writer_finish(&w, len);
}

static int decode(const uint8_t *bytes, size_t len, struct event *e)
{
	struct reader r = reader_over(bytes, len);
	r.failed |= read_u8(&r) != VERSION;
	e->when = (int64_t)read_u64(&r);
	e->kind = read_u8(&r);
	e->outcome = read_u8(&r);
	e->by = read_u8(&r);
	e->times = read_u32(&r);
	e->uid = read_u32(&r);
	const uint8_t *client = read_bytes(&r, sizeof e->client.bytes);
	if (client)
		memcpy(e->client.bytes, client, sizeof e->client.bytes);
	read_string(&r, e->key, sizeof e->key);
	read_string(&r, e->name, sizeof e->name);
	read_string(&r, e->detail, sizeof e->detail);
	return reader_finish(&r) ? ERR_STORE : OK;
}

typedef int end_of(struct store_txn *t, enum store_table table, void *key, size_t cap, size_t *key_len);

/* 0: the table is empty. */
static int read_end(struct store_txn *t, end_of *end, uint64_t *out)
{
	uint8_t key[KEY_SIZE];
	size_t len = 0;
	int rc = end(t, STORE_EVENTS, key, sizeof key, &len);
	*out = rc ? 0 : sequence_of(key, len);
	return rc == ERR_NOTFOUND ? OK : rc;
}

int events_range(struct store_txn *t, uint64_t *first, uint64_t *last)
{
	int rc = read_end(t, store_txn_first, first);
	return rc ? rc : read_end(t, store_txn_last, last);
}

static int trim(struct store_txn *t, uint64_t first, uint64_t last, uint64_t keep)
{
	int rc = OK;
	for (int i = 0; !rc && i < TRIM_MAX && last - first + 1 > keep; i++) {
		uint8_t key[KEY_SIZE];
		key_of(first++, key);
		rc = store_txn_delete(t, STORE_EVENTS, key, sizeof key);
	}
	return rc;
}

int events_append(struct store_txn *t, struct event *e, uint64_t keep)
{
	uint8_t key[KEY_SIZE], record[RECORD_MAX];
	uint64_t first, last;
	size_t len;
	e->sequence = 0;
	if (!keep)
		return OK;
	int rc = events_range(t, &first, &last);
	rc = rc ? rc : encode(e, record, &len);
	if (rc)
		return rc;
	e->sequence = last + 1;
	key_of(e->sequence, key);
	rc = store_txn_append(t, STORE_EVENTS, key, sizeof key, record, len);
	return rc ? rc : trim(t, first ? first : e->sequence, e->sequence, keep);
}

struct listing {
	event_visit *visit;
	void *ctx;
	struct event event;
};

static bool visit_event(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *record, size_t len)
{
	struct listing *l = ctx;
	l->event.sequence = sequence_of(key, key_len);
	if (decode(record, len, &l->event))
		return true; /* damaged */
	return l->visit(l->ctx, &l->event);
}

int events_list(
	struct store_snapshot *v, uint64_t after, size_t max, event_visit *visit, void *ctx, bool *more)
{
	struct listing l = {.visit = visit, .ctx = ctx};
	uint8_t key[KEY_SIZE];
	key_of(after, key);
	return store_snapshot_walk(v, STORE_EVENTS, key, sizeof key, max, visit_event, &l, more);
}
