// SPDX-License-Identifier: GPL-3.0-or-later
/* Queries of all sorts, most of them such as occur, some such as only an attacker or a broken program sends.
 * Every query depends on seed and number alone, so that one can be made again without those before it. */
#include <ctype.h>
#include <string.h>

#include <libknot/consts.h>
#include <libknot/descriptor.h>

#include "differential.h"
#include "util/cursor.h"

struct dice {
	uint64_t state;
};

/* splitmix64: every state, also a small one, is a good start. */
static uint64_t roll(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t below(struct dice *d, size_t limit)
{
	return roll(d) % limit;
}

/* True `n` times in 10 000. */
static bool chance(struct dice *d, size_t n)
{
	return below(d, 10000) < n;
}

static void write_random(struct writer *w, struct dice *d, size_t len)
{
	for (size_t i = 0; i < len; i++)
		write_u8(w, (uint8_t)roll(d));
}

/* ---- names ---- */

struct name {
	uint8_t wire[NAME_MAX_WIRE];
	size_t len;
};

static const struct known *pick(const struct names *n, struct dice *d, enum kind kind)
{
	size_t count = n->count_of[kind];
	return &n->list[count ? n->of_kind[kind][below(d, count)] : below(d, n->count)];
}

static void take_name(struct name *out, const struct known *k)
{
	memcpy(out->wire, k->name, k->len);
	out->len = k->len;
}

/* Puts a label in front, if it fits (RFC 1035 section 2.3.4). */
static void prefix(struct name *name, const void *label, size_t len)
{
	if (!len || len > KNOT_DNAME_MAXLABELLEN || name->len + 1 + len > NAME_MAX_WIRE)
		return;
	memmove(name->wire + 1 + len, name->wire, name->len);
	name->wire[0] = (uint8_t)len;
	memcpy(name->wire + 1, label, len);
	name->len += 1 + len;
}

static void prefix_random(struct name *name, struct dice *d)
{
	static const char usual[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
	static const char *const words[] = {"_acme-challenge", "*", "www", "ns1", "_tcp", "x", "a.b", "foo"};
	uint8_t label[KNOT_DNAME_MAXLABELLEN];
	if (chance(d, 3000)) {
		const char *word = words[below(d, sizeof words / sizeof *words)];
		prefix(name, word, strlen(word)); /* "a.b" is one label with a dot in it */
		return;
	}
	bool binary = chance(d, 2000);
	size_t len = chance(d, 500) ? sizeof label : 1 + below(d, chance(d, 1000) ? sizeof label : 12);
	for (size_t i = 0; i < len; i++)
		label[i] = binary ? (uint8_t)roll(d) : (uint8_t)usual[below(d, sizeof usual - 1)];
	prefix(name, label, len);
}

/* The form of the labels that delegates have; nobody has this one. */
static void prefix_uuid(struct name *name, struct dice *d)
{
	char label[] = "00000000-0000-4000-8000-000000000000";
	for (char *c = label; *c; c++)
		if (*c != '-')
			*c = "0123456789abcdef"[below(d, 16)];
	prefix(name, label, sizeof label - 1);
}

/* Fills up to 255 octets, or as near as labels allow. */
static void prefix_to_the_limit(struct name *name, struct dice *d)
{
	bool many = chance(d, 5000); /* many short labels, or few long ones */
	while (name->len < NAME_MAX_WIRE - 1) {
		uint8_t label[KNOT_DNAME_MAXLABELLEN];
		size_t room = NAME_MAX_WIRE - name->len - 1, len = many ? 1 : sizeof label;
		len = len < room ? len : room;
		memset(label, 'a' + (int)below(d, 26), len);
		prefix(name, label, len);
	}
}

/* Changes one octet that is no length. */
static void alter(struct name *name, struct dice *d)
{
	for (int tries = 0; tries < 4; tries++) {
		size_t at = 0, target = below(d, name->len);
		while (name->wire[at] && at + name->wire[at] < target)
			at += 1u + name->wire[at];
		if (name->wire[at] && target > at) {
			name->wire[target] = (uint8_t)roll(d);
			return;
		}
	}
}

/* A name in or near the zones, of the kinds by their weight in 100. */
static void make_name(const struct names *n, struct dice *d, struct name *out)
{
	static const char outside[][18] = {"", "\3org", "\7example\3org", "\3com", "\5xauth\7example\3org",
		"\4auth\7example\4orgx", "\4auth", "\7version\4bind"};
	size_t lot = below(d, 100);
	if (lot < 28) {
		take_name(out, pick(n, d, KIND_DELEGATE));
	} else if (lot < 34) {
		take_name(out, pick(n, d, KIND_EMPTY));
	} else if (lot < 44) {
		take_name(out, pick(n, d, KIND_APEX));
		prefix_uuid(out, d);
	} else if (lot < 54) {
		take_name(out, pick(n, d, chance(d, 2000) ? KIND_INNER : KIND_APEX));
		prefix_random(out, d);
	} else if (lot < 61) { /* below a delegate */
		take_name(out, pick(n, d, chance(d, 5000) ? KIND_DELEGATE : KIND_EMPTY));
		prefix_random(out, d);
	} else if (lot < 78) {
		static const char kinds[] = {
			KIND_STATIC, KIND_STATIC, KIND_STATIC, KIND_STATIC, KIND_LOOP, KIND_INTO};
		take_name(out, pick(n, d, (enum kind)kinds[below(d, sizeof kinds)]));
	} else if (lot < 85) {
		take_name(out, pick(n, d, KIND_WILD));
		prefix_random(out, d);
	} else if (lot < 88) {
		take_name(out, pick(n, d, KIND_ENT));
	} else if (lot < 93) {
		take_name(out, pick(n, d, chance(d, 3000) ? KIND_INNER : KIND_APEX));
	} else if (lot < 97) {
		const char *name = outside[below(d, sizeof outside / sizeof *outside)];
		out->len = strlen(name) + 1;
		memcpy(out->wire, name, out->len);
	} else { /* any name there is, and something in front of it */
		take_name(out, &n->list[below(d, n->count)]);
		prefix_random(out, d);
	}
	if (chance(d, 400))
		prefix_random(out, d);
	if (chance(d, 100))
		alter(out, d);
	if (chance(d, 60))
		prefix_to_the_limit(out, d);
}

static void mix_case(struct name *name, struct dice *d)
{
	for (size_t at = 0; name->wire[at]; at += 1u + name->wire[at])
		for (size_t i = at + 1; i <= at + name->wire[at]; i++)
			if (chance(d, 5000))
				name->wire[i] = (uint8_t)(isascii(name->wire[i]) ? toupper(name->wire[i])
										 : name->wire[i]);
}

/* ---- numbers ---- */

static uint16_t make_type(struct dice *d)
{
	static const uint16_t asked[] = {KNOT_RRTYPE_TXT, KNOT_RRTYPE_A, KNOT_RRTYPE_AAAA};
	static const uint16_t common[] = {KNOT_RRTYPE_SOA, KNOT_RRTYPE_NS, KNOT_RRTYPE_CNAME, KNOT_RRTYPE_CAA,
		KNOT_RRTYPE_MX, KNOT_RRTYPE_SRV, KNOT_RRTYPE_DS, KNOT_RRTYPE_DNSKEY, KNOT_RRTYPE_HTTPS,
		KNOT_RRTYPE_SVCB, KNOT_RRTYPE_PTR, KNOT_RRTYPE_TLSA, KNOT_RRTYPE_NAPTR, KNOT_RRTYPE_SSHFP,
		KNOT_RRTYPE_LOC, KNOT_RRTYPE_URI, KNOT_RRTYPE_ANY, KNOT_RRTYPE_RRSIG, KNOT_RRTYPE_NSEC,
		KNOT_RRTYPE_NSEC3, KNOT_RRTYPE_NSEC3PARAM, KNOT_RRTYPE_DNAME, KNOT_RRTYPE_HINFO,
		KNOT_RRTYPE_SPF, KNOT_RRTYPE_CDS, 65300};
	if (chance(d, 5500))
		return asked[below(d, sizeof asked / sizeof *asked)];
	if (chance(d, 7500))
		return common[below(d, sizeof common / sizeof *common)];
	/* The low numbers, where most types and all that have no data stand, and all 65 536. */
	return (uint16_t)(chance(d, 4000) ? below(d, 300) : roll(d));
}

static uint16_t make_class(struct dice *d)
{
	static const uint16_t others[] = {0, 2, KNOT_CLASS_CH, 4, 254, KNOT_CLASS_ANY};
	if (chance(d, 9700))
		return KNOT_CLASS_IN;
	return chance(d, 8000) ? others[below(d, sizeof others / sizeof *others)] : (uint16_t)roll(d);
}

static uint16_t make_flags(struct dice *d, bool tcp)
{
	uint16_t flags = chance(d, 5000) ? 0x0100 : 0; /* RD */
	if (chance(d, 2000))
		flags |= 0x0020; /* AD */
	if (chance(d, 1000))
		flags |= 0x0010; /* CD */
	if (chance(d, 150))
		flags |= (uint16_t)(roll(d) & 0x06cf); /* AA, TC, RA, Z, rcode: of no meaning in a query */
	if (chance(d, 150))
		flags |= (uint16_t)(below(d, 16) << 11);
	if (chance(d, tcp ? 1 : 10))
		flags |= 0x8000; /* QR */
	return flags;
}

/* ---- EDNS ---- */

static void write_option(struct writer *w, struct dice *d)
{
	static const uint8_t subnet[] = {0, 1, 24, 0, 192, 0, 2};
	uint8_t bytes[24];
	struct writer data = writer_over(bytes, sizeof bytes);
	uint16_t code = (uint16_t)(chance(d, 5000) ? 26946 + below(d, 1000) : roll(d));
	size_t lot = below(d, 10);
	if (lot == 0) {
		code = 3; /* NSID, RFC 5001 */
	} else if (lot == 1) {
		code = 12; /* padding, RFC 7830 */
		memset(bytes, 0, sizeof bytes);
		(void)writer_take(&data, below(d, sizeof bytes));
	} else if (lot == 2) {
		code = 8; /* client subnet, RFC 7871 */
		write_bytes(&data, subnet, sizeof subnet);
	} else if (lot == 3) {
		code = 10; /* a client's cookie, RFC 7873 */
		write_random(&data, d, 8);
	} else {
		/* What has a meaning is sent in its form only: the rest is a matter of the servers' own
		 * tests. */
		code = code <= 20 ? 26946 : code;
		write_random(&data, d, below(d, sizeof bytes));
	}
	size_t len = (size_t)(data.at - data.start);
	write_u16(w, code);
	write_u16(w, (uint16_t)len);
	write_bytes(w, bytes, len);
}

static void write_opt(struct writer *w, struct dice *d)
{
	static const uint16_t sizes[] = {0, 511, 512, 513, 1231, 1232, 1233, 1400, 4096, 65535};
	static const uint8_t name[] = {1, 'x', 0};
	if (chance(d, 20)) /* RFC 6891 section 6.1.2: must be the root */
		write_bytes(w, name, sizeof name);
	else
		write_u8(w, 0);
	write_u16(w, KNOT_RRTYPE_OPT);
	write_u16(w, chance(d, 8000) ? sizes[below(d, sizeof sizes / sizeof *sizes)] : (uint16_t)roll(d));
	write_u8(w, chance(d, 30) ? (uint8_t)roll(d) : 0);              /* rcode */
	write_u8(w, chance(d, 200) ? (uint8_t)(1 + below(d, 255)) : 0); /* version */
	uint16_t flags = chance(d, 4000) ? 0x8000 : 0;                  /* DO */
	write_u16(w, flags | (chance(d, 200) ? (uint16_t)(roll(d) & 0x7fff) : 0));
	uint8_t *len = writer_take(w, 2);
	uint8_t *begin = w->at;
	for (size_t i = chance(d, 2500) ? 1 + below(d, 3) : 0; i; i--)
		write_option(w, d);
	if (!len || w->failed)
		return;
	size_t size = (size_t)(w->at - begin);
	if (chance(d, 20)) /* does not fit the message, or its options do not fit it */
		size += below(d, 4);
	len[0] = (uint8_t)(size >> 8);
	len[1] = (uint8_t)size;
}

/* ---- the whole ---- */

static void write_question(struct writer *w, const struct names *n, struct dice *d)
{
	struct name name;
	make_name(n, d, &name);
	if (chance(d, 4000))
		mix_case(&name, d);
	write_bytes(w, name.wire, name.len);
	write_u16(w, make_type(d));
	write_u16(w, make_class(d));
}

/* A record where a query has none. */
static void write_record(struct writer *w, struct dice *d)
{
	static const uint8_t name[] = {0xc0, HEADER_SIZE}; /* the question's */
	write_bytes(w, name, sizeof name);
	write_u16(w, chance(d, 5000) ? KNOT_RRTYPE_SOA : KNOT_RRTYPE_A);
	write_u16(w, KNOT_CLASS_IN);
	write_u32(w, 60);
	write_u16(w, 4);
	write_random(w, d, 4);
}

/* A key that nobody has, RFC 8945 section 4.2. */
static void write_tsig(struct writer *w, struct dice *d)
{
	static const uint8_t start[] = {3, 'k', 'e', 'y', 0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 61};
	static const uint8_t algorithm[] = "\13hmac-sha256";
	write_bytes(w, start, sizeof start);
	write_bytes(w, algorithm, sizeof algorithm);
	write_u16(w, 0);
	write_u32(w, 1700000000); /* time */
	write_u16(w, 300);        /* fudge */
	write_u16(w, 32);
	write_random(w, d, 32);
	write_u16(w, 0); /* id */
	write_u32(w, 0); /* error, other */
}

static void damage(struct query *q, struct dice *d)
{
	if (chance(d, 30))
		q->len = below(d, q->len + 1);
	for (size_t i = chance(d, 40) ? 1 + below(d, 3) : 0; i && q->len > 2; i--)
		q->wire[2 + below(d, q->len - 2)] = (uint8_t)roll(d);
	for (size_t i = chance(d, 30) ? 1 + below(d, 20) : 0; i && q->len < sizeof q->wire; i--)
		q->wire[q->len++] = (uint8_t)roll(d);
}

void generate(const struct names *n, uint64_t seed, uint64_t number, bool tcp, struct query *out)
{
	struct dice dice = {seed}, *d = &dice;
	d->state = roll(d) ^ number * 0xd1342543de82ef95;

	struct writer w = writer_over(out->wire, sizeof out->wire);
	uint16_t questions = (uint16_t)(chance(d, tcp ? 4 : 40) ? 2 * below(d, 2) : 1);
	bool record = chance(d, 20), tsig = chance(d, 10), opt = chance(d, 6500),
	     second = opt && chance(d, 20);
	write_u16(&w, 0); /* id: whoever sends it knows */
	write_u16(&w, make_flags(d, tcp));
	write_u16(&w, questions);
	write_u16(&w, record);
	write_u16(&w, 0);
	write_u16(&w, (uint16_t)(opt + second + tsig));
	for (uint16_t i = 0; i < questions; i++)
		write_question(&w, n, d);
	if (record)
		write_record(&w, d);
	for (int i = 0; i < opt + second; i++)
		write_opt(&w, d);
	if (tsig)
		write_tsig(&w, d);
	out->len = w.failed ? 0 : (size_t)(w.at - w.start); /* QUERY_MAX holds the largest that can come */
	if (!tcp)
		damage(out, d);
}
