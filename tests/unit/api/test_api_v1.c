// SPDX-License-Identifier: GPL-3.0-or-later
/* /v1/: what each operation asks of the keeper, and what becomes of the reply. */
#include "api/fakekeeper.h"

#include <jansson.h>

#include "api/internal.h"

#define HOST      " HTTP/1.1\r\nHost: auth.example.org\r\n"
#define BEARER    "Authorization: Bearer " OPERATOR_TOKEN "\r\n"
#define OTHER_KEY "11111111-2222-4333-8444-555555555555"
#define NAME      LABEL "." ZONE
#define BASIC_OF_KEY                                                                                         \
	"Authorization: Basic ZWFiY2RiNDEtZDg5Zi00NTgwLTgyNmYtM2U2MmU5NzU1ZWYyOnBiQVhWamxJT0UwMXhidXQ3WW5B"  \
	"YmtoTVFJa2N3b0hPMGVrMmo0UTA=\r\n"

static json_t *parse(const char *what, const char *text)
{
	json_error_t error;
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!o)
		fail_msg("%s: no JSON: %s", what, text);
	return o;
}

static void ask_for(struct fakekeeper *k, const char *method, const char *path, const char *fields,
	const char *body, struct answer *a)
{
	char head[1024];
	snprintf(head, sizeof head, "%s %s" HOST "%s", method, path, fields);
	k->asked = 0;
	fakekeeper_ask(k, head, body, a);
}

/* The error of /v1/: a code, and one sentence. */
static void expect_error(struct fakekeeper *k, const char *method, const char *path, const char *fields,
	const char *body, int status, const char *code)
{
	struct answer a;
	ask_for(k, method, path, fields, body, &a);
	json_t *o = parse(path, a.body);
	if (a.status != status || strcmp(json_string_value(json_object_get(o, "error")), code) != 0)
		fail_msg("%s %s: %d %s instead of %d %s", method, path, a.status, a.body, status, code);
	const char *detail = json_string_value(json_object_get(o, "detail"));
	assert_non_null(detail);
	assert_int_equal(detail[strlen(detail) - 1], '.');
	json_decref(o);
}

static const struct operation {
	const char *method, *path, *body;
	enum ipc_type type;
	int status;
} by_key[] = {
	{"GET", "/v1/check", NULL, IPC_DELEGATE_SHOW, 200},
	{"GET", "/v1/delegate", NULL, IPC_DELEGATE_SHOW, 200},
	{"DELETE", "/v1/delegate", NULL, IPC_DELEGATE_REMOVE, 200},
	{"PUT", "/v1/delegate/allowfrom", "{\"allowfrom\":[]}", IPC_ALLOW_SET, 200},
	{"PUT", "/v1/delegate/aliases", "{\"aliases\":[]}", IPC_ALIASES_SET, 200},
	{"GET", "/v1/values", NULL, IPC_DELEGATE_SHOW, 200},
	{"POST", "/v1/values", "{\"value\":\"" TXT "\"}", IPC_PRESENT, 200},
	{"POST", "/v1/values", "{\"txt\":\"" TXT "\"}", IPC_PRESENT, 200},
	{"DELETE", "/v1/values", NULL, IPC_VALUES_CLEAR, 200},
	{"DELETE", "/v1/values/" TXT, NULL, IPC_CLEANUP, 200},
	{"GET", "/v1/keys", NULL, IPC_DELEGATE_SHOW, 200},
	{"POST", "/v1/keys", NULL, IPC_KEY_ADD, 201},
	{"POST", "/v1/keys/" OTHER_KEY "/rotate", NULL, IPC_KEY_ROTATE, 201},
	{"DELETE", "/v1/keys/" OTHER_KEY, NULL, IPC_KEY_REVOKE, 200},
	{"GET", "/v1/credentials", NULL, IPC_DELEGATE_SHOW, 200},
	{"GET", "/v1/storage", NULL, IPC_DELEGATE_SHOW, 200},
	{"GET", "/v1/storage/example.com", NULL, IPC_DELEGATE_SHOW, 200},
	{"POST", "/v1/storage/example.com", "{\"subdomain\":\"" LABEL "\"}", IPC_DELEGATE_SHOW, 200},
};

