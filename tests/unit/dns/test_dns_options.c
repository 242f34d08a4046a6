// SPDX-License-Identifier: GPL-3.0-or-later
/* EDNS options but cookies, extended errors, and what is told about the server. */
#include "dns/fixture.h"

static const uint8_t *wire(void)
{
	return fx.query.bytes;
}

/* A query with one option; the data of one option of the reply. */
static const uint8_t *ask_option(const char *name, uint16_t type, uint16_t code, const void *data,
	size_t size, uint16_t back, size_t *len)
{
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, name, type, IN);
	message_option(&fx.query, 1232, code, data, size);
	assert_true(send_query() > 0);
	return reply_option(&fx.reply, back, len);
}

/* Unknown options, client subnet (RFC 7871), and those that nobody asked the operator for (RFC 5001, 7873,
 * 7828 and 7830 over UDP): ignored, and not echoed (RFC 6891 section 6.1.2). */
static void options_are_ignored(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
	} options[] = {
		{"\0\3\0\0", 4},
		{"\0\x8\0\x8\0\1\x18\0\xc6\x33\x64\0", 12},
		{"\0\x8\0\1x", 5},
		{"\0\xa\0\x8"
		 "12345678",
			12},
		{"\0\xb\0\0", 4},
		{"\0\xc\0\4\0\0\0\0", 8},
		{"\xff\xfe\0\5hello", 9},
		{"\xff\xfe\0\1x\xff\xfe\0\1x", 10},
		{"\0\0\0\0", 4},
	};
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		message_begin(&fx.query, 0, 1);
		message_question(&fx.query, "live.auth.example", T_TXT, IN);
		message_opt(&fx.query, 1232, 0, options[i].bytes, options[i].len);
		assert_true(send_query() > 0);
		assert_int_equal(fx.reply.rcode, NOERROR);
		assert_int_equal(fx.reply.counts[1], 2);
		assert_int_equal(fx.reply.opt->len, 0);
	}
	for (unsigned code = 0; code < 65536; code++) {
		size_t len;
		ask_option("live.auth.example", T_TXT, (uint16_t)code, "x", 1, (uint16_t)code, &len);
		assert_int_equal(fx.reply.counts[1], 2);
		assert_int_equal(fx.reply.opt->len, 0);
	}
}

/* RFC 5001 section 2.1: whoever asks is told, whatever the query's option holds. */
static void nsid_is_told_to_who_asks(void **state)
{
	(void)state;
	static char nsid[129];
	for (size_t size = 1; size <= 128; size++) {
		nsid[size - 1] = (char)('a' + size % 26);
		fx.settings.nsid = nsid;
		fixture_restart();
		for (fx.tcp = false;; fx.tcp = true) {
			static const char *const data[] = {"", "1", "what is your name"};
			for (size_t i = 0; i < 3; i++) {
				size_t len;
				const uint8_t *got = ask_option("live.auth.example", T_TXT, O_NSID, data[i],
					strlen(data[i]), O_NSID, &len);
				assert_non_null(got);
				assert_int_equal(len, size);
				assert_memory_equal(got, nsid, size);
				assert_int_equal(fx.reply.counts[1], 2);
			}
			assert_int_equal(ask_edns("live.auth.example", T_TXT, 1232)->opt->len, 0);
			if (fx.tcp)
				break;
		}
		fx.tcp = false;
	}
}

