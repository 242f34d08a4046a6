// SPDX-License-Identifier: GPL-3.0-or-later
/* Trusted here: 10.0.0.0/8 and 2001:db8:1::/48. The peer is 10.0.0.1. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "http/forward.h"

static void expect_client(const char *fields, const char *client)
{
	char buf[1024];
	struct head h;
	struct prefix trusted[2];
	struct address peer, wanted;
	snprintf(buf, sizeof buf, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
	assert_int_equal(head_parse(buf, strlen(buf), &h), 0);
	assert_int_equal(prefix_parse("10.0.0.0/8", 10, &trusted[0]), OK);
	assert_int_equal(prefix_parse("2001:db8:1::/48", 15, &trusted[1]), OK);
	assert_int_equal(address_parse("10.0.0.1", &peer), OK);
	assert_int_equal(address_parse(client, &wanted), OK);
	struct address got = forward_client(&h, buf, trusted, 2, &peer);
	char text[ADDRESS_TEXT];
	address_format(&got, text);
	if (!address_equal(&got, &wanted))
		fail_msg("%s: got %s, want %s", fields, text, client);
}

static void the_rightmost_untrusted_entry_counts(void **state)
{
	(void)state;
	expect_client("X-Forwarded-For: 203.0.113.5\r\n", "203.0.113.5");
	expect_client("X-Forwarded-For:  203.0.113.5 \r\n", "203.0.113.5");
	expect_client("X-Forwarded-For: 192.0.2.1, 203.0.113.5\r\n", "203.0.113.5");
	expect_client("X-Forwarded-For: 192.0.2.1,203.0.113.5,10.1.1.1, 2001:db8:1::7\r\n", "203.0.113.5");
	expect_client("x-forwarded-for: [2001:db8::9]\r\n", "2001:db8::9");
	expect_client("X-Forwarded-For: ::ffff:203.0.113.5\r\n", "203.0.113.5");
	expect_client("X-Forwarded-For: nonsense, 203.0.113.5\r\n", "203.0.113.5");
}

/* haproxy appends a field of its own behind the client's. */
static void two_fields_are_one_list_in_order(void **state)
{
	(void)state;
	expect_client("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 203.0.113.5\r\n", "203.0.113.5");
	expect_client(
		"X-Forwarded-For: 192.0.2.1, 203.0.113.5\r\nX-Forwarded-For: 10.2.2.2\r\n", "203.0.113.5");
}

static void without_an_untrusted_entry_the_leftmost_counts(void **state)
{
	(void)state;
	expect_client("X-Forwarded-For: 10.9.9.9, 10.8.8.8\r\n", "10.9.9.9");
}

/* What cannot be read must never turn into somebody else. */
static void a_malformed_list_leaves_the_peer(void **state)
{
	(void)state;
	static const char *const fields[] = {
		"",
		"X-Forwarded-For:\r\n",
		"X-Forwarded-For: ,\r\n",
		"X-Forwarded-For: 203.0.113.5,\r\n",
		"X-Forwarded-For: 192.0.2.1, , 10.1.1.1\r\n",
		"X-Forwarded-For: unknown\r\n",
		"X-Forwarded-For: 203.0.113.5:80\r\n",
		"X-Forwarded-For: 203.0.113.5 192.0.2.1\r\n",
		"X-Forwarded-For: 203.0.113.256\r\n",
		"X-Forwarded-For: 203.0.113.05x\r\n",
		"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For:\r\n",
		"X-Forwarded-For: 1111111111111111111111111111111111111111111111111111111111111111111\r\n",
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		expect_client(fields[i], "10.0.0.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rightmost_untrusted_entry_counts),
		cmocka_unit_test(two_fields_are_one_list_in_order),
		cmocka_unit_test(without_an_untrusted_entry_the_leftmost_counts),
		cmocka_unit_test(a_malformed_list_leaves_the_peer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
