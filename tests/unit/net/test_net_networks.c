// SPDX-License-Identifier: GPL-3.0-or-later
/* The table of networks against a list of what happened. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "net/networks.h"

enum { CONNECTIONS = 64, STEPS = 20000 };

static struct address from_text(const char *text)
{
	struct address a;
	assert_int_equal(address_parse(text, &a), OK);
	return a;
}

static struct connection from(const char *text)
{
	return (struct connection){.client = {.address = from_text(text), .port = 1}};
}

static size_t count_of(const struct networks *n, const char *text)
{
	struct address a = from_text(text);
	const struct network *found = networks_find(n, &a);
	return found ? found->count : 0;
}

/* A site usually has one /24, or one /56 (RFC 6177 section 2). */
static void neighbours_count_together(void **state)
{
	(void)state;
	struct networks *n;
	struct connection c[] = {from("192.0.2.1"), from("192.0.2.255"), from("192.0.3.1"),
		from("2001:db8::1"), from("2001:db8:0:ff::1"), from("2001:db8:0:100::1"), from("::c000:201")};
	assert_int_equal(networks_new(7, &n), OK);
	assert_int_equal(count_of(n, "192.0.2.1"), 0);
	for (unsigned i = 0; i < 7; i++)
		networks_join(n, &c[i]);
	assert_int_equal(count_of(n, "192.0.2.77"), 2);
	assert_int_equal(count_of(n, "192.0.3.77"), 1);
	assert_int_equal(count_of(n, "2001:db8:0:80::"), 2);
	assert_int_equal(count_of(n, "2001:db8:0:100::"), 1);
	assert_int_equal(count_of(n, "::1"), 1); /* not the same as IPv4 */
	for (unsigned i = 0; i < 7; i++)
		networks_leave(n, &c[i]);
	assert_int_equal(count_of(n, "192.0.2.1"), 0);
	networks_free(&n);
	assert_null(n);
	networks_free(&n);
}

/* What networks_find() says must be what a plain search through everybody finds. */
static void expect_agreement(const struct networks *n, const struct connection *all, const unsigned *active)
{
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		unsigned count = 0, oldest = i;
		if (!active[i])
			continue;
		for (unsigned k = 0; k < CONNECTIONS; k++) {
			if (!active[k] || all[k].network != all[i].network)
				continue;
			count++;
			oldest = active[k] < active[oldest] ? k : oldest;
		}
		const struct network *found = networks_find(n, &all[i].client.address);
		assert_ptr_equal(found, all[i].network);
		assert_int_equal(found->count, count);
		assert_ptr_equal(TAILQ_FIRST(&found->members), &all[oldest]);
	}
}

static void the_one_idle_longest_comes_first(void **state)
{
	(void)state;
	static struct connection all[CONNECTIONS];
	unsigned active[CONNECTIONS] = {0}; /* when last; 0: not there */
	struct networks *n;
	assert_int_equal(networks_new(CONNECTIONS, &n), OK);
	srandom(42);
	for (unsigned step = 1; step <= STEPS; step++) {
		unsigned i = (unsigned)random() % CONNECTIONS;
		if (active[i] && random() % 2) {
			networks_leave(n, &all[i]);
			active[i] = 0;
		} else if (active[i]) {
			networks_touch(&all[i]);
			active[i] = step;
		} else {
			all[i] = from("192.0.2.0");
			all[i].client.address.bytes[14] = (uint8_t)(random() % (step % 2 ? 4 : 100));
			all[i].client.address.bytes[15] = (uint8_t)random();
			networks_join(n, &all[i]);
			active[i] = step;
		}
		if (step % 50 == 0)
			expect_agreement(n, all, active);
	}
	networks_free(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_count_together),
		cmocka_unit_test(the_one_idle_longest_comes_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
