// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "util/address.h"
#include "util/clock.h"
#include "util/cursor.h"
#include "util/diag.h"
#include "util/hash.h"
#include "util/secure.h"
#include "util/text.h"

static void a_cursor_remembers_its_first_failure(void **state)
{
	(void)state;
	uint8_t buf[4];
	size_t len = 99;
	struct writer w = writer_over(buf, sizeof buf);
	write_u16(&w, 0x0102);
	write_u32(&w, 0x03040506); /* does not fit */
	write_u8(&w, 7);           /* would, but comes too late */
	assert_int_equal(writer_finish(&w, &len), ERR_RANGE);
	assert_int_equal(len, 99);

	struct reader r = reader_over("\x01\x02\x03", 3);
	assert_int_equal(read_u16(&r), 0x0102);
	assert_int_equal(read_u16(&r), 0);
	assert_int_equal(read_u8(&r), 0);
	assert_int_equal(reader_finish(&r), ERR_INVALID);
}

static void a_reader_wants_everything_read(void **state)
{
	(void)state;
	struct reader r = reader_over("\x01\x02", 2);
	read_u8(&r);
	assert_int_equal(reader_finish(&r), ERR_INVALID);
	read_u8(&r);
	assert_int_equal(reader_finish(&r), OK);
}

static void strings_are_bounded_and_without_nul(void **state)
{
	(void)state;
	char out[4];
	struct reader fits = reader_over("\x03"
					 "abc",
			      4),
		      large = reader_over("\x04"
					  "abcd",
			      5),
		      nul = reader_over("\x02"
					"a\0",
			      3),
		      cut = reader_over("\x05"
					"ab",
			      3);
	read_string(&fits, out, sizeof out);
	assert_int_equal(reader_finish(&fits), OK);
	assert_string_equal(out, "abc");
	read_string(&large, out, sizeof out);
	assert_int_equal(reader_finish(&large), ERR_INVALID);
	assert_string_equal(out, "");
	read_string(&nul, out, sizeof out);
	assert_int_equal(reader_finish(&nul), ERR_INVALID);
	read_string(&cut, out, sizeof out);
	assert_int_equal(reader_finish(&cut), ERR_INVALID);
}

static void addresses_and_endpoints(void **state)
{
	(void)state;
	static const struct {
		const char *text, *back; /* NULL: refused */
	} cases[] = {
		{"192.0.2.1:53", "192.0.2.1:53"},
		{"[::]:53", "[::]:53"},
		{"[2001:db8:0::1]:65535", "[2001:db8::1]:65535"},
		{"0.0.0.0:0", "0.0.0.0:0"},
		{"192.0.2.1", NULL},
		{"::1:53", NULL},
		{"[::1]", NULL},
		{"192.0.2.1:65536", NULL},
		{"192.0.2.1:-1", NULL},
		{"192.0.2.1: 53", NULL},
		{"192.0.2.256:53", NULL},
		{"[192.0.2.1]:53", NULL},
		{"localhost:53", NULL},
		{":53", NULL},
		{"", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct endpoint e;
		char back[ENDPOINT_TEXT];
		int rc = endpoint_parse(cases[i].text, &e);
		assert_int_equal(rc, cases[i].back ? OK : ERR_INVALID);
		if (rc)
			continue;
		endpoint_format(&e, back);
		assert_string_equal(back, cases[i].back);
		struct sockaddr_storage ss;
		struct endpoint again;
		socklen_t len = endpoint_to_sockaddr(&e, &ss);
		assert_int_equal(address_from_sockaddr((struct sockaddr *)&ss, len, &again), OK);
		assert_true(address_equal(&e.address, &again.address));
		assert_int_equal(e.port, again.port);
	}
}

static void loopback(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool is;
	} cases[] = {{"127.0.0.1", true}, {"127.255.0.9", true}, {"::1", true}, {"128.0.0.1", false},
		{"::2", false}, {"::", false}, {"0.0.0.0", false}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a;
		assert_int_equal(address_parse(cases[i].text, &a), OK);
		assert_int_equal(address_is_loopback(&a), cases[i].is);
	}
}

