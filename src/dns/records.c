// SPDX-License-Identifier: GPL-3.0-or-later
/* Static records: one line of presentation format (RFC 1035 section 5) each, parsed by libzscanner. */
#include <stdlib.h>
#include <string.h>

#include <libknot/descriptor.h>
#include <libknot/errcode.h>
#include <libknot/packet/rrset-wire.h>
#include <libzscanner/scanner.h>

#include "dns/internal.h"
#include "util/cursor.h"

enum { RECORD_FIXED = 1 + 2 + 2 + 4 + 2 }; /* root owner, type, class, TTL, length: RFC 1035 section 3.2.1 */

struct dns_scanner {
	zs_scanner_t zs;
	uint8_t wire[RECORD_FIXED + UINT16_MAX];
};

struct dns_scanner *dns_scanner_new(void)
{
	return calloc(1, sizeof(struct dns_scanner));
}

void dns_scanner_free(struct dns_scanner **s)
{
	free(*s);
	*s = NULL;
}

/* Why records of a type cannot stand in the configuration, or NULL. */
static const char *refusal(uint16_t type)
{
	switch (type) {
	case KNOT_RRTYPE_SOA:
		return "SOA is made from the zone's other settings";
	case KNOT_RRTYPE_NS:
		return "name servers belong under 'nameservers'; delegations below the zone are not "
		       "supported";
	case KNOT_RRTYPE_DNAME:
		return "DNAME is not supported";
	case KNOT_RRTYPE_SIG:
	case KNOT_RRTYPE_KEY:
	case KNOT_RRTYPE_NXT:
	case KNOT_RRTYPE_DS:
	case KNOT_RRTYPE_RRSIG:
	case KNOT_RRTYPE_NSEC:
	case KNOT_RRTYPE_DNSKEY:
	case KNOT_RRTYPE_NSEC3:
	case KNOT_RRTYPE_NSEC3PARAM:
	case KNOT_RRTYPE_CDS:
	case KNOT_RRTYPE_CDNSKEY:
	case KNOT_RRTYPE_CSYNC:
	case KNOT_RRTYPE_ZONEMD:
		return "DNSSEC records cannot be configured by hand";
	case 0:
	case KNOT_RRTYPE_NULL:
	case KNOT_RRTYPE_OPT:
	case UINT16_MAX:
		return "a record of this type cannot stand in a zone";
	default:
		/* Query and meta types, RFC 6895 section 3.1. */
		return type >= 128 && type <= 255 ? "a record of this type cannot stand in a zone" : NULL;
	}
}

/* The syntax for unknown types (RFC 3597 section 5) lets any bytes pass as data of a known type, too. libknot
 * would follow names in them off the end when it writes an answer, so what it does not read back as it was is
 * refused. */
static const char *malformed(struct dns_scanner *s, const struct dns_record *r)
{
	static const char why[] = "the data does not fit the type";
	struct writer w = writer_over(s->wire, sizeof s->wire);
	write_u8(&w, 0);
	write_u16(&w, r->type);
	write_u16(&w, KNOT_CLASS_IN);
	write_u32(&w, r->ttl);
	write_u16(&w, r->rdata_len);
	write_bytes(&w, r->rdata, r->rdata_len);
	size_t len, at = 0;
	if (writer_finish(&w, &len))
		return why;
	knot_rrset_t set;
	knot_rrset_init_empty(&set);
	int err = knot_rrset_rr_from_wire(s->wire, &at, len, &set, NULL, false);
	bool same = !err && set.rrs.count == 1 && set.rrs.rdata->len == r->rdata_len &&
		    !memcmp(set.rrs.rdata->data, r->rdata, r->rdata_len);
	knot_rrset_clear(&set, NULL);
	return same ? NULL : err == KNOT_ENOMEM ? error_text(ERR_NOMEM) : why;
}

static const char *take_record(struct dns_scanner *s, struct dns_record *out)
{
	const zs_scanner_t *zs = &s->zs;
	const char *why = refusal(zs->r_type);
	if (why)
		return why;
	if (zs->r_class != KNOT_CLASS_IN)
		return "only class IN is served";
	if (zs->r_ttl > DNS_TTL_MAX)
		return "the TTL is larger than 2147483647 (RFC 2181 section 8)";
	if (zs->r_owner_length > DNS_NAME_MAX || zs->r_data_length > UINT16_MAX)
		return "name or data too long";
	memcpy(out->owner, zs->r_owner, zs->r_owner_length);
	knot_dname_to_lower(out->owner);
	out->owner_len = zs->r_owner_length;
	out->type = zs->r_type;
	out->ttl = zs->r_ttl;
	memcpy(out->rdata, zs->r_data, zs->r_data_length);
	out->rdata_len = (uint16_t)zs->r_data_length;
	return malformed(s, out);
}

/* Reads to the end of the text, which must hold one record and nothing else. */
static const char *scan(struct dns_scanner *s, struct dns_record *out)
{
	zs_scanner_t *zs = &s->zs;
	bool found = false;
	while (zs_parse_record(zs) == 0) {
		switch (zs->state) {
		case ZS_STATE_DATA:
			if (found)
				return "more than one record";
			found = true;
			const char *why = take_record(s, out);
			if (why)
				return why;
			break;
		case ZS_STATE_EOF:
			return found ? NULL : "no record";
		case ZS_STATE_ERROR:
			return zs_strerror(zs->error.code);
		default:
			return "directives are not supported";
		}
	}
	return zs_strerror(zs->error.code);
}

int dns_record_parse(
	struct dns_scanner *s, const char *origin, const char *text, struct dns_record *out, const char **why)
{
	/* A scanner that has seen an error does not recover: each text gets a fresh one. */
	if (zs_init(&s->zs, origin, KNOT_CLASS_IN, DNS_TTL))
		return ERR_NOMEM;
	const char *next = strchr(text, '\n');
	if (text[0] == '$')
		*why = "directives are not supported";
	else if (next && next[strspn(next, "\n")])
		*why = "more than one line";
	else if (zs_set_input_string(&s->zs, text, strlen(text)))
		*why = zs_strerror(s->zs.error.code);
	else
		*why = scan(s, out);
	zs_deinit(&s->zs);
	return *why ? ERR_INVALID : OK;
}
