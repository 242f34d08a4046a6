// SPDX-License-Identifier: GPL-3.0-or-later
/* What is settled before looking for data: header, form, EDNS, cookies, limits, and what is not ours to
 * answer. Up to the limit a reply is never larger than its query. */
#include <libknot/consts.h>
#include <libknot/descriptor.h>
#include <libknot/rrtype/opt.h>

#include "dns/internal.h"
#include "util/cursor.h"

enum { PORT_ECHO = 7, PORT_CHARGEN = 19 };

/* To replies (two servers would answer each other for ever), to what is too short to have an id, and to ports
 * where nobody who asks sits: zero, and the services that answer whatever reaches them. */
bool dns_must_drop(const struct dns_query *q, size_t cap)
{
	if (q->len < DNS_HEADER_SIZE || q->len > UINT16_MAX || cap < DNS_UDP_SIZE_PLAIN)
		return true;
	if (knot_wire_get_qr(q->wire))
		return true;
	return q->client.port == 0 ||
	       (!q->tcp && (q->client.port == PORT_ECHO || q->client.port == PORT_CHARGEN));
}

static bool is_unlimited(const struct dns_settings *s, const struct address *client)
{
	for (size_t i = 0; i < s->unlimited_count; i++)
		if (prefix_contains(&s->unlimited[i], client))
			return true;
	return false;
}

bool dns_over_limit(struct dns_answerer *a, const struct dns_query *q, bool proven)
{
	/* A handshake proves the address as well as a cookie does. */
	if (!a->rrl || q->tcp || proven || is_unlimited(&a->settings, &q->client.address))
		return false;
	if (!rrl_over(a->rrl, &q->client.address, q->now - q->jump))
		return false;
	a->counters->limited++;
	return true;
}

/* --- Stages, in their order --- */

/* libknot takes an OPT record that offers a size of exactly 1 and has no options for an empty record of class
 * IN, and for malformed. It means 512 (RFC 6891 section 6.2.3), so it may as well say so, in a copy. */
static bool parses_with_size(struct dns_work *w)
{
	static const uint8_t before[] = {0, 0, KNOT_RRTYPE_OPT, 0, 1}, after[] = {0, 0};
	const struct dns_query *q = w->query;
	struct dns_reply *r = &w->reply;
	if (q->len < DNS_HEADER_SIZE + KNOT_EDNS_MIN_SIZE || q->len > sizeof w->a->copy)
		return false;
	uint8_t *opt = w->a->copy + q->len - KNOT_EDNS_MIN_SIZE;
	memcpy(w->a->copy, q->wire, q->len);
	if (memcmp(opt, before, sizeof before) ||
		memcmp(opt + KNOT_EDNS_MIN_SIZE - sizeof after, after, sizeof after))
		return false;
	knot_wire_write_u16(opt + 3, DNS_UDP_SIZE_PLAIN);
	r->in = knot_pkt_new(w->a->copy, (uint16_t)q->len, r->mm);
	return r->in && !knot_pkt_parse(r->in, KNOT_PF_KEEPWIRE);
}

/* Anything behind the last record is malformed, too (KNOT_ETRAIL). */
static bool parses(struct dns_work *w)
{
	return !knot_pkt_parse(w->reply.in, KNOT_PF_KEEPWIRE) || parses_with_size(w);
}

/* RFC 6891 section 6.1.2: the owner is the root. More than one OPT is refused by the parser. */
static bool has_sound_opt(const struct dns_work *w)
{
	return w->reply.in->opt_rr && !w->reply.in->opt_rr->owner[0];
}

static enum dns_step check_opcode(struct dns_work *w)
{
	unsigned opcode = knot_wire_get_opcode(w->query->wire);
	if (opcode == KNOT_OPCODE_QUERY)
		return DNS_PASS;
	/* OPT is answered with OPT (RFC 6891 section 6.1.1) where the opcode's messages have the form of
	 * queries: RFC 1996 section 3, RFC 2136 section 2. Of others nothing is known but the header. */
	if (opcode == KNOT_OPCODE_NOTIFY || opcode == KNOT_OPCODE_UPDATE)
		w->reply.edns = parses(w) && has_sound_opt(w);
	w->reply.in->qname_size = 0; /* RFC 8906 section 3.1.4: only id and opcode go back */
	return dns_settle(w, KNOT_RCODE_NOTIMPL);
}

