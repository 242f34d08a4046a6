// SPDX-License-Identifier: GPL-3.0-or-later
/* Certificates and requests for them. */
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "acme/certificate.h"
#include "acme/documents.h"
#include "unit.h"
#include "util/text.h"

/* RFC 9773 appendix A. Its dates are of the year 1, so that it is no certificate to use. */
static const char rfc9773[] = "-----BEGIN CERTIFICATE-----\n"
			      "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt\n"
			      "cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS\n"
			      "BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu\n"
			      "7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf\n"
			      "qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B\n"
			      "yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb\n"
			      "+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK\n"
			      "-----END CERTIFICATE-----\n";

static const time_t born = 1764367200, dead = 1764367200 + 90 * 86400;

struct made {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

static void make(struct made *m, const char *cn, const char *const *names, const struct made *issuer)
{
	static uint8_t serial[] = {0, 0x87, 0x65, 0x43, 0x21};
	const struct made *by = issuer ? issuer : m;
	char dn[64];
	assert_int_equal(gnutls_x509_privkey_init(&m->key), 0);
	assert_int_equal(gnutls_x509_privkey_generate(m->key, GNUTLS_PK_ECDSA,
				 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	assert_int_equal(gnutls_x509_crt_init(&m->crt), 0);
	assert_int_equal(gnutls_x509_crt_set_version(m->crt, 3), 0);
	assert_int_equal(gnutls_x509_crt_set_serial(m->crt, serial, sizeof serial), 0);
	assert_int_equal(text_format(dn, sizeof dn, "CN=%s", cn), OK);
	assert_int_equal(gnutls_x509_crt_set_dn(m->crt, dn, NULL), 0);
	assert_int_equal(gnutls_x509_crt_set_activation_time(m->crt, born), 0);
	assert_int_equal(gnutls_x509_crt_set_expiration_time(m->crt, dead), 0);
	for (; names && *names; names++)
		assert_int_equal(gnutls_x509_crt_set_subject_alt_name(m->crt,
					 strchr(*names, '@') ? GNUTLS_SAN_RFC822NAME : GNUTLS_SAN_DNSNAME,
					 *names, (unsigned)strlen(*names), GNUTLS_FSAN_APPEND),
			0);
	assert_int_equal(gnutls_x509_crt_set_key(m->crt, m->key), 0);
	assert_int_equal(gnutls_x509_crt_sign2(m->crt, by->crt, by->key, GNUTLS_DIG_SHA256, 0), 0);
}

static void free_made(struct made *m)
{
	gnutls_x509_crt_deinit(m->crt);
	gnutls_x509_privkey_deinit(m->key);
}

static void append_pem(char *out, size_t cap, const struct made *m)
{
	gnutls_datum_t pem;
	size_t n = strlen(out);
	assert_int_equal(gnutls_x509_crt_export2(m->crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	assert_int_equal(text_format(out + n, cap - n, "%.*s", (int)pem.size, pem.data), OK);
	gnutls_free(pem.data);
}

static void key_pem(char *out, size_t cap, const struct made *m)
{
	gnutls_datum_t pem;
	assert_int_equal(
		gnutls_x509_privkey_export2_pkcs8(m->key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem),
		0);
	assert_int_equal(text_format(out, cap, "%.*s", (int)pem.size, pem.data), OK);
	gnutls_free(pem.data);
}

static const char *const two[] = {"a.example", "B.example", NULL};

struct fixture {
	struct made root, middle, leaf;
	char chain[4096], key[1024];
};

static void set_up(struct fixture *f)
{
	*f = (struct fixture){0};
	make(&f->root, "The root", NULL, NULL);
	make(&f->middle, "The middle", NULL, &f->root);
	make(&f->leaf, "a.example", two, &f->middle);
	append_pem(f->chain, sizeof f->chain, &f->leaf);
	append_pem(f->chain, sizeof f->chain, &f->middle);
	key_pem(f->key, sizeof f->key, &f->leaf);
}

static void tear_down(struct fixture *f)
{
	free_made(&f->root);
	free_made(&f->middle);
	free_made(&f->leaf);
}

static void test_what_is_read(void **state)
{
	(void)state;
	struct fixture f;
	struct certificate c;
	set_up(&f);
	assert_int_equal(certificate_read(f.chain, strlen(f.chain), &c), OK);
	assert_int_equal(c.not_before, (int64_t)born * 1000);
	assert_int_equal(c.not_after, (int64_t)dead * 1000);
	assert_int_equal(c.name_count, 2);
	assert_string_equal(c.top_issuer, "The root");
	assert_int_equal(strlen(c.handle), 32);
	tear_down(&f);
}

/* RFC 9773 section 4.1 and appendix A */
static void test_id_of_rfc9773(void **state)
{
	(void)state;
	static const uint8_t authority[] = {0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B,
		0x84, 0x7B, 0xA0, 0xAE, 0x2C, 0xDE, 0x01, 0xC8, 0xD4};
	static const uint8_t serial[] = {0x00, 0x87, 0x65, 0x43, 0x21};
	char id[CERTIFICATE_ID];
	assert_int_equal(certificate_make_id(authority, sizeof authority, serial, sizeof serial, id), OK);
	assert_string_equal(id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
	struct certificate c;
	assert_int_equal(certificate_read(rfc9773, strlen(rfc9773), &c), ERR_INVALID);
	assert_string_equal(c.id, id);
}

static void test_names_have_to_be_the_same(void **state)
{
	(void)state;
	struct fixture f;
	struct certificate c;
	static const char *const same[] = {"b.EXAMPLE", "a.example", "a.example"};
	static const char *const more[] = {"a.example", "b.example", "c.example"};
	set_up(&f);
	assert_int_equal(certificate_read(f.chain, strlen(f.chain), &c), OK);
	assert_true(certificate_names(&c, same, 2));
	assert_true(certificate_names(&c, same, 3));
	assert_false(certificate_names(&c, same, 1)); /* it is for one more */
	assert_false(certificate_names(&c, more, 3)); /* it is for one less */
	tear_down(&f);
}

static void test_other_names_than_dns(void **state)
{
	(void)state;
	struct made m;
	struct certificate c;
	char pem[2048] = "";
	static const char *const names[] = {"a.example"}, *const mixed[] = {"a.example", "a@b.example", NULL};
	make(&m, "x", mixed, NULL);
	append_pem(pem, sizeof pem, &m);
	assert_int_equal(certificate_read(pem, strlen(pem), &c), OK);
	assert_false(certificate_names(&c, names, 1));
	free_made(&m);
}

/* RFC 8555 section 7.4.2 and RFC 8446 section 4.4.2: the chain in its order */
static void test_chains_that_do_not_hang_together(void **state)
{
	(void)state;
	struct fixture f;
	struct certificate c;
	char text[4096] = "";
	set_up(&f);
	append_pem(text, sizeof text, &f.leaf);
	append_pem(text, sizeof text, &f.root);
	assert_int_equal(certificate_read(text, strlen(text), &c), ERR_INVALID);
	assert_int_equal(certificate_read("", 0, &c), ERR_INVALID);
	assert_int_equal(certificate_read(f.chain, 300, &c), ERR_INVALID);
	tear_down(&f);
}

static void test_key_and_certificate(void **state)
{
	(void)state;
	struct fixture f;
	char other[1024];
	set_up(&f);
	key_pem(other, sizeof other, &f.middle);
	assert_true(certificate_fits(f.chain, strlen(f.chain), f.key));
	assert_false(certificate_fits(f.chain, strlen(f.chain), other));
	assert_false(certificate_fits(f.chain, strlen(f.chain), ""));
	tear_down(&f);
}

/* RFC 8555 section 7.4.2: what a CA may slip in beside certificates, a key for instance, is not kept. */
static void test_file_holds_certificates_only(void **state)
{
	(void)state;
	struct fixture f;
	struct certificate c;
	char text[8192], origin[ACME_URL], other[1024], *out;
	set_up(&f);
	key_pem(other, sizeof other, &f.root);
	assert_int_equal(text_format(text, sizeof text, "%sand something else\n%s", f.chain, other), OK);
	assert_int_equal(certificate_file("https://ca.example/dir", f.key, text, strlen(text), &out), OK);
	assert_null(strstr(out, other));
	assert_null(strstr(out, "something else"));
	assert_non_null(strstr(out, f.key));
	assert_int_equal(certificate_read(out, strlen(out), &c), OK);
	assert_true(certificate_fits(out, strlen(out), out));
	certificate_origin(out, origin);
	assert_string_equal(origin, "https://ca.example/dir");
	certificate_origin(f.chain, origin);
	assert_string_equal(origin, "");
	free(out);
	tear_down(&f);
}

static void decode_csr(const char *text, gnutls_x509_crq_t crq)
{
	char copy[4096];
	gnutls_datum_t der;
	size_t n = strlen(text);
	assert_true(n + 4 < sizeof copy && text_is_base64url(text, n));
	for (size_t i = 0; i < n; i++)
		copy[i] = text[i] == '-' ? '+' : (char)(text[i] == '_' ? '/' : text[i]);
	while (n % 4)
		copy[n++] = '=';
	const gnutls_datum_t in = {(unsigned char *)copy, (unsigned)n};
	assert_int_equal(gnutls_base64_decode2(&in, &der), 0);
	assert_int_equal(gnutls_x509_crq_import(crq, &der, GNUTLS_X509_FMT_DER), 0);
	gnutls_free(der.data);
}

/* RFC 8555 section 7.4: the names of the order and no others, signed with the new key. */
static void test_request(void **state)
{
	(void)state;
	char *key, *csr, *second, *unused, name[64];
	gnutls_x509_crq_t crq;
	static const char *const names[] = {"a.example", "b.example"};
	assert_int_equal(certificate_request(names, 2, &key, &csr), OK);
	assert_int_equal(gnutls_x509_crq_init(&crq), 0);
	decode_csr(csr, crq);
	assert_int_equal(gnutls_x509_crq_verify(crq, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		size_t size = sizeof name;
		assert_int_equal(gnutls_x509_crq_get_subject_alt_name(crq, i, name, &size, NULL, NULL),
			GNUTLS_SAN_DNSNAME);
		name[size] = 0;
		assert_string_equal(name, names[i]);
	}
	size_t size = sizeof name;
	assert_int_equal(gnutls_x509_crq_get_subject_alt_name(crq, 2, name, &size, NULL, NULL),
		GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE);
	gnutls_x509_crq_deinit(crq);
	/* Each certificate has a key of its own. */
	assert_int_equal(certificate_request(names, 2, &second, &unused), OK);
	assert_string_not_equal(key, second);
	free(key);
	free(csr);
	free(second);
	free(unused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_read),
		cmocka_unit_test(test_id_of_rfc9773),
		cmocka_unit_test(test_names_have_to_be_the_same),
		cmocka_unit_test(test_other_names_than_dns),
		cmocka_unit_test(test_chains_that_do_not_hang_together),
		cmocka_unit_test(test_key_and_certificate),
		cmocka_unit_test(test_file_holds_certificates_only),
		cmocka_unit_test(test_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
