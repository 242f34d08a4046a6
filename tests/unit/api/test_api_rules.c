// SPDX-License-Identifier: GPL-3.0-or-later
/* The rules for acme-dns compatible servers that concern HTTP; each has broken a real client somewhere. */
#include "api/fakekeeper.h"

#include <regex.h>

/* goacmedns 0.1.1 has structs without tags: AllowFrom, SubDomain, Txt. */
static void rule_01_keys_match_in_any_case(void **state)
{
	expect(*state, "update", POST("/update") KEYS, "{\"SUBDOMAIN\":\"" LABEL "\",\"tXT\":\"" TXT "\"}",
		200, UPDATED);
	expect(*state, "register", POST("/register"), "{\"ALLOWFROM\":[\"::/0\"]}", 201,
		REGISTERED("[\"::/0\"]", ""));
}

static void rule_02_register_takes_every_empty_body(void **state)
{
	static const char *const bodies[] = {NULL, "", "null", "null\n", "{}", " {} \n",
		"{\"allowfrom\":null}", "{\"allowfrom\":[]}",
		"{\"subdomain\":\"mine\",\"other\":{\"x\":[1]}}"};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		expect(*state, bodies[i] ? bodies[i] : "no body", POST("/register"), bodies[i], 201,
			REGISTERED("[]", ""));
}

static void rule_03_no_content_length_is_an_empty_body(void **state)
{
	expect(*state, "register", POST("/register"), NULL, 201, REGISTERED("[]", ""));
	expect(*state, "HTTP/1.0", "POST /register HTTP/1.0\r\n", NULL, 201, REGISTERED("[]", ""));
}

static void rule_04_content_type_is_not_looked_at(void **state)
{
	expect(*state, "none", POST("/update") KEYS, UPDATE_BODY, 200, UPDATED);
	expect(*state, "form", POST("/update") KEYS "Content-Type: application/x-www-form-urlencoded\r\n",
		UPDATE_BODY, 200, UPDATED);
	expect(*state, "text", POST("/update") KEYS "Content-Type: text/plain; charset=utf-8\r\n",
		UPDATE_BODY, 200, UPDATED);
	expect(*state, "image", POST("/update") KEYS "Content-Type: image/png\r\n", UPDATE_BODY, 200,
		UPDATED);
}

static void rule_05_statuses_are_exact(void **state)
{
	struct answer a;
	fakekeeper_ask(*state, POST("/register"), NULL, &a);
	assert_memory_equal(a.head, "HTTP/1.1 201 Created\r\n", 22);
	assert_non_null(strstr(a.head, "\r\nContent-Type: application/json\r\n"));
	fakekeeper_ask(*state, POST("/update") KEYS, UPDATE_BODY, &a);
	assert_memory_equal(a.head, "HTTP/1.1 200 OK\r\n", 17);
	assert_non_null(strstr(a.head, "\r\nContent-Type: application/json\r\n"));
}

static void rule_06_repeated_slashes_are_one(void **state)
{
	expect(*state, "two", POST("//update") KEYS, UPDATE_BODY, 200, UPDATED);
	expect(*state, "many", POST("/////update///") KEYS, UPDATE_BODY, 200, UPDATED);
	expect(*state, "final", POST("/register/"), NULL, 201, REGISTERED("[]", ""));
	expect(*state, "in a prefix", POST("/api//v1/acme-dns-compat//register"), NULL, 201,
		REGISTERED("[]", "/api/v1/acme-dns-compat"));
}

static void rule_07_every_base_path_serves_the_api(void **state)
{
	expect(*state, "root", POST("/update") KEYS, UPDATE_BODY, 200, UPDATED);
	expect(*state, "getlocalcert's", POST("/api/v1/acme-dns-compat/update") KEYS, UPDATE_BODY, 200,
		UPDATED);
	expect(*state, "x/y", POST("/x/y/update?query=ignored") KEYS, UPDATE_BODY, 200, UPDATED);
	expect(*state, "not configured", POST("/x/update") KEYS, UPDATE_BODY, 404, JSON_ERROR("not_found"));
	expect(*state, "prefix of a base", POST("/x/yy/update") KEYS, UPDATE_BODY, 404,
		JSON_ERROR("not_found"));
	expect(*state, "paths are case-sensitive", POST("/Update") KEYS, UPDATE_BODY, 404,
		JSON_ERROR("not_found"));
}

/* acme.sh: sed -n 's/^{.*\"username\":[ ]*\"\([^\"]*\)\".*}/\1/p' */
static void expect_sed_finds(const char *line, const char *key, const char *value)
{
	char pattern[128];
	regex_t re;
	regmatch_t m[2];
	snprintf(pattern, sizeof pattern, "^{.*\"%s\":[ ]*\"\\([^\"]*\\)\".*}", key);
	assert_int_equal(regcomp(&re, pattern, 0), 0);
	assert_int_equal(regexec(&re, line, 2, m, 0), 0);
	assert_int_equal(m[1].rm_eo - m[1].rm_so, strlen(value));
	assert_memory_equal(line + m[1].rm_so, value, strlen(value));
	regfree(&re);
}

