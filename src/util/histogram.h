// SPDX-License-Identifier: GPL-3.0-or-later
/* How often which values were seen. Written by one thread and only ever counted up, so others may read it at
 * any time. A value belongs to the first bound that is not below it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 13 };

struct histogram {
	uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* the last: above all bounds */
	uint64_t sum;
};

/* Of durations, in microseconds: from an answer out of memory to a disk that hangs. */
static const uint32_t histogram_durations[HISTOGRAM_BOUNDS] = {
	50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 500000, 2000000};
/* Of numbers of things. */
static const uint32_t histogram_sizes[HISTOGRAM_BOUNDS] = {
	1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

/* `times` values that are the same. */
static inline void histogram_add(
	struct histogram *h, const uint32_t bounds[static HISTOGRAM_BOUNDS], uint64_t value, uint64_t times)
{
	size_t i = 0;
	while (i < HISTOGRAM_BOUNDS && value > bounds[i])
		i++;
	h->counts[i] += times;
	h->sum += value * times;
}
