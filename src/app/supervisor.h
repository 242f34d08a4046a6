// SPDX-License-Identifier: GPL-3.0-or-later
/* The supervisor's state, shared by supervisor.c (who runs when) and child.c (how one is started). */
#pragma once

#include <signal.h>

#include "app/internal.h"
#include "app/notify.h"

/* Blocked in the supervisor before it forks, so a child that has not got far yet does not die of it. */
enum { CHILD_STOP_SIGNAL = SIGUSR1 };

enum role { ROLE_KEEPER, ROLE_DNS, ROLE_DOT, ROLE_API, ROLES };

struct child {
	enum role role;
	unsigned index; /* of a dns worker */
	unsigned generation;
	pid_t pid;       /* 0: not running */
	bool leaving;    /* was told to stop */
	int channel;     /* api: the keeper's end of its channel; -1: none */
	int64_t started; /* 0: never */
	int64_t due;     /* when to start it (again), if it is not running */
	unsigned quick_deaths;
	struct child *next;
};

struct supervisor {
	const char *file;
	struct settings settings;
	const struct sockets *sockets;
	struct delegate_index *index; /* NULL: there is none */
	struct counters counters;
	struct board *board;
	struct witness *witness; /* NULL: nobody notes who asked */
	unsigned generation;     /* of children: each reload makes one */
	struct child *children;  /* those in service, and those that are leaving */
	int signal_fd;
	struct notify notify;
	int control; /* to the running keeper; -1: none */
	bool stopping;
	int64_t stop_deadline;
	int child_status; /* >= 0: this process is a child that has finished */
};

/* "keeper", "dns0", "dot", "api" */
void child_name(const struct child *c, char out[static 16]);

/* Its own among those on the board; a process and the one that replaces it have different ones. */
unsigned child_place(const struct supervisor *s, enum role role, unsigned index, unsigned generation);
unsigned child_places(const struct supervisor *s); /* how many there are */

/* Forks. In the parent: OK with c->pid set, or ERR_SYSTEM. In the child, when its work is done: OK with
 * s->child_status set. */
int child_start(struct supervisor *s, struct child *c) MUST_USE;

/* Closes what the supervisor holds for a child that has ended. */
void child_close(struct child *c);
