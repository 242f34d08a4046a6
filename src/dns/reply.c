// SPDX-License-Identifier: GPL-3.0-or-later
/* The reply as a packet: memory, size, what stands at its end. What it says is decided in answer.c. */
#include "dns/internal.h"

#include <libknot/descriptor.h>
#include <libknot/rrtype/opt.h>

#include "util/cursor.h"

/* RFC 8945 section 4.2: error code, and sizes of parts of the RDATA. */
enum { TSIG_ERROR_BADKEY = 17, TSIG_TIME_AND_FUDGE = 6 + 2, TSIG_REST = 4 * 2 };

static void *arena_alloc(void *ctx, size_t len)
{
	struct dns_arena *a = ctx;
	size_t room = (len + 15) & ~(size_t)15;
	if (room < len || room > sizeof a->bytes - a->used)
		return NULL;
	void *p = a->bytes + a->used;
	a->used += room;
	return p;
}

static void arena_free(void *p)
{
	(void)p; /* all at once, by the next query */
}

void dns_arena_init(struct dns_arena *a, knot_mm_t *mm)
{
	a->used = 0;
	*mm = (knot_mm_t){.ctx = a, .alloc = arena_alloc, .free = arena_free};
}

int dns_reply_begin(struct dns_reply *r, struct dns_arena *a, knot_mm_t *mm, const struct dns_query *q,
	uint8_t *out, size_t cap)
{
	a->used = 0;
	*r = (struct dns_reply){.mm = mm, .query = q, .ede = DNS_EDE_NONE};
	/* libknot takes the query without const, but is told to leave it as it is (KNOT_PF_KEEPWIRE). */
	r->in = knot_pkt_new((void *)q->wire, (uint16_t)q->len, mm);
	r->out = knot_pkt_new(out, (uint16_t)(cap < UINT16_MAX ? cap : UINT16_MAX), mm);
	return r->in && r->out ? OK : ERR_NOMEM;
}

/* RFC 6891 section 6.2.3: what the client takes, where less than 512 means 512; and never more than we send.
 */
static size_t udp_limit(bool edns, uint16_t offered)
{
	if (!edns || offered < DNS_UDP_SIZE_PLAIN)
		return DNS_UDP_SIZE_PLAIN;
	return offered < DNS_UDP_SIZE ? offered : DNS_UDP_SIZE;
}

size_t dns_size_limit(const struct dns_query *q, size_t cap, bool edns, uint16_t offered, unsigned growth)
{
	if (q->tcp)
		return cap < UINT16_MAX ? cap : UINT16_MAX;
	size_t limit = udp_limit(edns, offered);
	/* Whoever forges a victim's address must not gain much by it: what is longer goes out truncated, and
	 * who did ask comes again over TCP. */
	if (growth && limit > growth * q->len)
		limit = growth * q->len;
	return limit < cap ? limit : cap;
}

/* Of the OPT record, with the options that are known before the answer. */
static uint16_t opt_size(const struct dns_reply *r)
{
	size_t size = KNOT_EDNS_MIN_SIZE;
	if (r->has_cookie)
		size += KNOT_EDNS_OPTION_HDRLEN + DNS_COOKIE_SIZE;
	if (r->nsid)
		size += KNOT_EDNS_OPTION_HDRLEN + strnlen(r->nsid, CONF_MAX_NSID);
	if (r->keepalive)
		size += KNOT_EDNS_OPTION_HDRLEN + sizeof(uint16_t);
	return (uint16_t)size;
}

int dns_reply_question(struct dns_reply *r, size_t cap)
{
	uint16_t offered = r->edns ? knot_edns_get_payload(r->in->opt_rr) : 0;
	r->out->max_size = dns_size_limit(r->query, cap, r->edns, offered, r->proven ? 0 : r->growth);
	if (knot_pkt_init_response(r->out, r->in))
		return ERR_RANGE;
	/* A question that could not be parsed is not echoed. */
	knot_wire_set_qdcount(r->out->wire, r->in->qname_size ? 1 : 0);
	/* The least important option is the only long one. */
	if (r->edns && r->out->size + opt_size(r) > r->out->max_size)
		r->nsid = NULL;
	/* The room for OPT must be taken before anything else claims it. */
	if (r->edns && knot_pkt_reserve(r->out, opt_size(r)))
		return ERR_RANGE;
	return OK;
}

int dns_reply_put(struct dns_reply *r, uint16_t hint, const knot_rrset_t *set)
{
	return knot_pkt_put(r->out, hint, set, KNOT_PF_NOTRUNC) ? ERR_RANGE : OK;
}

static int put_option(struct dns_reply *r, knot_rrset_t *opt, uint16_t code, const void *data, size_t len)
{
	return knot_edns_add_option(opt, code, (uint16_t)len, data, r->mm) ? ERR_NOMEM : OK;
}

static int put_number(struct dns_reply *r, knot_rrset_t *opt, uint16_t code, uint16_t number)
{
	uint8_t data[2] = {(uint8_t)(number >> 8), (uint8_t)number};
	return put_option(r, opt, code, data, sizeof data);
}

/* How long an option may be that comes behind those there are. False: there is no room for any. */
static bool room_left(const struct dns_reply *r, knot_rrset_t *opt, size_t *room)
{
	size_t used = r->out->size + knot_edns_wire_size(opt) + KNOT_EDNS_OPTION_HDRLEN;
	*room = used < r->out->max_size ? r->out->max_size - used : 0;
	return used <= r->out->max_size;
}

