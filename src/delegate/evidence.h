// SPDX-License-Identifier: GPL-3.0-or-later
/* Evidence: which resolvers asked for the values of a delegate, and when. Rules, no I/O; times in
 * milliseconds since the epoch. */
#pragma once

#include "delegate/delegate.h"

enum { EVIDENCE_ASKERS = 16 };

struct evidence_asker {
	struct address resolver;
	int64_t first, last;
	uint32_t times;
};

struct evidence {
	size_t count;
	struct evidence_asker askers[EVIDENCE_ASKERS]; /* newest (by `last`) first */
};

/* Somebody asked `times` times, last at `when`. An asker who is known already is moved to the front; a new
 * one takes the place of the one who asked longest ago. No such delegate (any more): nothing is done. Store
 * errors. */
int evidence_note(struct store_txn *t, const struct delegate_id *id, const struct address *resolver,
	int64_t when, uint32_t times) MUST_USE;
/* None is count 0. Store errors. */
int evidence_get(struct store_txn *t, const struct delegate_id *id, struct evidence *out) MUST_USE;