/* Where replies over UDP are bounded by their queries, options never cost the reply. */
static void options_make_way(void **state)
{
	(void)state;
	static char nsid[129];
	static const struct dns_cookie_secrets secrets = {.count = 1};
	static const char *const names[] = {"", "x", "other.test", "auth.example", "live.auth.example"};
	static const uint16_t types[] = {T_TXT, T_NS, T_AXFR, 128};
	fx.settings.cookies = &secrets;
	fx.settings.growth = 4;
	fx.settings.nsid = nsid;
	for (size_t size = 1; size <= 128; size++) {
		nsid[size - 1] = 'n';
		fixture_restart();
		for (size_t i = 0; i < 5 * 4 * 2; i++) {
			message_begin(&fx.query, 0, 1);
			message_question(&fx.query, names[i % 5], types[i / 5 % 4], IN);
			message_opt(&fx.query, 512, 0,
				"\0\3\0\0\0\xa\0\x8"
				"12345678",
				i < 20 ? 4 : 16);
			assert_true(send_query() > 0);
			assert_true(fx.reply.len <= 4 * message_len(&fx.query));
		}
	}
}

/* RFC 7828 section 3: over TCP and TLS, in units of 100 ms, when an empty option asked. */
static void keepalive_is_told_over_tcp(void **state)
{
	(void)state;
	size_t len;
	static const struct {
		int64_t idle;
		const char *told;
	} idles[] = {{10000, "\0\x64"}, {30000, "\x01\x2c"}, {6553500, "\xff\xff"}, {100000000, "\xff\xff"}};
	for (size_t i = 0; i < sizeof idles / sizeof *idles; i++) {
		fx.settings.tcp_idle = idles[i].idle;
		fixture_restart();
		for (unsigned tls = 0; tls < 2; tls++) {
			fx.tcp = true;
			fx.tls = tls;
			const uint8_t *told =
				ask_option("live.auth.example", T_TXT, O_KEEPALIVE, "", 0, O_KEEPALIVE, &len);
			assert_non_null(told);
			assert_int_equal(len, 2);
			assert_memory_equal(told, idles[i].told, 2);
			/* Clients send no time (section 3.2.1): whoever does has not asked. */
			assert_null(ask_option(
				"live.auth.example", T_TXT, O_KEEPALIVE, "\0\1", 2, O_KEEPALIVE, &len));
			assert_int_equal(fx.reply.counts[1], 2);
			assert_int_equal(ask_edns("live.auth.example", T_TXT, 1232)->opt->len, 0);
		}
		fx.tcp = fx.tls = false;
		assert_null(ask_option("live.auth.example", T_TXT, O_KEEPALIVE, "", 0, O_KEEPALIVE, &len));
	}
}

/* RFC 7830 section 4, in blocks of RFC 8467 section 4.1; section 6: only where it is encrypted. */
static void replies_over_tls_are_padded(void **state)
{
	(void)state;
	static const char *const names[] = {"live.auth.example", "v6.auth.example", "v7.auth.example",
		"v8.auth.example", "v9.auth.example", "v32.auth.example", "nothing.auth.example",
		"other.test", "fail.auth.example", "auth.example"};
	size_t len;
	fx.tcp = fx.tls = true;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		for (size_t label = 0; label < 48; label++) { /* every length of the rest */
			char name[128];
			snprintf(name, sizeof name, "%.*s%s%s", (int)label,
				"nobody-knows-how-long-a-label-may-become-but-we-do", label ? "." : "",
				names[i]);
			const uint8_t *pad = ask_option(name, T_TXT, O_PADDING, "\0\0", 2, O_PADDING, &len);
			assert_non_null(pad);
			assert_int_equal(fx.reply.len % 468, 0);
			assert_true(len < 468);
			for (size_t k = 0; k < len; k++)
				assert_int_equal(pad[k], 0);
			/* Not asked for: not padded. */
			assert_int_equal(
				reply_option(ask_edns(name, T_TXT, 1232), O_PADDING, &len) != NULL, false);
		}
	}
	/* At the end of what fits, as far as it goes. */
	for (size_t cap = 512; cap < 700; cap++) {
		message_begin(&fx.query, 0, 1);
		message_question(&fx.query, "v8.auth.example", T_TXT, IN);
		message_option(&fx.query, 1232, O_PADDING, "", 0);
		assert_true(send_bytes(wire(), message_len(&fx.query), cap) > 0);
		assert_int_equal(fx.reply.counts[1], 8);
		if (reply_option(&fx.reply, O_PADDING, &len))
			assert_int_equal(fx.reply.len, cap);
	}
	fx.tls = false;
	assert_null(ask_option("live.auth.example", T_TXT, O_PADDING, "", 0, O_PADDING, &len));
	fx.tcp = false;
	assert_null(ask_option("live.auth.example", T_TXT, O_PADDING, "", 0, O_PADDING, &len));
}

