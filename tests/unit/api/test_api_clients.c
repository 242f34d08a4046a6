// SPDX-License-Identifier: GPL-3.0-or-later
/* What each client puts on the wire, byte for byte as its source or a capture has it, and the answer it
 * understands. */
#include "api/fakekeeper.h"

struct replay {
	const char *client, *head, *body;
	int status;
	const char *answer;
};

#define GO(path)                                                                                             \
	"POST " path " HTTP/1.1\r\nHost: 127.0.0.1:8443\r\nUser-Agent: Go-http-client/1.1\r\n"               \
	"Accept-Encoding: gzip\r\n"
#define GO_KEYS "X-Api-Key: " KEY "\r\nX-Api-User: " USER "\r\n"
#define CURL(path)                                                                                           \
	"POST " path " HTTP/1.1\r\nHost: 127.0.0.1:8443\r\nUser-Agent: acme.sh/3.1.3 "                       \
	"(https://github.com/acmesh-official/acme.sh)\r\nAccept: */*\r\n"
#define PYTHON(path)                                                                                         \
	"POST " path " HTTP/1.1\r\nHost: 127.0.0.1:8443\r\nUser-Agent: python-requests/2.28.1\r\n"           \
	"Accept-Encoding: gzip, deflate, br\r\nAccept: */*\r\nConnection: keep-alive\r\n"
#define JSON        "Content-Type: application/json\r\n"
#define FORM        "Content-Type: application/x-www-form-urlencoded\r\n"
#define DOTNET_TEXT "Content-Type: text/plain; charset=utf-8\r\n"

static const struct replay registers[] = {
	{"cpu/goacmedns 0.1.1", GO("/register") JSON, "", 201, REGISTERED("[]", "")},
	{"cpu/goacmedns 0.1.1, allow list", GO("/register") JSON, "{\"AllowFrom\":[\"192.168.100.1/24\"]}",
		201, REGISTERED("[\"192.168.100.1/24\"]", "")},
	{"cpu/goacmedns 0.1.1, base with slash", GO("//register") JSON, "", 201, REGISTERED("[]", "")},
	{"nrdcg/goacmedns 0.2.0", GO("/register") "Accept: application/json\r\n" JSON, "null\n", 201,
		REGISTERED("[]", "")},
	{"nrdcg/goacmedns 0.2.0, prefix", GO("/api/v1/acme-dns-compat/register") JSON, "null\n", 201,
		REGISTERED("[]", "/api/v1/acme-dns-compat")},
	{"nrdcg/goacmedns 0.2.0, allow list", GO("/register") JSON,
		"{\"allowfrom\":[\"10.0.0.0/8\",\" 2001:db8::/32\"]}\n", 201,
		REGISTERED("[\"10.0.0.0/8\",\"2001:db8::/32\"]", "")},
	{"libdns/acmedns test", GO("/register") FORM, "", 201, REGISTERED("[]", "")},
	{"acme.sh", CURL("/register"), NULL, 201, REGISTERED("[]", "")},
	{"acme.sh with wget",
		"POST /register HTTP/1.1\r\nHost: a\r\nUser-Agent: Wget/1.21\r\nAccept: */*\r\nConnection: "
		"Keep-Alive\r\n" FORM,
		"", 201, REGISTERED("[]", "")},
	{"pyacmedns", PYTHON("//register"), "", 201, REGISTERED("[]", "")},
	{"acme-dns-auth.py", PYTHON("/register"), "{\"allowfrom\": [\"192.0.2.0/24\", \"[::1]/128\"]}", 201,
		REGISTERED("[\"192.0.2.0/24\",\"::1/128\"]", "")},
	{"Posh-ACME", POST("/register") "User-Agent: Posh-ACME/4.32.0 PowerShell/7.4.0\r\n" JSON, "{}", 201,
		REGISTERED("[]", "")},
	{"Posh-ACME behind Basic", POST("/x/y/register") "Authorization: Basic dXNlcjpwYXNz\r\n" JSON,
		"{\"allowfrom\":[\"192.0.2.1/32\"]}", 201, REGISTERED("[\"192.0.2.1/32\"]", "/x/y")},
	{"win-acme", POST("/register") "Authorization: Basic Og==\r\n" DOTNET_TEXT, "", 201,
		REGISTERED("[]", "")},
	{"Certify", POST("/register") DOTNET_TEXT, "{}", 201, REGISTERED("[]", "")},
	{"Certify, allow list and proxy user",
		POST("/register") "Authorization: Basic dXNlcjpwYXNzd29yZA\r\n" DOTNET_TEXT,
		"{\"allowfrom\":[\"192.0.2.1/32\",\"198.51.100.0/24\"]}", 201,
		REGISTERED("[\"192.0.2.1/32\",\"198.51.100.0/24\"]", "")},
};

