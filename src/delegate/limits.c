// SPDX-License-Identifier: GPL-3.0-or-later
#include "delegate/limits.h"

#include <stdlib.h>

#include "delegate/buckets.h"

enum { HOUR = 3600 * 1000, DAY = 24 * HOUR };

struct limits {
	uint32_t per_hour, per_day;
	struct bucket day;
	struct buckets *clients;
};

int limits_new(uint32_t per_address_per_hour, uint32_t per_day, struct limits **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	(*out)->per_hour = per_address_per_hour;
	(*out)->per_day = per_day;
	int rc = buckets_new(&(*out)->clients);
	if (rc)
		limits_free(out);
	return rc;
}

void limits_free(struct limits **l)
{
	if (!*l)
		return;
	buckets_free(&(*l)->clients);
	free(*l);
	*l = NULL;
}

/* Milliseconds to wait for a token; 0: there is one. */
static int64_t wait_for(const struct bucket *b, uint32_t limit, int64_t period, int64_t now)
{
	int64_t start = b->full_at > now ? b->full_at : now;
	int64_t over = start + period / limit - now - period;
	return over > 0 ? over : 0;
}

static void spend(struct bucket *b, uint32_t limit, int64_t period, int64_t now)
{
	b->full_at = (b->full_at > now ? b->full_at : now) + period / limit;
}

int limits_take(struct limits *l, const struct address *client, int64_t now, uint32_t *retry_after)
{
	struct bucket *own = l->per_hour ? buckets_find(l->clients, client) : NULL;
	int64_t wait = own ? wait_for(own, l->per_hour, HOUR, now) : 0;
	int64_t day = l->per_day ? wait_for(&l->day, l->per_day, DAY, now) : 0;
	wait = day > wait ? day : wait;
	*retry_after = (uint32_t)((wait + 999) / 1000);
	if (wait)
		return ERR_LIMIT;
	if (own)
		spend(own, l->per_hour, HOUR, now);
	if (l->per_day)
		spend(&l->day, l->per_day, DAY, now);
	return OK;
}
