// SPDX-License-Identifier: GPL-3.0-or-later
/* The differences between us and Knot DNS that are right, each with its reason. */
#include <stdio.h>
#include <string.h>

#include <libknot/consts.h>
#include <libknot/descriptor.h>
#include <libknot/rrtype/opt.h>
#include <libknot/wire.h>

#include "differential.h"
#include "util/cursor.h"

enum {
	TYPE_NXNAME = 128,    /* RFC 9824 section 2 */
	TYPE_NOTHING = 65280, /* stands in the zone file of Knot for a delegate without a value */
	OPTION_NSID = 3,
	OPTION_COOKIE = 10,
	OPTION_EDE = 15,
	EDE_SIZE = 6,
	GROWTH = 4,    /* bytes we send at the most for each byte of a query whose address may be forged */
	KNOT_CHAIN = 5 /* CNAMEs that Knot follows at the least */
};

#define ASPECTS_ALL     (~(unsigned)ASPECT_MALFORMED)
#define ASPECTS_RECORDS (ASPECT_ANSWER | ASPECT_AUTHORITY | ASPECT_ADDITIONAL)

/* Our reply is this error, with no record and no flag but those of the query. */
static bool we_refuse(const struct facts *f, uint16_t rcode)
{
	enum { RA_Z_AD_CD = 0xf0 };
	const struct reply *r = f->ours;
	return r->len && r->rcode == rcode && !r->count && !r->aa && !r->tc && !(r->wire[3] & RA_Z_AD_CD);
}

/* Knot agrees, or says nothing. */
static bool knot_refuses(const struct facts *f, uint16_t rcode)
{
	return !f->knot->len || f->knot->rcode == rcode;
}

static bool has_option(const knot_rrset_t *opt, uint16_t code)
{
	return opt && knot_edns_get_option(opt, code, NULL);
}

static bool other_opcode(const struct facts *f)
{
	return f->opcode != KNOT_OPCODE_QUERY && we_refuse(f, KNOT_RCODE_NOTIMPL);
}

static bool question_count(const struct facts *f)
{
	return f->qdcount != 1 && we_refuse(f, KNOT_RCODE_FORMERR) &&
	       (knot_refuses(f, KNOT_RCODE_FORMERR) || knot_refuses(f, KNOT_RCODE_BADVERS));
}

static bool cookie_alone(const struct facts *f)
{
	return f->qdcount == 0 && has_option(f->opt, OPTION_COOKIE) && we_refuse(f, KNOT_RCODE_NOERROR);
}

static bool unreadable(const struct facts *f)
{
	return !f->parsed && knot_refuses(f, KNOT_RCODE_FORMERR) && we_refuse(f, KNOT_RCODE_FORMERR);
}

/* Knot reads queries with libknot, which takes it for an empty record of class IN. */
static bool opt_of_one(const struct facts *f)
{
	return f->opt_of_one && f->knot->rcode == KNOT_RCODE_FORMERR && f->ours->len &&
	       f->ours->rcode != KNOT_RCODE_FORMERR;
}

static bool opt_owner(const struct facts *f)
{
	return f->opt && f->opt->owner[0] && we_refuse(f, KNOT_RCODE_FORMERR);
}

static bool unknown_key(const struct facts *f)
{
	return f->tsig && we_refuse(f, KNOT_RCODE_BADKEY) && f->ours->packet->tsig_rr;
}

static bool nxname(const struct facts *f)
{
	return f->qtype == TYPE_NXNAME && we_refuse(f, KNOT_RCODE_FORMERR);
}

static bool any_class(const struct facts *f)
{
	return f->qclass == KNOT_CLASS_ANY && we_refuse(f, KNOT_RCODE_REFUSED);
}

static bool transfer(const struct facts *f)
{
	return (f->qtype == KNOT_RRTYPE_AXFR || f->qtype == KNOT_RRTYPE_IXFR) &&
	       (we_refuse(f, KNOT_RCODE_REFUSED) || we_refuse(f, KNOT_RCODE_NOTAUTH)) &&
	       reply_section_count(f->knot, KNOT_ANSWER) == 0;
}

static bool type_zero(const struct facts *f)
{
	return f->qtype == 0 && f->ours->len && f->knot->rcode == KNOT_RCODE_NOTIMPL;
}

static size_t cnames(const struct reply *r)
{
	size_t count = 0;
	for (size_t i = 0; i < r->count; i++)
		count += r->records[i].section == KNOT_ANSWER && r->records[i].type == KNOT_RRTYPE_CNAME;
	return count;
}

static bool beside_cname(const struct facts *f)
{
	return (f->qtype == KNOT_RRTYPE_RRSIG || f->qtype == KNOT_RRTYPE_NSEC) && cnames(f->ours) &&
	       !cnames(f->knot);
}

/* The CNAME is there, and what Knot says of its target is missing: a referral, or for DS, which belongs to
 * the outer zone, that there is none. */
