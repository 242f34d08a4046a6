// SPDX-License-Identifier: GPL-3.0-or-later
#include "acme/schedule.h"

#include "acme/dates.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
	return v > high ? high : v < low ? low : v;
}

/* 0 <= the result <= range, each as likely. */
static int64_t share(int64_t range, uint32_t dice)
{
	return (int64_t)((double)range * ((double)dice / (double)UINT32_MAX));
}

static int64_t or_else(int64_t set, int64_t otherwise)
{
	return set > 0 ? set : otherwise;
}

struct acme_times schedule_times(const struct acme_times *set)
{
	return (struct acme_times){
		.request = or_else(set->request, 30 * SECOND),
		.poll = or_else(set->poll, 2 * SECOND),
		.wait = or_else(set->wait, 10 * MINUTE),
		.patience = or_else(set->patience, MINUTE),
		.first_retry = or_else(set->first_retry, MINUTE),
		.longest_retry = or_else(set->longest_retry, DAY),
		.check = or_else(set->check, MINUTE),
	};
}

int64_t schedule_by_lifetime(int64_t not_before, int64_t not_after, uint32_t dice)
{
	int64_t lifetime = not_after - not_before;
	return not_before + lifetime / 3 * 2 - share(lifetime / 50, dice);
}

int64_t schedule_latest(int64_t not_before, int64_t not_after)
{
	return not_after - (not_after - not_before) / 20;
}

int64_t schedule_in_window(const struct window *w, uint32_t dice)
{
	return w->start + share(w->end - w->start, dice);
}

/* RFC 9773 section 4.3.2: below a minute and above a day a Retry-After makes no sense; without one, six
 * hours. */
int64_t schedule_check(const struct acme_times *t, int64_t said, int64_t lifetime)
{
	int64_t wait = said >= 0 ? said : clamp(lifetime / 20, MINUTE, 6 * HOUR);
	return clamp(wait, t->check, DAY);
}

int64_t schedule_retry(const struct acme_times *t, uint32_t failures, int64_t lifetime, uint32_t dice)
{
	int64_t longest = lifetime > 0 ? lifetime / 40 : HOUR;
	longest = clamp(longest, t->first_retry, t->longest_retry);
	int64_t wait = t->first_retry;
	for (uint32_t i = 1; i < failures && wait < longest; i++)
		wait *= 2;
	wait = clamp(wait, 0, longest);
	return wait - wait / 4 + share(wait / 2, dice);
}

int64_t schedule_gap(const struct acme_times *t, int64_t lifetime)
{
	int64_t longest = t->longest_retry < 6 * HOUR ? t->longest_retry : 6 * HOUR;
	return clamp(lifetime / 20, t->first_retry, longest);
}

int64_t schedule_sane(int64_t next, int64_t now)
{
	return next - now > DATE_RETRY_LONGEST ? now : next;
}
