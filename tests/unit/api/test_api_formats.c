// SPDX-License-Identifier: GPL-3.0-or-later
/* Settings for clients, and the tokens of registration. */
#include "api/fakekeeper.h"

#include <jansson.h>

#include "api/internal.h"

#define HOST  " HTTP/1.1\r\nHost: auth.example.org\r\n"
#define NAME  LABEL "." ZONE
#define TOKEN "tokentokentokentokentokentokentokentoken"
#define CNAME "#   _acme-challenge.www.example.com. CNAME " NAME ".\n"

static void get(struct fakekeeper *k, const char *query, struct answer *a)
{
	char head[512];
	snprintf(head, sizeof head, "GET /x/y/v1/credentials%s" HOST KEYS, query);
	fakekeeper_ask(k, head, NULL, a);
}

static json_t *parse(const char *text)
{
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!o)
		fail_msg("no JSON: %s", text);
	return o;
}

static void expect_text(const char *what, const json_t *o, const char *name, const char *value)
{
	const char *text = json_string_value(json_object_get(o, name));
	if (!text || strcmp(text, value) != 0)
		fail_msg("%s: %s is %s", what, name, text ? text : "missing");
}

/* goacmedns's struct Account. */
static void expect_account(const char *what, const json_t *o)
{
	expect_text(what, o, "fulldomain", NAME);
	expect_text(what, o, "subdomain", LABEL);
	expect_text(what, o, "username", USER);
	expect_text(what, o, "password", KEY);
	expect_text(what, o, "server_url", URL "/x/y");
}

static void json_is_acme_dns_answer(void **state)
{
	struct answer a;
	get(*state, "", &a);
	assert_string_equal(a.body, "{\"username\":\"" USER "\",\"password\":\"" KEY
				    "\",\"fulldomain\":\"" NAME "\",\"subdomain\":\"" LABEL
				    "\",\"allowfrom\":[\"192.0.2.0/24\"],\"server_url\":\"" URL "/x/y\"}");
}

/* lego reads a map from name to account; certbot's two plugins the same with allowfrom in it. */
static void maps_hold_an_account_for_each_name(void **state)
{
	static const char *const names[] = {"lego", "certbot"};
	for (size_t i = 0; i < 2; i++) {
		char query[128];
		struct answer a;
		snprintf(query, sizeof query, "?format=%s&domain=*.WWW.example.com.&domain=example.org",
			names[i]);
		get(*state, query, &a);
		assert_non_null(strstr(a.head, "\r\nContent-Type: application/json\r\n"));
		json_t *o = parse(a.body);
		assert_int_equal(json_object_size(o), 2);
		expect_account(names[i], json_object_get(o, "www.example.com"));
		expect_account(names[i], json_object_get(o, "example.org"));
		if (i == 1)
			assert_true(json_is_array(
				json_object_get(json_object_get(o, "example.org"), "allowfrom")));
		json_decref(o);
	}
}

static void names_default_to_the_aliases(void **state)
{
	struct answer a;
	get(*state, "?format=lego", &a);
	json_t *o = parse(a.body);
	expect_account("alias", json_object_get(o, "example.com"));
	expect_account("alias", json_object_get(o, "example.net"));
	json_decref(o);
}

