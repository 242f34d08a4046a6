// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/fakekeeper.h"

#define FORBIDDEN JSON_ERROR("forbidden")
#define MALFORMED JSON_ERROR("malformed_json_payload")
#define BAD_CIDR  JSON_ERROR("invalid_allowfrom_cidr")
#define FQDN_BODY "{\"fqdn\":\"" LABEL "." ZONE ".\",\"value\":\"" TXT "\"}"

/* acme-dns answers 401 to everything that keeps it from knowing who may do what. */
static void whatever_is_wrong_with_who_asks_is_401(void **state)
{
	static const char *const heads[] = {
		"", "X-Api-User: " USER "\r\n", "X-Api-Key: " KEY "\r\n",
		"X-Api-User: " USER "\r\nX-Api-Key:\r\n", "X-Api-User: " USER "\r\nX-Api-Key: " KEY "x\r\n",
		"X-Api-User: " USER "\r\nX-Api-Key: pbAXVjlIOE01xbut7YnAbkhMQIkcwoHO0ek2j4Q\r\n",
		"X-Api-User: " USER "\r\nX-Api-Key: pbAXVjlIOE01xbut7YnAbkhMQIkcwoHO0ek2j4Q+\r\n",
		"X-Api-User: " USER "\r\nX-Api-Key: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
		"X-Api-User: me\r\nX-Api-Key: " KEY "\r\n",
		"X-Api-User: 00000000-0000-0000-0000-000000000000\r\nX-Api-Key: " KEY "\r\n",
		KEYS "X-Api-Key: " KEY "\r\n", /* twice: which one would count? */
		KEYS "X-Api-User: " USER "\r\n",
		"Authorization: Basic "
		"ZWFiY2RiNDEtZDg5Zi00NTgwLTgyNmYtM2U2MmU5NzU1ZWYyOnBiQVhWamxJT0UwMXhidXQ3WW5BYmtoTVFJ"
		"a2N3b0hPMGVrMmo0UTA=\r\n", /* Basic is for /present only */
	};
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		char head[512];
		snprintf(head, sizeof head, POST("/update") "%s", heads[i]);
		expect(*state, heads[i], head, UPDATE_BODY, 401, FORBIDDEN);
	}
}

