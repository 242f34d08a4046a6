// SPDX-License-Identifier: GPL-3.0-or-later
/* How many delegates may be registered: per address and hour, and per day over all. A rule without I/O; the
 * counts live in memory and start anew with the process. An IPv6 client is its /56, because that is what one
 * household gets. */
#pragma once

#include <stdint.h>

#include "util/address.h"
#include "util/error.h"

struct limits;

/* 0 means no limit. ERR_NOMEM. */
int limits_new(uint32_t per_address_per_hour, uint32_t per_day, struct limits **out) MUST_USE;
void limits_free(struct limits **l); /* accepts NULL inside; sets it to NULL */

/* Takes one registration off the budgets of `client`. `now` in milliseconds of a clock that does not jump.
 * ERR_LIMIT: none left; *retry_after says after how many seconds there is. */
int limits_take(struct limits *l, const struct address *client, int64_t now, uint32_t *retry_after) MUST_USE;
