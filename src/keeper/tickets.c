// SPDX-License-Identifier: GPL-3.0-or-later
#include "keeper/tickets.h"

#include <stdlib.h>

#include "util/secure.h"

struct ticket *ticket_new(const struct sender *s, const struct ipc_request *r)
{
	struct ticket *k = calloc(1, sizeof *k);
	if (!k)
		return NULL;
	k->sender = *s;
	k->request = *r;
	return k;
}

void ticket_free(struct ticket **k)
{
	if (*k)
		secure_wipe(*k, sizeof **k);
	free(*k);
	*k = NULL;
}

void ticket_drop(void *ticket)
{
	struct ticket *k = ticket;
	ticket_free(&k);
}

bool held_add(struct held *d, const struct sender *s, const struct ipc_request *r, uint64_t seen, int64_t now)
{
	for (size_t i = 0; i < TICKETS_HELD; i++) {
		if (d->at[i])
			continue;
		d->at[i] = ticket_new(s, r);
		if (!d->at[i])
			return false;
		d->at[i]->deadline = now + TICKETS_PATIENCE_MS;
		d->at[i]->seen = seen;
		return true;
	}
	return false;
}

bool held_due(const struct ticket *k, uint64_t last_event, int64_t now)
{
	return k->seen < last_event || k->deadline <= now;
}

bool held_any_due(const struct held *d, uint64_t last_event, int64_t now)
{
	for (size_t i = 0; i < TICKETS_HELD; i++)
		if (d->at[i] && held_due(d->at[i], last_event, now))
			return true;
	return false;
}

void held_drop(struct held *d)
{
	for (size_t i = 0; i < TICKETS_HELD; i++)
		ticket_free(&d->at[i]);
}
