// SPDX-License-Identifier: GPL-3.0-or-later
/* What is answered: delegates, the zone's own records, denials. From wire bytes to wire bytes. */
#include "dns/fixture.h"

static void expect_txt(const struct record *r, const char *owner, const char *value, uint32_t ttl)
{
	assert_int_equal(r->section, 1);
	assert_int_equal(r->type, T_TXT);
	assert_int_equal(r->class, IN);
	assert_int_equal(r->ttl, ttl);
	assert_string_equal(r->owner, owner);
	assert_int_equal(r->len, strlen(value) + 1);
	assert_int_equal(r->rdata[0], strlen(value));
	assert_memory_equal(r->rdata + 1, value, strlen(value));
}

static void values_of_a_delegate_are_its_txt(void **state)
{
	(void)state;
	const struct reply *r = ask("live.auth.example", T_TXT);
	assert_int_equal(r->rcode, NOERROR);
	assert_int_equal(r->flags, F_QR | F_AA | F_RD); /* RD copied, RFC 1035 section 4.1.1 */
	assert_int_equal(r->counts[0], 1);
	assert_int_equal(r->counts[1], 2);
	assert_int_equal(r->counts[2] + r->counts[3], 0);
	expect_txt(&r->records[0], "live.auth.example", VALUE_1, 1);
	expect_txt(&r->records[1], "live.auth.example", VALUE_2, 1);
}

