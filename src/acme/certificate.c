// SPDX-License-Identifier: GPL-3.0-or-later
#include "acme/certificate.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/secure.h"
#include "util/text.h"

enum { CHAIN_MAX = 10, SERIAL_MAX = 40, AUTHORITY_MAX = 64 };

struct chain {
	gnutls_x509_crt_t crt[CHAIN_MAX];
	unsigned count;
};

static void chain_free(struct chain *c)
{
	while (c->count)
		gnutls_x509_crt_deinit(c->crt[--c->count]);
}

static int chain_read(const char *pem, size_t len, struct chain *out)
{
	const gnutls_datum_t data = {(unsigned char *)(uintptr_t)pem, (unsigned)len};
	out->count = CHAIN_MAX;
	int r = gnutls_x509_crt_list_import(out->crt, &out->count, &data, GNUTLS_X509_FMT_PEM,
		GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (r > 0)
		return OK;
	out->count = 0;
	return r == GNUTLS_E_MEMORY_ERROR ? ERR_NOMEM : ERR_INVALID;
}

/* RFC 8555 section 7.4.2: "each following certificate SHOULD directly certify the one preceding it". TLS
 * clients need that. */
static bool is_linked(const struct chain *c)
{
	for (unsigned i = 0; i + 1 < c->count; i++)
		if (!gnutls_x509_crt_check_issuer(c->crt[i], c->crt[i + 1]))
			return false;
	return true;
}

static void read_names(gnutls_x509_crt_t crt, struct certificate *out)
{
	for (unsigned i = 0;; i++) {
		char name[ACME_TEXT];
		size_t size = sizeof name;
		int r = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &size, NULL);
		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return;
		if (r != GNUTLS_SAN_DNSNAME || size >= sizeof name || out->name_count == ACME_NAMES) {
			out->odd_names = true;
			return;
		}
		for (size_t k = 0; k < size; k++)
			out->names[out->name_count][k] = (char)text_lower((uint8_t)name[k]);
		out->names[out->name_count++][size] = 0;
	}
}

int certificate_make_id(const uint8_t *authority, size_t authority_len, const uint8_t *serial,
	size_t serial_len, char out[static CERTIFICATE_ID])
{
	char a[AUTHORITY_MAX * 2], s[SERIAL_MAX * 2];
	if (authority_len > AUTHORITY_MAX || serial_len > SERIAL_MAX)
		return ERR_RANGE;
	text_base64url(authority, authority_len, a);
	text_base64url(serial, serial_len, s);
	return text_format(out, CERTIFICATE_ID, "%s.%s", a, s);
}

/* RFC 9773 section 4.1. GnuTLS gives the serial number's octets as they stand in the certificate, with the
 * zero that a number with its highest bit set begins with. */
static void read_id(gnutls_x509_crt_t crt, struct certificate *out)
{
	uint8_t authority[AUTHORITY_MAX], serial[SERIAL_MAX];
	size_t authority_len = sizeof authority, serial_len = sizeof serial;
	out->id[0] = 0;
	if (gnutls_x509_crt_get_authority_key_id(crt, authority, &authority_len, NULL) < 0 ||
		gnutls_x509_crt_get_serial(crt, serial, &serial_len) < 0 ||
		certificate_make_id(authority, authority_len, serial, serial_len, out->id))
		out->id[0] = 0;
}

static int read_handle(gnutls_x509_crt_t crt, struct certificate *out)
{
	uint8_t digest[SECURE_DIGEST_SIZE];
	size_t size = sizeof digest;
	if (gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, digest, &size) < 0)
		return ERR_INVALID;
	text_hex(digest, CERTIFICATE_HANDLE / 2, out->handle);
	return OK;
}

static void read_top_issuer(gnutls_x509_crt_t top, struct certificate *out)
{
	size_t size = sizeof out->top_issuer;
	if (gnutls_x509_crt_get_issuer_dn_by_oid(
		    top, GNUTLS_OID_X520_COMMON_NAME, 0, 0, out->top_issuer, &size) < 0)
		out->top_issuer[0] = 0;
}

