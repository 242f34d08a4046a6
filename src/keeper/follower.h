// SPDX-License-Identifier: GPL-3.0-or-later
/* Keeps the index at the store's commits: takes over what each commit changed before anybody is told of it,
 * and fills the index in slices where it cannot be trusted. One thread. */
#pragma once

#include <stdbool.h>

#include "delegate/index.h"
#include "store/store.h"

struct follower;

/* `x` NULL: there is no index, and everything below does nothing. ERR_NOMEM. */
int follower_new(struct delegate_index *x, struct follower **out) MUST_USE;
void follower_free(
	struct follower **f); /* before its store is closed; accepts NULL inside; sets it to NULL */

/* The keeper has opened its store. An index that is at its last commit stays in service. */
void follower_open(struct follower *f, struct store *s);
/* A transaction has ended: durable, or without a trace. */
void follower_commit(struct follower *f, bool committed);
/* Fills some more of the index, for a few milliseconds. True: there is more to do. */
bool follower_work(struct follower *f);
