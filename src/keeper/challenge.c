// SPDX-License-Identifier: GPL-3.0-or-later
/* The server's own challenge: the one name whose values the agent can set. The request says which values, and
 * nothing about where they go. */
#include <string.h>

#include "keeper/internal.h"
#include "util/log.h"
#include "util/text.h"

/* The agent withdraws them when the CA has looked; this is for one that was killed meanwhile. The zone's
 * value_lifetime is for others: it may be too short for a CA that takes its time. */
enum { LIFETIME_MS = 3600 * 1000 };

static void say_what(struct hearing *h)
{
	char text[64];
	const struct ipc_request *r = h->r;
	if (r->challenge_count == 1)
		event_detail(h, r->challenges[0]);
	else if (!text_format(text, sizeof text, "%zu values", r->challenge_count))
		event_detail(h, text);
}

/* The delegate is made when it is first asked for. A store of an older version may have given it to somebody
 * who could get certificates for the zone by it: that ends here. */
static int prepare(struct hearing *h, const struct delegate_id *id)
{
	struct delegate d;
	int rc = delegate_get(h->t, id, &d);
	if (!rc && d.key_count)
		log_warning("keeper", "the delegate %s was somebody's; its keys end now", h->event.name);
	return rc && rc != ERR_NOTFOUND ? rc : delegate_reserve(h->t, id, h->now.wall);
}

enum ipc_status hear_challenge(struct hearing *h)
{
	const struct keeper_zone *zone = h->judge->settings->challenge_zone;
	const char *values[IPC_CHALLENGES_MAX];
	struct delegate_id id = {.label = KEEPER_CHALLENGE_LABEL};
	if (!zone)
		return IPC_FORBIDDEN;
	id.zone = zone->id;
	event_name(h, &id);
	say_what(h);
	for (size_t i = 0; i < h->r->challenge_count; i++) {
		values[i] = h->r->challenges[i];
		if (!delegate_value_valid(values[i]))
			return IPC_BAD_VALUE;
	}
	const struct delegate_actor who = actor_of(h);
	int rc = prepare(h, &id);
	rc = rc ? rc
		: delegate_set_values(h->t, &id, values, h->r->challenge_count,
			  h->now.wall - h->now.jump + LIFETIME_MS, &who);
	return status_of(rc);
}
