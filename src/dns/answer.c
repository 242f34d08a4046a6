// SPDX-License-Identifier: GPL-3.0-or-later
/* Query -> answer, in stages. A stage looks at one thing and either settles the reply or passes on to the
 * next; the header, EDNS and truncation are settled at the end for all of them alike. Those before looking
 * for data are in checks.c. */
#include <stdlib.h>

#include <libknot/consts.h>
#include <libknot/descriptor.h>
#include <libknot/rrtype/opt.h>

#include "dns/internal.h"
#include "util/secure.h"

enum dns_step dns_settle(struct dns_work *w, uint16_t rcode)
{
	w->reply.rcode = rcode;
	return DNS_SETTLED;
}

enum dns_step dns_run(struct dns_work *w, dns_stage *const stages[], size_t count)
{
	enum dns_step step = DNS_PASS;
	for (size_t i = 0; i < count && step == DNS_PASS; i++)
		step = stages[i](w);
	return step;
}

/* --- Finding --- */

/* Is there a delegate whose label is the one just below the apex? */
static int ask_store(struct dns_work *w)
{
	const uint8_t *label = w->name.wire + w->name.start[w->name.labels - w->zone->labels - 1u];
	struct delegate_name name;
	delegate_name_make(w->query->delegates, w->zone->id, label + 1, label[0], &name);
	return w->a->lookup(w->query->delegates, &name, w->query->now - w->query->jump, &w->a->values);
}

/* The source of synthesis for a name that does not exist, or NULL (RFC 4592 section 3.3.1). ERR_STORE. */
static int find_wildcard(struct dns_work *w, const struct dns_node **node)
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
static int find_name(struct dns_work *w, const struct dns_node **node)
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
static void put_answer(struct dns_work *w, const knot_rrset_t *set)
{
	bool asked = w->name.wire == knot_pkt_qname(w->reply.in);
	knot_rrset_t named = *set;
	named.owner = (knot_dname_t *)w->name.wire;
	if (dns_reply_put(&w->reply, asked ? KNOT_COMPR_HINT_QNAME : KNOT_COMPR_HINT_NONE, &named))
		w->reply.truncated = true;
}

static void answer_values(struct dns_work *w)
{
	struct dns_answerer *a = w->a;
	/* ANY gets one set of those there are, RFC 8482 section 4.1. */
	if ((w->type != KNOT_RRTYPE_TXT && w->type != KNOT_RRTYPE_ANY) || !a->values.count) {
		w->denied = true;
		return;
	}
	for (size_t i = 0; i < a->values.count; i++)
		knot_rdata_init((knot_rdata_t *)(a->rdata + i * DNS_RDATA_SIZE), sizeof a->values.rdata[i],
			a->values.rdata[i]);
	knot_rrset_t txt;
	knot_rrset_init(&txt, NULL, KNOT_RRTYPE_TXT, KNOT_CLASS_IN, w->zone->value_ttl);
	txt.rrs = (knot_rdataset_t){.count = (uint16_t)a->values.count,
		.size = (uint32_t)(a->values.count * DNS_RDATA_SIZE),
		.rdata = (knot_rdata_t *)a->rdata};
	put_answer(w, &txt);
	if (w->type == KNOT_RRTYPE_TXT)
		w->shown = w->name.wire + w->name.start[w->name.labels - w->zone->labels - 1u];
}

/* RFC 4892: one TXT record about this server, not to be cached. */
static enum dns_step tell(struct dns_work *w)
{
	if (!w->told)
		return DNS_PASS;
	knot_rrset_t txt;
	knot_rdata_t *rdata = (knot_rdata_t *)w->a->rdata;
	uint8_t string[1 + CONF_MAX_IDENTITY];
	size_t len = strnlen(w->told, CONF_MAX_IDENTITY);
	string[0] = (uint8_t)len;
	memcpy(string + 1, w->told, len);
	knot_rdata_init(rdata, (uint16_t)(1 + len), string);
	knot_rrset_init(&txt, NULL, KNOT_RRTYPE_TXT, KNOT_CLASS_CH, 0);
	txt.rrs = (knot_rdataset_t){
		.count = 1, .size = (uint32_t)knot_rdata_size((uint16_t)(1 + len)), .rdata = rdata};
	put_answer(w, &txt);
	return DNS_SETTLED;
}

