// SPDX-License-Identifier: GPL-3.0-or-later
/* The two tables of the index and the memory they lie in.
 *
 * Names: buckets of one cache line, eight slots each. A slot is the upper 62 bits of a name's hash and two
 * flags; an empty one ends the search. Nothing is ever taken out, since a delegate's label is never given out
 * again.
 *
 * Values: slots of two cache lines, found by the other half of the hash and linear probing: both halves, and
 * the one or two live values. Each begins with a sequence number that is odd while the slot is written (a
 * sequence lock).
 *
 * A table grows by being copied into one of twice the size, in a part of the mapping that belongs to that
 * size alone; memory is what was touched, so the rest of the mapping costs nothing. The header's generation
 * is odd while the tables are out of service, and grows with every such move; a reader that finds it changed
 * has read nothing. */
#pragma once

#include <stdatomic.h>

#include "delegate/index.h"
#include "delegate/internal.h"

enum { INDEX_LINE = 64, NAME_SLOTS = 8, VALUE_WORDS = 16, INDEX_VALUES = 2 };

enum {
	NAME_HAS_VALUES = 1, /* look into the other table */
	/* Deleted, or its record is damaged; with the flag above: more values than fit there, and in their
	 * place is a digest of the record. */
	NAME_ASK_STORE = 2,
	NAME_FLAGS = 3
};

/* The tables in use. */
struct index_levels {
	uint32_t name_bits;    /* log2 of the buckets */
	uint32_t value_bits;   /* log2 of the slots */
	uint32_t value_parity; /* which of the two places for that size */
};

struct index_header {
	_Atomic uint64_t generation;
	_Atomic uint32_t name_bits, value_bits, value_parity;
	/* What follows is the writer's alone, and not in a line that readers look at. */
	_Alignas(INDEX_LINE) bool busy; /* a commit is being taken over; still set: its writer died in the
					   middle */
	uint64_t version;
	uint64_t names;       /* slots in use */
	uint64_t value_slots; /* slots that are not empty */
	uint64_t live;        /* slots with values */
	struct hash_key key;
};

struct delegate_index {
	struct index_header *header;
	uint8_t *base;             /* of the mapping */
	int read_fd;               /* opened for reading only; -1: given away */
	size_t limit;              /* bytes the tables may have */
	struct delegate_key built; /* the writer's: the build has come so far */
	struct delegate_value_set scratch;
};

/* ---- index_memory.c ---- */

_Atomic uint64_t *index_names(const struct delegate_index *x, uint32_t bits);
_Atomic uint64_t *index_values(const struct delegate_index *x, uint32_t bits, uint32_t parity);
size_t index_names_size(uint32_t bits);
size_t index_values_size(uint32_t bits);

/* The memory is the kernel's again, and reads as zeros. ERR_SYSTEM: this kernel cannot; then there is no
 * index. */
int index_drop(void *level, size_t size);

/* Begins and ends a change of the header that readers must not see half. */
uint64_t index_lock(struct delegate_index *x);
void index_unlock(struct delegate_index *x, uint64_t generation);

/* ---- index_tables.c: for the writer; in tables that are in use or about to be ---- */

/* Room for one more entry in either table. ERR_FULL: the limit. */
int index_make_room(struct delegate_index *x) MUST_USE;
/* Sets the flags of a name, which is added where it is not there. */
void index_put_name(struct delegate_index *x, uint64_t slot, unsigned flags);
bool index_has_name(const struct delegate_index *x, uint64_t slot);
/* At most INDEX_VALUES; none: the slot is given up. */
void index_put_values(struct delegate_index *x, struct hash128 name, const struct delegate_value_set *set);

/* ---- for readers ---- */

static inline uint64_t name_slot(struct hash128 name)
{
	uint64_t slot = name.low & ~(uint64_t)NAME_FLAGS;
	return slot ? slot : NAME_FLAGS + 1; /* zero is the empty slot */
}

/* Which of 2^bits places a hash belongs to: its upper bits, so that a slot of the names has all that is
 * needed to move it into a larger table. */
static inline uint64_t index_place(uint64_t hash, uint32_t bits)
{
	return hash >> (64 - bits);
}

/* The slot with its flags; 0: not there. */
uint64_t index_get_name(const struct delegate_index *x, uint32_t bits, uint64_t slot);
/* Those live at `now`. ERR_AGAIN: not there, or being written all the time. */
int index_get_values(const struct delegate_index *x, const struct index_levels *l, struct hash128 name,
	int64_t now, struct delegate_values *out) MUST_USE;
