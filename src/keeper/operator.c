// SPDX-License-Identifier: GPL-3.0-or-later
/* What only the operator may do, besides lists. */
#include <string.h>

#include "delegate/index.h"
#include "keeper/audit.h"
#include "keeper/internal.h"

/* ---- tokens ---- */

void give_token(const struct keeper_settings *s, const struct token *k, struct ipc_token *out)
{
	_Static_assert((int)IPC_NOTE_MAX == (int)TOKEN_NOTE_MAX, "what is kept can be sent");
	const struct keeper_zone *zone = zone_by_id(s, k->terms.zone);
	*out = (struct ipc_token){.created = k->created, .used = k->used, .spent = k->spent};
	copy_text(out->id, sizeof out->id, k->id);
	copy_text(out->terms.note, sizeof out->terms.note, k->terms.note);
	copy_text(out->terms.zone, sizeof out->terms.zone, zone ? zone->name : "");
	copy_text(out->terms.label, sizeof out->terms.label, k->terms.label);
	out->terms.label_is_prefix = k->terms.label_is_prefix;
	out->terms.quota = k->terms.quota;
	out->terms.expiry = k->terms.expiry;
	out->terms.allow_count = k->terms.allow.count;
	memcpy(out->terms.allow, k->terms.allow.prefixes, k->terms.allow.count * sizeof out->terms.allow[0]);
}

static bool take_terms(const struct keeper_settings *s, const struct ipc_terms *from, struct token_terms *out)
{
	const struct keeper_zone *zone = *from->zone ? zone_by_name(s, from->zone) : &s->zones[0];
	if (!zone)
		return false;
	*out = (struct token_terms){.zone = zone->id,
		.label_is_prefix = from->label_is_prefix,
		.quota = from->quota,
		.expiry = from->expiry};
	copy_text(out->note, sizeof out->note, from->note);
	name_lower(from->label, out->label);
	take_allow(from->allow, from->allow_count, &out->allow);
	return true;
}

enum ipc_status hear_token_add(struct hearing *h)
{
	struct token_terms terms;
	struct token made;
	char secret[SECURE_SECRET_LEN + 1];
	if (!take_terms(h->judge->settings, &h->r->terms, &terms))
		return IPC_BAD_NAME;
	if (!terms.label_is_prefix && label_is_static(h, terms.zone, terms.label))
		return IPC_EXISTS;
	int rc = token_add(h->t, &terms, h->now.wall, secret, &made);
	if (rc == ERR_INVALID)
		return IPC_BAD_NAME;
	if (rc)
		return status_of(rc);
	give_token(h->judge->settings, &made, &h->out->token);
	copy_text(h->out->token.secret, sizeof h->out->token.secret, secret);
	secure_wipe(secret, sizeof secret);
	event_detail(h, made.id);
	return IPC_OK;
}

enum ipc_status hear_token_revoke(struct hearing *h)
{
	event_detail(h, h->r->target);
	return status_of(token_revoke(h->t, h->r->target));
}

/* ---- the report ---- */

static void report_zones(const struct keeper_settings *s, struct ipc_report *p)
{
	p->zone_count = s->zone_count;
	for (size_t i = 0; i < s->zone_count && i < IPC_PAGE_MAX; i++)
		copy_text(p->zones[i], sizeof p->zones[i], s->zones[i].name);
}

static void report_index(const struct keeper_settings *s, struct ipc_report *p)
{
	struct delegate_index_state is;
	if (!s->index)
		return;
	delegate_index_state(s->index, &is);
	p->index_in_service = is.in_service;
	p->index_bytes = is.bytes;
}

static bool report_store(const struct hearing *h, struct ipc_report *p)
{
	struct store_size size;
	if (!h->judge->store || store_measure(h->judge->store, &size) ||
		events_range(h->t, &p->events_first, &p->events_last))
		return false;
	p->store_bytes = size.bytes;
	/* The names that exist no more have no account. */
	p->delegates = size.entries[STORE_DELEGATES];
	p->tokens = size.entries[STORE_TOKENS];
	return true;
}

enum ipc_status hear_status(struct hearing *h)
{
	struct ipc_report *p = &h->out->report;
	const struct keeper_settings *s = h->judge->settings;
	const struct audit_counts counts = audit_counts(h->judge->audit);
	memset(p, 0, sizeof *p);
	copy_text(p->version, sizeof p->version, s->version ? s->version : "");
	p->started = h->judge->started;
	p->store_writable = !h->judge->probe;
	p->store_since = h->judge->counters->writable_since;
	p->registration = (uint8_t)s->registration_mode;
	p->registrations = counts.registrations;
	p->changes = counts.changes;
	p->refusals = counts.refusals;
	p->waiting_bcrypt = h->judge->waiting_bcrypt;
	p->evidence = h->judge->collector.noted;
	p->evidence_lost = s->witness ? witness_lost(s->witness) : 0;
	report_zones(s, p);
	report_index(s, p);
	if (!report_store(h, p))
		return IPC_FAILED;
	if (s->fill_report)
		s->fill_report(s->report_ctx, p);
	return IPC_OK;
}
