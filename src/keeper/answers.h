// SPDX-License-Identifier: GPL-3.0-or-later
/* The answers of one transaction, kept as bytes until it is durable. One thread. */
#pragma once

#include "ipc/ipc.h"
#include "keeper/channels.h"

enum { ANSWERS_MAX = 256 };

struct answer {
	struct channel_ref to;
	struct ipc_envelope envelope;
	enum ipc_type type;
	enum ipc_status status;
	uint8_t *bytes; /* NULL: there was no memory for them, or no room in a message */
	size_t len;
};

struct answers {
	size_t count;
	struct answer at[ANSWERS_MAX];
};

static inline bool answers_full(const struct answers *a)
{
	return a->count == ANSWERS_MAX;
}

/* There must be room. */
void answers_add(
	struct answers *a, struct channel_ref to, const struct ipc_envelope *e, const struct ipc_reply *r);
/* Sends them, and none is left. Not durable: whatever said IPC_OK becomes IPC_FAILED. */
void answers_send(struct answers *a, struct channels *c, bool durable);
/* Forgets them. */
void answers_drop(struct answers *a);
