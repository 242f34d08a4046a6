// SPDX-License-Identifier: GPL-3.0-or-later
#include "util/hash.h"

#include <endian.h>
#include <string.h>

enum { WORD = 8, ROUNDS = 2, FINAL_ROUNDS = 4 };

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline uint64_t load(const uint8_t *p)
{
	uint64_t word;
	memcpy(&word, p, sizeof word);
	return le64toh(word);
}

static inline void mix(struct state *s, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 = rotate(s->v2, 32);
	}
}

static inline void take(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	mix(s, ROUNDS);
	s->v0 ^= word;
}

/* The last word: what is left of the data, and its length in the highest byte. */
static inline uint64_t last_word(const uint8_t *rest, size_t len)
{
	uint8_t bytes[WORD] = {0};
	memcpy(bytes, rest, len % WORD);
	bytes[WORD - 1] = (uint8_t)len;
	return load(bytes);
}

static inline struct state absorb(const struct hash_key *key, const void *data, size_t len, uint64_t variant)
{
	const uint8_t *at = data;
	struct state s = {key->words[0] ^ 0x736f6d6570736575u, key->words[1] ^ 0x646f72616e646f6du ^ variant,
		key->words[0] ^ 0x6c7967656e657261u, key->words[1] ^ 0x7465646279746573u};
	for (size_t i = 0; i < len / WORD; i++, at += WORD)
		take(&s, load(at));
	take(&s, last_word(at, len));
	return s;
}

static inline uint64_t squeeze(struct state *s)
{
	mix(s, FINAL_ROUNDS);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

struct hash_key hash_key_from(const uint8_t bytes[static HASH_KEY_SIZE])
{
	return (struct hash_key){{load(bytes), load(bytes + WORD)}};
}

uint64_t hash_64(const struct hash_key *key, const void *data, size_t len)
{
	struct state s = absorb(key, data, len, 0);
	s.v2 ^= 0xff;
	return squeeze(&s);
}

struct hash128 hash_128(const struct hash_key *key, const void *data, size_t len)
{
	struct hash128 h;
	struct state s = absorb(key, data, len, 0xee);
	s.v2 ^= 0xee;
	h.low = squeeze(&s);
	s.v1 ^= 0xdd;
	h.high = squeeze(&s);
	return h;
}
