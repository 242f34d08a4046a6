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

/* What an answerer has done since it was made; written by its thread alone, so another may read them torn at
 * worst. Queries that are dropped count as such and as nothing else. */
struct dns_counters {
	uint64_t udp, tcp, tls; /* queries */
	uint64_t dropped;
	uint64_t rcodes[24]; /* answers by RCODE; 23 is BADCOOKIE, the highest in use */
	uint64_t truncated;  /* answers with TC, of which */
	uint64_t limited;    /* because their client's network had too many */
	uint64_t cookies;    /* queries with a valid server cookie */
};

enum { DNS_COOKIE_SECRETS = 2, DNS_COOKIE_SECRET_SIZE = 16 };

struct dns_cookie_secrets {
	size_t count;                                                /* 0: no cookies */
	uint8_t secrets[DNS_COOKIE_SECRETS][DNS_COOKIE_SECRET_SIZE]; /* the first makes cookies */
};

struct dns_settings {
	const struct dns_zones *zones;
	const char *nsid, *identity, *version;    /* NULL: not told */
	const struct dns_cookie_secrets *cookies; /* NULL: none */
	uint32_t responses_per_second;            /* to one network; 0: no limit */
	const struct prefix *unlimited;
	size_t unlimited_count;
	int64_t tcp_idle;              /* milliseconds, told to clients (RFC 7828) */
	struct dns_counters *counters; /* NULL: nobody counts */
};

/* Everything that the settings point to must outlive it. ERR_NOMEM, ERR_SYSTEM (no random bytes). */
int dns_answerer_new(const struct dns_settings *s, struct dns_answerer **out) MUST_USE;
void dns_answerer_free(struct dns_answerer **a);

enum { DNS_AHEAD = 64 };

struct dns_query {
	const uint8_t *wire;
	size_t len;
	unsigned slot; /* below DNS_AHEAD: its own among those looked ahead at */
	bool tcp;      /* also where it is TLS */
	bool tls;
	struct endpoint client;
	int64_t now; /* milliseconds since the epoch */
	const struct delegate_source *delegates;
};

/* For queries that wait together: to be called for each before the first dns_answer(), which finds in the
 * cache then what it needs. The same query must follow in the same place. */
void dns_look_ahead(struct dns_answerer *a, const struct dns_query *q);

/* Writes the answer to out[0..cap) and returns its length; 0: drop. `cap` >= 512; over UDP the answer is at
 * most what the client takes (512 without EDNS, at most 1232 with), over TCP at most cap. `out` must not
 * overlap the query. */
size_t dns_answer(struct dns_answerer *a, const struct dns_query *q, uint8_t *out, size_t cap);