/* RFC 8467 section 4.1: replies of 468 octets, or a multiple. */
static int put_padding(struct dns_reply *r, knot_rrset_t *opt)
{
	size_t room, block = KNOT_EDNS_ALIGNMENT_RESPONSE_DEFAULT;
	if (!room_left(r, opt, &room))
		return OK;
	size_t pad = (block - (r->out->max_size - room) % block) % block;
	uint8_t *data;
	return knot_edns_reserve_option(
		       opt, KNOT_EDNS_OPTION_PADDING, (uint16_t)(pad < room ? pad : room), &data, r->mm)
		       ? ERR_NOMEM
		       : OK;
}

/* RFC 8914 section 3: it may be left out. */
static int put_extended_error(struct dns_reply *r, knot_rrset_t *opt)
{
	size_t room;
	if (!room_left(r, opt, &room) || room < sizeof r->ede)
		return OK;
	return put_number(r, opt, KNOT_EDNS_OPTION_EDE, r->ede);
}

static int put_options(struct dns_reply *r, knot_rrset_t *opt)
{
	int64_t idle = r->keepalive / 100; /* RFC 7828 section 3.1: units of 100 milliseconds */
	int err = OK;
	if (r->has_cookie)
		err = put_option(r, opt, KNOT_EDNS_OPTION_COOKIE, r->cookie, sizeof r->cookie);
	if (!err && r->nsid)
		err = put_option(r, opt, KNOT_EDNS_OPTION_NSID, r->nsid, strnlen(r->nsid, CONF_MAX_NSID));
	if (!err && r->keepalive)
		err = put_number(r, opt, KNOT_EDNS_OPTION_TCP_KEEPALIVE,
			(uint16_t)(idle < UINT16_MAX ? idle : UINT16_MAX));
	if (!err && r->ede != DNS_EDE_NONE)
		err = put_extended_error(r, opt);
	if (!err && r->padded)
		err = put_padding(r, opt);
	return err;
}

/* RFC 6891 section 6.1.3: version 0 whatever was asked, DO as in the query (RFC 3225 section 3), other flags
 * zero. */
static int put_opt(struct dns_reply *r)
{
	knot_rrset_t opt;
	if (knot_pkt_reclaim(r->out, opt_size(r)))
		return ERR_RANGE;
	if (knot_edns_init(&opt, DNS_UDP_SIZE, (uint8_t)(r->rcode >> 4), KNOT_EDNS_VERSION, r->mm))
		return ERR_NOMEM;
	if (knot_edns_do(r->in->opt_rr))
		knot_edns_set_do(&opt);
	if (put_options(r, &opt))
		return ERR_NOMEM;
	return dns_reply_put(r, KNOT_COMPR_HINT_NONE, &opt);
}

/* RFC 8945 section 5.2.1: the key is unknown; the reply says so in a TSIG record without a MAC. Name,
 * algorithm, time and fudge are the request's. Written by hand: libknot would compress the owner. ERR_RANGE:
 * no room. */
static int put_bad_key(struct dns_reply *r)
{
	const knot_rrset_t *asked = r->in->tsig_rr;
	const knot_rdata_t *data = asked->rrs.rdata;
	size_t same = knot_dname_size(data->data) + TSIG_TIME_AND_FUDGE, len;
	if (same > data->len)
		return ERR_RANGE;

	struct writer w = writer_over(r->out->wire + r->out->size, r->out->max_size - r->out->size);
	write_bytes(&w, asked->owner, knot_dname_size(asked->owner));
	write_u16(&w, KNOT_RRTYPE_TSIG);
	write_u16(&w, KNOT_CLASS_ANY);
	write_u32(&w, 0); /* TTL */
	write_u16(&w, (uint16_t)(same + TSIG_REST));
	write_bytes(&w, data->data, same);
	write_u16(&w, 0); /* MAC size */
	write_u16(&w, knot_wire_get_id(r->in->wire));
	write_u16(&w, TSIG_ERROR_BADKEY);
	write_u16(&w, 0); /* size of other data */
	int err = writer_finish(&w, &len);
	if (err)
		return err;
	r->out->size += len;
	knot_wire_add_arcount(r->out->wire, 1);
	return OK;
}

/* AD and CD stay clear: nothing here is validated (RFC 4035 section 3.1.6); RA too: no recursion. */
static void set_flags(const struct dns_reply *r)
{
	uint8_t *wire = r->out->wire, asked = knot_wire_get_flags1(r->in->wire);
	uint8_t opcode = asked & KNOT_WIRE_OPCODE_MASK;
	uint8_t flags = KNOT_WIRE_QR_MASK | opcode;
	/* RFC 8906 section 3.1.4: to an unknown opcode only QR and the opcode go back; RD belongs to QUERY.
	 */
	if (opcode == 0)
		flags |= asked & KNOT_WIRE_RD_MASK;
	if (r->authoritative)
		flags |= KNOT_WIRE_AA_MASK;
	if (r->truncated)
		flags |= KNOT_WIRE_TC_MASK;
	knot_wire_set_flags1(wire, flags);
	knot_wire_set_flags2(wire, KNOT_EDNS_RCODE_LO(r->rcode));
}

size_t dns_reply_finish(struct dns_reply *r)
{
	if (knot_pkt_begin(r->out, KNOT_ADDITIONAL) || (r->edns && put_opt(r)))
		return 0;
	/* Names of 255 octets do not fit beside each other: then NOTAUTH without TSIG, but marked as cut (RFC
	 * 8945 section 5.3.1). */
	if (r->bad_key && put_bad_key(r))
		r->truncated = true;
	set_flags(r);
	return r->out->size;
}
