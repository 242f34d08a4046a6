// SPDX-License-Identifier: GPL-3.0-or-later
/* The short way for the plainest queries. libknot's way through parsing, building and compressing costs more
 * than everything else that is done for them; whatever is the least bit unusual goes that way, and a test
 * holds the two against each other octet by octet. */
#include <string.h>

#include <libknot/consts.h>
#include <libknot/descriptor.h>

#include "dns/internal.h"
#include "util/cursor.h"
#include "util/text.h"

enum {
	QUESTION_TAIL = 4, /* type and class */
	OPT_SIZE = 11,     /* an OPT record without options */
	LABEL_MAX = 63,
	POINTER = 0xc000, /* RFC 1035 section 4.1.4 */
	SOA_TAIL = 20     /* the five numbers behind its names */
};

/* ---- parsing ---- */

/* QUERY with one question, nothing else but one additional record at most. */
static bool is_plain_header(const uint8_t *wire, unsigned *additional)
{
	static const uint8_t counts[] = {0, 1, 0, 0, 0, 0, 0};
	*additional = wire[11];
	return !(wire[2] & (KNOT_WIRE_QR_MASK | KNOT_WIRE_OPCODE_MASK)) && *additional <= 1 &&
	       memcmp(wire + 4, counts, sizeof counts) == 0;
}

/* Copies the QNAME in lower case and cuts it into labels. False: it is compressed, too long or cut off. */
static bool read_name(struct reader *r, uint8_t lower[static DNS_NAME_MAX], struct dns_name *out)
{
	*out = (struct dns_name){.wire = lower};
	for (;;) {
		uint8_t len = read_u8(r);
		const uint8_t *label = read_bytes(r, len);
		if (r->failed || len > LABEL_MAX || out->len + 1u + len > DNS_NAME_MAX)
			return false;
		out->start[out->labels] = (uint8_t)out->len;
		lower[out->len++] = len;
		if (!len)
			return true;
		if (++out->labels > DNS_LABELS_MAX)
			return false;
		for (uint8_t i = 0; i < len; i++)
			lower[out->len++] = text_lower(label[i]);
	}
}

/* Types of data (RFC 6895 section 3.1 has the others), and not ANY or NXNAME, which get special treatment. */
static bool is_data_type(uint16_t type)
{
	return (type > 0 && type < DNS_TYPE_NXNAME && type != KNOT_RRTYPE_OPT) || type == KNOT_RRTYPE_CAA;
}

/* An OPT record of version 0 without options. */
static bool read_opt(struct reader *r, struct dns_plain *p)
{
	uint8_t owner = read_u8(r);
	uint16_t type = read_u16(r);
	p->payload = read_u16(r);
	uint32_t ttl = read_u32(r);
	uint16_t len = read_u16(r);
	p->edns = true;
	p->dnssec_ok = ttl >> 15 & 1;
	return !owner && type == KNOT_RRTYPE_OPT && !(ttl >> 16 & 0xff) && !len;
}

static bool read_query(
	struct reader *r, unsigned additional, struct dns_name *name, uint8_t *lower, struct dns_plain *p)
{
	if (!read_name(r, lower, name))
		return false;
	p->qname_len = (uint8_t)name->len;
	p->type = read_u16(r);
	return read_u16(r) == KNOT_CLASS_IN && is_data_type(p->type) && (!additional || read_opt(r, p)) &&
	       !reader_finish(r);
}

/* A name right below a zone, which has no static record there and no wildcard. */
static const struct dns_zone *find_zone(const struct dns_zones *zones, const struct dns_name *name)
{
	const struct dns_zone *z = dns_zones_find(zones, name, 0);
	if (!z || name->labels != z->labels + 1u || z->apex->wildcard || dns_zone_node(z, name, 0))
		return NULL;
	return z;
}

void dns_plain_parse(const struct dns_zones *z, const struct dns_query *q, struct dns_plain *out)
{
	struct reader r = reader_over(q->wire, q->len);
	uint8_t lower[DNS_NAME_MAX];
	struct dns_name name;
	unsigned additional;
	out->wire = NULL;
	out->edns = out->dnssec_ok = false;
	if (!read_bytes(&r, DNS_HEADER_SIZE) || !is_plain_header(q->wire, &additional) ||
		!read_query(&r, additional, &name, lower, out))
		return;
	out->zone = find_zone(z, &name);
	if (!out->zone)
		return;
	delegate_name_make(q->delegates, out->zone->id, lower + 1, lower[0], &out->name);
	out->wire = q->wire;
}

/* ---- the SOA of negative answers ---- */

/* Notes a pointer at the end of the name that is read. */
static void skip_name(struct reader *r, struct dns_negative *n)
{
	uint8_t len;
	while ((len = read_u8(r)) && len <= LABEL_MAX)
		read_bytes(r, len);
	if (len > LABEL_MAX && n->pointer_count < sizeof n->pointers / sizeof *n->pointers) {
		n->pointers[n->pointer_count++] = (uint16_t)(r->at - 1 - n->wire);
		read_u8(r);
	}
}