/* The chain of CNAMEs was at this name before. */
static bool was_at(const struct dns_work *w, const uint8_t *name)
{
	if (knot_dname_is_equal(name, knot_pkt_qname(w->reply.in)))
		return true;
	for (unsigned i = 0; i < w->links; i++)
		if (knot_dname_is_equal(name, w->a->targets[i]))
			return true;
	return false;
}

/* Makes the CNAME's target the name in hand. False: the chain is at its end. It leads out of the zone, and
 * the resolver goes on (as Knot DNS and NSD do, which ask no other zone of theirs either), or back to where
 * it was: a record stands in a section once, RFC 2181 section 5. */
static bool follow(struct dns_work *w, const knot_rrset_t *cname)
{
	if (w->links == DNS_CHAIN_MAX)
		return false;
	uint8_t *target = w->a->targets[w->links];
	knot_dname_copy_lower(target, cname->rrs.rdata->data);
	if (was_at(w, target))
		return false;
	w->links++;
	dns_name_split(&w->name, target);
	return dns_zones_find(w->a->settings.zones, &w->name, 0) == w->zone;
}

/* True: go on with the target of the CNAME that was found. */
static bool answer_node(struct dns_work *w, const struct dns_node *node)
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
static enum dns_step answer(struct dns_work *w)
{
	for (;;) {
		const struct dns_node *node;
		int err = find_name(w, &node);
		if (err == ERR_NOTFOUND) { /* after a CNAME, too: RFC 6604 section 3 */
			w->reply.rcode = KNOT_RCODE_NXDOMAIN;
			w->denied = true;
			return DNS_PASS;
		}
		if (err) { /* what the store cannot say must not be denied */
			w->reply.authoritative = false;
			w->reply.ede = DNS_EDE_NOT_READY;
			return dns_settle(w, KNOT_RCODE_SERVFAIL);
		}
		if (!node) {
			answer_values(w);
			return DNS_PASS;
		}
		if (!answer_node(w, node))
			return DNS_PASS;
	}
}

/* RFC 2308 sections 2 and 3: NXDOMAIN and NODATA carry the SOA. */
static enum dns_step authority(struct dns_work *w)
{
	if (!w->denied)
		return DNS_PASS;
	/* The QNAME lies in the zone, so the zone's name can be pointed to in the question. */
	uint16_t hint = (uint16_t)(DNS_HEADER_SIZE + w->reply.in->qname_size - w->zone->len);
	if (knot_pkt_begin(w->reply.out, KNOT_AUTHORITY) ||
		dns_reply_put(&w->reply, hint, &w->zone->negative_soa))
		w->reply.truncated = true;
	return DNS_PASS;
}

static enum dns_step additional(struct dns_work *w)
{
	if (!w->glue || w->reply.truncated || knot_pkt_begin(w->reply.out, KNOT_ADDITIONAL))
		return DNS_PASS;
	/* As many as fit; missing ones are no truncation (RFC 2181 section 9). */
	for (size_t i = 0; i < w->zone->glue_count; i++) {
		if (dns_reply_put(&w->reply, KNOT_COMPR_HINT_NONE, w->zone->glue[i]))
			break;
	}
	return DNS_PASS;
}

/* Adds everything there is to say, or as much as fits. */
static void answer_all(struct dns_work *w)
{
	static dns_stage *const stages[] = {tell, answer, authority, additional};
	(void)dns_run(w, stages, sizeof stages / sizeof *stages);
}

