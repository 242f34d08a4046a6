// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of this room share, and what its unit tests may use to inject faults. */
#pragma once

#include <libknot/dname.h>
#include <libknot/packet/pkt.h>
#include <libknot/rrset.h>

#include "dns/dns.h"

enum {
	DNS_HEADER_SIZE = 12,     /* RFC 1035 section 4.1.1 */
	DNS_NAME_MAX = 255,       /* RFC 1035 section 2.3.4 */
	DNS_LABELS_MAX = 127,     /* of a name of 255 octets, the root label not counted */
	DNS_TTL = 3600,           /* seconds: SOA, NS, name server addresses, records without a TTL */
	DNS_TTL_MAX = 0x7fffffff, /* RFC 2181 section 8 */
	DNS_UDP_SIZE = 1232,      /* the most we send over UDP: fits any path without fragments (RFC 9715) */
	DNS_UDP_SIZE_PLAIN = 512, /* without EDNS, RFC 1035 section 4.2.1 */
	DNS_TYPE_NXNAME = 128,    /* RFC 9824 section 2; libknot 3.2 has no name for it */
	DNS_EDE_NOT_READY = 14,   /* RFC 8914 section 4 */
	DNS_EDE_NOT_AUTHORITATIVE = 20,
	DNS_EDE_INVALID_QUERY_TYPE = 30,
	DNS_EDE_NONE = UINT16_MAX
};

/* --- names.c --- */

/* A name in lower case, cut into labels: the suffix that begins with label i is wire + start[i]. */
struct dns_name {
	const uint8_t *wire;
	size_t len; /* with the root label */
	unsigned labels;
	uint8_t start[DNS_LABELS_MAX + 1]; /* start[labels] is the root label */
};

/* `wire` must be valid, lower-case and uncompressed, and outlive `n`. */
void dns_name_split(struct dns_name *n, const uint8_t *wire);

/* Order of zones and nodes: shorter first, then by bytes. Not the canonical order of RFC 4034, but all an
 * exact match needs, and one memcmp. */
int dns_name_order(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);

/* Presentation format -> lower-case wire format; returns its length, 0 when it is no domain name. */
size_t dns_name_from_text(const char *text, uint8_t out[static DNS_NAME_MAX]);

/* An e-mail address, or the name made from one -> the name in which SOA carries it (RFC 1035 section 8); 0
 * when it is neither. */
size_t dns_name_from_mail(const char *mail, uint8_t out[static DNS_NAME_MAX]);

/* --- records.c --- */

struct dns_record {
	uint8_t owner[DNS_NAME_MAX]; /* lower case */
	size_t owner_len;
	uint16_t type;
	uint32_t ttl;
	uint8_t rdata[UINT16_MAX];
	uint16_t rdata_len;
};

struct dns_scanner; /* zscanner's state is 200 kB: one for all records */

struct dns_scanner *dns_scanner_new(void); /* NULL: out of memory */
void dns_scanner_free(struct dns_scanner **s);

/* Parses one record; names without a final dot are relative to `origin` (presentation format with final dot).
 * On ERR_INVALID *why is a text that lives as long as the scanner. ERR_NOMEM. */
int dns_record_parse(struct dns_scanner *s, const char *origin, const char *text, struct dns_record *out,
	const char **why) MUST_USE;

/* --- zones.c --- */

/* A name that exists: with records, or an empty non-terminal without (RFC 8499). */
struct dns_node {
	uint8_t *name; /* lower case; owner of every set below */
	uint8_t len;
	uint8_t labels;
	knot_rrset_t *sets;
	size_t set_count;
	const knot_rrset_t *smallest;    /* the answer to ANY (RFC 8482); NULL: no records */
	const struct dns_node *wildcard; /* the node *.<name>, or NULL */
};

/* The SOA record of negative answers as it stands on the wire behind a question of `qname_len` octets: what
 * points to a name before it points into the question's zone or behind it, so behind a question that is
 * longer by n it points n further. */
struct dns_negative {
	uint8_t wire[2 + 10 + 2 * DNS_NAME_MAX + 20];
	uint16_t len;
	uint16_t pointers[3]; /* where in `wire` */
	uint8_t pointer_count;
	uint8_t qname_len;
};

struct dns_zone {
	uint8_t name[DNS_NAME_MAX];
	uint8_t len;
	uint8_t labels;
	uint16_t id; /* the store's */
	uint32_t value_ttl;
	const struct conf_zone *conf; /* valid while building only */
	struct dns_node *nodes;       /* in dns_name_order; contains the apex */
	size_t node_count;
	unsigned node_labels; /* of the deepest node */
	const struct dns_node *apex;
	knot_rrset_t negative_soa; /* as negative answers carry it; shares the rdata of the apex's */
	struct dns_negative negative;
	const knot_rrset_t **glue; /* addresses of the zone's name servers; the sets belong to nodes */
	size_t glue_count;
};