int certificate_read(const char *pem, size_t len, struct certificate *out)
{
	struct chain c;
	*out = (struct certificate){0};
	int rc = chain_read(pem, len, &c);
	if (rc)
		return rc;
	out->not_before = (int64_t)gnutls_x509_crt_get_activation_time(c.crt[0]) * 1000;
	out->not_after = (int64_t)gnutls_x509_crt_get_expiration_time(c.crt[0]) * 1000;
	if (!is_linked(&c) || out->not_before < 0 || out->not_after <= out->not_before)
		rc = ERR_INVALID;
	if (!rc)
		rc = read_handle(c.crt[0], out);
	read_names(c.crt[0], out);
	read_id(c.crt[0], out);
	read_top_issuer(c.crt[c.count - 1], out);
	chain_free(&c);
	return rc;
}

static bool is_among(const struct certificate *c, const char *name)
{
	for (size_t i = 0; i < c->name_count; i++)
		if (strcasecmp(c->names[i], name) == 0)
			return true;
	return false;
}

bool certificate_names(const struct certificate *c, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!is_among(c, names[i]))
			return false;
	for (size_t i = 0; i < c->name_count; i++) {
		bool ours = false;
		for (size_t k = 0; k < count; k++)
			ours |= strcasecmp(c->names[i], names[k]) == 0;
		if (!ours)
			return false;
	}
	return !c->odd_names;
}

bool certificate_fits(const char *pem, size_t len, const char *key)
{
	gnutls_certificate_credentials_t c;
	const gnutls_datum_t chain = {(unsigned char *)(uintptr_t)pem, (unsigned)len};
	const gnutls_datum_t private = {(unsigned char *)(uintptr_t)key, (unsigned)strlen(key)};
	if (gnutls_certificate_allocate_credentials(&c) != GNUTLS_E_SUCCESS)
		return false;
	/* It compares the keys: GNUTLS_E_CERTIFICATE_KEY_MISMATCH. */
	int r = gnutls_certificate_set_x509_key_mem(c, &chain, &private, GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(c);
	return r >= 0;
}

static int export_chain(const struct chain *c, char **out)
{
	size_t len = 0;
	*out = calloc(1, 1);
	for (unsigned i = 0; *out && i < c->count; i++) {
		gnutls_datum_t pem = {0};
		if (gnutls_x509_crt_export2(c->crt[i], GNUTLS_X509_FMT_PEM, &pem) < 0)
			return ERR_NOMEM;
		char *longer = realloc(*out, len + pem.size + 1);
		if (longer) {
			memcpy(longer + len, pem.data, pem.size);
			len += pem.size;
			longer[len] = 0;
		} else {
			free(*out);
		}
		*out = longer;
		gnutls_free(pem.data);
	}
	return *out ? OK : ERR_NOMEM;
}

static const char origin_mark[] = "Directory: ";

int certificate_file(const char *directory, const char *key, const char *chain, size_t len, char **out)
{
	struct chain c;
	char *text = NULL;
	*out = NULL;
	int rc = chain_read(chain, len, &c);
	if (rc)
		return rc;
	rc = export_chain(&c, &text);
	chain_free(&c);
	if (!rc && asprintf(out, "%s%s\n%s%s", origin_mark, directory, key, text) < 0) {
		*out = NULL;
		rc = ERR_NOMEM;
	}
	free(text);
	return rc;
}

void certificate_origin(const char *text, char out[static ACME_URL])
{
	size_t mark = sizeof origin_mark - 1;
	out[0] = 0;
	if (strncmp(text, origin_mark, mark) != 0)
		return;
	size_t len = strcspn(text + mark, "\r\n");
	if (len >= ACME_URL)
		return;
	memcpy(out, text + mark, len);
	out[len] = 0;
}
