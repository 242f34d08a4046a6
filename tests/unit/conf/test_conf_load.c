// SPDX-License-Identifier: GPL-3.0-or-later
#include "support.h"

#include <unistd.h>

static void assert_endpoint(const struct endpoint *e, const char *expected)
{
	char text[ENDPOINT_TEXT];
	endpoint_format(e, text);
	assert_string_equal(text, expected);
}

static void test_defaults(void **state)
{
	(void)state;
	struct conf *c = load("zones:\n"
			      "  - name: auth.example.org\n"
			      "    nameservers: [{name: ns.example.net}]\n"
			      "api: {tls: {certificate: /c.pem, key: /k.pem}}\n");
	const struct conf_zone *z = &c->zones[0];
	assert_string_equal(c->file, "t");
	assert_null(c->user);
	assert_int_equal(c->zone_count, 1);
	assert_null(z->contact);
	assert_int_equal(z->record_count, 0);
	assert_int_equal(z->value_ttl, 1);
	assert_int_equal(z->negative_ttl, 5);
	assert_int_equal(z->value_lifetime, 3600 * 1000);
	assert_int_equal(z->max_values, 32);
	assert_int_equal(c->dns.listen_count, 2);
	assert_endpoint(&c->dns.listen[0], "0.0.0.0:53");
	assert_endpoint(&c->dns.listen[1], "[::]:53");
	assert_int_equal(c->dns.workers, 0);
	assert_int_equal(c->api.listen_count, 1);
	assert_endpoint(&c->api.listen[0], "0.0.0.0:443");
	assert_string_equal(c->api.url, "https://auth.example.org");
	assert_int_equal(c->api.base_path_count, 2);
	assert_string_equal(c->api.base_paths[0], "/");
	assert_string_equal(c->api.base_paths[1], "/api/v1/acme-dns-compat");
	assert_int_equal(c->api.tls_mode, CONF_TLS_FILES);
	assert_int_equal(c->api.trusted_proxy_count, 0);
	assert_int_equal(c->api.registration_mode, CONF_REGISTRATION_OPEN);
	assert_int_equal(c->api.registration_per_address_per_hour, 20);
	assert_int_equal(c->api.registration_per_day, 1000);
	assert_string_equal(c->store_path, "/var/lib/acme-delegate");
	assert_string_equal(c->admin.socket, "/run/acme-delegate/admin.sock");
	assert_false(c->admin.socket_given);
	assert_null(c->admin.group);
	assert_null(c->admin.token_file);
	assert_int_equal(c->admin.events, 100000);
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(c->log_format, LOG_FORMAT_TEXT);
	conf_free(&c);
	assert_null(c);
	conf_free(&c);
}

static void assert_zone(const struct conf_zone *z)
{
	assert_string_equal(z->name, "auth.example.org");
	assert_int_equal(z->line, 2);
	assert_string_equal(z->nameservers[0].name, "ns1.auth.example.org");
	assert_int_equal(z->nameservers[0].line, 4);
	assert_int_equal(z->nameservers[0].address_count, 2);
	assert_true(address_is_ipv4(&z->nameservers[0].addresses[0]));
	assert_int_equal(z->nameservers[1].line, 5);
	assert_int_equal(z->record_count, 2);
	assert_string_equal(z->records[1].text, "@ 3600 CAA 0 issue \"letsencrypt.org\"");
	assert_int_equal(z->records[0].line, 7);
	assert_int_equal(z->records[1].line, 8);
	assert_int_equal(z->value_ttl, 0);
	assert_int_equal(z->negative_ttl, 60);
	assert_int_equal(z->value_lifetime, INT64_C(30) * 86400 * 1000);
	assert_int_equal(z->max_values, 2);
}

