// SPDX-License-Identifier: GPL-3.0-or-later
/* Replies as sets of records, their differences, and both for people to read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libknot/consts.h>
#include <libknot/codes.h>
#include <libknot/descriptor.h>
#include <libknot/rrtype/opt.h>
#include <libknot/wire.h>

#include "differential.h"

static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	int d = memcmp(a, b, a_len < b_len ? a_len : b_len);
	return d ? d : (a_len > b_len) - (a_len < b_len);
}

static int record_order(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	int d = compare_bytes(x->owner, x->owner_len, y->owner, y->owner_len);
	if (!d)
		d = compare_bytes(x->data, x->data_len, y->data, y->data_len);
	if (!d && x->class != y->class)
		d = x->class < y->class ? -1 : 1;
	if (!d && x->ttl != y->ttl)
		d = x->ttl < y->ttl ? -1 : 1;
	return d;
}

static void take_record(struct reply *r, uint8_t section, const knot_rrset_t *set)
{
	if (set->type == KNOT_RRTYPE_OPT || set->type == KNOT_RRTYPE_TSIG)
		return; /* compared on their own */
	if (r->count == RECORDS_MAX || set->rrs.count != 1) {
		r->malformed = true;
		return;
	}
	struct record *to = &r->records[r->count++];
	to->section = section;
	to->type = set->type;
	to->class = set->rclass;
	to->ttl = set->ttl;
	to->data = set->rrs.rdata->data;
	to->data_len = set->rrs.rdata->len;
	to->owner_len = knot_dname_size(set->owner);
	memcpy(to->owner, set->owner, to->owner_len);
	knot_dname_to_lower(to->owner);
}

void reply_parse(const uint8_t *wire, size_t len, struct reply *out)
{
	out->wire = wire;
	out->len = len;
	out->count = 0;
	out->malformed = false;
	out->packet = NULL;
	if (!len)
		return;
	/* Names within data come back in lower case, too: their case may be that of the question, by
	 * compression. */
	out->packet = knot_pkt_new((void *)wire, (uint16_t)len, NULL);
	if (!out->packet)
		abort();
	if (len < HEADER_SIZE || knot_pkt_parse(out->packet, KNOT_PF_KEEPWIRE)) {
		out->malformed = true;
		return;
	}
	out->rcode = knot_pkt_ext_rcode(out->packet);
	out->aa = knot_wire_get_aa(wire);
	out->tc = knot_wire_get_tc(wire);
	out->rd = knot_wire_get_rd(wire);
	for (uint8_t s = KNOT_ANSWER; s <= KNOT_ADDITIONAL; s++) {
		const knot_pktsection_t *section = knot_pkt_section(out->packet, (knot_section_t)s);
		for (uint16_t i = 0; i < section->count; i++)
			take_record(out, s, knot_pkt_rr(section, i));
	}
	qsort(out->records, out->count, sizeof *out->records, record_order);
}

void reply_clear(struct reply *r)
{
	knot_pkt_free(r->packet);
	r->packet = NULL;
}

size_t reply_section_count(const struct reply *r, uint8_t section)
{
	size_t count = 0;
	for (size_t i = 0; i < r->count; i++)
		count += r->records[i].section == section;
	return count;
}

bool reply_has_type(const struct reply *r, uint8_t section, uint16_t type)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->records[i].section == section && r->records[i].type == type)
			return true;
	return false;
}

bool reply_has_twins(const struct reply *r)
{
	for (size_t i = 1; i < r->count; i++)
		if (!record_order(&r->records[i - 1], &r->records[i]))
			return true;
	return false;
}

bool reply_section_within(const struct reply *part, const struct reply *whole, uint8_t section)
{
	for (size_t i = 0; i < part->count; i++)
		if (part->records[i].section == section &&
			!bsearch(&part->records[i], whole->records, whole->count, sizeof *whole->records,
				record_order))
			return false;
	return true;
}

static const struct record *section_start(const struct reply *r, uint8_t section)
{
	size_t at = 0;
	while (at < r->count && r->records[at].section < section)
		at++;
	return &r->records[at];
}

/* As multisets: a record that stands there twice is a difference. */
static bool same_section(const struct reply *a, const struct reply *b, uint8_t section)
{
	size_t count = reply_section_count(a, section);
	if (count != reply_section_count(b, section))
		return false;
	const struct record *x = section_start(a, section), *y = section_start(b, section);
	for (size_t i = 0; i < count; i++)
		if (record_order(&x[i], &y[i]))
			return false;
	return true;
}

static bool same_question(const struct reply *a, const struct reply *b)
{
	uint16_t count = knot_wire_get_qdcount(a->wire);
	if (count != knot_wire_get_qdcount(b->wire))
		return false;
	/* libknot reads no more than one. */
	size_t len = count ? a->packet->qname_size + 2 * sizeof(uint16_t) : 0;
	return a->packet->qname_size == b->packet->qname_size &&
	       !memcmp(a->wire + HEADER_SIZE, b->wire + HEADER_SIZE, len);
}

static bool same_opt(const knot_rrset_t *a, const knot_rrset_t *b)
{
	/* Class: size; TTL: rcode (compared as a whole), version, flags. */
	return a && b && a->rclass == b->rclass && (a->ttl & 0x00ffffff) == (b->ttl & 0x00ffffff);
}

static bool same_data(const knot_rrset_t *a, const knot_rrset_t *b)
{
	return a->rrs.rdata->len == b->rrs.rdata->len &&
	       !memcmp(a->rrs.rdata->data, b->rrs.rdata->data, a->rrs.rdata->len);
}

