// SPDX-License-Identifier: GPL-3.0-or-later
/* What the processes show each other: shared memory made by the supervisor before it forks. Every section is
 * memory of its own with one writer; a process unmaps those that are not its business. Readers
 * take what they find for what it is: told by a process that may have been taken over.
 *
 * Sections: one of the supervisor's (who runs), one of the agent's, and one for each place. A place belongs
 * to a process and to the one that is started when it ends: its counters go on, so that sums never go back.
 * On a reload a process and its successor have different places and count side by side. */
#pragma once

#include "acme/acme.h"
#include "dns/dns.h"
#include "http/http.h"
#include "keeper/keeper.h"
#include "net/net.h"
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
unsigned board_places(const struct board *b);

/* What a process keeps besides its own place. */
enum board_access {
	BOARD_NOTHING,
	BOARD_AGENT, /* writes the agent's section */
	BOARD_READER /* reads everything */
};
/* In a child, before it reads anything from outside. What is not kept reads as empty afterwards. */
void board_keep(struct board *b, unsigned place, enum board_access access);

/* The agent's: its state as it is now. */
void board_agent_write(struct board *b, const struct acme_state *state);
/* False: there is no agent by the configuration in force, nothing was ever written, or it is being changed
 * too fast. */
bool board_agent_read(const struct board *b, struct acme_state *out) MUST_USE;

/* Each process's own place: bits of enum confinement. */
void board_confined(struct board *b, unsigned place, unsigned confinement);
unsigned board_confinement(const struct board *b, unsigned place);

/* What arrives is served from now on; the supervisor waits for that, and empties a place for the next. */
void board_serving(const struct board_seat *seat);
bool board_serves(const struct board *b, unsigned place);
void board_clear(struct board *b, unsigned place);
/* ---- what a process counts ---- */

/* A dns process, about itself, once a second. */
enum board_dns_state { BOARD_DNS_WELL, BOARD_DNS_NO_ANSWER, BOARD_DNS_NO_STORE };

struct board_dns {
	int64_t beat;   /* clock_mono_ms() of its last look at itself */
	uint32_t state; /* of enum board_dns_state */
	int64_t since;  /* milliseconds since the epoch: when it came into that state */
	_Alignas(64) struct dns_counters dns;
	_Alignas(64) struct net_counters net;
};

struct board_api {
	int64_t beat;
	int64_t not_before, not_after; /* of the certificate in files; 0: there is none */
	struct http_counters http;
};

/* One place holds one of the three; which is known by whose it is. NULL: not mapped here. */
struct board_dns *board_dns(const struct board *b, unsigned place);
struct board_api *board_api(const struct board *b, unsigned place);
struct keeper_counters *board_keeper(const struct board *b, unsigned place);

/* ---- what the supervisor writes ---- */

enum board_end {
	BOARD_END_SIGNAL,
	BOARD_END_EXIT,
	BOARD_END_FORK,
	BOARD_ENDS
}; /* FORK: could not be started */

struct board_child {
	bool in_service; /* it is to run; false: nobody, or one that is leaving */
	uint32_t pid;    /* 0: not running */
	int64_t added;   /* clock_mono_ms() when it came into service */
	int64_t begun;   /* clock_mono_ms() when the present process was started: spans come from this */
	int64_t started,
		changed; /* milliseconds since the epoch: start of the present process; start or end */
	uint32_t restarts[BOARD_ENDS]; /* of the place, since the server started, by how its predecessor ended
					*/
};

void board_start(struct board *b, int64_t wall, int64_t mono); /* the server starts */
/* Does the configuration in force have an agent? What one wrote under another configuration is not read. */
void board_agent_wanted(struct board *b, bool wanted);
void board_reloaded(struct board *b); /* a new configuration is in force */
void board_child_added(struct board *b, unsigned place, int64_t mono);
void board_child_started(struct board *b, unsigned place, uint32_t pid, int64_t wall, int64_t mono);
void board_child_ended(struct board *b, unsigned place, enum board_end how, int64_t wall);
void board_child_leaves(struct board *b, unsigned place); /* is not in service any more */

struct board_child board_child(const struct board *b, unsigned place);
int64_t board_started(const struct board *b);
int64_t board_begun(const struct board *b); /* the same: clock_mono_ms() */
uint64_t board_reloads(const struct board *b);