static void test_every_key(void **state)
{
	(void)state;
	struct conf *c =
		load_with("zones:\n"
			  "  - name: Auth.Example.ORG.\n"
			  "    nameservers:\n"
			  "      - {name: ns1.auth.example.org, addresses: [198.51.100.1, '2001:db8::1']}\n"
			  "      - name: ns.example.net\n"
			  "    records:\n"
			  "      - '@ 3600 A 198.51.100.1'\n"
			  "      - '@ 3600 CAA 0 issue \"letsencrypt.org\"'\n"
			  "    contact: hostmaster@example.org\n"
			  "    value_ttl: 0\n"
			  "    negative_ttl: 1m\n"
			  "    value_lifetime: 30d\n"
			  "    max_values: 2\n"
			  "dns: {listen: ['[::1]:53'], workers: 256}\n"
			  "api:\n"
			  "  listen: '127.0.0.1:80'\n"
			  "  url: http://auth.example.org:8080/base//\n"
			  "  base_paths: [/x/, /]\n"
			  "  tls: {mode: off, certificate: null, key: ~}\n"
			  "  trusted_proxies: [10.1.2.3/8, 192.0.2.1, '2001:db8::/32', '::1']\n"
			  "  registration: {mode: closed, per_address_per_hour: 0, per_day: 7}\n"
			  "admin: {socket: /run/x, group: adm, token_file: /etc/t, events: 0}\n"
			  "store: {path: /srv/store}\n"
			  "user: nobody\n"
			  "log: {level: debug, format: json}\n"
			  "metrics: {listen: ['127.0.0.1:9153']}\n",
			"");
	assert_endpoint(&c->metrics.listen[0], "127.0.0.1:9153");
	assert_zone(&c->zones[0]);
	assert_endpoint(&c->dns.listen[0], "[::1]:53");
	assert_int_equal(c->dns.workers, 256);
	assert_string_equal(c->api.url, "http://auth.example.org:8080/base");
	assert_string_equal(c->api.base_paths[0], "/x");
	assert_string_equal(c->api.base_paths[1], "/");
	assert_int_equal(c->api.tls_mode, CONF_TLS_OFF);
	assert_null(c->api.tls_key);
	assert_int_equal(c->api.trusted_proxies[0].bits, 104);
	assert_int_equal(c->api.trusted_proxies[0].base.bytes[12], 10);
	assert_int_equal(c->api.trusted_proxies[0].base.bytes[15], 0);
	assert_int_equal(c->api.trusted_proxies[1].bits, 128);
	assert_int_equal(c->api.trusted_proxies[2].bits, 32);
	assert_int_equal(c->api.trusted_proxies[3].bits, 128);
	assert_int_equal(c->api.registration_mode, CONF_REGISTRATION_CLOSED);
	assert_int_equal(c->api.registration_per_address_per_hour, 0);
	assert_int_equal(c->api.registration_per_day, 7);
	assert_string_equal(c->store_path, "/srv/store");
	assert_string_equal(c->admin.socket, "/run/x");
	assert_true(c->admin.socket_given);
	assert_string_equal(c->admin.group, "adm");
	assert_string_equal(c->admin.token_file, "/etc/t");
	assert_int_equal(c->admin.events, 0);
	assert_string_equal(c->user, "nobody");
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->log_format, LOG_FORMAT_JSON);
	conf_free(&c);
}

static void test_url_derived_when_tls_is_off(void **state)
{
	(void)state;
	struct conf *c = load(ZONE API);
	assert_string_equal(c->api.url, "http://127.0.0.1:8443");
	conf_free(&c);
}

static void test_duration_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {{"1", 1000}, {"90s", 90000}, {"10m", 600000}, {"2h", 7200000}, {"1d", 86400000}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[512];
		snprintf(text, sizeof text,
			"zones: {name: a.test, value_lifetime: %s, nameservers: {name: n.test}}\n" API,
			cases[i].text);
		struct conf *c = load(text);
		assert_int_equal(c->zones[0].value_lifetime, cases[i].ms);
		conf_free(&c);
	}
}

static void test_unknown_key(void **state)
{
	(void)state;
	refuse(ZONE API "zonez: []\n", "t:8: unknown key \"zonez\"; did you mean \"zones\"?\n");
	/* One slip, one message: it is not missing as well. */
	refuse("zone: [{name: a.test, nameservers: {name: n.test}}]\n" API,
		"t:1: unknown key \"zone\"; did you mean \"zones\"?\n");
	refuse("zones:\n  - name: auth.test\n    max_value: 3\n    nameservers: {name: n.test}\n" API
	       "dns:\n  workers: 1\n  listn: '127.0.0.1:53'\n",
		"t:3: unknown key \"max_value\" in zones; did you mean \"max_values\"?\n"
		"t:8: unknown key \"listn\" in dns; did you mean \"listen\"?\n");
	refuse(ZONE API "store: {pathname: /x}\n",
		"t:8: unknown key \"pathname\" in store; known are path\n");
	refuse(ZONE API "store: {\"\\e[2J\": /x}\n", "t:8: unknown key \"?[2J\" in store; known are path\n");
}

static void test_duplicate_key(void **state)
{
	(void)state;
	refuse(ZONE API
		"store: {path: /a}\nlog:\n  level: info\n  format: text\n  level: info\nstore: {path: /a}\n",
		"t:12: log.level stands here a second time\n"
		"t:13: store stands here a second time\n");
	refuse(ZONE API "user:\nuser: x\n", "t:9: user stands here a second time\n");
}

