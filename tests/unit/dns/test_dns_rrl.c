// SPDX-License-Identifier: GPL-3.0-or-later
/* Response rate limiting: the rule by itself, and what a limited client sees. */
#include "dns/fixture.h"
#include "dns/rrl.h"

enum { START = 1700000000 };

static struct address at(const char *text)
{
	struct address a;
	assert_int_equal(address_parse(text, &a), OK);
	return a;
}

static struct address four(uint32_t host)
{
	struct address a = at("0.0.0.0");
	for (unsigned i = 0; i < 4; i++)
		a.bytes[12 + i] = (uint8_t)(host >> (24 - 8 * i));
	return a;
}

/* How many of `count` at once are served. */
static unsigned served(struct rrl *r, const struct address *a, unsigned count, int64_t now)
{
	unsigned n = 0;
	for (unsigned i = 0; i < count; i++)
		n += !rrl_over(r, a, now);
	return n;
}

/* --- The rule --- */

static void bursts_are_served(void **state)
{
	(void)state;
	static const struct {
		uint32_t rate;
		unsigned sharers, burst;
	} cases[] = {{200, 1, 1000}, {200, 2, 500}, {1, 1, 1000}, {1, 256, 250}, {1000, 4, 1250},
		{1000000, 256, 19531}};
	struct address a = at("192.0.2.1");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rrl *r;
		assert_int_equal(rrl_new(cases[i].rate, cases[i].sharers, &r), OK);
		assert_int_equal(served(r, &a, cases[i].burst + 100, START), cases[i].burst);
		rrl_free(&r);
		assert_null(r);
	}
}

static void afterwards_the_rate_holds(void **state)
{
	(void)state;
	struct rrl *r;
	struct address a = at("192.0.2.1");
	assert_int_equal(rrl_new(200, 2, &r), OK);
	assert_int_equal(served(r, &a, 500, START), 500);
	for (int64_t s = 1; s <= 20; s++) /* its share of the rate, asked for evenly */
		for (int64_t i = 0; i < 100; i++)
			assert_false(rrl_over(r, &a, START + s * 1000 + i * 10));
	/* Ten seconds of nothing, and the burst is whole again. */
	assert_int_equal(served(r, &a, 2000, START + 40 * 1000), 500);
	rrl_free(&r);
}

static void whoever_floods_gets_nothing_meanwhile(void **state)
{
	(void)state;
	struct rrl *r;
	struct address a = at("192.0.2.1");
	assert_int_equal(rrl_new(200, 1, &r), OK);
	int64_t now = START;
	assert_int_equal(served(r, &a, 5000, now), 1000);
	for (; now < START + 60 * 1000; now++)
		assert_int_equal(served(r, &a, 50, now), 0);
	/* At its end: not at once, but soon. */
	assert_true(rrl_over(r, &a, now + 500));
	assert_false(rrl_over(r, &a, now + 1100));
	/* Slower than the rate it is served on, and twice as fast not for long. */
	for (int64_t i = 0; i < 1000; i++)
		assert_false(rrl_over(r, &a, now + 1200 + 5 * i));
	rrl_free(&r);
}

static void a_clock_that_jumps_is_survived(void **state)
{
	(void)state;
	struct rrl *r;
	struct address a = at("192.0.2.1");
	static const int64_t times[] = {0, 4102444800000, 1000, 1700000000000};
	assert_int_equal(rrl_new(200, 1, &r), OK);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		served(r, &a, 3000, times[i]);
		assert_false(rrl_over(r, &a, times[i] + 1100));
	}
	rrl_free(&r);
}

static bool same_network(const char *one, const char *other)
{
	struct rrl *r;
	struct address a = at(one), b = at(other);
	assert_int_equal(rrl_new(200, 1, &r), OK);
	served(r, &a, 1000, START);
	bool same = rrl_over(r, &b, START);
	rrl_free(&r);
	return same;
}

static void networks_are_24_and_56(void **state)
{
	(void)state;
	assert_true(same_network("192.0.2.0", "192.0.2.255"));
	assert_false(same_network("192.0.2.0", "192.0.3.0"));
	assert_false(same_network("192.0.2.0", "193.0.2.0"));
	assert_true(same_network("2001:db8:1:2ff::1", "2001:db8:1:200:ffff:ffff:ffff:ffff"));
	assert_false(same_network("2001:db8:1:200::1", "2001:db8:1:300::1"));
	assert_false(same_network("192.0.2.0", "c000:200::1"));
	assert_false(same_network("0.0.0.1", "::1"));
}

