// SPDX-License-Identifier: GPL-3.0-or-later
/* Telling a service manager how things are: the protocol of sd_notify(3). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct notify {
	int fd;           /* connected; -1: nobody listens */
	int64_t watchdog; /* milliseconds between two signs of life; 0: nobody waits for them */
	int64_t due;      /* the next, on the monotonic clock */
	bool ready;       /* was told */
};

/* Connects to NOTIFY_SOCKET, if there is one, and reads WATCHDOG_USEC; both are removed. Before the sandbox:
 * afterwards nothing can be connected to. */
void notify_begin(struct notify *n);
void notify_end(struct notify *n);

/* Everything is served, after a reload that failed as before it. `status` is for people. */
void notify_ready(struct notify *n, const char *status);
void notify_reloading(struct notify *n);
void notify_stopping(struct notify *n);

/* A sign of life, if it is time for one. Returns the milliseconds until the next, at most `wait`. */
int64_t notify_alive(struct notify *n, int64_t now, int64_t wait);
