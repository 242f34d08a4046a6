// SPDX-License-Identifier: GPL-3.0-or-later
/* Says whether a secret fits a bcrypt digest, which takes 50 ms and more: in a thread of its own, at the
 * lowest priority, so that nobody else waits for it. Apart from that thread, one thread.
 *
 * What it may cost is bounded: VERIFIER_QUEUE secrets wait at most, VERIFIER_PER_NETWORK of one network
 * (address_network()); a secret that waits already is not computed twice, but VERIFIER_TICKETS requests at
 * most share one. Digests that would take longer than a second (cost above VERIFIER_COST_MAX) or are none fit
 * no secret. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/address.h"
#include "util/error.h"

enum {
	VERIFIER_QUEUE = 64,
	VERIFIER_PER_NETWORK = 4,
	VERIFIER_TICKETS = 8,
	VERIFIER_COST_MAX = 14,
	VERIFIER_TEXT = 65 /* size of key id, secret and digest, with the NUL */
};

struct verifier;

/* ERR_NOMEM, ERR_SYSTEM. The thread starts with the first question. */
int verifier_new(struct verifier **out) MUST_USE;
/* Waits for the digest under way. `drop` gets every ticket that was not collected. Accepts NULL inside; sets
 * it to NULL. */
void verifier_free(struct verifier **v, void (*drop)(void *ticket));

/* Asks whether `secret` of key `key_id` fits `bcrypt`. The ticket comes back with the verdict. ERR_LIMIT: too
 * many wait, in all or from there. ERR_RANGE: a text that is too long. ERR_SYSTEM: no thread. */
int verifier_ask(struct verifier *v, const char *key_id, const char *secret, const char *bcrypt,
	const struct address *client, void *ticket) MUST_USE;

struct verdict {
	char key_id[VERIFIER_TEXT], secret[VERIFIER_TEXT], bcrypt[VERIFIER_TEXT];
	bool right;
	size_t ticket_count;
	void *tickets[VERIFIER_TICKETS];
};

/* Takes the next verdict; wipe it after use. False: none yet. */
bool verifier_collect(struct verifier *v, struct verdict *out);
/* Readable while there may be verdicts to collect. */
int verifier_fd(const struct verifier *v);
/* How many secrets wait. */
size_t verifier_waiting(struct verifier *v);

/* The computation itself; any thread, with scratch memory of its own. */
bool verifier_fits(const char *secret, const char *bcrypt);