/* RFC 4343: matched without case; 0x20: the question comes back as sent, and so does the owner. */
static void case_is_ignored_and_echoed(void **state)
{
	(void)state;
	const struct reply *r = ask("LiVe.aUTh.ExaMPle", T_TXT);
	assert_int_equal(r->counts[1], 2);
	expect_txt(&r->records[0], "LiVe.aUTh.ExaMPle", VALUE_1, 1);
	size_t mixed = r->len;
	assert_int_equal(ask("live.auth.example", T_TXT)->len, mixed);
	r = ask("NoTHinG.aUTh.ExaMPle", T_TXT);
	expect_denial(r, NXDOMAIN, "auth.example", 5);
	/* Only ASCII letters have a case: 0xc9 and 0xe9 are two names. */
	expect_denial(ask("l\xc9ve.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
}

/* RFC 2308 section 2.2 for every other type: resolvers that ask SOA or CNAME first must not learn NXDOMAIN.
 */
static void a_delegate_has_no_other_type(void **state)
{
	(void)state;
	static const uint16_t types[] = {T_A, T_AAAA, T_CAA, T_NS, T_SOA, T_CNAME, T_DS, 65, 666, 65280};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		expect_denial(ask("live.auth.example", types[i]), NOERROR, "auth.example", 5);
		expect_denial(ask("empty.auth.example", types[i]), NOERROR, "auth.example", 5);
	}
	expect_denial(ask("empty.auth.example", T_TXT), NOERROR, "auth.example", 5);
	expect_denial(ask("empty.auth.example", T_ANY), NOERROR, "auth.example", 5);
}

/* Types 0, OPT, TKEY, TSIG, MAILB, 65535 and all others: a reply, and no data but for TXT and ANY. */
static void every_type_gets_a_reply(void **state)
{
	(void)state;
	for (uint32_t type = 0; type <= UINT16_MAX; type++) {
		const struct reply *r = ask("live.auth.example", (uint16_t)type);
		if (type == T_TXT || type == T_ANY)
			assert_int_equal(r->counts[1], 2);
		else if (type == T_AXFR || type == T_IXFR)
			expect_refusal(r, NOTAUTH); /* no zone, RFC 5936 section 2.2.1 */
		else if (type == 128)
			expect_refusal(r, FORMERR); /* NXNAME, RFC 9824 section 3.5 */
		else
			expect_denial(r, NOERROR, "auth.example", 5);
	}
}

static void unknown_labels_do_not_exist(void **state)
{
	(void)state;
	static const char *const names[] = {
		"nothing.auth.example",
		"*.auth.example",
		"!live.auth.example",
		"live!.auth.example",
		"li\\.ve.auth.example",
		"live\\0.auth.example",
		"\\0.auth.example",
		"\xff\xfe.auth.example",
		" live.auth.example",
		"live\\.auth.auth.example",
		"live\\.auth\\.example.auth.example",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		expect_denial(ask(names[i], T_TXT), NXDOMAIN, "auth.example", 5);
		assert_int_equal(fx.reply.counts[0], 1);
	}
}

/* RFC 2308 section 5: the smaller of TTL (3600) and MINIMUM. */
static void denials_live_as_long_as_configured(void **state)
{
	(void)state;
	expect_denial(ask("known.star.test", T_TXT), NOERROR, "star.test", 3600); /* negative_ttl 7200 */
	const struct record *soa = reply_find(&fx.reply, 2, T_SOA);
	struct reader minimum = reader_over(soa->rdata + soa->len - 4, 4);
	assert_int_equal(read_u32(&minimum), 7200);
}

static void nothing_exists_below_a_delegate(void **state)
{
	(void)state;
	fixture_lookups = 0;
	expect_denial(ask("_acme-challenge.live.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
	expect_denial(ask("a.b.c.live.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
	expect_denial(ask("live.nothing.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
	expect_denial(ask("live.ent.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
	expect_denial(ask("live.www.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
	assert_int_equal(fixture_lookups, 0); /* and the store need not be asked */
}

/* RFC 8906 section 3.1: refused, without AA and without a referral upwards. */
static void other_zones_are_refused(void **state)
{
	(void)state;
	static const char *const names[] = {"", "example", "live.evil.test", "auth.examplex", "xauth.example",
		"live", "live\\.auth\\.example", "auth\\.example", "www.example.com", "live.auth.example.com",
		"test", "example.auth"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		expect_refusal(ask(names[i], T_TXT), REFUSED);
		expect_refusal(ask(names[i], T_NS), REFUSED);
		expect_refusal(ask(names[i], T_SOA), REFUSED);
	}
	ask_edns("www.example.com", T_TXT, 1232);
	expect_refusal(&fx.reply, REFUSED);
	assert_int_equal(reply_ede(&fx.reply), 20); /* RFC 8914 section 4.21 */
}

static void the_apex_has_soa(void **state)
{
	(void)state;
	const struct reply *r = ask("auth.example", T_SOA);
	assert_true(r->flags & F_AA);
	assert_int_equal(r->counts[1], 1);
	assert_int_equal(r->counts[2], 0);
	const struct record *soa = &r->records[0];
	assert_int_equal(soa->ttl, 3600);
	char name[1024];
	size_t at = reply_name(r, (size_t)(soa->rdata - r->bytes), name);
	assert_string_equal(name, "ns1.auth.example");
	assert_memory_equal(r->bytes + at,
		"\x0bhost.master\x07"
		"example\x03org",
		25); /* RFC 1035 section 8 */
	at = reply_name(r, at, name);
	struct reader in = reader_over(r->bytes + at, 20);
	assert_int_equal(read_u32(&in), 1); /* the serial never moves */
	assert_int_equal(read_u32(&in), 14400);
	assert_int_equal(read_u32(&in), 3600);
	assert_int_equal(read_u32(&in), 1209600);
	assert_int_equal(read_u32(&in), 5);
	/* Without a contact: hostmaster of the zone. */
	r = ask("star.test", T_SOA);
	at = reply_name(r, (size_t)(r->records[0].rdata - r->bytes), name);
	reply_name(r, at, name);
	assert_string_equal(name, "hostmaster.star.test");
}

static void the_apex_has_ns_with_glue(void **state)
{
	(void)state;
	const struct reply *r = ask("auth.example", T_NS);
	assert_int_equal(r->counts[1], 2);
	assert_int_equal(r->counts[2], 0);
	assert_int_equal(r->counts[3], 2);
	const struct record *a = reply_find(r, 3, T_A), *aaaa = reply_find(r, 3, T_AAAA);
	assert_string_equal(a->owner, "ns1.auth.example");
	assert_int_equal(a->ttl, 3600);
	assert_memory_equal(a->rdata, "\xc0\x00\x02\x01", 4);
	assert_int_equal(aaaa->len, 16);
	assert_int_equal(ask("ns1.auth.example", T_A)->counts[1], 1);
	assert_int_equal(ask("ns1.auth.example", T_AAAA)->counts[1], 1);
	expect_denial(ask("ns1.auth.example", T_TXT), NOERROR, "auth.example", 5);
	assert_int_equal(ask("star.test", T_NS)->counts[3], 0); /* its name server lies elsewhere */
}

static void static_records_are_served(void **state)
{
	(void)state;
	assert_memory_equal(ask("auth.example", T_A)->records[0].rdata, "\xc6\x33\x64\x01", 4);
	assert_memory_equal(ask("auth.example", T_CAA)->records[0].rdata, "\x00\x05issueletsencrypt.org", 22);
	assert_memory_equal(ask("unknown.auth.example", 65280)->records[0].rdata, "\x01\x02\x03", 3);
	assert_int_equal(ask("mixed.case.auth.example", T_A)->counts[1], 1);
	assert_int_equal(ask("MIXED.CASE.auth.example", T_A)->records[0].ttl, 3600); /* default TTL */
	expect_denial(ask("auth.example", T_TXT), NOERROR, "auth.example", 5);
	expect_denial(ask("auth.example", T_DS), NOERROR, "auth.example", 5);
}

/* RFC 8020, RFC 4592 section 2.2.2 */
static void empty_non_terminals_exist(void **state)
{
	(void)state;
	static const char *const names[] = {"ent.auth.example", "case.auth.example", "wild.auth.example",
		"sub.auth.example", "cn.auth.example"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		expect_denial(ask(names[i], T_TXT), NOERROR, "auth.example", 5);
		expect_denial(ask(names[i], T_ANY), NOERROR, "auth.example", 5);
	}
}

static void wildcards_are_expanded(void **state)
{
	(void)state;
	const struct reply *r = ask("Some.Thing.wild.auth.example", T_TXT);
	assert_int_equal(r->counts[1], 1);
	expect_txt(&r->records[0], "Some.Thing.wild.auth.example", "from the wildcard", 30);
	expect_txt(&ask("*.wild.auth.example", T_TXT)->records[0], "*.wild.auth.example", "from the wildcard",
		30);
	expect_denial(ask("x.wild.auth.example", T_A), NOERROR, "auth.example", 5);
	expect_denial(ask("wild.auth.example", T_TXT), NOERROR, "auth.example", 5);
	/* A name that exists takes no part (RFC 4592 section 2.2.1), nor what is below it. */
	expect_denial(ask("host.wild.auth.example", T_TXT), NOERROR, "auth.example", 5);
	expect_denial(ask("x.host.wild.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
	r = ask("x.cn.auth.example", T_A);
	assert_int_equal(r->counts[1], 3); /* two CNAMEs and the address */
	assert_string_equal(r->records[0].owner, "x.cn.auth.example");
}

static void a_wildcard_at_the_apex_spares_delegates(void **state)
{
	(void)state;
	expect_txt(&ask("nothing.star.test", T_TXT)->records[0], "nothing.star.test", "star", 30);
	expect_txt(&ask("a.b.nothing.star.test", T_TXT)->records[0], "a.b.nothing.star.test", "star", 30);
	expect_txt(&ask("live.star.test", T_TXT)->records[0], "live.star.test", VALUE_1, 2);
	expect_denial(ask("empty.star.test", T_TXT), NOERROR, "star.test", 3600);
	expect_denial(ask("a.b.live.star.test", T_TXT), NXDOMAIN, "star.test", 3600);
	expect_denial(ask("a.known.star.test", T_TXT), NXDOMAIN, "star.test", 3600);
	expect_refusal(ask("a.fail.star.test", T_TXT), SERVFAIL);
}

static void aliases_are_followed_within_the_zone(void **state)
{
	(void)state;
	const struct reply *r = ask("chain.auth.example", T_A);
	assert_int_equal(r->counts[1], 3);
	assert_string_equal(r->records[0].owner, "chain.auth.example");
	assert_int_equal(r->records[0].ttl, 60);
	assert_string_equal(r->records[1].owner, "WWW.auth.example"); /* as the record has it */
	assert_int_equal(r->records[2].type, T_A);
	assert_string_equal(r->records[2].owner, "auth.example");
	assert_int_equal(ask("chain.auth.example", T_CNAME)->counts[1], 1);
	assert_int_equal(ask("chain.auth.example", T_ANY)->counts[1], 1);
	r = ask("ext.auth.example", T_A);
	assert_int_equal(r->rcode, NOERROR);
	assert_int_equal(r->counts[1], 1);
	assert_int_equal(r->counts[2], 0);
	r = ask("to-live.auth.example", T_TXT);
	assert_int_equal(r->counts[1], 3);
	expect_txt(&r->records[1], "live.auth.example", VALUE_1, 1);
	assert_int_equal(
		ask("to-deep.auth.example", T_SOA)->counts[1], 1); /* another zone: the resolver goes on */
}

static void denials_at_the_end_of_an_alias(void **state)
{
	(void)state;
	const struct reply *r = ask("to-live.auth.example", T_A);
	assert_int_equal(r->rcode, NOERROR);
	assert_int_equal(r->counts[1], 1);
	assert_non_null(reply_find(r, 2, T_SOA));
	r = ask("to-nothing.auth.example", T_A); /* RFC 6604 section 3 */
	assert_int_equal(r->rcode, NXDOMAIN);
	assert_int_equal(r->counts[1], 1);
	assert_non_null(reply_find(r, 2, T_SOA));
	expect_refusal(ask("to-fail.auth.example", T_A), SERVFAIL); /* nothing of the chain stays */
	r = ask("loop1.auth.example", T_A);                         /* each record once, RFC 2181 section 5 */
	assert_int_equal(r->rcode, NOERROR);
	assert_int_equal(r->counts[1], 2);
	assert_string_equal(r->records[0].owner, "loop1.auth.example");
	assert_string_equal(r->records[1].owner, "loop2.auth.example");
}

static void zones_within_zones(void **state)
{
	(void)state;
	assert_int_equal(ask("deep.sub.auth.example", T_SOA)->counts[1], 1);
	expect_denial(ask("nothing.deep.sub.auth.example", T_TXT), NXDOMAIN, "deep.sub.auth.example", 5);
	assert_int_equal(ask("live.deep.sub.auth.example", T_TXT)->counts[1], 2);
	expect_denial(ask("nothing.sub.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
	/* RFC 4035 section 3.1.4.1: the zone above says that there is no DS. */
	expect_denial(ask("deep.sub.auth.example", T_DS), NOERROR, "auth.example", 5);
	expect_denial(ask("star.test", T_DS), NOERROR, "star.test", 3600);
}

static void expect_the_same_over_tcp(const char *name, uint16_t type)
{
	static uint8_t over_udp[512];
	size_t len = ask(name, type)->len;
	memcpy(over_udp, fx.out, len);
	fx.tcp = true;
	assert_int_equal(ask(name, type)->len, len);
	assert_memory_equal(fx.out, over_udp, len);
	fx.tcp = false;
}

/* RFC 8482 section 4.1: one set, over UDP and TCP alike. */
static void any_gets_one_set(void **state)
{
	(void)state;
	static const char *const names[] = {"auth.example", "live.auth.example", "empty.auth.example",
		"nothing.auth.example", "www.auth.example", "ent.auth.example", "x.wild.auth.example"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		expect_the_same_over_tcp(names[i], T_ANY);
	for (fx.tcp = false;; fx.tcp = true) {
		const struct reply *r = ask("auth.example", T_ANY);
		assert_int_equal(r->rcode, NOERROR);
		assert_true(r->counts[1] >= 1);
		for (size_t i = 1; i < r->counts[1]; i++)
			assert_int_equal(r->records[i].type, r->records[0].type);
		assert_int_equal(ask("live.auth.example", T_ANY)->counts[1], 2);
		expect_denial(ask("nothing.auth.example", T_ANY), NXDOMAIN, "auth.example", 5);
		if (fx.tcp)
			break;
	}
}

/* What the store cannot say is not denied. */
static void a_store_that_fails_is_servfail(void **state)
{
	(void)state;
	expect_refusal(ask("fail.auth.example", T_TXT), SERVFAIL);
	expect_refusal(ask("fail.auth.example", T_A), SERVFAIL);
	fx.no_store = true;
	expect_refusal(ask("live.auth.example", T_TXT), SERVFAIL);
	expect_refusal(ask("nothing.auth.example", T_TXT), SERVFAIL);
	ask_edns("live.auth.example", T_TXT, 1232);
	expect_refusal(&fx.reply, SERVFAIL);
	assert_int_equal(reply_ede(&fx.reply), 14);
	/* The zone itself needs no store. */
	assert_int_equal(ask("auth.example", T_SOA)->counts[1], 1);
	expect_denial(ask("a.b.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
}

/* Two values in at most four times the size of the query, as with other servers. */
static void amplification_is_bounded(void **state)
{
	(void)state;
	const struct reply *r = ask(UUID ".auth.example", T_TXT);
	assert_int_equal(r->counts[1], 2);
	assert_int_equal(
		r->len, message_len(&fx.query) + 2 * 56); /* owner, fixed part and value, nothing else */
	assert_true(r->len <= 4 * message_len(&fx.query));
	r = ask("nothing.auth.example", T_TXT);
	assert_true(r->len <= 3 * message_len(&fx.query));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(values_of_a_delegate_are_its_txt),
		FIXTURE_TEST(case_is_ignored_and_echoed),
		FIXTURE_TEST(a_delegate_has_no_other_type),
		FIXTURE_TEST(every_type_gets_a_reply),
		FIXTURE_TEST(unknown_labels_do_not_exist),
		FIXTURE_TEST(denials_live_as_long_as_configured),
		FIXTURE_TEST(nothing_exists_below_a_delegate),
		FIXTURE_TEST(other_zones_are_refused),
		FIXTURE_TEST(the_apex_has_soa),
		FIXTURE_TEST(the_apex_has_ns_with_glue),
		FIXTURE_TEST(static_records_are_served),
		FIXTURE_TEST(empty_non_terminals_exist),
		FIXTURE_TEST(wildcards_are_expanded),
		FIXTURE_TEST(a_wildcard_at_the_apex_spares_delegates),
		FIXTURE_TEST(aliases_are_followed_within_the_zone),
		FIXTURE_TEST(denials_at_the_end_of_an_alias),
		FIXTURE_TEST(zones_within_zones),
		FIXTURE_TEST(any_gets_one_set),
		FIXTURE_TEST(a_store_that_fails_is_servfail),
		FIXTURE_TEST(amplification_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