static void texts_are_what_the_clients_read(void **state)
{
	static const struct {
		const char *format, *type, *holds[4];
	} texts[] = {
		{"traefik", "text/plain; charset=utf-8",
			{"\nACME_DNS_API_BASE=" URL "/x/y\n", "\nACME_DNS_STORAGE_PATH=/", "\n{\n"}},
		{"caddy", "text/plain; charset=utf-8",
			{"\nwww.example.com {\ntls {\n\tdns acmedns {\n\t\tusername " USER
			 "\n\t\tpassword " KEY "\n\t\tsubdomain " LABEL "\n\t\tserver_url " URL
			 "/x/y\n\t}\n}\n}\n"}},
		{"acme.sh", "text/plain; charset=utf-8",
			{"\nexport ACMEDNS_BASE_URL='" URL "/x/y'\n",
				"\nexport ACMEDNS_USERNAME='" USER "'\n",
				"\nexport ACMEDNS_PASSWORD='" KEY "'\n",
				"\nexport ACMEDNS_SUBDOMAIN='" LABEL "'\n"}},
		{"posh-acme", "text/plain; charset=utf-8",
			{"ACMEServer = 'auth.example.org/x/y'\n",
				"'_acme-challenge.www.example.com' = @('" LABEL "', '" USER "', '" KEY
				"', '" NAME "')\n",
				"New-PACertificate 'www.example.com' -Plugin AcmeDns -PluginArgs $pArgs\n"}},
		{"cert-manager", "application/yaml",
			{"\nkind: Secret\n", "\n  acmedns.json: '{\"www.example.com\":{", "}}'\n",
				"host: '" URL "/x/y'\n"}},
		{"httpreq", "text/plain; charset=utf-8",
			{"\nexport HTTPREQ_ENDPOINT='" URL "/x/y'\n",
				"\nexport HTTPREQ_USERNAME='" USER "'\n",
				"\nexport HTTPREQ_PASSWORD='" KEY "'\n"}},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char query[128];
		struct answer a;
		snprintf(query, sizeof query, "?format=%s&domain=www.example.com", texts[i].format);
		get(*state, query, &a);
		assert_int_equal(a.status, 200);
		assert_non_null(strstr(a.head, texts[i].type));
		assert_non_null(strstr(a.head, "\r\nCache-Control: no-store\r\n"));
		if (!strstr(a.body, CNAME))
			fail_msg("%s: no CNAME", texts[i].format);
		for (size_t n = 0; n < 4 && texts[i].holds[n]; n++)
			if (!strstr(a.body, texts[i].holds[n]))
				fail_msg("%s: no %s in %s", texts[i].format, texts[i].holds[n], a.body);
	}
}

#define HEAD                                                                                                 \
	"# Holds a key: nobody but the client should be able to read it (mode 0600).\n"                      \
	"# In the DNS of your domain, once:\n" CNAME

static void expect_whole(void **state, const char *query, const char *text)
{
	struct answer a;
	get(*state, query, &a);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, text);
}

/* A name and its wildcard have one CNAME and one account, and are two names of the certificate. */
static void wildcards_are_names_of_the_certificate(void **state)
{
	static const char names[] = "domain=www.example.com&domain=*.www.example.com&domain=*.example.org";
	static const struct {
		const char *format, *holds;
	} texts[] = {
		{"caddy", "\nwww.example.com, *.www.example.com, *.example.org {\n"},
		{"acme.sh",
			"\n# acme.sh --issue --dns dns_acmedns -d 'www.example.com' -d '*.www.example.com' "
			"-d '*.example.org'\n"},
		{"posh-acme",
			"\nNew-PACertificate 'www.example.com', '*.www.example.com', '*.example.org' -Plugin"},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char query[160];
		struct answer a;
		snprintf(query, sizeof query, "?format=%s&%s", texts[i].format, names);
		get(*state, query, &a);
		if (!strstr(a.body, texts[i].holds))
			fail_msg("%s: no %s in %s", texts[i].format, texts[i].holds, a.body);
		const char *cname = strstr(a.body, CNAME);
		assert_non_null(cname);
		assert_null(strstr(cname + 1, CNAME));
	}
}

/* PowerShell as Posh-ACME's guide for AcmeDns has it: a hash table whose registrations are arrays of
 * subdomain, user, password and full name. There is no PowerShell to try it with. */
static void posh_acme_is_a_script(void **state)
{
	expect_whole(state, "?format=posh-acme&domain=www.example.com",
		HEAD "$pArgs = @{\n"
		     "    ACMEServer = 'auth.example.org/x/y'\n"
		     "    ACMERegistration = @{\n"
		     "        '_acme-challenge.www.example.com' = @('" LABEL "', '" USER "', '" KEY
		     "', '" NAME "')\n"
		     "    }\n"
		     "}\n"
		     "New-PACertificate 'www.example.com' -Plugin AcmeDns -PluginArgs $pArgs\n");
}

static void without_a_name_the_reader_puts_it_in(void **state)
{
	static const char *const heads[] = {
		POST("/v1/register?format=acme.sh"),
		POST("/v1/register?format=httpreq"),
		POST("/v1/register?format=caddy"),
	};
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		struct answer a;
		fakekeeper_ask(*state, heads[i], NULL, &a);
		assert_int_equal(a.status, 201);
		assert_non_null(strstr(a.body, "#   _acme-challenge.<your domain>. CNAME " NAME ".\n"));
		if (i == 0)
			assert_non_null(strstr(a.body, " -d '<your domain>'\n"));
	}
}

