// SPDX-License-Identifier: GPL-3.0-or-later
#include <unistd.h>

#include "support.h"

static char *printed(const struct conf *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	assert_non_null(f);
	if (c)
		conf_print(c, f);
	else
		conf_print_sample(f);
	fclose(f);
	return text;
}

static void assert_round_trip(const struct conf *c)
{
	char *once = printed(c);
	struct conf *again = load(once);
	char *twice = printed(again);
	assert_string_equal(once, twice);
	conf_free(&again);
	free(once);
	free(twice);
}

static void test_print(void **state)
{
	(void)state;
	struct conf *c = load("zones: {name: a.test, nameservers: {name: n.a.test, addresses: '::1'}, "
			      "records: ['@ 60 TXT \"x\"']}\n" API);
	char *text = printed(c);
	assert_string_equal(text, "zones:\n"
				  "  - name: a.test\n"
				  "    nameservers:\n"
				  "      - name: n.a.test\n"
				  "        addresses: [\"::1\"]\n"
				  "    contact: null\n"
				  "    records:\n"
				  "      - \"@ 60 TXT \\\"x\\\"\"\n"
				  "    value_ttl: 1\n"
				  "    negative_ttl: 5\n"
				  "    value_lifetime: 1h\n"
				  "    max_values: 32\n"
				  "dns:\n"
				  "  listen: [0.0.0.0:53, \"[::]:53\"]\n"
				  "  workers: 0\n"
				  "  tls_listen: []\n"
				  "  tcp_connections: 4000\n"
				  "  rate_limit:\n"
				  "    responses_per_second: 200\n"
				  "    unlimited: []\n"
				  "  cookie_secret_file: null\n"
				  "  nsid: null\n"
				  "  identity: null\n"
				  "  version: null\n"
				  "api:\n"
				  "  listen: [127.0.0.1:8443]\n"
				  "  url: http://127.0.0.1:8443\n"
				  "  base_paths: [/, /api/v1/acme-dns-compat]\n"
				  "  tls:\n"
				  "    mode: off\n"
				  "    certificate: null\n"
				  "    key: null\n"
				  "    acme:\n"
				  "      directory: https://acme-v02.api.letsencrypt.org/directory\n"
				  "      ca_file: null\n"
				  "      contact: null\n"
				  "      eab_key_id: null\n"
				  "      eab_hmac_key_file: null\n"
				  "      preferred_chain: null\n"
				  "      profile: null\n"
				  "  trusted_proxies: []\n"
				  "  failed_login_delay: 2s\n"
				  "  registration:\n"
				  "    mode: open\n"
				  "    per_address_per_hour: 20\n"
				  "    per_day: 1000\n"
				  "store:\n"
				  "  path: /var/lib/acme-delegate\n"
				  "user: null\n"
				  "log:\n"
				  "  level: info\n"
				  "  format: text\n"
				  "admin:\n"
				  "  socket: /run/acme-delegate/admin.sock\n"
				  "  group: null\n"
				  "  token_file: null\n"
				  "  events: 100000\n"
				  "metrics:\n"
				  "  listen: []\n");
	free(text);
	assert_round_trip(c);
	conf_free(&c);
}

/* Whatever a text can hold comes back as it was. */
static void test_awkward_texts(void **state)
{
	(void)state;
	struct conf *c =
		load("zones:\n"
		     "  - name: a.test\n"
		     "    nameservers: [{name: N.A.test., addresses: [192.0.2.1, '::1']}, {name: b.test}]\n"
		     "    value_lifetime: 90m\n"
		     "    records: ['a: b', '# c', '\"\\', \"\\u2028\\x85\\uFEFF\\U0001F600\", ~x, 'null']\n"
		     "  - {name: c.test, nameservers: {name: b.test}, value_lifetime: 61}\n"
		     "api:\n"
		     "  tls: {certificate: \"/\xc3\xa4 b\", key: 'null'}\n"
		     "  trusted_proxies: [10.1.2.3/8, '::ffff:1.2.3.4/90', '::/0', 0.0.0.0/0, '::1']\n"
		     "store: {path: '/a:'}\n"
		     "user: '~'\n");
	assert_string_equal(c->zones[0].records[3].text, "\xe2\x80\xa8\xc2\x85\xef\xbb\xbf\xf0\x9f\x98\x80");
	assert_round_trip(c);
	char *text = printed(c);
	assert_non_null(strstr(text, "value_lifetime: 90m\n"));
	assert_non_null(strstr(text, "value_lifetime: 61s\n"));
	assert_non_null(strstr(text, "key: \"null\"\n"));
	struct conf *again = load(text);
	assert_string_equal(again->zones[0].records[3].text, c->zones[0].records[3].text);
	assert_string_equal(again->zones[0].records[2].text, "\"\\");
	assert_string_equal(again->api.tls_certificate, "/\xc3\xa4 b");
	assert_string_equal(again->user, "~");
	assert_memory_equal(again->api.trusted_proxies, c->api.trusted_proxies,
		c->api.trusted_proxy_count * sizeof(struct prefix));
	conf_free(&again);
	free(text);
	conf_free(&c);
}

