// SPDX-License-Identifier: GPL-3.0-or-later
/* Landlock, as much of it as the kernel has: which files, TCP ports and processes a process can reach. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* Versions of the kernel's interface in which something is new. */
enum { LANDLOCK_WITH_NETWORK = 4, LANDLOCK_WITH_SCOPES = 6 };

/* What a process may do with a file, or with everything below a folder. */
enum landlock_access {
	LANDLOCK_READ = 1,
	LANDLOCK_WRITE = 2,   /* and make files */
	LANDLOCK_REMOVE = 4,  /* files */
	LANDLOCK_REPLACE = 8, /* files by others: remove and rename */
	LANDLOCK_MAKE_FOLDER = 16
};

struct landlock_rules {
	int fd;
	uint64_t files; /* rights that are taken away where no rule gives them */
};

/* 0: the kernel has no Landlock, or it is switched off. */
unsigned landlock_version(void);

/* Rules that take away everything the kernel lets them: files; binding TCP ports, and connecting, unless the
 * process `connects`; signals to and abstract sockets of processes outside. ERR_SYSTEM: see errno. */
int landlock_begin(bool connects, struct landlock_rules *out) MUST_USE;

/* Gives back `access` (bits of enum landlock_access) at `path`. What does not exist needs no rule. */
int landlock_allow(const struct landlock_rules *r, const char *path, unsigned access) MUST_USE;

/* From now on, for good. Wants "no new privileges" set. */
int landlock_enter(const struct landlock_rules *r) MUST_USE;
void landlock_end(struct landlock_rules *r); /* frees them; also after landlock_begin() failed */
