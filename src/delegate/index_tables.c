// SPDX-License-Identifier: GPL-3.0-or-later
#include <string.h>

#include "delegate/index_tables.h"

enum { SLOT_EMPTY, SLOT_GONE, SLOT_LIVE };

/* A slot of the values as memory has it. A slot that is GONE keeps the search going and may be used again. */
struct value_slot {
	uint32_t sequence;
	uint8_t state;
	uint8_t count;
	struct hash128 name;
	int64_t expiry[INDEX_VALUES];
	char text[INDEX_VALUES][DELEGATE_VALUE_LEN];
};

union value_words {
	struct value_slot slot;
	uint64_t words[VALUE_WORDS];
};

_Static_assert(sizeof(struct value_slot) <= VALUE_WORDS * sizeof(uint64_t), "a slot is two cache lines");

enum {
	READ_TRIES = 8,       /* of a slot that is being written; the writer needs some nanoseconds */
	SEARCH_MAX = 1 << 16, /* slots; never reached in a table that is at most three quarters full */
	NAME_SIZE_BITS_MAX = 33 - 6,
	VALUE_BITS_MAX = 34 - 7
};

/* ---- names ---- */

/* The place of a name, or the empty one where it belongs; NULL: neither (a reader without luck). */
static _Atomic uint64_t *find_name(
	const struct delegate_index *x, uint32_t bits, uint64_t slot, uint64_t *found)
{
	_Atomic uint64_t *table = index_names(x, bits);
	uint64_t buckets = (uint64_t)1 << bits, at = index_place(slot, bits);
	for (uint64_t n = 0; n < buckets && n < SEARCH_MAX; n++, at = (at + 1) & (buckets - 1)) {
		_Atomic uint64_t *bucket = table + at * NAME_SLOTS;
		for (unsigned i = 0; i < NAME_SLOTS; i++) {
			*found = atomic_load_explicit(&bucket[i], memory_order_acquire);
			if (!*found || (*found & ~(uint64_t)NAME_FLAGS) == slot)
				return &bucket[i];
		}
	}
	*found = 0;
	return NULL;
}

uint64_t index_get_name(const struct delegate_index *x, uint32_t bits, uint64_t slot)
{
	uint64_t found;
	return find_name(x, bits, slot, &found) ? found : 0;
}

bool index_has_name(const struct delegate_index *x, uint64_t slot)
{
	return index_get_name(x, x->header->name_bits, slot) != 0;
}

void index_put_name(struct delegate_index *x, uint64_t slot, unsigned flags)
{
	uint64_t found;
	_Atomic uint64_t *place = find_name(x, x->header->name_bits, slot, &found);
	if (!place) /* cannot be: there is room */
		return;
	x->header->names += !found;
	atomic_store_explicit(place, slot | flags, memory_order_release);
}

/* ---- values ---- */

static _Atomic uint64_t *value_place(
	const struct delegate_index *x, const struct index_levels *l, uint64_t at)
{
	return index_values(x, l->value_bits, l->value_parity) + at * VALUE_WORDS;
}

