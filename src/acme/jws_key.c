// SPDX-License-Identifier: GPL-3.0-or-later
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "acme/jws_internal.h"
#include "util/secure.h"
#include "util/text.h"

enum { COORDINATE = 32 };

/* Leading zeros come and go in GnuTLS's numbers. */
static int pad(const gnutls_datum_t *number, uint8_t *out)
{
	const uint8_t *at = number->data;
	size_t len = number->size;
	for (; len && !*at; len--)
		at++;
	if (len > COORDINATE)
		return ERR_INVALID;
	memset(out, 0, COORDINATE - len);
	if (len)
		memcpy(out + COORDINATE - len, at, len);
	return OK;
}

static int encode_coordinate(const gnutls_datum_t *number, char *out)
{
	uint8_t bytes[COORDINATE];
	if (pad(number, bytes))
		return ERR_INVALID;
	text_base64url(bytes, sizeof bytes, out);
	return OK;
}

static int read_public(struct jws_key *k)
{
	gnutls_ecc_curve_t curve;
	gnutls_datum_t x = {0}, y = {0};
	if (gnutls_privkey_get_pk_algorithm(k->key, NULL) != GNUTLS_PK_ECDSA ||
		gnutls_privkey_export_ecc_raw(k->key, &curve, &x, &y, NULL) < 0)
		return ERR_INVALID;
	int rc = curve == GNUTLS_ECC_CURVE_SECP256R1 ? OK : ERR_INVALID;
	if (!rc)
		rc = encode_coordinate(&x, k->x);
	if (!rc)
		rc = encode_coordinate(&y, k->y);
	gnutls_free(x.data);
	gnutls_free(y.data);
	return rc;
}

static int allocate(struct jws_key **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	if (gnutls_privkey_init(&(*out)->key) == GNUTLS_E_SUCCESS)
		return OK;
	free(*out);
	*out = NULL;
	return ERR_NOMEM;
}

int jws_key_new(struct jws_key **out)
{
	int rc = allocate(out);
	if (rc)
		return rc;
	if (gnutls_privkey_generate(
		    (*out)->key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) < 0 ||
		read_public(*out)) {
		jws_key_free(out);
		return ERR_SYSTEM;
	}
	return OK;
}

int jws_key_import(const char *pem, size_t len, struct jws_key **out)
{
	const gnutls_datum_t data = {(unsigned char *)(uintptr_t)pem, (unsigned)len};
	int rc = allocate(out);
	if (rc)
		return rc;
	if (gnutls_privkey_import_x509_raw((*out)->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0) < 0 ||
		read_public(*out)) {
		jws_key_free(out);
		return ERR_INVALID;
	}
	return OK;
}

int jws_key_export(const struct jws_key *k, char **out)
{
	gnutls_x509_privkey_t key;
	gnutls_datum_t pem = {0};
	*out = NULL;
	if (gnutls_privkey_export_x509(k->key, &key) < 0)
		return ERR_SYSTEM;
	int r = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
	gnutls_x509_privkey_deinit(key);
	if (r < 0)
		return ERR_SYSTEM;
	*out = strndup((const char *)pem.data, pem.size);
	secure_wipe(pem.data, pem.size);
	gnutls_free(pem.data);
	return *out ? OK : ERR_NOMEM;
}

void jws_key_free(struct jws_key **k)
{
	if (!*k)
		return;
	gnutls_privkey_deinit((*k)->key);
	free(*k);
	*k = NULL;
}

int jws_raw_signature(const void *der, size_t len, uint8_t out[static JWS_SIGNATURE])
{
	const gnutls_datum_t data = {(unsigned char *)(uintptr_t)der, (unsigned)len};
	gnutls_datum_t r = {0}, s = {0};
	if (gnutls_decode_rs_value(&data, &r, &s) < 0)
		return ERR_INVALID;
	int rc = pad(&r, out);
	if (!rc)
		rc = pad(&s, out + COORDINATE);
	gnutls_free(r.data);
	gnutls_free(s.data);
	return rc;
}
