// SPDX-License-Identifier: GPL-3.0-or-later
/* Problems found while reading something a person wrote: collected with file and line, shown all at once by
 * the caller. Parsers fill a diag and never print. One owner, one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "util/error.h"

struct diag; /* opaque list */

/* NULL: out of memory. */
struct diag *diag_new(void);
void diag_free(struct diag **d); /* accepts NULL inside; sets it to NULL */

/* Adds one problem. `file` may be NULL, `line` 0 when there is none. An out-of-memory here is itself
 * remembered (diag_errors() then counts it, and one line says so at the end), so callers need not check. */
void diag_error(struct diag *d, const char *file, unsigned line, const char *format, ...) PRINTF(4, 5);
void diag_warning(struct diag *d, const char *file, unsigned line, const char *format, ...) PRINTF(4, 5);

size_t diag_errors(const struct diag *d); /* warnings not counted */

/* From one process to another: what was collected there is added here. `fd` stays the caller's; it is read to
 * its end. ERR_SYSTEM. */
int diag_send(const struct diag *d, int fd) MUST_USE;
int diag_receive(struct diag *d, int fd) MUST_USE;

/* One line each: "FILE:LINE: text" or "FILE: text" or "text", warnings with "warning: " before the text. On
 * a standard error that is the journal each begins with its priority, as the log's do. */
void diag_print(const struct diag *d, FILE *to);

/* The same into the log, for a process that has no person at its terminal. `room` is who speaks. */
void diag_log(const struct diag *d, const char *room);
