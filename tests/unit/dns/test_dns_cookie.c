// SPDX-License-Identifier: GPL-3.0-or-later
/* DNS cookies: RFC 7873 for when, RFC 9018 for what. */
#include "dns/fixture.h"

static const uint8_t secret_a[16] = "\xe5\xe9\x73\xe5\xa6\xb2\xa4\x3f\x48\xe7\xdc\x84\x9e\x37\xbf\xcf";

static struct dns_cookie_secrets secrets;

static int setup(void **state)
{
	fixture_setup(state);
	secrets = (struct dns_cookie_secrets){.count = 1};
	memcpy(secrets.secrets[0], secret_a, sizeof secret_a);
	fx.settings.cookies = &secrets;
	fixture_restart();
	return 0;
}

static size_t from_hex(const char *text, uint8_t *out)
{
	size_t len = strlen(text) / 2;
	for (size_t i = 0; i < len; i++) {
		unsigned byte;
		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return len;
}

static void come_from(const char *address)
{
	assert_int_equal(address_parse(address, &fx.client), OK);
}

static void at_second(uint32_t now)
{
	fixture_now = (int64_t)now * 1000 + 999;
}

/* Asks with these bytes as COOKIE option. */
static const struct reply *ask_with(const uint8_t *cookie, size_t len)
{
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_option(&fx.query, 1232, O_COOKIE, cookie, len);
	assert_true(send_query() > 0);
	return &fx.reply;
}

/* The whole answer, and a cookie in it, which is returned. */
static const uint8_t *expect_cookie(const uint8_t *sent)
{
	size_t len;
	const uint8_t *got = reply_option(&fx.reply, O_COOKIE, &len);
	assert_int_equal(reply_rcode(&fx.reply), NOERROR);
	assert_int_equal(fx.reply.counts[1], 2);
	assert_non_null(got);
	assert_int_equal(len, 24);
	assert_memory_equal(got, sent, 8);
	return got;
}

/* Client cookie, or cookie sent; address; time; cookie that comes back. */
static void expect_vector(const char *sent, const char *address, uint32_t now, const char *back, bool good)
{
	uint8_t cookie[40], expected[24];
	size_t len = from_hex(sent, cookie);
	uint64_t before = fx.counters.cookies;
	assert_int_equal(from_hex(back, expected), 24);
	come_from(address);
	at_second(now);
	ask_with(cookie, len);
	assert_memory_equal(expect_cookie(cookie), expected, 24);
	assert_int_equal(fx.counters.cookies - before, good);
}

/* RFC 9018 appendix A. The cookie that A.3 sends is nearly two hours old, so by section 4.3 it is none,
 * though its hash, taken over reserved bytes that are set, is right: see reserved_bytes_are_hashed. */
static void vectors_of_the_rfc(void **state)
{
	(void)state;
	expect_vector("2464c4abcf10c957", "198.51.100.100", 1559731985,
		"2464c4abcf10c957010000005cf79f111f8130c3eee29480", false);
	expect_vector("2464c4abcf10c957010000005cf79f111f8130c3eee29480", "198.51.100.100", 1559734385,
		"2464c4abcf10c957010000005cf7a871d4a564a1442aca77", true);
	expect_vector("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", "203.0.113.203", 1559734700,
		"fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e", false);

	secrets.count = 2;
	from_hex("445536bcd2513298075a5d379663c962", secrets.secrets[0]);
	from_hex("dd3bdf9344b678b185a6f5cb60fca715", secrets.secrets[1]);
	fixture_restart();
	expect_vector("22681ab97d52c298010000005cf7c57926556bd0934c72f8",
		"2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961,
		"22681ab97d52c298010000005cf7c609a6bb79d16625507a", true);
}

/* A.3 again, an hour earlier. */
static void reserved_bytes_are_hashed(void **state)
{
	(void)state;
	uint8_t cookie[24];
	from_hex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", cookie);
	come_from("203.0.113.203");
	at_second(1559727985 + 60);
	ask_with(cookie, sizeof cookie);
	assert_memory_equal(expect_cookie(cookie) + 8, "\1\0\0\0", 4);
	assert_int_equal(fx.counters.cookies, 1);
	cookie[9] ^= 1;
	ask_with(cookie, sizeof cookie);
	assert_int_equal(fx.counters.cookies, 1);
	assert_int_equal(fx.counters.bad_cookies, 1);
}

/* RFC 7873 section 5.2.2: 8, or 16 to 40. */
static void other_lengths_are_formerr(void **state)
{
	(void)state;
	uint8_t cookie[64] = "12345678";
	for (size_t len = 0; len <= sizeof cookie; len++) {
		ask_with(cookie, len);
		if (len == 8 || (len >= 16 && len <= 40)) {
			expect_cookie(cookie);
			continue;
		}
		expect_refusal(&fx.reply, FORMERR);
		assert_non_null(fx.reply.opt);
		assert_int_equal(fx.reply.opt->len, 0);
	}
	assert_int_equal(fx.counters.cookies, 0);
}

static void learn(uint32_t now, uint8_t out[static 24])
{
	at_second(now);
	ask_with((const uint8_t *)"clientco", 8);
	memcpy(out, expect_cookie((const uint8_t *)"clientco"), 24);
}

/* Whether a cookie is good, and whether another came back. */
static void expect_judgement(const uint8_t cookie[static 24], uint32_t now, bool good, bool renewed)
{
	struct dns_counters before = fx.counters;
	at_second(now);
	ask_with(cookie, 24);
	const uint8_t *back = expect_cookie(cookie);
	assert_int_equal(memcmp(back, cookie, 24) != 0, renewed);
	assert_int_equal(fx.counters.cookies - before.cookies, good);
	assert_int_equal(fx.counters.bad_cookies - before.bad_cookies, !good);
}

/* RFC 9018 section 4.3: an hour back, five minutes ahead, anew after half an hour; across the end of 32 bits.
 */
static void cookies_age(void **state)
{
	(void)state;
	static const uint32_t starts[] = {1700000000, UINT32_MAX - 100, UINT32_MAX - 2000, 0x7fffffff, 3700};
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		uint8_t cookie[24];
		uint32_t t = starts[i];
		learn(t, cookie);
		expect_judgement(cookie, t, true, false);
		expect_judgement(cookie, t + 1800, true, false);
		expect_judgement(cookie, t + 1801, true, true);
		expect_judgement(cookie, t + 3600, true, true);
		expect_judgement(cookie, t + 3601, false, true);
		expect_judgement(cookie, t + 100000000, false, true);
		expect_judgement(cookie, t - 300, true, false);
		expect_judgement(cookie, t - 301, false, true);
	}
}

