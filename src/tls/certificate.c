// SPDX-License-Identifier: GPL-3.0-or-later
/* Is a certificate usable? For the person who wrote the configuration, so it says what is wrong. */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tls/internal.h"
#include "util/clock.h"
#include "util/secure.h"

/* Nothing is asked but pread(2): who serves has little else left. */
int tls_read_open(int fd, gnutls_datum_t *out)
{
	*out = (gnutls_datum_t){malloc(TLS_FILE_MAX), 0};
	if (!out->data)
		return ERR_NOMEM;
	while (out->size < TLS_FILE_MAX) {
		ssize_t n = pread(fd, out->data + out->size, TLS_FILE_MAX - out->size, (off_t)out->size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		if (n == 0)
			return OK;
		out->size += (unsigned)n;
	}
	return ERR_INVALID;
}

void tls_wipe(gnutls_datum_t *f)
{
	if (f->data)
		secure_wipe(f->data, f->size);
	free(f->data);
	*f = (gnutls_datum_t){NULL, 0};
}

/* Says what is wrong. out->data is to be wiped in every case. */
static int read_open_file(int fd, const char *path, struct diag *d, gnutls_datum_t *out)
{
	struct stat st;
	*out = (gnutls_datum_t){NULL, 0};
	int r = fstat(fd, &st) ? ERR_SYSTEM : S_ISREG(st.st_mode) ? tls_read_open(fd, out) : ERR_INVALID;
	if (r == ERR_SYSTEM)
		diag_error(d, path, 0, "cannot be read: %s", strerror(errno));
	if (r == ERR_INVALID)
		diag_error(d, path, 0, "is not a PEM file (not a regular file, or larger than 1 MiB)");
	return r == ERR_SYSTEM ? ERR_INVALID : r;
}

/* out->data is to be wiped in every case. */
static int read_file(const char *path, struct diag *d, gnutls_datum_t *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		diag_error(d, path, 0, "cannot be read: %s", strerror(errno));
		return ERR_INVALID;
	}
	int r = read_open_file(fd, path, d, out);
	(void)close(fd);
	return r;
}

static void warn_of_dates(const char *path, gnutls_x509_crt_t leaf, struct diag *d)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	if (gnutls_x509_crt_get_expiration_time(leaf) < now)
		diag_warning(d, path, 0, "the certificate has expired: clients will refuse it");
	if (gnutls_x509_crt_get_activation_time(leaf) > now)
		diag_warning(d, path, 0, "the certificate is not valid yet: clients will refuse it");
}

/* A client would refuse it (RFC 9525). */
static int check_host(const char *path, gnutls_x509_crt_t leaf, const char *host, struct diag *d)
{
	if (!host || gnutls_x509_crt_check_hostname(leaf, host))
		return OK;
	diag_error(d, path, 0, "the certificate is not for %s", host);
	return ERR_INVALID;
}

static int check_chain(const char *path, const gnutls_datum_t *pem, const char *host, struct diag *d)
{
	gnutls_x509_crt_t *chain = NULL;
	unsigned count = 0;
	int r = gnutls_x509_crt_list_import2(&chain, &count, pem, GNUTLS_X509_FMT_PEM, 0);
	if (r < 0) {
		diag_error(d, path, 0, "holds no usable PEM certificate: %s", gnutls_strerror(r));
		return ERR_INVALID;
	}
	if (count) {
		warn_of_dates(path, chain[0], d);
		r = check_host(path, chain[0], host, d);
	}
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(chain[i]);
	gnutls_free(chain);
	return r < 0 ? ERR_INVALID : OK;
}

static int check_key(const char *path, const gnutls_datum_t *pem, struct diag *d)
{
	gnutls_x509_privkey_t key;
	if (gnutls_x509_privkey_init(&key) != GNUTLS_E_SUCCESS)
		return ERR_NOMEM;
	int r = gnutls_x509_privkey_import2(key, pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	gnutls_x509_privkey_deinit(key);
	if (r == GNUTLS_E_SUCCESS)
		return OK;
	diag_error(d, path, 0, "holds no usable unencrypted PEM private key: %s", gnutls_strerror(r));
	return ERR_INVALID;
}

static int check_pair(
	const char *path, const gnutls_datum_t *certificate, const gnutls_datum_t *key, struct diag *d)
{
	gnutls_certificate_credentials_t c;
	if (gnutls_certificate_allocate_credentials(&c) != GNUTLS_E_SUCCESS)
		return ERR_NOMEM;
	int r = gnutls_certificate_set_x509_key_mem(c, certificate, key, GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(c);
	if (r >= 0)
		return OK;
	if (r == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		diag_error(d, path, 0, "the private key does not belong to the certificate");
	else
		diag_error(d, path, 0, "certificate and key cannot be used: %s", gnutls_strerror(r));
	return ERR_INVALID;
}

int tls_check_certificate(const char *certificate, const char *key, struct diag *d)
{
	gnutls_datum_t chain_pem = {NULL, 0}, key_pem = {NULL, 0};
	/* Both files are read in any case, so that all problems are shown at once. */
	int r = read_file(certificate, d, &chain_pem);
	if (r == OK)
		r = check_chain(certificate, &chain_pem, NULL, d);
	int k = read_file(key, d, &key_pem);
	if (k == OK)
		k = check_key(key, &key_pem, d);
	if (r == OK)
		r = k;
	if (r == OK)
		r = check_pair(key, &chain_pem, &key_pem, d);
	tls_wipe(&chain_pem);
	tls_wipe(&key_pem);
	return r;
}

int tls_check_open(int fd, const char *name, const char *host, struct diag *d)
{
	gnutls_datum_t pem = {NULL, 0};
	int r = read_open_file(fd, name, d, &pem);
	r = r ? r : check_chain(name, &pem, host, d);
	r = r ? r : check_key(name, &pem, d);
	r = r ? r : check_pair(name, &pem, &pem, d);
	tls_wipe(&pem);
	return r;
}
