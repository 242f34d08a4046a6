// SPDX-License-Identifier: GPL-3.0-or-later
/* Server cookies in the one form that all makes of servers share (RFC 9018). Not libknot's: it compares times
 * as plain numbers, where section 4.3 asks for serial number arithmetic, and does not tell which cookies are
 * due for renewal. */
#include <endian.h>

#include "dns/internal.h"

#include "util/secure.h"

enum {
	VERSION = 1,
	STAMPED_SIZE = DNS_COOKIE_CLIENT_SIZE + 8, /* client cookie, version, reserved, time */
	SERVER_SIZE_MIN = 8,
	/* Section 4.3, in seconds: */
	AGE_MAX = 3600,
	AHEAD_MAX = 300, /* clocks of servers that share a secret differ */
	AGE_RENEW = 1800
};

void dns_cookie_keys_init(struct dns_cookie_keys *k, const struct dns_cookie_secrets *s)
{
	k->count = s ? s->count : 0;
	for (size_t i = 0; i < k->count; i++)
		k->keys[i] = hash_key_from(s->secrets[i]);
}

/* Section 4.4: the hash goes over all that stands before it, and the client's address. */
static void sign(const struct hash_key *key, const struct address *client, uint8_t cookie[DNS_COOKIE_SIZE])
{
	uint8_t data[STAMPED_SIZE + 16];
	size_t skip = address_is_ipv4(client) ? 12 : 0;
	memcpy(data, cookie, STAMPED_SIZE);
	memcpy(data + STAMPED_SIZE, client->bytes + skip, 16 - skip);
	uint64_t hash = htole64(hash_64(key, data, sizeof data - skip));
	memcpy(cookie + STAMPED_SIZE, &hash, sizeof hash);
}

static void make(const struct hash_key *key, const uint8_t *client_cookie, const struct address *client,
	uint32_t now, uint8_t out[DNS_COOKIE_SIZE])
{
	uint32_t stamp = htobe32(now);
	memcpy(out, client_cookie, DNS_COOKIE_CLIENT_SIZE);
	memcpy(out + DNS_COOKIE_CLIENT_SIZE, (const uint8_t[4]){VERSION}, 4);
	memcpy(out + DNS_COOKIE_CLIENT_SIZE + 4, &stamp, sizeof stamp);
	sign(key, client, out);
}

/* How old, in seconds; negative: from the future. RFC 1982 arithmetic: it goes on when the time wraps. */
static int32_t age_of(const uint8_t cookie[DNS_COOKIE_SIZE], uint32_t now)
{
	uint32_t stamp;
	memcpy(&stamp, cookie + DNS_COOKIE_CLIENT_SIZE + 4, sizeof stamp);
	return (int32_t)(now - be32toh(stamp));
}

/* The number of the key it was made with; `count`: none. */
static size_t signer(
	const struct dns_cookie_keys *k, const uint8_t cookie[DNS_COOKIE_SIZE], const struct address *client)
{
	uint8_t own[DNS_COOKIE_SIZE];
	size_t i = 0;
	memcpy(own, cookie, STAMPED_SIZE); /* reserved bytes as they are: the hash covers them */
	for (; i < k->count; i++) {
		sign(&k->keys[i], client, own);
		if (secure_equal(own, cookie, sizeof own))
			break;
	}
	secure_wipe(own, sizeof own);
	return i;
}

enum dns_cookie dns_cookie_check(const struct dns_cookie_keys *k, const uint8_t *data, size_t len,
	const struct address *client, uint32_t now, uint8_t out[static DNS_COOKIE_SIZE])
{
	/* RFC 7873 section 5.2.2 */
	if (len != DNS_COOKIE_CLIENT_SIZE &&
		(len < DNS_COOKIE_CLIENT_SIZE + SERVER_SIZE_MIN || len > DNS_COOKIE_SIZE_MAX))
		return DNS_COOKIE_MALFORMED;
	if (len == DNS_COOKIE_SIZE && data[DNS_COOKIE_CLIENT_SIZE] == VERSION) {
		int32_t age = age_of(data, now);
		size_t by = age > AGE_MAX || age < -AHEAD_MAX ? k->count : signer(k, data, client);
		/* A young one of the present secret goes on; reserved bytes that are set would not be ours.
		 */
		if (by == 0 && age <= AGE_RENEW && !memcmp(data + DNS_COOKIE_CLIENT_SIZE + 1, "\0\0\0", 3)) {
			memcpy(out, data, DNS_COOKIE_SIZE);
			return DNS_COOKIE_GOOD;
		}
		make(&k->keys[0], data, client, now, out);
		return by < k->count ? DNS_COOKIE_GOOD : DNS_COOKIE_BAD;
	}
	make(&k->keys[0], data, client, now, out);
	return len == DNS_COOKIE_CLIENT_SIZE ? DNS_COOKIE_NEW : DNS_COOKIE_BAD;
}
