// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "http/head.h"
#include "http/http.h"

/* The parser gets a copy of exactly the bytes, so that the sanitizer sees every read behind them. */
static char *copy(const char *text, size_t len)
{
	char *c = malloc(len);
	assert_non_null(c);
	memcpy(c, text, len);
	return c;
}

static void a_plain_request_is_taken_apart(void **state)
{
	(void)state;
	const char text[] = "POST /x/update?a=%20b HTTP/1.1\r\nHost: a.example:8443\r\nX-Empty:\r\n"
			    "x-api-USER: \t u u \t\r\nContent-Length: 7\r\n\r\n";
	size_t len = sizeof text - 1, scanned = 0;
	struct head h;
	bool twice;
	char *buf = copy(text, len);
	assert_int_equal(head_scan(buf, len, &scanned), HEAD_COMPLETE);
	assert_int_equal(scanned, len);
	assert_int_equal(head_parse(buf, len, &h), 0);
	assert_string_equal(buf + h.method, "POST");
	assert_string_equal(buf + h.path, "/x/update");
	assert_string_equal(buf + h.query, "a=%20b"); /* as it was sent */
	assert_int_equal(h.content_length, 7);
	assert_true(h.keep_alive);
	assert_false(h.is_head);
	assert_string_equal(head_field(&h, buf, "X-Api-User", &twice), "u u");
	assert_string_equal(head_field(&h, buf, "X-Empty", &twice), "");
	assert_null(head_field(&h, buf, "X-Api-Key", &twice));
	assert_false(twice);
	free(buf);
}

static void a_field_sent_twice_has_no_value(void **state)
{
	(void)state;
	const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 1\r\n\r\n";
	struct head h;
	bool twice;
	char *buf = copy(text, sizeof text - 1);
	assert_int_equal(head_parse(buf, sizeof text - 1, &h), 0);
	assert_int_equal(h.query, 0);
	assert_null(head_field(&h, buf, "X", &twice));
	assert_true(twice);
	free(buf);
}

/* However the bytes are cut, the scan ends at the same place. */
static void the_end_is_found_bytewise(void **state)
{
	(void)state;
	const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET";
	size_t scanned = 0, end = sizeof text - 1 - 3;
	for (size_t len = 0; len < end; len++)
		assert_int_equal(head_scan(text, len, &scanned), HEAD_INCOMPLETE);
	assert_int_equal(head_scan(text, end, &scanned), HEAD_COMPLETE);
	assert_int_equal(scanned, end);
}

/* RFC 9112 section 9.3: persistence by version and by the Connection field. */
static void persistence_follows_version_and_connection(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool keep;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", true},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: te, ClOsE ,,upgrade\r\n\r\n", false},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nConnection: close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n", true},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct head h;
		size_t len = strlen(cases[i].text);
		char *buf = copy(cases[i].text, len);
		assert_int_equal(head_parse(buf, len, &h), 0);
		assert_int_equal(h.keep_alive, cases[i].keep);
		free(buf);
	}
}

static void too_many_fields_are_431(void **state)
{
	(void)state;
	char text[4096] = "GET / HTTP/1.1\r\nHost: a\r\n";
	struct head h;
	for (int i = 0; i < HEAD_MAX_FIELDS; i++)
		strcat(text, "X: y\r\n");
	strcat(text, "\r\n");
	assert_int_equal(head_parse(text, strlen(text), &h), 431);
}

/* Every byte of a good request replaced by every other byte: never more than a refusal. */
static void a_changed_byte_is_harmless(void **state)
{
	(void)state;
	const char text[] =
		"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n";
	const size_t len = sizeof text - 1;
	for (size_t at = 0; at < len; at++)
		for (int byte = 0; byte < 256; byte++) {
			struct head h;
			size_t scanned = 0;
			char *buf = copy(text, len);
			buf[at] = (char)byte;
			if (head_scan(buf, len, &scanned) == HEAD_COMPLETE) {
				unsigned s = head_parse(buf, scanned, &h);
				assert_true(s == 0 || s == 400 || s == 417 || s == 505);
				assert_true(s || h.content_length <= 99 || h.content_length == SIZE_MAX);
			}
			free(buf);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_request_is_taken_apart),
		cmocka_unit_test(a_field_sent_twice_has_no_value),
		cmocka_unit_test(the_end_is_found_bytewise),
		cmocka_unit_test(persistence_follows_version_and_connection),
		cmocka_unit_test(too_many_fields_are_431),
		cmocka_unit_test(a_changed_byte_is_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
