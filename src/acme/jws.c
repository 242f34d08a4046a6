// SPDX-License-Identifier: GPL-3.0-or-later
#include "acme/jws.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/jws_internal.h"
#include "util/secure.h"
#include "util/text.h"

void jws_jwk(const struct jws_key *k, char out[static JWS_JWK])
{
	snprintf(out, JWS_JWK, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", k->x, k->y);
}

static int digest_text(const char *text, char out[static JWS_THUMBPRINT])
{
	uint8_t digest[SECURE_DIGEST_SIZE];
	char encoded[45]; /* what text_base64url() wants as room */
	int rc = secure_sha256(text, strlen(text), digest);
	if (rc)
		return rc;
	text_base64url(digest, sizeof digest, encoded);
	memcpy(out, encoded, JWS_THUMBPRINT);
	return OK;
}

int jws_thumbprint(const char *jwk, char out[static JWS_THUMBPRINT])
{
	return digest_text(jwk, out);
}

int jws_dns_value(const struct jws_key *k, const char *token, char out[static JWS_THUMBPRINT])
{
	char jwk[JWS_JWK], thumbprint[JWS_THUMBPRINT], authorization[512];
	jws_jwk(k, jwk);
	int rc = jws_thumbprint(jwk, thumbprint);
	if (!rc)
		rc = text_format(authorization, sizeof authorization, "%s.%s", token, thumbprint);
	return rc ? rc : digest_text(authorization, out);
}

static char *base64url_new(const void *data, size_t len)
{
	char *out = malloc(4 * ((len + 2) / 3) + 1);
	if (out)
		text_base64url(data, len, out);
	return out;
}

/* RFC 7515 section 5.1: both parts encoded, with a dot between. */
static char *signing_input(const char *header, const char *payload)
{
	char *out = NULL;
	char *h = base64url_new(header, strlen(header)), *p = base64url_new(payload, strlen(payload));
	if (h && p && asprintf(&out, "%s.%s", h, p) < 0)
		out = NULL;
	free(h);
	free(p);
	return out;
}

/* Section 7.2.2. `input` is changed. */
static int serialize(char *input, const uint8_t *signature, size_t len, char **out)
{
	char *dot = strchr(input, '.'), *s = base64url_new(signature, len);
	int n = -1;
	*out = NULL;
	if (s) {
		*dot = 0;
		n = asprintf(out, "{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}", input,
			dot + 1, s);
	}
	free(s);
	if (n >= 0)
		return OK;
	*out = NULL;
	return ERR_NOMEM;
}

int jws_sign(const struct jws_key *k, const char *header, const char *payload, char **out)
{
	uint8_t raw[JWS_SIGNATURE];
	gnutls_datum_t der = {0};
	*out = NULL;
	char *input = signing_input(header, payload);
	if (!input)
		return ERR_NOMEM;
	const gnutls_datum_t data = {(unsigned char *)input, (unsigned)strlen(input)};
	int rc = ERR_SYSTEM;
	if (gnutls_privkey_sign_data2(k->key, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &der) >= 0 &&
		jws_raw_signature(der.data, der.size, raw) == OK)
		rc = serialize(input, raw, sizeof raw, out);
	gnutls_free(der.data);
	free(input);
	return rc;
}

/* CAs hand out MAC keys in either alphabet, with or without padding. */
static int decode_key(const char *text, gnutls_datum_t *out)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 4);
	if (!copy)
		return ERR_NOMEM;
	for (size_t i = 0; i < len; i++)
		copy[i] = text[i] == '-' ? '+' : (char)(text[i] == '_' ? '/' : text[i]);
	while (len && copy[len - 1] == '=')
		len--;
	while (len % 4)
		copy[len++] = '=';
	const gnutls_datum_t in = {(unsigned char *)copy, (unsigned)len};
	int r = len ? gnutls_base64_decode2(&in, out) : -1;
	secure_wipe(copy, len);
	free(copy);
	return r < 0 ? ERR_INVALID : OK;
}

int jws_mac(const char *mac_key, const char *header, const char *payload, char **out)
{
	uint8_t mac[SECURE_DIGEST_SIZE];
	gnutls_datum_t key = {0};
	*out = NULL;
	int rc = decode_key(mac_key, &key);
	if (rc)
		return rc;
	char *input = signing_input(header, payload);
	rc = ERR_NOMEM;
	if (input && gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.data, key.size, input, strlen(input), mac) < 0)
		rc = ERR_SYSTEM;
	else if (input)
		rc = serialize(input, mac, sizeof mac, out);
	free(input);
	secure_wipe(key.data, key.size);
	gnutls_free(key.data);
	return rc;
}
