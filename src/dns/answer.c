// SPDX-License-Identifier: GPL-3.0-or-later
/* Query -> answer, in stages. A stage looks at one thing and either settles the reply or passes on to the
 * next; the header, EDNS and truncation are settled at the end for all of them alike. */
#include <stdlib.h>

#include <libknot/consts.h>
#include <libknot/descriptor.h>
#include <libknot/rrtype/opt.h>

#include "dns/internal.h"

enum {
	CHAIN_MAX = 8, /* CNAMEs followed; a static chain is 1 or 2 long, a loop endless */
	RDATA_SIZE =
		sizeof(uint16_t) + 1 + DELEGATE_VALUE_LEN, /* knot_rdata_size() of a value: an even number */
	PORT_ECHO = 7,
	PORT_CHARGEN = 19
};

struct dns_answerer {
	struct dns_settings settings;
	dns_lookup *lookup;
	knot_mm_t mm;
	struct delegate_values values;
	_Alignas(uint16_t) uint8_t rdata[DELEGATE_MAX_VALUES * RDATA_SIZE]; /* values as libknot wants them */
	uint8_t target[DNS_NAME_MAX];                                       /* of the CNAME being followed */
	struct dns_plain ahead[DNS_AHEAD];
	struct dns_arena arena;
};

enum step { PASS, SETTLED };

/* What is known about the query in hand. */
struct work {
	struct dns_answerer *a;
	const struct dns_query *query;
	struct dns_reply reply;
	const struct dns_zone *zone;
	struct dns_name name; /* the QNAME, later the target of a CNAME */
	uint16_t type;
	bool glue;   /* the answer is the NS set of the apex */
	bool denied; /* name or type does not exist */
};

static enum step settle(struct work *w, uint16_t rcode)
{
	w->reply.rcode = rcode;
	return SETTLED;
}

/* --- Stages --- */

static enum step check_opcode(struct work *w)
{
	/* Also NOTIFY and UPDATE: RFC 1996 and 2136 section 3.8 leave NOTIMP to those who do not speak them.
	 */
	return knot_wire_get_opcode(w->query->wire) ? settle(w, KNOT_RCODE_NOTIMPL) : PASS;
}

static enum step parse(struct work *w)
{
	/* RFC 9619: exactly one question. (None is for servers with cookies, RFC 7873 section 5.4.) */
	if (knot_wire_get_qdcount(w->query->wire) != 1)
		return settle(w, KNOT_RCODE_FORMERR);
	/* Anything behind the last record is malformed, too (KNOT_ETRAIL). libknot's one oddity: it takes an
	 * OPT that offers a size of exactly 1 and has no options for an empty record of class IN, which is
	 * malformed. */
	if (knot_pkt_parse(w->reply.in, KNOT_PF_KEEPWIRE))
		return settle(w, KNOT_RCODE_FORMERR);
	return PASS;
}

static enum step check_edns(struct work *w)
{
	const knot_rrset_t *opt = w->reply.in->opt_rr;
	if (!opt)
		return PASS;
	/* RFC 6891 section 6.1.2: the owner is the root. More than one OPT is refused by the parser. */
	if (opt->owner[0])
		return settle(w, KNOT_RCODE_FORMERR);
	w->reply.edns = true;
	return knot_edns_get_version(opt) ? settle(w, KNOT_RCODE_BADVERS) : PASS;
}

static enum step check_tsig(struct work *w)
{
	const knot_pkt_t *in = w->reply.in;
	if (!in->tsig_rr)
		return PASS;
	/* RFC 8945 section 5.1: it must be the last record. */
	if (in->tsig_rr != &in->rr[in->rrset_count - 1])
		return settle(w, KNOT_RCODE_FORMERR);
	w->reply.bad_key = true; /* we have none */
	return settle(w, KNOT_RCODE_NOTAUTH);
}

