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
/* The certificate of this server's own API: where the challenge for it is, and who may issue it. */
struct dns_own {
	const char *host;              /* lower case, no final dot; NULL: not a name */
	const struct conf_zone *zone;  /* the innermost of those to be built that holds it; NULL: none */
	bool acme;                     /* the server gets the certificate itself */
	const char *account;           /* then: URL of its account with the CA; empty: it has none yet */
	const char *const *identities; /* and the names by which the CA knows itself in CAA records */
	size_t identity_count;
};

/* The same, and what follows from `own`:
 * - With `acme`, _acme-challenge.<zone> in the zone that holds the host (or the first) is the server's own
 *   delegate, and for a host below the zone _acme-challenge.<host> is a CNAME to it.
 * - Zones without a CAA record at their apex get one (RFC 8659, RFC 8657): with `acme` the zone that has the
 *   challenge allows that account with the CA and nobody else (or, where that cannot be said, stays open);
 * where the host is in a zone, but somebody else gets its certificate, no zone above it says anything; all
 * others allow nobody. */
int dns_zones_build_own(const struct conf_zone *zones, const uint16_t *ids, size_t count,
	const struct dns_own *own, const char *file, struct diag *d, struct dns_zones **out) MUST_USE;
/* Is there a static name <label>.<zone>, with records or an empty non-terminal, or is another zone there or
 * below it? No delegate of that label would ever be answered. `label` in lower case. */
bool dns_zones_has_static(const struct dns_zones *z, uint16_t id, const char *label);
void dns_zones_free(struct dns_zones **z); /* accepts NULL inside; sets it to NULL */

/* Types of queries that are told apart; CLASS_OTHER is whatever else there is, and no question at all. */
enum dns_type_class {
	DNS_CLASS_OTHER,
	DNS_CLASS_TXT,
	DNS_CLASS_A,
	DNS_CLASS_AAAA,
	DNS_CLASS_NS,
	DNS_CLASS_SOA,
	DNS_CLASS_CAA,
	DNS_CLASS_DNSKEY,
	DNS_CLASS_DS,
	DNS_CLASS_CNAME,
	DNS_CLASS_ANY,
	DNS_CLASS_HTTPS,
	DNS_CLASSES
};

/* What an answerer has done. Written by its thread alone and only ever counted up, so others may read it at
 * any time. */
struct dns_counters {
	uint64_t udp, tcp, tls;      /* messages that arrived, each in one of the three */
	uint64_t dropped;            /* of them, those without a reply: they are in nothing below */
	uint64_t types[DNS_CLASSES]; /* replies by type of the query */
	uint64_t rcodes[24];         /* replies by RCODE; 23 is BADCOOKIE, the highest in use */
	uint64_t truncated;          /* replies with TC, of which */
	uint64_t limited;            /* because their client's network asked too much */
	uint64_t cookies;            /* queries with a valid server cookie */
	uint64_t bad_cookies; /* with another one. Many: servers of one address differ in their secrets */
};

enum { DNS_COOKIE_SECRETS = 2, DNS_COOKIE_SECRET_SIZE = 16 };

/* RFC 9018 section 5: while a secret is being changed, cookies made with either are valid. */
struct dns_cookie_secrets {
	size_t count;                                                /* 0: no cookies */
	uint8_t secrets[DNS_COOKIE_SECRETS][DNS_COOKIE_SECRET_SIZE]; /* the first makes cookies */
};

/* Is told when a TXT query has been answered with values of a delegate, whole. */
struct dns_witness {
	void (*note)(void *ctx, uint16_t zone, const uint8_t *label, size_t len, const struct address *client,
		int64_t now);
	void *ctx;
};

struct dns_settings {
	const struct dns_zones *zones;
	const char *nsid, *identity, *version;    /* NULL: not told; no longer than conf.h says */
	const struct dns_cookie_secrets *cookies; /* NULL: none; copied */
	uint32_t responses_per_second; /* over UDP to one network, from all answerers together; 0: no limit */
	unsigned growth;    /* how many times its query a reply over UDP may be where no cookie shows
			       that the sender is not forged; 0: no matter */
	unsigned answerers; /* how many share that; 0 is 1 */
	const struct prefix *unlimited;
	size_t unlimited_count;
	int64_t tcp_idle;              /* milliseconds, told to clients (RFC 7828); 0: not told */
	struct dns_counters *counters; /* NULL: nobody reads them */
	struct dns_witness witness;    /* note NULL: nobody wants to know */
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
	int64_t now;  /* milliseconds since the epoch */
	int64_t jump; /* milliseconds by which `now` was set ahead (or, negative, back) since the server
			 started: values live by the time that has passed */
	const struct delegate_source *delegates;
};

/* For queries that wait together: to be called for each before the first dns_answer(), which finds in the
 * cache then what it needs. The same query must follow in the same place. */
void dns_look_ahead(struct dns_answerer *a, const struct dns_query *q);

/* Writes the answer to out[0..cap) and returns its length; 0: drop. `cap` >= 512; over UDP the answer is at
 * most what the client takes (512 without EDNS, at most 1232 with), over TCP at most cap. `out` must not
 * overlap the query. */
size_t dns_answer(struct dns_answerer *a, const struct dns_query *q, uint8_t *out, size_t cap);
