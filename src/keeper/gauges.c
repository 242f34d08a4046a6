// SPDX-License-Identifier: GPL-3.0-or-later
#include "keeper/gauges.h"

#include "delegate/index.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	MEASURE_MS = 1000,
	INSPECT_MS = 10 * 1000 /* walks the list of free pages */
};

void gauges_committed(const struct court *c, int64_t took_us, bool durable)
{
	struct keeper_counters *n = c->judge.counters;
	n->commits_failed += !durable;
	histogram_add(&n->commits, histogram_durations, took_us > 0 ? (uint64_t)took_us : 0, 1);
	if (c->answers.count)
		histogram_add(&n->groups, histogram_sizes, c->answers.count, 1);
}

void gauges_audited(const struct court *c, const struct audit_counts *before)
{
	const struct audit_counts now = audit_counts(c->judge.audit);
	c->judge.counters->registrations += now.registrations - before->registrations;
	c->judge.counters->changes += now.changes - before->changes;
}

void gauges_undone(const struct court *c)
{
	for (size_t i = 0; i < c->answers.count; i++)
		c->judge.counters->refusals[IPC_FAILED] +=
			c->answers.at[i].status == IPC_OK && c->answers.at[i].type != IPC_HELLO;
}

void gauges_writable(struct keeper_counters *n, bool writable)
{
	if (n->writable_since && n->writable == writable)
		return;
	n->writable = writable;
	n->writable_since = clock_wall_ms();
}

/* A reader that never lets go keeps what was freed since from being used again: the file then grows for ever.
 */
static void note_readers(
	struct gauges *g, struct keeper_counters *n, const struct store_state *s, int64_t mono)
{
	if (s->oldest_held == s->newest || s->oldest_held != g->held)
		g->held_since = mono;
	g->held = s->oldest_held;
	n->reader_lag = s->newest - s->oldest_held;
	n->reader_held_ms = (uint64_t)(mono - g->held_since);
}

static void inspect(struct gauges *g, const struct judge *j, int64_t mono)
{
	struct store_state s;
	if (mono < g->next_inspection)
		return;
	g->next_inspection = mono + INSPECT_MS;
	if (store_inspect(j->store, &s))
		return; /* whoever needs the page says so */
	j->counters->map_bytes = s.map_bytes;
	j->counters->pages_free = s.pages_free;
	j->counters->pages_used = s.pages - s.pages_free;
	note_readers(g, j->counters, &s, mono);
}

static void measure(const struct judge *j)
{
	struct keeper_counters *n = j->counters;
	struct store_size size;
	if (store_measure(j->store, &size))
		return;
	n->store_bytes = size.bytes;
	n->delegates = size.entries[STORE_DELEGATES];
	n->with_values = size.entries[STORE_EXPIRY];
	n->tokens = size.entries[STORE_TOKENS];
	n->events = size.entries[STORE_EVENTS];
}

static void take_index(const struct judge *j)
{
	struct delegate_index_state is;
	if (!j->settings->index)
		return;
	delegate_index_state(j->settings->index, &is);
	j->counters->index_in_service = is.in_service;
	j->counters->index_bytes = is.bytes;
}

static void take_evidence(struct gauges *g, const struct judge *j)
{
	j->counters->evidence += j->collector.noted - g->noted;
	g->noted = j->collector.noted;
	if (j->settings->witness)
		j->counters->evidence_lost = witness_lost(j->settings->witness);
}

void gauges_turn(struct gauges *g, const struct court *c)
{
	const struct judge *j = &c->judge;
	int64_t mono = clock_mono_ms();
	j->counters->beat = mono;
	if (mono < g->next)
		return;
	g->next = mono + MEASURE_MS;
	log_catch_up(false);
	j->counters->started = j->started;
	j->counters->waiting_bcrypt = j->waiting_bcrypt;
	take_index(j);
	take_evidence(g, j);
	if (!j->store)
		return;
	measure(j);
	inspect(g, j, mono);
}
