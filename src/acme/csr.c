// SPDX-License-Identifier: GPL-3.0-or-later
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "acme/certificate.h"
#include "util/secure.h"
#include "util/text.h"

static int export_key(gnutls_x509_privkey_t key, char **out)
{
	gnutls_datum_t pem = {0};
	if (gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem) < 0)
		return ERR_SYSTEM;
	*out = strndup((const char *)pem.data, pem.size);
	secure_wipe(pem.data, pem.size);
	gnutls_free(pem.data);
	return *out ? OK : ERR_NOMEM;
}

static int fill(gnutls_x509_crq_t crq, gnutls_x509_privkey_t key, const char *const *names, size_t count)
{
	int r = gnutls_x509_crq_set_version(crq, 1);
	if (r >= 0)
		r = gnutls_x509_crq_set_key(crq, key);
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = gnutls_x509_crq_set_subject_alt_name(crq, GNUTLS_SAN_DNSNAME, names[i],
			(unsigned)strlen(names[i]), i ? GNUTLS_FSAN_APPEND : GNUTLS_FSAN_SET);
	if (r >= 0)
		r = gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0);
	return r < 0 ? ERR_SYSTEM : OK;
}

static int encode(gnutls_x509_crq_t crq, char **out)
{
	gnutls_datum_t der = {0};
	if (gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_DER, &der) < 0)
		return ERR_SYSTEM;
	*out = malloc(4 * ((der.size + 2) / 3) + 1);
	if (*out)
		text_base64url(der.data, der.size, *out);
	gnutls_free(der.data);
	return *out ? OK : ERR_NOMEM;
}

/* Of the names no subject is made: it would be one name that is said twice. */
static int make(gnutls_x509_privkey_t key, const char *const *names, size_t count, char **out)
{
	gnutls_x509_crq_t crq;
	if (gnutls_x509_crq_init(&crq) < 0)
		return ERR_NOMEM;
	int rc = fill(crq, key, names, count);
	if (!rc)
		rc = encode(crq, out);
	gnutls_x509_crq_deinit(crq);
	return rc;
}

int certificate_request(const char *const *names, size_t count, char **key, char **csr)
{
	gnutls_x509_privkey_t k;
	*key = *csr = NULL;
	if (gnutls_x509_privkey_init(&k) < 0)
		return ERR_NOMEM;
	int rc = gnutls_x509_privkey_generate(
			 k, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) < 0
			 ? ERR_SYSTEM
			 : make(k, names, count, csr);
	if (!rc)
		rc = export_key(k, key);
	gnutls_x509_privkey_deinit(k);
	if (rc) {
		free(*csr);
		*csr = NULL;
	}
	return rc;
}
