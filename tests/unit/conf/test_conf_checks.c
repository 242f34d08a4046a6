// SPDX-License-Identifier: GPL-3.0-or-later
#include "support.h"

static void test_zone_names(void **state)
{
	(void)state;
	static const char *const bad[] = {"-bad..test", ".", "a b.test", "\xc3\xa4.test",
		"a23456789012345678901234567890123456789012345678901234567890abcd.test"};
	char text[512], expected[512];
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text,
			"zones:\n  -\n    name: %s\n    nameservers: {name: n.test}\n" API, bad[i]);
		snprintf(expected, sizeof expected, "t:3: zones.name: \"%.59s%s\" is not a domain name\n",
			bad[i], strlen(bad[i]) > 59 ? "..." : "");
		refuse(text, expected);
	}
}

static void test_long_name(void **state)
{
	(void)state;
	char name[256] = "", text[1024];
	for (int i = 0; i < 126; i++)
		memcpy(name + 2 * i, "a.", 3);
	for (int extra = 0; extra < 2;
		extra++) { /* 253 characters are the longest name, RFC 1035 section 3.1 */
		snprintf(text, sizeof text, "zones: {name: %sa%s, nameservers: {name: n.test}}\n" API, name,
			extra ? "a" : "");
		if (extra) {
			char expected[256];
			snprintf(expected, sizeof expected,
				"t:1: zones.name: \"%.59s...\" is not a domain name\n", name);
			refuse(text, expected);
			continue;
		}
		struct conf *c = load(text);
		assert_int_equal(strlen(c->zones[0].name), 253);
		conf_free(&c);
	}
}

static void test_zone_twice(void **state)
{
	(void)state;
	refuse("zones:\n"
	       "  - name: a.test\n"
	       "    nameservers: {name: n.test}\n"
	       "  - nameservers: {name: n.test}\n"
	       "    name: A.Test.\n" API,
		"t:5: zones: a.test is listed twice\n");
}

static void test_nameservers(void **state)
{
	(void)state;
	refuse("zones:\n"
	       "  - name: a.test\n"
	       "    nameservers:\n"
	       "      - name: NS1.a.TEST.\n"
	       "      - {name: ns.b.test, addresses: [127.0.0.1]}\n"
	       "      - {name: ba.test}\n"
	       "      - addresses: 127.0.0.1\n"
	       "        name: a.test\n"
	       "      - {name: BA.test.}\n"
	       "      - {name: x..y}\n" API,
		"t:4: zones.nameservers: NS1.a.TEST. lies in the zone a.test, so it needs its addresses\n"
		"t:5: zones.nameservers: ns.b.test lies outside the zone a.test, so its addresses belong to "
		"another "
		"zone: remove them\n"
		"t:9: zones.nameservers: BA.test. is listed twice\n"
		"t:10: zones.nameservers.name: \"x..y\" is not a domain name\n");
}

static void test_contact(void **state)
{
	(void)state;
	static const char *const good[] = {
		"a@b.test", "a.b+c@b.test.", "hostmaster.example.org", "hostmaster.b."};
	static const char *const bad[] = {
		"hostmaster", "@b.test", "a@", "a b@c.test", "a@b@c.test", "a@b..c"};
	char text[512], expected[512];
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		snprintf(text, sizeof text,
			"zones: {name: a.test, nameservers: {name: n.test}, contact: '%s'}\n" API, good[i]);
		struct conf *c = load(text);
		assert_string_equal(c->zones[0].contact, good[i]);
		conf_free(&c);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text,
			"zones:\n  name: a.test\n  nameservers: {name: n.test}\n  contact: '%s'\n" API,
			bad[i]);
		snprintf(expected, sizeof expected,
			"t:4: zones.contact: \"%s\" is neither a mail address nor a domain name\n", bad[i]);
		refuse(text, expected);
	}
}

static void test_endpoint_twice(void **state)
{
	(void)state;
	refuse("zones: {name: a.test, nameservers: {name: n.test}}\n"
	       "dns:\n"
	       "  listen:\n"
	       "    - 127.0.0.1:53\n"
	       "    - '[::1]:53'\n"
	       "    - '[::ffff:127.0.0.1]:53'\n"
	       "api:\n"
	       "  tls: {mode: off}\n"
	       "  listen:\n"
	       "    - 127.0.0.1:80\n"
	       "    - '[::1]:53'\n"
	       "    - 127.0.0.1:80\n",
		"t:6: dns.listen: 127.0.0.1:53 is listed twice\n"
		"t:11: api.listen: [::1]:53 is listed twice\n"
		"t:12: api.listen: 127.0.0.1:80 is listed twice\n");
	struct conf *c = load("zones: {name: a.test, nameservers: {name: n.test}}\n"
			      "dns: {listen: ['127.0.0.1:0', '127.0.0.1:0']}\n"
			      "api: {tls: {mode: off}, listen: '127.0.0.1:0'}\n");
	conf_free(&c);
}