static int take_rendered(struct dns_negative *n, const uint8_t *wire, size_t len)
{
	if (len > sizeof n->wire)
		return ERR_RANGE;
	memcpy(n->wire, wire, len);
	n->len = (uint16_t)len;
	struct reader r = reader_over(n->wire, len);
	skip_name(&r, n);
	read_bytes(&r, 10); /* type, class, TTL, length */
	skip_name(&r, n);
	skip_name(&r, n);
	read_bytes(&r, SOA_TAIL);
	return reader_finish(&r);
}

int dns_negative_render(struct dns_zone *z)
{
	struct dns_negative *n = &z->negative;
	uint8_t name[DNS_NAME_MAX] = {1, 'a'};
	memcpy(name + 2, z->name, z->len);
	n->qname_len = (uint8_t)(2 + z->len);
	knot_pkt_t *p = knot_pkt_new(NULL, UINT16_MAX, NULL);
	if (!p)
		return ERR_NOMEM;
	int rc = ERR_NOMEM;
	if (!knot_pkt_put_question(p, name, KNOT_CLASS_IN, KNOT_RRTYPE_TXT) &&
		!knot_pkt_begin(p, KNOT_AUTHORITY)) {
		size_t start = p->size;
		if (!knot_pkt_put(p, DNS_HEADER_SIZE + 2, &z->negative_soa, KNOT_PF_NOTRUNC))
			rc = take_rendered(n, p->wire + start, p->size - start);
	}
	knot_pkt_free(p);
	return rc;
}

/* ---- writing ---- */

static void write_start(
	struct writer *w, const struct dns_plain *p, unsigned flags, unsigned rcode, unsigned answers)
{
	bool negative = flags & KNOT_WIRE_AA_MASK && !answers;
	write_bytes(w, p->wire, 2);
	write_u8(w, (uint8_t)(KNOT_WIRE_QR_MASK | flags | (p->wire[2] & KNOT_WIRE_RD_MASK)));
	write_u8(w, (uint8_t)rcode);
	write_u16(w, 1);
	write_u16(w, (uint16_t)answers);
	write_u16(w, negative);
	write_u16(w, p->edns);
	write_bytes(w, p->wire + DNS_HEADER_SIZE, (size_t)p->qname_len + QUESTION_TAIL);
}

static void write_values(struct writer *w, const struct dns_plain *p, const struct delegate_values *v)
{
	for (size_t i = 0; i < v->count; i++) {
		write_u16(w, POINTER | DNS_HEADER_SIZE);
		write_u16(w, KNOT_RRTYPE_TXT);
		write_u16(w, KNOT_CLASS_IN);
		write_u32(w, p->zone->value_ttl);
		write_u16(w, sizeof v->rdata[i]);
		write_bytes(w, v->rdata[i], sizeof v->rdata[i]);
	}
}

static void write_negative(struct writer *w, const struct dns_plain *p)
{
	const struct dns_negative *n = &p->zone->negative;
	uint8_t *at = w->at;
	unsigned further = p->qname_len - n->qname_len;
	write_bytes(w, n->wire, n->len);
	for (unsigned i = 0; i < n->pointer_count && !w->failed; i++) {
		uint8_t *pointer = at + n->pointers[i];
		unsigned target = (pointer[0] << 8 | pointer[1]) + further;
		pointer[0] = (uint8_t)(target >> 8);
		pointer[1] = (uint8_t)target;
	}
}

static size_t write_end(struct writer *w, const struct dns_plain *p)
{
	size_t len;
	if (p->edns) {
		write_u8(w, 0);
		write_u16(w, KNOT_RRTYPE_OPT);
		write_u16(w, DNS_UDP_SIZE);
		write_u32(w, p->dnssec_ok ? 1u << 15 : 0);
		write_u16(w, 0);
	}
	return writer_finish(w, &len) ? 0 : len;
}

size_t dns_plain_write(
	const struct dns_plain *p, const struct delegate_values *values, uint8_t *out, size_t limit)
{
	unsigned answers = values && p->type == KNOT_RRTYPE_TXT ? (unsigned)values->count : 0;
	struct writer w = writer_over(out, limit);
	write_start(&w, p, KNOT_WIRE_AA_MASK, values ? KNOT_RCODE_NOERROR : KNOT_RCODE_NXDOMAIN, answers);
	if (answers)
		write_values(&w, p, values);
	else
		write_negative(&w, p);
	return write_end(&w, p);
}

size_t dns_plain_write_limited(const struct dns_plain *p, uint8_t *out, size_t limit)
{
	struct writer w = writer_over(out, limit);
	write_start(&w, p, KNOT_WIRE_TC_MASK, KNOT_RCODE_NOERROR, 0);
	return write_end(&w, p);
}
