// SPDX-License-Identifier: GPL-3.0-or-later
/* What the keeper counts of itself, for those who watch it. One thread. */
#pragma once

#include "keeper/audit.h"
#include "keeper/court.h"

struct gauges {
	int64_t next, next_inspection; /* when to look again: clock_mono_ms() */
	uint64_t noted;                /* of the collector, as far as it was counted */
	uint64_t held;                 /* the oldest commit that was held at the last look, ... */
	int64_t held_since;            /* ... and since when */
};

/* A transaction that wrote something has ended. */
void gauges_committed(const struct court *c, int64_t took_us, bool durable);
/* What the audit log has counted since `before`. */
void gauges_audited(const struct court *c, const struct audit_counts *before);
/* The answers of the transaction that failed are about to become refusals. */
void gauges_undone(const struct court *c);
/* Is the store in order? Notes when that changes. */
void gauges_writable(struct keeper_counters *n, bool writable);
/* At the end of each turn of the loop: that there was one, and once a second how large everything is. */
void gauges_turn(struct gauges *g, const struct court *c);
