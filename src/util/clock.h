// SPDX-License-Identifier: GPL-3.0-or-later
/* Clocks, in milliseconds unless their name says otherwise. Rules take the time as a parameter; only the
 * edges (loops) call these. Any thread.
 */
#pragma once

#include <stdint.h>

/* Since the Unix epoch; may jump when the administrator sets the clock. For expiries that outlive the
 * process. */
int64_t clock_wall_ms(void);
int64_t clock_wall_us(void); /* microseconds */

/* Since some moment in the past; never jumps. For deadlines and intervals. */
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void); /* microseconds */

/* The moment from which steady time counts: taken once, by the process that starts all others. Never 0. */
int64_t clock_origin(void);
/* Like clock_wall_ms(), but goes on from `origin` by the time that has passed, also while the machine slept,
 * whatever the clock is set to meanwhile. For lifetimes that more than one process watches. Origin 0: the
 * wall clock. */
int64_t clock_steady_ms(int64_t origin);

/* Sleeps so many microseconds, less if a signal comes; not at all if it is no positive number. */
void clock_sleep_us(int64_t us);