static void rule_08_register_answers_one_flat_line(void **state)
{
	struct answer a;
	fakekeeper_ask(*state, POST("/register"), "{\"allowfrom\":[\"192.0.2.0/24\"]}", &a);
	assert_null(strchr(a.body, '\n'));
	assert_null(strchr(a.body, ' '));
	assert_int_equal(a.body[0], '{');
	assert_int_equal(a.body[strlen(a.body) - 1], '}');
	assert_null(strchr(a.body + 1, '{'));
	expect_sed_finds(a.body, "username", USER);
	expect_sed_finds(a.body, "password", KEY);
	expect_sed_finds(a.body, "fulldomain", LABEL "." ZONE);
	expect_sed_finds(a.body, "subdomain", LABEL);
	expect_sed_finds(a.body, "server_url", URL);
}

/* acme.sh and the dehydrated hook: grep "\"$txtvalue\""; getssl: no "error". */
static void rule_09_update_answers_the_value_in_quotes(void **state)
{
	struct answer a;
	fakekeeper_ask(*state, POST("/update") KEYS, UPDATE_BODY, &a);
	assert_non_null(strstr(a.body, "\"" TXT "\""));
	assert_null(strstr(a.body, "\"error\""));
}

/* Whatever goes wrong: JSON with the key "error", never the value. */
static void rule_10_errors_are_json_without_the_value(void **state)
{
	static const struct {
		const char *head, *body;
	} bad[] = {
		{POST("/update"), UPDATE_BODY},
		{POST("/update") KEYS, "{\"txt\":\"" TXT "\"}"},
		{POST("/update") KEYS, "\"" TXT "\""},
		{POST("/update") KEYS, "{\"subdomain\":\"" LABEL "\",\"txt\":\"" TXT "x\"}"},
		{POST("/update") "X-Api-User: \"" TXT "\"\r\n", UPDATE_BODY},
		{POST("/nothing/\"" TXT "\""), UPDATE_BODY},
		{POST("/nothing"), UPDATE_BODY},
		{"PUT /update HTTP/1.1\r\nHost: a\r\n" KEYS, UPDATE_BODY},
		{POST("/present") KEYS, "{\"fqdn\":\"x." ZONE "\",\"value\":\"" TXT "\"}"},
		{POST("/register"), "{\"allowfrom\":[\"" TXT "\"]}"},
		{POST("/register") "Transfer-Encoding: x\r\n", UPDATE_BODY},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct answer a;
		fakekeeper_ask(*state, bad[i].head, bad[i].body, &a);
		assert_true(a.status >= 400 && a.status <= 501);
		assert_memory_equal(a.body, "{\"error\": \"", 11);
		assert_non_null(strstr(a.head, "\r\nContent-Type: application/json\r\n"));
		assert_null(strstr(a.body, TXT));
	}
}

/* win-acme: Basic of empty user info; Certify: url-safe without padding; Posh-ACME: real ones, for a proxy in
 * front. */
static void rule_11_junk_authorization_is_ignored(void **state)
{
	static const char *const fields[] = {
		"Basic Og==", "Basic", "Basic dXNlcjpwYXNz", "Bearer x", "Basic ****", ""};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		char head[512];
		snprintf(head, sizeof head, POST("/update") KEYS "Authorization: %s\r\n", fields[i]);
		expect(*state, fields[i], head, UPDATE_BODY, 200, UPDATED);
		snprintf(head, sizeof head, POST("/register") "Authorization: %s\r\n", fields[i]);
		expect(*state, fields[i], head, NULL, 201, REGISTERED("[]", ""));
	}
}

/* Clients without propagation wait rely on it: no 200 before the keeper has said that the value is visible.
 */
static void rule_14_nothing_is_said_before_the_keeper_has(void **state)
{
	static struct testclient c;
	struct fakekeeper *k = *state;
	struct answer a;
	update_without_reply(k, &c);
	testserver_turns(&k->http, 3);
	testclient_receive(&c);
	assert_int_equal(c.len, 0);
	assert_false(c.closed);
	fakekeeper_answer(k, &k->kept);
	assert_true(testclient_answer(&c, &a));
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, UPDATED);
	testclient_close(&c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fakekeeper_start, fakekeeper_stop)
	const struct CMUnitTest tests[] = {
		TEST(rule_01_keys_match_in_any_case),
		TEST(rule_02_register_takes_every_empty_body),
		TEST(rule_03_no_content_length_is_an_empty_body),
		TEST(rule_04_content_type_is_not_looked_at),
		TEST(rule_05_statuses_are_exact),
		TEST(rule_06_repeated_slashes_are_one),
		TEST(rule_07_every_base_path_serves_the_api),
		TEST(rule_08_register_answers_one_flat_line),
		TEST(rule_09_update_answers_the_value_in_quotes),
		TEST(rule_10_errors_are_json_without_the_value),
		TEST(rule_11_junk_authorization_is_ignored),
		TEST(rule_14_nothing_is_said_before_the_keeper_has),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
