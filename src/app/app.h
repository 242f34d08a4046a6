// SPDX-License-Identifier: GPL-3.0-or-later
/* The server as a whole: the only room that knows all rooms. Supervisor, children, privileges, sandbox. */
#pragma once

#include <stdio.h>

#include "conf/conf.h"
#include "util/diag.h"
#include "util/error.h"

/* Exit status of the program. */
enum { APP_OK = 0, APP_FAILED = 1, APP_USAGE = 2 };

/* Loads `file` (NULL: the built-in local instance) and checks all that can be checked without touching
 * anything: syntax, values, zones and their records. Problems go to `d`. ERR_INVALID: see `d`. ERR_NOMEM. */
int app_load(const char *file, struct diag *d, struct conf **out) MUST_USE;

/* Runs the server in the foreground until SIGTERM or SIGINT. Problems that keep it from starting are printed
 * on standard error, one line each. Returns the exit status: APP_OK after an orderly stop, APP_USAGE when it
 * could not start, APP_FAILED when it had to give up. In a child process it returns that child's exit status.
 */
int app_serve(const char *file);