static void cookies_belong_to_one_client(void **state)
{
	(void)state;
	uint8_t cookie[24];
	learn(1700000000, cookie);
	static const char *const others[] = {"198.51.100.101", "2001:db8::1", "::198.51.100.100"};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		come_from(others[i]);
		expect_judgement(cookie, 1700000000, false, true);
	}
	come_from("198.51.100.100");
	expect_judgement(cookie, 1700000000, true, false);
	for (size_t bit = 0; bit < 24 * 8; bit++) { /* nor does it bear a change anywhere */
		cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
		expect_judgement(cookie, 1700000000, false, true);
		cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void cookies_of_other_makes_are_replaced(void **state)
{
	(void)state;
	uint8_t cookie[40] = {0};
	learn(1700000000, cookie);
	for (size_t len = 16; len <= 40; len++) {
		if (len == 24)
			continue;
		uint64_t bad = fx.counters.bad_cookies;
		ask_with(cookie, len);
		expect_cookie(cookie);
		assert_int_equal(fx.counters.bad_cookies, bad + 1);
	}
	assert_int_equal(fx.counters.cookies, 0);
}

/* RFC 9018 section 5: the next secret is accepted before it is used, the last one for a while after. */
static void secrets_roll_over(void **state)
{
	(void)state;
	uint8_t old[24], new[24];
	uint32_t t = 1700000000;
	learn(t, old);
	secrets.count = 2;
	memset(secrets.secrets[1], 0x55, 16);
	fixture_restart(); /* the next one is known */
	expect_judgement(old, t, true, false);
	memcpy(secrets.secrets[1], secrets.secrets[0], 16);
	memset(secrets.secrets[0], 0x55, 16);
	fixture_restart(); /* and used */
	expect_judgement(old, t, true, true);
	learn(t, new);
	expect_judgement(new, t, true, false);
	secrets.count = 1;
	fixture_restart();
	expect_judgement(old, t, false, true);
	expect_judgement(new, t, true, false);
}

/* RFC 7873 section 5.2: of several, the first. */
static void the_first_cookie_counts(void **state)
{
	(void)state;
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_opt(&fx.query, 1232, 0, "\0\12\0\10firstone\0\12\0\10secondon\0\12\0\1x", 12 + 12 + 5);
	assert_true(send_query() > 0);
	expect_cookie((const uint8_t *)"firstone");
}

/* Every reply to a query that was understood has one; where the version of EDNS is another, options are not.
 */
static void every_reply_has_a_cookie(void **state)
{
	(void)state;
	static const char *const names[] = {"live.auth.example", "nothing.auth.example", "other.test",
		"auth.example", "fail.auth.example", "v32.auth.example"};
	for (fx.tcp = false;; fx.tcp = true) {
		for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
			size_t len;
			message_begin(&fx.query, 0, 1);
			message_question(&fx.query, names[i], T_TXT, IN);
			message_option(&fx.query, 1232, O_COOKIE, "12345678", 8);
			assert_true(send_query() > 0);
			assert_non_null(reply_option(&fx.reply, O_COOKIE, &len));
			assert_int_equal(len, 24);
		}
		if (fx.tcp)
			break;
	}
	fx.tcp = false;
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_opt(&fx.query, 1232, 1 << 16, "\0\12\0\10firstone", 12);
	assert_true(send_query() > 0);
	expect_refusal(&fx.reply, BADVERS);
	assert_int_equal(fx.reply.opt->len, 0);
}