static enum step check_question(struct work *w)
{
	w->type = knot_pkt_qtype(w->reply.in);
	/* Also class ANY, which no server of one class needs to know, and CH with version.bind (RFC 4892). */
	if (knot_pkt_qclass(w->reply.in) != KNOT_CLASS_IN)
		return settle(w, KNOT_RCODE_REFUSED);
	if (w->type == KNOT_RRTYPE_AXFR || w->type == KNOT_RRTYPE_IXFR)
		return settle(w, KNOT_RCODE_REFUSED);
	if (w->type == DNS_TYPE_NXNAME) { /* RFC 9824 section 3.5 */
		w->reply.ede = DNS_EDE_INVALID_QUERY_TYPE;
		return settle(w, KNOT_RCODE_FORMERR);
	}
	return PASS;
}

static enum step find_zone(struct work *w)
{
	const struct dns_zones *zones = w->a->settings.zones;
	dns_name_split(&w->name, knot_pkt_qname(w->reply.in));
	w->zone = dns_zones_find(zones, &w->name, 0);
	if (!w->zone) {
		w->reply.ede = DNS_EDE_NOT_AUTHORITATIVE;
		return settle(w, KNOT_RCODE_REFUSED);
	}
	/* RFC 4035 section 3.1.4.1: DS belongs to the zone above. If that is not ours, the answer is NODATA
	 * from here. */
	if (w->type == KNOT_RRTYPE_DS && w->name.labels == w->zone->labels) {
		const struct dns_zone *above = dns_zones_find(zones, &w->name, 1);
		w->zone = above ? above : w->zone;
	}
	w->reply.authoritative = true;
	return PASS;
}

/* --- Finding --- */

/* Is there a delegate whose label is the one just below the apex? */
static int ask_store(struct work *w)
{
	const uint8_t *label = w->name.wire + w->name.start[w->name.labels - w->zone->labels - 1u];
	struct delegate_name name;
	delegate_name_make(w->query->delegates, w->zone->id, label + 1, label[0], &name);
	return w->a->lookup(w->query->delegates, &name, w->query->now, &w->a->values);
}

/* The source of synthesis for a name that does not exist, or NULL (RFC 4592 section 3.3.1). ERR_STORE. */
static int find_wildcard(struct work *w, const struct dns_node **node)
{
	bool direct = w->name.labels == w->zone->labels + 1u;
	const struct dns_node *encloser = dns_zone_encloser(w->zone, &w->name);
	*node = encloser->wildcard;
	/* Below a delegate nothing exists, and a wildcard of the zone does not reach there. */
	if (!direct && encloser == w->zone->apex && encloser->wildcard) {
		int err = ask_store(w);
		if (err == OK)
			*node = NULL;
		return err == ERR_NOTFOUND ? OK : err;
	}
	return OK;
}

/* Whose data answers the name: a node's (*node), a delegate's (*node NULL, OK), nobody's (ERR_NOTFOUND).
 * ERR_STORE. */
static int find_name(struct work *w, const struct dns_node **node)
{
	*node = dns_zone_node(w->zone, &w->name, 0);
	if (*node)
		return OK;
	if (w->name.labels == w->zone->labels + 1u) {
		int err = ask_store(w);
		if (err != ERR_NOTFOUND)
			return err;
	}
	int err = find_wildcard(w, node);
	if (err)
		return err;
	return *node ? OK : ERR_NOTFOUND;
}

/* --- Answering --- */

/* Adds a set under the name in hand, which is the QNAME (then the owner is a pointer to the question, so that
 * its case comes back as sent) or the target of a CNAME. */
static void put_answer(struct work *w, const knot_rrset_t *set)
{
	bool asked = w->name.wire == knot_pkt_qname(w->reply.in);
	knot_rrset_t named = *set;
	named.owner = (knot_dname_t *)w->name.wire;
	if (dns_reply_put(&w->reply, asked ? KNOT_COMPR_HINT_QNAME : KNOT_COMPR_HINT_NONE, &named))
		w->reply.truncated = true;
}

