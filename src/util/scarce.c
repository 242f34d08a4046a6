// SPDX-License-Identifier: GPL-3.0-or-later
#include "util/scarce.h"

#include <malloc.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#include "util/secure.h"

/* More than the densest text of 8 KiB becomes ("[{},{},...", 80 octets for each of its own). Takes no memory
 * before it is touched. */
enum { RESERVE = 1 << 20, ALIGN = alignof(max_align_t) };

/* In front of what is taken out of the reserve. */
struct head {
	alignas(max_align_t) size_t size;
};

static struct {
	bool guarding, failed;
	size_t used;
	alignas(max_align_t) uint8_t reserve[RESERVE];
} scarce;

static void *take(size_t size)
{
	size_t whole = (size + ALIGN - 1) / ALIGN * ALIGN;
	scarce.failed = true;
	if (whole < size || RESERVE - scarce.used < sizeof(struct head) ||
		whole > RESERVE - scarce.used - sizeof(struct head))
		return NULL;
	struct head *h = (struct head *)(void *)(scarce.reserve + scarce.used);
	h->size = whole;
	scarce.used += sizeof *h + whole;
	return h + 1;
}

void *scarce_malloc(size_t size)
{
	void *p = malloc(size);
	return p || !scarce.guarding ? p : take(size);
}

void scarce_free(void *p)
{
	uintptr_t at = (uintptr_t)p, begin = (uintptr_t)scarce.reserve;
	if (!p)
		return;
	if (at >= begin && at < begin + RESERVE) {
		secure_wipe(
			p, ((struct head *)p - 1)->size); /* it is given out again at the next beginning */
		return;
	}
	secure_wipe(p, malloc_usable_size(p));
	free(p);
}

void scarce_begin(void)
{
	scarce.used = 0;
	scarce.failed = false;
	scarce.guarding = true;
}

bool scarce_end(void)
{
	scarce.guarding = false;
	return scarce.failed;
}
