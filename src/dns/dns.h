// SPDX-License-Identifier: GPL-3.0-or-later
/* The answering side of DNS: query bytes in, answer bytes out. No socket, no clock, no allocation per query.
 * libknot and libzscanner stay behind this header.
 *
 * struct dns_zones is built once, is immutable and may be shared by processes and threads; a struct
 * dns_answerer belongs to one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "delegate/delegate.h"
#include "util/address.h"
#include "util/diag.h"
#include "util/error.h"

struct dns_zones;
struct dns_answerer;

/* Builds the zones: SOA, NS, addresses of in-zone name servers, static records (presentation format, parsed
 * by libzscanner), empty non-terminals. ids[i] is the store's id of zones[i]. Problems go to `d` with `file`
 * and the line of the key they came from: bad zone name, bad record, record outside its zone, CNAME beside
 * other data, in-zone name server without address, the same zone twice. ERR_INVALID: see `d`. ERR_NOMEM. */
int dns_zones_build(const struct conf_zone *zones, const uint16_t *ids, size_t count, const char *file,
	struct diag *d, struct dns_zones **out) MUST_USE;
void dns_zones_free(struct dns_zones **z); /* accepts NULL inside; sets it to NULL */

/* `zones` must outlive it. ERR_NOMEM. */
int dns_answerer_new(const struct dns_zones *zones, struct dns_answerer **out) MUST_USE;
void dns_answerer_free(struct dns_answerer **a);

struct dns_query {
	const uint8_t *wire;
	size_t len;
	bool tcp;
	struct endpoint client;
	int64_t now;                     /* milliseconds since the epoch */
	struct store_snapshot *snapshot; /* pinned; NULL: the store cannot be read, delegates are SERVFAIL */
};

/* Writes the answer to out[0..cap) and returns its length; 0: drop. `cap` >= 512; over UDP the answer is at
 * most what the client takes (512 without EDNS, at most 1232 with), over TCP at most cap. `out` must not
 * overlap the query. */
size_t dns_answer(struct dns_answerer *a, const struct dns_query *q, uint8_t *out, size_t cap);
