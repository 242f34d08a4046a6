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

/* Sleeps so many microseconds, less if a signal comes; not at all if it is no positive number. */
void clock_sleep_us(int64_t us);