static void no_question(const void *cookie, size_t len)
{
	message_begin(&fx.query, 0, 0);
	message_option(&fx.query, 1232, O_COOKIE, cookie, len);
	assert_true(send_query() > 0);
	assert_int_equal(fx.reply.counts[0] + fx.reply.counts[1] + fx.reply.counts[2], 0);
	assert_int_equal(fx.reply.counts[3], 1);
}

/* RFC 7873 section 5.4 */
static void cookies_without_a_question(void **state)
{
	(void)state;
	uint8_t cookie[24];
	size_t len;
	no_question("12345678", 8);
	assert_int_equal(reply_rcode(&fx.reply), NOERROR);
	memcpy(cookie, reply_option(&fx.reply, O_COOKIE, &len), 24);
	assert_int_equal(len, 24);
	no_question(cookie, 24);
	assert_int_equal(reply_rcode(&fx.reply), NOERROR);
	assert_memory_equal(reply_option(&fx.reply, O_COOKIE, &len), cookie, 24);
	cookie[23] ^= 1;
	no_question(cookie, 24);
	assert_int_equal(reply_rcode(&fx.reply), BADCOOKIE);
	cookie[23] ^= 1;
	assert_memory_equal(reply_option(&fx.reply, O_COOKIE, &len), cookie, 24);
	assert_int_equal(fx.counters.rcodes[BADCOOKIE], 1);
	no_question(cookie, 9);
	expect_refusal(&fx.reply, FORMERR);
	/* Without a cookie: RFC 9619 section 4 */
	message_begin(&fx.query, 0, 0);
	message_opt(&fx.query, 1232, 0, "\0\3\0\0", 4);
	expect_formerr();
	message_begin(&fx.query, 0, 0);
	expect_formerr();
}

static void without_a_secret_there_are_none(void **state)
{
	(void)state;
	secrets.count = 0;
	fixture_restart();
	for (size_t len = 0; len < 64; len++) {
		uint8_t cookie[64] = {1};
		ask_with(cookie, len);
		assert_int_equal(fx.reply.counts[1], 2);
		assert_int_equal(fx.reply.opt->len, 0);
	}
	no_question("12345678", 8);
	expect_refusal(&fx.reply, FORMERR);
}

#define COOKIE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		COOKIE_TEST(vectors_of_the_rfc),
		COOKIE_TEST(reserved_bytes_are_hashed),
		COOKIE_TEST(other_lengths_are_formerr),
		COOKIE_TEST(cookies_age),
		COOKIE_TEST(cookies_belong_to_one_client),
		COOKIE_TEST(cookies_of_other_makes_are_replaced),
		COOKIE_TEST(secrets_roll_over),
		COOKIE_TEST(the_first_cookie_counts),
		COOKIE_TEST(every_reply_has_a_cookie),
		COOKIE_TEST(cookies_without_a_question),
		COOKIE_TEST(without_a_secret_there_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
