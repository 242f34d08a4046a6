// SPDX-License-Identifier: GPL-3.0-or-later
/* Static records as they are written, and as they stand on the wire. Expected bytes are put together by hand
 * from the RFC that defines the type. */
#include "dns/fixture.h"

static struct address server_address;
static struct conf_nameserver server[] = {{.name = TEXT("ns.other.test"), .line = 3}};

static void use_zone(const char *name, struct conf_record *records, size_t count, struct conf_nameserver *ns,
	size_t ns_count)
{
	static const uint16_t id = ID_AUTH;
	struct conf_zone zone = {.name = (char *)name,
		.nameservers = ns,
		.nameserver_count = ns_count,
		.records = records,
		.record_count = count,
		.value_ttl = 1,
		.negative_ttl = 5};
	struct diag *d = diag_new();
	dns_zones_free(&fx.zones);
	int err = dns_zones_build(&zone, &id, 1, "test.yaml", d, &fx.zones);
	diag_print(d, stderr);
	diag_free(&d);
	assert_int_equal(err, OK);
	fx.settings.zones = fx.zones;
	fixture_restart();
}

/* Names in the data are not compressed but where RFC 3597 section 4 allows it: NS, CNAME, PTR, MX, MINFO.
 * None of those here ends in a name that the reply has before. */
