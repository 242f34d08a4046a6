// SPDX-License-Identifier: GPL-3.0-or-later
/* The CA's documents: the examples of RFC 8555 and RFC 9773, and what must not be believed. */
#include <string.h>

#include "acme/documents.h"
#include "unit.h"

#define READ(kind, text, out) document_##kind(text, strlen(text), out)

/* RFC 8555 section 7.1.1, with section 4.1 of RFC 9773 */
static void test_directory(void **state)
{
	(void)state;
	struct directory d;
	assert_int_equal(
		READ(directory,
			"{\"newNonce\":\"https://example.com/acme/new-nonce\","
			"\"newAccount\":\"https://example.com/acme/new-account\","
			"\"newOrder\":\"https://example.com/acme/new-order\","
			"\"newAuthz\":\"https://example.com/acme/new-authz\","
			"\"renewalInfo\":\"https://example.com/acme/renewal-info\","
			"\"meta\":{\"termsOfService\":\"https://example.com/acme/terms/2017-5-30\","
			"\"website\":\"https://www.example.com/\",\"caaIdentities\":[\"example.com\",\"example.net\"],"
			"\"externalAccountRequired\":true,\"profiles\":{\"classic\":\"x\",\"short\":\"y\"}}}",
			&d),
		OK);
	assert_string_equal(d.new_nonce, "https://example.com/acme/new-nonce");
	assert_string_equal(d.new_account, "https://example.com/acme/new-account");
	assert_string_equal(d.new_order, "https://example.com/acme/new-order");
	assert_string_equal(d.renewal_info, "https://example.com/acme/renewal-info");
	assert_string_equal(d.terms, "https://example.com/acme/terms/2017-5-30");
	assert_string_equal(d.identities[0], "example.com");
	assert_string_equal(d.identities[1], "example.net");
	assert_string_equal(d.identities[2], "");
	assert_true(d.eab_required);
	assert_string_equal(d.profiles[0], "classic");
	assert_string_equal(d.profiles[1], "short");
}

static void test_directory_without_meta(void **state)
{
	(void)state;
	struct directory d;
	assert_int_equal(
		READ(directory,
			"{\"newNonce\":\"https://a/n\",\"newAccount\":\"https://a/a\",\"newOrder\":\"https://a/o\"}",
			&d),
		OK);
	assert_string_equal(d.renewal_info, "");
	assert_string_equal(d.identities[0], "");
	assert_false(d.eab_required);
}

static void test_bad_directories(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "[]", "null", "\"x\"", "{}", "{", "<html></html>",
		"{\"newNonce\":\"https://a/n\",\"newAccount\":\"https://a/a\"}",
		"{\"newNonce\":\"http://a/n\",\"newAccount\":\"https://a/a\",\"newOrder\":\"https://a/o\"}",
		"{\"newNonce\":\"https://a/ n\",\"newAccount\":\"https://a/a\",\"newOrder\":\"https://a/o\"}",
		"{\"newNonce\":\"file:///etc/passwd\",\"newAccount\":\"https://a/a\",\"newOrder\":\"https://a/o\"}",
		"{\"newNonce\":1,\"newAccount\":\"https://a/a\",\"newOrder\":\"https://a/o\"}",
		("{\"newNonce\":\"https://a/n\",\"newNonce\":\"https://a/n\",\"newAccount\":\"https://a/a\","
		 "\"newOrder\":\"https://a/o\"}")};
	struct directory d;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (READ(directory, bad[i], &d) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
}

/* RFC 8555 section 7.1.3 */
static void test_order(void **state)
{
	(void)state;
	struct order o;
	assert_int_equal(
		READ(order,
			"{\"status\":\"valid\",\"expires\":\"2016-01-20T14:09:07.99Z\",\"identifiers\":["
			"{\"type\":\"dns\",\"value\":\"www.example.org\"},{\"type\":\"dns\",\"value\":\"example.org\"}],"
			"\"notBefore\":\"2016-01-01T00:00:00Z\",\"authorizations\":["
			"\"https://example.com/acme/authz/PAniVnsZcis\",\"https://example.com/acme/authz/r4HqLzrSrpI\"],"
			"\"finalize\":\"https://example.com/acme/order/TOlocE8rfgo/finalize\","
			"\"certificate\":\"https://example.com/acme/cert/mAt3xBGaobw\"}",
			&o),
		OK);
	assert_int_equal(o.status, STATUS_VALID);
	assert_int_equal(o.count, 2);
	assert_string_equal(o.authorizations[1], "https://example.com/acme/authz/r4HqLzrSrpI");
	assert_string_equal(o.finalize, "https://example.com/acme/order/TOlocE8rfgo/finalize");
	assert_string_equal(o.certificate, "https://example.com/acme/cert/mAt3xBGaobw");
}