static const struct replay updates[] = {
	{"cpu/goacmedns 0.1.1", GO("/update") JSON GO_KEYS,
		"{\"SubDomain\":\"" LABEL "\",\"Txt\":\"" TXT "\"}", 200, UPDATED},
	{"cpu/goacmedns 0.1.1, prefix", GO("/x/y//update") JSON GO_KEYS,
		"{\"SubDomain\":\"" LABEL "\",\"Txt\":\"" TXT "\"}", 200, UPDATED},
	{"nrdcg/goacmedns 0.2.0", GO("/update") "Accept: application/json\r\n" JSON GO_KEYS, UPDATE_BODY "\n",
		200, UPDATED},
	{"libdns/acmedns 0.5.0", GO("/update") JSON GO_KEYS, UPDATE_BODY, 200, UPDATED},
	{"acme.sh", CURL("/update") KEYS FORM, "{\"subdomain\":\"" LABEL "\", \"txt\": \"" TXT "\"}", 200,
		UPDATED},
	{"pyacmedns", PYTHON("/update") KEYS, "{\"subdomain\": \"" LABEL "\", \"txt\": \"" TXT "\"}", 200,
		UPDATED},
	{"certbot-dns-acmedns with NPM's template", PYTHON("//update") KEYS,
		"{\"subdomain\": \"" LABEL "\", \"txt\": \"" TXT "\"}", 200, UPDATED},
	{"Posh-ACME", POST("/update") KEYS JSON, UPDATE_BODY, 200, UPDATED},
	{"Posh-ACME on Windows PowerShell 5.1", POST("/update") "Expect: 100-continue\r\n" KEYS JSON,
		UPDATE_BODY, 200, UPDATED},
	{"win-acme", POST("/update") "Authorization: Basic Og==\r\n" KEYS JSON, UPDATE_BODY, 200, UPDATED},
	{"Certify", POST("/update") "Authorization: Basic dXNlcjpwYXNzd29yZA\r\n" DOTNET_TEXT KEYS,
		UPDATE_BODY, 200, UPDATED},
	{"dehydrated hook", POST("/update") "User-Agent: curl/7.88.1\r\nAccept: */*\r\n" KEYS FORM,
		"{\"subdomain\": \"" LABEL "\", \"txt\": \"" TXT "\"}", 200, UPDATED},
	{"getssl", POST("/update") "User-Agent: curl/7.88.1\r\nAccept: */*\r\n" KEYS FORM,
		"{\n  \"subdomain\": \"" LABEL "\",\n  \"txt\": \"" TXT "\"\n}", 200, UPDATED},
};

/* lego with key as Basic credentials: base64 of USER:KEY. */
#define BASIC                                                                                                \
	"Authorization: Basic "                                                                              \
	"ZWFiY2RiNDEtZDg5Zi00NTgwLTgyNmYtM2U2MmU5NzU1ZWYyOnBiQVhWamxJT0UwMXhidXQ3WW5BYmtoTVFJa2N3"           \
	"b0hPMGVrMmo0UTA="
#define ECHO "{\"fqdn\":\"" LABEL "." ZONE ".\",\"value\":\"" TXT "\"}"