static const struct {
	const char *text;
	uint16_t type;
	const char *hex;
} types[] = {
	{"A 192.0.2.1", 1, "c0000201"},
	{"CNAME x.test.", 5,
		"01780474657374"
		"00"},
	{"PTR x.test.", 12,
		"01780474657374"
		"00"},
	{"HINFO \"CPU\" \"OS\"", 13,
		"03435055"
		"024f53"},
	{"MINFO a.test. b.tset.", 14,
		"01610474657374"
		"00"
		"01620474736574"
		"00"},
	{"MX 10 x.test.", 15,
		"000a"
		"01780474657374"
		"00"},
	{"TXT \"one\" two \"\" \"a\\\"b\\065\\\\\"", 16,
		"036f6e65"
		"0374776f"
		"00"
		"056122"
		"62415c"},
	{"RP a.test. b.tset.", 17,
		"01610474657374"
		"00"
		"01620474736574"
		"00"},
	{"AFSDB 1 x.test.", 18,
		"0001"
		"01780474657374"
		"00"},
	{"AAAA 2001:db8::1", 28, "20010db8000000000000000000000001"},
	/* RFC 1876: version, size 30 m, horizontal 10 km, vertical 10 m, 42 21 54 N, 71 06 18 W, -24 m */
	{"LOC 42 21 54 N 71 06 18 W -24m 30m", 29,
		"00331613"
		"8917"
		"2dd0"
		"70be15f0"
		"00988d20"},
	{"SRV 1 2 853 x.test.", 33,
		"000100020355"
		"01780474657374"
		"00"},
	{"NAPTR 100 50 \"s\" \"http\" \"\" x.test.", 35,
		"00640032"
		"0173"
		"0468747470"
		"00"
		"01780474657374"
		"00"},
	{"KX 1 x.test.", 36,
		"0001"
		"01780474657374"
		"00"},
	{"CERT 1 2 3 AAECAw==", 37,
		"0001000203"
		"00010203"},
	{"APL 1:192.0.2.0/24 !2:2001:db8::/32", 42,
		"00011803c00002"
		"00022084"
		"20010db8"},
	{"SSHFP 4 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 44,
		"0402"
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
	{"IPSECKEY 10 1 2 192.0.2.38 AAEC", 45,
		"0a0102"
		"c0000226"
		"000102"},
	{"DHCID AAECAw==", 49, "00010203"},
	{"TLSA 3 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 52,
		"030101"
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
	{"SMIMEA 3 0 0 abcd", 53,
		"030000"
		"abcd"},
	{"OPENPGPKEY AAECAw==", 61, "00010203"},
	/* RFC 9460 section 2.2: parameters in the order of their numbers: alpn, port, ipv4hint */
	{"SVCB 1 x.test. port=853 alpn=dot,h2 ipv4hint=192.0.2.1", 64,
		"0001"
		"01780474657374"
		"00"
		"0001"
		"0007"
		"03646f74026832"
		"0003"
		"0002"
		"0355"
		"0004"
		"0004"
		"c0000201"},
	{"HTTPS 0 x.test.", 65,
		"0000"
		"01780474657374"
		"00"},
	{"SPF \"v=spf1 -all\"", 99, "0b763d73706631202d616c6c"},
	{"NID 10 0014:4fff:ff20:ee64", 104,
		"000a"
		"00144fffff20ee64"},
	{"L32 10 10.1.2.0", 105,
		"000a"
		"0a010200"},
	{"L64 10 2001:0db8:1140:1000", 106,
		"000a"
		"20010db811401000"},
	{"LP 10 x.test.", 107,
		"000a"
		"01780474657374"
		"00"},
	{"EUI48 00-00-5e-00-53-2a", 108, "00005e00532a"},
	{"EUI64 00-00-5e-ef-10-00-00-2a", 109, "00005eef1000002a"},
	{"URI 10 1 \"ftp://x.test\"", 256,
		"000a0001"
		"6674703a2f2f782e74657374"},
	{"CAA 128 issue \"ca.test; a=b\"", 257,
		"80"
		"05"
		"6973737565"
		"63612e746573743b20613d62"},
	{"TYPE65280 \\# 4 deadbeef", 65280, "deadbeef"},
	{"TYPE1 \\# 4 c0000201", 1, "c0000201"}, /* RFC 3597 section 5: of a known type, too */
};

static void common_types_are_served(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		char text[256];
		uint8_t expected[256];
		size_t len = strlen(types[i].hex) / 2;
		struct conf_record record = {text, 7};
		snprintf(text, sizeof text, "r 77 %s", types[i].text);
		use_zone("auth.example", &record, 1, server, 1);
		for (size_t k = 0; k < len; k++) {
			unsigned byte;
			assert_int_equal(sscanf(types[i].hex + 2 * k, "%2x", &byte), 1);
			expected[k] = (uint8_t)byte;
		}
		for (fx.tcp = false;; fx.tcp = true) {
			const struct reply *r = ask("R.auth.example", types[i].type);
			assert_int_equal(r->rcode, NOERROR);
			assert_int_equal(r->counts[1], 1);
			assert_int_equal(r->records[0].type, types[i].type);
			assert_int_equal(r->records[0].ttl, 77);
			if (r->records[0].len != len || memcmp(r->records[0].rdata, expected, len))
				fail_msg("%s", types[i].text);
			if (fx.tcp)
				break;
		}
		fx.tcp = false;
		if (types[i].type != T_CNAME)
			expect_denial(ask("r.auth.example", 999), NOERROR, "auth.example", 5);
	}
}

/* --- RFC 4592 section 2.2.1: its zone, its questions, its answers --- */

static struct conf_record wildcard_records[] = {
	{TEXT("*.example. 3600 TXT \"this is a wildcard\""), 1},
	{TEXT("*.example. 3600 MX 10 host1.example."), 2},
	{TEXT("sub.*.example. 3600 TXT \"this is not a wildcard\""), 3},
	{TEXT("host1.example. 3600 A 192.0.2.1"), 4},
	{TEXT("_ssh._tcp.host1.example. 3600 SRV 0 0 22 host1.example."), 5},
	{TEXT("_ssh._tcp.host2.example. 3600 SRV 0 0 22 host2.example."), 6},
};

static void wildcards_of_the_rfc(void **state)
{
	(void)state;
	enum { T_MX = 15, T_SRV = 33 };
	use_zone("example", wildcard_records, 6, server, 1);
	/* Synthesized: */
	static const struct {
		const char *name;
		uint16_t type;
	} synthesized[] = {{"host3.example", T_MX}, {"foo.bar.example", T_TXT}};
	for (size_t i = 0; i < 2; i++) {
		const struct reply *r = ask(synthesized[i].name, synthesized[i].type);
		assert_int_equal(r->counts[1], 1);
		assert_string_equal(r->records[0].owner, synthesized[i].name);
		assert_int_equal(r->records[0].type, synthesized[i].type);
		assert_true(r->flags & F_AA);
	}
	expect_denial(ask("host3.example", T_A), NOERROR, "example", 5); /* the wildcard has no such type */
	/* Not synthesized: */
	expect_denial(ask("host1.example", T_MX), NOERROR, "example", 5); /* the name exists */
	expect_denial(ask("sub.*.example", T_MX), NOERROR, "example", 5); /* so does this */
	expect_denial(ask("host2.example", T_MX), NOERROR, "example", 5); /* and this, without data */
	expect_denial(ask("_tcp.host2.example", T_TXT), NOERROR, "example", 5);
	expect_denial(ask("_telnet._tcp.host1.example", T_SRV), NXDOMAIN, "example", 5);
	expect_denial(ask("ghost.*.example", T_MX), NXDOMAIN, "example", 5); /* *.*.example does not exist */
	/* And asked for literally (section 2.3): */
	assert_int_equal(ask("*.example", T_TXT)->counts[1], 1);
	assert_int_equal(ask("sub.*.example", T_TXT)->counts[1], 1);
	assert_int_equal(ask("_ssh._tcp.host2.example", T_SRV)->counts[1], 1);
}

/* --- Addresses of name servers --- */

enum { SERVERS = 13, ADDRESSES = 4 };

/* As many as fit, each set whole; that some are missing is no truncation (RFC 2181 section 9): they are no
 * part of the answer. */
static void glue_fits_or_stays_away(void **state)
{
	(void)state;
	struct conf_nameserver servers[SERVERS];
	char names[SERVERS][64];
	struct address addresses[ADDRESSES];
	for (unsigned i = 0; i < ADDRESSES; i++) {
		server_address = (struct address){{0x20, 1, 0xd, 0xb8, [15] = (uint8_t)i}};
		addresses[i] = server_address;
	}
	for (unsigned i = 0; i < SERVERS; i++) {
		snprintf(names[i], sizeof names[i], "a-name-server-%u.auth.example", i);
		servers[i] = (struct conf_nameserver){
			.name = names[i], .addresses = addresses, .address_count = ADDRESSES};
	}
	use_zone("auth.example", NULL, 0, servers, SERVERS);
	uint16_t glue[3];
	for (unsigned i = 0; i < 3; i++) {
		fx.tcp = i == 2;
		const struct reply *r = i ? ask_edns("auth.example", T_NS, 1232) : ask("auth.example", T_NS);
		assert_int_equal(r->counts[1], SERVERS);
		assert_false(r->flags & F_TC);
		glue[i] = (uint16_t)(r->counts[3] - (r->opt ? 1 : 0));
		assert_int_equal(glue[i] % ADDRESSES, 0);
	}
	assert_true(glue[0] < glue[1] && glue[1] < glue[2]);
	assert_int_equal(glue[2], SERVERS * ADDRESSES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(common_types_are_served),
		FIXTURE_TEST(wildcards_of_the_rfc),
		FIXTURE_TEST(glue_fits_or_stays_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
