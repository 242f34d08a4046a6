// SPDX-License-Identifier: GPL-3.0-or-later
/* Packets that are not plain queries: headers, names, malformed and hostile bytes. */
#include "dns/fixture.h"

static const uint8_t *wire(void)
{
	return fx.query.bytes;
}

/* RFC 1035 section 4.1.1; two servers must never answer each other's answers. */
static void what_is_no_query_is_dropped(void **state)
{
	(void)state;
	static const uint16_t flags[] = {F_QR, F_QR | F_AA, F_QR | 4 << 11, F_QR | 5 << 11, F_QR | 3};
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		message_begin(&fx.query, flags[i], 1);
		message_question(&fx.query, "live.auth.example", T_TXT, IN);
		assert_int_equal(send_query(), 0);
	}
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	for (size_t len = 0; len < 12; len++)
		assert_int_equal(send_bytes(wire(), len, 512), 0);
	static const uint16_t ports[] = {0, 7, 19};
	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
		fx.port = ports[i];
		assert_int_equal(send_query(), 0);
	}
	fx.port = 53; /* resolvers bound to one port: their replies carry QR and are dropped above */
	assert_true(send_query() > 0);
	assert_int_equal(send_bytes(wire(), message_len(&fx.query), 511), 0);
}

/* RFC 8906 section 3.1.4: opcode and id back, every flag but QR clear. */
static void other_opcodes_are_not_implemented(void **state)
{
	(void)state;
	for (unsigned opcode = 1; opcode < 16; opcode++) {
		message_begin(&fx.query,
			(uint16_t)(opcode << 11 | F_AA | F_TC | F_RD | F_RA | F_Z | F_AD | F_CD), 1);
		message_question(&fx.query, "live.auth.example", T_TXT, IN);
		assert_true(send_query() >= 12);
		expect_refusal(&fx.reply, NOTIMP);
		assert_int_equal(fx.reply.flags, F_QR | opcode << 11);
		message_begin(&fx.query, (uint16_t)(opcode << 11), 0); /* header alone */
		assert_int_equal(send_query(), 12);
		expect_refusal(&fx.reply, NOTIMP);
	}
}

static void header_flags_are_not_copied(void **state)
{
	(void)state;
	message_begin(&fx.query, F_AA | F_TC | F_RA | F_Z | F_AD | F_CD | 9, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	assert_true(send_query() > 0);
	assert_int_equal(fx.reply.flags, F_QR | F_AA);
	assert_int_equal(fx.reply.rcode, NOERROR);
	assert_int_equal(fx.reply.counts[1], 2);
}

/* RFC 9619 */
static void exactly_one_question(void **state)
{
	(void)state;
	static const uint16_t counts[] = {0, 2, 3, 65535};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		message_begin(&fx.query, F_RD, counts[i]);
		for (unsigned k = 0; k < counts[i] && k < 3; k++)
			message_question(&fx.query, "live.auth.example", T_TXT, IN);
		assert_true(send_query() > 0);
		expect_refusal(&fx.reply, FORMERR);
	}
}

static void other_classes_are_refused(void **state)
{
	(void)state;
	static const uint16_t classes[] = {0, 2, CH, 4, 254, 255, 666, 65535};
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		expect_refusal(ask_class("live.auth.example", T_TXT, classes[i]), REFUSED);
		expect_refusal(ask_class("auth.example", T_SOA, classes[i]), REFUSED);
		expect_refusal(ask_class("version.bind", T_TXT, classes[i]), REFUSED);
		expect_refusal(ask_class("id.server", T_TXT, classes[i]), REFUSED);
	}
}

static void transfers_are_refused(void **state)
{
	(void)state;
	for (fx.tcp = false;; fx.tcp = true) {
		expect_refusal(ask("auth.example", T_AXFR), REFUSED);
		expect_refusal(ask("auth.example", T_IXFR), REFUSED);
		message_begin(&fx.query, 0, 1); /* as RFC 1995 section 3 has it */
		message_question(&fx.query, "auth.example", T_IXFR, IN);
		message_count(&fx.query, 2, 1);
		write_name(&fx.query.w, "auth.example");
		write_bytes(&fx.query.w, "\0\6\0\1\0\0\0\0\0\x16\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
			32);
		assert_true(send_query() > 0);
		expect_refusal(&fx.reply, REFUSED);
		if (fx.tcp)
			break;
	}
}

/* --- Names --- */

/* `labels` labels of `len` bytes before "auth.example". */
static void long_question(unsigned labels, size_t len, size_t last)
{
	uint8_t label[64];
	memset(label, 'x', sizeof label);
	message_begin(&fx.query, 0, 1);
	for (unsigned i = 0; i < labels; i++)
		write_string(&fx.query.w, label, len);
	if (last)
		write_string(&fx.query.w, label, last);
	message_question(&fx.query, "auth.example", T_TXT, IN);
}

