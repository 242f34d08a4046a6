// SPDX-License-Identifier: GPL-3.0-or-later
/* Refusals that are held back, so that guessing keys is slow. Nobody who has the right key waits here, and
 * what is waited for is bounded: beyond that the answer comes at once, for a queue that could be filled would
 * be worse than a fast guess at 240 bits. */
#include <stdlib.h>

#include "api/internal.h"
#include "util/clock.h"

struct held {
	TAILQ_ENTRY(held) next;
	int64_t due;
	struct address network;
	struct http_exchange *exchange;
	enum manner manner;
	const struct refusal *refusal;
	unsigned retry_after;
};

static size_t held_for(const struct api *a, const struct address *network)
{
	size_t n = 0;
	const struct held *h;
	TAILQ_FOREACH(h, &a->held, next)
	n += address_equal(&h->network, network);
	return n;
}

void held_refuse(struct api *a, struct http_exchange *x, enum manner m, const struct refusal *f,
	const struct address *client, unsigned retry_after, unsigned delay)
{
	struct address network = address_network(client);
	struct held *h = NULL;
	if (delay && a->held_count < HELD_MAX && held_for(a, &network) < HELD_PER_NETWORK)
		h = malloc(sizeof *h);
	if (!h) {
		answer_refusal(x, m, f, NULL, retry_after);
		return;
	}
	*h = (struct held){.due = clock_mono_ms() + delay,
		.network = network,
		.exchange = x,
		.manner = m,
		.refusal = f,
		.retry_after = retry_after};
	TAILQ_INSERT_TAIL(&a->held, h, next);
	a->held_count++;
}

static void let_go(struct api *a, struct held *h)
{
	TAILQ_REMOVE(&a->held, h, next);
	a->held_count--;
	answer_refusal(h->exchange, h->manner, h->refusal, NULL, h->retry_after);
	free(h);
}

int64_t api_run(struct api *a, int64_t now)
{
	int64_t next = call_lose_patience(a, now);
	struct held *after;
	for (struct held *h = TAILQ_FIRST(&a->held); h; h = after) {
		after = TAILQ_NEXT(h, next);
		if (h->due <= now)
			let_go(a, h);
		else if (h->due < next)
			next = h->due;
	}
	return next;
}

void api_flush(struct api *a)
{
	(void)api_run(a, INT64_MAX);
}