static const struct operation by_operator[] = {
	{"GET", "/v1/admin/status", NULL, IPC_STATUS, 200},
	{"GET", "/v1/admin/delegates", NULL, IPC_DELEGATE_LIST, 200},
	{"POST", "/v1/admin/delegates", "{\"label\":\"a\",\"zone\":\"z.example\"}", IPC_DELEGATE_ADD, 201},
	{"GET", "/v1/admin/delegates/" NAME, NULL, IPC_DELEGATE_SHOW, 200},
	{"DELETE", "/v1/admin/delegates/" NAME, NULL, IPC_DELEGATE_REMOVE, 200},
	{"PUT", "/v1/admin/delegates/" NAME "/allowfrom", "{\"allowfrom\":[\"::/0\"]}", IPC_ALLOW_SET, 200},
	{"PUT", "/v1/admin/delegates/" NAME "/aliases", "{\"aliases\":[\"A.example\"]}", IPC_ALIASES_SET,
		200},
	{"DELETE", "/v1/admin/delegates/" NAME "/values", NULL, IPC_VALUES_CLEAR, 200},
	{"POST", "/v1/admin/delegates/" NAME "/keys", NULL, IPC_KEY_ADD, 201},
	{"POST", "/v1/admin/delegates/" NAME "/keys/" OTHER_KEY "/rotate", NULL, IPC_KEY_ROTATE, 201},
	{"DELETE", "/v1/admin/delegates/" NAME "/keys/" OTHER_KEY, NULL, IPC_KEY_REVOKE, 200},
	{"GET", "/v1/admin/tokens", NULL, IPC_TOKEN_LIST, 200},
	{"POST", "/v1/admin/tokens", "{\"note\":\"n\",\"quota\":3}", IPC_TOKEN_ADD, 201},
	{"DELETE", "/v1/admin/tokens/0123456789ab", NULL, IPC_TOKEN_REVOKE, 200},
	{"GET", "/v1/admin/events?after=4&newest=1", NULL, IPC_EVENTS, 200},
};

static void try_operation(
	struct fakekeeper *k, const struct operation *o, const char *base, const char *fields, enum ipc_by by)
{
	struct answer a;
	char path[256];
	snprintf(path, sizeof path, "%s%s", base, o->path);
	ask_for(k, o->method, path, fields, o->body, &a);
	if (a.status != o->status || k->asked != 1 || k->last.type != o->type || k->last.by != by)
		fail_msg("%s %s: %d %s, asked %u for %d", o->method, path, a.status, a.body, k->asked,
			k->last.type);
	json_decref(parse(path, a.body));
	if (o->type != IPC_DELEGATE_ADD && strstr(path, "/admin/delegates/"))
		assert_string_equal(k->last.name, NAME);
	else if (by == IPC_BY_KEY)
		assert_string_equal(k->last.name, ""); /* the key says which */
}

static void every_operation_asks_for_its_own(void **state)
{
	for (size_t i = 0; i < sizeof by_key / sizeof *by_key; i++) {
		try_operation(*state, &by_key[i], "", KEYS, IPC_BY_KEY);
		try_operation(*state, &by_key[i], "/x/y", BASIC_OF_KEY, IPC_BY_KEY);
	}
	for (size_t i = 0; i < sizeof by_operator / sizeof *by_operator; i++) {
		try_operation(*state, &by_operator[i], "", BEARER, IPC_BY_OPERATOR);
		try_operation(*state, &by_operator[i], "/x/y", BEARER, IPC_BY_OPERATOR);
	}
}

