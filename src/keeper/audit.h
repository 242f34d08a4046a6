// SPDX-License-Identifier: GPL-3.0-or-later
/* The audit log's side of the keeper. What was done is written in the transaction that does it. Refusals cost
 * whoever provokes them nothing, so they are not written one by one: the first of a kind from a network goes
 * with the next transaction, or the next second's; those that follow within 10 s become one event with
 * `times`, and not more than AUDIT_PER_SECOND such events are written. One thread. */
#pragma once

#include "delegate/events.h"
#include "ipc/messages.h"
#include "keeper/internal.h"

enum {
	AUDIT_NETWORKS = 64, /* refusals of so many kinds and networks are told apart at a time */
	AUDIT_WINDOW_MS = 10000,
	AUDIT_PER_SECOND = 10
};

struct audit;

struct audit_counts {
	uint64_t registrations, changes, refusals; /* done and durable, since the start */
};

/* `keep`: events at most; 0: none is written, all is counted. ERR_NOMEM. */
int audit_new(uint64_t keep, struct audit **out) MUST_USE;
void audit_free(struct audit **a); /* accepts NULL inside; sets it to NULL */

/* The store was opened: learns where the numbers are. Store errors. */
int audit_open(struct audit *a, struct store_txn *t) MUST_USE;
/* Something was done in `t`. Errors stick to the transaction. */
void audit_done(struct audit *a, struct store_txn *t, struct event *e);
/* Something was refused. */
void audit_refused(struct audit *a, const struct event *e, int64_t mono);
/* Before the commit: writes the refusals that are due, if something is written anyway or a second is over. */
void audit_write(struct audit *a, struct store_txn *t, int64_t mono, bool second);
/* After it. */
void audit_committed(struct audit *a, bool durable);

/* The number of the newest durable event; 0: there is none. */
uint64_t audit_last(const struct audit *a);
struct audit_counts audit_counts(const struct audit *a);
