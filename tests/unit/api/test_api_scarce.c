// SPDX-License-Identifier: GPL-3.0-or-later
/* A body is read while each of its allocations fails in turn: it is never taken for malformed, nor for
 * another. */
#include "unit.h"

#include <malloc.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "http/http.h"

static long left; /* allocations until one fails; then below 1 */
static bool from_then_on;

static void *rationed(size_t size)
{
	left--;
	return left > 0 || (left < 0 && !from_then_on) ? malloc(size) : NULL;
}

/* The test's own copy, whose malloc() is rationed. */
#define malloc(size) rationed(size)
#include "util/scarce.c"
#undef malloc

static json_t *parse(const char *body, long n, bool all, int *rc)
{
	json_t *value;
	left = n;
	from_then_on = all;
	*rc = body_parse(body, strlen(body), &value);
	return value;
}

/* Until none of them fails. Returns how many there are. */
static long each_fails(const char *body, bool all, int good)
{
	for (long n = 1;; n++) {
		int rc;
		json_t *value = parse(body, n, all, &rc);
		bool failed = left <= 0;
		json_decref(value);
		if (!failed) {
			assert_int_equal(rc, good);
			return n;
		}
		assert_int_equal(rc, ERR_NOMEM);
		assert_null(value);
	}
}

/* Of a length at which jansson's buffer grows within, and at, the end of a text. */
static void no_text_is_malformed_for_lack_of_memory(void **state)
{
	(void)state;
	char zeros[100];
	memset(zeros, '0', sizeof zeros);
	for (int len = 0; len < (int)sizeof zeros; len++) {
		char body[512];
		int n = snprintf(body, sizeof body, "{\"subdomain\":\"%.*s\",\"txt\":[1%.*s,0.5%.*s,true]}",
			len, zeros, len % 18, zeros, len, zeros);
		assert_in_range(n, 1, sizeof body - 1);
		assert_in_range(each_fails(body, false, OK), 10, 1000);
		assert_in_range(each_fails(body, true, OK), 10, 1000);
	}
}

/* Clients take 400 for their own fault. */
static void a_body_of_fields_is_not_refused_as_malformed(void **state)
{
	(void)state;
	static const char body[] = "{\"note\":\"team\",\"quota\":3}";
	const struct http_request r = {.body = body, .body_len = sizeof body - 1};
	json_t *o;
	left = 3;
	from_then_on = false;
	assert_string_equal(fields_parse(&r, &o), "out_of_memory");
	assert_null(o);
	left = 1000;
	assert_null(fields_parse(&r, &o));
	json_decref(o);
}

static void what_is_malformed_is_called_so(void **state)
{
	(void)state;
	assert_in_range(each_fails("{\"a\":\"012345678901234567890123456789", false, ERR_INVALID), 2, 100);
	assert_in_range(each_fails("{\"a\":[1,{\"b\":nul}]}", true, ERR_INVALID), 2, 100);
}

/* The reserve holds whatever a request may bring. */
static void the_reserve_is_enough(void **state)
{
	(void)state;
	static const char *const dense[] = {"{},", "[],", "\"\",", "0,", "{\"a\":0},", "[[0]],"};
	for (size_t i = 0; i < sizeof dense / sizeof *dense; i++) {
		char body[HTTP_MAX_BODY + 1] = "[";
		size_t len = 1, each = strlen(dense[i]);
		for (; len + each + 2 < sizeof body; len += each)
			memcpy(body + len, dense[i], each);
		memcpy(body + len - 1, "]", 2);
		left = 1;
		from_then_on = true;
		scarce_begin();
		json_t *value = json_loads(body, 0, NULL);
		assert_non_null(value);
		assert_true(scarce_end());
		json_decref(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_text_is_malformed_for_lack_of_memory),
		cmocka_unit_test(a_body_of_fields_is_not_refused_as_malformed),
		cmocka_unit_test(what_is_malformed_is_called_so),
		cmocka_unit_test(the_reserve_is_enough),
	};
	json_set_alloc_funcs(scarce_malloc, scarce_free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
