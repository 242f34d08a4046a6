// SPDX-License-Identifier: GPL-3.0-or-later
/* The judge: what one request means, within a transaction. No socket, no clock. */
#pragma once

#include "delegate/limits.h"
#include "ipc/ipc.h"
#include "keeper/keeper.h"

struct judge {
	const struct keeper_settings *settings;
	struct limits *limits;
	bool probe; /* the last commit failed: a health request must try to write */
};

struct judge_time {
	int64_t wall, mono; /* milliseconds */
};

/* Fills in the reply. `t` NULL: the store is not open, everything fails. What the transaction refuses shows
 * in its commit; the caller then turns IPC_OK into IPC_FAILED. */
void judge_request(struct judge *j, struct store_txn *t, const struct ipc_request *r, struct judge_time now,
	struct ipc_reply *out);