static void answer_values(struct work *w)
{
	struct dns_answerer *a = w->a;
	/* ANY gets one set of those there are, RFC 8482 section 4.1. */
	if ((w->type != KNOT_RRTYPE_TXT && w->type != KNOT_RRTYPE_ANY) || !a->values.count) {
		w->denied = true;
		return;
	}
	for (size_t i = 0; i < a->values.count; i++)
		knot_rdata_init((knot_rdata_t *)(a->rdata + i * RDATA_SIZE), sizeof a->values.rdata[i],
			a->values.rdata[i]);
	knot_rrset_t txt;
	knot_rrset_init(&txt, NULL, KNOT_RRTYPE_TXT, KNOT_CLASS_IN, w->zone->value_ttl);
	txt.rrs = (knot_rdataset_t){.count = (uint16_t)a->values.count,
		.size = (uint32_t)(a->values.count * RDATA_SIZE),
		.rdata = (knot_rdata_t *)a->rdata};
	put_answer(w, &txt);
}

/* Makes the CNAME's target the name in hand. False: it leads out of the zone, and the resolver goes on (as
 * Knot DNS and NSD do, which ask no other zone of theirs either). */
static bool follow(struct work *w, const knot_rrset_t *cname)
{
	/* The name before may stand in the reply's list of records: nobody reads it again but libknot's
	 * compression, which looks at the wire. */
	knot_dname_copy_lower(w->a->target, cname->rrs.rdata->data);
	dns_name_split(&w->name, w->a->target);
	return dns_zones_find(w->a->settings.zones, &w->name, 0) == w->zone;
}

/* True: go on with the target of the CNAME that was found. */
static bool answer_node(struct work *w, const struct dns_node *node)
{
	const knot_rrset_t *set = w->type == KNOT_RRTYPE_ANY ? node->smallest : dns_node_set(node, w->type);
	if (set) {
		put_answer(w, set);
		w->glue = node == w->zone->apex && set->type == KNOT_RRTYPE_NS;
		return false;
	}
	const knot_rrset_t *cname = dns_node_set(node, KNOT_RRTYPE_CNAME);
	if (!cname) {
		w->denied = true;
		return false;
	}
	put_answer(w, cname);
	return !w->reply.truncated && follow(w, cname);
}

/* RFC 1034 section 4.3.2, for zones without delegations. */
static enum step answer(struct work *w)
{
	for (unsigned links = 0; links <= CHAIN_MAX; links++) {
		const struct dns_node *node;
		int err = find_name(w, &node);
		if (err == ERR_NOTFOUND) { /* after a CNAME, too: RFC 6604 section 3 */
			w->reply.rcode = KNOT_RCODE_NXDOMAIN;
			w->denied = true;
			return PASS;
		}
		if (err) { /* what the store cannot say must not be denied */
			w->reply.authoritative = false;
			w->reply.ede = DNS_EDE_NOT_READY;
			return settle(w, KNOT_RCODE_SERVFAIL);
		}
		if (!node) {
			answer_values(w);
			return PASS;
		}
		if (!answer_node(w, node))
			return PASS;
	}
	return PASS;
}

/* RFC 2308 sections 2 and 3: NXDOMAIN and NODATA carry the SOA. */
static enum step authority(struct work *w)
{
	if (!w->denied)
		return PASS;
	/* The QNAME lies in the zone, so the zone's name can be pointed to in the question. */
	uint16_t hint = (uint16_t)(DNS_HEADER_SIZE + w->reply.in->qname_size - w->zone->len);
	if (knot_pkt_begin(w->reply.out, KNOT_AUTHORITY) ||
		dns_reply_put(&w->reply, hint, &w->zone->negative_soa))
		w->reply.truncated = true;
	return PASS;
}

static enum step additional(struct work *w)
{
	if (!w->glue || w->reply.truncated || knot_pkt_begin(w->reply.out, KNOT_ADDITIONAL))
		return PASS;
	/* As many as fit; missing ones are no truncation (RFC 2181 section 9). */
	for (size_t i = 0; i < w->zone->glue_count; i++) {
		if (dns_reply_put(&w->reply, KNOT_COMPR_HINT_NONE, w->zone->glue[i]))
			break;
	}
	return PASS;
}

