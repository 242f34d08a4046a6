// SPDX-License-Identifier: GPL-3.0-or-later
/* Dates and header fields as CAs send them. */
#include <string.h>

#include "acme/dates.h"
#include "acme/transport.h"
#include "unit.h"

enum { SECOND = 1000 };

static void test_rfc3339(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds; /* as `date -d` says */
	} good[] = {
		{"2025-01-02T04:00:00Z", 1735790400}, /* RFC 9773 section 4.2 */
		{"2025-01-03T04:00:00Z", 1735876800},
		{"1985-04-12T23:20:50.52Z", 482196050}, /* RFC 3339 section 5.8 */
		{"1996-12-19T16:39:57-08:00", 851042397},
		{"1990-12-31T23:59:60Z", 662688000}, /* a leap second */
		{"1937-01-01T12:00:27.87+00:20", -1041337173},
		{"2025-01-02t04:00:00z", 1735790400},
	};
	static const char *const bad[] = {"", "2025", "2025-01-02", "2025-01-02T04:00:00",
		"2025-01-02 04:00:00Z", "2025-13-02T04:00:00Z", "2025-00-02T04:00:00Z",
		"2025-01-32T04:00:00Z", "2025-01-02T24:00:00Z", "2025-01-02T04:60:00Z",
		"2025-01-02T04:00:00.Z", "2025-01-02T04:00:00Zulu", "2025-01-02T04:00:00+0800",
		"2025-01-02T04:00:00+24:00", "2025-01-02T04:00:00+08:00x", "2025-01-02T04:00:00+ 8:00",
		"-025-01-02T04:00:00Z", "1735790400"};
	int64_t out;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(date_rfc3339(good[i].text, &out), OK);
		assert_int_equal(out, good[i].seconds * SECOND);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (date_rfc3339(bad[i], &out) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
}

/* RFC 9110 section 10.2.3 and the three forms of section 5.6.7, for the moment 1994-11-06 08:49:37. */
static void test_retry_after(void **state)
{
	(void)state;
	const int64_t then = (int64_t)784111777 * SECOND;
	int64_t out;
	assert_int_equal(date_retry_after("120", then, &out), OK);
	assert_int_equal(out, 120 * SECOND);
	assert_int_equal(date_retry_after("0", then, &out), OK);
	assert_int_equal(out, 0);
	static const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994"};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(date_retry_after(forms[i], then - 90 * SECOND, &out), OK);
		assert_int_equal(out, 90 * SECOND);
		assert_int_equal(date_retry_after(forms[i], then + SECOND, &out), OK);
		assert_int_equal(out, 0);
	}
	/* However far away, we come back. */
	assert_int_equal(date_retry_after("99999999999999999999999999", then, &out), OK);
	assert_int_equal(out, DATE_RETRY_LONGEST);
	static const char *const bad[] = {"", "soon", "-1", "12 s", "1.5"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (date_retry_after(bad[i], then, &out) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
}

static void test_date_is_shown(void **state)
{
	(void)state;
	char out[DATE_SHOWN];
	assert_string_equal(date_show((int64_t)784111777 * SECOND + 999, out), "1994-11-06T08:49:37Z");
}

static struct response header(const char *line)
{
	struct response r = {.retry_after = -1};
	response_header(
		&r, "https://ca.example/acme/order/1", line, strlen(line), (int64_t)784111777 * SECOND);
	return r;
}

static void test_header_fields(void **state)
{
	(void)state;
	struct response r = header("Replay-Nonce: oFvnlFP1wIhRlYS2jTaXbA\r\n");
	assert_string_equal(r.nonce, "oFvnlFP1wIhRlYS2jTaXbA");
	/* RFC 8555 section 6.5.1 */
	r = header("Replay-Nonce: not/base64url\r\n");
	assert_string_equal(r.nonce, "");
	r = header("replay-nonce:abc\r\n"); /* as HTTP/2 has it */
	assert_string_equal(r.nonce, "abc");
	r = header("Content-Type: Application/Problem+JSON; charset=utf-8\r\n");
	assert_string_equal(r.type, "application/problem+json");
	r = header("Retry-After: 3\r\n");
	assert_int_equal(r.retry_after, 3 * SECOND);
	r = header("Retry-After: whenever\r\n");
	assert_int_equal(r.retry_after, -1);
	r = header("HTTP/1.1 200 OK\r\n");
	assert_string_equal(r.type, "");
}

static void test_locations_become_absolute(void **state)
{
	(void)state;
	struct response r = header("Location: https://other.example/acct/1\r\n");
	assert_string_equal(r.location, "https://other.example/acct/1");
	r = header("Location: /acct/2\r\n");
	assert_string_equal(r.location, "https://ca.example/acct/2");
	char line[1200] = "Location: /";
	memset(line + strlen(line), 'x', 1000);
	r = header(line);
	assert_string_equal(r.location, "");
}

/* RFC 8288 section 3, RFC 8555 section 7.4.2 */
static void test_alternate_links(void **state)
{
	(void)state;
	struct response r = header("Link: <https://ca.example/cert/1/alt>;rel=\"alternate\"\r\n");
	assert_int_equal(r.alternate_count, 1);
	assert_string_equal(r.alternates[0], "https://ca.example/cert/1/alt");
	r = header(
		"link: </dir>;rel=index, </a,1>; rel=alternate , </b>; title=\"x, y\"; rel=\"up ALTERNATE\"\r\n");
	assert_int_equal(r.alternate_count, 2);
	assert_string_equal(r.alternates[0], "https://ca.example/a,1");
	assert_string_equal(r.alternates[1], "https://ca.example/b");
	static const char *const none[] = {"Link: <https://ca.example/dir>;rel=\"index\"\r\n",
		"Link: <unclosed;rel=alternate", "Link: </a>;rel=\"alternates\"", "Link: </a>",
		"Link: alternate", "Link: </a>;rel=\""};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_int_equal(header(none[i]).alternate_count, 0);
}

/* As many as anybody needs, and no more. */
static void test_links_are_bounded(void **state)
{
	(void)state;
	struct response r = {.retry_after = -1};
	static const char line[] = "Link: </a>;rel=alternate\r\n";
	for (int i = 0; i < 100; i++)
		response_header(&r, "https://ca.example/", line, strlen(line), 0);
	assert_int_equal(r.alternate_count, TRANSPORT_LINKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc3339),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_date_is_shown),
		cmocka_unit_test(test_header_fields),
		cmocka_unit_test(test_locations_become_absolute),
		cmocka_unit_test(test_alternate_links),
		cmocka_unit_test(test_links_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