static bool into_inner_zone(const struct facts *f)
{
	bool denied = f->qtype == KNOT_RRTYPE_DS && reply_has_type(f->knot, KNOT_AUTHORITY, KNOT_RRTYPE_SOA);
	return cnames(f->ours) && cnames(f->ours) == f->ours->count && f->knot->rcode == KNOT_RCODE_NOERROR &&
	       (denied || reply_has_type(f->knot, KNOT_AUTHORITY, KNOT_RRTYPE_NS)) &&
	       reply_section_within(f->ours, f->knot, KNOT_ANSWER);
}

static bool any_type(const struct facts *f)
{
	const struct record *r = f->ours->records;
	size_t count = reply_section_count(f->ours, KNOT_ANSWER);
	if (f->qtype != KNOT_RRTYPE_ANY || !count || f->ours->rcode != f->knot->rcode)
		return false;
	for (size_t i = 1; i < count; i++) /* the answer section comes first */
		if (r[i].type != r->type || !knot_dname_is_equal(r[i].owner, r->owner))
			return false;
	return true;
}

/* NODATA as for every other type. */
static bool empty_delegate(const struct facts *f)
{
	return (f->qtype == TYPE_NOTHING || f->qtype == KNOT_RRTYPE_ANY) && f->ours->aa &&
	       f->ours->rcode == KNOT_RCODE_NOERROR && reply_has_type(f->knot, KNOT_ANSWER, TYPE_NOTHING) &&
	       reply_has_type(f->ours, KNOT_AUTHORITY, KNOT_RRTYPE_SOA);
}

/* We go on where Knot stopped. */
static bool long_chain(const struct facts *f)
{
	return cnames(f->knot) >= KNOT_CHAIN && cnames(f->ours) > cnames(f->knot) &&
	       !reply_has_twins(f->ours) && reply_section_within(f->knot, f->ours, KNOT_ANSWER);
}

static bool twins(const struct facts *f)
{
	return reply_has_twins(f->knot) && !reply_has_twins(f->ours) && cnames(f->ours) &&
	       reply_section_within(f->knot, f->ours, KNOT_ANSWER) &&
	       reply_section_within(f->ours, f->knot, KNOT_ANSWER);
}

static bool nul_and_wildcard(const struct facts *f)
{
	return f->nul && cnames(f->ours) && cnames(f->knot);
}

static bool truncated(const struct facts *f)
{
	return f->ours->tc && f->knot->tc && f->ours->count == 0;
}

/* What Knot says is that large, or ours is larger still, because we follow aliases further. */
static bool too_much_for_a_stranger(const struct facts *f)
{
	bool alias = cnames(f->knot) || f->qtype == KNOT_RRTYPE_RRSIG || f->qtype == KNOT_RRTYPE_NSEC;
	return !f->tcp && f->ours->tc && !f->ours->count &&
	       f->ours->len <= f->query_len + KNOT_EDNS_MIN_SIZE + EDE_SIZE &&
	       (f->knot->len > GROWTH * f->query_len || alias);
}

static bool less_additional(const struct facts *f)
{
	return reply_section_within(f->ours, f->knot, KNOT_ADDITIONAL);
}

/* Nothing in our reply but what may stand there unasked, or was asked for. */
static bool our_options(const struct facts *f)
{
	const knot_rrset_t *ours = f->ours->packet->opt_rr;
	if (!f->opt || !ours)
		return false;
	struct reader r = reader_over(ours->rrs.rdata->data, ours->rrs.rdata->len);
	while (!r.failed && r.at != r.end) {
		uint16_t code = read_u16(&r);
		(void)read_bytes(&r, read_u16(&r));
		if (code != OPTION_EDE &&
			!((code == OPTION_NSID || code == OPTION_COOKIE) && has_option(f->opt, code)))
			return false;
	}
	return reader_finish(&r) == OK;
}

struct difference {
	const char *reason;
	unsigned may; /* the aspects that may differ */
	bool (*applies)(
		const struct facts *f); /* to such queries and replies: also asserts what ours must be */
};

