// SPDX-License-Identifier: GPL-3.0-or-later
/* What secrets need: random bytes from the kernel, hashing, comparison in constant time, wiping. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

enum { SECURE_DIGEST_SIZE = 32 }; /* SHA-256 */
enum { SECURE_SECRET_LEN = 40 };  /* characters of a key's secret: 40 x 6 bits = 240 bits */
enum { SECURE_UUID_LEN = 36 };    /* characters of a UUID in text form */

/* Fills `out` from getrandom(2). ERR_SYSTEM: the kernel refused (not seen on Linux >= 5.6). */
int secure_random(void *out, size_t len) MUST_USE;

/* Writes a new secret of SECURE_SECRET_LEN characters of [A-Za-z0-9_-] and a NUL. Errors of secure_random. */
int secure_secret(char out[static SECURE_SECRET_LEN + 1]) MUST_USE;

/* A random (version 4) UUID, RFC 9562 section 5.4. Errors of secure_random. */
int secure_uuid(uint8_t out[static 16]) MUST_USE;

/* ERR_SYSTEM: the crypto library failed. */
int secure_sha256(const void *data, size_t len, uint8_t out[static SECURE_DIGEST_SIZE]) MUST_USE;

/* SHA-256 of what comes in parts. Begin with secure_hash_new(); secure_hash_end() frees it, also where the
 * digest is not wanted (NULL). ERR_SYSTEM as above. */
struct secure_hash;
int secure_hash_new(struct secure_hash **out) MUST_USE;
int secure_hash_add(struct secure_hash *h, const void *data, size_t len) MUST_USE;
void secure_hash_end(struct secure_hash **h, uint8_t *digest); /* accepts NULL inside; sets it to NULL */

/* True when the two are equal; the time taken depends on `len` only. */
bool secure_equal(const void *a, const void *b, size_t len) MUST_USE;

/* Overwrites; never optimized away. */
void secure_wipe(void *data, size_t len);
