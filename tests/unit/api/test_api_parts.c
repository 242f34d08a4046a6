// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "api/internal.h"

#define USER "eabcdb41-d89f-4580-826f-3e62e9755ef2"
#define KEY  "pbAXVjlIOE01xbut7YnAbkhMQIkcwoHO0ek2j4Q0"

/* google/uuid, which acme-dns uses, takes four spellings in either case. */
static void every_spelling_of_a_user_is_the_same(void **state)
{
	(void)state;
	static const char *const spellings[] = {
		USER,
		"EABCDB41-D89F-4580-826F-3E62E9755EF2",
		("{" USER "}"),
		("urn:uuid:" USER),
		"URN:UUID:EABCDB41-d89f-4580-826f-3e62e9755ef2",
		"eabcdb41d89f4580826f3e62e9755ef2",
	};
	for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
		struct ipc_request q = {0};
		assert_int_equal(credentials_set_user(&q, spellings[i]), OK);
		assert_string_equal(q.key_id, USER);
	}
}

static void what_is_no_uuid_is_no_user(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"x",
		"eabcdb41-d89f-4580-826f-3e62e9755ef",
		USER "2",
		"(" USER ")",
		"{" USER,
		"urn:uuie:" USER,
		"eabcdb41d89f4580826f3e62e9755efg",
		"eabcdb41-d89f-4580-826f3-e62e9755ef2",
		" " USER,
		"eabcdb41-d89f-4580-826f-3e62e9755\xc3\xa9"
		"2",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ipc_request q = {0};
		assert_int_equal(credentials_set_user(&q, bad[i]), ERR_FORBIDDEN);
	}
}

#define B64                                                                                                  \
	"ZWFiY2RiNDEtZDg5Zi00NTgwLTgyNmYtM2U2MmU5NzU1ZWYyOnBiQVhWamxJT0UwMXhidXQ3WW5BYmtoTVFJa2N3b0hPMGVrMm" \
	"o0UTA"

static void basic_is_decoded_padded_or_not(void **state)
{
	(void)state;
	static const char *const good[] = {"Basic " B64, "Basic " B64 "=", "basic  " B64 "="};
	static const char *const bad[] = {"", "Basic", "Basic ", "Basic =", "Basic Og==", "Basic " B64 "*",
		"Bearer " B64, "Basic " B64 "AAAA", "Basic " B64 B64 B64, "Basic ZWFiY2RiNDE="};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct ipc_request q = {0};
		assert_int_equal(credentials_set_basic(&q, good[i]), OK);
		assert_string_equal(q.key_id, USER);
		assert_string_equal(q.secret, KEY);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ipc_request q = {0};
		assert_int_equal(credentials_set_basic(&q, bad[i]), ERR_FORBIDDEN);
	}
}

static int parse(const char *text)
{
	json_t *value;
	size_t len = strlen(text);
	char *exact = malloc(len + 1); /* without a NUL behind it */
	assert_non_null(exact);
	memcpy(exact, text, len);
	int r = body_parse(exact, len, &value);
	json_decref(value);
	free(exact);
	return r;
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"), OK);
	assert_int_equal(parse("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"), ERR_INVALID);
	assert_int_equal(parse("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]"), OK);
	assert_int_equal(parse("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[\"}"), OK);
	assert_int_equal(parse("{\"a\":\"\\"), ERR_INVALID);
}

static void keys_equal_without_case_are_refused(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"a\":1,\"b\":2}"), OK);
	assert_int_equal(parse("{\"a\":1,\"a\":1}"), ERR_INVALID);
	assert_int_equal(parse("{\"a\":1,\"A\":1}"), ERR_INVALID);
	assert_int_equal(parse("{\"a\":1,\"\\u0041\":1}"), ERR_INVALID);
}

/* The scan for keys equal without case is quadratic, so their number is bounded. */
static void too_many_keys_are_refused(void **state)
{
	(void)state;
	char text[4096] = "{\"k\":1";
	for (int i = 0; i < 63; i++) {
		char member[16];
		snprintf(member, sizeof member, ",\"k%d\":1", i);
		strcat(text, member);
	}
	size_t len = strlen(text);
	strcat(text, "}");
	assert_int_equal(parse(text), OK);
	strcpy(text + len, ",\"l\":1}");
	assert_int_equal(parse(text), ERR_INVALID);
}

static void a_final_dot_may_make_a_name_one_longer(void **state)
{
	(void)state;
	char body[600], name[IPC_NAME_MAX + 3];
	struct ipc_request q = {0};
	char *text;
	memset(name, 'a', IPC_NAME_MAX);
	strcpy(name + IPC_NAME_MAX, ".");
	snprintf(body, sizeof body, "{\"fqdn\":\"%s\",\"value\":\"v\"}", name);
	assert_int_equal(httpreq_read(body, strlen(body), &q, &text), OK);
	assert_string_equal(text, body);
	free(text);
	strcpy(name + IPC_NAME_MAX, "a");
	snprintf(body, sizeof body, "{\"fqdn\":\"%s\",\"value\":\"v\"}", name);
	assert_int_equal(httpreq_read(body, strlen(body), &q, &text), ERR_INVALID);
	assert_null(text);
}

/* RFC 8555 section 8.4: base64url(SHA-256(key authorization)). */
static void raw_mode_computes_the_digest(void **state)
{
	(void)state;
	const char body[] =
		"{\"domain\":\"example.com\",\"token\":\"token\",\"keyAuth\":\"token.thumbprint\"}";
	struct ipc_request q = {0};
	char *text;
	assert_int_equal(httpreq_read(body, sizeof body - 1, &q, &text), OK);
	assert_string_equal(q.name, "");
	assert_string_equal(q.value, "61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling_of_a_user_is_the_same),
		cmocka_unit_test(what_is_no_uuid_is_no_user),
		cmocka_unit_test(basic_is_decoded_padded_or_not),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(keys_equal_without_case_are_refused),
		cmocka_unit_test(too_many_keys_are_refused),
		cmocka_unit_test(a_final_dot_may_make_a_name_one_longer),
		cmocka_unit_test(raw_mode_computes_the_digest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
