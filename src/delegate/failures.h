// SPDX-License-Identifier: GPL-3.0-or-later
/* Failed logins by address: how long a refusal is to be held back, so that guessing is slow and logs stay
 * readable. Nobody is locked out: who has the right key is not asked about here. A rule without I/O; it
 * forgets when the process ends. */
#pragma once

#include <stdint.h>

#include "util/address.h"
#include "util/error.h"

enum { FAILURES_FREE = 5, FAILURES_DELAY_MAX = 2000 };

struct failures;

/* ERR_NOMEM, ERR_SYSTEM. */
int failures_new(struct failures **out) MUST_USE;
void failures_free(struct failures **f); /* accepts NULL inside; sets it to NULL */

/* One more failure of `client`. `now` in milliseconds of a clock that does not jump. Returns milliseconds to
 * hold the refusal back: 0 for the first FAILURES_FREE within a minute, then more and more, at most
 * FAILURES_DELAY_MAX; after some minutes without a failure 0 again. */
uint32_t failures_note(struct failures *f, const struct address *client, int64_t now);
