// SPDX-License-Identifier: GPL-3.0-or-later
/* What the operator can leaf through. Lists show what is durable, page by page. */
#include <string.h>
#include <strings.h>

#include "keeper/audit.h"
#include "keeper/internal.h"
#include "util/text.h"

enum {
	SCAN_MAX = 100000, /* events of which those of one delegate are picked: a tenth of a second */
	SCAN_STEP = 4096
};

static size_t page_size(const struct ipc_request *r, size_t max)
{
	return r->limit && r->limit < max ? r->limit : max;
}

static bool look(struct hearing *h)
{
	return h->judge->view && !store_snapshot_renew(h->judge->view);
}

/* ---- delegates ---- */

struct delegate_page {
	struct hearing *h;
	size_t max;
	struct delegate_id last;
	bool skip; /* the last one's zone is not configured */
};

static int64_t last_change(const struct delegate *d)
{
	return d->history.count ? d->history.changes[0].when : 0;
}

static bool add_delegate(void *ctx, const struct delegate *d)
{
	struct delegate_page *p = ctx;
	struct ipc_reply *out = p->h->out;
	const struct keeper_zone *zone = zone_by_id(p->h->judge->settings, d->id.zone);
	p->last = d->id;
	p->skip = !zone;
	if (!zone)
		return false;
	struct ipc_delegate_entry *e = &out->delegates[out->count++];
	copy_text(e->label, sizeof e->label, d->id.label);
	copy_text(e->zone, sizeof e->zone, zone->name);
	e->created = d->created;
	e->changed = last_change(d);
	e->keys = (uint8_t)d->key_count;
	int64_t live_at = p->h->now.wall - p->h->now.jump;
	e->values = 0;
	for (size_t i = 0; i < d->values.count; i++)
		e->values = (uint8_t)(e->values + (d->values.values[i].expiry > live_at));
	return out->count < p->max;
}

/* No delegate of the same zone is behind it (see delegate/internal.h). */
static void go_behind_zone(struct delegate_id *id)
{
	copy_text(id->label, sizeof id->label, "ffffffff-ffff-ffff-ffff-ffffffffffff");
}

static enum ipc_status list_delegates(struct hearing *h, struct delegate_page *p, bool from_start)
{
	bool more = true;
	while (more && h->out->count < p->max) {
		const struct delegate_id after = p->last;
		p->skip = false;
		int rc = delegate_list(h->judge->view, from_start ? NULL : &after, p->max - h->out->count,
			add_delegate, p, &more);
		if (rc)
			return IPC_FAILED;
		from_start = false;
		if (p->skip) {
			go_behind_zone(&p->last);
			more = true;
		}
	}
	return IPC_OK;
}

enum ipc_status hear_delegate_list(struct hearing *h)
{
	struct delegate_page p = {.h = h, .max = page_size(h->r, IPC_PAGE_MAX)};
	bool from_start = !*h->r->name;
	if (!from_start && !name_parse(h->judge->settings, h->r->name, &p.last))
		return IPC_BAD_NAME;
	if (!look(h))
		return IPC_FAILED;
	enum ipc_status status = list_delegates(h, &p, from_start);
	store_snapshot_release(h->judge->view);
	return status;
}

/* ---- tokens ---- */

static bool add_token(void *ctx, const struct token *k)
{
	struct hearing *h = ctx;
	give_token(h->judge->settings, k, &h->out->tokens[h->out->count++]);
	return h->out->count < IPC_TOKENS_MAX;
}

enum ipc_status hear_token_list(struct hearing *h)
{
	bool more;
	if (!look(h))
		return IPC_FAILED;
	int rc = token_list(h->judge->view, *h->r->target ? h->r->target : NULL,
		page_size(h->r, IPC_TOKENS_MAX), add_token, h, &more);
	store_snapshot_release(h->judge->view);
	return rc ? IPC_FAILED : IPC_OK;
}

/* ---- events ---- */

struct event_page {
	struct ipc_reply *out;
	const char *name; /* only of this delegate; empty: of all */
	size_t max;
	bool newest;    /* older ones make room */
	uint64_t after; /* the last one looked at */
};

static void give_event(const struct event *e, struct ipc_event *out)
{
	*out = (struct ipc_event){.sequence = e->sequence,
		.when = e->when,
		.kind = (enum ipc_event_kind)e->kind,
		.outcome = (enum ipc_status)e->outcome,
		.by = (enum ipc_by)e->by,
		.times = e->times,
		.uid = e->uid,
		.client = e->client};
	copy_text(out->key, sizeof out->key, e->key);
	copy_text(out->name, sizeof out->name, e->name);
	copy_text(out->detail, sizeof out->detail, e->detail);
}

static bool is_about(const struct event *e, const char *name)
{
	size_t len = strlen(name);
	len -= len && name[len - 1] == '.';
	return !len || (strlen(e->name) == len && strncasecmp(e->name, name, len) == 0);
}

static bool add_event(void *ctx, const struct event *e)
{
	struct event_page *p = ctx;
	struct ipc_reply *out = p->out;
	p->after = e->sequence;
	/* Of a version with more kinds than this one: they could not be sent. */
	bool known = e->kind < IPC_EVENT_KINDS && e->outcome < IPC_STATUSES && e->by < IPC_BYS;
	if (!known || !is_about(e, p->name))
		return true;
	if (out->count == p->max) { /* only of the newest: the others stop here */
		memmove(&out->events[0], &out->events[1], (p->max - 1) * sizeof out->events[0]);
		out->count--;
	}
	give_event(e, &out->events[out->count++]);
	return p->newest || out->count < p->max;
}

static int scan_events(struct store_snapshot *v, struct event_page *p)
{
	bool more = true;
	int rc = OK;
	for (size_t seen = 0; !rc && more && seen < SCAN_MAX && (p->newest || p->out->count < p->max);
		seen += SCAN_STEP)
		rc = events_list(v, p->after, SCAN_STEP, add_event, p, &more);
	return rc;
}

/* Where to begin: so that the end is reached whatever is picked. */
static uint64_t first_after(const struct ipc_request *r, size_t max, uint64_t last)
{
	bool picked = *r->name;
	uint64_t reach = picked ? SCAN_MAX - SCAN_STEP : max;
	if (!picked && !(r->flags & IPC_FLAG_NEWEST))
		return r->after;
	uint64_t start = last > reach ? last - reach : 0;
	return r->flags & IPC_FLAG_NEWEST || start > r->after ? start : r->after;
}

enum ipc_status hear_events(struct hearing *h)
{
	const struct ipc_request *r = h->r;
	size_t max = page_size(r, IPC_PAGE_MAX);
	struct event_page p = {.out = h->out,
		.name = r->name,
		.max = max,
		.newest = r->flags & IPC_FLAG_NEWEST,
		.after = first_after(r, max, audit_last(h->judge->audit))};
	if (!look(h))
		return IPC_FAILED;
	int rc = scan_events(h->judge->view, &p);
	store_snapshot_release(h->judge->view);
	if (rc)
		return IPC_FAILED;
	if (!h->out->count && r->flags & IPC_FLAG_WAIT)
		h->judgement = JUDGE_HOLD;
	return IPC_OK;
}