static void test_wrong_values(void **state)
{
	(void)state;
	refuse(ZONE "api:\n"
		    "  listen: localhost:443\n"
		    "  trusted_proxies: [10.0.0.0/33, x]\n"
		    "  registration: {per_day: -1, per_address_per_hour: 1e3}\n"
		    "log: {level: verbose}\n",
		"t:8: api.listen: \"localhost:443\" is not an address with a port, like 192.0.2.1:53 or "
		"[2001:db8::1]:53\n"
		"t:9: api.trusted_proxies: \"10.0.0.0/33\" is not an address or a prefix, like 192.0.2.1 or "
		"2001:db8::/32\n"
		"t:9: api.trusted_proxies: \"x\" is not an address or a prefix, like 192.0.2.1 or "
		"2001:db8::/32\n"
		"t:10: api.registration.per_day: \"-1\" is not a number from 0 to 100000000\n"
		"t:10: api.registration.per_address_per_hour: \"1e3\" is not a number from 0 to 1000000\n"
		"t:11: log.level: \"verbose\" is not one of error, warning, info, debug\n"
		"t:7: api.tls: mode files needs certificate and key\n");
}

static void test_ranges(void **state)
{
	(void)state;
	refuse("zones:\n"
	       "  - name: auth.test\n"
	       "    nameservers: {name: n.test, addresses: [1.2.3, '::g']}\n"
	       "    value_ttl: 61\n"
	       "    negative_ttl: 2m\n"
	       "    value_lifetime: 0\n"
	       "    max_values: 33\n"
	       "  - name: b.test\n"
	       "    nameservers: {name: n.test}\n"
	       "    value_lifetime: 31d\n"
	       "    max_values: 1\n"
	       "    value_ttl: 99999999999999999999d\n"
	       "    negative_ttl: s\n"
	       "dns: {workers: 257}\n" API,
		"t:3: zones.nameservers.addresses: \"1.2.3\" is not an IPv4 or IPv6 address\n"
		"t:3: zones.nameservers.addresses: \"::g\" is not an IPv4 or IPv6 address\n"
		"t:4: zones.value_ttl: \"61\" is not a number of seconds from 0 to 60\n"
		"t:5: zones.negative_ttl: \"2m\" is not a number of seconds from 0 to 60\n"
		"t:6: zones.value_lifetime: \"0\" is not a duration from 1s to 30d, like 90s, 10m, 1h or 1d\n"
		"t:7: zones.max_values: \"33\" is not a number from 2 to 32\n"
		"t:10: zones.value_lifetime: \"31d\" is not a duration from 1s to 30d, like 90s, 10m, 1h or "
		"1d\n"
		"t:11: zones.max_values: \"1\" is not a number from 2 to 32\n"
		"t:12: zones.value_ttl: \"99999999999999999999d\" is not a number of seconds from 0 to 60\n"
		"t:13: zones.negative_ttl: \"s\" is not a number of seconds from 0 to 60\n"
		"t:14: dns.workers: \"257\" is not a number from 0 to 256\n");
}

static void test_wrong_shapes(void **state)
{
	(void)state;
	refuse(ZONE "api: 3\nstore: [a]\nlog:\n  level: {a: b}\ndns2: {}\n",
		"t:7: api: expected keys with values (key: value)\n"
		"t:8: store: expected keys with values (key: value)\n"
		"t:10: log.level: expected one of error, warning, info, debug, found a mapping\n"
		"t:11: unknown key \"dns2\"; did you mean \"dns\"?\n");
	refuse("zones: [a, [b]]\n" API, "t:1: zones: expected keys with values (key: value)\n"
					"t:1: zones: expected keys with values (key: value)\n");
	refuse("- a\n", "t:1: expected keys with values (key: value)\n");
	refuse(ZONE API "user: \"\"\n[a]: b\nstore:\n  path:\n    - /x\n",
		"t:8: user: the text is empty or has control characters\n"
		"t:9: a key must be a plain word\n"
		"t:12: store.path: expected a text, found a list\n");
	refuse(ZONE API "user: \"a\\0b\"\n", "t:8: user: the value has a NUL character\n");
	refuse(ZONE API "user: \"a\\nb\"\n", "t:8: user: the text is empty or has control characters\n");
}

static void test_missing(void **state)
{
	(void)state;
	refuse("", "t: zones is missing\nt: api.tls: mode files needs certificate and key\n");
	refuse("# nothing\n" API, "t: zones is missing\n");
	refuse("zones: []\n" API, "t:1: zones: has 0 entries, expected 1 to 1000\n");
	refuse("zones:\n  - contact: a@b.test\n  - name: c.test\n    nameservers: []\n" API,
		"t:2: zones.name is missing\n"
		"t:2: zones.nameservers is missing\n"
		"t:4: zones.nameservers: has 0 entries, expected 1 to 13\n");
	refuse("zones:\n  - name: c.test\n    nameservers:\n      - addresses: 127.0.0.1\n" API,
		"t:4: zones.nameservers.name is missing\n");
	refuse(ZONE "dns2:\n  - x\ndns: {listen: []}\n" API,
		"t:7: unknown key \"dns2\"; did you mean \"dns\"?\nt:9: dns stands here a second time\n");
}

