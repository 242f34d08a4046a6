// SPDX-License-Identifier: GPL-3.0-or-later
/* Dates that a CA writes, and one that a person reads. Milliseconds. No clock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

#define DATE_RETRY_LONGEST ((int64_t)31 * 24 * 3600 * 1000)

enum { DATE_SHOWN = 32 };

/* RFC 3339, since the epoch. ERR_INVALID. */
int date_rfc3339(const char *text, int64_t *out) MUST_USE;

/* A Retry-After header (RFC 9110 section 10.2.3), seconds or a date: how long to wait from `now`, at least 0
 * and at most DATE_RETRY_LONGEST. ERR_INVALID: neither. */
int date_retry_after(const char *text, int64_t now, int64_t *out) MUST_USE;

/* In UTC, to the second. Returns out. */
const char *date_show(int64_t ms, char out[static DATE_SHOWN]);
