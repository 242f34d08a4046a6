// SPDX-License-Identifier: GPL-3.0-or-later
/* api.tls.mode acme: what it takes, what it needs, and whose host name the certificate is for. */
#include "support.h"

#define ACME(url, more)                                                                                      \
	ZONE "api:\n"                                                                                        \
	     "  listen: '127.0.0.1:8443'\n"                                                                  \
	     "  url: " url "\n"                                                                              \
	     "  tls:\n"                                                                                      \
	     "    mode: acme\n" more

static void defaults_do_for_lets_encrypt(void **state)
{
	(void)state;
	struct conf *c = load(ZONE "api: {listen: '127.0.0.1:8443', tls: {mode: acme}}\n");
	assert_int_equal(c->api.tls_mode, CONF_TLS_ACME);
	assert_string_equal(c->api.url, "https://auth.test");
	assert_string_equal(c->api.host, "auth.test");
	assert_ptr_equal(c->api.host_zone, &c->zones[0]);
	assert_string_equal(c->api.acme.directory, "https://acme-v02.api.letsencrypt.org/directory");
	assert_string_equal(c->api.acme.contact, "hostmaster@auth.test");
	assert_null(c->api.acme.ca_file);
	assert_null(c->api.acme.eab_key_id);
	conf_free(&c);
}

static void everything_is_taken(void **state)
{
	(void)state;
	struct conf *c = load(ACME("https://API.auth.test.:8443/x",
		"    acme: {directory: 'https://ca.test/dir', ca_file: /r.pem, contact: me@auth.test, "
		"eab_key_id: k, eab_hmac_key_file: /h, preferred_chain: Root X, profile: shortlived}\n"));
	assert_string_equal(c->api.host, "api.auth.test");
	assert_string_equal(c->api.acme.directory, "https://ca.test/dir");
	assert_string_equal(c->api.acme.ca_file, "/r.pem");
	assert_string_equal(c->api.acme.contact, "me@auth.test");
	assert_string_equal(c->api.acme.eab_key_id, "k");
	assert_string_equal(c->api.acme.eab_hmac_key_file, "/h");
	assert_string_equal(c->api.acme.preferred_chain, "Root X");
	assert_string_equal(c->api.acme.profile, "shortlived");
	conf_free(&c);
}

/* The certificate is for a name, and TLS is spoken here. */
static void the_url_must_be_https_with_a_name(void **state)
{
	(void)state;
	refuse(ACME("http://auth.test", ""),
		"t:9: api.url: \"http://auth.test\" must be https:// with api.tls.mode acme\n");
	static const char *const addresses[] = {"https://192.0.2.1", "https://[2001:db8::1]",
		"https://[2001:db8::1]:443", "https://localhost"};
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		char text[512], expected[256];
		snprintf(text, sizeof text, ACME("'%s'", ""), addresses[i]);
		snprintf(expected, sizeof expected,
			"t:9: api.url: \"%s\" must have a host name, not an address, with api.tls.mode acme: that "
			"name is what the certificate is for\n",
			addresses[i]);
		refuse(text, expected);
	}
}

static void problems_have_lines(void **state)
{
	(void)state;
	refuse(ACME("https://auth.test", "    acme:\n"
					 "      directory: http://ca.test/dir\n"
					 "      contact: nobody\n"
					 "      eab_key_id: k\n"
					 "      ca_file: r.pem\n"),
		"t:13: api.tls.acme.directory: \"http://ca.test/dir\" is not an https:// URL\n"
		"t:14: api.tls.acme.contact: \"nobody\" is not a mail address\n"
		"t:12: api.tls.acme: eab_key_id needs eab_hmac_key_file beside it; the CA gives out both\n"
		"t:16: api.tls.acme.ca_file: \"r.pem\" is not an absolute path\n");
	refuse(ACME("https://auth.test", "    acme: {eab_hmac_key_file: /h}\n"),
		"t:12: api.tls.acme: eab_hmac_key_file needs eab_key_id beside it; the CA gives out both\n");
	refuse(ACME("https://auth.test", "    acme: {eab_key_id: k, eab_hmac_key_file: h}\n"),
		"t:12: api.tls.acme.eab_hmac_key_file: \"h\" is not an absolute path\n");
}

/* RFC 8555 section 8.4: the CA asks _acme-challenge.<host>, which is then somebody else's to set. */
static void a_host_elsewhere_needs_a_record_there(void **state)
{
	(void)state;
	struct conf *c = load_with(ACME("https://acme.example.com", ""),
		"t:9: warning: api.url: acme.example.com lies in none of the zones; to get its certificate the "
		"server needs this record in the zone that holds it: _acme-challenge.acme.example.com. CNAME "
		"_acme-challenge.auth.test.\n");
	assert_null(c->api.host_zone);
	conf_free(&c);
}

static void the_innermost_zone_holds_the_host(void **state)
{
	(void)state;
	struct conf *c =
		load("zones:\n"
		     "  - {name: test, nameservers: {name: n.example}, contact: a.b.example}\n"
		     "  - {name: in.auth.test, nameservers: {name: n.example}}\n"
		     "  - {name: auth.test, nameservers: {name: n.example}}\n"
		     "  - {name: uth.test, nameservers: {name: n.example}}\n"
		     "api: {url: 'https://api.auth.test', listen: '127.0.0.1:8443', tls: {mode: acme}}\n");
	assert_ptr_equal(c->api.host_zone, &c->zones[2]);
	assert_string_equal(c->api.acme.contact, "a@b.example"); /* the form of SOA records */
	conf_free(&c);
}

/* Other modes: the host is known, and nothing is asked for. */
static void other_modes_want_nothing(void **state)
{
	(void)state;
	struct conf *c =
		load(ZONE "api: {listen: '127.0.0.1:1', url: 'https://x.auth.test', tls: {mode: off, "
			  "acme: {directory: nonsense}}}\n");
	assert_string_equal(c->api.host, "x.auth.test");
	assert_null(c->api.acme.contact);
	conf_free(&c);
	c = load(ZONE "api: {listen: '127.0.0.1:1', tls: {mode: off}}\n");
	assert_null(c->api.host);
	conf_free(&c);
}

/* DNS over TLS uses that certificate, too. */
static void dns_over_tls_may_use_it(void **state)
{
	(void)state;
	struct conf *c = load("zones: {name: auth.test, nameservers: {name: n.example}}\n"
			      "dns: {tls_listen: '127.0.0.1:853'}\n"
			      "api: {listen: '127.0.0.1:8443', tls: {mode: acme}}\n");
	assert_int_equal(c->dns.tls_listen_count, 1);
	conf_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_do_for_lets_encrypt),
		cmocka_unit_test(everything_is_taken),
		cmocka_unit_test(the_url_must_be_https_with_a_name),
		cmocka_unit_test(problems_have_lines),
		cmocka_unit_test(a_host_elsewhere_needs_a_record_there),
		cmocka_unit_test(the_innermost_zone_holds_the_host),
		cmocka_unit_test(other_modes_want_nothing),
		cmocka_unit_test(dns_over_tls_may_use_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
