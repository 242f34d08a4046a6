// SPDX-License-Identifier: GPL-3.0-or-later
/* What frames an answer: EDNS, TSIG, and how large it may be. */
#include "dns/fixture.h"

static const uint8_t *wire(void)
{
	return fx.query.bytes;
}

/* --- EDNS, RFC 6891 --- */

static void opt_answers_opt(void **state)
{
	(void)state;
	assert_null(ask("live.auth.example", T_TXT)->opt);
	static const char *const names[] = {"live.auth.example", "nothing.auth.example", "other.test",
		"auth.example", "fail.auth.example"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		ask_edns(names[i], T_TXT, 4096);
		assert_non_null(fx.reply.opt);
		assert_string_equal(fx.reply.opt->owner, "");
		assert_int_equal(fx.reply.opt->class, 1232);
		assert_int_equal(fx.reply.opt->ttl, 0);
	}
}

static void do_is_copied_and_nothing_else(void **state)
{
	(void)state;
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_opt(&fx.query, 1232, 0xffff, NULL, 0);
	assert_true(send_query() > 0);
	assert_int_equal(fx.reply.opt->ttl, 0x8000); /* RFC 3225 section 3 */
	assert_int_equal(fx.reply.counts[1], 2);
}

/* RFC 6891 section 6.1.3 */
static void other_versions_are_badvers(void **state)
{
	(void)state;
	for (uint32_t version = 1; version < 256; version++) {
		message_begin(&fx.query, F_RD, 1);
		message_question(&fx.query, "live.auth.example", T_TXT, IN);
		message_opt(&fx.query, 4096, version << 16 | 0x8000, "\x7f\xff\0\1x", 5);
		assert_true(send_query() > 0);
		expect_refusal(&fx.reply, BADVERS);
		assert_int_equal(fx.reply.rcode, 0);
		assert_int_equal(fx.reply.opt->ttl, 0x01008000);
		assert_int_equal(fx.reply.opt->len, 0);
		assert_int_equal(fx.reply.counts[0], 1);
	}
}

static void malformed_opt_is_formerr(void **state)
{
	(void)state;
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_opt(&fx.query, 1232, 0, NULL, 0);
	message_opt(&fx.query, 1232, 0, NULL, 0);
	expect_formerr(); /* two */

	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	write_name(&fx.query.w, "a"); /* owner other than the root */
	write_bytes(&fx.query.w, "\0\x29\x04\xd0\0\0\0\0\0\0", 10);
	message_count(&fx.query, 3, 1);
	expect_formerr();

	static const char *const overruns[] = {"\0\3\0\1", "\0\3\0", "\0\3", "\0\3\xff\xff"};
	static const size_t lens[] = {4, 3, 2, 4};
	for (size_t i = 0; i < 4; i++) {
		message_begin(&fx.query, 0, 1);
		message_question(&fx.query, "live.auth.example", T_TXT, IN);
		message_opt(&fx.query, 1232, 0, overruns[i], lens[i]);
		expect_formerr();
	}

	message_begin(&fx.query, 0, 1); /* RDLENGTH beyond the message */
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	write_bytes(&fx.query.w, "\0\0\x29\x04\xd0\0\0\0\0\0\x9", 11);
	message_count(&fx.query, 3, 1);
	expect_formerr();

	message_begin(&fx.query, 0, 1); /* in the answer section */
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_opt(&fx.query, 1232, 0, NULL, 0);
	message_count(&fx.query, 3, 0);
	message_count(&fx.query, 1, 1);
	expect_formerr();
}

/* --- TSIG, RFC 8945 --- */