/* Nobody, the wrong one, and the other kind of right; without HTTPS, nobody at all. */
static void nothing_without_the_right(void **state)
{
	static const char *const none[] = {"", "X-Api-User: " USER "\r\n", "Authorization: Basic Og==\r\n",
		"X-Api-User: " USER "\r\nX-Api-Key: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"};
	struct fakekeeper *k = *state;
	for (size_t i = 0; i < sizeof by_key / sizeof *by_key; i++) {
		const struct operation *o = &by_key[i];
		for (size_t n = 0; n < sizeof none / sizeof *none; n++)
			expect_error(k, o->method, o->path, none[n], o->body, 401, "forbidden");
		expect_error(k, o->method, o->path, BEARER, o->body, 401, "forbidden");
		k->pretend_insecure = true;
		expect_error(k, o->method, o->path, KEYS, o->body, 403, "https_required");
		assert_int_equal(k->asked, 0);
		k->pretend_insecure = false;
	}
	for (size_t i = 0; i < sizeof by_operator / sizeof *by_operator; i++) {
		const struct operation *o = &by_operator[i];
		expect_error(k, o->method, o->path, "", o->body, 401, "forbidden");
		expect_error(k, o->method, o->path, KEYS, o->body, 401, "forbidden");
		expect_error(k, o->method, o->path, "Authorization: Bearer x\r\n", o->body, 401, "forbidden");
		k->pretend_insecure = true;
		expect_error(k, o->method, o->path, BEARER, o->body, 403, "https_required");
		k->pretend_insecure = false;
	}
}

/* RFC 9110 section 11.6.1 and RFC 6750 section 3; on acme-dns's own paths none, as ever. */
static void a_401_names_its_scheme(void **state)
{
	struct answer a;
	ask_for(*state, "GET", "/v1/check", "", NULL, &a);
	assert_non_null(
		strstr(a.head, "\r\nWWW-Authenticate: Basic realm=\"acme-delegate\", charset=\"UTF-8\"\r\n"));
	ask_for(*state, "GET", "/v1/admin/status", "", NULL, &a);
	assert_non_null(strstr(a.head, "\r\nWWW-Authenticate: Bearer realm=\"acme-delegate\"\r\n"));
	ask_for(*state, "POST", "/update", "", UPDATE_BODY, &a);
	assert_null(strstr(a.head, "WWW-Authenticate"));
}

static void every_status_has_its_code(void **state)
{
	struct fakekeeper *k = *state;
	struct answer a;
	for (int s = IPC_FORBIDDEN; s < IPC_STATUSES; s++) {
		const struct refusal *f = refusal_of(MANNER_KEY, (enum ipc_status)s);
		k->forced = (enum ipc_status)s;
		expect_error(k, "POST", "/v1/keys", KEYS, NULL, (int)f->status, f->code);
		ask_for(k, "POST", "/v1/keys", KEYS, NULL, &a);
		assert_int_equal(
			strstr(a.head, "\r\nRetry-After: 77\r\n") != NULL, s == IPC_LIMITED || s == IPC_BUSY);
	}
}

static void what_is_not_there_says_so(void **state)
{
	struct answer a;
	expect_error(*state, "GET", "/v1/nothing", KEYS, NULL, 404, "not_found");
	expect_error(*state, "GET", "/x/y/v1/keys/a/b", KEYS, NULL, 404, "not_found");
	expect_error(*state, "GET", "/v1/values/a/b", KEYS, NULL, 404, "not_found");
	expect_error(*state, "POST", "/v1/keys/notakey/rotate", KEYS, NULL, 404, "not_found");
	expect_error(*state, "PATCH", "/v1/delegate", KEYS, NULL, 405, "method_not_allowed");
	ask_for(*state, "PATCH", "/v1/delegate", KEYS, NULL, &a);
	assert_non_null(strstr(a.head, "\r\nAllow: GET, HEAD, DELETE\r\n"));
}

/* Each mistake has its sentence; the key is judged first. */
static void a_bad_value_is_explained(void **state)
{
	static const struct {
		const char *value, *says;
	} bad[] = {
		{"LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc+gmtoM", "plain base64"},
		{"LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM=", "padding"},
		{"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM",
			"key authorization itself"},
		{"short", "too short"},
		{TXT "x", "too long"},
		{"2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683", "hexadecimal"},
		{"", "Send {"},
		{"LHDhK3oGRvkiefQnx7OO zTY5Tic_xZ6HcMOc_gmtoM", "characters"},
	};
	struct answer a;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char body[256];
		snprintf(body, sizeof body, "{\"value\":\"%s\"}", bad[i].value);
		expect_error(*state, "POST", "/v1/values", KEYS, body, 400, "bad_value");
		ask_for(*state, "POST", "/v1/values", KEYS, body, &a);
		if (!strstr(a.body, bad[i].says))
			fail_msg("%s: %s", bad[i].value, a.body);
		ask_for(*state, "POST", "/v1/values",
			"X-Api-User: " USER "\r\nX-Api-Key: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
			body, &a);
		assert_int_equal(a.status, 401);
	}
}

