// SPDX-License-Identifier: GPL-3.0-or-later
/* From a request to its answer: at once, or after its secret was verified, or when there is something to
 * tell. The transaction is the caller's. One thread. */
#pragma once

#include "keeper/answers.h"
#include "keeper/internal.h"
#include "keeper/tickets.h"
#include "keeper/verifier.h"

struct court {
	struct judge judge;
	struct verifier *verifier;
	struct held held;
	struct answers answers;
	struct ipc_reply reply; /* scratch */
};

/* `s` lives as long as the court. ERR_NOMEM, ERR_SYSTEM. */
int court_open(struct court *c, const struct keeper_settings *s) MUST_USE;
/* Whoever still waits gets no answer. */
void court_close(struct court *c);

/* There must be room for an answer. `t` NULL: the store is not open. */
void court_hear(struct court *c, struct store_txn *t, struct judge_time now, const struct sender *from,
	const struct ipc_request *r);
/* Goes on with those whose secrets were verified meanwhile, and with those who wait for events. */
void court_resume(struct court *c, struct store_txn *t, struct judge_time now);
/* court_resume() has something to do for those who wait for events. */
bool court_restless(const struct court *c, int64_t mono);
