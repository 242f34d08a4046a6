// SPDX-License-Identifier: GPL-3.0-or-later
/* Looking things up in zones that are built. Nothing here allocates or fails. */
#include "dns/internal.h"

static const struct dns_zone *exact_zone(const struct dns_zones *z, const uint8_t *name, size_t len)
{
	size_t low = 0, high = z->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct dns_zone *zone = &z->list[middle];
		int order = dns_name_order(name, len, zone->name, zone->len);
		if (!order)
			return zone;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct dns_zone *dns_zones_find(const struct dns_zones *z, const struct dns_name *n, unsigned skip)
{
	unsigned from = n->labels > z->zone_labels ? n->labels - z->zone_labels : 0;
	for (unsigned i = from > skip ? from : skip; i < n->labels; i++) {
		const struct dns_zone *found = exact_zone(z, n->wire + n->start[i], n->len - n->start[i]);
		if (found)
			return found;
	}
	return NULL;
}

const struct dns_node *dns_zone_node(const struct dns_zone *z, const struct dns_name *n, unsigned from)
{
	const uint8_t *name = n->wire + n->start[from];
	size_t len = n->len - n->start[from], low = 0, high = z->node_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct dns_node *node = &z->nodes[middle];
		int order = dns_name_order(name, len, node->name, node->len);
		if (!order)
			return node;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct dns_node *dns_zone_encloser(const struct dns_zone *z, const struct dns_name *n)
{
	/* Names deeper than the deepest node need no look-up: that bounds the work for names of 127 labels.
	 */
	unsigned from = n->labels > z->node_labels ? n->labels - z->node_labels : 1;
	for (unsigned i = from; i + z->labels < n->labels; i++) {
		const struct dns_node *node = dns_zone_node(z, n, i);
		if (node)
			return node;
	}
	return z->apex;
}

const knot_rrset_t *dns_node_set(const struct dns_node *n, uint16_t type)
{
	for (size_t i = 0; i < n->set_count; i++) {
		if (n->sets[i].type == type)
			return &n->sets[i];
	}
	return NULL;
}

static bool has_label(const struct dns_zone *z, const char *label, size_t len)
{
	for (size_t i = 0; i < z->node_count; i++) {
		const struct dns_node *n = &z->nodes[i];
		if (n->labels == z->labels + 1 && n->name[0] == len && memcmp(n->name + 1, label, len) == 0)
			return true;
	}
	return false;
}

/* Does `other` lie in the zone, below that label or at it? */
static bool is_way_to(const struct dns_zone *z, const struct dns_zone *other, const char *label, size_t len)
{
	const uint8_t *at = other->name;
	if (other->labels <= z->labels || other->len <= z->len ||
		memcmp(other->name + other->len - z->len, z->name, z->len) != 0)
		return false;
	for (unsigned skip = other->labels - z->labels - 1; skip; skip--)
		at += 1 + *at;
	return at + 1 + *at == other->name + other->len - z->len && *at == len &&
	       memcmp(at + 1, label, len) == 0;
}

bool dns_zones_has_static(const struct dns_zones *z, uint16_t id, const char *label)
{
	size_t len = strlen(label);
	bool found = false;
	for (size_t i = 0; i < z->count; i++) {
		if (z->list[i].id != id)
			continue;
		found = has_label(&z->list[i], label, len);
		for (size_t other = 0; !found && other < z->count; other++)
			found = is_way_to(&z->list[i], &z->list[other], label, len);
	}
	return found;
}
