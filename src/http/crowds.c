// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdlib.h>

#include "http/internal.h"
#include "util/hash.h"
#include "util/secure.h"

enum { BUCKETS = 2048 }; /* a power of two, about one per connection */

LIST_HEAD(crowd_list, crowd);

/* Strangers choose the addresses, so the table is keyed. */
struct crowds {
	struct hash_key key;
	struct crowd_list buckets[BUCKETS];
};

int crowds_new(struct crowds **out)
{
	uint8_t key[HASH_KEY_SIZE];
	if (secure_random(key, sizeof key))
		return ERR_SYSTEM;
	struct crowds *s = calloc(1, sizeof *s); /* zeroed lists are empty ones */
	if (!s)
		return ERR_NOMEM;
	s->key = hash_key_from(key);
	*out = s;
	return OK;
}

void crowds_free(struct crowds **s)
{
	free(*s);
	*s = NULL;
}

struct crowd *crowds_join(struct crowds *s, const struct address *peer)
{
	struct address base = address_network(peer);
	uint64_t hash = hash_64(&s->key, base.bytes, sizeof base.bytes);
	struct crowd_list *bucket = &s->buckets[hash % BUCKETS];
	struct crowd *found;
	LIST_FOREACH(found, bucket, link)
	if (address_equal(&found->base, &base))
		break;
	if (!found) {
		found = calloc(1, sizeof *found);
		if (!found)
			return NULL;
		found->base = base;
		LIST_INSERT_HEAD(bucket, found, link);
	}
	found->count++;
	return found;
}

void crowds_leave(struct crowd *c)
{
	if (!c || --c->count)
		return;
	LIST_REMOVE(c, link);
	free(c);
}