static const struct replay httpreqs[] = {
	{"lego present", GO("/present") "Accept: application/json\r\n" JSON BASIC "\r\n", ECHO "\n", 200,
		ECHO},
	{"lego cleanup", GO("/cleanup") "Accept: application/json\r\n" JSON BASIC "\r\n", ECHO "\n", 200,
		ECHO},
	{"lego without CNAME support", GO("/present") JSON BASIC "\r\n",
		"{\"fqdn\":\"_acme-challenge.example.com.\",\"value\":\"" TXT "\"}\n", 200,
		"{\"fqdn\":\"_acme-challenge.example.com.\",\"value\":\"" TXT "\"}"},
	/* The value is base64url(SHA-256("token.thumbprint")). */
	{"lego RAW", GO("/present") JSON BASIC "\r\n",
		"{\"domain\":\"example.com\",\"token\":\"token\",\"keyAuth\":\"token.thumbprint\"}\n", 200,
		"{\"domain\":\"example.com\",\"value\":\"61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I\"}"},
	{"acme.sh dns_acmeproxy", CURL("/present") BASIC "\r\n" JSON,
		"{\"fqdn\": \"_acme-challenge.example.com.\", \"value\": \"" TXT "\"}", 200,
		"{\"fqdn\":\"_acme-challenge.example.com.\",\"value\":\"" TXT "\"}"},
	{"libdns/acmeproxy", GO("/cleanup") JSON BASIC "\r\n", ECHO, 200, ECHO},
	{"curl with the two fields", POST("/x/y/present") KEYS FORM, ECHO, 200, ECHO},
};

static void replay_all(struct fakekeeper *k, const struct replay *r, size_t count)
{
	for (; count--; r++)
		expect(k, r->client, r->head, r->body, r->status, r->answer);
}

static void every_client_registers(void **state)
{
	replay_all(*state, registers, sizeof registers / sizeof *registers);
}

static void every_client_updates(void **state)
{
	struct fakekeeper *k = *state;
	for (size_t i = 0; i < sizeof updates / sizeof *updates; i++) {
		memset(&k->last, 0, sizeof k->last);
		replay_all(k, &updates[i], 1);
		assert_int_equal(k->last.type, IPC_UPDATE);
		assert_string_equal(k->last.key_id, USER);
		assert_string_equal(k->last.secret, KEY);
		assert_string_equal(k->last.name, LABEL);
		assert_string_equal(k->last.value, TXT);
	}
}

static void every_httpreq_client_presents_and_cleans_up(void **state)
{
	replay_all(*state, httpreqs, sizeof httpreqs / sizeof *httpreqs);
}

static void the_keeper_is_told_what_was_meant(void **state)
{
	struct fakekeeper *k = *state;
	replay_all(k, &httpreqs[1], 1);
	assert_int_equal(k->last.type, IPC_CLEANUP);
	assert_string_equal(k->last.name, LABEL "." ZONE ".");
	assert_string_equal(k->last.value, TXT);
	replay_all(k, &httpreqs[3], 1);
	assert_int_equal(k->last.type, IPC_PRESENT);
	assert_string_equal(k->last.name, ""); /* RAW: the domain is not the delegate's */
	replay_all(k, &registers[5], 1);
	assert_int_equal(k->last.allow_count, 2);
	const struct prefix ten = test_prefix("10.0.0.0/8"), six = test_prefix("2001:db8::/32");
	assert_memory_equal(k->last.allow[0].base.bytes, ten.base.bytes, 16);
	assert_int_equal(k->last.allow[0].bits, ten.bits);
	assert_memory_equal(k->last.allow[1].base.bytes, six.base.bytes, 16);
	assert_int_equal(k->last.allow[1].bits, six.bits);
	assert_true(address_is_loopback(&k->last.client));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fakekeeper_start, fakekeeper_stop)
	const struct CMUnitTest tests[] = {
		TEST(every_client_registers),
		TEST(every_client_updates),
		TEST(every_httpreq_client_presents_and_cleans_up),
		TEST(the_keeper_is_told_what_was_meant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
