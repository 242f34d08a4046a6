// SPDX-License-Identifier: GPL-3.0-or-later
/* A certificate to show until a CA has issued one: a server without any could not speak TLS at all. */
#include <errno.h>
#include <gnutls/x509.h>
#include <string.h>
#include <unistd.h>

#include "tls/internal.h"
#include "util/clock.h"
#include "util/secure.h"

enum {
	SERIAL_SIZE = 16, /* octets, random; RFC 5280 section 4.1.2.2 allows 20 */
	DAY = 86400,
	EARLIER = 3600 /* seconds: the clocks of clients differ */
};

static bool write_all(int fd, const gnutls_datum_t *d)
{
	size_t done = 0;
	while (done < d->size) {
		ssize_t n = write(fd, d->data + done, d->size - done);
		if (n < 0 && errno != EINTR)
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* The name goes into the subject's alternative names; a common name would be too short for some. */
static int describe(gnutls_x509_crt_t c, gnutls_x509_privkey_t k, const char *host, unsigned days)
{
	unsigned char serial[SERIAL_SIZE];
	time_t now = (time_t)(clock_wall_ms() / 1000);
	if (secure_random(serial, sizeof serial))
		return ERR_SYSTEM;
	serial[0] &= 0x7f; /* a positive number */
	bool good = !gnutls_x509_crt_set_version(c, 3) &&
		    !gnutls_x509_crt_set_serial(c, serial, sizeof serial) &&
		    !gnutls_x509_crt_set_dn(c, "CN=acme-delegate without a certificate", NULL) &&
		    !gnutls_x509_crt_set_subject_alt_name(
			    c, GNUTLS_SAN_DNSNAME, host, (unsigned)strlen(host), GNUTLS_FSAN_SET) &&
		    !gnutls_x509_crt_set_activation_time(c, now - EARLIER) &&
		    !gnutls_x509_crt_set_expiration_time(c, now + (time_t)days * DAY) &&
		    !gnutls_x509_crt_set_basic_constraints(c, 0, -1) && !gnutls_x509_crt_set_key(c, k) &&
		    !gnutls_x509_crt_sign2(c, c, k, GNUTLS_DIG_SHA256, 0);
	return good ? OK : ERR_NOMEM;
}

static int write_pair(gnutls_x509_crt_t c, gnutls_x509_privkey_t k, int fd)
{
	gnutls_datum_t pem;
	if (gnutls_x509_privkey_export2(k, GNUTLS_X509_FMT_PEM, &pem))
		return ERR_NOMEM;
	bool written = write_all(fd, &pem);
	secure_wipe(pem.data, pem.size);
	gnutls_free(pem.data);
	if (written && gnutls_x509_crt_export2(c, GNUTLS_X509_FMT_PEM, &pem))
		return ERR_NOMEM;
	if (written) {
		written = write_all(fd, &pem);
		gnutls_free(pem.data);
	}
	return written ? OK : ERR_SYSTEM;
}

int tls_self_sign(const char *host, unsigned days, int fd)
{
	gnutls_x509_privkey_t k;
	gnutls_x509_crt_t c;
	int r = ERR_NOMEM;
	if (gnutls_x509_privkey_init(&k))
		return r;
	if (gnutls_x509_crt_init(&c))
		goto free_key;
	if (!gnutls_x509_privkey_generate(
		    k, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0))
		r = describe(c, k, host, days);
	r = r ? r : write_pair(c, k, fd);
	gnutls_x509_crt_deinit(c);
free_key:
	gnutls_x509_privkey_deinit(k);
	return r;
}
