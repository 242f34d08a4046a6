// SPDX-License-Identifier: GPL-3.0-or-later
#include "keeper/audit.h"

#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* Refusals of one kind from one network. */
struct refusals {
	bool used;
	struct event event; /* as the first one was; `times` of those not written yet */
	struct address network;
	int64_t next;     /* when it may be written (again) */
	uint32_t written; /* in the transaction under way: they come back if it fails */
};

struct audit {
	uint64_t keep;
	uint64_t last, last_written; /* durable; in the transaction under way */
	bool wrote;
	struct audit_counts counts, under_way;
	int64_t second;         /* the refusals written since then: */
	unsigned budget;        /* of which so many are left */
	struct refusals others; /* for which there was no place */
	struct refusals networks[AUDIT_NETWORKS];
};

int audit_new(uint64_t keep, struct audit **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	(*out)->keep = keep;
	return OK;
}

void audit_free(struct audit **a)
{
	free(*a);
	*a = NULL;
}

int audit_open(struct audit *a, struct store_txn *t)
{
	uint64_t first;
	return events_range(t, &first, &a->last);
}

static void append(struct audit *a, struct store_txn *t, struct event *e)
{
	if (!a->keep)
		return;
	if (!events_append(t, e, a->keep)) /* an error sticks to the transaction */
		a->last_written = e->sequence;
}

void audit_done(struct audit *a, struct store_txn *t, struct event *e)
{
	e->times = 1;
	if (e->kind == IPC_EVENT_REGISTER)
		a->under_way.registrations++;
	else if (e->kind != IPC_EVENT_START)
		a->under_way.changes++;
	a->wrote = true;
	append(a, t, e);
}

/* Where a refusal counts. */
static struct refusals *place_of(
	struct audit *a, const struct event *e, const struct address *network, int64_t mono)
{
	struct refusals *free_place = NULL;
	for (size_t i = 0; i < AUDIT_NETWORKS; i++) {
		struct refusals *r = &a->networks[i];
		if (r->used && r->event.kind == e->kind && r->event.outcome == e->outcome &&
			address_equal(&r->network, network))
			return r;
		if (!r->used || (!r->event.times && !r->written && r->next <= mono))
			free_place = r;
	}
	if (!free_place)
		return &a->others;
	*free_place = (struct refusals){.network = *network, .next = mono};
	return free_place;
}

void audit_refused(struct audit *a, const struct event *e, int64_t mono)
{
	struct address network = address_network(&e->client);
	a->counts.refusals++;
	struct refusals *r = place_of(a, e, &network, mono);
	if (!r->event.times) {
		r->used = true;
		r->event = *e;
	}
	r->event.times += r->event.times < UINT32_MAX;
}

static void write_one(struct audit *a, struct store_txn *t, struct refusals *r, int64_t mono)
{
	if (!r->used || !r->event.times || r->next > mono || !a->budget)
		return;
	struct event e = r->event;
	if (r == &a->others && text_format(e.detail, sizeof e.detail, "from many networks, of many kinds"))
		e.detail[0] = 0;
	a->budget--;
	append(a, t, &e);
	r->written = r->event.times;
	r->event.times = 0;
	r->next = mono + AUDIT_WINDOW_MS;
}

void audit_write(struct audit *a, struct store_txn *t, int64_t mono, bool second)
{
	if (!a->wrote && !second)
		return;
	if (mono - a->second >= 1000) {
		a->second = mono;
		a->budget = AUDIT_PER_SECOND;
	}
	for (size_t i = 0; i < AUDIT_NETWORKS; i++)
		write_one(a, t, &a->networks[i], mono);
	write_one(a, t, &a->others, mono);
}

static void settle(struct refusals *r, bool durable)
{
	if (!durable && r->written) {
		r->event.times += r->written;
		r->next = 0;
	}
	r->written = 0;
}

void audit_committed(struct audit *a, bool durable)
{
	if (durable) {
		a->counts.registrations += a->under_way.registrations;
		a->counts.changes += a->under_way.changes;
		if (a->last_written)
			a->last = a->last_written;
	}
	for (size_t i = 0; i < AUDIT_NETWORKS; i++)
		settle(&a->networks[i], durable);
	settle(&a->others, durable);
	a->under_way = (struct audit_counts){0};
	a->last_written = 0;
	a->wrote = false;
}

uint64_t audit_last(const struct audit *a)
{
	return a->last;
}

struct audit_counts audit_counts(const struct audit *a)
{
	return a->counts;
}
