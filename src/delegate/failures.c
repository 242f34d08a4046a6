// SPDX-License-Identifier: GPL-3.0-or-later
#include "delegate/failures.h"

#include <stdlib.h>

#include "delegate/buckets.h"

enum {
	EACH = 60 * 1000 / FAILURES_FREE, /* milliseconds after which a failure is forgotten */
	STEP = 250, /* milliseconds of delay for each failure above those that are free */
	OVER_MAX = FAILURES_DELAY_MAX / STEP
};

struct failures {
	struct buckets *clients;
};

int failures_new(struct failures **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	int rc = buckets_new(&(*out)->clients);
	if (rc)
		failures_free(out);
	return rc;
}

void failures_free(struct failures **f)
{
	if (!*f)
		return;
	buckets_free(&(*f)->clients);
	free(*f);
	*f = NULL;
}

uint32_t failures_note(struct failures *f, const struct address *client, int64_t now)
{
	struct bucket *b = buckets_find(f->clients, client);
	const int64_t most = now + (FAILURES_FREE + OVER_MAX) * EACH;
	b->full_at = (b->full_at > now ? b->full_at : now) + EACH;
	if (b->full_at > most)
		b->full_at = most;
	int64_t over = (b->full_at - now - FAILURES_FREE * EACH + EACH - 1) / EACH;
	return over > 0 ? (uint32_t)over * STEP : 0;
}
