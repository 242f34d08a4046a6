// SPDX-License-Identifier: GPL-3.0-or-later
/* What the yardsticks share: numbers from the command line, a clock fine enough for microseconds, delays. */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "util/error.h"

/* A decimal number within [low, high]. ERR_INVALID. */
static inline int MUST_USE parse_number(const char *text, unsigned low, unsigned high, unsigned *out)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (end == text || *end || v < low || v > high)
		return ERR_INVALID;
	*out = (unsigned)v;
	return OK;
}

/* Seconds since some moment in the past. */
static inline double seconds_now(void)
{
	struct timespec t;
	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
		abort(); /* cannot happen: Linux has this clock */
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum {
	DELAY_STEP = 10,
	DELAY_STEPS = 100000
}; /* microseconds: width of a column of the histogram; up to 1 s */

struct delays {
	uint64_t all, steps[DELAY_STEPS];
};

static inline void delays_add(struct delays *d, uint64_t us)
{
	uint64_t step = us / DELAY_STEP;
	d->steps[step < DELAY_STEPS ? step : DELAY_STEPS - 1]++;
	d->all++;
}

/* The microseconds that `percent` of the delays stayed below. */
static inline unsigned delays_percentile(const struct delays *d, unsigned percent)
{
	uint64_t seen = 0;
	for (unsigned i = 0; i < DELAY_STEPS; i++) {
		seen += d->steps[i];
		if (seen && seen * 100 >= d->all * percent)
			return (i + 1) * DELAY_STEP;
	}
	return 0;
}