static void names_up_to_255_octets(void **state)
{
	(void)state;
	/* 3 x 64 + 49 + 14 = 255 */
	long_question(3, 63, 48);
	assert_true(send_query() > 0);
	expect_denial(&fx.reply, NXDOMAIN, "auth.example", 5);
	assert_int_equal(fx.reply.question_len, 255 + 4);
	for (size_t last = 49; last < 52; last++) { /* 256 and more */
		long_question(3, 63, last);
		expect_formerr();
		assert_int_equal(fx.reply.counts[0], 0);
	}
	long_question(120, 1, 0); /* 122 labels, 254 octets */
	assert_true(send_query() > 0);
	expect_denial(&fx.reply, NXDOMAIN, "auth.example", 5);
	message_begin(&fx.query, 0, 1); /* 127 labels, none ours */
	for (unsigned i = 0; i < 127; i++)
		write_string(&fx.query.w, "x", 1);
	write_bytes(&fx.query.w, "\0\0\1\0\1", 5);
	assert_true(send_query() > 0);
	expect_refusal(&fx.reply, REFUSED);
	/* A label of 63 is a delegate's largest. */
	long_question(1, 63, 0);
	assert_true(send_query() > 0);
	expect_denial(&fx.reply, NXDOMAIN, "auth.example", 5);
}

static void any_byte_may_stand_in_a_label(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		uint8_t label[3] = {'l', (uint8_t)c, 'e'};
		message_begin(&fx.query, 0, 1);
		write_string(&fx.query.w, label, sizeof label);
		message_question(&fx.query, "auth.example", T_TXT, IN);
		assert_true(send_query() > 0);
		expect_denial(&fx.reply, NXDOMAIN, "auth.example", 5);
	}
}

/* --- Malformed bytes --- */

static void bad_question_names_are_formerr(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
	} names[] = {
		{"\x40"
		 "a\0",
			3}, /* label types 01 and 10, RFC 6891 section 5 */
		{"\x80"
		 "a\0",
			3},
		{"\xc0\x0c", 2},    /* a pointer to itself, */
		{"\xc0\x00", 2},    /* to the header, */
		{"\xc0\x0e", 2},    /* forward, */
		{"\xc0\xff", 2},    /* beyond the end, */
		{"\1a\xc0\x0c", 4}, /* in a loop */
		{"\x3f", 1},        /* a label longer than the message */
		{"", 0},
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		message_begin(&fx.query, 0, 1);
		write_bytes(&fx.query.w, names[i].bytes, names[i].len);
		write_bytes(&fx.query.w, "\0\x10\0\1", i < 7 ? 4 : 0);
		expect_formerr();
		assert_int_equal(fx.reply.counts[0], 0);
	}
}

static void wrong_counts_and_trailing_bytes_are_formerr(void **state)
{
	(void)state;
	for (unsigned section = 1; section < 4; section++) {
		static const uint16_t counts[] = {1, 2, 255, 65535};
		for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
			message_begin(&fx.query, 0, 1);
			message_question(&fx.query, "live.auth.example", T_TXT, IN);
			message_count(&fx.query, section, counts[i]);
			expect_formerr();
		}
	}
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	write_u8(&fx.query.w, 0);
	expect_formerr();
	message_begin(&fx.query, 0, 1); /* OPT that is not counted */
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_opt(&fx.query, 1232, 0, NULL, 0);
	message_count(&fx.query, 3, 0);
	expect_formerr();
}

/* Thousands of records over TCP: refused, within bounded memory. */
static void crowded_queries_are_formerr(void **state)
{
	(void)state;
	fx.tcp = true;
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_count(&fx.query, 1, 5000);
	for (unsigned i = 0; i < 5000; i++)
		write_bytes(&fx.query.w, "\0\0\1\0\1\0\0\0\0\0\0", 11);
	expect_formerr();
}

static void query_with_everything(void)
{
	message_begin(&fx.query, F_RD, 1);
	message_question(&fx.query, "live.auth.example", T_TXT, IN);
	message_opt(&fx.query, 1232, 0x8000,
		"\0\3\0\0\0\xa\0\x8"
		"12345678",
		16);
	message_tsig(&fx.query);
}

/* Whatever is cut off, the rest is refused or dropped, and never answered with data. */
static void every_prefix_is_refused(void **state)
{
	(void)state;
	query_with_everything();
	for (size_t len = 0; len < message_len(&fx.query); len++) {
		size_t n = send_bytes(wire(), len, 512);
		assert_true(len < 12 ? n == 0 : n > 0);
		if (n)
			expect_refusal(&fx.reply, FORMERR);
	}
}

/* Every bit of a query turned over, every byte replaced: a well-formed reply or none. */
static void damaged_queries_are_survived(void **state)
{
	(void)state;
	query_with_everything();
	size_t len = message_len(&fx.query);
	for (size_t i = 0; i < len; i++) {
		uint8_t was = fx.query.bytes[i];
		for (unsigned c = 0; c < 256; c++) {
			fx.query.bytes[i] = (uint8_t)c;
			send_bytes(wire(), len, 512);
		}
		fx.query.bytes[i] = was;
	}
}