static enum dns_step check_form(struct dns_work *w)
{
	/* RFC 9619: one question. None is for those who ask for a cookie. */
	if (knot_wire_get_qdcount(w->query->wire) > 1 || !parses(w))
		return dns_settle(w, KNOT_RCODE_FORMERR);
	return DNS_PASS;
}

static enum dns_step check_edns(struct dns_work *w)
{
	const knot_rrset_t *opt = w->reply.in->opt_rr;
	if (!opt)
		return DNS_PASS;
	if (!has_sound_opt(w))
		return dns_settle(w, KNOT_RCODE_FORMERR);
	w->reply.edns = true;
	return knot_edns_get_version(opt) ? dns_settle(w, KNOT_RCODE_BADVERS) : DNS_PASS;
}

static void take_cookie(struct dns_work *w, const uint8_t *data, size_t len)
{
	struct dns_answerer *a = w->a;
	/* RFC 7873 section 5.2: of several the first counts. Who has no secret does not know the option. */
	if (!a->cookie_keys.count || w->cookie != DNS_COOKIE_NONE)
		return;
	w->cookie = dns_cookie_check(&a->cookie_keys, data, len, &w->query->client.address,
		(uint32_t)(w->query->now / 1000), w->reply.cookie);
	w->reply.has_cookie = w->cookie != DNS_COOKIE_MALFORMED;
	w->reply.cookie_asked = len;
	w->reply.proven = w->cookie == DNS_COOKIE_GOOD;
	a->counters->cookies += w->cookie == DNS_COOKIE_GOOD;
	a->counters->bad_cookies += w->cookie == DNS_COOKIE_BAD;
}

/* Client subnet (RFC 7871), all unknown ones, and what belongs to another transport: ignored. */
static void take_option(struct dns_work *w, uint16_t code, const uint8_t *data, size_t len)
{
	const struct dns_query *q = w->query;
	switch (code) {
	case KNOT_EDNS_OPTION_COOKIE:
		take_cookie(w, data, len);
		break;
	case KNOT_EDNS_OPTION_NSID: /* RFC 5001 section 2.1: what the query has in it does not count */
		w->reply.nsid = w->a->settings.nsid;
		break;
	case KNOT_EDNS_OPTION_TCP_KEEPALIVE: /* RFC 7828 section 3.2.1: clients send it empty */
		if (q->tcp && !len)
			w->reply.keepalive = w->a->settings.tcp_idle;
		break;
	case KNOT_EDNS_OPTION_PADDING: /* RFC 7830 section 6: without encryption there is nothing to hide */
		w->reply.padded = q->tls;
		break;
	default:
		break;
	}
}

static enum dns_step check_options(struct dns_work *w)
{
	const knot_rrset_t *opt = w->reply.in->opt_rr;
	if (!opt)
		return DNS_PASS;
	struct reader r = reader_over(opt->rrs.rdata->data, opt->rrs.rdata->len);
	while (!r.failed && r.at != r.end) {
		uint16_t code = read_u16(&r);
		size_t len = read_u16(&r);
		const uint8_t *data = read_bytes(&r, len);
		if (data)
			take_option(w, code, data, len);
	}
	/* An option that overruns the record is refused by the parser. */
	return w->cookie == DNS_COOKIE_MALFORMED ? dns_settle(w, KNOT_RCODE_FORMERR) : DNS_PASS;
}

/* Truncated, never silent: whoever did ask comes again over TCP. A reply as small as its query is no use for
 * an attack, so it carries nothing but what the query had room for. */
static enum dns_step check_limit(struct dns_work *w)
{
	struct dns_reply *r = &w->reply;
	if (w->charged || !dns_over_limit(w->a, w->query, r->proven))
		return DNS_PASS;
	r->truncated = true;
	r->nsid = NULL;
	r->has_cookie = r->has_cookie && r->cookie_asked >= DNS_COOKIE_SIZE;
	return dns_settle(w, KNOT_RCODE_NOERROR);
}

/* RFC 7873 section 5.4: a query without a question asks for a cookie, or whether the one it has is good. */
static enum dns_step check_cookie_query(struct dns_work *w)
{
	if (knot_wire_get_qdcount(w->query->wire))
		return DNS_PASS;
	if (w->cookie == DNS_COOKIE_NONE)
		return dns_settle(w, KNOT_RCODE_FORMERR); /* RFC 9619 section 4 */
	return dns_settle(w, w->cookie == DNS_COOKIE_BAD ? KNOT_RCODE_BADCOOKIE : KNOT_RCODE_NOERROR);
}

