// SPDX-License-Identifier: GPL-3.0-or-later
/* Requests that cannot be answered yet. One thread. */
#pragma once

#include "ipc/ipc.h"
#include "keeper/channels.h"

/* Where a request came from, and so where its answer goes. */
struct sender {
	struct channel_ref channel;
	struct ipc_envelope envelope;
	struct asker asker;
};

struct ticket {
	struct sender sender;
	struct ipc_request request;
	int64_t deadline; /* clock_mono_ms() */
	uint64_t seen;    /* the event log was looked at up to here */
};

/* Copies. NULL: no memory. */
struct ticket *ticket_new(const struct sender *s, const struct ipc_request *r);
void ticket_free(struct ticket **k); /* accepts NULL inside; sets it to NULL */
/* The same, for verifier_free(). */
void ticket_drop(void *ticket);

/* Those who wait for events. */
enum {
	TICKETS_HELD = 16,
	TICKETS_PATIENCE_MS = 9 * 1000 /* 10 s are promised, and the loop turns each second */
};

struct held {
	struct ticket *at[TICKETS_HELD]; /* NULL: free */
};

/* False: no place, or no memory. */
bool held_add(
	struct held *d, const struct sender *s, const struct ipc_request *r, uint64_t seen, int64_t now);
/* Is there something to do for it? */
bool held_due(const struct ticket *k, uint64_t last_event, int64_t now);
bool held_any_due(const struct held *d, uint64_t last_event, int64_t now);
void held_drop(struct held *d);
