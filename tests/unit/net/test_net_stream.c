// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "net/stream.h"

static void expect_next(struct reader *input, const char *text)
{
	const uint8_t *message;
	size_t len;
	assert_int_equal(stream_next(input, &message, &len), OK);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(message, text, len);
}

static void expect_code(struct reader *input, int code)
{
	const uint8_t *before = input->at, *message;
	size_t len;
	assert_int_equal(stream_next(input, &message, &len), code);
	assert_ptr_equal(input->at, before);
	assert_false(input->failed);
}

static void pipelined(void **state)
{
	(void)state;
	static const uint8_t bytes[] = "\0\3one\0\3two\0\5three";
	struct reader input = reader_over(bytes, sizeof bytes - 1);
	expect_next(&input, "one");
	expect_next(&input, "two");
	expect_next(&input, "three");
	expect_code(&input, ERR_AGAIN);
	assert_ptr_equal(input.at, input.end);
}

static void every_prefix_is_incomplete(void **state)
{
	(void)state;
	static const uint8_t bytes[] = "\0\5hello";
	for (size_t len = 0; len < sizeof bytes - 1; len++) {
		uint8_t *exact = malloc(len + !len); /* so that a sanitizer sees a read behind it */
		assert_non_null(exact);
		memcpy(exact, bytes, len);
		struct reader input = reader_over(exact, len);
		expect_code(&input, ERR_AGAIN);
		free(exact);
	}
	struct reader input = reader_over(bytes, sizeof bytes - 1);
	expect_next(&input, "hello");
}

static void lengths(void **state)
{
	(void)state;
	static uint8_t bytes[STREAM_PREFIX + STREAM_QUERY_MAX] = {0, 0};
	struct reader input = reader_over(bytes, 2);
	expect_code(&input, ERR_INVALID);
	/* Refused as soon as it is announced. */
	memcpy(bytes, (uint8_t[]){0x10, 0x01}, 2);
	input = reader_over(bytes, 2);
	expect_code(&input, ERR_INVALID);
	memcpy(bytes, (uint8_t[]){0xff, 0xff}, 2);
	input = reader_over(bytes, 2);
	expect_code(&input, ERR_INVALID);
	memcpy(bytes, (uint8_t[]){0x10, 0x00}, 2);
	input = reader_over(bytes, sizeof bytes);
	const uint8_t *message;
	size_t len;
	assert_int_equal(stream_next(&input, &message, &len), OK);
	assert_int_equal(len, 4096);
	memcpy(bytes, (uint8_t[]){0, 1}, 2);
	input = reader_over(bytes, 3);
	assert_int_equal(stream_next(&input, &message, &len), OK);
	assert_int_equal(len, 1);
}

static void backlog_keeps_copies(void **state)
{
	(void)state;
	struct backlog b = {0};
	uint8_t bytes[] = "0123456789";
	assert_int_equal(backlog_replace(&b, bytes, 10), OK);
	bytes[0] = 'x';
	assert_memory_equal(b.data, "0123456789", 10);
	assert_int_equal(backlog_replace(&b, b.data + 7, 3), OK);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "789", 3);
	assert_int_equal(backlog_replace(&b, b.data + 3, 0), OK);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_int_equal(backlog_replace(&b, bytes, 1), OK);
	backlog_clear(&b);
	assert_null(b.data);
	backlog_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipelined),
		cmocka_unit_test(every_prefix_is_incomplete),
		cmocka_unit_test(lengths),
		cmocka_unit_test(backlog_keeps_copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
