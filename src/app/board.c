// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/board.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { READ_TRIES = 100 };

/* Odd: being written. */
struct agent_section {
	atomic_uint version;
	struct acme_state state;
};

struct place {
	atomic_uint confinement;
	atomic_bool serving;
};

struct board {
	unsigned place_count;
	struct agent_section *agent;
	struct place *places;
};

static void *share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void unshare_section(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

int board_new(unsigned places, struct board **out)
{
	struct board *b = calloc(1, sizeof *b);
	*out = NULL;
	if (!b)
		return ERR_NOMEM;
	b->place_count = places;
	b->agent = share(sizeof *b->agent);
	b->places = share(places * sizeof *b->places);
	if (!b->agent || !b->places) {
		board_free(&b);
		return ERR_NOMEM;
	}
	*out = b;
	return OK;
}

void board_free(struct board **b)
{
	if (!*b)
		return;
	unshare_section((*b)->agent, sizeof *(*b)->agent);
	unshare_section((*b)->places, (*b)->place_count * sizeof *(*b)->places);
	free(*b);
	*b = NULL;
}

void board_agent_write(struct board *b, const struct acme_state *state)
{
	unsigned version = atomic_load(&b->agent->version);
	atomic_store(&b->agent->version, version | 1);
	atomic_thread_fence(memory_order_seq_cst);
	b->agent->state = *state;
	atomic_store(&b->agent->version, (version | 1) + 1);
}

bool board_agent_read(const struct board *b, struct acme_state *out)
{
	for (int i = 0; i < READ_TRIES; i++) {
		unsigned before = atomic_load(&b->agent->version);
		if (!before)
			return false;
		if (before & 1)
			continue;
		*out = b->agent->state;
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&b->agent->version) != before)
			continue;
		out->account[sizeof out->account - 1] = 0;
		out->error[sizeof out->error - 1] = 0;
		for (size_t k = 0; k < ACME_IDENTITIES; k++)
			out->identities[k][ACME_TEXT - 1] = 0;
		return true;
	}
	return false;
}

void board_confined(struct board *b, unsigned place, unsigned confinement)
{
	if (place < b->place_count)
		atomic_store(&b->places[place].confinement, confinement);
}

unsigned board_confinement(const struct board *b, unsigned place)
{
	return place < b->place_count ? atomic_load(&b->places[place].confinement) : 0;
}

void board_serving(const struct board_seat *seat)
{
	if (seat->board && seat->place < seat->board->place_count)
		atomic_store(&seat->board->places[seat->place].serving, true);
}

bool board_serves(const struct board *b, unsigned place)
{
	return place < b->place_count && atomic_load(&b->places[place].serving);
}

void board_clear(struct board *b, unsigned place)
{
	if (place >= b->place_count)
		return;
	atomic_store(&b->places[place].confinement, 0);
	atomic_store(&b->places[place].serving, false);
}
