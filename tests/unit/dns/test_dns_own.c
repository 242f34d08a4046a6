// SPDX-License-Identifier: GPL-3.0-or-later
/* What zones say because of the server's own certificate: the name of its challenge, and CAA (RFC 8659, RFC
 * 8657). */
#include "dns/fixture.h"

#define ACCOUNT "https://ca.test/acct/1"

static char printed[4096];
static struct conf_nameserver outside[] = {{.name = TEXT("ns.other.test"), .line = 3}};
static struct conf_zone conf[3];
static const char *const one_identity[] = {"ca.test"};
static bool exists; /* the delegate of the challenge */

/* auth.example, in.auth.example within it, and star.test. */
static void make_conf(void)
{
	static char *const names[] = {TEXT("auth.example"), TEXT("in.auth.example"), TEXT("star.test")};
	for (size_t i = 0; i < 3; i++)
		conf[i] = (struct conf_zone){.name = names[i],
			.nameservers = outside,
			.nameserver_count = 1,
			.value_ttl = 1,
			.negative_ttl = 5,
			.line = 10 * (unsigned)(i + 1)};
}

static struct dns_own own_of(const char *host, const struct conf_zone *zone, const char *account)
{
	return (struct dns_own){.host = host,
		.zone = zone,
		.acme = account != NULL,
		.account = account,
		.identities = one_identity,
		.identity_count = account && *account ? 1 : 0};
}

static int lookup(const struct delegate_source *s, const struct delegate_name *n, int64_t now,
	struct delegate_values *out)
{
	(void)s;
	(void)now;
	if (!exists || n->zone != ID_AUTH || !label_is(n->label, n->len, "_acme-challenge"))
		return ERR_NOTFOUND;
	return fixture_values(out, 1), OK;
}

static int build(const struct dns_own *own)
{
	static const uint16_t ids[] = {ID_AUTH, ID_DEEP, ID_STAR};
	struct diag *d = diag_new();
	dns_answerer_free(&fx.answerer);
	dns_zones_free(&fx.zones);
	int err = dns_zones_build_own(conf, ids, 3, own, "t", d, &fx.zones);
	printed[0] = 0;
	FILE *f = fmemopen(printed, sizeof printed, "w");
	assert_non_null(f);
	diag_print(d, f);
	fclose(f);
	diag_free(&d);
	return err;
}

/* Builds, and is asked from here on. `said`: warnings. */
static void serve(const struct dns_own *own, const char *said)
{
	int err = build(own);
	if (err)
		fail_msg("%s", printed);
	assert_string_equal(printed, said);
	memset(&fx.settings, 0, sizeof fx.settings);
	fx.settings.zones = fx.zones;
	fx.settings.counters = &fx.counters;
	assert_int_equal(dns_answerer_new(&fx.settings, &fx.answerer), OK);
	dns_answerer_set_lookup(fx.answerer, lookup);
}

static void refuse_own(const struct dns_own *own, const char *text)
{
	assert_int_equal(build(own), ERR_INVALID);
	if (!strstr(printed, text))
		fail_msg("expected \"%s\", got \"%s\"", text, printed);
}

static int setup(void **state)
{
	(void)state;
	memset(&fx, 0, sizeof fx);
	fx.port = 40000;
	fx.tcp = true;
	fixture_now = NOW;
	exists = true;
	assert_int_equal(address_parse("198.51.100.100", &fx.client), OK);
	make_conf();
	return 0;
}

static void expect_challenge(const char *name, const char *through)
{
	const struct reply *r = ask(name, T_TXT);
	assert_int_equal(r->rcode, NOERROR);
	assert_true(r->flags & F_AA);
	const struct record *txt = reply_find(r, 1, T_TXT), *cname = reply_find(r, 1, T_CNAME);
	assert_non_null(txt);
	assert_int_equal(strcasecmp(txt->owner, "_acme-challenge.auth.example"), 0);
	assert_int_equal(cname != NULL, through != NULL);
	if (through) {
		assert_string_equal(cname->owner, through);
		assert_int_equal(cname->ttl, 300);
	}
}

/* ---- the challenge ---- */

