// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of this room share, and what its unit tests may use to inject faults. */
#pragma once

#include <libknot/dname.h>
#include <libknot/packet/pkt.h>
#include <libknot/rrset.h>

#include "dns/dns.h"
#include "dns/rrl.h"
#include "util/hash.h"

enum {
	DNS_HEADER_SIZE = 12,     /* RFC 1035 section 4.1.1 */
	DNS_NAME_MAX = 255,       /* RFC 1035 section 2.3.4 */
	DNS_LABELS_MAX = 127,     /* of a name of 255 octets, the root label not counted */
	DNS_TTL = 3600,           /* seconds: SOA, NS, name server addresses, records without a TTL */
	DNS_TTL_MAX = 0x7fffffff, /* RFC 2181 section 8 */
	DNS_UDP_SIZE = 1232,      /* the most we send over UDP: fits any path without fragments (RFC 9715) */
	DNS_COPY_MAX = 4096,      /* octets; no query is longer */
	DNS_CHAIN_MAX = 8,        /* CNAMEs followed; a static chain is 1 or 2 long */
	DNS_UDP_SIZE_PLAIN = 512, /* without EDNS, RFC 1035 section 4.2.1 */
	DNS_TYPE_NXNAME = 128,    /* RFC 9824 section 2; libknot 3.2 has no name for it */
	DNS_EDE_NOT_READY = 14,   /* RFC 8914 section 4 */
	DNS_EDE_NOT_AUTHORITATIVE = 20,
	DNS_EDE_NOT_SUPPORTED = 21,
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

/* --- cookie.c: RFC 7873, RFC 9018 --- */

enum {
	DNS_COOKIE_CLIENT_SIZE = 8,
	DNS_COOKIE_SIZE = 24,     /* client cookie and server cookie, as we make them */
	DNS_COOKIE_SIZE_MAX = 40, /* as others may */
};

struct dns_cookie_keys {
	size_t count;
	struct hash_key keys[DNS_COOKIE_SECRETS];
};

enum dns_cookie {
	DNS_COOKIE_NONE,
	DNS_COOKIE_MALFORMED,
	DNS_COOKIE_NEW, /* a client cookie alone */
	DNS_COOKIE_BAD, /* a server cookie too old, of another client, or not ours */
	DNS_COOKIE_GOOD /* the client receives what is sent to its address */
};

void dns_cookie_keys_init(struct dns_cookie_keys *k, const struct dns_cookie_secrets *s);

/* Judges the data of a COOKIE option. `now` is in seconds since the epoch. Writes what the reply's COOKIE
 * option is to hold, unless malformed. */
enum dns_cookie dns_cookie_check(const struct dns_cookie_keys *k, const uint8_t *data, size_t len,
	const struct address *client, uint32_t now, uint8_t out[static DNS_COOKIE_SIZE]);

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
	uint16_t rcode;  /* extended */
	uint16_t ede;    /* RFC 8914, or DNS_EDE_NONE */
	bool proven;     /* the client's address is not forged */
	unsigned growth; /* the settings' */
	bool authoritative;
	bool truncated;
	bool bad_key; /* the reply carries a TSIG record that says BADKEY */

	bool edns;         /* the reply carries an OPT record, and in it: */
	bool has_cookie;   /* COOKIE, RFC 7873 */
	const char *nsid;  /* NSID, RFC 5001; NULL: none */
	int64_t keepalive; /* edns-tcp-keepalive, RFC 7828, in milliseconds; 0: none */
	bool padded;       /* Padding, RFC 7830 */
	uint8_t cookie[DNS_COOKIE_SIZE];
	size_t cookie_asked; /* octets of the query's COOKIE option */
};

void dns_arena_init(struct dns_arena *a, knot_mm_t *mm);

/* Empties the arena and sets up both packets. ERR_NOMEM. */
int dns_reply_begin(struct dns_reply *r, struct dns_arena *a, knot_mm_t *mm, const struct dns_query *q,
	uint8_t *out, size_t cap) MUST_USE;

/* The most octets a reply may have. `offered`: what the client takes, with EDNS; `growth`: how many times its
 * query; 0: no matter. */
size_t dns_size_limit(const struct dns_query *q, size_t cap, bool edns, uint16_t offered, unsigned growth);

/* Copies header and question and settles how large the reply may become. ERR_RANGE. */
int dns_reply_question(struct dns_reply *r, size_t cap) MUST_USE;

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

/* The answer, octet for octet what the long way gives; `values` NULL: there is no such name. 0: it is longer
 * than `limit`. */
size_t dns_plain_write(
	const struct dns_plain *p, const struct delegate_values *values, uint8_t *out, size_t limit);
/* What a client gets whose network is over the limit. */
size_t dns_plain_write_limited(const struct dns_plain *p, uint8_t *out, size_t limit);

