// SPDX-License-Identifier: GPL-3.0-or-later
/* Which connections come from one network (/24, /56), the one idle longest first: so that a network's share
 * can be held without a look at all connections. Strangers choose the addresses, so the table is keyed. All
 * memory is taken at the start. */
#pragma once

#include "net/connection.h"

struct network {
	struct address base;
	struct connection_list members; /* idle longest first */
	size_t count;
	LIST_ENTRY(network) link;
};

struct networks;

/* For at most `connections` members in all. ERR_NOMEM, ERR_SYSTEM (no random numbers). */
int networks_new(size_t connections, struct networks **out) MUST_USE;
void networks_free(struct networks **n); /* accepts NULL inside; sets it to NULL */

/* NULL: nobody from there. */
const struct network *networks_find(const struct networks *n, const struct address *client);

/* By c->client; behind all others of its network. */
void networks_join(struct networks *n, struct connection *c);
void networks_leave(struct networks *n, struct connection *c);

/* It was active: behind all others of its network. */
void networks_touch(struct connection *c);