static void bodies_become_requests(void **state)
{
	struct fakekeeper *k = *state;
	struct answer a;
	ask_for(k, "PUT", "/v1/delegate/allowfrom", KEYS,
		"{\"allowfrom\":[\"192.0.2.0/24\",\"2001:db8::/32\"],\"force\":true}", &a);
	assert_int_equal(k->last.allow_count, 2);
	assert_int_equal(k->last.flags, IPC_FLAG_FORCE);
	ask_for(k, "PUT", "/v1/delegate/aliases", KEYS,
		"{\"aliases\":[\"*.Example.COM.\",\"_acme-challenge.www.example.com\"]}", &a);
	assert_int_equal(k->last.alias_count, 2);
	assert_string_equal(k->last.aliases[0], "example.com");
	assert_string_equal(k->last.aliases[1], "www.example.com");
	ask_for(k, "POST", "/v1/keys/" USER "/rotate", KEYS, "{\"at_once\":true}", &a);
	assert_int_equal(k->last.flags, IPC_FLAG_AT_ONCE);
	assert_string_equal(k->last.target, USER);
	ask_for(k, "DELETE", "/v1/keys/" USER "?force=true", KEYS, NULL, &a);
	assert_int_equal(k->last.flags, IPC_FLAG_FORCE);
	ask_for(k, "POST", "/v1/admin/tokens", BEARER,
		"{\"note\":\"for web\",\"zone\":\"" ZONE "\",\"label_prefix\":\"web-\",\"quota\":7,"
		"\"expires\":\"2026-11-24T08:00:00Z\",\"allowfrom\":[\"::/0\"]}",
		&a);
	assert_string_equal(k->last.terms.note, "for web");
	assert_string_equal(k->last.terms.label, "web-");
	assert_true(k->last.terms.label_is_prefix);
	assert_int_equal(k->last.terms.quota, 7);
	assert_true(k->last.terms.expiry == 1795507200000); /* date -u -d 2026-11-24T08:00:00Z +%s */
	assert_int_equal(k->last.terms.allow_count, 1);
}

static void queries_become_requests(void **state)
{
	struct fakekeeper *k = *state;
	struct answer a;
	ask_for(k, "GET", "/v1/admin/events?after=12&limit=5&name=" NAME "&wait=1", BEARER, NULL, &a);
	assert_int_equal(k->last.after, 12);
	assert_int_equal(k->last.limit, 5);
	assert_int_equal(k->last.flags, IPC_FLAG_WAIT);
	assert_string_equal(k->last.name, NAME);
	assert_non_null(strstr(a.body, "\"next\":\"9\""));
	ask_for(k, "GET", "/v1/admin/delegates?limit=2&after=a." ZONE, BEARER, NULL, &a);
	assert_string_equal(k->last.name, "a." ZONE);
	assert_non_null(strstr(a.body, "\"next\":\"b." ZONE "\"")); /* as full as was asked for */
	ask_for(k, "GET", "/v1/admin/delegates", BEARER, NULL, &a);
	assert_non_null(strstr(a.body, "\"next\":null"));
	static const char *const bad[] = {
		"?x=1", "?limit=x", "?limit=", "?limit=99999999999999999999999", "?after=%41", "?limit=-1"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char path[128];
		snprintf(path, sizeof path, "/v1/admin/delegates%s", bad[i]);
		expect_error(k, "GET", path, BEARER, NULL, 400, "bad_query");
	}
}