static void test_sample(void **state)
{
	(void)state;
	static const char *const keys[] = {"zones:", "name:", "nameservers:", "addresses:", "contact:",
		"records:", "value_ttl:", "negative_ttl:", "value_lifetime:", "max_values:", "dns:",
		"listen:", "workers:", "api:", "url:", "base_paths:", "tls:", "mode:", "certificate:", "key:",
		"trusted_proxies:", "registration:", "per_address_per_hour:", "per_day:", "store:", "path:",
		"# user:", "log:", "level:", "format:", "admin:", "# socket:", "# group:", "# token_file:",
		"events:", "metrics:"};
	char *text = printed(NULL);
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		assert_non_null(strstr(text, keys[i]));
	struct conf *c = load(text);
	assert_string_equal(c->zones[0].name, "auth.example.org");
	assert_int_equal(c->zones[0].value_ttl, 1);
	assert_int_equal(c->zones[0].record_count, 2);
	assert_int_equal(c->api.registration_per_day, 1000);
	assert_string_equal(c->api.url, "https://auth.example.org");
	assert_round_trip(c);
	conf_free(&c);
	free(text);
}

static void assert_local_store(const char *expected)
{
	struct diag *d = diag_new();
	struct conf *c;
	assert_int_equal(conf_local(d, &c), OK);
	assert_string_equal(c->store_path, expected);
	conf_free(&c);
	diag_free(&d);
}

static void test_local(void **state)
{
	(void)state;
	struct diag *d = diag_new();
	struct conf *c;
	assert_int_equal(setenv("HOME", "/home/\"x", 1), 0);
	assert_int_equal(unsetenv("XDG_STATE_HOME"), 0);
	uid_t before = geteuid();
	if (before == 0) { /* in a container: the rest as somebody else */
		assert_local_store("/var/lib/acme-delegate-local");
		assert_int_equal(seteuid(65534), 0);
	}
	assert_int_equal(conf_local(d, &c), OK);
	assert_null(c->file);
	assert_string_equal(c->zones[0].name, "auth.test");
	assert_string_equal(c->zones[0].nameservers[0].name, "ns1.auth.test");
	assert_string_equal(c->zones[0].contact, "hostmaster@auth.test");
	assert_int_equal(c->dns.listen_count, 2);
	assert_int_equal(c->dns.listen[0].port, 5353);
	for (size_t i = 0; i < c->dns.listen_count; i++)
		assert_true(address_is_loopback(&c->dns.listen[i].address));
	assert_int_equal(c->api.listen_count, 1);
	assert_true(address_is_loopback(&c->api.listen[0].address));
	assert_int_equal(c->api.tls_mode, CONF_TLS_OFF);
	assert_string_equal(c->api.url, "http://127.0.0.1:8443");
	assert_string_equal(c->store_path, "/home/\"x/.local/state/acme-delegate");
	assert_string_equal(c->admin.socket, "/home/\"x/.local/state/acme-delegate/admin.sock");
	assert_int_equal(diag_errors(d), 0);
	assert_round_trip(c);
	conf_free(&c);
	assert_int_equal(setenv("XDG_STATE_HOME", "/state", 1), 0);
	assert_local_store("/state/acme-delegate");
	assert_int_equal(setenv("XDG_STATE_HOME", "state", 1), 0); /* relative: to be ignored */
	assert_local_store("/home/\"x/.local/state/acme-delegate");
	assert_int_equal(unsetenv("HOME"), 0);
	assert_int_equal(conf_local(d, &c), ERR_INVALID);
	assert_null(c);
	char *problems = printed_diag(d);
	assert_string_equal(
		problems, "no place for the store: neither XDG_STATE_HOME nor HOME is an absolute path\n");
	free(problems);
	diag_free(&d);
	assert_int_equal(seteuid(before), 0);
}

/* The sample's comments around somebody's choice: what was chosen stands there, what was not is an example.
 */
static void test_commented(void **state)
{
	(void)state;
	static const char text[] =
		"zones: {name: a.test, nameservers: [{name: n.a.test, addresses: '::1'}, {name: n.b.test}], "
		"records: ['@ 60 TXT \"#\"']}\n"
		"dns: {nsid: '#1'}\nadmin: {group: wheel}\n" API;
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	struct diag *d = diag_new();
	assert_int_equal(conf_print_commented(text, strlen(text), d, f), OK);
	fclose(f);
	static const char *const lines[] = {"  - name: a.test\n", "      - name: n.b.test\n",
		"        # addresses: [198.51.100.1, 2001:db8::1]\n",
		"    # contact: hostmaster@example.org\n", "      - \"@ 60 TXT \\\"#\\\"\"\n",
		"  nsid: \"#1\"\n", "  # identity: ns1\n", "  group: wheel\n",
		"  # socket: /run/acme-delegate/admin.sock\n",
		"    # certificate: /etc/acme-delegate/chain.pem\n"};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		assert_non_null(strstr(out, lines[i]));
	struct conf *direct = load(text), *again = load(out);
	char *a = printed(direct), *b = printed(again);
	assert_string_equal(a, b);
	free(a);
	free(b);
	free(out);
	conf_free(&direct);
	conf_free(&again);
	f = fopen("/dev/null", "w");
	assert_int_equal(conf_print_commented("zones: [", 8, d, f), ERR_INVALID);
	assert_int_equal(conf_print_commented("dns: {workers: x}", 17, d, f), ERR_INVALID);
	fclose(f);
	diag_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_awkward_texts),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_commented),
		cmocka_unit_test(test_local),
	};
	return cmocka_run_group_tests_name("conf_print", tests, NULL, NULL);
}