static void test_bad_orders(void **state)
{
	(void)state;
	static const char *const bad[] = {"{}",
		"{\"status\":\"odd\",\"authorizations\":[\"https://a/1\"],\"finalize\":\"https://a/f\"}",
		"{\"status\":\"pending\",\"authorizations\":[],\"finalize\":\"https://a/f\"}",
		"{\"status\":\"pending\",\"authorizations\":[1],\"finalize\":\"https://a/f\"}",
		"{\"status\":\"pending\",\"authorizations\":[\"http://a/1\"],\"finalize\":\"https://a/f\"}",
		"{\"status\":\"pending\",\"authorizations\":[\"https://a/1\"]}",
		/* section 7.1.3: a valid order has a certificate */
		"{\"status\":\"valid\",\"authorizations\":[\"https://a/1\"],\"finalize\":\"https://a/f\"}",
		"{\"status\":\"pending\",\"finalize\":\"https://a/f\",\"authorizations\":[\"https://a/1\",\"https://a/1\","
		"\"https://a/1\",\"https://a/1\",\"https://a/1\",\"https://a/1\",\"https://a/1\",\"https://a/1\","
		"\"https://a/1\",\"https://a/1\",\"https://a/1\",\"https://a/1\",\"https://a/1\",\"https://a/1\","
		"\"https://a/1\",\"https://a/1\",\"https://a/1\"]}"};
	struct order o;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (READ(order, bad[i], &o) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
}

/* RFC 8555 section 7.5, with other challenges before the one that is wanted */
static void test_authorization(void **state)
{
	(void)state;
	struct authorization a;
	assert_int_equal(
		READ(authorization,
			"{\"status\":\"pending\",\"expires\":\"2016-01-02T14:09:30Z\","
			"\"identifier\":{\"type\":\"dns\",\"value\":\"WWW.example.org\"},\"challenges\":["
			"{\"type\":\"http-01\",\"url\":\"https://example.com/acme/chall/prV_B7yEyA4\",\"token\":\"DGyRejmCefe7v4NfDGDKfA\"},"
			"{\"type\":\"dns-01\",\"url\":\"https://example.com/acme/chall/Rg5dV14Gh1Q\",\"token\":\"DGyRejmCefe7v4NfDGDKfA\"}]}",
			&a),
		OK);
	assert_int_equal(a.status, STATUS_PENDING);
	assert_string_equal(a.name, "www.example.org");
	assert_string_equal(a.challenge, "https://example.com/acme/chall/Rg5dV14Gh1Q");
	assert_string_equal(a.token, "DGyRejmCefe7v4NfDGDKfA");
}

static void test_authorization_that_failed(void **state)
{
	(void)state;
	struct authorization a;
	assert_int_equal(
		READ(authorization,
			"{\"status\":\"invalid\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"},\"challenges\":["
			"{\"type\":\"dns-01\",\"url\":\"https://ca/1\",\"token\":\"x\",\"status\":\"invalid\",\"error\":{"
			"\"type\":\"urn:ietf:params:acme:error:dns\",\"detail\":\"NXDOMAIN looking up TXT\"}}]}",
			&a),
		OK);
	assert_string_equal(a.problem.text, "NXDOMAIN looking up TXT (urn:ietf:params:acme:error:dns)");
}

