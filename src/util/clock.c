// SPDX-License-Identifier: GPL-3.0-or-later
#include "util/clock.h"

#include <time.h>

enum { MICRO = 1000 * 1000 };

static int64_t read_us(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * MICRO + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

int64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

static int64_t boot_ms(void)
{
	return read_us(CLOCK_BOOTTIME) / 1000;
}

int64_t clock_origin(void)
{
	int64_t origin = clock_wall_ms() - boot_ms();
	return origin ? origin : 1;
}

int64_t clock_steady_ms(int64_t origin)
{
	return origin ? origin + boot_ms() : clock_wall_ms();
}

void clock_sleep_us(int64_t us)
{
	if (us > 0)
		nanosleep(&(struct timespec){.tv_sec = us / MICRO, .tv_nsec = us % MICRO * 1000}, NULL);
}