/* --- answer.c --- */

/* Where values come from: delegate_lookup(), or what a test puts in its place. Same contract. */
typedef int dns_lookup(const struct delegate_source *s, const struct delegate_name *n, int64_t now,
	struct delegate_values *out);

/* The long way alone. `charged`: what the reply costs the client's network is settled already. */
size_t dns_answer_generally(
	struct dns_answerer *a, const struct dns_query *q, bool charged, uint8_t *out, size_t cap);

void dns_answerer_set_lookup(struct dns_answerer *a, dns_lookup *lookup);

enum {
	DNS_RDATA_SIZE =
		sizeof(uint16_t) + 1 + DELEGATE_VALUE_LEN /* knot_rdata_size() of a value: an even number */
};

struct dns_answerer {
	struct dns_settings settings;
	dns_lookup *lookup;
	struct dns_counters *counters; /* the settings', or own_counters */
	struct dns_counters own_counters;
	struct dns_cookie_keys cookie_keys;
	struct rrl *rrl; /* NULL: no limit */
	knot_mm_t mm;
	struct delegate_values values;
	_Alignas(uint16_t) uint8_t rdata[DELEGATE_MAX_VALUES * DNS_RDATA_SIZE]; /* as libknot wants them */
	uint8_t targets[DNS_CHAIN_MAX][DNS_NAME_MAX]; /* of the CNAMEs that were followed */
	uint8_t copy[DNS_COPY_MAX];                   /* of a query that is read in another form */
	struct dns_plain ahead[DNS_AHEAD];
	struct dns_arena arena;
};

/* A stage settles the reply or passes on to the next. */
enum dns_step { DNS_PASS, DNS_SETTLED };

/* What is known about the query in hand. */
struct dns_work {
	struct dns_answerer *a;
	const struct dns_query *query;
	struct dns_reply reply;
	enum dns_cookie cookie;
	const struct dns_zone *zone;
	struct dns_name name; /* the QNAME, later the target of a CNAME */
	uint16_t type;
	const char *told;     /* what class CH is told about this server; NULL: class IN */
	unsigned links;       /* CNAMEs followed */
	bool glue;            /* the answer is the NS set of the apex */
	bool denied;          /* name or type does not exist */
	bool charged;         /* the limit was looked at, and is not reached */
	const uint8_t *shown; /* length and label of the delegate whose values are in the reply; NULL: none */
};

typedef enum dns_step dns_stage(struct dns_work *w);

enum dns_step dns_settle(struct dns_work *w, uint16_t rcode);
enum dns_step dns_run(struct dns_work *w, dns_stage *const stages[], size_t count);

/* --- checks.c: what any way of answering must decide first --- */

/* No reply at all. */
bool dns_must_drop(const struct dns_query *q, size_t cap);

/* Charges the client's network for a reply. True: it has had its share, and gets no more than TC. `proven`:
 * a valid cookie shows that the sender's address is not forged. */
bool dns_over_limit(struct dns_answerer *a, const struct dns_query *q, bool proven);

/* What is settled before looking for data; DNS_PASS: w->zone, or w->told, is the one to ask. */
enum dns_step dns_check(struct dns_work *w);

/* --- Counting --- */

static inline void dns_count_query(struct dns_counters *c, const struct dns_query *q)
{
	(q->tls ? &c->tls : q->tcp ? &c->tcp : &c->udp)[0]++;
}

/* --- Evidence --- */

static inline void dns_testify(const struct dns_answerer *a, const struct dns_query *q, uint16_t zone,
	const uint8_t *label, size_t len)
{
	const struct dns_witness *w = &a->settings.witness;
	if (w->note)
		w->note(w->ctx, zone, label, len, &q->client.address, q->now);
}

/* One look into a small table: this is done for every query. */
static inline enum dns_type_class dns_class_of(uint16_t type)
{
	static const uint8_t low[] = {[1] = DNS_CLASS_A,
		[2] = DNS_CLASS_NS,
		[5] = DNS_CLASS_CNAME,
		[6] = DNS_CLASS_SOA,
		[16] = DNS_CLASS_TXT,
		[28] = DNS_CLASS_AAAA,
		[43] = DNS_CLASS_DS,
		[48] = DNS_CLASS_DNSKEY,
		[65] = DNS_CLASS_HTTPS};
	if (type < sizeof low)
		return (enum dns_type_class)low[type];
	return type == 255 ? DNS_CLASS_ANY : type == 257 ? DNS_CLASS_CAA : DNS_CLASS_OTHER;
}

static inline void dns_count_reply(struct dns_counters *c, uint16_t type, uint16_t rcode, bool truncated)
{
	c->types[dns_class_of(type)]++;
	c->rcodes[rcode % (sizeof c->rcodes / sizeof *c->rcodes)]++;
	c->truncated += truncated;
}
