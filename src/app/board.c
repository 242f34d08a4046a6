// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/board.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { READ_TRIES = 100, PLACE_PAGES = 2, PAGE_SIZE_MIN = 4096 };

/* Odd: being written. */
struct agent_section {
	atomic_uint version;
	struct acme_state state;
};

struct place {
	atomic_uint confinement;
	atomic_bool serving;
	union {
		_Alignas(64) struct board_dns dns;
		struct board_api api;
		struct keeper_counters keeper;
	};
};

_Static_assert(sizeof(struct place) <= PLACE_PAGES * PAGE_SIZE_MIN, "a place is that long");

struct supervisor_section {
	int64_t started, begun;
	uint64_t reloads;
	atomic_bool agent;
	struct board_child children[];
};

struct board {
	unsigned place_count;
	size_t place_size; /* whole pages */
	struct agent_section *agent;
	struct supervisor_section *supervisor;
	uint8_t *places;
	bool reader;   /* every place can be read */
	bool narrowed; /* otherwise only the own one is there */
	unsigned own;
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

static size_t supervisor_size(const struct board *b)
{
	return sizeof(struct supervisor_section) + b->place_count * sizeof(struct board_child);
}

int board_new(unsigned places, struct board **out)
{
	struct board *b = calloc(1, sizeof *b);
	*out = NULL;
	if (!b)
		return ERR_NOMEM;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	b->place_count = places;
	b->place_size = (sizeof(struct place) + page - 1) / page * page;
	b->reader = true;
	b->agent = share(sizeof *b->agent);
	b->supervisor = share(supervisor_size(b));
	b->places = share(places * b->place_size);
	if (!b->agent || !b->supervisor || !b->places) {
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
	unshare_section((*b)->supervisor, supervisor_size(*b));
	if ((*b)->narrowed && (*b)->places)
		munmap((*b)->places + (*b)->own * (*b)->place_size, (*b)->place_size);
	else
		unshare_section((*b)->places, (*b)->place_count * (*b)->place_size);
	free(*b);
	*b = NULL;
}

unsigned board_places(const struct board *b)
{
	return b->place_count;
}

/* ---- who keeps what ---- */

static void drop(void *p, size_t size, bool keep_for_reading)
{
	if (!size)
		return;
	/* If it stays writable, then because the kernel has no memory for one more mapping. */
	(void)!(keep_for_reading ? mprotect(p, size, PROT_READ) : munmap(p, size));
}

void board_keep(struct board *b, unsigned place, enum board_access access)
{
	bool reads = access == BOARD_READER;
	size_t before = place * b->place_size, behind = (b->place_count - place - 1) * b->place_size;
	if (access != BOARD_AGENT)
		drop(b->agent, sizeof *b->agent, reads);
	drop(b->supervisor, supervisor_size(b), reads);
	drop(b->places, before, reads);
	drop(b->places + before + b->place_size, behind, reads);
	b->reader = reads;
	b->narrowed = !reads;
	b->own = place;
	if (access == BOARD_NOTHING)
		b->agent = NULL;
	if (!reads)
		b->supervisor = NULL;
}

/* NULL: there is none, or not here. */
static struct place *place_at(const struct board *b, unsigned place)
{
	if (place >= b->place_count || (!b->reader && place != b->own))
		return NULL;
	return (struct place *)(b->places + place * b->place_size);
}

struct board_dns *board_dns(const struct board *b, unsigned place)
{
	struct place *p = place_at(b, place);
	return p ? &p->dns : NULL;
}

struct board_api *board_api(const struct board *b, unsigned place)
{
	struct place *p = place_at(b, place);
	return p ? &p->api : NULL;
}

struct keeper_counters *board_keeper(const struct board *b, unsigned place)
{
	struct place *p = place_at(b, place);
	return p ? &p->keeper : NULL;
}

/* ---- the agent ---- */

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
	if (!b->agent || !b->supervisor || !atomic_load(&b->supervisor->agent))
		return false;
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
		acme_state_terminate(out);
		return true;
	}
	return false;
}

/* ---- confinement ---- */

void board_confined(struct board *b, unsigned place, unsigned confinement)
{
	struct place *p = place_at(b, place);
	if (p)
		atomic_store(&p->confinement, confinement);
}

unsigned board_confinement(const struct board *b, unsigned place)
{
	struct place *p = place_at(b, place);
	return p ? atomic_load(&p->confinement) : 0;
}

/* ---- the supervisor ---- */

void board_start(struct board *b, int64_t wall, int64_t mono)
{
	b->supervisor->started = wall;
	b->supervisor->begun = mono;
}

void board_agent_wanted(struct board *b, bool wanted)
{
	atomic_store(&b->supervisor->agent, wanted);
}

void board_reloaded(struct board *b)
{
	b->supervisor->reloads++;
}

void board_child_added(struct board *b, unsigned place, int64_t mono)
{
	struct board_child *c = &b->supervisor->children[place];
	c->added = mono;
	c->pid = 0;
	c->in_service = true;
}

void board_child_started(struct board *b, unsigned place, uint32_t pid, int64_t wall, int64_t mono)
{
	struct board_child *c = &b->supervisor->children[place];
	c->started = c->changed = wall;
	c->begun = mono;
	c->pid = pid;
}

void board_child_ended(struct board *b, unsigned place, enum board_end how, int64_t wall)
{
	struct board_child *c = &b->supervisor->children[place];
	c->restarts[how] += c->in_service;
	c->changed = wall;
	c->pid = 0;
}

void board_child_leaves(struct board *b, unsigned place)
{
	b->supervisor->children[place].in_service = false;
}

struct board_child board_child(const struct board *b, unsigned place)
{
	if (!b->supervisor || place >= b->place_count)
		return (struct board_child){.in_service = false};
	return b->supervisor->children[place];
}

int64_t board_started(const struct board *b)
{
	return b->supervisor ? b->supervisor->started : 0;
}

int64_t board_begun(const struct board *b)
{
	return b->supervisor ? b->supervisor->begun : 0;
}

uint64_t board_reloads(const struct board *b)
{
	return b->supervisor ? b->supervisor->reloads : 0;
}

void board_serving(const struct board_seat *seat)
{
	struct place *p = seat->board ? place_at(seat->board, seat->place) : NULL;
	if (p)
		atomic_store(&p->serving, true);
}

bool board_serves(const struct board *b, unsigned place)
{
	struct place *p = place_at(b, place);
	return p && atomic_load(&p->serving);
}

void board_clear(struct board *b, unsigned place)
{
	struct place *p = place_at(b, place);
	if (!p)
		return;
	atomic_store(&p->confinement, 0);
	atomic_store(&p->serving, false);
}
