// SPDX-License-Identifier: GPL-3.0-or-later
/* What the processes show each other: shared memory made by the supervisor before it forks. Every section is
 * memory of its own with one writer; a process unmaps those that are not its business . Readers
 * take what they find for what it is: told by a process that may have been taken over. */
#pragma once

#include "acme/acme.h"
#include "util/error.h"

/* What has been taken away from a process. */
enum confinement {
	CONFINED_PRIVILEGES = 1, /* no new privileges, no core dump, no debugger */
	CONFINED_FILES = 2,      /* Landlock */
	CONFINED_NETWORK = 4,    /* Landlock: TCP, where the kernel can */
	CONFINED_SIGNALS = 8,    /* Landlock: signals and abstract sockets, where the kernel can */
	CONFINED_CALLS = 16      /* seccomp */
};

struct board;

/* Where a process writes about itself. */
struct board_seat {
	struct board *board;
	unsigned place;
};

/* `places`: processes that may exist at once. ERR_NOMEM. */
int board_new(unsigned places, struct board **out) MUST_USE;
void board_free(struct board **b); /* accepts NULL inside; sets it to NULL */

/* The agent's: its state as it is now. */
void board_agent_write(struct board *b, const struct acme_state *state);
/* False: nothing was ever written, or it is being changed too fast. */
bool board_agent_read(const struct board *b, struct acme_state *out) MUST_USE;

/* Each process's own place: bits of enum confinement. */
void board_confined(struct board *b, unsigned place, unsigned confinement);
unsigned board_confinement(const struct board *b, unsigned place);

/* What arrives is served from now on; the supervisor waits for that, and empties a place for the next. */
void board_serving(const struct board_seat *seat);
bool board_serves(const struct board *b, unsigned place);
void board_clear(struct board *b, unsigned place);
