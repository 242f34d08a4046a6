// SPDX-License-Identifier: GPL-3.0-or-later
/* Memory that the supervisor shares with all dns processes, so that one who does not answer queries can tell
 * how many there were. */
#include <sys/mman.h>

#include "app/internal.h"

_Static_assert(sizeof(struct dns_counters) % 64 == 0, "nobody shall write where another's cache line is");

static size_t size_of(const struct counters *c)
{
	return COUNTERS_GENERATIONS * c->processes * sizeof *c->slots;
}

int counters_new(unsigned processes, struct counters *out)
{
	*out = (struct counters){.processes = processes};
	void *p = mmap(NULL, size_of(out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return ERR_NOMEM;
	out->slots = p;
	return OK;
}

void counters_free(struct counters *c)
{
	if (c->slots)
		munmap(c->slots, size_of(c));
	*c = (struct counters){.processes = 0};
}

struct dns_counters *counters_of(const struct counters *c, unsigned generation, unsigned process)
{
	if (!c->slots || process >= c->processes)
		return NULL;
	return &c->slots[counters_place(c, generation, process)];
}

unsigned counters_place(const struct counters *c, unsigned generation, unsigned process)
{
	return generation % COUNTERS_GENERATIONS * c->processes + process;
}