/* 40 flooding networks, and 50 000 forged ones a second from all over the world: nobody else is limited. */
static void floods_do_not_hurt_others(void **state)
{
	(void)state;
	struct rrl *r;
	assert_int_equal(rrl_new(200, 1, &r), OK);
	uint32_t random = 1;
	for (int64_t now = START; now < START + 10 * 1000; now++) {
		for (uint32_t i = 0; i < 40; i++) {
			struct address flooder = four(10u << 24 | i << 8);
			served(r, &flooder, 25, now);
		}
		for (unsigned i = 0; i < 50; i++) {
			random = random * 1664525 + 1013904223;
			struct address forged = four(random);
			(void)rrl_over(r, &forged, now);
		}
	}
	unsigned limited = 0;
	for (uint32_t i = 0; i < 20000; i++) {
		struct address innocent = four(172u << 24 | i << 8);
		limited += rrl_over(r, &innocent, START + 10 * 1000);
	}
	/* A network shares both places with one of the 40 by a chance of (40 / 32768)^2. */
	assert_true(limited <= 2);
	rrl_free(&r);
}

static void looking_ahead_changes_nothing(void **state)
{
	(void)state;
	struct rrl *r;
	struct address a = at("192.0.2.1");
	assert_int_equal(rrl_new(200, 1, &r), OK);
	for (unsigned i = 0; i < 5000; i++)
		rrl_look_ahead(r, &a);
	assert_int_equal(served(r, &a, 1001, START), 1000);
	rrl_free(&r);
	rrl_free(&r);
}

/* --- What clients see --- */

static struct dns_cookie_secrets secrets = {.count = 1, .secrets = {"0123456789abcde"}};
static struct prefix unlimited;

static int setup(void **state)
{
	fixture_setup(state);
	fx.settings.cookies = &secrets;
	fx.settings.nsid = "ns1";
	fx.settings.responses_per_second = 1;
	fixture_restart();
	return 0;
}

static void flood(void)
{
	while (!fx.counters.limited)
		ask("live.auth.example", T_TXT);
	assert_true(fx.counters.udp > 1000);
}

/* Nothing but the question and OPT, and no byte more than was sent. */
static void expect_limited(void)
{
	const struct reply *r = &fx.reply;
	assert_int_equal(reply_rcode(r), NOERROR);
	assert_int_equal(r->flags & ~F_RD, F_QR | F_TC);
	assert_int_equal(r->counts[1] + r->counts[2], 0);
	assert_int_equal(r->counts[3], r->opt ? 1 : 0);
	assert_true(r->len <= message_len(&fx.query));
}

static void limited_replies_are_small(void **state)
{
	(void)state;
	size_t len;
	flood();
	static const char *const names[] = {"live.auth.example", "nothing.auth.example", "auth.example",
		"other.test", "fail.auth.example", "v32.auth.example", ""};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		unsigned lookups = fixture_lookups;
		ask(names[i], T_TXT);
		expect_limited();
		assert_int_equal(fx.reply.counts[0], 1);
		assert_null(fx.reply.opt);
		ask_edns(names[i], T_AXFR, 4096);
		expect_limited();
		assert_int_equal(fx.reply.opt->len, 0);
		assert_int_equal(fixture_lookups, lookups); /* decided before anything is looked up */
	}
	for (unsigned cookie = 8; cookie <= 40; cookie = cookie == 8 ? 16 : cookie + 1) {
		uint8_t data[40] = {1};
		message_begin(&fx.query, F_RD, 1);
		message_question(&fx.query, "live.auth.example", T_TXT, IN);
		message_option(&fx.query, 1232, O_COOKIE, data, cookie);
		assert_true(send_query() > 0);
		expect_limited();
		/* A cookie of ours takes the room of the one that was sent. */
		assert_int_equal(reply_option(&fx.reply, O_COOKIE, &len) != NULL, cookie >= 24);
		message_begin(&fx.query, 0, 0); /* without a question */
		message_option(&fx.query, 1232, O_COOKIE, data, cookie);
		assert_true(send_query() > 0);
		expect_limited();
	}
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_opt(&fx.query, 1232, 0, "\0\3\0\0", 4);
	assert_true(send_query() > 0);
	expect_limited();
	assert_int_equal(fx.reply.opt->len, 0);
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_tsig(&fx.query);
	assert_true(send_query() > 0);
	expect_limited();
}

