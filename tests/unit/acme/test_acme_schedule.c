// SPDX-License-Identifier: GPL-3.0-or-later
/* When to renew and when to try again. */
#include "acme/schedule.h"
#include "unit.h"

#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

enum { MIDDLE = INT32_MAX };
static const uint32_t dice[] = {0, 1, INT32_MAX, UINT32_MAX - 1, UINT32_MAX};
enum { DICE = sizeof dice / sizeof dice[0] };

static void assert_between(int64_t v, int64_t low, int64_t high)
{
	if (v < low || v > high)
		fail_msg("%lld is not between %lld and %lld", (long long)v, (long long)low, (long long)high);
}

static void test_defaults(void **state)
{
	(void)state;
	const struct acme_times none = {0}, some = {.poll = 5, .check = 7};
	struct acme_times t = schedule_times(&none);
	assert_int_equal(t.request, 30 * SECOND);
	assert_int_equal(t.first_retry, MINUTE);
	assert_int_equal(t.longest_retry, DAY);
	t = schedule_times(&some);
	assert_int_equal(t.poll, 5);
	assert_int_equal(t.check, 7);
	assert_int_equal(t.wait, 10 * MINUTE);
}

/* Two thirds, whether it lives 90 days, 6 days or an hour; and never far from it. */
static void test_two_thirds_of_the_lifetime(void **state)
{
	(void)state;
	static const int64_t lifetimes[] = {398 * DAY, 90 * DAY, 160 * HOUR, HOUR, MINUTE};
	const int64_t born = 1764367200 * SECOND;
	for (size_t i = 0; i < sizeof lifetimes / sizeof lifetimes[0]; i++)
		for (size_t d = 0; d < DICE; d++) {
			int64_t age = schedule_by_lifetime(born, born + lifetimes[i], dice[d]) - born;
			assert_between(age, lifetimes[i] * 64 / 100, lifetimes[i] * 2 / 3);
		}
	assert_true(schedule_by_lifetime(born, born + 90 * DAY, 0) !=
		    schedule_by_lifetime(born, born + 90 * DAY, MIDDLE));
}

/* RFC 9773 section 4.2: "a uniform random time within the suggested window" */
static void test_a_time_in_the_window(void **state)
{
	(void)state;
	const struct window w = {.start = 1735790400 * SECOND, .end = 1735876800 * SECOND};
	assert_int_equal(schedule_in_window(&w, 0), w.start);
	assert_int_equal(schedule_in_window(&w, UINT32_MAX), w.end);
	assert_between(
		schedule_in_window(&w, MIDDLE), w.start + DAY / 2 - SECOND, w.start + DAY / 2 + SECOND);
}

/* A CA's advice does not make a certificate run out. */
static void test_the_latest_time(void **state)
{
	(void)state;
	assert_between(schedule_latest(0, 90 * DAY), 85 * DAY, 87 * DAY);
	assert_between(schedule_latest(0, 160 * HOUR), 150 * HOUR, 155 * HOUR);
}

/* RFC 9773 section 4.3.2: less than a minute and more than a day are not honoured; without a word, six hours.
 */
static void test_when_to_ask_again(void **state)
{
	(void)state;
	const struct acme_times none = {0};
	const struct acme_times t = schedule_times(&none);
	assert_int_equal(schedule_check(&t, 6 * HOUR, 90 * DAY), 6 * HOUR);
	assert_int_equal(schedule_check(&t, 0, 90 * DAY), MINUTE);
	assert_int_equal(schedule_check(&t, 30 * DAY, 90 * DAY), DAY);
	assert_int_equal(schedule_check(&t, -1, 90 * DAY), 6 * HOUR);
	/* One that lives a day is not asked about only four times. */
	assert_between(schedule_check(&t, -1, DAY), MINUTE, 2 * HOUR);
	assert_int_equal(schedule_check(&t, -1, MINUTE), MINUTE);
}

static void test_retries_are_later_each_time(void **state)
{
	(void)state;
	const struct acme_times none = {0};
	const struct acme_times t = schedule_times(&none);
	for (size_t d = 0; d < DICE; d++) {
		int64_t wait = MINUTE;
		for (uint32_t failures = 1; failures < 20; failures++) {
			assert_between(
				schedule_retry(&t, failures, 90 * DAY, dice[d]), wait * 3 / 4, wait * 5 / 4);
			wait = 2 * wait < DAY ? 2 * wait : DAY;
		}
		assert_between(schedule_retry(&t, UINT32_MAX, 90 * DAY, dice[d]), DAY * 3 / 4, DAY * 5 / 4);
	}
}

/* How many attempts there are, all failing, from the renewal time to the end. */
static int attempts_left(int64_t lifetime)
{
	const struct acme_times none = {0};
	const struct acme_times t = schedule_times(&none);
	int64_t at = schedule_by_lifetime(0, lifetime, MIDDLE);
	uint32_t n = 0;
	while (at < lifetime)
		at += schedule_retry(&t, ++n, lifetime, UINT32_MAX);
	return (int)n;
}

static void test_short_lives_get_many_tries(void **state)
{
	(void)state;
	assert_true(attempts_left(90 * DAY) >= 20);
	assert_true(attempts_left(160 * HOUR) >= 15);
	assert_true(attempts_left(DAY) >= 12);
	assert_true(attempts_left(HOUR) >= 8);
}

/* Somebody is waiting then. */
static void test_without_a_certificate_an_hour_is_the_longest(void **state)
{
	(void)state;
	const struct acme_times none = {0};
	const struct acme_times t = schedule_times(&none);
	assert_between(schedule_retry(&t, 50, 0, UINT32_MAX), HOUR * 3 / 4, HOUR * 5 / 4);
}

static void test_no_order_right_after_another(void **state)
{
	(void)state;
	const struct acme_times none = {0};
	const struct acme_times t = schedule_times(&none);
	assert_int_equal(schedule_gap(&t, 90 * DAY), 6 * HOUR);
	assert_between(schedule_gap(&t, DAY), HOUR, 2 * HOUR);
	assert_int_equal(schedule_gap(&t, MINUTE), MINUTE);
}

static void test_times_that_cannot_be_meant(void **state)
{
	(void)state;
	const int64_t now = 1764367200 * SECOND;
	assert_int_equal(schedule_sane(now + DAY, now), now + DAY);
	assert_int_equal(schedule_sane(now - DAY, now), now - DAY);
	assert_int_equal(schedule_sane(now + 400 * DAY, now), now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_two_thirds_of_the_lifetime),
		cmocka_unit_test(test_a_time_in_the_window),
		cmocka_unit_test(test_the_latest_time),
		cmocka_unit_test(test_when_to_ask_again),
		cmocka_unit_test(test_retries_are_later_each_time),
		cmocka_unit_test(test_short_lives_get_many_tries),
		cmocka_unit_test(test_without_a_certificate_an_hour_is_the_longest),
		cmocka_unit_test(test_no_order_right_after_another),
		cmocka_unit_test(test_times_that_cannot_be_meant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