/* What follows the comment is the file, and YAML's scalar is JSON. */
static void files_within_texts_are_json(void **state)
{
	struct answer a;
	get(*state, "?format=traefik&domain=www.example.com", &a);
	json_t *o = parse(strstr(a.body, "\n{\n"));
	expect_account("traefik", json_object_get(o, "www.example.com"));
	json_decref(o);
	get(*state, "?format=cert-manager&domain=www.example.com", &a);
	char *scalar = strchr(strstr(a.body, "acmedns.json"), '\'') + 1;
	*strchr(scalar, '\'') = 0;
	o = parse(scalar);
	expect_account("cert-manager", json_object_get(o, "www.example.com"));
	json_decref(o);
}

static void bad_queries_are_refused(void **state)
{
	static const struct {
		const char *query, *code;
	} bad[] = {
		{"?format=nginx", "unknown_format"},
		{"?format=lego&domain=com", "bad_domain"},
		{"?format=lego&domain=a..example", "bad_domain"},
		{"?format=lego&domain=-a.example", "bad_domain"},
		{"?format=lego&domain=", "bad_domain"},
		{"?format=lego&domain=a.example%27", "bad_query"},
		{"?format=lego&domain=a.example'$(id)", "bad_query"},
		{"?formats=lego", "bad_query"},
		{"?format=lego&domain=a.b&domain=a.b&domain=a.b&domain=a.b&domain=a.b&domain=a.b&domain=a.b&domain="
		 "a.b&domain=a.b",
			"bad_domain"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct answer a;
		get(*state, bad[i].query, &a);
		json_t *o = parse(a.body);
		assert_int_equal(a.status, 400);
		expect_text(bad[i].query, o, "error", bad[i].code);
		json_decref(o);
	}
}

/* The same text is pasted into shells, YAML, PowerShell and a Caddyfile, so what one of them takes for its
 * own cannot stand in it. JSON can quote everything. */
static void only_plain_urls_are_written(void **state)
{
	static const char *const bad[] = {"https://a.example/x'y", "https://a.example/\"",
		"https://a.example/$x", "https://a.example/`id`", "https://a.example/a b",
		"https://a.example/\\", "https://a.example/{x}", "https://a.example/#x",
		"https://a.example/;x", "https://a.example/&x", "https://a.example/\n",
		"https://a.example/(x)", "https://a.example/<x>", "https://a.example/|",
		"https://a.example/!", "https://a.example/*", "https://a.example/?x",
		"https://\xc3\xa4.example", NULL};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_true(format_works_with(FORMAT_JSON, bad[i]));
		for (unsigned f = FORMAT_JSON + 1; f < FORMATS; f++)
			if (format_works_with((enum format)f, bad[i]))
				fail_msg("format %u takes %s", f, bad[i] ? bad[i] : "no URL");
	}
	for (unsigned f = 0; f < FORMATS; f++)
		assert_true(
			format_works_with((enum format)f, "https://[2001:db8::1]:8443/x/y-z_1.~%20@t,+="));
}

/* Nothing is registered if the answer could not be written. */
static void registration_answers_in_a_format(void **state)
{
	struct fakekeeper *k = *state;
	struct answer a;
	fakekeeper_ask(k, POST("/v1/register?format=lego"), "{\"label\":\"web\"}", &a);
	assert_int_equal(a.status, 400);
	assert_non_null(strstr(a.body, "\"domain_required\""));
	assert_int_equal(k->asked, 0);
	fakekeeper_ask(k, POST("/x/y/v1/register?format=lego"),
		"{\"label\":\"web\",\"aliases\":[\"example.com\"],\"allowfrom\":[\"::/0\"]}", &a);
	assert_int_equal(a.status, 201);
	json_t *o = parse(a.body);
	expect_account("registered", json_object_get(o, "example.com"));
	json_decref(o);
	assert_string_equal(k->last.name, "web");
	assert_int_equal(k->last.alias_count, 1);
	assert_int_equal(k->last.allow_count, 1);
	assert_int_equal(k->last.by, IPC_BY_NOBODY);
	fakekeeper_ask(k, POST("/v1/register"), NULL, &a);
	assert_int_equal(a.status, 201);
	o = parse(a.body);
	expect_text("json", o, "server_url", URL);
	json_decref(o);
}