static void all_options_at_once(void **state)
{
	(void)state;
	size_t len;
	static const struct dns_cookie_secrets secrets = {.count = 1};
	fx.settings.cookies = &secrets;
	fx.settings.nsid = "ns1";
	fx.settings.tcp_idle = 10000;
	fixture_restart();
	fx.tcp = fx.tls = true;
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "other.test", T_TXT, IN);
	message_opt(&fx.query, 1232, 0x8000,
		"\0\xc\0\0\0\3\0\0\xff\xff\0\0\0\xa\0\x8"
		"12345678\0\xb\0\0\0\x8\0\0",
		32);
	assert_true(send_query() > 0);
	static const uint16_t codes[] = {O_COOKIE, O_NSID, O_KEEPALIVE, O_EDE, O_PADDING};
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		assert_non_null(reply_option(&fx.reply, codes[i], &len));
	assert_null(reply_option(&fx.reply, O_ECS, &len));
	assert_null(reply_option(&fx.reply, 65535, &len));
	assert_int_equal(fx.reply.len, 468);
	assert_int_equal(reply_ede(&fx.reply), 20);
}

/* RFC 8914, for queries with EDNS alone. */
static void extended_errors_say_why(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint16_t type, class, rcode;
		int ede;
	} cases[] = {
		{"other.test", T_TXT, IN, REFUSED, 20},    /* section 4.21: Not Authoritative */
		{"auth.example", T_AXFR, IN, REFUSED, 21}, /* section 4.22: Not Supported */
		{"auth.example", T_IXFR, IN, REFUSED, 21},
		{"live.auth.example", T_TXT, CH, REFUSED, 21},
		{"live.auth.example", T_TXT, 4, REFUSED, 21},
		{"live.auth.example", T_TXT, ANY_CLASS, REFUSED, 21},
		{"live.auth.example", 128, IN, FORMERR, 30},    /* RFC 9824 section 3.5: Invalid Query Type */
		{"fail.auth.example", T_TXT, IN, SERVFAIL, 14}, /* section 4.15: Not Ready */
		{"live.auth.example", T_TXT, IN, NOERROR, -1},
		{"nothing.auth.example", T_TXT, IN, NXDOMAIN, -1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		message_begin(&fx.query, 0, 1);
		message_question(&fx.query, cases[i].name, cases[i].type, cases[i].class);
		message_opt(&fx.query, 1232, 0, NULL, 0);
		assert_true(send_query() > 0);
		assert_int_equal(reply_rcode(&fx.reply), cases[i].rcode);
		assert_int_equal(reply_ede(&fx.reply), cases[i].ede);
		ask_class(cases[i].name, cases[i].type, cases[i].class);
		assert_null(fx.reply.opt);
	}
}