/* Section 5.2.1: NOTAUTH, and a TSIG record without a MAC that says BADKEY. */
static void unknown_keys_are_badkey(void **state)
{
	(void)state;
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_opt(&fx.query, 1232, 0, NULL, 0);
	message_tsig(&fx.query);
	assert_true(send_query() > 0);
	const struct reply *r = &fx.reply;
	assert_int_equal(r->rcode, NOTAUTH);
	assert_false(r->flags & F_AA);
	assert_int_equal(r->counts[1] + r->counts[2], 0);
	assert_int_equal(r->counts[3], 2);
	const struct record *tsig = &r->records[1];
	assert_int_equal(tsig->type, T_TSIG);
	assert_int_equal(tsig->class, 255);
	assert_int_equal(strcasecmp(tsig->owner, "some.key"), 0);
	assert_int_equal(tsig->len, 13 + 16);
	assert_memory_equal(tsig->rdata + 13, "\0\0\x65\x43\x21\0\1\x2c\0\0\xbe\xef\0\x11\0\0", 16);
}

static void misplaced_tsig_is_formerr(void **state)
{
	(void)state;
	message_begin(&fx.query, 0, 1); /* not the last record, section 5.1 */
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_tsig(&fx.query);
	message_opt(&fx.query, 1232, 0, NULL, 0);
	expect_formerr();
	message_begin(&fx.query, 0, 1); /* twice */
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_tsig(&fx.query);
	message_tsig(&fx.query);
	expect_formerr();
}

/* --- Sizes, RFC 2181 section 9, RFC 6891 section 6.2 --- */

/* Nothing of the set is left, and the reply says so. */
static void expect_truncated(size_t limit)
{
	assert_true(fx.reply.len <= limit);
	assert_int_equal(fx.reply.flags & (F_TC | F_AA), F_TC | F_AA);
	assert_int_equal(fx.reply.rcode, NOERROR);
	assert_int_equal(fx.reply.counts[1] + fx.reply.counts[2], 0);
	assert_int_equal(fx.reply.counts[3], fx.reply.opt ? 1 : 0);
}

static void answers_fit_or_are_truncated(void **state)
{
	(void)state;
	/* Header and question take 33 bytes, a value 56, OPT 11: 8 values fit 512, 21 fit 1232. */
	assert_int_equal(ask("v8.auth.example", T_TXT)->counts[1], 8);
	assert_false(fx.reply.flags & F_TC);
	ask("v9.auth.example", T_TXT);
	expect_truncated(512);

	static const uint16_t small[] = {0, 2, 511, 512}; /* less than 512 is 512 */
	for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
		assert_int_equal(ask_edns("v8.auth.example", T_TXT, small[i])->counts[1], 8);
		assert_true(fx.reply.len <= 512);
		ask_edns("v9.auth.example", T_TXT, small[i]);
		expect_truncated(512);
	}
	ask_edns("v12.auth.example", T_TXT, 12 + 22 + 12 * 56 + 11 - 1);
	expect_truncated(717);
	assert_int_equal(ask_edns("v12.auth.example", T_TXT, 12 + 22 + 12 * 56 + 11)->counts[1], 12);

	assert_int_equal(ask_edns("v21.auth.example", T_TXT, 4096)->counts[1], 21);
	assert_true(fx.reply.len <= 1232);
	ask_edns("v22.auth.example", T_TXT, 4096);
	expect_truncated(1232);
	ask_edns("v32.auth.example", T_TXT, 65535);
	expect_truncated(1232);
}

static void tcp_answers_are_whole(void **state)
{
	(void)state;
	fx.tcp = true;
	assert_int_equal(ask("v32.auth.example", T_TXT)->counts[1], 32);
	assert_false(fx.reply.flags & F_TC);
	assert_int_equal(ask_edns("v32.auth.example", T_TXT, 512)->counts[1], 32);
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "v32.auth.example", T_TXT, IN);
	assert_true(send_bytes(wire(), message_len(&fx.query), 600) >
		    0); /* but never more than there is room for */
	expect_truncated(600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(opt_answers_opt),
		FIXTURE_TEST(do_is_copied_and_nothing_else),
		FIXTURE_TEST(other_versions_are_badvers),
		FIXTURE_TEST(malformed_opt_is_formerr),
		FIXTURE_TEST(unknown_keys_are_badkey),
		FIXTURE_TEST(misplaced_tsig_is_formerr),
		FIXTURE_TEST(answers_fit_or_are_truncated),
		FIXTURE_TEST(tcp_answers_are_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
