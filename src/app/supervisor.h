// SPDX-License-Identifier: GPL-3.0-or-later
/* The supervisor's state, shared by supervisor.c (who runs when) and child.c (how one is started). */
#pragma once

#include <signal.h>

#include "app/internal.h"
#include "app/notify.h"

/* Blocked in the supervisor before it forks, so a child that has not got far yet does not die of it. */
enum { CHILD_STOP_SIGNAL = SIGUSR1 };

enum role { ROLE_KEEPER, ROLE_DNS, ROLE_DOT, ROLE_API, ROLE_AGENT, ROLES };

struct child {
	enum role role;
	unsigned index; /* of a dns worker */
	unsigned generation;
	pid_t pid;       /* 0: not running */
	bool leaving;    /* was told to stop */
	bool again;      /* it has ended by itself before */
	int channel;     /* api, agent: the keeper's end of its channel; -1: none */
	int line;        /* api, dot: on which certificates are handed to it; agent: on which it speaks; -1 */
	int64_t started; /* 0: never */
	int64_t due;     /* when to start it (again), if it is not running; leaving: when it was told */
	unsigned quick_deaths;
	struct child *next;
};

struct supervisor {
	const char *file;
	struct settings settings;
	const struct sockets *sockets;
	struct delegate_index *index; /* NULL: there is none */
	struct board *board;
	struct witness *witness; /* NULL: nobody notes who asked */
	unsigned generation;     /* of children: each reload makes one */
	struct child *children;  /* those in service, and those that are leaving */
	int signal_fd;
	struct damage damage;
	bool damage_changed; /* children are still to be told */
	struct notify notify;
	int control;     /* to the running keeper; -1: none */
	int certificate; /* mode acme: the newest, see own.c; -1: none */
	struct {
		pid_t asks;   /* that agent waits for an answer to AGENT_PERMIT; 0: nobody */
		pid_t served; /* for that one children are being replaced; 0: nobody */
		bool renewed;
		int64_t due; /* nothing is done for it sooner */
	} agent;
	bool stopping;
	int64_t stop_deadline;
	int child_status; /* >= 0: this process is a child that has finished */
};

/* "keeper", "dns0", "dot", "api", "agent" */
void child_name(const struct child *c, char out[static 16]);

/* Whose place on the board it is: the role, the number of a dns worker, and their name. */
enum role place_role(const struct board *b, unsigned place, unsigned *index);
void place_name(const struct board *b, unsigned place, char out[static 16]);

/* Its own among those on the board; a process and the one that replaces it have different ones. */
unsigned child_place(const struct supervisor *s, enum role role, unsigned index, unsigned generation);
unsigned child_places(const struct supervisor *s); /* how many there are */

/* Forks. In the parent: OK with c->pid set, or ERR_SYSTEM. In the child, when its work is done: OK with
 * s->child_status set. */
int child_start(struct supervisor *s, struct child *c) MUST_USE;

/* Closes what the supervisor holds for a child that has ended. */
void child_close(struct child *c);

/* Every child is replaced by one with the settings as they are now; `agent_too`: that one as well. ERR_NOMEM.
 */
int supervisor_replace(struct supervisor *s, bool agent_too) MUST_USE;

/* ---- agent_word.c ---- */

/* The certificate for the settings as they are now. ERR_NOMEM, ERR_SYSTEM. */
int agent_prepare(struct supervisor *s) MUST_USE;
/* Where the agent speaks; -1: there is none. */
int agent_line(const struct supervisor *s);
/* Does what it has asked for, as far as it is time for it: at agent_due() (clock_mono_ms()), when the line is
 * readable, and whenever a child has ended or started. */
void agent_act(struct supervisor *s);
int64_t agent_due(const struct supervisor *s);
