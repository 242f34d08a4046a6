// SPDX-License-Identifier: GPL-3.0-or-later
#include "delegate/buckets.h"

#include <stdlib.h>
#include <string.h>

#include "util/hash.h"
#include "util/secure.h"

enum { SETS = 4096, WAYS = 4 /* addresses that are remembered: SETS x WAYS */ };

struct buckets {
	/* Keeps an attacker from choosing addresses that share a set with somebody else's. */
	struct hash_key key;
	struct bucket sets[SETS][WAYS];
};

int buckets_new(struct buckets **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	int rc = secure_random(&(*out)->key, sizeof(*out)->key);
	if (rc)
		buckets_free(out);
	return rc;
}

void buckets_free(struct buckets **b)
{
	free(*b);
	*b = NULL;
}

struct bucket *buckets_find(struct buckets *b, const struct address *client)
{
	struct address key = address_is_ipv4(client) ? *client : address_network(client);
	struct bucket *set = b->sets[hash_64(&b->key, key.bytes, sizeof key.bytes) % SETS], *oldest = set;
	for (int i = 0; i < WAYS; i++) {
		if (set[i].full_at && memcmp(set[i].client, key.bytes, sizeof key.bytes) == 0)
			return &set[i];
		if (set[i].full_at < oldest->full_at)
			oldest = &set[i];
	}
	*oldest = (struct bucket){.full_at = 0};
	memcpy(oldest->client, key.bytes, sizeof key.bytes);
	return oldest;
}
