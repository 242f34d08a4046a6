// SPDX-License-Identifier: GPL-3.0-or-later
/* Delegates begin: registered by whoever may, or added by the operator. */
#include <string.h>

#include "keeper/internal.h"

_Static_assert((int)IPC_ALLOW_MAX == (int)DELEGATE_MAX_PREFIXES, "what may be sent can be kept");
_Static_assert((int)IPC_ALIASES_MAX == (int)DELEGATE_MAX_ALIASES, "what may be sent can be kept");
_Static_assert((int)IPC_NAME_MAX == (int)DELEGATE_ALIAS_MAX, "what may be sent can be kept");
_Static_assert((int)IPC_LABEL_MAX == (int)DELEGATE_LABEL_MAX, "what is kept can be sent");

void take_allow(const struct prefix *from, size_t count, struct delegate_allow *out)
{
	out->count = count;
	memcpy(out->prefixes, from, count * sizeof from[0]);
}

bool take_aliases(const struct ipc_request *r, struct delegate_aliases *out)
{
	out->count = r->alias_count;
	for (size_t i = 0; i < r->alias_count; i++) {
		copy_text(out->names[i], sizeof out->names[i], r->aliases[i]);
		if (!delegate_alias_clean(out->names[i]))
			return false;
	}
	return true;
}

enum ipc_status give_credentials(
	struct hearing *h, const struct delegate_credentials *made, const struct delegate_allow *allow)
{
	struct ipc_credentials *c = &h->out->credentials;
	const struct keeper_zone *zone = zone_by_id(h->judge->settings, made->id.zone);
	if (!zone)
		return IPC_FAILED;
	copy_text(c->key_id, sizeof c->key_id, made->key_id);
	copy_text(c->secret, sizeof c->secret, made->secret);
	copy_text(c->label, sizeof c->label, made->id.label);
	copy_text(c->zone, sizeof c->zone, zone->name);
	c->allow_count = allow->count;
	memcpy(c->allow, allow->prefixes, allow->count * sizeof allow->prefixes[0]);
	return IPC_OK;
}

/* What is asked for, apart from the zone. `label` holds it as long as the wish is needed. */
static enum ipc_status make_wish(
	struct hearing *h, struct delegate_wish *w, char label[static DELEGATE_LABEL_MAX + 1])
{
	if (strlen(h->r->name) > DELEGATE_LABEL_MAX)
		return IPC_BAD_NAME;
	name_lower(h->r->name, label);
	w->label = label;
	w->label_is_prefix = false;
	take_allow(h->r->allow, h->r->allow_count, &w->allow);
	return take_aliases(h->r, &w->aliases) ? IPC_OK : IPC_BAD_NAME;
}

bool label_is_static(const struct hearing *h, uint16_t zone, const char *label)
{
	const struct keeper_settings *s = h->judge->settings;
	return *label && s->is_static && s->is_static(s->static_ctx, zone, label);
}

static enum ipc_status carry_out(struct hearing *h, const struct delegate_wish *w)
{
	struct delegate_credentials made;
	if (!zone_by_id(h->judge->settings, w->zone))
		return IPC_BAD_NAME; /* of a token: the zone was taken out of the configuration */
	if (!w->label_is_prefix && label_is_static(h, w->zone, w->label))
		return IPC_EXISTS;
	int rc = delegate_register(h->t, w, h->now.wall, &made);
	if (rc == ERR_INVALID)
		return IPC_BAD_NAME;
	if (rc)
		return status_of(rc);
	event_name(h, &made.id);
	event_detail(h, made.key_id);
	enum ipc_status status = give_credentials(h, &made, &w->allow);
	secure_wipe(&made, sizeof made);
	return status;
}

/* ---- registration ---- */

/* Without a token the label is not to be chosen: names like "www" or "mail" are for those the operator knows.
 */
static enum ipc_status register_openly(struct hearing *h, struct delegate_wish *w)
{
	w->zone = h->judge->settings->zones[0].id;
	if (*w->label)
		return IPC_BAD_NAME;
	if (limits_take(h->judge->limits, &h->r->client, h->now.mono, &h->out->retry_after))
		return IPC_LIMITED;
	return carry_out(h, w);
}

static enum ipc_status register_with(struct hearing *h, struct delegate_wish *w, const struct token *k)
{
	event_key(h, k->id);
	w->zone = k->terms.zone;
	if (token_apply(&k->terms, w))
		return IPC_BAD_NAME;
	enum ipc_status status = carry_out(h, w);
	if (status)
		return status;
	/* An error sticks to the transaction: no registration without its price. */
	return token_spend(h->t, h->r->secret, h->now.wall) ? IPC_FAILED : IPC_OK;
}

static enum ipc_status refuse_token(struct hearing *h, enum token_verdict why)
{
	switch (why) {
	case TOKEN_EXPIRED:
		return IPC_TOKEN_EXPIRED;
	case TOKEN_SPENT:
		return IPC_TOKEN_SPENT;
	default:
		return refuse_attempt(h, IPC_BAD_TOKEN);
	}
}

enum ipc_status hear_register(struct hearing *h)
{
	const struct ipc_request *r = h->r;
	enum conf_registration_mode mode = h->judge->settings->registration_mode;
	char label[DELEGATE_LABEL_MAX + 1];
	struct delegate_wish w;
	struct token k;
	enum token_verdict verdict = TOKEN_UNKNOWN;
	if (mode == CONF_REGISTRATION_CLOSED)
		return IPC_CLOSED;
	enum ipc_status status = make_wish(h, &w, label);
	if (status)
		return status;
	if (!*r->secret)
		return mode == CONF_REGISTRATION_TOKEN ? IPC_TOKEN_REQUIRED : register_openly(h, &w);
	if (token_judge(h->t, r->secret, h->now.wall, &verdict, &k))
		return IPC_FAILED;
	if (verdict == TOKEN_GOOD)
		return register_with(h, &w, &k);
	if (mode == CONF_REGISTRATION_OPEN && r->flags & IPC_FLAG_MAYBE)
		return register_openly(h, &w);
	return refuse_token(h, verdict);
}

enum ipc_status hear_delegate_add(struct hearing *h)
{
	const struct keeper_settings *s = h->judge->settings;
	char label[DELEGATE_LABEL_MAX + 1];
	struct delegate_wish w;
	const struct keeper_zone *zone = *h->r->zone ? zone_by_name(s, h->r->zone) : &s->zones[0];
	enum ipc_status status = zone ? make_wish(h, &w, label) : IPC_BAD_NAME;
	if (status)
		return status;
	w.zone = zone->id;
	return carry_out(h, &w);
}