static void a_body_that_is_no_update_is_401(void **state)
{
	static const char *const bodies[] = {
		NULL,
		"",
		"{",
		"null",
		"[]",
		"7",
		"{}",
		"not json",
		UPDATE_BODY "x",
		"\xff",
		"{\"subdomain\":\"" LABEL "\"",
		"{\"txt\":\"" TXT "\"}",
		"{\"subdomain\":null,\"txt\":\"" TXT "\"}",
		"{\"subdomain\":[\"" LABEL "\"],\"txt\":\"" TXT "\"}",
		"{\"subdomain\":\"" LABEL "\",\"txt\":1}",
		"{\"subdomain\":\"d420c923-bbd7-4056-ab64-c3ca54c9b3ce\",\"txt\":\"" TXT "\"}",
		"{\"subdomain\":\"D420C923-BBD7-4056-AB64-C3CA54C9B3CF\",\"txt\":\"" TXT "\"}",
		"{\"subdomain\":\"" LABEL "\",\"txt\":\"" TXT "\",\"txt\":\"" TXT "\"}",
		"{\"subdomain\":\"" LABEL "\",\"txt\":\"" TXT "\",\"Txt\":\"" TXT "\"}",
		"{\"subdomain\":\"x\",\"SubDomain\":\"" LABEL "\",\"txt\":\"" TXT "\"}",
		"{\"subdomain\":\"" LABEL "\\u0000\",\"txt\":\"" TXT "\"}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		"[[[[[",
	};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		expect(*state, bodies[i] ? bodies[i] : "none", POST("/update") KEYS, bodies[i], 401,
			FORBIDDEN);
}

static void a_value_of_another_form_is_bad_txt(void **state)
{
	static const char *const values[] = {"", "x", TXT "x", "LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmto.",
		"LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmto=", "LHDhK3oGRvkiefQnx7OOczTY5Tic xZ6HcMOc_gmtoM",
		"0123456789012345678901234567890123456789012345678901234567890123456789"};
	struct fakekeeper *k = *state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		char body[512];
		snprintf(body, sizeof body, "{\"subdomain\":\"" LABEL "\",\"txt\":\"%s\"}", values[i]);
		expect(k, values[i], POST("/update") KEYS, body, 400, JSON_ERROR("bad_txt"));
		expect(k, values[i],
			POST("/update") "X-Api-User: " USER
					"\r\nX-Api-Key: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
			body, 401, FORBIDDEN); /* the key comes first */
		snprintf(body, sizeof body, "{\"fqdn\":\"" LABEL "." ZONE "\",\"value\":\"%s\"}", values[i]);
		expect(k, values[i], POST("/present") KEYS, body, 400, JSON_ERROR("bad_txt"));
	}
	expect(k, "missing", POST("/update") KEYS, "{\"subdomain\":\"" LABEL "\"}", 400,
		JSON_ERROR("bad_txt"));
	expect(k, "null", POST("/update") KEYS, "{\"subdomain\":\"" LABEL "\",\"txt\":null}", 400,
		JSON_ERROR("bad_txt"));
}

static void register_refuses_what_it_cannot_read(void **state)
{
	static const char *const malformed[] = {" ", "{", "[]", "7", "\"x\"", "true", "{}x", "nul",
		"{\"allowfrom\":\"10.0.0.0/8\"}", "{\"allowfrom\":{}}", "{\"allowfrom\":[7]}",
		"{\"allowfrom\":[null]}", "{\"allowfrom\":[],\"AllowFrom\":[\"::/0\"]}"};
	static const char *const cidrs[] = {"", " ", "10.0.0.1", "::1", "10.0.0.0/33", "10.0.0.0/-1",
		"::/129", "10.0.0/8", "x/8", "10.0.0.0/8,10.0.0.0/8", "10.0.0.0/ 8", "10.0.0.0/"};
	struct fakekeeper *k = *state;
	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
		expect(k, malformed[i], POST("/register"), malformed[i], 400, MALFORMED);
	for (size_t i = 0; i < sizeof cidrs / sizeof *cidrs; i++) {
		char body[128];
		snprintf(body, sizeof body, "{\"allowfrom\":[\"192.0.2.0/24\",\"%s\"]}", cidrs[i]);
		expect(k, body, POST("/register"), body, 400, BAD_CIDR);
	}
	assert_int_equal(k->asked, 0);
}

static void an_allow_list_may_be_long_but_not_longer(void **state)
{
	char body[1024] = "{\"allowfrom\":[\"::/0\"";
	struct answer a;
	for (int i = 1; i < IPC_ALLOW_MAX; i++)
		strcat(body, ",\"::/0\"");
	size_t len = strlen(body);
	strcat(body, "]}");
	fakekeeper_ask(*state, POST("/register"), body, &a);
	assert_int_equal(a.status, 201);
	strcpy(body + len, ",\"::/0\"]}");
	expect(*state, "one more", POST("/register"), body, 400, BAD_CIDR);
}

/* What the keeper says, and what becomes of it. */
static void every_status_of_the_keeper_has_its_answer(void **state)
{
	struct fakekeeper *k = *state;
	struct answer a;
	k->forced = IPC_FAILED;
	expect(k, "update", POST("/update") KEYS, UPDATE_BODY, 500, JSON_ERROR("db_error"));
	expect(k, "register", POST("/register"), NULL, 500, JSON_ERROR("db_error"));
	expect(k, "present", POST("/present") KEYS, FQDN_BODY, 500, JSON_ERROR("db_error"));
	expect(k, "health", "GET /health HTTP/1.1\r\nHost: a\r\n", NULL, 503,
		JSON_ERROR("store_unavailable"));
	k->forced = IPC_CLOSED;
	expect(k, "closed", POST("/register"), NULL, 404, JSON_ERROR("registration_closed"));
	k->forced = IPC_LIMITED;
	fakekeeper_ask(k, POST("/register"), NULL, &a);
	assert_int_equal(a.status, 429);
	assert_string_equal(a.body, JSON_ERROR("rate_limited"));
	assert_non_null(strstr(a.head, "\r\nRetry-After: 77\r\n"));
	k->forced = IPC_FORBIDDEN;
	expect(k, "forbidden", POST("/update") KEYS, UPDATE_BODY, 401, FORBIDDEN);
	k->forced = IPC_FOREIGN;
	expect(k, "foreign", POST("/present") KEYS, FQDN_BODY, 403, JSON_ERROR("foreign_name"));
}

/* The keeper died over it: nobody knows the outcome, so it must not look like success. */
static void no_answer_is_a_failed_store(void **state)
{
	static struct testclient c;
	struct fakekeeper *k = *state;
	struct answer a;
	update_without_reply(k, &c);
	assert_int_equal(ipc_client_run(k->client, clock_mono_ms() + 3600 * 1000), OK);
	assert_true(testclient_answer(&c, &a));
	assert_int_equal(a.status, 500);
	assert_string_equal(a.body, JSON_ERROR("db_error"));
	testclient_close(&c);
}

static void health_is_empty_and_without_type(void **state)
{
	struct answer a;
	fakekeeper_ask(*state, "GET /health HTTP/1.1\r\nHost: a\r\n", NULL, &a);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "");
	assert_null(strstr(a.head, "\r\nContent-Type"));
	assert_non_null(strstr(a.head, "\r\nContent-Length: 0\r\n"));
	fakekeeper_ask(*state, "HEAD /x/y/health HTTP/1.1\r\nHost: a\r\n", NULL, &a);
	assert_int_equal(a.status, 200);
}

static void other_methods_are_405_with_allow(void **state)
{
	static const struct {
		const char *head, *allow;
	} cases[] = {
		{"GET /register HTTP/1.1\r\nHost: a\r\n", "\r\nAllow: POST\r\n"},
		{"HEAD /x/y/update HTTP/1.1\r\nHost: a\r\n", "\r\nAllow: POST\r\n"},
		{"POSTS /update HTTP/1.1\r\nHost: a\r\n", "\r\nAllow: POST\r\n"},
		{"P /update HTTP/1.1\r\nHost: a\r\n", "\r\nAllow: POST\r\n"},
		{"PUT /present HTTP/1.1\r\nHost: a\r\n", "\r\nAllow: POST\r\n"},
		{"DELETE /cleanup HTTP/1.1\r\nHost: a\r\n", "\r\nAllow: POST\r\n"},
		{"OPTIONS /health HTTP/1.1\r\nHost: a\r\n", "\r\nAllow: GET, HEAD\r\n"},
		{"POST /health HTTP/1.1\r\nHost: a\r\n", "\r\nAllow: GET, HEAD\r\n"},
		{"TRACE /health HTTP/1.1\r\nHost: a\r\n", "\r\nAllow: GET, HEAD\r\n"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fakekeeper *k = *state;
		static struct testclient c;
		/* Read by hand: the answer to HEAD has no body. */
		testclient_open(&c, &k->http);
		testclient_send(&c, cases[i].head);
		testclient_send(&c, "Connection: close\r\n\r\n");
		for (unsigned n = 0; n < TURNS_BEFORE_GIVING_UP && !c.closed; n++) {
			testserver_turn(&k->http, c.fd, POLLIN);
			testclient_receive(&c);
		}
		assert_memory_equal(c.buf, "HTTP/1.1 405 ", 13);
		assert_non_null(strstr(c.buf, cases[i].allow));
		testclient_close(&c);
	}
}

static void unknown_paths_are_404(void **state)
{
	static const char *const paths[] = {"/", "//", "/registers", "/register/x", "/x/y", "/health.",
		"/v2/update", "/x/y/x/y/update", "/updat", "/api/v1/acme-dns-compat"};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		char head[128];
		snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: a\r\n", paths[i]);
		expect(*state, paths[i], head, NULL, 404, JSON_ERROR("not_found"));
	}
}

static void a_very_long_path_is_404(void **state)
{
	char head[4000];
	int n = snprintf(head, sizeof head, "POST /");
	memset(head + n, 'a', 3000);
	strcpy(head + n + 3000, "/update HTTP/1.1\r\nHost: a\r\n");
	expect(*state, "long", head, NULL, 404, JSON_ERROR("not_found"));
}

/* A key that travels in clear is a key for everybody on the way. */
static void keys_need_https(void **state)
{
	struct fakekeeper *k = *state;
	k->pretend_insecure = true;
	expect(k, "update", POST("/update") KEYS, UPDATE_BODY, 403, JSON_ERROR("https_required"));
	expect(k, "register", POST("/register"), NULL, 403, JSON_ERROR("https_required"));
	expect(k, "present", POST("/present") KEYS, FQDN_BODY, 403, JSON_ERROR("https_required"));
	expect(k, "cleanup", POST("/cleanup") KEYS, FQDN_BODY, 403, JSON_ERROR("https_required"));
	assert_int_equal(k->asked, 0);
	expect(k, "health", "GET /health HTTP/1.1\r\nHost: a\r\n", NULL, 200, "");
}

static void present_refuses_what_it_cannot_read(void **state)
{
	static const char *const malformed[] = {NULL, "", "null", "[]", "{}",
		"{\"fqdn\":\"\",\"value\":\"" TXT "\"}", "{\"fqdn\":7,\"value\":\"" TXT "\"}",
		"{\"fqdn\":\"a.\",\"value\":7}", "{\"value\":\"" TXT "\"}",
		"{\"fqdn\":\"a.\",\"FQDN\":\"b.\",\"value\":\"" TXT "\"}", "{\"domain\":\"a\"}",
		"{\"domain\":\"a\",\"token\":\"b\",\"keyAuth\":\"\"}",
		"{\"domain\":\"a\",\"token\":7,\"keyAuth\":\"b\"}"};
	struct fakekeeper *k = *state;
	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
		expect(k, malformed[i] ? malformed[i] : "none", POST("/present") KEYS, malformed[i], 400,
			MALFORMED);
	expect(k, "no key", POST("/present"), FQDN_BODY, 401, FORBIDDEN);
	expect(k, "junk", POST("/cleanup") "Authorization: Basic Og==\r\n", FQDN_BODY, 401, FORBIDDEN);
	assert_int_equal(k->asked, 0);
	expect(k, "another delegate", POST("/present") KEYS,
		"{\"fqdn\":\"other." ZONE ".\",\"value\":\"" TXT "\"}", 403, JSON_ERROR("foreign_name"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fakekeeper_start, fakekeeper_stop)
	const struct CMUnitTest tests[] = {
		TEST(whatever_is_wrong_with_who_asks_is_401),
		TEST(a_body_that_is_no_update_is_401),
		TEST(a_value_of_another_form_is_bad_txt),
		TEST(register_refuses_what_it_cannot_read),
		TEST(an_allow_list_may_be_long_but_not_longer),
		TEST(every_status_of_the_keeper_has_its_answer),
		TEST(no_answer_is_a_failed_store),
		TEST(health_is_empty_and_without_type),
		TEST(other_methods_are_405_with_allow),
		TEST(unknown_paths_are_404),
		TEST(a_very_long_path_is_404),
		TEST(keys_need_https),
		TEST(present_refuses_what_it_cannot_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