/* IANA's registries of special-purpose addresses; the first and last of a range, and their neighbours. */
static void where_the_internet_does_not_lead(void **state)
{
	(void)state;
	static const struct {
		const char *text, *has; /* NULL: public */
	} cases[] = {{"9.255.255.255", NULL}, {"10.0.0.0", "RFC 1918"}, {"10.255.255.255", "RFC 1918"},
		{"11.0.0.0", NULL}, {"172.15.255.255", NULL}, {"172.16.0.0", "RFC 1918"},
		{"172.31.255.255", "RFC 1918"}, {"172.32.0.0", NULL}, {"192.168.1.1", "RFC 1918"},
		{"192.169.0.0", NULL}, {"100.63.255.255", NULL}, {"100.64.0.1", "RFC 6598"},
		{"100.128.0.0", NULL}, {"169.254.1.1", "link-local"}, {"127.0.0.1", "loopback"},
		{"0.0.0.0", "RFC 1122"}, {"192.0.2.1", "documentation"}, {"198.51.100.1", "documentation"},
		{"203.0.113.1", "documentation"}, {"198.19.255.255", "RFC 2544"}, {"224.0.0.1", "multicast"},
		{"255.255.255.255", "reserved"}, {"185.49.140.10", NULL}, {"2a04:b900::1", NULL},
		{"2001:503:ba3e::2:30", NULL}, {"2001:db8::1", "documentation"}, {"::1", "loopback"},
		{"::", "RFC 4291"}, {"fc00::1", "RFC 4193"}, {"fdff::1", "RFC 4193"},
		{"fe80::1", "link-local"}, {"ff02::1", "multicast"}, {"2002:c000:201::1", "6to4"},
		{"4000::1", "not in use"}, {"64:ff9b::1", "not in use"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a;
		assert_int_equal(address_parse(cases[i].text, &a), OK);
		const char *said = address_special(&a);
		if (cases[i].has)
			assert_non_null(strstr(said ? said : "public", cases[i].has));
		else
			assert_null(said);
	}
}

/* What Go's net.ParseCIDR takes, and so what acme-dns clients send. */
static void prefixes(void **state)
{
	(void)state;
	static const struct {
		const char *prefix, *in, *out;
	} cases[] = {
		{"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
		{"192.0.2.77/24", "192.0.2.1", "192.0.1.1"}, /* host bits may be set */
		{"192.0.2.1/32", "192.0.2.1", "192.0.2.0"}, {"192.0.2.128/25", "192.0.2.129", "192.0.2.127"},
		{"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
		{"[2001:db8::1]/128", "2001:db8::1", "2001:db8::2"},
		{"0.0.0.0/0", "203.0.113.9", "2001:db8::1"}, /* all of IPv4 is not IPv6 */
		{"::/0", "2001:db8::1", "203.0.113.9"},      /* nor the other way round */
	};
	static const char *const bad[] = {"192.0.2.1", "192.0.2.0/33", "::/129", "192.0.2.0/", "192.0.2.0/-1",
		"/24", "", "192.0.2.0/24 ", "x/8", "2001:db8::]/32"};
	struct prefix p;
	struct address a;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(prefix_parse(cases[i].prefix, strlen(cases[i].prefix), &p), OK);
		assert_int_equal(address_parse(cases[i].in, &a), OK);
		assert_true(prefix_contains(&p, &a));
		assert_int_equal(address_parse(cases[i].out, &a), OK);
		assert_false(prefix_contains(&p, &a));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(prefix_parse(bad[i], strlen(bad[i]), &p), ERR_INVALID);
}

static void a_prefix_is_written_as_it_is_read(void **state)
{
	(void)state;
	static const char *const same[] = {"192.0.2.0/24", "192.0.2.7/24", "0.0.0.0/0", "255.255.255.255/32",
		"::/0", "2001:db8::/32", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/128", "::ffff:1.2.3.4/95"};
	char text[PREFIX_TEXT];
	struct prefix p;
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		assert_int_equal(prefix_parse(same[i], strlen(same[i]), &p), OK);
		prefix_format(&p, text);
		assert_string_equal(text, same[i]);
	}
	/* The same prefix in another notation. */
	assert_int_equal(prefix_parse("::ffff:1.2.3.4/120", 18, &p), OK);
	prefix_format(&p, text);
	assert_string_equal(text, "1.2.3.4/24");
}

static void hexadecimal(void **state)
{
	(void)state;
	uint8_t bytes[3] = {0x00, 0xa9, 0xff}, back[3];
	char text[7];
	text_hex(bytes, sizeof bytes, text);
	assert_string_equal(text, "00a9ff");
	assert_int_equal(text_from_hex("00A9fF", 6, back, 3), OK);
	assert_memory_equal(back, bytes, 3);
	assert_int_equal(text_from_hex("00a9f", 5, back, 3), ERR_INVALID);
	assert_int_equal(text_from_hex("00a9ff0", 7, back, 3), ERR_INVALID);
	assert_int_equal(text_from_hex("00a9fg", 6, back, 3), ERR_INVALID);
	assert_int_equal(text_from_hex("00a9f ", 6, back, 3), ERR_INVALID);
}

static void uuids(void **state)
{
	(void)state;
	uint8_t uuid[16];
	char text[37];
	assert_int_equal(text_to_uuid("00112233-4455-6677-8899-AABBCCDDEEFF", 36, uuid), OK);
	text_from_uuid(uuid, text);
	assert_string_equal(text, "00112233-4455-6677-8899-aabbccddeeff");
	assert_int_equal(text_to_uuid("00112233-4455-6677-8899-aabbccddeef", 35, uuid), ERR_INVALID);
	assert_int_equal(text_to_uuid("001122334-455-6677-8899-aabbccddeeff", 36, uuid), ERR_INVALID);
	assert_int_equal(text_to_uuid("00112233-4455-6677-8899-aabbccddeefg", 36, uuid), ERR_INVALID);
	assert_int_equal(secure_uuid(uuid), OK);
	assert_int_equal(uuid[6] >> 4, 4); /* RFC 9562 section 5.4 */
	assert_int_equal(uuid[8] >> 6, 2);
}

static void base64url(void **state)
{
	(void)state;
	/* RFC 4648 section 10, without padding. */
	static const char *const cases[][2] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char out[16];
		text_base64url((const uint8_t *)cases[i][0], strlen(cases[i][0]), out);
		assert_string_equal(out, cases[i][1]);
	}
	assert_true(text_is_base64url("AZaz09-_", 8));
	assert_false(text_is_base64url("a=", 2));
	assert_false(text_is_base64url("a+", 2));
	assert_false(text_is_base64url("\xc3\xa4", 2));
}

static void secrets(void **state)
{
	(void)state;
	char a[SECURE_SECRET_LEN + 1], b[SECURE_SECRET_LEN + 1];
	uint8_t digest[SECURE_DIGEST_SIZE];
	assert_int_equal(secure_secret(a), OK);
	assert_int_equal(secure_secret(b), OK);
	assert_int_equal(strlen(a), 40);
	assert_true(text_is_base64url(a, 40));
	assert_string_not_equal(a, b);
	assert_false(secure_equal(a, b, 40));
	assert_true(secure_equal(a, a, 40));
	/* FIPS 180-4's example. */
	assert_int_equal(secure_sha256("abc", 3, digest), OK);
	assert_memory_equal(digest, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23", 16);
	secure_wipe(a, sizeof a);
	for (size_t i = 0; i < sizeof a; i++)
		assert_int_equal(a[i], 0);
}

/* The vectors that come with SipHash's reference: key and message count up from 0. */
static void siphash(void **state)
{
	(void)state;
	uint8_t bytes[16];
	for (uint8_t i = 0; i < sizeof bytes; i++)
		bytes[i] = i;
	struct hash_key key = hash_key_from(bytes);
	assert_true(hash_64(&key, bytes, 0) == 0x726fdb47dd0e0e31u);
	assert_true(hash_64(&key, bytes, 8) == 0x93f5f5799a932462u);
	assert_true(hash_64(&key, bytes, 15) == 0xa129ca6149be45e5u);
	struct hash128 h = hash_128(&key, bytes, 0);
	assert_true(h.low == 0xe6a825ba047f81a3u && h.high == 0x930255c71472f66du);
}

static void a_diag_crosses_a_pipe(void **state)
{
	(void)state;
	char *text = NULL, *again = NULL;
	size_t len, len_again;
	int fd[2];
	struct diag *sent = diag_new(), *got = diag_new();
	FILE *f = open_memstream(&text, &len), *g = open_memstream(&again, &len_again);
	assert_int_equal(pipe(fd), 0);
	diag_warning(sent, "a\nb.yaml", 3, "odd");
	diag_error(sent, NULL, 0, "%s", "");
	diag_error(sent, "c", 0, "bad");
	assert_int_equal(diag_send(sent, fd[1]), OK);
	close(fd[1]);
	assert_int_equal(diag_receive(got, fd[0]), OK);
	assert_int_equal(diag_errors(got), 2);
	diag_print(sent, f);
	diag_print(got, g);
	fclose(f);
	fclose(g);
	assert_string_equal(again, text);
	assert_int_equal(diag_send(sent, fd[0]), ERR_SYSTEM);
	close(fd[0]);
	free(text);
	free(again);
	diag_free(&sent);
	diag_free(&got);
}

static void a_diag_collects_everything_in_order(void **state)
{
	(void)state;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct diag *d = diag_new();
	assert_non_null(f);
	assert_non_null(d);
	diag_error(d, "a.yaml", 7, "bad %s", "thing");
	diag_warning(d, "a.yaml", 0, "odd");
	diag_error(d, NULL, 0, "worse");
	assert_int_equal(diag_errors(d), 2);
	diag_print(d, f);
	fclose(f);
	assert_string_equal(text, "a.yaml:7: bad thing\na.yaml: warning: odd\nworse\n");
	free(text);
	diag_free(&d);
	assert_null(d);
}

/* A text that cannot be composed, here for an invalid character, is lost as one that finds no memory is. */
static void what_cannot_be_said_is_no_silence(void **state)
{
	(void)state;
	static const wchar_t invalid[] = {0x7fffffff, 0};
	char *text = NULL, *again = NULL;
	size_t len, len_again;
	int fd[2];
	struct diag *d = diag_new(), *got = diag_new();
	FILE *f = open_memstream(&text, &len), *g = open_memstream(&again, &len_again);
	assert_int_equal(pipe(fd), 0);
	diag_error(d, "a.yaml", 7, "%ls", invalid);
	assert_int_equal(diag_errors(d), 1);
	diag_print(d, f);
	fclose(f);
	assert_non_null(strstr(text, "out of memory"));
	assert_int_equal(diag_send(d, fd[1]), OK);
	close(fd[1]);
	assert_int_equal(diag_receive(got, fd[0]), OK);
	close(fd[0]);
	assert_int_equal(diag_errors(got), 1);
	diag_print(got, g);
	fclose(g);
	assert_string_equal(again, text);
	free(text);
	free(again);
	diag_free(&d);
	diag_free(&got);
}

/* It goes on from its origin, which need not be what the wall clock says by now. */
static void steady_time_starts_with_the_wall_clock(void **state)
{
	(void)state;
	int64_t before = clock_wall_ms(), origin = clock_origin();
	int64_t steady = clock_steady_ms(origin);
	assert_in_range(steady - before, 0, 1000);
	assert_in_range(clock_steady_ms(origin - 86400 * 1000) - (steady - 86400 * 1000), 0, 1000);
	assert_in_range(clock_steady_ms(0) - before, 0, 1000);
}

static void every_error_has_its_text(void **state)
{
	(void)state;
	assert_string_equal(error_text(OK), "no error");
	assert_string_equal(error_text(ERR_BUSY), "in use by another process");
	assert_string_equal(error_text(-999), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cursor_remembers_its_first_failure),
		cmocka_unit_test(a_reader_wants_everything_read),
		cmocka_unit_test(strings_are_bounded_and_without_nul),
		cmocka_unit_test(addresses_and_endpoints),
		cmocka_unit_test(loopback),
		cmocka_unit_test(where_the_internet_does_not_lead),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(a_prefix_is_written_as_it_is_read),
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(uuids),
		cmocka_unit_test(base64url),
		cmocka_unit_test(secrets),
		cmocka_unit_test(siphash),
		cmocka_unit_test(a_diag_collects_everything_in_order),
		cmocka_unit_test(a_diag_crosses_a_pipe),
		cmocka_unit_test(what_cannot_be_said_is_no_silence),
		cmocka_unit_test(steady_time_starts_with_the_wall_clock),
		cmocka_unit_test(every_error_has_its_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