static void at_the_apex_it_is_the_delegate_itself(void **state)
{
	(void)state;
	struct dns_own own = own_of("auth.example", &conf[0], "");
	serve(&own, "");
	expect_challenge("_acme-challenge.auth.example", NULL);
	expect_challenge("_ACME-challenge.Auth.Example", NULL);
	expect_denial(ask("_acme-challenge.auth.example", T_A), NOERROR, "auth.example", 5);
	/* No name below a delegate exists, as always. */
	expect_denial(ask("x._acme-challenge.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
	expect_denial(ask("_acme-challenge.x.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
	exists = false;
	expect_denial(ask("_acme-challenge.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
}

/* RFC 8555 section 8.4: the CA follows the CNAME. The names between exist (RFC 4592 section 2.2.2, RFC 8020).
 */
static void below_it_a_cname_leads_there(void **state)
{
	(void)state;
	struct dns_own own = own_of("api.deep.auth.example", &conf[0], "");
	serve(&own, "");
	expect_challenge("_acme-challenge.api.deep.auth.example", "_acme-challenge.api.deep.auth.example");
	expect_challenge("_acme-challenge.auth.example", NULL);
	static const char *const between[] = {"api.deep.auth.example", "deep.auth.example"};
	for (size_t i = 0; i < 2; i++) {
		expect_denial(ask(between[i], T_TXT), NOERROR, "auth.example", 5);
		expect_denial(ask(between[i], T_A), NOERROR, "auth.example", 5);
	}
	expect_denial(ask("x.deep.auth.example", T_A), NXDOMAIN, "auth.example", 5);
	expect_denial(ask("x._acme-challenge.api.deep.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
	assert_true(dns_zones_has_static(fx.zones, ID_AUTH, "deep"));
	assert_false(dns_zones_has_static(fx.zones, ID_AUTH, "_acme-challenge"));
	const struct reply *r =
		ask("_acme-challenge.api.deep.auth.example", T_A); /* RFC 6604: the chain's end */
	assert_int_equal(r->rcode, NOERROR);
	assert_non_null(reply_find(r, 1, T_CNAME));
	assert_non_null(reply_find(r, 2, T_SOA));
	exists = false;
	r = ask("_acme-challenge.api.deep.auth.example", T_TXT);
	assert_int_equal(r->rcode, NXDOMAIN);
	assert_non_null(reply_find(r, 1, T_CNAME));
}

static void elsewhere_nothing_is_added(void **state)
{
	(void)state;
	struct dns_own own = own_of("acme.example.com", NULL, "");
	serve(&own, "");
	expect_challenge("_acme-challenge.auth.example", NULL);
	expect_refusal(ask("_acme-challenge.acme.example.com", T_TXT), REFUSED);
	own = own_of("x.auth.example", &conf[0], NULL); /* nobody here gets the certificate */
	serve(&own,
		"t:10: warning: zone auth.example holds the API's host and has no CAA record, so every CA may issue "
		"certificates for it; add to its records, with the name of your CA: '@ 300 CAA 0 issue "
		"\"letsencrypt.org\"'\n");
	expect_denial(ask("_acme-challenge.x.auth.example", T_TXT), NXDOMAIN, "auth.example", 5);
}

static void with_record(const char *text, unsigned line)
{
	static struct conf_record record;
	record = (struct conf_record){TEXT(text), line};
	conf[0].records = &record;
	conf[0].record_count = 1;
}

static void an_operators_record_wins_if_it_leads_there(void **state)
{
	(void)state;
	struct dns_own own = own_of("api.auth.example", &conf[0], "");
	with_record("_acme-challenge.api 60 CNAME _ACME-challenge.auth.example.", 77);
	serve(&own, "");
	const struct reply *r = ask("_acme-challenge.api.auth.example", T_TXT);
	assert_int_equal(reply_find(r, 1, T_CNAME)->ttl, 60);
	assert_non_null(reply_find(r, 1, T_TXT));
	static const char *const others[] = {
		"_acme-challenge.api CNAME elsewhere.test.", "_acme-challenge.api TXT \"x\""};
	for (size_t i = 0; i < 2; i++) {
		with_record(others[i], 77);
		refuse_own(&own, "must lead to the server's own challenge");
		assert_non_null(strstr(printed, "t:77: "));
	}
	static const char *const taken[] = {"_acme-challenge CNAME x.test.", "_acme-challenge TXT \"x\"",
		"below._acme-challenge A 192.0.2.1"};
	for (size_t i = 0; i < 3; i++) {
		with_record(taken[i], 78);
		refuse_own(&own, "this name is the server's own");
		assert_non_null(strstr(printed, "t:78: "));
	}
	own = own_of("api.auth.example", &conf[0], NULL); /* in other modes it is anybody's */
	with_record("_acme-challenge CNAME x.test.", 78);
	assert_int_equal(build(&own), OK);
}

/* RFC 4592 section 2.2.1: a wildcard does not reach a name that exists. */
static void a_host_that_lives_on_a_wildcard_is_told_of(void **state)
{
	(void)state;
	struct dns_own own = own_of("api.auth.example", &conf[0], "");
	with_record("* A 192.0.2.1", 5);
	refuse_own(&own, "its addresses come from a wildcard");
	static struct conf_record both[] = {{TEXT("* A 192.0.2.1"), 5}, {TEXT("api A 192.0.2.2"), 6}};
	conf[0].records = both;
	conf[0].record_count = 2;
	serve(&own, "");
	expect_challenge("_acme-challenge.api.auth.example", "_acme-challenge.api.auth.example");
	expect_challenge("_acme-challenge.auth.example", NULL); /* a delegate, not the wildcard */
}

static void zones_and_servers_there_are_told_of(void **state)
{
	(void)state;
	struct dns_own own = own_of("auth.example", &conf[0], "");
	conf[1].name = TEXT("_acme-challenge.auth.example");
	refuse_own(&own,
		"t:10: zone auth.example: with api.tls.mode acme the name _acme-challenge in it is the server's own");
	make_conf();
	conf[1].name = TEXT("_acme-challenge.api.auth.example");
	own = own_of("api.auth.example", &conf[0], "");
	refuse_own(&own, "the name of its challenge is in another zone");
}

/* ---- CAA ---- */

/* Exactly these property values, and each once; in `tags` "i" for issue and "w" for issuewild. */
static void expect_caa(const char *zone, const char *const *values, const char *tags)
{
	const struct reply *r = ask(zone, T_CAA);
	size_t count = strlen(tags);
	if (!count) {
		expect_denial(r, NOERROR, zone, 5);
		return;
	}
	assert_int_equal(r->rcode, NOERROR);
	assert_int_equal(r->counts[1], count);
	for (size_t i = 0; i < count; i++) {
		const char *tag = tags[i] == 'i' ? "issue" : "issuewild";
		char rdata[512];
		int len = snprintf(rdata, sizeof rdata, "%c%c%s%s", 0, (char)strlen(tag), tag, values[i]);
		size_t found = 0;
		for (size_t k = 0; k < r->record_count; k++) {
			const struct record *x = &r->records[k];
			found += x->section == 1 && x->type == T_CAA && x->ttl == 300 && x->len == len &&
				 memcmp(x->rdata, rdata, (size_t)len) == 0;
		}
		if (found != 1)
			fail_msg("%s: %zu times \"%s\" %s", zone, found, values[i], tag);
	}
}

static const char *const nobody[] = {";"};
static const char *const account[] = {"ca.test; accounturi=" ACCOUNT "; validationmethods=dns-01", ";"};

static void the_zone_of_the_host_allows_the_account(void **state)
{
	(void)state;
	struct dns_own own = own_of("api.auth.example", &conf[0], "");
	serve(&own, "");
	for (size_t i = 0; i < 3; i++)
		expect_caa(conf[i].name, nobody, "i");
	own = own_of("api.auth.example", &conf[0], ACCOUNT);
	serve(&own, "");
	expect_caa("auth.example", account, "iw");
	expect_caa("in.auth.example", nobody, "i");
	expect_caa("star.test", nobody, "i");
	expect_denial(ask("api.auth.example", T_CAA), NOERROR, "auth.example", 5);
	own = own_of("in.auth.example", &conf[1], ACCOUNT);
	serve(&own, "");
	expect_caa("in.auth.example", account, "iw");
	expect_caa("auth.example", nobody, "i");
}

/* Where the host is an alias of a zone's name the CA looks there (RFC 8659 section 3). */
static void the_first_zone_allows_it_for_a_host_elsewhere(void **state)
{
	(void)state;
	struct dns_own own = own_of("acme.example.com", NULL, ACCOUNT);
	serve(&own, "");
	expect_caa("auth.example", account, "iw");
	expect_caa("star.test", nobody, "i");
}

static void every_name_of_the_ca_is_allowed(void **state)
{
	(void)state;
	static const char *const names[] = {"a.test", "b.test", "bad name", "c;d", ""};
	static const char *const values[] = {"a.test; accounturi=" ACCOUNT "; validationmethods=dns-01",
		"b.test; accounturi=" ACCOUNT "; validationmethods=dns-01", ";"};
	struct dns_own own = own_of("auth.example", &conf[0], ACCOUNT);
	own.identities = names;
	own.identity_count = 5;
	serve(&own, "");
	expect_caa("auth.example", values, "iiw");
}

/* Neither can a record be made for a CA without a name, nor for a URL that would mean something else in it.
 */
static void what_cannot_be_said_is_left_out(void **state)
{
	(void)state;
	struct dns_own own = own_of("auth.example", &conf[0], ACCOUNT);
	own.identity_count = 0;
	serve(&own, "");
	expect_caa("auth.example", NULL, "");
	expect_caa("star.test", nobody, "i");
	static const char *const bad[] = {
		"https://ca.test/a;b", "https://ca.test/a b", "https://ca.test/\x80"};
	for (size_t i = 0; i < 3; i++) {
		own = own_of("auth.example", &conf[0], bad[i]);
		serve(&own, "");
		expect_caa("auth.example", NULL, "");
	}
}

static void an_operators_caa_is_the_zones_only_one(void **state)
{
	(void)state;
	struct dns_own own = own_of("auth.example", &conf[0], ACCOUNT);
	with_record("@ 3600 CAA 0 iodef \"mailto:me@auth.example\"", 5);
	serve(&own, "");
	const struct reply *r = ask("auth.example", T_CAA);
	assert_int_equal(r->counts[1], 1);
	assert_int_equal(reply_find(r, 1, T_CAA)->ttl, 3600);
	own = own_of("auth.example", &conf[0], NULL); /* and nothing is to be warned of */
	serve(&own, "");
	make_conf();
	with_record("www 3600 CAA 0 issue \"x.test\"", 5); /* this one is not the zone's */
	own = own_of("star.test", &conf[2], ACCOUNT);
	serve(&own, "");
	expect_caa("auth.example", nobody, "i");
}

/* Somebody else gets the host's certificate: neither its zone nor one above it may stand in the way, since
 * CAs climb (RFC 8659 section 3). */
static void who_gets_it_elsewhere_is_not_shut_out(void **state)
{
	(void)state;
	struct dns_own own = own_of("x.in.auth.example", &conf[1], NULL);
	serve(&own,
		"t:20: warning: zone in.auth.example holds the API's host and has no CAA record, so every CA may issue "
		"certificates for it; add to its records, with the name of your CA: '@ 300 CAA 0 issue "
		"\"letsencrypt.org\"'\n");
	expect_caa("in.auth.example", NULL, "");
	expect_caa("auth.example", NULL, "");
	expect_caa("star.test", nobody, "i");
	own = own_of(NULL, NULL, NULL); /* an address */
	serve(&own, "");
	for (size_t i = 0; i < 3; i++)
		expect_caa(conf[i].name, nobody, "i");
}

#define OWN_TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OWN_TEST(at_the_apex_it_is_the_delegate_itself),
		OWN_TEST(below_it_a_cname_leads_there),
		OWN_TEST(elsewhere_nothing_is_added),
		OWN_TEST(an_operators_record_wins_if_it_leads_there),
		OWN_TEST(a_host_that_lives_on_a_wildcard_is_told_of),
		OWN_TEST(zones_and_servers_there_are_told_of),
		OWN_TEST(the_zone_of_the_host_allows_the_account),
		OWN_TEST(the_first_zone_allows_it_for_a_host_elsewhere),
		OWN_TEST(every_name_of_the_ca_is_allowed),
		OWN_TEST(what_cannot_be_said_is_left_out),
		OWN_TEST(an_operators_caa_is_the_zones_only_one),
		OWN_TEST(who_gets_it_elsewhere_is_not_shut_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
