// SPDX-License-Identifier: GPL-3.0-or-later
/* Who has been sent too much lately: by network (/24, /56) and never by name, so that nobody can have a name
 * silenced. Fixed memory, 512 KiB; one thread.
 *
 * Each network has one place in each of two tables, chosen by a keyed hash, and is over the limit only when
 * both say so: a flood from forged networks all over the world fills places that innocent ones share, but
 * hardly both of one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/address.h"
#include "util/error.h"

struct rrl;

/* `rate` > 0 responses a second, shared by `sharers` > 0 tables like this one, among which clients are
 * spread. A network that has been quiet may have five seconds' worth at once, and 1000 at least, from all of
 * them together (250 from one): some dozens of resolvers behind one firewall, asking for each label of a
 * name, are none too many. ERR_NOMEM, ERR_SYSTEM: no random bytes. */
int rrl_new(uint32_t rate, unsigned sharers, struct rrl **out) MUST_USE;
void rrl_free(struct rrl **r); /* accepts NULL inside; sets it to NULL */

/* Brings the memory that rrl_over() will want on its way. */
void rrl_look_ahead(const struct rrl *r, const struct address *client);

/* Charges the client's network for one response at `now` (milliseconds, may jump). True: that was too much.
 * Charged all the same, so whoever floods gets nothing while it lasts; about a second after its end (more,
 * with less than one response a second) all is well again. */
bool rrl_over(struct rrl *r, const struct address *client, int64_t now);