typedef enum step stage(struct work *w);

/* What can be refused before looking for data. */
static stage *const checks[] = {check_opcode, parse, check_edns, check_tsig, check_question, find_zone};
static stage *const answers[] = {answer, authority, additional};

static enum step run(struct work *w, stage *const stages[], size_t count)
{
	enum step step = PASS;
	for (size_t i = 0; i < count && step == PASS; i++)
		step = stages[i](w);
	return step;
}

/* No reply at all: to replies (two servers would answer each other for ever), to what is too short to have an
 * id, and to ports where nobody who asks sits: zero, and the services that answer whatever reaches them. */
static bool must_drop(const struct dns_query *q, size_t cap)
{
	if (q->len < DNS_HEADER_SIZE || q->len > UINT16_MAX || cap < DNS_UDP_SIZE_PLAIN)
		return true;
	if (knot_wire_get_qr(q->wire))
		return true;
	return q->client.port == 0 ||
	       (!q->tcp && (q->client.port == PORT_ECHO || q->client.port == PORT_CHARGEN));
}

void dns_look_ahead(struct dns_answerer *a, const struct dns_query *q)
{
	dns_plain_parse(a->settings.zones, q, &a->ahead[q->slot % DNS_AHEAD]);
}

/* 0: not plain, or anything else that makes the long way necessary. */
static size_t answer_plainly(struct dns_answerer *a, const struct dns_query *q, uint8_t *out, size_t cap)
{
	struct dns_plain *p = &a->ahead[q->slot % DNS_AHEAD];
	if (p->wire != q->wire) /* nobody has looked ahead, or in vain */
		dns_plain_parse(a->settings.zones, q, p);
	if (!p->wire)
		return 0;
	int err = a->lookup(q->delegates, &p->name, q->now, &a->values);
	size_t limit = q->tcp ? cap : dns_udp_limit(p->edns, p->payload);
	size_t len = err && err != ERR_NOTFOUND
			     ? 0
			     : dns_plain_write(p, err ? NULL : &a->values, out, limit < cap ? limit : cap);
	p->wire = NULL;
	return len;
}

size_t dns_answer_generally(struct dns_answerer *a, const struct dns_query *q, uint8_t *out, size_t cap)
{
	struct work w = {.a = a, .query = q};
	if (dns_reply_begin(&w.reply, &a->arena, &a->mm, q, out, cap))
		return 0;
	enum step checked = run(&w, checks, sizeof checks / sizeof *checks);
	if (dns_reply_question(&w.reply, cap))
		return 0;
	if (checked == PASS)
		(void)run(&w, answers, sizeof answers / sizeof *answers);
	/* A set stands in the reply whole or not at all, and SERVFAIL carries nothing of what was found
	 * before. */
	if ((w.reply.truncated || w.reply.rcode == KNOT_RCODE_SERVFAIL) && dns_reply_question(&w.reply, cap))
		return 0;
	return dns_reply_finish(&w.reply);
}

size_t dns_answer(struct dns_answerer *a, const struct dns_query *q, uint8_t *out, size_t cap)
{
	if (must_drop(q, cap))
		return 0;
	size_t len = answer_plainly(a, q, out, cap);
	return len ? len : dns_answer_generally(a, q, out, cap);
}

int dns_answerer_new(const struct dns_settings *s, struct dns_answerer **out)
{
	struct dns_answerer *a = calloc(1, sizeof *a);
	*out = a;
	if (!a)
		return ERR_NOMEM;
	a->settings = *s;
	a->lookup = delegate_lookup;
	dns_arena_init(&a->arena, &a->mm);
	return OK;
}

void dns_answerer_free(struct dns_answerer **a)
{
	free(*a);
	*a = NULL;
}

void dns_answerer_set_lookup(struct dns_answerer *a, dns_lookup *lookup)
{
	a->lookup = lookup;
}
