// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "delegate/index_tables.h"
#include "util/secure.h"
#include "util/text.h"

enum {
	PAGE = 4096,
	NAME_BITS_MIN = 6,
	VALUE_BITS_MIN = 5,
	NAME_SIZE_BITS = 33, /* of the largest table of names, in bytes: a thousand million slots */
	VALUE_SIZE_BITS = 34 /* of values: 134 million slots */
};

/* A table of size S lies at S in its part, or, where there are two of a size, at 2 S and 3 S: no two overlap.
 */
static const size_t names_at = PAGE, names_room = (size_t)2 << NAME_SIZE_BITS;
static const size_t values_at = PAGE + ((size_t)2 << NAME_SIZE_BITS),
		    values_room = (size_t)4 << VALUE_SIZE_BITS;

static size_t mapping_size(void)
{
	return PAGE + names_room + values_room;
}

size_t index_names_size(uint32_t bits)
{
	return (size_t)INDEX_LINE << bits;
}

size_t index_values_size(uint32_t bits)
{
	return (size_t)(VALUE_WORDS * sizeof(uint64_t)) << bits;
}

_Atomic uint64_t *index_names(const struct delegate_index *x, uint32_t bits)
{
	return (_Atomic uint64_t *)(void *)(x->base + names_at + index_names_size(bits));
}

_Atomic uint64_t *index_values(const struct delegate_index *x, uint32_t bits, uint32_t parity)
{
	return (_Atomic uint64_t *)(void *)(x->base + values_at + (2 + parity) * index_values_size(bits));
}

int index_drop(void *level, size_t size)
{
	return madvise(level, size, MADV_REMOVE) ? ERR_SYSTEM : OK;
}

uint64_t index_lock(struct delegate_index *x)
{
	uint64_t was = atomic_load_explicit(&x->header->generation, memory_order_relaxed);
	atomic_store_explicit(&x->header->generation, was | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	return was;
}

void index_unlock(struct delegate_index *x, uint64_t generation)
{
	atomic_store_explicit(&x->header->generation, generation, memory_order_release);
}

static size_t usual_limit(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	return pages > 0 && size > 0 ? (size_t)pages / 4 * (size_t)size : (size_t)64 << 20;
}

/* One descriptor to write through, which is closed as soon as it is mapped, and one that can only read. */
static int map(struct delegate_index *x)
{
	char path[64];
	int fd = memfd_create("delegate-index", MFD_CLOEXEC);
	if (fd < 0)
		return ERR_SYSTEM;
	int rc = text_format(path, sizeof path, "/proc/self/fd/%d", fd);
	if (!rc && ftruncate(fd, (off_t)mapping_size()))
		rc = ERR_SYSTEM;
	void *base =
		rc ? MAP_FAILED
		   : mmap(NULL, mapping_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base != MAP_FAILED) {
		x->base = base;
		x->header = base;
		x->read_fd = open(path, O_RDONLY | O_CLOEXEC);
	} else {
		rc = ERR_SYSTEM;
	}
	close(fd);
	return rc;
}

static int set_up(struct delegate_index *x, size_t limit)
{
	uint8_t key[HASH_KEY_SIZE];
	int rc = map(x);
	rc = rc ? rc : index_drop(x->base, PAGE); /* what works once works always */
	rc = rc ? rc : secure_random(key, sizeof key);
	if (rc)
		return rc;
	x->limit = limit ? limit : usual_limit();
	x->header->key = hash_key_from(key);
	x->header->generation = 1;
	x->header->name_bits = NAME_BITS_MIN;
	x->header->value_bits = VALUE_BITS_MIN;
	return OK;
}

int delegate_index_new(size_t limit, struct delegate_index **out)
{
	struct delegate_index *x = calloc(1, sizeof *x);
	int rc = ERR_NOMEM;
	*out = x;
	if (!x)
		return rc;
	x->read_fd = -1;
	rc = set_up(x, limit);
	if (rc)
		delegate_index_free(out);
	return rc;
}

void delegate_index_free(struct delegate_index **handle)
{
	struct delegate_index *x = *handle;
	*handle = NULL;
	if (!x)
		return;
	if (x->base)
		munmap(x->base, mapping_size());
	if (x->read_fd >= 0)
		close(x->read_fd);
	free(x);
}

/* A mapping of a descriptor that can only read cannot be made writable, as one that is merely protected
 * could. */
int delegate_index_read_only(struct delegate_index *x)
{
	void *base = x->read_fd < 0 ? MAP_FAILED
				    : mmap(NULL, mapping_size(), PROT_READ, MAP_SHARED, x->read_fd, 0);
	if (base == MAP_FAILED) /* no /proc, or no room */
		return mprotect(x->base, mapping_size(), PROT_READ) ? ERR_SYSTEM : OK;
	munmap(x->base, mapping_size());
	close(x->read_fd);
	x->read_fd = -1;
	x->base = base;
	x->header = base;
	return OK;
}

void delegate_index_reset(struct delegate_index *x)
{
	struct index_header *h = x->header;
	uint64_t generation = index_lock(x);
	/* All tables there ever were: a writer that died while one grew may have left two. */
	(void)!index_drop(x->base + names_at, names_room);
	(void)!index_drop(x->base + values_at, values_room);
	h->name_bits = NAME_BITS_MIN;
	h->value_bits = VALUE_BITS_MIN;
	h->value_parity = 0;
	h->names = h->value_slots = h->live = 0;
	h->busy = false;
	x->built.len = 0;
	index_unlock(x, (generation | 1) + 2);
}

void delegate_index_state(const struct delegate_index *x, struct delegate_index_state *out)
{
	const struct index_header *h = x->header;
	*out = (struct delegate_index_state){.in_service = !(h->generation & 1),
		.delegates = h->names,
		.bytes = index_names_size(h->name_bits) + index_values_size(h->value_bits)};
}
