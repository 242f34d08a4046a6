// SPDX-License-Identifier: GPL-3.0-or-later
/* The short way of the plainest queries: which go it, and that the long one says the same. (The fixture
 * compares the two for every query of every test.) */
#include "dns/fixture.h"

/* All that may differ between two plain queries, in some thousand combinations. */
static void every_type_and_case_is_answered_alike(void **state)
{
	(void)state;
	static const char *const names[] = {"live.auth.example", "empty.AUTH.example", "NoThing.auth.Example",
		UUID ".auth.example", "v6.auth.example", "v32.auth.example", "fail.auth.example",
		"a.deep.auth.example", "live.star.test", "www.auth.example", "x.live.auth.example",
		"auth.example", "ent.auth.example"};
	for (unsigned type = 0; type <= UINT16_MAX; type += type < 300 || type > 65200 ? 1 : 97) {
		for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
			message_begin(&fx.query, type & 1 ? F_RD : 0, 1);
			message_question(&fx.query, names[i], (uint16_t)type, IN);
			fx.tcp = type & 2;
			if (type & 4)
				message_opt(
					&fx.query, type & 8 ? 1232 : 512, type & 16 ? 0x8000 : 0, NULL, 0);
			assert_true(send_query() > 0);
		}
	}
}

static bool is_plain(void)
{
	struct delegate_source source = {.ctx = &fx.no_store};
	struct dns_query q = {.wire = fx.query.bytes, .len = message_len(&fx.query), .delegates = &source};
	struct dns_plain plain;
	dns_plain_parse(fx.zones, &q, &plain);
	return plain.wire;
}

static bool is_plain_query(uint16_t flags, const char *name, uint16_t type, uint16_t class)
{
	message_begin(&fx.query, flags, 1);
	message_question(&fx.query, name, type, class);
	return is_plain();
}

static void what_is_plain(void **state)
{
	(void)state;
	assert_true(is_plain_query(0, "live.auth.example", T_TXT, IN));
	assert_true(is_plain_query(F_RD | F_CD | F_AD, "no.AUTH.example", T_CAA, IN));
	message_opt(&fx.query, 4096, 0x8000, NULL, 0);
	assert_true(is_plain());
	message_opt(&fx.query, 4096, 0, NULL, 0);
	assert_false(is_plain()); /* two of them */
	assert_false(is_plain_query(F_QR, "live.auth.example", T_TXT, IN));
	assert_false(is_plain_query(0x2000, "live.auth.example", T_TXT, IN)); /* NOTIFY */
	assert_false(is_plain_query(0, "live.auth.example", T_TXT, CH));
	assert_false(is_plain_query(0, "live.auth.example", T_ANY, IN));
	assert_false(is_plain_query(0, "live.auth.example", T_AXFR, IN));
	assert_false(is_plain_query(0, "auth.example", T_TXT, IN));
	assert_false(is_plain_query(0, "a.live.auth.example", T_TXT, IN));
	assert_false(is_plain_query(0, "www.auth.example", T_A, IN)); /* static */
	assert_false(is_plain_query(0, "live.star.test", T_TXT, IN)); /* below a wildcard */
	assert_false(is_plain_query(0, "live.elsewhere.test", T_TXT, IN));
	assert_true(is_plain_query(0, "live.auth.example", T_TXT, IN));
	message_opt(&fx.query, 1232, 0x10000, NULL, 0); /* version 1 */
	assert_false(is_plain());
	assert_true(is_plain_query(0, "live.auth.example", T_TXT, IN));
	message_opt(&fx.query, 1232, 0, "\0\3\0\0", 4); /* NSID */
	assert_false(is_plain());
	assert_true(is_plain_query(0, "live.auth.example", T_TXT, IN));
	write_u8(&fx.query.w, 0); /* trailing */
	assert_false(is_plain());
}

/* Whoever looks ahead and asks something else in the same place gets the answer to what he asks. */
static void looking_ahead_is_only_a_hint(void **state)
{
	(void)state;
	static uint8_t out[2][512];
	static struct message ahead, other;
	struct delegate_source source = {.ctx = &fx.no_store};
	message_begin(&ahead, 0, 1);
	message_question(&ahead, "live.auth.example", T_TXT, IN);
	message_begin(&other, 0, 1);
	message_question(&other, "none.auth.example", T_TXT, IN);
	struct dns_query q = {.wire = ahead.bytes,
		.len = message_len(&ahead),
		.slot = 3,
		.client = {.port = 4000},
		.now = NOW,
		.jump = fixture_jump,
		.delegates = &source};
	dns_look_ahead(fx.answerer, &q);
	q.wire = other.bytes;
	q.len = message_len(&other);
	size_t len = dns_answer(fx.answerer, &q, out[0], sizeof out[0]);
	reply_parse(&fx.reply, out[0], len);
	expect_denial(&fx.reply, NXDOMAIN, "auth.example", 5);
	dns_look_ahead(fx.answerer, &q);
	assert_int_equal(dns_answer(fx.answerer, &q, out[1], sizeof out[1]), len);
	assert_memory_equal(out[0], out[1], len);
}

/* Nothing that can be had with a forged address is more than four times what it cost; whoever asks over TCP
 * gets all. */
static void no_reply_is_much_longer_than_its_query(void **state)
{
	(void)state;
	static const char *const names[] = {"live.auth.example", UUID ".auth.example", "v6.auth.example",
		"v12.auth.example", "auth.example", "unknown.auth.example", "x.wild.auth.example",
		"no.auth.example"};
	static const uint16_t types[] = {T_TXT, T_NS, T_SOA, T_ANY, T_CAA, 65280};
	fx.settings.growth = 4;
	fixture_restart();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
			const struct reply *r = ask_edns(names[i], types[k], 1232);
			assert_in_range(r->len, 12, 4 * message_len(&fx.query));
			ask(names[i], types[k]);
			assert_in_range(r->len, 12, 4 * message_len(&fx.query));
			fx.tcp = true;
			assert_false(ask(names[i], types[k])->flags & F_TC);
			fx.tcp = false;
		}
	}
	/* Two values of a delegate with the label that registration makes, as for a wildcard certificate: */
	assert_int_equal(ask(UUID ".auth.example", T_TXT)->counts[1], 2);
	const struct reply *r = ask_edns("v12.auth.example", T_TXT, 1232);
	assert_true(r->flags & F_TC);
	assert_int_equal(r->counts[1], 0);
}

/* A query that is looked ahead at and dropped is forgotten when the next one stands in its memory. */
static void what_was_dropped_is_forgotten(void **state)
{
	(void)state;
	static uint8_t out[512];
	struct delegate_source source = {.ctx = &fx.no_store};
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	struct dns_query q = {.wire = fx.query.bytes,
		.len = message_len(&fx.query),
		.client = {.port = 7}, /* echo */
		.now = NOW,
		.jump = fixture_jump,
		.delegates = &source};
	dns_look_ahead(fx.answerer, &q);
	assert_int_equal(dns_answer(fx.answerer, &q, out, sizeof out), 0);
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "none.auth.example", T_TXT, IN);
	q.client.port = 4000;
	reply_parse(&fx.reply, out, dns_answer(fx.answerer, &q, out, sizeof out));
	expect_denial(&fx.reply, NXDOMAIN, "auth.example", 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_type_and_case_is_answered_alike),
		TEST(what_is_plain),
		TEST(no_reply_is_much_longer_than_its_query),
		TEST(looking_ahead_is_only_a_hint),
		TEST(what_was_dropped_is_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