static void test_tls_listen(void **state)
{
	(void)state;
	struct conf *c = load("zones: {name: a.test, nameservers: {name: n.test}}\n"
			      "dns: {tls_listen: ['0.0.0.0:853', '[::]:853']}\n"
			      "api: {tls: {certificate: /c, key: /k}}\n");
	assert_int_equal(c->dns.tls_listen_count, 2);
	assert_int_equal(c->dns.tls_listen[1].port, 853);
	conf_free(&c);
	refuse("zones: {name: a.test, nameservers: {name: n.test}}\n"
	       "dns:\n"
	       "  listen: ['127.0.0.1:53', '[::1]:53']\n"
	       "  tls_listen:\n"
	       "    - 127.0.0.1:853\n"
	       "    - 127.0.0.1:53\n"
	       "    - 127.0.0.1:853\n"
	       "api:\n"
	       "  listen: ['127.0.0.1:443', '127.0.0.1:853']\n"
	       "  tls: {certificate: /c, key: /k}\n",
		"t:6: dns.tls_listen: 127.0.0.1:53 is listed twice\n"
		"t:7: dns.tls_listen: 127.0.0.1:853 is listed twice\n"
		"t:9: api.listen: 127.0.0.1:853 is listed twice\n");
	refuse("zones: {name: a.test, nameservers: {name: n.test}}\n"
	       "dns:\n"
	       "  tls_listen: '127.0.0.1:853'\n"
	       "api: {listen: '127.0.0.1:80', tls: {mode: off}}\n",
		"t:3: dns.tls_listen: DNS over TLS uses the certificate of the API, so api.tls must have mode "
		"files with certificate and key, or mode acme\n");
}

static void test_tls_files(void **state)
{
	(void)state;
	refuse(ZONE "api:\n  tls:\n    mode: files\n",
		"t:8: api.tls: mode files needs certificate and key\n");
	refuse(ZONE "api:\n  tls: {key: /k}\n", "t:8: api.tls: mode files needs certificate\n");
	refuse(ZONE "api:\n  tls: {certificate: /c}\n", "t:8: api.tls: mode files needs key\n");
	refuse(ZONE "api:\n  url: https://x\n", "t:7: api.tls: mode files needs certificate and key\n");
	/* One slip, one message. */
	refuse(ZONE "api:\n  tls: {certificat: /c, key: /k}\n",
		"t:8: unknown key \"certificat\" in api.tls; did you mean \"certificate\"?\n");
	refuse(ZONE "api:\n  tsl: {certificate: /c, key: /k}\n",
		"t:8: unknown key \"tsl\" in api; did you mean \"tls\"?\n");
}

static void test_tls_off(void **state)
{
	(void)state;
	refuse(ZONE "api:\n  listen: ['127.0.0.1:80', '[::]:80', '0.0.0.0:80']\n  tls:\n    mode: off\n",
		"t:10: api.tls.mode: with off, keys would cross the network in clear to [::]:80; use files, "
		"or listen "
		"on 127.0.0.1, or name the proxy that does the TLS in api.trusted_proxies\n");
	struct conf *c =
		load(ZONE "api: {listen: '0.0.0.0:80', tls: {mode: off}, trusted_proxies: 10.0.0.1}\n");
	conf_free(&c);
	c = load(ZONE "api: {listen: ['[::1]:80', '127.3.2.1:80'], tls: {mode: off}}\n");
	conf_free(&c);
}

static void test_base_paths(void **state)
{
	(void)state;
#define ADVICE                                                                                               \
	" must start with / and have letters, digits and -._~ between single slashes, no . or .. alone\n"
	refuse(ZONE "api:\n"
		    "  listen: '127.0.0.1:80'\n"
		    "  tls: {mode: off}\n"
		    "  base_paths:\n"
		    "    - a\n"
		    "    - /a/../b\n"
		    "    - /a/./b\n"
		    "    - /a//b\n"
		    "    - /..\n"
		    "    - /a?b\n"
		    "    - /x\n"
		    "    - /x/\n"
		    "    - /...\n"
		    "    - /.well-known\n"
		    "    - /%61\n",
		"t:11: api.base_paths: \"a\"" ADVICE "t:12: api.base_paths: \"/a/../b\"" ADVICE
		"t:13: api.base_paths: \"/a/./b\"" ADVICE "t:14: api.base_paths: \"/a//b\"" ADVICE
		"t:15: api.base_paths: \"/..\"" ADVICE "t:16: api.base_paths: \"/a?b\"" ADVICE
		"t:18: api.base_paths: \"/x\" is listed twice\n"
		"t:21: api.base_paths: \"/%61\"" ADVICE);
}