static unsigned expected_rcode(unsigned opcode, unsigned type, unsigned class)
{
	if (opcode)
		return NOTIMP;
	if (class == IN && (type == T_AXFR || type == T_IXFR))
		return NOTAUTH; /* no zone, RFC 5936 section 2.2.1 */
	if (class != IN)
		return REFUSED;
	return type == 128 ? FORMERR : NOERROR; /* NXNAME, RFC 9824 section 3.5 */
}

/* Every one of 65536 types x 5 classes x 16 opcodes: a reply, and data for TXT and ANY alone. */
static void types_classes_opcodes(void **state)
{
	(void)state;
	static const uint16_t classes[] = {0, IN, CH, ANY_CLASS, 65535};
	static uint8_t out[512];
	struct delegate_source source = {.ctx = &fx.no_store};
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, "live.auth.example", 0, 0);
	size_t len = message_len(&fx.query);
	struct dns_query q = {.wire = wire(),
		.len = len,
		.client = {.port = 4000},
		.now = fixture_now,
		.jump = fixture_jump,
		.delegates = &source};
	uint8_t *at = fx.query.bytes + len - 4;
	for (uint32_t i = 0; i < 65536 * 5 * 16; i++) {
		unsigned type = i & 65535, class = classes[(i >> 16) % 5], opcode = (i >> 16) / 5;
		fx.query.bytes[2] = (uint8_t)(opcode << 3);
		at[0] = (uint8_t)(type >> 8);
		at[1] = (uint8_t)type;
		at[2] = (uint8_t)(class >> 8);
		at[3] = (uint8_t) class;
		size_t n = dns_answer(fx.answerer, &q, out, sizeof out);
		bool data = !opcode && class == IN && (type == T_TXT || type == T_ANY);
		if (n < 12 || out[2] >> 3 != (0x10 | opcode) ||
			(out[3] & 15) != expected_rcode(opcode, type, class) || out[7] != (data ? 2 : 0) ||
			out[6])
			fail_msg("type %u class %u opcode %u", type, class, opcode);
	}
	assert_int_equal(fx.counters.udp, 65536 * 5 * 16);
}

/* RFC 1996 section 3.7, with the new SOA; RFC 2136 section 2, with a prerequisite and an update. Neither is
 * spoken here: NOTIMP, and OPT for OPT (RFC 6891 section 6.1.1). */
static void notify_and_update_are_not_implemented(void **state)
{
	(void)state;
	static const char soa[] = "\0\0\6\0\1\0\0\0\0\0\x16\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	static const char any[] = "\0\0\xff\0\xff\0\0\0\0\0\0", add[] = "\0\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1";
	for (fx.tcp = false;; fx.tcp = true) {
		for (unsigned edns = 0; edns < 2; edns++) {
			message_begin(&fx.query, 4 << 11 | F_AA, 1);
			message_question(&fx.query, "auth.example", T_SOA, IN);
			write_bytes(&fx.query.w, soa, sizeof soa - 1);
			message_count(&fx.query, 1, 1);
			if (edns)
				message_opt(&fx.query, 1232, 0x8000, NULL, 0);
			assert_true(send_query() > 0);
			expect_refusal(&fx.reply, NOTIMP);
			assert_int_equal(fx.reply.flags, F_QR | 4 << 11);
			assert_int_equal(fx.reply.opt != NULL, edns);
			message_begin(&fx.query, 5 << 11, 1);
			message_question(&fx.query, "auth.example", T_SOA, IN);
			write_bytes(&fx.query.w, any, sizeof any - 1);
			write_bytes(&fx.query.w, add, sizeof add - 1);
			message_count(&fx.query, 1, 1);
			message_count(&fx.query, 2, 1);
			if (edns)
				message_opt(&fx.query, 1232, 0, NULL, 0);
			assert_true(send_query() > 0);
			expect_refusal(&fx.reply, NOTIMP);
			assert_int_equal(fx.reply.opt != NULL, edns);
		}
		if (fx.tcp)
			break;
	}
	/* RFC 8490 section 5.1.1: a DSO message is not in the form of a query. */
	fx.tcp = true;
	message_begin(&fx.query, 6 << 11, 0);
	write_bytes(&fx.query.w, "\0\1\0\x8\0\0\x27\x10\0\0\x27\x10", 12);
	assert_int_equal(send_query(), 12);
	expect_refusal(&fx.reply, NOTIMP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(what_is_no_query_is_dropped),
		FIXTURE_TEST(other_opcodes_are_not_implemented),
		FIXTURE_TEST(header_flags_are_not_copied),
		FIXTURE_TEST(exactly_one_question),
		FIXTURE_TEST(other_classes_are_refused),
		FIXTURE_TEST(transfers_are_refused),
		FIXTURE_TEST(names_up_to_255_octets),
		FIXTURE_TEST(any_byte_may_stand_in_a_label),
		FIXTURE_TEST(bad_question_names_are_formerr),
		FIXTURE_TEST(wrong_counts_and_trailing_bytes_are_formerr),
		FIXTURE_TEST(crowded_queries_are_formerr),
		FIXTURE_TEST(every_prefix_is_refused),
		FIXTURE_TEST(damaged_queries_are_survived),
		FIXTURE_TEST(types_classes_opcodes),
		FIXTURE_TEST(notify_and_update_are_not_implemented),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
