// SPDX-License-Identifier: GPL-3.0-or-later
/* Zones to ask, and a store that answers by label: the look-up is replaced through dns/internal.h. */
#pragma once

#include "dns/internal.h"
#include "dns/wire.h"

enum { ID_AUTH = 7, ID_DEEP = 8, ID_STAR = 9 };
enum { NOW = 1700000000 };

#define VALUE_1 "LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM"
#define VALUE_2 "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

/* Texts of the configuration are not const; nothing writes to them. */
#define TEXT(s) ((char *)s)

#define UUID "d420c923-bbd7-4056-ab64-c3ca54c9b3cf"

static struct conf_nameserver auth_servers[] = {
	{.name = TEXT("ns1.auth.example"),
		.addresses = (struct address[2]){{{0}}},
		.address_count = 2,
		.line = 3},
	{.name = TEXT("ns.other.test."), .line = 4},
};
static struct conf_record auth_records[] = {
	{TEXT("@ 3600 A 198.51.100.1"), 10},
	{TEXT("@ 3600 CAA 0 issue \"letsencrypt.org\""), 11},
	{TEXT("www CNAME @"), 12},
	{TEXT("chain 60 IN CNAME WWW"), 13},
	{TEXT("ext CNAME example.net."), 14},
	{TEXT("to-live CNAME live"), 15},
	{TEXT("to-fail CNAME fail"), 16},
	{TEXT("to-nothing CNAME nothing"), 17},
	{TEXT("to-deep CNAME deep.sub"), 18},
	{TEXT("loop1 CNAME loop2"), 19},
	{TEXT("loop2 CNAME loop1"), 20},
	{TEXT("leaf.ent A 192.0.2.9"), 21},
	{TEXT("*.wild 30 TXT \"from the wildcard\""), 22},
	{TEXT("host.wild A 192.0.2.10"), 23},
	{TEXT("*.cn CNAME www"), 24},
	{TEXT("Mixed.Case A 192.0.2.11"), 25},
	{TEXT("unknown TYPE65280 \\# 3 010203"), 26},
};
static struct conf_nameserver deep_servers[] = {{.name = TEXT("ns1.auth.example"), .line = 30}};
static struct conf_nameserver star_servers[] = {{.name = TEXT("ns1.auth.example"), .line = 40}};
static struct conf_record star_records[] = {
	{TEXT("* 30 TXT \"star\""), 41},
	{TEXT("known A 192.0.2.12"), 42},
};

static struct conf_zone fixture_conf[] = {
	{.name = TEXT("star.test"),
		.nameservers = star_servers,
		.nameserver_count = 1,
		.records = star_records,
		.record_count = 2,
		.value_ttl = 2,
		.negative_ttl = 7200,
		.line = 39},
	{.name = TEXT("auth.example"),
		.nameservers = auth_servers,
		.nameserver_count = 2,
		.contact = TEXT("host.master@example.org"),
		.records = auth_records,
		.record_count = sizeof auth_records / sizeof *auth_records,
		.value_ttl = 1,
		.negative_ttl = 5,
		.line = 1},
	{.name = TEXT("deep.sub.auth.example"),
		.nameservers = deep_servers,
		.nameserver_count = 1,
		.value_ttl = 1,
		.negative_ttl = 5,
		.line = 29},
};

static inline struct dns_zones *fixture_zones(void)
{
	static const uint16_t ids[] = {ID_STAR, ID_AUTH, ID_DEEP};
	struct dns_zones *zones;
	struct diag *d = diag_new();
	assert_int_equal(address_parse("192.0.2.1", &auth_servers[0].addresses[0]), OK);
	assert_int_equal(address_parse("2001:db8::1", &auth_servers[0].addresses[1]), OK);
	int err = dns_zones_build(fixture_conf, ids, 3, "test.yaml", d, &zones);
	diag_print(d, stderr);
	assert_int_equal(err, OK);
	diag_free(&d);
	return zones;
}