static void bad_bodies_are_refused(void **state)
{
	static const struct {
		const char *method, *path, *body, *code;
	} bad[] = {
		{"PUT", "/v1/delegate/allowfrom", NULL, "bad_allowfrom"},
		{"PUT", "/v1/delegate/allowfrom", "{}", "bad_allowfrom"},
		{"PUT", "/v1/delegate/allowfrom", "{", "malformed_body"},
		{"PUT", "/v1/delegate/allowfrom", "[]", "malformed_body"},
		{"PUT", "/v1/delegate/allowfrom", "{\"allowfrom\":[\"10.0.0.1\"]}", "bad_allowfrom"},
		{"PUT", "/v1/delegate/allowfrom", "{\"allowfrom\":[1]}", "bad_allowfrom"},
		{"PUT", "/v1/delegate/allowfrom", "{\"allowfrom\":[],\"force\":1}", "bad_field"},
		{"PUT", "/v1/delegate/aliases", "{\"aliases\":\"a.example\"}", "bad_alias"},
		{"PUT", "/v1/delegate/aliases", "{\"aliases\":[\"com\"]}", "bad_alias"},
		{"PUT", "/v1/delegate/aliases", "{\"aliases\":[\"a b.example\"]}", "bad_alias"},
		{"PUT", "/v1/delegate/aliases", "{\"aliases\":[\"a..example\"]}", "bad_alias"},
		{"PUT", "/v1/delegate/aliases", "{\"aliases\":[\"a.'b'.example\"]}", "bad_alias"},
		{"PUT", "/v1/delegate/aliases",
			"{\"aliases\":[\"a.b\",\"a.b\",\"a.b\",\"a.b\",\"a.b\",\"a.b\",\"a.b\",\"a.b\",\"a.b\"]}",
			"bad_alias"},
		{"POST", "/v1/keys/" USER "/rotate", "{\"at_once\":\"yes\"}", "bad_field"},
		{"POST", "/v1/values", "7", "malformed_body"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect_error(*state, bad[i].method, bad[i].path, KEYS, bad[i].body, 400, bad[i].code);
	expect_error(*state, "POST", "/v1/admin/tokens", BEARER, "{\"quota\":-1}", 400, "bad_field");
	expect_error(
		*state, "POST", "/v1/admin/tokens", BEARER, "{\"expires\":\"tomorrow\"}", 400, "bad_field");
	expect_error(*state, "POST", "/v1/admin/tokens", BEARER, "{\"label\":\"a\",\"label_prefix\":\"b\"}",
		400, "bad_field");
}

/* lego: 200 with the account, 401 otherwise; POST compares. */
static void storage_speaks_legos_protocol(void **state)
{
	struct answer a;
	ask_for(*state, "GET", "/v1/storage/example.com", BASIC_OF_KEY, NULL, &a);
	assert_string_equal(a.body,
		"{\"fulldomain\":\"" NAME "\",\"subdomain\":\"" LABEL "\",\"username\":\"" USER
		"\",\"password\":\"" KEY "\",\"server_url\":\"" URL "\"}");
	ask_for(*state, "GET", "/v1/storage", BASIC_OF_KEY, NULL, &a);
	json_t *o = parse("map", a.body);
	assert_int_equal(json_object_size(o), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(o, "example.net"), "password")), KEY);
	json_decref(o);
	expect_error(*state, "POST", "/v1/storage/example.com", BASIC_OF_KEY, "{\"subdomain\":\"other\"}",
		409, "other_account");
}

/* Both ways: what is served is described, and what is described is served. */
static void the_document_has_every_route(void **state)
{
	size_t count, described = 0;
	const struct route *routes = api_routes(&count);
	json_t *doc = parse("openapi", openapi_document), *operations;
	json_t *paths = json_object_get(doc, "paths");
	const char *path;
	for (size_t i = 0; i < count; i++) {
		char method[16] = "";
		for (size_t n = 0; routes[i].method[n]; n++)
			method[n] = (char)text_lower((uint8_t)routes[i].method[n]);
		if (!json_object_get(json_object_get(paths, routes[i].path), method))
			fail_msg("%s %s is not described", routes[i].method, routes[i].path);
	}
	json_object_foreach(paths, path, operations) described += json_object_size(operations);
	assert_int_equal(described, count);
	json_decref(doc);
	(void)state;
}

static enum manner manner_of(const char *path)
{
	if (strncmp(path, "/v1/admin/", 10) == 0)
		return MANNER_OPERATOR;
	return strncmp(path, "/v1/", 4) == 0 ? MANNER_KEY : MANNER_ACMEDNS;
}

