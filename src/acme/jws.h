// SPDX-License-Identifier: GPL-3.0-or-later
/* An account's key, and what is signed with it: JSON Web Signatures (RFC 7515) as ACME uses them (RFC 8555
 * section 6.2), ES256 only. Keys are wiped when they are freed. No I/O. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

enum { JWS_JWK = 160, JWS_THUMBPRINT = 44, JWS_SIGNATURE = 64 };

struct jws_key;

int jws_key_new(struct jws_key **out) MUST_USE; /* ERR_NOMEM, ERR_SYSTEM: the crypto library failed */
/* PKCS #8 PEM. ERR_INVALID: no P-256 key, or encrypted; ERR_NOMEM. */
int jws_key_import(const char *pem, size_t len, struct jws_key **out) MUST_USE;
/* *out is NUL-terminated, and the caller's to wipe and free. ERR_NOMEM, ERR_SYSTEM. */
int jws_key_export(const struct jws_key *k, char **out) MUST_USE;
void jws_key_free(struct jws_key **k); /* accepts NULL inside; sets it to NULL */

/* The public key as RFC 7638 section 3.2 writes it: members in lexical order, no blanks. */
void jws_jwk(const struct jws_key *k, char out[static JWS_JWK]);
/* Of a key that is written so. ERR_SYSTEM. */
int jws_thumbprint(const char *jwk, char out[static JWS_THUMBPRINT]) MUST_USE;
/* A challenge's value in DNS (RFC 8555 section 8.4): the digest of its key authorization. ERR_SYSTEM. */
int jws_dns_value(const struct jws_key *k, const char *token, char out[static JWS_THUMBPRINT]) MUST_USE;

/* The flattened serialization of `payload`, signed; the header is JSON text. *out is the caller's to free.
 * ERR_NOMEM, ERR_SYSTEM. */
int jws_sign(const struct jws_key *k, const char *header, const char *payload, char **out) MUST_USE;
/* The same with HS256, for external account binding. ERR_INVALID: the MAC key is no base64url. */
int jws_mac(const char *mac_key, const char *header, const char *payload, char **out) MUST_USE;

/* ECDSA-Sig-Value in DER, as GnuTLS has it -> r and s, 32 octets each (RFC 7518 section 3.4). ERR_INVALID. */
int jws_raw_signature(const void *der, size_t len, uint8_t out[static JWS_SIGNATURE]) MUST_USE;
