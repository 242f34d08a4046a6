// SPDX-License-Identifier: GPL-3.0-or-later
#include "keeper/collector.h"

#include "delegate/evidence.h"

enum { ENTRIES = 256 /* a second: with more, what does not find room in the rings is counted */ };

void collector_run(struct collector *c, struct store_txn *t)
{
	struct witness_entry entries[ENTRIES];
	size_t count = c->witness ? witness_take(c->witness, entries, ENTRIES) : 0;
	for (size_t i = 0; i < count; i++) {
		const struct witness_entry *e = &entries[i];
		if (evidence_note(t, &e->id, &e->resolver, e->when, e->times))
			return;
		c->noted += e->times;
	}
}