/* The short way and the long one truncate alike. */
static void limited_replies_are_alike(void **state)
{
	(void)state;
	static const char *const names[] = {"live.AUTH.example", "nothing.auth.example", "v32.auth.example"};
	flood();
	for (unsigned i = 0; i < 3 * 4; i++) {
		uint8_t out[512];
		struct delegate_source source = {.ctx = &fx.no_store};
		message_begin(&fx.query, i % 2 ? F_RD | F_CD : F_AD, 1);
		message_question(&fx.query, names[i / 4], T_TXT, IN);
		if (i % 4 > 1)
			message_opt(&fx.query, 4096, i % 2 ? 0x8000 : 0, NULL, 0);
		struct dns_query q = {.wire = fx.query.bytes,
			.len = message_len(&fx.query),
			.client = {fx.client, fx.port},
			.now = fixture_now,
			.jump = fixture_jump,
			.delegates = &source};
		size_t len = dns_answer_generally(fx.answerer, &q, false, out, sizeof out);
		assert_int_equal(send_query(), len);
		expect_limited();
		assert_memory_equal(fx.out, out, len);
	}
}

/* A reply to what is refused before the limit is no larger than what was sent. */
static void refusals_are_small(void **state)
{
	(void)state;
	message_begin(&fx.query, 4 << 11, 1); /* NOTIFY with OPT */
	message_question(&fx.query, "auth.example", T_SOA, IN);
	message_opt(&fx.query, 1232, 0, "\0\3\0\0", 4);
	assert_true(send_query() > 0);
	expect_refusal(&fx.reply, NOTIMP);
	assert_true(fx.reply.len <= message_len(&fx.query));
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "auth.example", T_SOA, IN);
	message_opt(&fx.query, 1232, 9 << 16, "\0\3\0\0", 4);
	assert_true(send_query() > 0);
	expect_refusal(&fx.reply, BADVERS);
	assert_true(fx.reply.len <= message_len(&fx.query));
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "auth.example", T_SOA, IN);
	message_option(&fx.query, 1232, O_COOKIE, "", 0);
	expect_formerr();
	assert_true(fx.reply.len <= message_len(&fx.query));
}

static void tcp_is_not_limited(void **state)
{
	(void)state;
	flood();
	fx.tcp = true;
	assert_int_equal(ask("v32.auth.example", T_TXT)->counts[1], 32);
	fx.tls = true;
	assert_int_equal(ask("v32.auth.example", T_TXT)->counts[1], 32);
}

static void cookie_clients_are_not_limited(void **state)
{
	(void)state;
	uint8_t cookie[24];
	size_t len;
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_option(&fx.query, 1232, O_COOKIE, "12345678", 8);
	assert_true(send_query() > 0);
	memcpy(cookie, reply_option(&fx.reply, O_COOKIE, &len), 24);
	fx.client = at("198.51.100.7"); /* a neighbour */
	flood();
	fx.client = at("198.51.100.100");
	for (unsigned i = 0; i < 3000; i++) {
		message_begin(&fx.query, 0, 1);
		message_question(&fx.query, "live.auth.example", T_TXT, IN);
		message_option(&fx.query, 1232, O_COOKIE, cookie, 24);
		assert_true(send_query() > 0);
		assert_int_equal(fx.reply.counts[1], 2);
	}
	ask("live.auth.example", T_TXT); /* whoever can show none is */
	expect_limited();
	fx.client = at("198.51.101.1"); /* and the other network never was */
	assert_int_equal(ask("live.auth.example", T_TXT)->counts[1], 2);
}

/* What a cookie client asks is not put down to its neighbours. */
static void cookie_clients_use_up_nothing(void **state)
{
	(void)state;
	uint8_t cookie[24];
	size_t len;
	for (unsigned i = 0; i < 2000; i++) {
		message_begin(&fx.query, 0, 1);
		message_question(&fx.query, "live.auth.example", T_TXT, IN);
		message_option(
			&fx.query, 1232, O_COOKIE, i ? cookie : (const uint8_t *)"12345678", i ? 24 : 8);
		assert_true(send_query() > 0);
		assert_int_equal(fx.reply.counts[1], 2);
		memcpy(cookie, reply_option(&fx.reply, O_COOKIE, &len), 24);
	}
	for (unsigned i = 0; i < 900; i++)
		assert_int_equal(ask("live.auth.example", T_TXT)->counts[1], 2);
}

