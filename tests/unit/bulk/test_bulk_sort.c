// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "bulk/sort.h"
#include "tempdir.h"

static struct tempdir dir;

static int setup(void **state)
{
	(void)state;
	dir = tempdir_make();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rmdir(dir.path); /* nothing may be left in it */
	assert_int_not_equal(access(dir.path, F_OK), 0);
	return 0;
}

/* A sequence that looks random and is the same each time. */
static uint32_t scramble(uint32_t n)
{
	n = (n ^ 61) ^ (n >> 16);
	n *= 9;
	n ^= n >> 4;
	n *= 0x27d4eb2d;
	return n ^ (n >> 15);
}

/* A key of 1..20 bytes over few letters, so that there are equal ones and ones that begin alike; a value that
 * follows from line and length. */
static size_t make_key(uint32_t n, uint8_t out[20])
{
	size_t len = 1 + scramble(n) % 20;
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(scramble(n * 31 + (uint32_t)i) % 3);
	return len;
}

static size_t make_value(uint64_t line, uint8_t out[SORTER_VALUE_MAX])
{
	size_t len = line % 100 ? line % 40 : SORTER_VALUE_MAX;
	memset(out, (int)(line % 251), len);
	return len;
}

static void add_all(struct sorter *s, uint32_t count)
{
	uint8_t key[20], value[SORTER_VALUE_MAX];
	for (uint32_t i = 0; i < count; i++) {
		size_t key_len = make_key(i, key), value_len = make_value(i, value);
		assert_int_equal(sorter_add(s, key, key_len, value, value_len, i), OK);
	}
	assert_int_equal(sorter_count(s), count);
}

static int compare(const struct sorted *a, const struct sorted *b)
{
	size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	int order = memcmp(a->key, b->key, len);
	return order                      ? order
	       : a->key_len != b->key_len ? (a->key_len < b->key_len ? -1 : 1)
	       : a->line == b->line       ? 0
	       : a->line < b->line        ? -1
					  : 1;
}

/* Everything that was added comes out, once, in order. */
static void expect_all(struct sorter *s, uint32_t count)
{
	uint8_t last_key[20], key[20], value[SORTER_VALUE_MAX];
	struct sorted e, last = {.key = last_key};
	uint64_t sum = 0;
	assert_int_equal(sorter_begin(s), OK);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(sorter_next(s, &e), OK);
		assert_true(i == 0 || compare(&last, &e) < 0);
		assert_int_equal(e.key_len, make_key((uint32_t)e.line, key));
		assert_memory_equal(e.key, key, e.key_len);
		assert_int_equal(e.value_len, make_value(e.line, value));
		assert_memory_equal(e.value, value, e.value_len);
		memcpy(last_key, e.key, e.key_len);
		last.key_len = e.key_len;
		last.line = e.line;
		sum += e.line;
	}
	assert_int_equal(sum, (uint64_t)count * (count - 1) / 2);
	assert_int_equal(sorter_next(s, &e), ERR_NOTFOUND);
}

static void sorts_in_memory_and_in_chunks(void **state)
{
	(void)state;
	static const size_t memories[] = {64 << 20, 1 << 20, 64 << 10, 1};
	for (size_t i = 0; i < sizeof memories / sizeof *memories; i++) {
		struct sorter *s;
		uint32_t count = memories[i] == 1 ? 500 : 20000; /* with one byte each entry is a chunk */
		assert_int_equal(sorter_new(dir.path, memories[i], &s), OK);
		add_all(s, count);
		expect_all(s, count);
		expect_all(s, count); /* as often as wanted */
		sorter_free(&s);
		assert_null(s);
	}
}

static void an_empty_one_gives_nothing(void **state)
{
	(void)state;
	struct sorter *s;
	struct sorted e;
	assert_int_equal(sorter_new(dir.path, 1 << 20, &s), OK);
	assert_int_equal(sorter_begin(s), OK);
	assert_int_equal(sorter_next(s, &e), ERR_NOTFOUND);
	sorter_free(&s);
}

static void limits_of_entries(void **state)
{
	(void)state;
	struct sorter *s;
	struct sorted e;
	static const uint8_t bytes[SORTER_VALUE_MAX + 1];
	assert_int_equal(sorter_new(dir.path, 1 << 20, &s), OK);
	assert_int_equal(sorter_add(s, bytes, 0, bytes, 1, 1), ERR_RANGE);
	assert_int_equal(sorter_add(s, bytes, SORTER_KEY_MAX + 1, bytes, 1, 1), ERR_RANGE);
	assert_int_equal(sorter_add(s, bytes, 1, bytes, SORTER_VALUE_MAX + 1, 1), ERR_RANGE);
	assert_int_equal(sorter_add(s, bytes, SORTER_KEY_MAX, bytes, SORTER_VALUE_MAX, 7), OK);
	assert_int_equal(sorter_begin(s), OK);
	assert_int_equal(sorter_next(s, &e), OK);
	assert_int_equal(e.key_len, SORTER_KEY_MAX);
	assert_int_equal(e.value_len, SORTER_VALUE_MAX);
	assert_int_equal(e.line, 7);
	sorter_free(&s);
}

static int add_until_error(struct sorter *s)
{
	uint8_t key[20], value[SORTER_VALUE_MAX];
	int rc = OK;
	for (uint32_t i = 0; !rc && i < 100000; i++) {
		size_t key_len = make_key(i, key), value_len = make_value(i, value);
		rc = sorter_add(s, key, key_len, value, value_len, i);
	}
	return rc;
}

static void no_room_is_an_error(void **state)
{
	(void)state;
	struct sorter *s;
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN); /* then write(2) fails with EFBIG, as with ENOSPC */
	struct rlimit small = {1 << 20, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(sorter_new(dir.path, 256 << 10, &s), OK);
	assert_int_equal(add_until_error(s), ERR_FULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	sorter_free(&s);
}

static void a_folder_that_is_not_there_is_an_error(void **state)
{
	(void)state;
	struct sorter *s;
	assert_int_equal(sorter_new("/nowhere/at/all", 256 << 10, &s), OK);
	assert_int_equal(add_until_error(s), ERR_SYSTEM);
	assert_int_equal(errno, ENOENT);
	sorter_free(&s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sorts_in_memory_and_in_chunks),
		TEST(an_empty_one_gives_nothing),
		TEST(limits_of_entries),
		TEST(no_room_is_an_error),
		TEST(a_folder_that_is_not_there_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
