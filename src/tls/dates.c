// SPDX-License-Identifier: GPL-3.0-or-later
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "tls/tls.h"

static int first_dates(const gnutls_datum_t *pem, int64_t *not_before, int64_t *not_after)
{
	gnutls_x509_crt_t *chain = NULL;
	unsigned count = 0;
	if (gnutls_x509_crt_list_import2(&chain, &count, pem, GNUTLS_X509_FMT_PEM, 0) < 0)
		return ERR_INVALID;
	if (count) {
		*not_before = (int64_t)gnutls_x509_crt_get_activation_time(chain[0]) * 1000;
		*not_after = (int64_t)gnutls_x509_crt_get_expiration_time(chain[0]) * 1000;
	}
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(chain[i]);
	gnutls_free(chain);
	return count ? OK : ERR_INVALID;
}

int tls_certificate_dates(const char *certificate, int64_t *not_before, int64_t *not_after)
{
	gnutls_datum_t pem;
	*not_before = *not_after = 0;
	if (gnutls_load_file(certificate, &pem) != GNUTLS_E_SUCCESS)
		return ERR_INVALID;
	int rc = first_dates(&pem, not_before, not_after);
	gnutls_free(pem.data);
	return rc;
}