static const struct difference differences[] = {
	{"another opcode than QUERY: NOTIMP with nothing but the header (RFC 8906 section 3.1.4, RFC 1996 and 2136 leave "
	 "it to us); Knot knows NOTIFY and UPDATE",
		ASPECTS_ALL, other_opcode},
	{"a cookie without a question is answered (RFC 7873 section 5.4); Knot is set to use no cookies",
		ASPECTS_ALL, cookie_alone},
	{"not one question: FORMERR (RFC 9619 section 4); Knot drops two", ASPECTS_ALL, question_count},
	{"malformed: FORMERR; Knot drops what has no readable question (RFC 8906 section 3: no silence)",
		ASPECTS_ALL, unreadable},
	{"OPT that offers a size of 1, which means 512 (RFC 6891 section 6.2.3); Knot takes it for malformed",
		ASPECTS_ALL, opt_of_one},
	{"OPT not owned by the root: FORMERR (RFC 6891 section 6.1.2); Knot lets it pass", ASPECTS_ALL,
		opt_owner},
	{"TSIG with an unknown key: BADKEY whatever was asked (RFC 8945 section 5.2.1); Knot refuses foreign names first",
		ASPECTS_ALL, unknown_key},
	{"QTYPE NXNAME: FORMERR (RFC 9824 section 3.5); older than that, Knot takes it for a type like others",
		ASPECTS_ALL, nxname},
	{"QCLASS ANY: refused, an answer could not be authoritative (RFC 1035 section 6.2); Knot takes it for IN",
		ASPECTS_ALL, any_class},
	{"AXFR and IXFR: REFUSED for a zone of ours and NOTAUTH for any other name (RFC 5936 section 2.2.1); Knot has other codes",
		ASPECTS_ALL, transfer},
	{"QTYPE 0, reserved (RFC 6895 section 3.1): like any type without data (RFC 3597); Knot says NOTIMP",
		ASPECTS_ALL, type_zero},
	{"RRSIG and NSEC of a CNAME: we follow, as for every type (RFC 1034 section 3.6.2); Knot does not, for these two "
	 "may stand beside it in signed zones (RFC 4035 section 2.5)",
		ASPECTS_RECORDS | ASPECT_RCODE, beside_cname},
	{"a CNAME into an inner zone: the resolver goes on; for Knot there is a delegation, and it refers",
		ASPECT_AUTHORITY | ASPECT_ADDITIONAL, into_inner_zone},
	{"ANY: one set of those there are (RFC 8482 section 4.1): we give the smallest, Knot the first",
		ASPECTS_RECORDS, any_type},
	{"a delegate without a value has no data at all; in the zone file a record of a private type stands for it",
		ASPECTS_RECORDS, empty_delegate},
	{"a long chain of CNAMEs: we follow further (RFC 1034 section 4.3.2 names no bound)",
		ASPECTS_RECORDS | ASPECT_RCODE, long_chain},
	{"a wildcard that is an alias of a name below it: the record once (RFC 2181 section 5), Knot says it twice",
		ASPECT_ANSWER, twins},
	{"NUL in the QNAME, which a wildcard makes an alias: Knot 3.4 does not find the CNAME's target (3.2 does; labels "
	 "may hold any octet, RFC 2181 section 11)",
		ASPECTS_RECORDS | ASPECT_RCODE, nul_and_wildcard},
	{"truncated: we send no part of a set (RFC 2181 section 9), Knot sends what fits", ASPECTS_RECORDS,
		truncated},
	{"over UDP and without a cookie no reply is more than four times its query: TC instead (no mirror for others' "
	 "attacks; RFC 2181 section 9 lets TC say that)",
		ASPECTS_RECORDS | ASPECT_TC | ASPECT_RCODE, too_much_for_a_stranger},
	{"addresses of MX, SRV and other targets are optional (RFC 1034 section 4.3.2 step 6); Knot adds them",
		ASPECT_ADDITIONAL, less_additional},
	{"EDE where it explains (RFC 8914), NSID (RFC 5001) and cookies (RFC 7873) when asked for",
		ASPECT_OPTIONS, our_options},
};
static unsigned long counts[sizeof differences / sizeof *differences];

unsigned expected_take(const struct facts *f, unsigned aspects)
{
	for (size_t i = 0; i < sizeof differences / sizeof *differences && aspects; i++) {
		const struct difference *d = &differences[i];
		if (!(aspects & d->may) || !d->applies(f))
			continue;
		aspects &= ~d->may;
		counts[i]++;
	}
	return aspects;
}

void expected_print(void)
{
	for (size_t i = 0; i < sizeof differences / sizeof *differences; i++)
		printf("   %8lu  %s\n", counts[i], differences[i].reason);
}

void facts_init(struct facts *f, const struct query *q, knot_pkt_t *packet)
{
	static const uint8_t opt[] = {0, 0, KNOT_RRTYPE_OPT, 0, 1};
	*f = (struct facts){.query_len = q->len};
	if (q->len < HEADER_SIZE)
		return;
	f->opt_of_one = q->len >= HEADER_SIZE + KNOT_EDNS_MIN_SIZE &&
			memcmp(q->wire + q->len - KNOT_EDNS_MIN_SIZE, opt, sizeof opt) == 0;
	f->opcode = knot_wire_get_opcode(q->wire);
	f->qdcount = knot_wire_get_qdcount(q->wire);
	f->parsed = f->qdcount <= 1 && knot_pkt_parse(packet, KNOT_PF_KEEPWIRE) == 0;
	f->opt = packet->opt_rr;
	f->tsig = packet->tsig_rr != NULL;
	if (!packet->qname_size)
		return;
	f->qtype = knot_pkt_qtype(packet);
	f->qclass = knot_pkt_qclass(packet);
	/* Without the root label at its end. */
	f->nul = memchr(knot_pkt_qname(packet), 0, packet->qname_size - 1u) != NULL;
}
