// SPDX-License-Identifier: GPL-3.0-or-later
/* SipHash-2-4 (Aumasson and Bernstein, 2012), with 64 and with 128 bits of output: a hash that strangers
 * cannot aim as long as its key is secret, for tables that are filled or asked by strangers, and for DNS
 * cookies (RFC 9018 section 4.4). Not a digest: for that see secure.h. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { HASH_KEY_SIZE = 16 };

struct hash_key {
	uint64_t words[2];
};

struct hash128 {
	uint64_t low, high;
};

/* Key bytes as they stand in a file or come from secure_random(). */
struct hash_key hash_key_from(const uint8_t bytes[static HASH_KEY_SIZE]);

/* Written to memory in little-endian order, the result is the algorithm's byte string. */
uint64_t hash_64(const struct hash_key *key, const void *data, size_t len);
struct hash128 hash_128(const struct hash_key *key, const void *data, size_t len);
