// SPDX-License-Identifier: GPL-3.0-or-later
/* The audit log: what was asked, by whom, from where, and how it ended. Written in the transaction of the
 * change itself, so it says what is true. Rules, no I/O. */
#pragma once

#include "delegate/delegate.h"

enum { EVENT_DETAIL_MAX = 100, EVENT_KEY_MAX = 64, EVENT_NAME_MAX = 253 };

struct event {
	uint64_t sequence;
	int64_t when; /* milliseconds since the epoch */
	/* Numbers of enum ipc_event_kind, ipc_status and ipc_by, which this room does not know. */
	uint8_t kind, outcome, by;
	uint32_t times, uid;
	struct address client;
	char key[EVENT_KEY_MAX + 1];
	char name[EVENT_NAME_MAX + 1];
	char detail[EVENT_DETAIL_MAX + 1];
};

/* Sequence numbers of the oldest and the newest one kept; 0, 0: there are none. Store errors. */
int events_range(struct store_txn *t, uint64_t *first, uint64_t *last) MUST_USE;

/* Appends one under the next number, which goes to e->sequence, and drops the oldest so that at most `keep`
 * are left (at most a few at a time). Numbers grow for ever. Store errors. */
int events_append(struct store_txn *t, struct event *e, uint64_t keep) MUST_USE;

/* Those behind `after`, oldest first; as delegate_list(). */
typedef bool event_visit(void *ctx, const struct event *e);
int events_list(struct store_snapshot *v, uint64_t after, size_t max, event_visit *visit, void *ctx,
	bool *more) MUST_USE;
