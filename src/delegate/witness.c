// SPDX-License-Identifier: GPL-3.0-or-later
#include "delegate/witness.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/hash.h"
#include "util/text.h"

enum {
	SLOTS = 1024, /* entries of a ring, a power of two */
	SEEN = 1024,  /* pairs of delegate and resolver a writer remembers */
	AGAIN_MS = 10 * 1000
};

struct slot {
	int64_t when;
	uint32_t times;
	uint16_t zone;
	uint8_t len;
	uint8_t label[DELEGATE_LABEL_MAX];
	struct address resolver;
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
	struct hash_key key; /* so that nobody can choose pairs that push each other out */
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
	int rc = secure_random(&r->key, sizeof r->key);
	if (rc)
		witness_writer_free(&r);
	*out = r;
	return rc;
}

void witness_writer_free(struct witness_writer **w)
{
	free(*w);
	*w = NULL;
}

/* False: full. */
static bool push(struct ring *r, const struct slot *s)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint32_t used = head - atomic_load_explicit(&r->tail, memory_order_acquire);
	if (used >= SLOTS) {
		atomic_fetch_add_explicit(&r->lost, s->times, memory_order_relaxed);
		return false;
	}
	r->slots[head % SLOTS] = *s;
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

void witness_note(struct witness_writer *w, uint16_t zone, const uint8_t *label, size_t len,
	const struct address *client, int64_t now)
{
	struct slot s = {.when = now, .zone = zone, .len = (uint8_t)len, .resolver = *client};
	if (len > sizeof s.label)
		return;
	for (size_t i = 0; i < len; i++)
		s.label[i] = text_lower(label[i]);
	/* From the zone to the resolver: the members lie side by side. */
	uint64_t hash = hash_64(&w->key, &s.zone,
		offsetof(struct slot, resolver) + sizeof s.resolver - offsetof(struct slot, zone));
	struct seen *seen = &w->seen[hash % SEEN];
	bool known = seen->hash == hash;
	/* A clock that is set back must not silence anybody. */
	if (known && now >= seen->when && now - seen->when < AGAIN_MS) {
		seen->skipped += seen->skipped < UINT32_MAX;
		return;
	}
	s.times = 1 + (known && seen->skipped < UINT32_MAX ? seen->skipped : 0);
	if (push(w->ring, &s))
		*seen = (struct seen){.hash = hash, .when = now};
}

/* ---- reading ---- */

/* False: not what witness_note() writes. */
static bool check(const struct slot *s, struct witness_entry *out)
{
	if (!s->len || s->len > sizeof s->label || !s->times || s->when < 0)
		return false;
	out->id.zone = s->zone;
	memcpy(out->id.label, s->label, s->len);
	out->id.label[s->len] = 0;
	out->resolver = s->resolver;
	out->when = s->when;
	out->times = s->times;
	return strlen(out->id.label) == s->len && delegate_label_valid(out->id.label);
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
