// SPDX-License-Identifier: GPL-3.0-or-later
/* Certificates: what is asked for, and what came back. No I/O, no clock. */
#pragma once

#include "acme/acme.h"

enum { CERTIFICATE_ID = 128, CERTIFICATE_HANDLE = 33 };

/* What one has to know of a certificate and its chain. */
struct certificate {
	int64_t not_before, not_after;     /* milliseconds since the epoch */
	char names[ACME_NAMES][ACME_TEXT]; /* lower case */
	size_t name_count;
	bool odd_names;                  /* it is for more, or for something else than DNS names */
	char id[CERTIFICATE_ID];         /* RFC 9773 section 4.1; empty: it says not which key signed it */
	char handle[CERTIFICATE_HANDLE]; /* of the certificate itself: half its SHA-256 */
	char top_issuer[ACME_TEXT];      /* common name of who issued the last one of the chain */
};

/* PEM, the certificate itself first; other PEM blocks are passed over. ERR_INVALID: nothing usable, or not
 * each one issued by the next; ERR_NOMEM. */
int certificate_read(const char *pem, size_t len, struct certificate *out) MUST_USE;

/* Is it for exactly these names? */
bool certificate_names(const struct certificate *c, const char *const *names, size_t count) MUST_USE;

/* Do a private key and the first certificate in these texts belong together? */
bool certificate_fits(const char *pem, size_t len, const char *key) MUST_USE;

/* The file's text: a comment that says where it comes from, the key, and the certificates, nothing else that
 * may be in `chain`. *out is the caller's to wipe and free. ERR_INVALID, ERR_NOMEM. */
int certificate_file(
	const char *directory, const char *key, const char *chain, size_t len, char **out) MUST_USE;
/* The directory that such a file names; empty: none. */
void certificate_origin(const char *text, char out[static ACME_URL]);

/* A fresh P-256 key in PEM, the caller's to wipe and free, and a request for its certificate (RFC 8555
 * section 7.4), in base64url, the caller's to free. ERR_NOMEM, ERR_SYSTEM. */
int certificate_request(const char *const *names, size_t count, char **key, char **csr) MUST_USE;

/* ID from the octets of an authority key identifier and of a serial number, as they stand in DER. ERR_RANGE.
 */
int certificate_make_id(const uint8_t *authority, size_t authority_len, const uint8_t *serial,
	size_t serial_len, char out[static CERTIFICATE_ID]) MUST_USE;