static void tokens_come_by_four_ways(void **state)
{
	static const struct {
		const char *head, *token;
		unsigned flags;
	} ways[] = {
		{POST("/register"), "", 0},
		{POST("/register") "X-Registration-Token: " TOKEN "\r\n", TOKEN, 0},
		{POST("/register") "Authorization: Bearer " TOKEN "\r\n", TOKEN, 0},
		/* any user : TOKEN */
		{POST("/register") "Authorization: Basic "
				   "eDp0b2tlbnRva2VudG9rZW50b2tlbnRva2VudG9rZW50b2tlbnRva2Vu\r\n",
			TOKEN, IPC_FLAG_MAYBE},
		{POST("/t/" TOKEN "/register"), TOKEN, 0},
		{POST("/x/y/t/" TOKEN "/register"), TOKEN, 0},
		{POST("/t/" TOKEN "/v1/register"), TOKEN, 0},
		{POST("/t/" TOKEN "/register") "X-Registration-Token: other\r\n", TOKEN, 0},
		{POST("/register") "Authorization: Basic Og==\r\n", "", 0},
		{POST("/register") "Authorization: Basic dXNlcjpwYXNz\r\n", "", 0},
		{POST("/register") "Authorization: Bearer x\r\n", "x", IPC_FLAG_MAYBE},
	};
	struct fakekeeper *k = *state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		struct answer a;
		fakekeeper_ask(k, ways[i].head, NULL, &a);
		assert_int_equal(a.status, 201);
		if (strcmp(k->last.secret, ways[i].token) != 0 || k->last.flags != ways[i].flags)
			fail_msg("%s: %s, flags %u", ways[i].head, k->last.secret, k->last.flags);
		assert_null(strstr(a.body, "/t/")); /* a file is no place for the token */
	}
}

/* Below /t/<token>/ everything else is as without; only keys count there. */
static void the_token_in_the_path_is_for_registration_only(void **state)
{
	struct fakekeeper *k = *state;
	expect(k, "update", POST("/t/" TOKEN "/update") KEYS, UPDATE_BODY, 200, UPDATED);
	expect(k, "no key", POST("/t/" TOKEN "/update"), UPDATE_BODY, 401, JSON_ERROR("forbidden"));
	expect(k, "health", "GET /t/" TOKEN "/health" HOST, NULL, 200, "");
	expect(k, "none", POST("/t//register"), NULL, 404, JSON_ERROR("not_found"));
	expect(k, "not for keys", "GET /t/" TOKEN "/v1/check" HOST KEYS, NULL, 404, JSON_ERROR("not_found"));
}

static void tokens_that_are_refused_have_their_codes(void **state)
{
	struct fakekeeper *k = *state;
	k->forced = IPC_TOKEN_REQUIRED;
	expect(k, "none", POST("/register"), NULL, 401, JSON_ERROR("token_required"));
	k->forced = IPC_BAD_TOKEN;
	expect(k, "bad", POST("/register"), NULL, 401, JSON_ERROR("bad_token"));
	k->forced = IPC_TOKEN_EXPIRED;
	expect(k, "expired", POST("/register"), NULL, 403, JSON_ERROR("token_expired"));
	k->forced = IPC_TOKEN_SPENT;
	expect(k, "spent", POST("/register"), NULL, 403, JSON_ERROR("token_spent"));
	k->forced = IPC_STATUSES;
	k->asked = 0;
	expect(k, "twice", POST("/register") "X-Registration-Token: a\r\nX-Registration-Token: b\r\n", NULL,
		401, JSON_ERROR("bad_token"));
	assert_int_equal(k->asked, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fakekeeper_start, fakekeeper_stop)
	const struct CMUnitTest tests[] = {
		TEST(json_is_acme_dns_answer),
		TEST(maps_hold_an_account_for_each_name),
		TEST(names_default_to_the_aliases),
		TEST(texts_are_what_the_clients_read),
		TEST(wildcards_are_names_of_the_certificate),
		TEST(posh_acme_is_a_script),
		TEST(without_a_name_the_reader_puts_it_in),
		TEST(files_within_texts_are_json),
		TEST(bad_queries_are_refused),
		TEST(only_plain_urls_are_written),
		TEST(registration_answers_in_a_format),
		TEST(tokens_come_by_four_ways),
		TEST(the_token_in_the_path_is_for_registration_only),
		TEST(tokens_that_are_refused_have_their_codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