size_t dns_answer_generally(
	struct dns_answerer *a, const struct dns_query *q, bool charged, uint8_t *out, size_t cap)
{
	struct dns_work w = {.a = a, .query = q, .charged = charged};
	struct dns_reply *r = &w.reply;
	if (dns_reply_begin(r, &a->arena, &a->mm, q, out, cap))
		return 0;
	r->growth = a->settings.growth;
	enum dns_step checked = dns_check(&w);
	if (dns_reply_question(r, cap))
		return 0;
	if (checked == DNS_PASS)
		answer_all(&w);
	/* A set stands in the reply whole or not at all, and SERVFAIL carries nothing of what was found
	 * before. */
	if ((r->truncated || r->rcode == KNOT_RCODE_SERVFAIL) && dns_reply_question(r, cap))
		return 0;
	size_t len = dns_reply_finish(r);
	if (len)
		dns_count_reply(
			a->counters, r->in->qname_size ? knot_pkt_qtype(r->in) : 0, r->rcode, r->truncated);
	if (len && w.shown && !r->truncated && r->rcode == KNOT_RCODE_NOERROR)
		dns_testify(a, q, w.zone->id, w.shown + 1, w.shown[0]);
	return len;
}

/* The short way. 0: it is not plain, or the answer is too long or not to be had; *charged: its network was.
 */
static size_t answer_plainly(
	struct dns_answerer *a, const struct dns_query *q, bool *charged, uint8_t *out, size_t cap)
{
	struct dns_plain *p = &a->ahead[q->slot % DNS_AHEAD];
	if (p->wire != q->wire) /* nobody has looked ahead, or in vain */
		dns_plain_parse(a->settings.zones, q, p);
	if (!p->wire)
		return 0;
	size_t len = 0, limit = dns_size_limit(q, cap, p->edns, p->payload, a->settings.growth);
	bool limited = dns_over_limit(a, q, false);
	int err = limited ? OK : a->lookup(q->delegates, &p->name, q->now - q->jump, &a->values);
	if (limited)
		len = dns_plain_write_limited(p, out, limit);
	else if (!err || err == ERR_NOTFOUND)
		len = dns_plain_write(p, err ? NULL : &a->values, out, limit);
	if (len)
		dns_count_reply(
			a->counters, p->type, err ? KNOT_RCODE_NXDOMAIN : KNOT_RCODE_NOERROR, limited);
	if (len && !err && !limited && p->type == KNOT_RRTYPE_TXT && a->values.count)
		dns_testify(a, q, p->zone->id, p->name.label, p->name.len);
	*charged = true;
	return len;
}

void dns_look_ahead(struct dns_answerer *a, const struct dns_query *q)
{
	dns_plain_parse(a->settings.zones, q, &a->ahead[q->slot % DNS_AHEAD]);
	if (a->rrl && !q->tcp)
		rrl_look_ahead(a->rrl, &q->client.address);
}

size_t dns_answer(struct dns_answerer *a, const struct dns_query *q, uint8_t *out, size_t cap)
{
	size_t len = 0;
	bool charged = false;
	dns_count_query(a->counters, q);
	if (!dns_must_drop(q, cap)) {
		len = answer_plainly(a, q, &charged, out, cap);
		len = len ? len : dns_answer_generally(a, q, charged, out, cap);
	}
	a->counters->dropped += !len;
	a->ahead[q->slot % DNS_AHEAD].wire = NULL; /* another query will stand where this one stood */
	return len;
}

int dns_answerer_new(const struct dns_settings *s, struct dns_answerer **out)
{
	struct dns_answerer *a = calloc(1, sizeof *a);
	int rc = a ? OK : ERR_NOMEM;
	if (!rc && s->responses_per_second)
		rc = rrl_new(s->responses_per_second, s->answerers ? s->answerers : 1, &a->rrl);
	if (rc) {
		dns_answerer_free(&a);
		*out = NULL;
		return rc;
	}
	a->settings = *s;
	a->lookup = delegate_lookup;
	a->counters = s->counters ? s->counters : &a->own_counters;
	dns_cookie_keys_init(&a->cookie_keys, s->cookies);
	dns_arena_init(&a->arena, &a->mm);
	*out = a;
	return OK;
}

void dns_answerer_free(struct dns_answerer **a)
{
	if (!*a)
		return;
	rrl_free(&(*a)->rrl);
	secure_wipe(&(*a)->cookie_keys, sizeof(*a)->cookie_keys);
	free(*a);
	*a = NULL;
}

void dns_answerer_set_lookup(struct dns_answerer *a, dns_lookup *lookup)
{
	a->lookup = lookup;
}
