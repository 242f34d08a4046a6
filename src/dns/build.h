// SPDX-License-Identifier: GPL-3.0-or-later
/* Between build.c, which makes zones of the configuration, and own.c, which adds what this server's own
 * certificate needs. */
#pragma once

#include "dns/internal.h"

struct build {
	struct dns_zones *zones;
	struct dns_scanner *scanner;
	struct dns_record *record;
	const char *file;
	struct diag *diag;
	const struct dns_own *own;       /* NULL: nothing is added */
	struct dns_zone *home;           /* the zone that has the challenge; NULL: none */
	uint8_t challenge[DNS_NAME_MAX]; /* _acme-challenge.<home> */
	uint8_t alias[DNS_NAME_MAX];     /* _acme-challenge.<host>, where that is another name in `home`; or
					    empty:     the root */
};

/* Adds a name of the zone with all names between it and the apex: they exist, too (RFC 4592 section 2.2.2).
 * *out is valid until the next call. ERR_NOMEM. */
int build_name(struct dns_zone *z, const uint8_t *name, struct dns_node **out) MUST_USE;
/* All records of a set have one TTL (RFC 2181 section 5.2): the smallest given. ERR_NOMEM. */
int build_record(struct dns_node *n, uint16_t type, uint32_t ttl, const uint8_t *rdata, size_t len) MUST_USE;
struct dns_zone *build_owner_zone(const struct build *b, const uint8_t *name);

/* own.c, in this order: */

/* Settles the names, before records are added. */
void own_names(struct build *b, const struct conf_zone *first);
/* Why an operator's record cannot stand at its owner, or NULL. */
const char *own_refusal(const struct build *b, const struct dns_record *r);
/* Adds the alias and the CAA records, after all others. ERR_NOMEM. */
int own_records(const struct build *b) MUST_USE;