static void test_registration_modes(void **state)
{
	(void)state;
	static const char *const names[] = {"open", "closed", "token"};
	static const enum conf_registration_mode modes[] = {
		CONF_REGISTRATION_OPEN, CONF_REGISTRATION_CLOSED, CONF_REGISTRATION_TOKEN};
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		char text[512];
		snprintf(text, sizeof text,
			"%sapi: {listen: '127.0.0.1:1', tls: {mode: off}, registration: {mode: %s}}\n", ZONE,
			names[i]);
		struct conf *c = load(text);
		assert_int_equal(c->api.registration_mode, modes[i]);
		conf_free(&c);
	}
}

static void test_yaml_problems(void **state)
{
	(void)state;
	refuse("zones: &z\n  - name: a.test\nother: *z\n",
		"t:3: aliases (*name) are not supported; write the value out\n");
	refuse("zones: &z\n  - *z\n", "t:2: aliases (*name) are not supported; write the value out\n");
	refuse(ZONE API "---\nlog: {}\n",
		"t:8: a second YAML document begins here; one file is one configuration\n");
	refuse("a: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", "t:1: nested too deeply\n");
	refuse("zones:\n  - name: 'a\n",
		"t:3: not valid YAML: found unexpected end of stream, while scanning a "
		"quoted scalar\n");
	refuse("zones:\n\t- a\n",
		"t:2: not valid YAML: found character that cannot start any token, while scanning "
		"for the next token\n");
	refuse("a: b\nb: c: d\n", "t:2: not valid YAML: mapping values are not allowed in this context\n");
	refuse("#\n#\nuser: \"\xff\"\n", "t:3: not valid YAML: invalid leading UTF-8 octet\n");
	refuse_bytes("user: a\n\0b", 10, "t:2: not valid YAML: control characters are not allowed\n");
}

static void test_too_large(void **state)
{
	(void)state;
	size_t len = (1 << 20) + 1;
	char *text = malloc(len);
	assert_non_null(text);
	memset(text, '\n', len);
	refuse_bytes(text, len, "t: larger than 1048576 bytes, surely not a configuration\n");
	refuse_bytes(
		text, len - 1, "t: zones is missing\nt: api.tls: mode files needs certificate and key\n");
	free(text);
}

static void refuse_file(const char *file, const char *expected)
{
	struct diag *d = diag_new();
	struct conf *c;
	assert_int_equal(conf_load(file, d, &c), ERR_INVALID);
	assert_null(c);
	char *problems = printed_diag(d);
	assert_string_equal(problems, expected);
	free(problems);
	diag_free(&d);
}

static void test_file(void **state)
{
	(void)state;
	char path[] = "/tmp/test_conf_XXXXXX", expected[256];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, ZONE API "zonez: 1\n", sizeof(ZONE API "zonez: 1\n") - 1),
		sizeof(ZONE API "zonez: 1\n") - 1);
	snprintf(expected, sizeof expected, "%s:8: unknown key \"zonez\"; did you mean \"zones\"?\n", path);
	refuse_file(path, expected);
	assert_int_equal(ftruncate(fd, sizeof(ZONE API) - 1), 0);
	struct diag *d = diag_new();
	struct conf *c;
	assert_int_equal(conf_load(path, d, &c), OK);
	assert_string_equal(c->file, path);
	conf_free(&c);
	diag_free(&d);
	assert_int_equal(ftruncate(fd, (1 << 20) + 7), 0);
	snprintf(expected, sizeof expected, "%s: larger than 1048576 bytes, surely not a configuration\n",
		path);
	refuse_file(path, expected);
	close(fd);
	unlink(path);
	snprintf(expected, sizeof expected, "%s: cannot be read: No such file or directory\n", path);
	refuse_file(path, expected);
	refuse_file("/", "/: cannot be read: Is a directory\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_url_derived_when_tls_is_off),
		cmocka_unit_test(test_duration_units),
		cmocka_unit_test(test_unknown_key),
		cmocka_unit_test(test_duplicate_key),
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_wrong_shapes),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_registration_modes),
		cmocka_unit_test(test_yaml_problems),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_file),
	};
	return cmocka_run_group_tests_name("conf_load", tests, NULL, NULL);
}
