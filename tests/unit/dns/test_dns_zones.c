// SPDX-License-Identifier: GPL-3.0-or-later
/* Building zones from configuration: what is refused, with file and line; and one zone over a real store. */
#include "dns/fixture.h"
#include "store/store.h"
#include "tempdir.h"

#define SERVER_TEXT "ns1.auth.example"

static struct address server_address;
static struct conf_nameserver good_server[] = {
	{.name = TEXT(SERVER_TEXT), .addresses = &server_address, .address_count = 1, .line = 3}};

static struct conf_zone good_zone(void)
{
	assert_int_equal(address_parse("192.0.2.1", &server_address), OK);
	return (struct conf_zone){.name = TEXT("auth.example"),
		.nameservers = good_server,
		.nameserver_count = 1,
		.value_ttl = 1,
		.negative_ttl = 5,
		.line = 2};
}

static char printed[4096];

/* Builds, and keeps what was said in `printed`. */
static int build(const struct conf_zone *zones, size_t count, struct dns_zones **out)
{
	static const uint16_t ids[8];
	struct diag *d = diag_new();
	int err = dns_zones_build(zones, ids, count, "conf.yaml", d, out);
	assert_int_equal(err != OK, diag_errors(d) != 0);
	FILE *f = fmemopen(printed, sizeof printed, "w");
	assert_non_null(f);
	diag_print(d, f);
	fclose(f);
	diag_free(&d);
	return err;
}

static void expect_problem(const struct conf_zone *zones, size_t count, const char *text)
{
	struct dns_zones *z = NULL;
	assert_int_equal(build(zones, count, &z), ERR_INVALID);
	assert_null(z);
	if (!strstr(printed, text))
		fail_msg("expected \"%s\", got \"%s\"", text, printed);
}

static void expect_bad_record(const char *record, const char *text)
{
	char copy[512];
	assert_true(strlen(record) < sizeof copy);
	strcpy(copy, record);
	struct conf_record r = {copy, 77};
	struct conf_zone zone = good_zone();
	zone.records = &r;
	zone.record_count = 1;
	struct dns_zones *z;
	if (build(&zone, 1, &z) != ERR_INVALID)
		fail_msg("\"%s\" was accepted", record);
	expect_problem(&zone, 1, text);
	if (!strstr(printed, "conf.yaml:77: "))
		fail_msg("no file and line in \"%s\"", printed);
}