static void some_networks_are_not_limited(void **state)
{
	(void)state;
	assert_int_equal(prefix_parse("198.51.100.64/26", 16, &unlimited), OK);
	fx.settings.unlimited = &unlimited;
	fx.settings.unlimited_count = 1;
	fixture_restart();
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(ask("live.auth.example", T_TXT)->counts[1], 2);
	assert_int_equal(fx.counters.limited, 0);
	fx.client = at("198.51.100.1");
	flood();
}

static void no_rate_is_no_limit(void **state)
{
	(void)state;
	fx.settings.responses_per_second = 0;
	fixture_restart();
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(ask("live.auth.example", T_TXT)->counts[1], 2);
}

/* 64 resolvers behind one /24, each asking for every label of the name (RFC 9156) over both families; even if
 * all of them came to one of two workers. */
static void first_contact_is_not_limited(void **state)
{
	(void)state;
	static const char *const names[] = {"example", "auth.example", "live.auth.example",
		"live.auth.example", "_acme-challenge.live.auth.example"};
	fx.settings.responses_per_second = 200;
	fx.settings.answerers = 2;
	fixture_restart();
	for (unsigned host = 0; host < 64; host++) {
		fx.client.bytes[15] = (uint8_t)host;
		for (unsigned i = 0; i < 5; i++)
			ask(names[i], i == 3 ? T_TXT : T_NS);
		ask("live.auth.example", T_CAA);
	}
	assert_int_equal(fx.counters.limited, 0);
}

/* --- Counters --- */

static void everything_is_counted_once(void **state)
{
	(void)state;
	const struct dns_counters *c = &fx.counters;
	ask("live.auth.example", T_TXT);
	ask("nothing.auth.example", T_TXT);
	ask("nothing.auth.example", T_TXT);
	ask("fail.auth.example", T_TXT);
	ask("other.test", T_TXT);
	ask_edns("v32.auth.example", T_TXT, 1232);
	send_bytes((const uint8_t *)"x", 1, 512);
	assert_int_equal(c->udp, 7);
	assert_int_equal(c->dropped, 1);
	assert_int_equal(c->truncated, 1);
	assert_int_equal(c->rcodes[NOERROR], 2);
	assert_int_equal(c->rcodes[NXDOMAIN], 2);
	assert_int_equal(c->rcodes[SERVFAIL], 1);
	assert_int_equal(c->rcodes[REFUSED], 1);
	fx.tcp = true;
	ask("live.auth.example", T_TXT);
	fx.tls = true;
	ask("live.auth.example", T_TXT);
	ask("live.auth.example", T_TXT);
	fx.tcp = fx.tls = false;
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_opt(&fx.query, 1232, 1 << 16, NULL, 0);
	assert_true(send_query() > 0);
	assert_int_equal(c->udp, 8);
	assert_int_equal(c->tcp, 1);
	assert_int_equal(c->tls, 2);
	assert_int_equal(c->rcodes[BADVERS], 1);
	uint64_t replies = 0;
	for (size_t i = 0; i < 24; i++)
		replies += c->rcodes[i];
	assert_int_equal(replies + c->dropped, c->udp + c->tcp + c->tls);
}

static void nobody_need_count(void **state)
{
	(void)state;
	fx.settings.counters = NULL;
	fixture_restart();
	assert_int_equal(ask("live.auth.example", T_TXT)->counts[1], 2);
	assert_int_equal(fx.counters.udp, 0);
}

#define LIMIT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bursts_are_served),
		cmocka_unit_test(afterwards_the_rate_holds),
		cmocka_unit_test(whoever_floods_gets_nothing_meanwhile),
		cmocka_unit_test(a_clock_that_jumps_is_survived),
		cmocka_unit_test(networks_are_24_and_56),
		cmocka_unit_test(floods_do_not_hurt_others),
		cmocka_unit_test(looking_ahead_changes_nothing),
		LIMIT_TEST(limited_replies_are_small),
		LIMIT_TEST(limited_replies_are_alike),
		LIMIT_TEST(refusals_are_small),
		LIMIT_TEST(tcp_is_not_limited),
		LIMIT_TEST(cookie_clients_are_not_limited),
		LIMIT_TEST(cookie_clients_use_up_nothing),
		LIMIT_TEST(some_networks_are_not_limited),
		LIMIT_TEST(no_rate_is_no_limit),
		LIMIT_TEST(first_contact_is_not_limited),
		LIMIT_TEST(everything_is_counted_once),
		LIMIT_TEST(nobody_need_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