static unsigned compare_special(const knot_pkt_t *a, const knot_pkt_t *b)
{
	unsigned aspects = 0;
	if ((a->opt_rr || b->opt_rr) && !same_opt(a->opt_rr, b->opt_rr))
		aspects |= ASPECT_OPT;
	if (a->opt_rr && b->opt_rr && !same_data(a->opt_rr, b->opt_rr))
		aspects |= ASPECT_OPTIONS;
	if (!a->tsig_rr != !b->tsig_rr || (a->tsig_rr && !same_data(a->tsig_rr, b->tsig_rr)))
		aspects |= ASPECT_TSIG;
	return aspects;
}

static unsigned compare_header(const struct reply *a, const struct reply *b)
{
	enum { FLAGS1 = 0xf8, FLAGS2 = 0xf0 }; /* QR and opcode; RA, Z, AD, CD */
	unsigned aspects = 0;
	if (a->rcode != b->rcode)
		aspects |= ASPECT_RCODE;
	if (a->aa != b->aa)
		aspects |= ASPECT_AA;
	if (a->tc != b->tc)
		aspects |= ASPECT_TC;
	if (a->rd != b->rd)
		aspects |= ASPECT_RD;
	if (((a->wire[2] ^ b->wire[2]) & FLAGS1) || ((a->wire[3] ^ b->wire[3]) & FLAGS2))
		aspects |= ASPECT_FLAGS;
	return aspects;
}

unsigned reply_compare(const struct reply *a, const struct reply *b)
{
	static const unsigned of_section[] = {[KNOT_ANSWER] = ASPECT_ANSWER,
		[KNOT_AUTHORITY] = ASPECT_AUTHORITY,
		[KNOT_ADDITIONAL] = ASPECT_ADDITIONAL};
	if (a->malformed || b->malformed)
		return ASPECT_MALFORMED;
	if (!a->len || !b->len)
		return !a->len && !b->len ? 0 : ASPECT_REPLY;
	unsigned aspects = compare_header(a, b) | compare_special(a->packet, b->packet);
	if (!same_question(a, b))
		aspects |= ASPECT_QUESTION;
	for (uint8_t s = KNOT_ANSWER; s <= KNOT_ADDITIONAL; s++)
		if (!same_section(a, b, s))
			aspects |= of_section[s];
	return aspects;
}

/* ---- for people ---- */

static void print_hex(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", bytes[i]);
	putchar('\n');
}

static void print_name(const knot_dname_t *name)
{
	knot_dname_txt_storage_t text;
	printf("%s", knot_dname_to_str(text, name, sizeof text) ? text : "?");
}

static void print_type(uint16_t type)
{
	char text[16];
	printf("%s", knot_rrtype_to_string(type, text, sizeof text) >= 0 ? text : "?");
}

static void print_question(const knot_pkt_t *p)
{
	print_name((const knot_dname_t *)p->wire + HEADER_SIZE);
	printf(" ");
	print_type(knot_pkt_qtype(p));
	printf(" class %u\n", knot_pkt_qclass(p));
}

static void print_opt(const knot_rrset_t *opt)
{
	printf("      OPT version %u size %u%s options ", knot_edns_get_version(opt),
		knot_edns_get_payload(opt), knot_edns_do(opt) ? " DO" : "");
	print_hex(opt->rrs.rdata->data, opt->rrs.rdata->len);
}

void query_print(const struct query *q)
{
	printf("   query ");
	print_hex(q->wire, q->len);
	knot_pkt_t *p = knot_pkt_new((void *)q->wire, (uint16_t)q->len, NULL);
	if (p && q->len >= HEADER_SIZE && knot_pkt_parse(p, KNOT_PF_KEEPWIRE) == 0 && p->qname_size) {
		printf("      ");
		print_question(p);
		if (p->opt_rr)
			print_opt(p->opt_rr);
	} else {
		printf("      not a valid query\n");
	}
	knot_pkt_free(p);
}

void reply_print(const char *title, const struct reply *r)
{
	static const char *const sections[] = {"answer", "authority", "additional"};
	printf("   %s: ", title);
	if (!r->len || r->malformed) {
		printf("%s ", r->len ? "malformed" : "no reply");
		print_hex(r->wire, r->len);
		return;
	}
	const knot_lookup_t *rcode = knot_lookup_by_id(knot_rcode_names, r->rcode);
	printf("%s opcode %u flags%s%s%s%s%s%s, %u questions, %zu bytes\n", rcode ? rcode->name : "?",
		knot_wire_get_opcode(r->wire), r->aa ? " AA" : "", r->tc ? " TC" : "", r->rd ? " RD" : "",
		knot_wire_get_ra(r->wire) ? " RA" : "", knot_wire_get_ad(r->wire) ? " AD" : "",
		knot_wire_get_cd(r->wire) ? " CD" : "", knot_wire_get_qdcount(r->wire), r->len);
	for (size_t i = 0; i < r->count; i++) {
		const struct record *record = &r->records[i];
		printf("      %-10s ", sections[record->section]);
		print_name(record->owner);
		printf(" %u ", record->ttl);
		print_type(record->type);
		printf(" ");
		print_hex(record->data, record->data_len);
	}
	if (r->packet->opt_rr)
		print_opt(r->packet->opt_rr);
}

void aspects_print(unsigned aspects)
{
	static const char *const names[] = {"reply or none", "rcode", "AA", "TC", "RD", "other flags",
		"question", "answer", "authority", "additional", "OPT", "options", "TSIG", "malformed"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (aspects & 1u << i)
			printf(" %s;", names[i]);
}