static void test_url(void **state)
{
	(void)state;
	static const char *const bad[] = {"ftp://x", "https://", "http:///", "HTTPS://x", "https://x?y",
		"https://x/#", "https://u@x", "https://x y", "auth.example.org"};
	char text[512], expected[512];
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text,
			ZONE "api:\n  listen: '127.0.0.1:80'\n  tls: {mode: off}\n  url: '%s'\n", bad[i]);
		snprintf(expected, sizeof expected,
			"t:10: api.url: \"%s\" must be http:// or https:// with a host, and perhaps a port "
			"and a path\n",
			strcmp(bad[i], "http:///") == 0 ? "http://" : bad[i]);
		refuse(text, expected);
	}
}

/* unix(7): sun_path has room for 107 characters and a NUL. */
static void test_admin(void **state)
{
	(void)state;
	static const char eighty[] =
		"/23456789/23456789/23456789/23456789/23456789/23456789/23456789/23456789";
	char text[512];
	refuse(ZONE API "admin: {socket: run/x, token_file: ./t}\n",
		"t:8: admin.socket: \"run/x\" is not an absolute path\n"
		"t:8: admin.token_file: \"./t\" is not an absolute path\n");
	refuse(ZONE API "admin:\n  events: 10000001\n",
		"t:9: admin.events: \"10000001\" is not a number from 0 to 10000000\n");
	snprintf(text, sizeof text, "%sadmin: {socket: %s%.35s}\n", ZONE API, eighty, eighty);
	struct conf *c = load(text);
	assert_int_equal(strlen(c->admin.socket), 107);
	conf_free(&c);
	snprintf(text, sizeof text, "%sadmin: {socket: %s%.36s}\n", ZONE API, eighty, eighty);
	refuse(text, "t:8: admin.socket: 108 octets are too long, a socket's path has at most 107\n");
}

static void test_store_path(void **state)
{
	(void)state;
	refuse(ZONE API "store:\n  path: var/lib\n",
		"t:9: store.path: \"var/lib\" is not an absolute path\n");
}

/* Whatever room a problem comes from, the others are still found. */
static void test_all_problems_at_once(void **state)
{
	(void)state;
	refuse("zones:\n"
	       "  - name: a..test\n"
	       "    nameservers: {name: n.test}\n"
	       "  - name: b.test\n"
	       "    nameservers: {name: n.test}\n"
	       "    max_values: many\n"
	       "  - name: c.test\n"
	       "    nameservers: {name: n.c.test}\n"
	       "dns: {listn: x}\n"
	       "api: {base_paths: [/, /], url: x}\n"
	       "store: {path: x}\n",
		"t:6: zones.max_values: \"many\" is not a number from 2 to 32\n"
		"t:9: unknown key \"listn\" in dns; did you mean \"listen\"?\n"
		"t:2: zones.name: \"a..test\" is not a domain name\n"
		"t:8: zones.nameservers: n.c.test lies in the zone c.test, so it needs its addresses\n"
		"t:10: api.tls: mode files needs certificate and key\n"
		"t:10: api.base_paths: \"/\" is listed twice\n"
		"t:10: api.url: \"x\" must be http:// or https:// with a host, and perhaps a port and a "
		"path\n"
		"t:11: store.path: \"x\" is not an absolute path\n");
}

static void identity_of(const char *key, size_t len, char *text, size_t cap)
{
	char value[300];
	assert_true(len < sizeof value);
	memset(value, 'x', len);
	value[len] = 0;
	snprintf(text, cap, "zones: {name: a.test, nameservers: {name: n.test}}\ndns:\n  %s: \"%s\"\n" API,
		key, value);
}

/* What is told about the server: RFC 5001 (nsid), RFC 4892. */
static void test_identity(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		size_t max;
	} keys[] = {{"nsid", 128}, {"identity", 255}, {"version", 255}};
	char text[1024], expected[128];
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		size_t len = keys[i].max + 1;
		identity_of(keys[i].key, len, text, sizeof text);
		snprintf(expected, sizeof expected, "t:3: dns.%s: %zu octets are too long, at most %zu fit\n",
			keys[i].key, len, keys[i].max);
		refuse(text, expected);
		identity_of(keys[i].key, keys[i].max, text, sizeof text);
		struct conf *c = load(text);
		conf_free(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zone_names),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_zone_twice),
		cmocka_unit_test(test_nameservers),
		cmocka_unit_test(test_contact),
		cmocka_unit_test(test_endpoint_twice),
		cmocka_unit_test(test_tls_listen),
		cmocka_unit_test(test_tls_files),
		cmocka_unit_test(test_tls_off),
		cmocka_unit_test(test_base_paths),
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_store_path),
		cmocka_unit_test(test_admin),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_all_problems_at_once),
	};
	return cmocka_run_group_tests_name("conf_checks", tests, NULL, NULL);
}