static unsigned fixture_lookups;
static int64_t fixture_now;                       /* milliseconds since the epoch */
static const int64_t fixture_jump = 86400 * 1000; /* the clock was set ahead since the server started */

static inline bool label_is(const uint8_t *label, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(label, text, len) == 0;
}

static inline void fixture_values(struct delegate_values *v, size_t count)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	v->count = count;
	for (size_t i = 0; i < count; i++) {
		v->rdata[i][0] = DELEGATE_VALUE_LEN;
		memcpy(v->rdata[i] + 1, i % 2 ? VALUE_2 : VALUE_1, DELEGATE_VALUE_LEN);
		if (i > 1)
			v->rdata[i][1] = (uint8_t)alphabet[i];
	}
}

/* live, UUID: two values; empty: none; v6, v12, v32: as many; fail: the store fails; anything else: no such
 * delegate. */
static inline int fixture_lookup(const struct delegate_source *s, const struct delegate_name *n, int64_t now,
	struct delegate_values *out)
{
	const uint8_t *label = n->label;
	size_t len = n->len;
	bool *no_store = s->ctx;
	if (*no_store)
		return ERR_STORE;
	assert_int_equal(now, fixture_now - fixture_jump); /* values live by the time that has passed */
	assert_true(n->zone == ID_AUTH || n->zone == ID_DEEP || n->zone == ID_STAR);
	fixture_lookups++;
	if (label_is(label, len, "fail"))
		return ERR_STORE;
	if (label_is(label, len, "live") || label_is(label, len, UUID))
		return fixture_values(out, 2), OK;
	if (label_is(label, len, "empty"))
		return fixture_values(out, 0), OK;
	if (len > 1 && label[0] == 'v' && isdigit(label[1]))
		return fixture_values(out, (size_t)(label[1] - '0') * (len > 2 ? 10 : 1) +
						   (len > 2 ? (size_t)(label[2] - '0') : 0)),
		       OK;
	return ERR_NOTFOUND;
}

struct fixture {
	struct dns_zones *zones;
	struct dns_answerer *answerer;
	struct message query;
	struct reply reply;
	uint8_t out[65535];
	bool tcp, tls;
	bool no_store;
	uint16_t port;
	struct address client;
	struct dns_settings settings;
	struct dns_counters counters;
};

static struct fixture fx;

/* An answerer for what fx.settings say now. */
static inline void fixture_restart(void)
{
	dns_answerer_free(&fx.answerer);
	assert_int_equal(dns_answerer_new(&fx.settings, &fx.answerer), OK);
	dns_answerer_set_lookup(fx.answerer, fixture_lookup);
}

static inline int fixture_setup(void **state)
{
	(void)state;
	memset(&fx, 0, sizeof fx);
	fx.port = 40000;
	fixture_now = NOW;
	assert_int_equal(address_parse("198.51.100.100", &fx.client), OK);
	fx.zones = fixture_zones();
	fx.settings.zones = fx.zones;
	fx.settings.counters = &fx.counters;
	fixture_restart();
	return 0;
}

static inline int fixture_teardown(void **state)
{
	(void)state;
	dns_answerer_free(&fx.answerer);
	dns_zones_free(&fx.zones);
	return 0;
}

/* What went the short way is the same, octet for octet, as by the long one. */
static inline void fixture_compare(const struct dns_query *q, size_t len, size_t cap)
{
	struct dns_plain plain;
	if (!len || !fx.zones) /* dropped before; zones of the test's own */
		return;
	dns_plain_parse(fx.zones, q, &plain);
	if (!plain.wire || (fx.settings.responses_per_second && q->tcp == 0))
		return;
	uint8_t *out = malloc(cap);
	struct dns_counters counted = *fx.answerer->counters;
	const struct dns_witness witness = fx.answerer->settings.witness;
	assert_non_null(out);
	fx.answerer->settings.witness.note = NULL;
	assert_int_equal(dns_answer_generally(fx.answerer, q, true, out, cap), len);
	assert_memory_equal(out, fx.out, len);
	*fx.answerer->counters = counted;
	fx.answerer->settings.witness = witness;
	free(out);
}