struct dns_zones {
	struct dns_zone *list; /* in dns_name_order */
	size_t count;
	unsigned zone_labels; /* of the deepest zone */
};

/* The zone with the longest name that `n` lies in, or NULL. `skip` labels of `n` do not count: 1 finds its
 * parent's. */
const struct dns_zone *dns_zones_find(const struct dns_zones *z, const struct dns_name *n, unsigned skip);

/* The node that is exactly the suffix of `n` starting at label `from`, or NULL. */
const struct dns_node *dns_zone_node(const struct dns_zone *z, const struct dns_name *n, unsigned from);

/* The deepest node above `n`, a name in the zone that is no node itself (RFC 4592 section 3.3.1); never NULL.
 */
const struct dns_node *dns_zone_encloser(const struct dns_zone *z, const struct dns_name *n);

const knot_rrset_t *dns_node_set(const struct dns_node *n, uint16_t type);

/* --- reply.c --- */

/* Memory for the packet structures of one query, taken in order and given back all at once: libknot allocates
 * nothing from the heap this way. It bounds what a query may contain, too: one with hundreds of records does
 * not fit and is treated as malformed. */
struct dns_arena {
	size_t used;
	_Alignas(16) uint8_t bytes[32768];
};

struct dns_reply {
	knot_mm_t *mm;
	const struct dns_query *query;
	knot_pkt_t *in, *out;
	uint16_t rcode; /* extended */
	uint16_t ede;   /* RFC 8914, or DNS_EDE_NONE */
	bool authoritative;
	bool truncated;
	bool edns;    /* the reply carries an OPT record */
	bool bad_key; /* the reply carries a TSIG record that says BADKEY */
};

void dns_arena_init(struct dns_arena *a, knot_mm_t *mm);

/* Empties the arena and sets up both packets. ERR_NOMEM. */
int dns_reply_begin(struct dns_reply *r, struct dns_arena *a, knot_mm_t *mm, const struct dns_query *q,
	uint8_t *out, size_t cap) MUST_USE;

/* Copies header and question and settles how large the reply may become. ERR_RANGE. */
int dns_reply_question(struct dns_reply *r, size_t cap) MUST_USE;

/* The most octets of a reply over UDP. `offered`: what the client takes, with EDNS. */
size_t dns_udp_limit(bool edns, size_t offered);

/* Adds a set, whole or not at all; `hint` as in libknot's compr.h. ERR_RANGE: no room. */
int dns_reply_put(struct dns_reply *r, uint16_t hint, const knot_rrset_t *set) MUST_USE;

/* Adds what stands at the end and the header's flags; returns the length, 0: drop. */
size_t dns_reply_finish(struct dns_reply *r);

/* --- plain.c: the plainest queries, answered without libknot --- */

/* One question of class IN for an ordinary type, at most an OPT record without options, about a name that
 * only the store or the index can know: nine in ten of all queries. */
struct dns_plain {
	const uint8_t *wire; /* of the query; NULL: it is not that plain */
	const struct dns_zone *zone;
	struct delegate_name name;
	uint16_t type;
	uint16_t payload; /* with EDNS */
	uint8_t qname_len;
	bool edns, dnssec_ok;
};

/* Brings what the answer needs into the cache. */
void dns_plain_parse(const struct dns_zones *z, const struct dns_query *q, struct dns_plain *out);

/* As SOA records of negative answers are rendered by libknot. ERR_NOMEM. */
int dns_negative_render(struct dns_zone *z) MUST_USE;

/* The answer, octet for octet what the general path gives; `values` NULL: there is no such name. 0: it is
 * longer than `limit`. */
size_t dns_plain_write(
	const struct dns_plain *p, const struct delegate_values *values, uint8_t *out, size_t limit);

/* --- answer.c --- */

/* Where values come from: delegate_lookup(), or what a test puts in its place. Same contract. */
typedef int dns_lookup(const struct delegate_source *s, const struct delegate_name *n, int64_t now,
	struct delegate_values *out);

/* The long way alone, for holding the short one against it. */
size_t dns_answer_generally(struct dns_answerer *a, const struct dns_query *q, uint8_t *out, size_t cap);

void dns_answerer_set_lookup(struct dns_answerer *a, dns_lookup *lookup);
