// SPDX-License-Identifier: GPL-3.0-or-later
/* A table of budgets by client address, of bounded size whatever comes: an IPv4 client counts by its address,
 * an IPv6 client by its /56, which is what one household gets. */
#pragma once

#include <stdint.h>

#include "util/address.h"
#include "util/error.h"

/* A budget that refills steadily: `spent` tokens, each of which comes back after period / limit. Kept as the
 * moment at which everything is back, so that one number is enough (the generic cell rate algorithm). */
struct bucket {
	uint8_t client[16];
	int64_t full_at; /* 0: unused */
};

struct buckets;

/* ERR_NOMEM, ERR_SYSTEM (no random bytes). */
int buckets_new(struct buckets **out) MUST_USE;
void buckets_free(struct buckets **b); /* accepts NULL inside; sets it to NULL */

/* The bucket of a client; a new client takes the place of one that is full again sooner than others. */
struct bucket *buckets_find(struct buckets *b, const struct address *client);
