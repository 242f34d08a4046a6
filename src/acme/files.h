// SPDX-License-Identifier: GPL-3.0-or-later
/* Small files in the client's folder: read whole, and replaced whole or not at all. */
#pragma once

#include "acme/acme.h"

enum { FILE_MAX = 1 << 20 };

/* *out is NUL-terminated, and the caller's to free with file_free(). ERR_NOTFOUND; ERR_RANGE: larger than
 * FILE_MAX, or not a file; ERR_NOMEM; ERR_SYSTEM: errno says it. */
int file_read(int folder, const char *name, char **out, size_t *len) MUST_USE;
void file_free(char **text); /* wipes; accepts NULL inside; sets it to NULL */

/* Durable when OK, mode 0600. ERR_FULL: no room; ERR_SYSTEM: errno says it. What was there stays. */
int file_write(int folder, const char *name, const char *text) MUST_USE;
