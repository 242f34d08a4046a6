// SPDX-License-Identifier: GPL-3.0-or-later
/* Sorts entries by key in bounded memory: chunks that fill the memory are sorted and written to a temporary
 * file, then merged. The file has no name and goes with the process. Entries with equal keys come in the
 * order of their lines. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

enum { SORTER_KEY_MAX = 128, SORTER_VALUE_MAX = 8192 };

struct sorter;

struct sorted {
	const uint8_t *key, *value; /* valid until the next call */
	size_t key_len, value_len;
	uint64_t line;
};

/* `folder` is where temporary files go; it must live as long as the sorter. ERR_NOMEM. */
int sorter_new(const char *folder, size_t memory, struct sorter **out) MUST_USE;
void sorter_free(struct sorter **s); /* accepts NULL inside; sets it to NULL */

/* Before the first sorter_begin(). ERR_RANGE: key or value too long. ERR_FULL: no room for temporary files.
 * ERR_SYSTEM: they cannot be written, errno says why. ERR_NOMEM. */
int sorter_add(struct sorter *s, const void *key, size_t key_len, const void *value, size_t value_len,
	uint64_t line) MUST_USE;
uint64_t sorter_count(const struct sorter *s);

/* Starts giving out from the smallest key, as often as wanted. Errors of sorter_add(). */
int sorter_begin(struct sorter *s) MUST_USE;
/* ERR_NOTFOUND: no more. ERR_SYSTEM: the temporary file cannot be read, errno says why. */
int sorter_next(struct sorter *s, struct sorted *out) MUST_USE;
