// SPDX-License-Identifier: GPL-3.0-or-later
#include "util/secure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

int secure_random(void *out, size_t len)
{
	uint8_t *p = out;
	while (len) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_SYSTEM;
		p += n;
		len -= (size_t)n;
	}
	return OK;
}

int secure_secret(char out[static SECURE_SECRET_LEN + 1])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	uint8_t raw[SECURE_SECRET_LEN];
	int rc = secure_random(raw, sizeof raw);
	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof raw; i++)
		out[i] = alphabet[raw[i] & 63]; /* 64 divides 256: no bias */
	out[SECURE_SECRET_LEN] = 0;
	secure_wipe(raw, sizeof raw);
	return OK;
}

int secure_uuid(uint8_t out[static 16])
{
	int rc = secure_random(out, 16);
	if (rc)
		return rc;
	out[6] = (uint8_t)((out[6] & 0x0f) | 0x40); /* version 4 */
	out[8] = (uint8_t)((out[8] & 0x3f) | 0x80); /* variant of RFC 9562 */
	return OK;
}

int secure_sha256(const void *data, size_t len, uint8_t out[static SECURE_DIGEST_SIZE])
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, data, len, out) < 0 ? ERR_SYSTEM : OK;
}

struct secure_hash {
	gnutls_hash_hd_t handle;
};

int secure_hash_new(struct secure_hash **out)
{
	*out = calloc(1, sizeof **out);
	if (*out && gnutls_hash_init(&(*out)->handle, GNUTLS_DIG_SHA256) == 0)
		return OK;
	free(*out);
	*out = NULL;
	return ERR_SYSTEM;
}

int secure_hash_add(struct secure_hash *h, const void *data, size_t len)
{
	return gnutls_hash(h->handle, data, len) < 0 ? ERR_SYSTEM : OK;
}

void secure_hash_end(struct secure_hash **h, uint8_t *digest)
{
	if (!*h)
		return;
	gnutls_hash_deinit((*h)->handle, digest);
	free(*h);
	*h = NULL;
}

bool secure_equal(const void *a, const void *b, size_t len)
{
	return gnutls_memcmp(a, b, len) == 0;
}

void secure_wipe(void *data, size_t len)
{
	explicit_bzero(data, len);
}