/* Hands over exactly `len` bytes, so that the sanitizer sees a read behind their end, and checks what holds
 * of every reply. Returns its length. */
static inline size_t send_bytes(const uint8_t *bytes, size_t len, size_t cap)
{
	uint8_t *exact = malloc(len + !len), *out = malloc(cap);
	assert_non_null(exact);
	assert_non_null(out);
	memcpy(exact, bytes, len);
	struct delegate_source source = {.ctx = &fx.no_store};
	struct dns_query q = {.wire = exact,
		.len = len,
		.tcp = fx.tcp,
		.tls = fx.tls,
		.client = {fx.client, fx.port},
		.now = fixture_now,
		.jump = fixture_jump,
		.delegates = &source};
	size_t n = dns_answer(fx.answerer, &q, out, cap);
	assert_memory_equal(exact, bytes, len); /* the query is left as it was */
	assert_true(n <= cap);
	memcpy(fx.out, out, n);
	fixture_compare(&q, n, cap);
	free(exact);
	free(out);
	if (!n)
		return 0;
	reply_parse(&fx.reply, fx.out, n);
	assert_true(fx.reply.flags & F_QR);
	assert_false(fx.reply.flags & (F_RA | F_Z | F_AD | F_CD));
	assert_memory_equal(fx.out, bytes, 2);               /* id */
	assert_int_equal(fx.out[2] & 0x78, bytes[2] & 0x78); /* opcode */
	if (fx.reply.counts[0])                              /* the question, byte for byte */
		assert_memory_equal(fx.out + 12, bytes + 12, fx.reply.question_len);
	return n;
}

static inline size_t send_query(void)
{
	return send_bytes(fx.query.bytes, message_len(&fx.query), fx.tcp ? 65535 : 4096);
}

static inline const struct reply *ask_class(const char *name, uint16_t type, uint16_t class)
{
	message_begin(&fx.query, F_RD, 1);
	message_question(&fx.query, name, type, class);
	assert_true(send_query() > 0);
	return &fx.reply;
}

static inline const struct reply *ask(const char *name, uint16_t type)
{
	return ask_class(name, type, IN);
}

static inline const struct reply *ask_edns(const char *name, uint16_t type, uint16_t size)
{
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, name, type, IN);
	message_opt(&fx.query, size, 0, NULL, 0);
	assert_true(send_query() > 0);
	return &fx.reply;
}

/* NOERROR or NXDOMAIN with nothing but the zone's SOA, whose TTL is `ttl` (RFC 2308). */
static inline void expect_denial(const struct reply *r, unsigned rcode, const char *zone, uint32_t ttl)
{
	assert_int_equal(r->rcode, rcode);
	assert_true(r->flags & F_AA);
	assert_int_equal(r->counts[1], 0);
	assert_int_equal(r->counts[2], 1);
	const struct record *soa = reply_find(r, 2, T_SOA);
	assert_non_null(soa);
	assert_int_equal(strcasecmp(soa->owner, zone), 0);
	assert_int_equal(soa->ttl, ttl);
}

/* Header and question alone. */
static inline void expect_refusal(const struct reply *r, unsigned rcode)
{
	assert_int_equal(reply_rcode(r), rcode);
	assert_false(r->flags & (F_AA | F_TC));
	assert_int_equal(r->counts[1] + r->counts[2], 0);
	assert_int_equal(r->counts[3], r->opt ? 1 : 0);
}

/* What is in hand must be refused as malformed. */
static inline void expect_formerr(void)
{
	assert_true(send_query() > 0);
	expect_refusal(&fx.reply, FORMERR);
}

#define FIXTURE_TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