/* False: it is being written. */
static bool read_slot(const _Atomic uint64_t *place, union value_words *out)
{
	out->words[0] = atomic_load_explicit(&place[0], memory_order_acquire);
	if (out->slot.sequence & 1)
		return false;
	for (unsigned i = 1; i < VALUE_WORDS; i++)
		out->words[i] = atomic_load_explicit(&place[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&place[0], memory_order_relaxed) == out->words[0];
}

static void write_slot(_Atomic uint64_t *place, union value_words *in)
{
	union value_words was = {.words = {atomic_load_explicit(&place[0], memory_order_relaxed)}};
	was.slot.sequence |= 1;
	in->slot.sequence = was.slot.sequence + 1;
	atomic_store_explicit(&place[0], was.words[0], memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (unsigned i = 1; i < VALUE_WORDS; i++)
		atomic_store_explicit(&place[i], in->words[i], memory_order_relaxed);
	atomic_store_explicit(&place[0], in->words[0], memory_order_release);
}

static bool same_name(struct hash128 a, struct hash128 b)
{
	return a.low == b.low && a.high == b.high;
}

static int read_patiently(const _Atomic uint64_t *place, union value_words *out)
{
	for (unsigned i = 0; i < READ_TRIES; i++)
		if (read_slot(place, out))
			return OK;
	return ERR_AGAIN;
}

static int take_values(const struct value_slot *slot, int64_t now, struct delegate_values *out)
{
	if (slot->state != SLOT_LIVE || slot->count > INDEX_VALUES)
		return ERR_AGAIN;
	for (size_t i = 0; i < slot->count; i++)
		if (slot->expiry[i] > now)
			delegate_add_value(out, slot->text[i]);
	return OK;
}

int index_get_values(const struct delegate_index *x, const struct index_levels *l, struct hash128 name,
	int64_t now, struct delegate_values *out)
{
	uint64_t slots = (uint64_t)1 << l->value_bits, at = index_place(name.high, l->value_bits);
	for (uint64_t n = 0; n < slots && n < SEARCH_MAX; n++, at = (at + 1) & (slots - 1)) {
		union value_words read;
		if (read_patiently(value_place(x, l, at), &read) || read.slot.state == SLOT_EMPTY)
			return ERR_AGAIN;
		if (same_name(read.slot.name, name))
			return take_values(&read.slot, now, out);
	}
	return ERR_AGAIN;
}

/* The slot of a name, or one it can have. NULL: the table is full. */
static _Atomic uint64_t *find_slot(const struct delegate_index *x, const struct index_levels *l,
	struct hash128 name, union value_words *read)
{
	uint64_t slots = (uint64_t)1 << l->value_bits, at = index_place(name.high, l->value_bits);
	_Atomic uint64_t *vacant = NULL;
	for (uint64_t n = 0; n < slots; n++, at = (at + 1) & (slots - 1)) {
		_Atomic uint64_t *place = value_place(x, l, at);
		/* Nobody else writes, so what is torn was left so by a writer that died; a reset will follow.
		 */
		(void)!read_slot(place, read);
		if (read->slot.state != SLOT_EMPTY && same_name(read->slot.name, name))
			return place;
		if (!vacant && read->slot.state != SLOT_LIVE)
			vacant = place;
		if (read->slot.state == SLOT_EMPTY)
			break;
	}
	if (vacant)
		(void)!read_slot(vacant, read);
	return vacant;
}

static struct index_levels levels_of(const struct delegate_index *x)
{
	const struct index_header *h = x->header;
	return (struct index_levels){h->name_bits, h->value_bits, h->value_parity};
}

void index_put_values(struct delegate_index *x, struct hash128 name, const struct delegate_value_set *set)
{
	struct index_levels l = levels_of(x);
	union value_words read,
		next = {.slot = {.state = SLOT_LIVE, .count = (uint8_t)set->count, .name = name}};
	_Atomic uint64_t *place = find_slot(x, &l, name, &read);
	bool known = place && read.slot.state != SLOT_EMPTY && same_name(read.slot.name, name);
	if (!place || (!set->count && !known))
		return;
	for (size_t i = 0; i < set->count; i++) {
		next.slot.expiry[i] = set->values[i].expiry;
		memcpy(next.slot.text[i], set->values[i].text, DELEGATE_VALUE_LEN);
	}
	if (!set->count)
		next.slot.state = SLOT_GONE;
	x->header->live += (next.slot.state == SLOT_LIVE) - (read.slot.state == SLOT_LIVE);
	x->header->value_slots += read.slot.state == SLOT_EMPTY;
	write_slot(place, &next);
}

/* ---- growing ---- */

static void move_names(struct delegate_index *x, uint32_t from, uint32_t to)
{
	const _Atomic uint64_t *old = index_names(x, from);
	uint64_t found, count = (uint64_t)NAME_SLOTS << from;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t slot = atomic_load_explicit(&old[i], memory_order_relaxed);
		_Atomic uint64_t *place =
			slot ? find_name(x, to, slot & ~(uint64_t)NAME_FLAGS, &found) : NULL;
		if (place)
			atomic_store_explicit(place, slot, memory_order_relaxed);
	}
}

static void move_values(
	struct delegate_index *x, const struct index_levels *from, const struct index_levels *to)
{
	uint64_t count = (uint64_t)1 << from->value_bits;
	for (uint64_t i = 0; i < count; i++) {
		union value_words read, unused;
		(void)!read_slot(value_place(x, from, i), &read);
		_Atomic uint64_t *place =
			read.slot.state == SLOT_LIVE ? find_slot(x, to, read.slot.name, &unused) : NULL;
		if (place)
			write_slot(place, &read);
	}
}

/* The new tables take the place of the old ones: for readers at one moment. */
static void switch_to(struct delegate_index *x, const struct index_levels *l)
{
	struct index_header *h = x->header;
	uint64_t generation = index_lock(x);
	atomic_store_explicit(&h->name_bits, l->name_bits, memory_order_relaxed);
	atomic_store_explicit(&h->value_bits, l->value_bits, memory_order_relaxed);
	atomic_store_explicit(&h->value_parity, l->value_parity, memory_order_relaxed);
	index_unlock(x, generation + 2);
}

static bool fits(const struct delegate_index *x, const struct index_levels *l, size_t beside)
{
	return l->name_bits <= NAME_SIZE_BITS_MAX && l->value_bits <= VALUE_BITS_MAX &&
	       index_names_size(l->name_bits) + index_values_size(l->value_bits) + beside <= x->limit;
}

static int grow_names(struct delegate_index *x)
{
	struct index_levels is = levels_of(x), next = is;
	next.name_bits++;
	if (!fits(x, &next, index_names_size(is.name_bits)))
		return ERR_FULL;
	move_names(x, is.name_bits, next.name_bits);
	switch_to(x, &next);
	(void)!index_drop(index_names(x, is.name_bits), index_names_size(is.name_bits));
	return OK;
}

/* Also only to be rid of the slots that are gone. */
static int renew_values(struct delegate_index *x)
{
	struct index_levels is = levels_of(x), next = is;
	next.value_parity ^= 1;
	if (x->header->live >= (uint64_t)3 << is.value_bits >> 3)
		next.value_bits++;
	if (!fits(x, &next, index_values_size(is.value_bits)))
		return ERR_FULL;
	move_values(x, &is, &next);
	x->header->value_slots = x->header->live;
	switch_to(x, &next);
	(void)!index_drop(index_values(x, is.value_bits, is.value_parity), index_values_size(is.value_bits));
	return OK;
}

int index_make_room(struct delegate_index *x)
{
	const struct index_header *h = x->header;
	int rc = OK;
	if (h->names >= (uint64_t)NAME_SLOTS * 3 / 4 << h->name_bits)
		rc = grow_names(x);
	if (!rc && h->value_slots >= (uint64_t)3 << h->value_bits >> 2)
		rc = renew_values(x);
	return rc;
}