static void test_bad_authorizations(void **state)
{
	(void)state;
#define BODY(identifier, more) "{\"status\":\"pending\",\"identifier\":" identifier more "}"
#define DNS                    "{\"type\":\"dns\",\"value\":\"a.example\"}"
	static const char *const bad[] = {"{}", BODY("{\"type\":\"ip\",\"value\":\"192.0.2.1\"}", ""),
		BODY("{}", ""),
		/* none was ordered */
		BODY(DNS, ",\"wildcard\":true"),
		/* section 8.1: the alphabet of a token; it is written into no path, but the rule is the RFC's
		 */
		BODY(DNS,
			",\"challenges\":[{\"type\":\"dns-01\",\"url\":\"https://ca/1\",\"token\":\"../x\"}]"),
		BODY(DNS, ",\"challenges\":[{\"type\":\"dns-01\",\"url\":\"https://ca/1\",\"token\":\"\"}]"),
		BODY(DNS, ",\"challenges\":[{\"type\":\"dns-01\",\"url\":\"https://ca/1\"}]"),
		BODY(DNS, ",\"challenges\":[{\"type\":\"dns-01\",\"url\":\"http://ca/1\",\"token\":\"x\"}]")};
	struct authorization a;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (READ(authorization, bad[i], &a) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
}

/* RFC 8555 section 6.7.1 */
static void test_problem_with_subproblems(void **state)
{
	(void)state;
	struct problem p;
	assert_int_equal(
		READ(problem,
			"{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"Some of the identifiers requested were rejected\","
			"\"subproblems\":[{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"Invalid underscore in DNS name "
			"\\\"_example.org\\\"\",\"identifier\":{\"type\":\"dns\",\"value\":\"_example.org\"}},"
			"{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\",\"detail\":\"This CA will not issue for "
			"\\\"example.net\\\"\",\"identifier\":{\"type\":\"dns\",\"value\":\"example.net\"}}]}",
			&p),
		OK);
	assert_string_equal(p.type, "urn:ietf:params:acme:error:malformed");
	assert_string_equal(p.text,
		"Some of the identifiers requested were rejected (urn:ietf:params:acme:error:malformed)"
		"; _example.org: Invalid underscore in DNS name \"_example.org\""
		" (urn:ietf:params:acme:error:malformed)"
		"; example.net: This CA will not issue for \"example.net\""
		" (urn:ietf:params:acme:error:rejectedIdentifier)");
}

static void test_problems_are_made_printable(void **state)
{
	(void)state;
	struct problem p;
	assert_int_equal(READ(problem, "{\"type\":\"t\",\"detail\":\"a\\nb\\u001b[31m\\u00e9\"}", &p), OK);
	assert_string_equal(p.text, "a?b?[31m?? (t)");
	/* A long one is cut. */
	char body[8192] = "{\"detail\":\"";
	size_t n = strlen(body);
	memset(body + n, 'x', 8000);
	strncpy(body + n + 8000, "\"}", 3);
	assert_int_equal(document_problem(body, n + 8002, &p), OK);
	assert_int_equal(strlen(p.text), sizeof p.text - 1);
	assert_int_equal(READ(problem, "{}", &p), OK);
	assert_string_equal(p.type, "");
	assert_int_equal(READ(problem, "oops", &p), ERR_INVALID);
}

/* RFC 8555 section 7.3.3: new terms; a person has to go there. */
static void test_problem_that_needs_a_person(void **state)
{
	(void)state;
	struct problem p;
	assert_int_equal(
		READ(problem,
			"{\"type\":\"urn:ietf:params:acme:error:userActionRequired\",\"detail\":\"Terms of service have "
			"changed\",\"instance\":\"https://example.com/acme/agreement/?token=W8Ih3PswD-8\"}",
			&p),
		OK);
	assert_non_null(strstr(p.text, "https://example.com/acme/agreement/?token=W8Ih3PswD-8"));
}

/* RFC 9773 section 4.2 */
static void test_window(void **state)
{
	(void)state;
	struct window w;
	assert_int_equal(
		READ(window,
			"{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\",\"end\":\"2025-01-03T04:00:00Z\"},"
			"\"explanationURL\":\"https://acme.example.com/docs/ari\"}",
			&w),
		OK);
	assert_int_equal(w.start, INT64_C(1735790400000));
	assert_int_equal(w.end, INT64_C(1735876800000));
	assert_string_equal(w.explanation, "https://acme.example.com/docs/ari");
	static const char *const bad[] = {"{}", "{\"suggestedWindow\":{}}",
		"{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\",\"end\":\"2025-01-02T04:00:00Z\"}}",
		"{\"suggestedWindow\":{\"start\":\"2025-01-03T04:00:00Z\",\"end\":\"2025-01-02T04:00:00Z\"}}",
		"{\"suggestedWindow\":{\"start\":1,\"end\":2}}"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (READ(window, bad[i], &w) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
}

static void test_account(void **state)
{
	(void)state;
	enum status s;
	assert_int_equal(READ(account, "{\"status\":\"valid\"}", &s), OK);
	assert_int_equal(s, STATUS_VALID);
	assert_int_equal(READ(account, "{\"status\":\"deactivated\"}", &s), OK);
	assert_int_equal(s, STATUS_DEACTIVATED);
	assert_int_equal(READ(account, "{}", &s), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_directory_without_meta),
		cmocka_unit_test(test_bad_directories),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_bad_orders),
		cmocka_unit_test(test_authorization),
		cmocka_unit_test(test_authorization_that_failed),
		cmocka_unit_test(test_bad_authorizations),
		cmocka_unit_test(test_problem_with_subproblems),
		cmocka_unit_test(test_problems_are_made_printable),
		cmocka_unit_test(test_problem_that_needs_a_person),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_account),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