static unsigned check_codes(const char *path, const char *status, json_t *response)
{
	json_t *schema = json_object_get(
		json_object_get(json_object_get(response, "content"), "application/json"), "schema");
	json_t *own = json_array_get(json_object_get(schema, "allOf"), 1), *code;
	json_t *codes = json_object_get(json_object_get(json_object_get(own, "properties"), "error"), "enum");
	size_t i;
	json_array_foreach(codes, i, code)
	{
		const struct refusal *f = refusal_called(manner_of(path), json_string_value(code));
		if (strcmp(f->code, json_string_value(code)) != 0 || f->status != strtoul(status, NULL, 10))
			fail_msg("%s: %s is not %s", path, json_string_value(code), status);
	}
	return (unsigned)json_array_size(codes);
}

/* What is described can be answered, with that status. */
static void the_document_has_the_right_codes(void **state)
{
	json_t *doc = parse("openapi", openapi_document), *operations, *operation, *response;
	const char *path, *method, *status;
	unsigned codes = 0;
	(void)state;
	json_object_foreach(json_object_get(doc, "paths"), path, operations)
		json_object_foreach(operations, method, operation)
			json_object_foreach(json_object_get(operation, "responses"), status, response)
				codes += check_codes(path, status, response);
	assert_true(codes > 150);
	json_decref(doc);
}

static void a_refusal_may_be_held_back(void **state)
{
	static struct testclient c;
	struct fakekeeper *k = *state;
	struct answer a;
	k->forced = IPC_FORBIDDEN;
	k->delay = 3600 * 1000;
	testclient_open(&c, &k->http);
	testclient_send(&c, "GET /v1/check" HOST KEYS "\r\n");
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && !k->asked; i++)
		testserver_turn(&k->http, -1, 0);
	testserver_turns(&k->http, 3);
	testclient_receive(&c);
	assert_int_equal(c.len, 0);
	int64_t due = api_run(k->api, clock_mono_ms());
	assert_true(due > clock_mono_ms() && due < INT64_MAX);
	assert_true(api_run(k->api, due) == INT64_MAX);
	assert_true(testclient_answer(&c, &a));
	assert_int_equal(a.status, 401);
	testclient_close(&c);
}

/* Who sends many is answered at once: the queue is not his. */
static void few_are_held_per_network(void **state)
{
	static struct testclient held[HELD_PER_NETWORK];
	struct fakekeeper *k = *state;
	struct answer a;
	k->forced = IPC_FORBIDDEN;
	k->delay = 3600 * 1000;
	for (unsigned n = 0; n < HELD_PER_NETWORK; n++) {
		testclient_open(&held[n], &k->http);
		testclient_send(&held[n], "GET /v1/check" HOST KEYS "\r\n");
		for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && k->asked <= n; i++)
			testserver_turn(&k->http, -1, 0);
	}
	testserver_turns(&k->http, 3);
	ask_for(k, "GET", "/v1/check", KEYS, NULL, &a);
	assert_int_equal(a.status, 401);
	for (unsigned n = 0; n < HELD_PER_NETWORK; n++) {
		testclient_receive(&held[n]);
		assert_int_equal(held[n].len, 0);
	}
	k->forced = IPC_STATUSES; /* and who has the right key does not wait behind them */
	ask_for(k, "GET", "/v1/check", KEYS, NULL, &a);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "{\"status\":\"ok\",\"domain\":\"" NAME "\"}");
	api_flush(k->api);
	for (unsigned n = 0; n < HELD_PER_NETWORK; n++) {
		assert_true(testclient_answer(&held[n], &a));
		testclient_close(&held[n]);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fakekeeper_start, fakekeeper_stop)
	const struct CMUnitTest tests[] = {
		TEST(every_operation_asks_for_its_own),
		TEST(nothing_without_the_right),
		TEST(a_401_names_its_scheme),
		TEST(every_status_has_its_code),
		TEST(what_is_not_there_says_so),
		TEST(a_bad_value_is_explained),
		TEST(bodies_become_requests),
		TEST(queries_become_requests),
		TEST(bad_bodies_are_refused),
		TEST(storage_speaks_legos_protocol),
		TEST(the_document_has_every_route),
		TEST(the_document_has_the_right_codes),
		TEST(a_refusal_may_be_held_back),
		TEST(few_are_held_per_network),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