static void bad_records_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *record, *text;
	} cases[] = {
		{"@ 3600 A 198.51.100", ""},
		{"@ A", ""},
		{"@ A 192.0.2.1 192.0.2.2", ""},
		{"@ NOSUCHTYPE x", ""},
		{"", "no record"},
		{"; nothing but a comment", "no record"},
		{" A 192.0.2.1", ""},
		{"@ A 192.0.2.1\n@ A 192.0.2.2", "more than one line"},
		{"@ A 192.0.2.1\nbroken", "more than one line"},
		{"$TTL 5", "directives"},
		{"$INCLUDE /etc/passwd", "directives"},
		{"@ A 192.0.2.1\n$INCLUDE /etc/passwd", "more than one line"},
		{"@ A 192.0.2.1\n$ORIGIN other.", "more than one line"},
		{"@ CH TXT \"x\"", ""},
		{"@ 4294967295 A 192.0.2.1", ""},
		{"@ SOA a. b. 1 2 3 4 5", "SOA is made"},
		{"@ NS ns2", "nameservers"},
		{"sub NS ns2", "delegations"},
		{"sub DNAME other.", "DNAME"},
		{"sub DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000", "DNSSEC"},
		{"@ NSEC a. A", "DNSSEC"},
		{"@ NSEC3PARAM 1 0 0 -", "DNSSEC"},
		{"@ DNSKEY 257 3 13 AAAA", "DNSSEC"},
		{"u TYPE15 \\# 3 010203", "does not fit"}, /* MX with half a name */
		{"u TYPE5 \\# 2 C00C", "does not fit"},    /* a compression pointer */
		{"u TYPE1 \\# 3 C00002", "does not fit"},
		{"@ TYPE41 \\# 0", "cannot stand"},
		{"@ TYPE0 \\# 0", "cannot stand"},
		{"@ TYPE128 \\# 0", "cannot stand"},
		{"@ TYPE255 \\# 0", "cannot stand"},
		{"@ TYPE65535 \\# 0", "cannot stand"},
		{"outside.test. A 192.0.2.1", "does not belong to zone auth.example"},
		{"example. A 192.0.2.1", "does not belong"},
		{"@ CNAME other.test.", "only record"},
		{"ns1 CNAME other.test.", "only record"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_bad_record(cases[i].record, cases[i].text);
}

/* RFC 1034 section 3.6.2, in either order. */
static void an_alias_stands_alone(void **state)
{
	(void)state;
	struct conf_zone zone = good_zone();
	struct conf_record first[] = {{TEXT("x CNAME a"), 5}, {TEXT("X TXT b"), 6}};
	struct conf_record last[] = {{TEXT("x TXT b"), 5}, {TEXT("x CNAME a"), 6}};
	struct conf_record twice[] = {{TEXT("x CNAME a"), 5}, {TEXT("x CNAME b"), 6}};
	struct conf_record *const all[] = {first, last, twice};
	zone.record_count = 2;
	for (size_t i = 0; i < 3; i++) {
		zone.records = all[i];
		expect_problem(&zone, 1, "conf.yaml:6: ");
	}
}

static void a_set_has_one_ttl(void **state)
{
	(void)state;
	struct conf_zone zone = good_zone();
	struct conf_record records[] = {
		{TEXT("x 60 A 192.0.2.1"), 5}, {TEXT("x 30 A 192.0.2.2"), 6}, {TEXT("x 90 A 192.0.2.3"), 7}};
	struct dns_zones *z;
	zone.records = records;
	zone.record_count = 3;
	assert_int_equal(build(&zone, 1, &z), OK);
	assert_non_null(strstr(printed, "conf.yaml:6: warning: "));
	assert_int_equal(dns_answerer_new(&(struct dns_settings){.zones = z}, &fx.answerer), OK);
	dns_answerer_set_lookup(fx.answerer, fixture_lookup);
	fx.port = 1024;
	ask("x.auth.example", T_A);
	assert_int_equal(fx.reply.counts[1], 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(fx.reply.records[i].ttl, 30);
	dns_answerer_free(&fx.answerer);
	dns_zones_free(&z);
}

static void bad_zones_are_named(void **state)
{
	(void)state;
	struct conf_zone zones[2] = {good_zone(), good_zone()};
	expect_problem(zones, 2, "conf.yaml:2: zone auth.example is there twice");
	zones[1].name = TEXT("AUTH.example.");
	expect_problem(zones, 2, "is there twice");
	zones[0].name = TEXT("a..b");
	expect_problem(zones, 1, "'a..b' is not a domain name");
	zones[0].name = TEXT(".");
	expect_problem(zones, 1, "'.' is not a domain name");
	zones[0].name = TEXT("");
	expect_problem(zones, 1, "is not a domain name");

	char name[300] = "";
	for (size_t i = 0; i < 96; i++)
		strcat(name, "a.");
	zones[0].name = name; /* 193 octets: 62 are left for a label */
	zones[0].nameserver_count = 0;
	expect_problem(zones, 1, "too long");
}

static void bad_name_servers_are_named(void **state)
{
	(void)state;
	struct conf_zone zone = good_zone();
	struct conf_nameserver servers[] = {{.name = TEXT("ns2.AUTH.example"), .line = 9}};
	zone.nameservers = servers;
	expect_problem(
		&zone, 1, "conf.yaml:9: name server ns2.AUTH.example lies in zone auth.example and needs");
	servers[0] = (struct conf_nameserver){
		.name = TEXT("ns.other.test"), .addresses = &server_address, .address_count = 1, .line = 9};
	expect_problem(&zone, 1, "lies outside zone");
	servers[0] = (struct conf_nameserver){.name = TEXT("a..b"), .line = 9};
	expect_problem(&zone, 1, "conf.yaml:9: name server 'a..b'");
	zone.nameserver_count = 0;
	expect_problem(&zone, 1, "conf.yaml:2: zone auth.example has no name servers");
}

static void bad_contacts_are_named(void **state)
{
	(void)state;
	static const char *const contacts[] = {"nobody", "@example.org", "nobody@", "a@b..c",
		"0123456789012345678901234567890123456789012345678901234567890123@example.org"};
	for (size_t i = 0; i < sizeof contacts / sizeof *contacts; i++) {
		struct conf_zone zone = good_zone();
		char copy[128];
		strcpy(copy, contacts[i]);
		zone.contact = copy;
		expect_problem(&zone, 1, "is not an e-mail address");
	}
	struct conf_zone zone = good_zone();
	struct dns_zones *z;
	zone.contact = TEXT("hostmaster.example.org");
	assert_int_equal(build(&zone, 1, &z), OK);
	dns_zones_free(&z);
}

/* All problems are shown at once. */
static void problems_are_collected(void **state)
{
	(void)state;
	struct conf_zone zone = good_zone();
	struct conf_record records[] = {{TEXT("bad"), 5}, {TEXT("x A 192.0.2.1"), 6}, {TEXT("@ NS x"), 7}};
	zone.records = records;
	zone.record_count = 3;
	zone.contact = TEXT("nobody");
	expect_problem(&zone, 1, "conf.yaml:5: ");
	assert_non_null(strstr(printed, "conf.yaml:7: "));
	assert_non_null(strstr(printed, "contact"));
}

/* A record that belongs to a zone within the zone; an address that does is put where it belongs. */
static void nested_zones_keep_their_names(void **state)
{
	(void)state;
	struct conf_zone zones[] = {good_zone(), good_zone()};
	struct conf_record record = {TEXT("x.sub A 192.0.2.1"), 5};
	struct conf_nameserver server = {.name = TEXT("ns.sub.auth.example"),
		.addresses = &server_address,
		.address_count = 1,
		.line = 4};
	struct dns_zones *z;
	zones[1].name = TEXT("sub.auth.example");
	zones[1].nameservers = &server;
	zones[0].nameservers = &server;
	assert_int_equal(build(zones, 2, &z), OK);
	assert_int_equal(dns_answerer_new(&(struct dns_settings){.zones = z}, &fx.answerer), OK);
	fx.port = 1024;
	assert_int_equal(ask("ns.sub.auth.example", T_A)->counts[1], 1); /* listed twice, served once */
	assert_int_equal(ask("auth.example", T_NS)->counts[3], 1);
	dns_answerer_free(&fx.answerer);
	dns_zones_free(&z);
	zones[0].records = &record;
	zones[0].record_count = 1;
	expect_problem(zones, 2, "conf.yaml:5: ");
}

/* RFC 1034 section 4.3.2: what the zone has at a name comes before any delegate of it, and that includes
 * names without records (RFC 8499: empty non-terminals). */
static void names_that_no_delegate_can_have(void **state)
{
	(void)state;
	static const uint16_t ids[] = {7, 8, 9};
	struct conf_zone zones[] = {good_zone(), good_zone(), good_zone()};
	struct conf_record records[] = {{TEXT("WWW A 192.0.2.1"), 5}, {TEXT("leaf.b.ent A 192.0.2.1"), 6},
		{TEXT("* A 192.0.2.1"), 7}};
	struct conf_nameserver elsewhere = {.name = TEXT("ns.example.net"), .line = 8};
	struct diag *d = diag_new();
	struct dns_zones *z;
	zones[0].records = records;
	zones[0].record_count = 3;
	zones[1].name = TEXT("other.example");
	zones[1].nameservers = &elsewhere;
	zones[2].name = TEXT("deep.sub.auth.example");
	zones[2].nameservers = &elsewhere;
	assert_int_equal(dns_zones_build(zones, ids, 3, "conf.yaml", d, &z), OK);
	diag_free(&d);
	assert_true(dns_zones_has_static(z, 7, "www"));
	assert_true(dns_zones_has_static(z, 7, "ent"));
	assert_true(dns_zones_has_static(z, 7, "sub")); /* on the way to a zone */
	for (const char *const *l =
			(const char *const[]){"b", "leaf", "deep", "ww", "wwww", "", "auth", NULL};
		*l; l++)
		assert_false(dns_zones_has_static(z, 7, *l));
	assert_false(dns_zones_has_static(z, 8, "www"));
	assert_false(dns_zones_has_static(z, 9, "sub"));
	assert_false(dns_zones_has_static(z, 10, "www"));
	dns_zones_free(&z);
}

/* Sets of any size: whole over TCP, truncated over UDP, and too many bytes for any message are no crash. */
static void large_sets(void **state)
{
	(void)state;
	enum { COUNT = 400 };
	struct conf_zone zone = good_zone();
	static struct conf_record records[COUNT];
	static char texts[COUNT][300];
	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(texts[i], sizeof texts[i], "big TXT \"%0200u\"", i);
		records[i] = (struct conf_record){texts[i], i};
	}
	zone.records = records;
	for (size_t count = 50; count <= COUNT; count += 350) {
		struct dns_zones *z;
		zone.record_count = count;
		assert_int_equal(build(&zone, 1, &z), OK);
		assert_int_equal(dns_answerer_new(&(struct dns_settings){.zones = z}, &fx.answerer), OK);
		fx.port = 1024;
		fx.tcp = false;
		ask("big.auth.example", T_TXT);
		assert_true(fx.reply.flags & F_TC);
		assert_int_equal(fx.reply.counts[1], 0);
		fx.tcp = true;
		ask("big.auth.example", T_TXT);
		assert_int_equal(fx.reply.counts[1], count == 50 ? 50 : 0);
		assert_int_equal(!(fx.reply.flags & F_TC), count == 50);
		dns_answerer_free(&fx.answerer);
		dns_zones_free(&z);
	}
	fx.tcp = false;
}

static void nothing_to_free_is_fine(void **state)
{
	(void)state;
	struct dns_zones *z = NULL;
	struct dns_answerer *a = NULL;
	dns_zones_free(&z);
	dns_answerer_free(&a);
	assert_int_equal(build(NULL, 0, &z), OK); /* no zone: everything is refused */
	assert_int_equal(dns_answerer_new(&(struct dns_settings){.zones = z}, &fx.answerer), OK);
	fx.port = 1024;
	expect_refusal(ask("auth.example", T_SOA), REFUSED);
	dns_answerer_free(&fx.answerer);
	dns_zones_free(&z);
}

/* --- over a real store --- */

static void publish(struct store *s, uint16_t zone_id, struct delegate_credentials *made)
{
	static const struct delegate_rules rules = {.value_lifetime = 1000, .max_values = 32};
	static const struct delegate_allow allow;
	struct store_txn *t;
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(delegate_register(t, &(struct delegate_wish){.zone = zone_id, .allow = allow}, NOW, made), OK);
	assert_int_equal(delegate_put(t, &made->id, VALUE_1, &rules, &(struct delegate_actor){.now = NOW}), OK);
	assert_int_equal(store_txn_commit(&t), OK);
}

static struct store_snapshot *pinned(void *ctx)
{
	return ctx;
}

static const struct reply *ask_store(struct store_snapshot *v, const char *label, int64_t now)
{
	char name[128];
	snprintf(name, sizeof name, "%s.auth.example", label);
	message_begin(&fx.query, 0, 1);
	message_question(&fx.query, name, T_TXT, IN);
	struct delegate_source source = {.pin = pinned, .ctx = v};
	struct dns_query q = {.wire = fx.query.bytes,
		.len = message_len(&fx.query),
		.client = {.port = 1024},
		.now = now,
		.delegates = &source};
	size_t len = dns_answer(fx.answerer, &q, fx.out, sizeof fx.out);
	reply_parse(&fx.reply, fx.out, len);
	return &fx.reply;
}

static void delegates_come_from_the_store(void **state)
{
	(void)state;
	static const uint16_t id = 0;
	struct tempdir dir = tempdir_make();
	struct store *s;
	struct store_txn *t;
	struct store_snapshot *v;
	struct dns_zones *z;
	struct delegate_credentials made;
	uint16_t zone_id;
	struct conf_zone zone = good_zone();
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &s), OK);
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(delegate_zone_id(t, "auth.example", &zone_id), OK);
	assert_int_equal(store_txn_commit(&t), OK);
	assert_int_equal(zone_id, id);
	assert_int_equal(build(&zone, 1, &z), OK);
	assert_int_equal(dns_answerer_new(&(struct dns_settings){.zones = z}, &fx.answerer), OK);
	publish(s, zone_id, &made);
	assert_int_equal(store_snapshot_new(s, &v), OK);

	expect_refusal(ask_store(v, made.id.label, NOW), SERVFAIL); /* not pinned: unknown is not "no" */
	assert_int_equal(store_snapshot_renew(v), OK);
	const struct reply *r = ask_store(v, made.id.label, NOW);
	assert_int_equal(r->counts[1], 1);
	assert_memory_equal(r->records[0].rdata + 1, VALUE_1, 43);
	for (char *p = made.id.label; *p; p++)
		*p = (char)toupper(*p);
	assert_int_equal(ask_store(v, made.id.label, NOW + 999)->counts[1], 1);
	expect_denial(ask_store(v, made.id.label, NOW + 1000), NOERROR, "auth.example", 5); /* expired */
	expect_denial(ask_store(v, "nothing", NOW), NXDOMAIN, "auth.example", 5);
	store_snapshot_release(v);
	expect_refusal(ask_store(v, made.id.label, NOW), SERVFAIL);

	store_snapshot_free(&v);
	store_close(&s);
	dns_answerer_free(&fx.answerer);
	dns_zones_free(&z);
	tempdir_remove(dir.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_records_are_named),
		cmocka_unit_test(an_alias_stands_alone),
		cmocka_unit_test(a_set_has_one_ttl),
		cmocka_unit_test(bad_zones_are_named),
		cmocka_unit_test(bad_name_servers_are_named),
		cmocka_unit_test(bad_contacts_are_named),
		cmocka_unit_test(problems_are_collected),
		cmocka_unit_test(nested_zones_keep_their_names),
		cmocka_unit_test(names_that_no_delegate_can_have),
		cmocka_unit_test(large_sets),
		cmocka_unit_test(nothing_to_free_is_fine),
		cmocka_unit_test(delegates_come_from_the_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
