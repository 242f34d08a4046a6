// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/networks.h"

#include <stdlib.h>

#include "util/hash.h"
#include "util/secure.h"

LIST_HEAD(network_list, network);

struct networks {
	struct hash_key key;
	struct network *all; /* as many as there can be connections */
	struct network_list vacant, *buckets;
	size_t mask; /* number of buckets, a power of two, less one */
};

int networks_new(size_t connections, struct networks **out)
{
	uint8_t key[HASH_KEY_SIZE];
	size_t buckets = 1;
	if (secure_random(key, sizeof key))
		return ERR_SYSTEM;
	struct networks *n = calloc(1, sizeof *n);
	if (!n)
		return ERR_NOMEM;
	while (buckets < connections)
		buckets *= 2;
	n->key = hash_key_from(key);
	n->mask = buckets - 1;
	n->all = calloc(connections, sizeof *n->all);
	n->buckets = calloc(buckets, sizeof *n->buckets); /* zeroed lists are empty ones */
	if (!n->all || !n->buckets) {
		networks_free(&n);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < connections; i++)
		LIST_INSERT_HEAD(&n->vacant, &n->all[i], link);
	*out = n;
	return OK;
}

void networks_free(struct networks **n)
{
	if (!*n)
		return;
	free((*n)->buckets);
	free((*n)->all);
	free(*n);
	*n = NULL;
}

static struct network_list *bucket_of(const struct networks *n, const struct address *base)
{
	return &n->buckets[hash_64(&n->key, base->bytes, sizeof base->bytes) & n->mask];
}

static struct network *find(const struct network_list *bucket, const struct address *base)
{
	struct network *found;
	LIST_FOREACH(found, bucket, link)
	if (address_equal(&found->base, base))
		break;
	return found;
}

const struct network *networks_find(const struct networks *n, const struct address *client)
{
	struct address base = address_network(client);
	return find(bucket_of(n, &base), &base);
}

void networks_join(struct networks *n, struct connection *c)
{
	struct address base = address_network(&c->client.address);
	struct network_list *bucket = bucket_of(n, &base);
	struct network *own = find(bucket, &base);
	if (!own) {
		own = LIST_FIRST(&n->vacant); /* there is one: no connection, no network */
		LIST_REMOVE(own, link);
		own->base = base;
		TAILQ_INIT(&own->members);
		LIST_INSERT_HEAD(bucket, own, link);
	}
	own->count++;
	c->network = own;
	TAILQ_INSERT_TAIL(&own->members, c, neighbour);
}

void networks_leave(struct networks *n, struct connection *c)
{
	struct network *own = c->network;
	TAILQ_REMOVE(&own->members, c, neighbour);
	c->network = NULL;
	if (--own->count)
		return;
	LIST_REMOVE(own, link);
	LIST_INSERT_HEAD(&n->vacant, own, link);
}

void networks_touch(struct connection *c)
{
	TAILQ_REMOVE(&c->network->members, c, neighbour);
	TAILQ_INSERT_TAIL(&c->network->members, c, neighbour);
}
