// SPDX-License-Identifier: GPL-3.0-or-later
#include "delegate/limits.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/secure.h"

enum {
	SETS = 4096, /* x WAYS addresses are remembered: bounded memory whatever comes */
	WAYS = 4,
	HOUR = 3600 * 1000,
	DAY = 24 * HOUR
};

/* A budget that refills steadily: `spent` tokens, each of which comes back after period / limit. Kept as the
 * moment at which everything is back, so that one number is enough (the generic cell rate algorithm). */
struct bucket {
	uint8_t client[16];
	int64_t full_at; /* 0: unused */
};

struct limits {
	uint32_t per_hour, per_day;
	struct bucket day;
	uint64_t seed;
	struct bucket sets[SETS][WAYS];
};

int limits_new(uint32_t per_address_per_hour, uint32_t per_day, struct limits **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	(*out)->per_hour = per_address_per_hour;
	(*out)->per_day = per_day;
	/* The seed keeps an attacker from choosing addresses that share a set with somebody else's. */
	int rc = secure_random(&(*out)->seed, sizeof(*out)->seed);
	if (rc)
		limits_free(out);
	return rc;
}

void limits_free(struct limits **l)
{
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

static uint64_t mix(uint64_t h, const uint8_t bytes[static 16])
{
	for (int i = 0; i < 16; i++) {
		h = (h ^ bytes[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return h;
}

/* The bucket of a client; a new client takes the place of the one in its set that is full again first. */
static struct bucket *find(struct limits *l, const struct address *client)
{
	struct address key = *client;
	if (!address_is_ipv4(&key))
		memset(key.bytes + 7, 0, 9);
	struct bucket *set = l->sets[mix(l->seed, key.bytes) % SETS], *oldest = set;
	for (int i = 0; i < WAYS; i++) {
		if (set[i].full_at && memcmp(set[i].client, key.bytes, 16) == 0)
			return &set[i];
		if (set[i].full_at < oldest->full_at)
			oldest = &set[i];
	}
	*oldest = (struct bucket){.full_at = 0};
	memcpy(oldest->client, key.bytes, 16);
	return oldest;
}

int limits_take(struct limits *l, const struct address *client, int64_t now, uint32_t *retry_after)
{
	struct bucket *own = l->per_hour ? find(l, client) : NULL;
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
