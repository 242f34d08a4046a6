// SPDX-License-Identifier: GPL-3.0-or-later
/* Whose questions are evidence: a TXT query that was answered with all values of a delegate, whichever way
 * the answer was made. */
#include "unit.h"

#include <ctype.h>

#include "dns/fixture.h"

static struct {
	unsigned count;
	uint16_t zone;
	char label[DELEGATE_LABEL_MAX + 1];
	struct address client;
	int64_t now;
} seen;

static void note(
	void *ctx, uint16_t zone, const uint8_t *label, size_t len, const struct address *client, int64_t now)
{
	assert_ptr_equal(ctx, &seen);
	assert_true(len <= DELEGATE_LABEL_MAX);
	seen.count++;
	seen.zone = zone;
	memcpy(seen.label, label, len);
	seen.label[len] = 0;
	seen.client = *client;
	seen.now = now;
}

static int setup(void **state)
{
	memset(&seen, 0, sizeof seen);
	fixture_setup(state);
	fx.settings.witness = (struct dns_witness){note, &seen};
	fixture_restart();
	return 0;
}

static void expect_seen(const char *label)
{
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.zone, ID_AUTH);
	assert_string_equal(seen.label, label);
	assert_true(address_equal(&seen.client, &fx.client));
	assert_int_equal(seen.now, fixture_now);
	seen.count = 0;
}

static void an_answer_with_values_is_evidence(void **state)
{
	(void)state;
	ask("live.auth.example", T_TXT); /* the short way */
	expect_seen("live");
	ask_edns("live.auth.example", T_TXT, 1232);
	expect_seen("live");
	message_begin(&fx.query, 0, 1); /* an option: the long way */
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_option(&fx.query, 1232, 65001, "x", 1);
	assert_true(send_query() > 0);
	expect_seen("live");
	ask(UUID ".auth.example", T_TXT);
	expect_seen(UUID);
}

static void over_tcp_and_tls_too(void **state)
{
	(void)state;
	fx.tcp = true;
	ask("live.auth.example", T_TXT);
	expect_seen("live");
	fx.tls = true;
	ask("v32.auth.example", T_TXT); /* too much for UDP */
	expect_seen("v32");
}

/* The label comes as it was asked for: whoever keeps it knows that case means nothing (RFC 4343). */
static void case_is_left_alone(void **state)
{
	(void)state;
	ask("LiVe.Auth.EXAMPLE", T_TXT);
	assert_int_equal(seen.count, 1);
	assert_int_equal(strcasecmp(seen.label, "live"), 0);
}

static void through_a_cname_it_is_the_delegate_that_was_shown(void **state)
{
	(void)state;
	ask("to-live.auth.example", T_TXT);
	expect_seen("live");
}

static void what_shows_no_value_is_none(void **state)
{
	(void)state;
	ask("live.auth.example", T_A);
	ask("live.auth.example", T_CAA);
	ask("empty.auth.example", T_TXT);
	ask("nobody.auth.example", T_TXT);
	ask("x.live.auth.example", T_TXT);
	ask("fail.auth.example", T_TXT);
	ask("host.wild.auth.example", T_TXT);
	ask("other.wild.auth.example", T_TXT); /* a static record */
	ask("auth.example", T_TXT);
	ask("elsewhere.test", T_TXT);
	ask_class("live.auth.example", T_TXT, 3);
	assert_int_equal(seen.count, 0);
}

/* Truncated, the asker has nothing yet, and comes again over TCP. */
static void what_is_truncated_is_none(void **state)
{
	(void)state;
	const struct reply *r = ask("v32.auth.example", T_TXT);
	assert_true(r->flags & F_TC);
	assert_int_equal(seen.count, 0);
}

static void what_the_rate_limit_cuts_is_none(void **state)
{
	(void)state;
	fx.settings.responses_per_second = 1;
	fixture_restart();
	unsigned whole = 0;
	for (int i = 0; i < 3000; i++) /* more than any burst */
		whole += !(ask("live.auth.example", T_TXT)->flags & F_TC);
	assert_in_range(whole, 1, 2999);
	assert_int_equal(seen.count, whole);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_with_values_is_evidence),
		TEST(over_tcp_and_tls_too),
		TEST(case_is_left_alone),
		TEST(through_a_cname_it_is_the_delegate_that_was_shown),
		TEST(what_shows_no_value_is_none),
		TEST(what_is_truncated_is_none),
		TEST(what_the_rate_limit_cuts_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
