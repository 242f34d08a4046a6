// SPDX-License-Identifier: GPL-3.0-or-later
/* Signatures and keys against the examples of RFC 7515, RFC 7638 and RFC 9449. */
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "acme/jws.h"
#include "unit.h"
#include "util/text.h"

/* RFC 7515 appendix A.3.1, as PKCS #8 */
static const char rfc_key[] = "-----BEGIN PRIVATE KEY-----\n"
			      "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"
			      "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"
			      "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"
			      "-----END PRIVATE KEY-----\n";

/* Both appendices sign this payload. */
#define PAYLOAD "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"
#define PAYLOAD_64                                                                                           \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static struct jws_key *import_rfc_key(void)
{
	struct jws_key *k;
	assert_int_equal(jws_key_import(rfc_key, strlen(rfc_key), &k), OK);
	return k;
}

static const char *member(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	assert_non_null(s);
	return s;
}

/* RFC 7515 appendix A.1: HMAC SHA-256 gives one result. */
static void test_mac_of_rfc7515(void **state)
{
	(void)state;
	char *text;
	assert_int_equal(
		jws_mac("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
			"{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}", PAYLOAD, &text),
		OK);
	json_t *o = json_loads(text, 0, NULL);
	assert_int_equal(json_object_size(o), 3);
	assert_string_equal(member(o, "protected"), "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9");
	assert_string_equal(member(o, "payload"), PAYLOAD_64);
	assert_string_equal(member(o, "signature"), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
	json_decref(o);
	free(text);
}

/* CAs show the key in either alphabet. */
static void test_mac_keys_of_either_alphabet(void **state)
{
	(void)state;
	char *one, *other;
	assert_int_equal(jws_mac("-_-_AA", "{}", "x", &one), OK);
	assert_int_equal(jws_mac("+/+/AA==", "{}", "x", &other), OK);
	assert_string_equal(one, other);
	free(one);
	free(other);
	assert_int_equal(jws_mac("no key", "{}", "x", &one), ERR_INVALID);
	assert_null(one);
	assert_int_equal(jws_mac("", "{}", "x", &one), ERR_INVALID);
}

/* RFC 7515 appendix A.3.1: the signature's DER form, computed apart, and its octets in the RFC. */
static void test_raw_signature_of_rfc7515(void **state)
{
	(void)state;
	static const char der_hex[] =
		"304502200ed1215379636c483c2f7f155807d402a3b228033af97c7e17819ac3169ea665"
		"022100c50a07d38c3c70e5d8f12daf084a5480a66590c5f293509a8f3f7f8a83a354d5";
	uint8_t der[71], raw[JWS_SIGNATURE];
	char text[100];
	assert_int_equal(text_from_hex(der_hex, strlen(der_hex), der, sizeof der), OK);
	assert_int_equal(jws_raw_signature(der, sizeof der, raw), OK);
	text_base64url(raw, sizeof raw, text);
	assert_string_equal(text,
		"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
	assert_int_equal(jws_raw_signature(der, sizeof der - 1, raw), ERR_INVALID);
}

/* RFC 7518 section 3.4: each number is 32 octets, whatever it begins with. */
static void test_short_numbers_are_padded(void **state)
{
	(void)state;
	static const uint8_t der[] = {0x30, 7, 2, 1, 5, 2, 2, 0, 0x80};
	uint8_t raw[JWS_SIGNATURE], wanted[JWS_SIGNATURE] = {[31] = 5, [63] = 0x80};
	assert_int_equal(jws_raw_signature(der, sizeof der, raw), OK);
	assert_memory_equal(raw, wanted, sizeof raw);
}

static void decode(const char *text, gnutls_datum_t *out)
{
	char copy[256];
	size_t n = strlen(text);
	assert_true(n + 4 < sizeof copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = text[i] == '-' ? '+' : (char)(text[i] == '_' ? '/' : text[i]);
	while (n % 4)
		copy[n++] = '=';
	const gnutls_datum_t in = {(unsigned char *)copy, (unsigned)n};
	assert_int_equal(gnutls_base64_decode2(&in, out), 0);
}

/* ECDSA gives another signature each time; that of RFC 7515's key is checked with its public key. */
static void check_signature(const json_t *o)
{
	char input[1024];
	gnutls_pubkey_t key;
	gnutls_datum_t x, y, raw, der;
	decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", &x);
	decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", &y);
	decode(member(o, "signature"), &raw);
	assert_int_equal(raw.size, JWS_SIGNATURE);
	const gnutls_datum_t r = {raw.data, 32}, s = {raw.data + 32, 32};
	assert_int_equal(gnutls_encode_rs_value(&der, &r, &s), 0);
	assert_int_equal(
		text_format(input, sizeof input, "%s.%s", member(o, "protected"), member(o, "payload")), OK);
	const gnutls_datum_t data = {(unsigned char *)input, (unsigned)strlen(input)};
	assert_int_equal(gnutls_pubkey_init(&key), 0);
	assert_int_equal(gnutls_pubkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_SECP256R1, &x, &y), 0);
	assert_int_equal(gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &der), 0);
	gnutls_pubkey_deinit(key);
	gnutls_free(x.data);
	gnutls_free(y.data);
	gnutls_free(raw.data);
	gnutls_free(der.data);
}

static void test_signature_is_verified(void **state)
{
	(void)state;
	struct jws_key *k = import_rfc_key();
	for (int i = 0; i < 100; i++) { /* often enough for a number that begins with a zero octet */
		char *text;
		assert_int_equal(jws_sign(k, "{\"alg\":\"ES256\"}", PAYLOAD, &text), OK);
		json_t *o = json_loads(text, 0, NULL);
		assert_string_equal(member(o, "protected"), "eyJhbGciOiJFUzI1NiJ9");
		assert_string_equal(member(o, "payload"), PAYLOAD_64);
		check_signature(o);
		json_decref(o);
		free(text);
	}
	jws_key_free(&k);
}

/* RFC 8555 section 6.3: a POST-as-GET has the empty string as payload, not {}. */
static void test_empty_payload(void **state)
{
	(void)state;
	char *text;
	struct jws_key *k = import_rfc_key();
	assert_int_equal(jws_sign(k, "{}", "", &text), OK);
	json_t *o = json_loads(text, 0, NULL);
	assert_string_equal(member(o, "payload"), "");
	json_decref(o);
	free(text);
	jws_key_free(&k);
}

static void test_jwk_has_the_form_of_rfc7638(void **state)
{
	(void)state;
	char jwk[JWS_JWK];
	struct jws_key *k = import_rfc_key();
	jws_jwk(k, jwk);
	assert_string_equal(jwk,
		"{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
	jws_key_free(&k);
	assert_null(k);
	jws_key_free(&k);
}

static void test_thumbprints_of_the_rfcs(void **state)
{
	(void)state;
	char out[JWS_THUMBPRINT];
	/* RFC 7638 section 3.1 */
	assert_int_equal(
		jws_thumbprint(
			"{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4"
			"cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9y"
			"BXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6"
			"qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniI"
			"qbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\"}",
			out),
		OK);
	assert_string_equal(out, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	/* RFC 9449 section 6.1, the key of its figure 2 */
	assert_int_equal(
		jws_thumbprint(
			"{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\","
			"\"y\":\"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA\"}",
			out),
		OK);
	assert_string_equal(out, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

/* RFC 8555 section 8.1 and 8.4; computed apart: SHA-256("token.oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U").
 */
static void test_value_in_dns(void **state)
{
	(void)state;
	char out[JWS_THUMBPRINT];
	struct jws_key *k = import_rfc_key();
	assert_int_equal(jws_dns_value(k, "token", out), OK);
	assert_string_equal(out, "mE-xCuv5WUbIG_nQN71SG1nXSvoBJZgwYqxedrbeU9c");
	jws_key_free(&k);
}

static void test_key_comes_back_from_pem(void **state)
{
	(void)state;
	struct jws_key *one, *other;
	char *pem, first[JWS_JWK], second[JWS_JWK];
	for (int i = 0; i < 20; i++) {
		assert_int_equal(jws_key_new(&one), OK);
		assert_int_equal(jws_key_export(one, &pem), OK);
		assert_int_equal(jws_key_import(pem, strlen(pem), &other), OK);
		jws_jwk(one, first);
		jws_jwk(other, second);
		assert_string_equal(first, second);
		free(pem);
		jws_key_free(&one);
		jws_key_free(&other);
	}
}

static void test_other_keys_are_refused(void **state)
{
	(void)state;
	struct jws_key *k;
	gnutls_x509_privkey_t p384;
	gnutls_datum_t pem;
	assert_int_equal(jws_key_import("", 0, &k), ERR_INVALID);
	assert_null(k);
	assert_int_equal(jws_key_import(rfc_key, strlen(rfc_key) / 2, &k), ERR_INVALID);
	assert_int_equal(gnutls_x509_privkey_init(&p384), 0);
	assert_int_equal(gnutls_x509_privkey_generate(
				 p384, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1), 0),
		0);
	assert_int_equal(gnutls_x509_privkey_export2(p384, GNUTLS_X509_FMT_PEM, &pem), 0);
	assert_int_equal(jws_key_import((const char *)pem.data, pem.size, &k), ERR_INVALID);
	gnutls_free(pem.data);
	gnutls_x509_privkey_deinit(p384);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mac_of_rfc7515),
		cmocka_unit_test(test_mac_keys_of_either_alphabet),
		cmocka_unit_test(test_raw_signature_of_rfc7515),
		cmocka_unit_test(test_short_numbers_are_padded),
		cmocka_unit_test(test_signature_is_verified),
		cmocka_unit_test(test_empty_payload),
		cmocka_unit_test(test_jwk_has_the_form_of_rfc7638),
		cmocka_unit_test(test_thumbprints_of_the_rfcs),
		cmocka_unit_test(test_value_in_dns),
		cmocka_unit_test(test_key_comes_back_from_pem),
		cmocka_unit_test(test_other_keys_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