/* The longest name, an answer of nothing, every option: within 512 octets. */
static void options_fit_beside_any_name(void **state)
{
	(void)state;
	static const char nsid[] = "0123456789012345678901234567890123456789012345678901234567890123"
				   "0123456789012345678901234567890123456789012345678901234567890123";
	static const struct dns_cookie_secrets secrets = {.count = 1};
	size_t len;
	uint8_t label[63];
	memset(label, 'x', sizeof label);
	fx.settings.cookies = &secrets;
	fx.settings.nsid = nsid;
	fixture_restart();
	message_begin(&fx.query, 0, 1);
	for (unsigned i = 0; i < 3; i++)
		write_string(&fx.query.w, label, 63);
	write_string(&fx.query.w, label, 61);
	write_bytes(&fx.query.w, "\0\0\x10\0\1", 5);
	message_opt(&fx.query, 512, 0,
		"\0\3\0\0\0\xa\0\x8"
		"12345678",
		16);
	assert_true(send_query() > 0);
	assert_int_equal(fx.reply.question_len, 255 + 4);
	assert_int_equal(reply_rcode(&fx.reply), REFUSED);
	assert_non_null(reply_option(&fx.reply, O_NSID, &len));
	assert_non_null(reply_option(&fx.reply, O_COOKIE, &len));
	assert_int_equal(reply_ede(&fx.reply), 20);
	assert_true(fx.reply.len <= 512);
}

/* --- Class CH, RFC 4892 --- */

static void expect_told(const char *name, uint16_t type, const char *text)
{
	const struct reply *r = ask_class(name, type, CH);
	assert_int_equal(r->rcode, NOERROR);
	assert_int_equal(r->counts[1], 1);
	assert_int_equal(r->counts[2] + r->counts[3], 0);
	assert_string_equal(r->records[0].owner, name);
	assert_int_equal(r->records[0].type, T_TXT);
	assert_int_equal(r->records[0].class, CH);
	assert_int_equal(r->records[0].ttl, 0);
	assert_int_equal(r->records[0].len, 1 + strlen(text));
	assert_int_equal(r->records[0].rdata[0], strlen(text));
	assert_memory_equal(r->records[0].rdata + 1, text, strlen(text));
}

static void class_ch_tells_what_is_configured(void **state)
{
	(void)state;
	static char version[256];
	static const char *const refused[] = {"authors.bind", "bind", "server", "a.id.server", "id.serverx",
		"", "live.auth.example", "auth.example"};
	memset(version, 'v', 255);
	for (fx.tcp = false;; fx.tcp = true) {
		fx.settings.identity = "this one";
		fx.settings.version = NULL;
		fixture_restart();
		expect_told("id.server", T_TXT, "this one");
		expect_told("Hostname.BIND", T_TXT, "this one");
		expect_told("id.server", T_ANY, "this one");
		expect_refusal(ask_class("version.bind", T_TXT, CH), REFUSED);
		expect_refusal(ask_class("version.server", T_TXT, CH), REFUSED);
		fx.settings.identity = NULL;
		fx.settings.version = version;
		fixture_restart();
		expect_told("version.bind", T_TXT, version);
		expect_told("VERSION.server", T_ANY, version);
		expect_refusal(ask_class("id.server", T_TXT, CH), REFUSED);
		expect_refusal(ask_class("hostname.bind", T_TXT, CH), REFUSED);
		static const uint16_t types[] = {T_A, T_NS, T_SOA, T_AXFR, T_IXFR, 0, 128, 65535};
		for (size_t i = 0; i < sizeof types / sizeof *types; i++)
			expect_refusal(ask_class("version.bind", types[i], CH), REFUSED);
		for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
			expect_refusal(ask_class(refused[i], T_TXT, CH), REFUSED);
		static const uint16_t classes[] = {IN, 2, 4, 254, ANY_CLASS};
		for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
			expect_refusal(ask_class("version.bind", T_TXT, classes[i]), REFUSED);
		if (fx.tcp)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(options_are_ignored),
		FIXTURE_TEST(nsid_is_told_to_who_asks),
		FIXTURE_TEST(options_make_way),
		FIXTURE_TEST(keepalive_is_told_over_tcp),
		FIXTURE_TEST(replies_over_tls_are_padded),
		FIXTURE_TEST(all_options_at_once),
		FIXTURE_TEST(extended_errors_say_why),
		FIXTURE_TEST(options_fit_beside_any_name),
		FIXTURE_TEST(class_ch_tells_what_is_configured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
