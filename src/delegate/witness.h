// SPDX-License-Identifier: GPL-3.0-or-later
/* How the keeper learns which resolvers asked for values: a ring in shared memory for each dns process, which
 * alone writes it; the keeper alone reads. Neither ever waits. A ring that is full drops what comes and
 * counts it; who asks again and again is counted in the dns process and told every few seconds.
 *
 * What is in a ring may be anything if a dns process has been taken over: the keeper takes no length, no
 * number and no label from there without looking at it. (Each dns process can write to the rings of the
 * others, which it could also fill by asking them.)
 *
 * Made by the supervisor, inherited by fork(). One thread per process. */
#pragma once

#include <stdint.h>

#include "delegate/delegate.h"

struct witness;        /* the rings */
struct witness_writer; /* one of them, in a dns process */

/* ERR_NOMEM. */
int witness_new(unsigned rings, struct witness **out) MUST_USE;
/* Takes it away from this process. Accepts NULL inside; sets it to NULL. */
void witness_free(struct witness **w);

/* ---- a dns process ---- */

/* The same ring must not have two writers at once. ERR_NOMEM, ERR_SYSTEM (no random bytes); ERR_RANGE: there
 * is no such ring. */
int witness_writer_new(struct witness *w, unsigned ring, struct witness_writer **out) MUST_USE;
void witness_writer_free(struct witness_writer **w);
/* `client` was answered with values of <label>.<zone>; `label` in either case, 1..63 bytes. `now` in
 * milliseconds since the epoch. */
void witness_note(struct witness_writer *w, uint16_t zone, const uint8_t *label, size_t len,
	const struct address *client, int64_t now);

/* ---- the keeper ---- */

struct witness_entry {
	struct delegate_id id; /* of a delegate there may be */
	struct address resolver;
	int64_t when;
	uint32_t times; /* since it was last told of, at least */
};

/* Takes up to `max` entries. Returns how many; less than `max`: there are no more. */
size_t witness_take(struct witness *w, struct witness_entry *out, size_t max);
/* How many did not find room, over all rings. */
uint64_t witness_lost(const struct witness *w);
