// SPDX-License-Identifier: GPL-3.0-or-later
#include "delegate/witness.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/text.h"

enum {
	SLOTS = 1024, /* entries of a ring, a power of two */
	SEEN_BITS = 10,
	SEEN = 1 << SEEN_BITS, /* pairs of delegate and resolver a writer remembers */
	AGAIN_MS = 10 * 1000
};

/* Which resolver asked for which delegate: no byte of it is left undefined, so it can be taken as words. */
struct pair {
	uint8_t label[DELEGATE_LABEL_MAX + 1]; /* lower-case, the rest is 0 */
	struct address resolver;
	uint32_t zone, len;
};

enum { WORDS = sizeof(struct pair) / sizeof(uint64_t) };
_Static_assert(sizeof(struct pair) % sizeof(uint64_t) == 0, "taken as words");

struct slot {
	int64_t when;
	uint32_t times;
	struct pair pair;
};

/* Both numbers only grow and wrap around; there are head - tail entries. */
struct ring {
	_Alignas(64) _Atomic uint32_t head; /* the writer's */
	_Atomic uint64_t lost;
	_Alignas(64) _Atomic uint32_t tail; /* the reader's */
	_Alignas(64) struct slot slots[SLOTS];
};

struct witness {
	unsigned count;
	struct ring *rings; /* shared */
};

/* A pair that was told of lately. */
struct seen {
	uint64_t hash;
	int64_t when;
	uint32_t skipped;
};

struct witness_writer {
	struct ring *ring;
	uint64_t factors[WORDS]; /* of the hash */
	struct seen seen[SEEN];
};

int witness_new(unsigned rings, struct witness **out)
{
	struct witness *w = *out = calloc(1, sizeof *w);
	if (!w)
		return ERR_NOMEM;
	void *p = mmap(
		NULL, rings * sizeof *w->rings, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		free(w);
		*out = NULL;
		return ERR_NOMEM;
	}
	w->rings = p;
	w->count = rings;
	return OK;
}

void witness_free(struct witness **w)
{
	if (!*w)
		return;
	munmap((*w)->rings, (*w)->count * sizeof *(*w)->rings);
	free(*w);
	*w = NULL;
}

/* ---- writing ---- */

int witness_writer_new(struct witness *w, unsigned ring, struct witness_writer **out)
{
	*out = NULL;
	if (ring >= w->count)
		return ERR_RANGE;
	struct witness_writer *r = calloc(1, sizeof *r);
	if (!r)
		return ERR_NOMEM;
	r->ring = &w->rings[ring];
	int rc = secure_random(r->factors, sizeof r->factors);
	if (rc)
		witness_writer_free(&r);
	for (size_t i = 0; !rc && i < WORDS; i++)
		r->factors[i] |= 1;
	*out = r;
	return rc;
}

void witness_writer_free(struct witness_writer **w)
{
	free(*w);
	*w = NULL;
}

/* False: full. */
static bool push(struct ring *r, const struct pair *p, int64_t when, uint32_t times)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint32_t used = head - atomic_load_explicit(&r->tail, memory_order_acquire);
	if (used >= SLOTS) {
		atomic_fetch_add_explicit(&r->lost, times, memory_order_relaxed);
		return false;
	}
	r->slots[head % SLOTS] = (struct slot){when, times, *p};
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

/* Every answer with values comes through here, so it must cost next to nothing: the sum of the words, each
 * times a random odd number. Nobody can choose pairs that push each other out, for nobody sees the numbers or
 * the sum. */
static uint64_t hash_of(const struct witness_writer *w, const struct pair *p)
{
	uint64_t words[WORDS], sum = 0;
	memcpy(words, p, sizeof words);
	for (size_t i = 0; i < WORDS; i++)
		sum += words[i] * w->factors[i];
	return sum;
}

/* All of it, whatever its length: compilers make few instructions of that. */
static void make_pair(
	struct pair *p, uint16_t zone, const uint8_t *label, size_t len, const struct address *client)
{
	*p = (struct pair){.resolver = *client, .zone = zone, .len = (uint32_t)len};
	memcpy(p->label, label, len);
	for (size_t i = 0; i < sizeof p->label; i++)
		p->label[i] = text_lower(p->label[i]);
}

void witness_note(struct witness_writer *w, uint16_t zone, const uint8_t *label, size_t len,
	const struct address *client, int64_t now)
{
	struct pair p;
	if (len > DELEGATE_LABEL_MAX)
		return;
	make_pair(&p, zone, label, len, client);
	uint64_t hash = hash_of(w, &p);
	struct seen *seen = &w->seen[hash >> (64 - SEEN_BITS)]; /* its best bits */
	bool known = seen->hash == hash;
	/* A clock that is set back must not silence anybody. */
	if (known && now >= seen->when && now - seen->when < AGAIN_MS) {
		seen->skipped += seen->skipped < UINT32_MAX;
		return;
	}
	uint32_t times = 1 + (known && seen->skipped < UINT32_MAX ? seen->skipped : 0);
	if (push(w->ring, &p, now, times))
		*seen = (struct seen){.hash = hash, .when = now};
}

/* ---- reading ---- */

/* False: not what witness_note() writes. */
static bool check(const struct slot *s, struct witness_entry *out)
{
	const struct pair *p = &s->pair;
	if (!p->len || p->len > DELEGATE_LABEL_MAX || p->zone > UINT16_MAX || !s->times || s->when < 0)
		return false;
	out->id.zone = (uint16_t)p->zone;
	memcpy(out->id.label, p->label, p->len);
	out->id.label[p->len] = 0;
	out->resolver = p->resolver;
	out->when = s->when;
	out->times = s->times;
	return strlen(out->id.label) == p->len && delegate_label_formed(out->id.label);
}

static size_t take(struct ring *r, struct witness_entry *out, size_t max)
{
	size_t count = 0;
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t waiting = atomic_load_explicit(&r->head, memory_order_acquire) - tail;
	if (waiting > SLOTS) { /* not its writer's doing: begin anew */
		tail += waiting;
		waiting = 0;
	}
	for (; waiting && count < max; waiting--, tail++) {
		struct slot s = r->slots[tail % SLOTS]; /* a copy, for it may change under our eyes */
		count += check(&s, &out[count]);
	}
	atomic_store_explicit(&r->tail, tail, memory_order_release);
	return count;
}

size_t witness_take(struct witness *w, struct witness_entry *out, size_t max)
{
	size_t count = 0;
	for (unsigned i = 0; i < w->count && count < max; i++)
		count += take(&w->rings[i], out + count, max - count);
	return count;
}

uint64_t witness_lost(const struct witness *w)
{
	uint64_t lost = 0;
	for (unsigned i = 0; i < w->count; i++)
		lost += atomic_load_explicit(&w->rings[i].lost, memory_order_relaxed);
	return lost;
}
