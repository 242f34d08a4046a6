// SPDX-License-Identifier: GPL-3.0-or-later
#include "dns/rrl.h"

#include <stdlib.h>
#include <string.h>

#include "util/hash.h"
#include "util/secure.h"

enum {
	TABLES = 2,
	PLACES = 32768, /* of a table; a power of two */
	PLACE_BITS = 15,
	BURST_SECONDS = 5,
	BURST_MIN = 1000, /* responses, of all sharers */
	BURST_SHARE_MIN = 250
};

static const int64_t second = 1000 * 1000 * 1000, millisecond = 1000 * 1000; /* in nanoseconds */

_Static_assert(PLACES == 1 << PLACE_BITS, "places are numbered by that many bits of a hash");

/* The generic cell rate algorithm: a place holds the time when all that was sent will have been paid for,
 * where one response takes `price` of time to pay. */
struct rrl {
	struct hash_key key;
	int64_t price;                /* nanoseconds */
	int64_t burst;                /* nanoseconds of debt up to which a network is served */
	int64_t paid[TABLES][PLACES]; /* nanoseconds since the epoch; 0: long ago */
};

int rrl_new(uint32_t rate, unsigned sharers, struct rrl **out)
{
	uint8_t key[HASH_KEY_SIZE];
	struct rrl *r = NULL;
	int rc = secure_random(key, sizeof key);
	if (!rc && !(r = calloc(1, sizeof *r)))
		rc = ERR_NOMEM;
	if (!rc) {
		int64_t burst = (int64_t)rate * BURST_SECONDS;
		burst = (burst < BURST_MIN ? BURST_MIN : burst) / sharers;
		r->key = hash_key_from(key);
		r->price = second * sharers / rate;
		r->burst = r->price * (burst < BURST_SHARE_MIN ? BURST_SHARE_MIN : burst);
	}
	*out = r;
	return rc;
}

void rrl_free(struct rrl **r)
{
	free(*r);
	*r = NULL;
}

/* The places of a network: as many bits of one hash for each table. */
static uint64_t places_of(const struct rrl *r, const struct address *client)
{
	/* A /56 is 7 bytes, a /24 is 3, and the last byte keeps the two families apart. */
	uint8_t network[8] = {0};
	if (address_is_ipv4(client)) {
		network[7] = 4;
		memcpy(network, client->bytes + 12, 3);
	} else {
		memcpy(network, client->bytes, 7);
	}
	return hash_64(&r->key, network, sizeof network);
}

static size_t place_in(uint64_t places, unsigned table)
{
	return places >> (table * PLACE_BITS) & (PLACES - 1);
}

void rrl_look_ahead(const struct rrl *r, const struct address *client)
{
	uint64_t places = places_of(r, client);
	for (unsigned i = 0; i < TABLES; i++)
		__builtin_prefetch(&r->paid[i][place_in(places, i)], 1);
}

bool rrl_over(struct rrl *r, const struct address *client, int64_t now)
{
	uint64_t places = places_of(r, client);
	int64_t time = now * millisecond, most = time + r->burst + second;
	bool over = true;
	for (unsigned i = 0; i < TABLES; i++) {
		int64_t *paid = &r->paid[i][place_in(places, i)];
		int64_t next = (*paid > time ? *paid : time) + r->price;
		over = over && next - time > r->burst;
		/* Never more debt than that: neither a flood nor a clock that was set back shall be felt for
		 * long. */
		*paid = next < most ? next : most;
	}
	return over;
}
