// SPDX-License-Identifier: GPL-3.0-or-later
/* Two servers with the same data, one query, two replies. generate.c makes queries, reply.c compares replies,
 * expected.c holds the differences that are right, differential.c sends and counts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libknot/dname.h>
#include <libknot/packet/pkt.h>

#include "util/error.h"

enum {
	HEADER_SIZE = 12, /* RFC 1035 section 4.1.1 */
	NAME_MAX_WIRE = 255,
	QUERY_MAX = 1400,  /* stays one packet on any link */
	REPLY_MAX = 16384, /* the largest set there is, over TCP, is a third of it */
	RECORDS_MAX = 256
};

/* ---- names: what the zones hold ---- */

enum kind {
	KIND_DELEGATE = 'd', /* with values */
	KIND_EMPTY = 'e',    /* without */
	KIND_STATIC = 's',
	KIND_WILD = 'w',  /* the name above a wildcard */
	KIND_ENT = 't',   /* an empty non-terminal */
	KIND_APEX = 'a',  /* of the zone with the delegates */
	KIND_INNER = 'i', /* apex of a zone within it */
	KIND_LOOP = 'l',  /* a CNAME that leads to itself, or a chain longer than both servers follow */
	KIND_INTO = 'n'   /* a CNAME into an inner zone */
};

struct known {
	enum kind kind;
	size_t len;
	knot_dname_storage_t name; /* lower case */
};

struct names {
	struct known *list; /* sorted by name */
	size_t count;
	size_t *of_kind[128], count_of[128]; /* indices, by kind */
};

/* One "kind name" a line, in presentation format. ERR_SYSTEM, ERR_INVALID, ERR_NOMEM. */
int names_read(const char *path, struct names *out) MUST_USE;
void names_free(struct names *n);

/* ---- queries ---- */

struct query {
	uint8_t wire[QUERY_MAX];
	size_t len;
};

/* Query number `number` of the run that `seed` begins; over TCP without those that are cut or damaged. */
void generate(const struct names *n, uint64_t seed, uint64_t number, bool tcp, struct query *out);

/* ---- replies ---- */

enum aspect {
	ASPECT_REPLY = 1 << 0, /* one server says nothing */
	ASPECT_RCODE = 1 << 1, /* with its part in OPT */
	ASPECT_AA = 1 << 2,
	ASPECT_TC = 1 << 3,
	ASPECT_RD = 1 << 4,
	ASPECT_FLAGS = 1 << 5, /* QR, opcode, RA, Z, AD, CD */
	ASPECT_QUESTION = 1 << 6,
	ASPECT_ANSWER = 1 << 7,
	ASPECT_AUTHORITY = 1 << 8,
	ASPECT_ADDITIONAL = 1 << 9, /* without OPT and TSIG */
	ASPECT_OPT = 1 << 10,       /* there or not, version, size, flags */
	ASPECT_OPTIONS = 1 << 11,
	ASPECT_TSIG = 1 << 12,
	ASPECT_MALFORMED = 1 << 13 /* cannot be parsed: never right */
};

struct record {
	uint8_t section; /* KNOT_ANSWER ... */
	uint16_t type, class;
	uint32_t ttl;
	size_t owner_len;
	knot_dname_storage_t owner; /* lower case */
	const uint8_t *data;
	uint16_t data_len;
};

struct reply {
	const uint8_t *wire;
	size_t len; /* 0: none came */
	bool malformed;
	uint16_t rcode;
	bool aa, tc, rd;
	knot_pkt_t *packet; /* owns the data of the records */
	size_t count;
	struct record records[RECORDS_MAX]; /* sorted by section, then by all the rest */
};

/* `wire` must outlive `out`; reply_clear() gives back what it holds. */
void reply_parse(const uint8_t *wire, size_t len, struct reply *out);
void reply_clear(struct reply *r);

/* The aspects in which two replies differ. */
unsigned reply_compare(const struct reply *a, const struct reply *b);

size_t reply_section_count(const struct reply *r, uint8_t section);
bool reply_has_type(const struct reply *r, uint8_t section, uint16_t type);
bool reply_has_twins(const struct reply *r); /* a record twice */
bool reply_section_within(const struct reply *part, const struct reply *whole, uint8_t section);
void reply_print(const char *title, const struct reply *r);
void query_print(const struct query *q);
void aspects_print(unsigned aspects);

/* ---- differences that are right ---- */

/* All that is known about one query and its two replies. */
struct facts {
	size_t query_len;
	bool tcp;
	bool parsed; /* libknot can read the query; else what follows may be incomplete */
	uint8_t opcode;
	uint16_t qdcount;
	uint16_t qtype, qclass;
	bool opt_of_one;         /* ends with an OPT record that offers a size of 1 and has no options */
	bool nul;                /* the QNAME has a label with a NUL octet */
	const knot_rrset_t *opt; /* NULL: none */
	bool tsig;
	const struct reply *ours, *knot;
};

/* `packet` is set up over the query, and must outlive the facts. */
void facts_init(struct facts *f, const struct query *q, knot_pkt_t *packet);

/* Takes from the aspects those whose difference is expected, and counts. */
unsigned expected_take(const struct facts *f, unsigned aspects);

/* What was expected and how often it occurred, for people. */
void expected_print(void);