static enum dns_step check_tsig(struct dns_work *w)
{
	const knot_pkt_t *in = w->reply.in;
	if (!in->tsig_rr)
		return DNS_PASS;
	/* RFC 8945 section 5.1: it must be the last record. */
	if (in->tsig_rr != &in->rr[in->rrset_count - 1])
		return dns_settle(w, KNOT_RCODE_FORMERR);
	w->reply.bad_key = true; /* we have none */
	return dns_settle(w, KNOT_RCODE_NOTAUTH);
}

static enum dns_step refuse(struct dns_work *w, uint16_t ede)
{
	w->reply.ede = ede;
	return dns_settle(w, KNOT_RCODE_REFUSED);
}

/* RFC 4892, and the names that BIND had before. */
static const char *about_us(const struct dns_settings *s, const knot_dname_t *name)
{
	static const char *const identity[] = {"\2id\6server", "\x8hostname\4bind"},
				 *const version[] = {"\7version\6server", "\7version\4bind"};
	for (size_t i = 0; i < 2; i++) {
		if (knot_dname_is_equal(name, (const knot_dname_t *)identity[i]))
			return s->identity;
		if (knot_dname_is_equal(name, (const knot_dname_t *)version[i]))
			return s->version;
	}
	return NULL;
}

static enum dns_step check_question(struct dns_work *w)
{
	uint16_t class = knot_pkt_qclass(w->reply.in);
	w->type = knot_pkt_qtype(w->reply.in);
	dns_name_split(&w->name, knot_pkt_qname(w->reply.in));
	if (class == KNOT_CLASS_CH && (w->type == KNOT_RRTYPE_TXT || w->type == KNOT_RRTYPE_ANY))
		w->told = about_us(&w->a->settings, w->name.wire);
	if (w->told)
		return DNS_PASS;
	/* Also class ANY, which nobody needs who asks a server of one class. */
	if (class != KNOT_CLASS_IN)
		return refuse(w, DNS_EDE_NOT_SUPPORTED);
	if (w->type == DNS_TYPE_NXNAME) { /* RFC 9824 section 3.5 */
		w->reply.ede = DNS_EDE_INVALID_QUERY_TYPE;
		return dns_settle(w, KNOT_RCODE_FORMERR);
	}
	return DNS_PASS;
}

/* RFC 5936 section 2.2.1: NOTAUTH for what is no zone of ours, and nobody may have those that are. */
static enum dns_step check_transfer(struct dns_work *w)
{
	if (w->zone && w->name.labels == w->zone->labels)
		return refuse(w, DNS_EDE_NOT_SUPPORTED);
	w->reply.ede = DNS_EDE_NOT_AUTHORITATIVE;
	return dns_settle(w, KNOT_RCODE_NOTAUTH);
}

static enum dns_step find_zone(struct dns_work *w)
{
	const struct dns_zones *zones = w->a->settings.zones;
	if (w->told)
		return DNS_PASS;
	w->zone = dns_zones_find(zones, &w->name, 0);
	if (w->type == KNOT_RRTYPE_AXFR || w->type == KNOT_RRTYPE_IXFR)
		return check_transfer(w);
	if (!w->zone)
		return refuse(w, DNS_EDE_NOT_AUTHORITATIVE);
	/* RFC 4035 section 3.1.4.1: DS belongs to the zone above. If that is not ours, the answer is NODATA
	 * from here. */
	if (w->type == KNOT_RRTYPE_DS && w->name.labels == w->zone->labels) {
		const struct dns_zone *above = dns_zones_find(zones, &w->name, 1);
		w->zone = above ? above : w->zone;
	}
	return DNS_PASS;
}

enum dns_step dns_check(struct dns_work *w)
{
	static dns_stage *const stages[] = {check_opcode, check_form, check_edns, check_options, check_limit,
		check_cookie_query, check_tsig, check_question, find_zone};
	enum dns_step step = dns_run(w, stages, sizeof stages / sizeof *stages);
	w->reply.authoritative = step == DNS_PASS;
	return step;
}
