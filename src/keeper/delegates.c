// SPDX-License-Identifier: GPL-3.0-or-later
/* What can be asked about one delegate: by a key about its own, by the operator about any. Once it is known
 * which one is meant, both go the same way. */
#include <string.h>

#include "delegate/evidence.h"
#include "keeper/internal.h"
#include "util/text.h"

/* A key may name its delegate, which helps nobody who names another. */
static enum ipc_status find_own(struct hearing *h, struct delegate_id *out)
{
	struct delegate_id named;
	enum ipc_status status = hear_key(h);
	if (status)
		return status;
	*out = h->login.id;
	if (!*h->r->name)
		return IPC_OK;
	bool own = name_parse(h->judge->settings, h->r->name, &named) && named.zone == out->zone &&
		   strcmp(named.label, out->label) == 0;
	return own ? IPC_OK : IPC_FORBIDDEN;
}

/* Fills in the whole delegate, too. */
static enum ipc_status find_delegate(struct hearing *h, struct delegate *out)
{
	struct delegate_id id;
	enum ipc_status status = IPC_OK;
	if (h->r->by == IPC_BY_KEY)
		status = find_own(h, &id);
	else if (!name_parse(h->judge->settings, h->r->name, &id))
		status = IPC_NOT_FOUND;
	if (status)
		return status;
	event_name(h, &id);
	return status_of(delegate_get(h->t, &id, out));
}

/* ---- what there is to see ---- */

static void show_changes(const struct delegate *d, struct ipc_delegate *out)
{
	_Static_assert((int)IPC_CHANGES_MAX == (int)DELEGATE_MAX_CHANGES, "all can be shown");
	_Static_assert(
		(int)IPC_CHANGE_PUT == (int)DELEGATE_PUT && (int)IPC_CHANGE_CLEARED == (int)DELEGATE_CLEARED,
		"the same numbers");
	static const uint8_t nobody[DELEGATE_KEY_TAG_SIZE];
	out->change_count = d->history.count;
	for (size_t i = 0; i < d->history.count; i++) {
		const struct delegate_change *from = &d->history.changes[i];
		struct ipc_change *to = &out->changes[i];
		to->when = from->when;
		to->kind = (enum ipc_change_kind)from->kind;
		to->from = from->from;
		to->key[0] = 0;
		if (memcmp(from->key, nobody, sizeof nobody) != 0)
			text_hex(from->key, sizeof from->key, to->key);
	}
}

/* The newest change a key has made is its last use. */
static void show_key(const struct delegate *d, const struct delegate_stored_key *k, struct ipc_key *out)
{
	*out = (struct ipc_key){
		.created = k->created, .retiring = k->retiring, .bcrypt = k->hash == DELEGATE_BCRYPT};
	text_from_uuid(k->id, out->id);
	for (size_t i = 0; i < d->history.count; i++) {
		const struct delegate_change *c = &d->history.changes[i];
		if (memcmp(c->key, k->id, sizeof c->key) != 0)
			continue;
		out->used = c->when;
		out->used_from = c->from;
		return;
	}
}

static void show_values(const struct delegate *d, const struct judge_time *now, struct ipc_delegate *out)
{
	_Static_assert((int)IPC_VALUES_MAX == (int)DELEGATE_MAX_VALUES, "all can be shown");
	out->value_count = 0;
	for (size_t i = 0; i < d->values.count; i++) {
		const struct delegate_value *v = &d->values.values[i];
		if (v->expiry <= now->wall - now->jump)
			continue; /* not swept yet, and not served */
		memcpy(out->values[out->value_count].text, v->text, DELEGATE_VALUE_LEN);
		out->values[out->value_count].text[DELEGATE_VALUE_LEN] = 0;
		out->values[out->value_count++].expiry = v->expiry + now->jump;
	}
}

static enum ipc_status show_evidence(
	struct hearing *h, const struct delegate_id *id, struct ipc_delegate *out)
{
	_Static_assert((int)IPC_ASKERS_MAX == (int)EVIDENCE_ASKERS, "all can be shown");
	struct evidence e;
	out->asker_count = 0;
	if (evidence_get(h->t, id, &e))
		return IPC_FAILED;
	for (size_t i = 0; i < e.count; i++)
		out->askers[out->asker_count++] = (struct ipc_asker){
			e.askers[i].resolver, e.askers[i].first, e.askers[i].last, e.askers[i].times};
	return IPC_OK;
}

static enum ipc_status show(struct hearing *h, const struct delegate *d)
{
	struct ipc_delegate *out = &h->out->delegate;
	_Static_assert((int)IPC_KEYS_MAX == (int)DELEGATE_MAX_KEYS, "all can be shown");
	const struct keeper_zone *zone = zone_by_id(h->judge->settings, d->id.zone);
	if (!zone)
		return IPC_NOT_FOUND;
	copy_text(out->label, sizeof out->label, d->id.label);
	copy_text(out->zone, sizeof out->zone, zone->name);
	out->created = d->created;
	out->key_count = d->key_count;
	for (size_t i = 0; i < d->key_count; i++)
		show_key(d, &d->keys[i], &out->keys[i]);
	out->allow_count = d->allow.count;
	memcpy(out->allow, d->allow.prefixes, d->allow.count * sizeof d->allow.prefixes[0]);
	out->alias_count = d->aliases.count;
	for (size_t i = 0; i < d->aliases.count; i++)
		copy_text(out->aliases[i], sizeof out->aliases[i], d->aliases.names[i]);
	show_values(d, &h->now, out);
	show_changes(d, out);
	return show_evidence(h, &d->id, out);
}

/* ---- keys ---- */

/* Without a target: the asking key; for the operator the only one, or the one that a successor that was never
 * used shall replace: so what is asked again because the answer was lost has the same meaning. */
static enum ipc_status default_key(
	const struct hearing *h, const struct delegate *d, uint8_t out[static DELEGATE_KEY_ID_SIZE])
{
	const struct delegate_stored_key *found = d->key_count == 1 ? &d->keys[0] : NULL;
	if (h->r->by == IPC_BY_KEY) {
		memcpy(out, h->login.key, DELEGATE_KEY_ID_SIZE);
		return IPC_OK;
	}
	for (size_t i = 0; i < d->key_count; i++)
		if (d->keys[i].retiring)
			found = &d->keys[i];
	if (!found)
		return d->key_count ? IPC_TOO_MANY : IPC_NOT_FOUND;
	memcpy(out, found->id, DELEGATE_KEY_ID_SIZE);
	return IPC_OK;
}

static enum ipc_status target_key(
	const struct hearing *h, const struct delegate *d, uint8_t out[static DELEGATE_KEY_ID_SIZE])
{
	if (!*h->r->target && h->r->type == IPC_KEY_ROTATE)
		return default_key(h, d, out);
	return text_to_uuid(h->r->target, strlen(h->r->target), out) ? IPC_NOT_FOUND : IPC_OK;
}

static enum ipc_status give_key(
	struct hearing *h, const struct delegate *d, int rc, struct delegate_credentials *made)
{
	if (rc == ERR_LIMIT)
		return IPC_TOO_MANY;
	if (rc)
		return status_of(rc);
	made->id = d->id;
	enum ipc_status status = give_credentials(h, made, &d->allow);
	secure_wipe(made, sizeof *made);
	return status;
}

static enum ipc_status add_key(struct hearing *h, const struct delegate *d)
{
	struct delegate_credentials made;
	int rc = delegate_key_add(h->t, &d->id, h->now.wall, &made);
	if (!rc)
		event_detail(h, made.key_id);
	return give_key(h, d, rc, &made);
}

static enum ipc_status rotate_key(struct hearing *h, const struct delegate *d)
{
	struct delegate_credentials made;
	uint8_t key[DELEGATE_KEY_ID_SIZE];
	char id[SECURE_UUID_LEN + 1];
	enum ipc_status status = target_key(h, d, key);
	if (status)
		return status;
	text_from_uuid(key, id);
	event_detail(h, id);
	bool at_once = h->r->flags & IPC_FLAG_AT_ONCE;
	int rc = delegate_key_rotate(h->t, &d->id, key, at_once, h->now.wall, &made);
	return give_key(h, d, rc, &made);
}

static enum ipc_status revoke_key(struct hearing *h, const struct delegate *d)
{
	uint8_t key[DELEGATE_KEY_ID_SIZE];
	char id[SECURE_UUID_LEN + 1];
	enum ipc_status status = target_key(h, d, key);
	if (status)
		return status;
	text_from_uuid(key, id);
	event_detail(h, id);
	int rc = delegate_key_revoke(h->t, &d->id, key, h->r->flags & IPC_FLAG_FORCE);
	return rc == ERR_LIMIT ? IPC_LAST_KEY : status_of(rc);
}

/* ---- the rest ---- */

static void event_count(struct hearing *h, size_t count, const char *what)
{
	char text[64];
	if (!text_format(text, sizeof text, "%zu %s", count, what))
		event_detail(h, text);
}

/* A list without the one who sets it is a mistake that shuts him out; the operator is not bound by it. */
static enum ipc_status set_allow(struct hearing *h, const struct delegate *d)
{
	struct delegate_allow allow;
	take_allow(h->r->allow, h->r->allow_count, &allow);
	event_count(h, allow.count, allow.count == 1 ? "network" : "networks");
	if (h->r->by == IPC_BY_KEY && !(h->r->flags & IPC_FLAG_FORCE) &&
		!delegate_allows(&allow, &h->r->client))
		return IPC_SHUTS_OUT;
	return status_of(delegate_set_allow(h->t, &d->id, &allow));
}

static enum ipc_status set_aliases(struct hearing *h, const struct delegate *d)
{
	struct delegate_aliases aliases;
	if (!take_aliases(h->r, &aliases))
		return IPC_BAD_NAME;
	event_count(h, aliases.count, aliases.count == 1 ? "alias" : "aliases");
	int rc = delegate_set_aliases(h->t, &d->id, &aliases);
	return rc == ERR_INVALID ? IPC_BAD_NAME : status_of(rc);
}

static enum ipc_status clear(struct hearing *h, const struct delegate *d)
{
	const struct delegate_actor who = actor_of(h);
	return status_of(delegate_clear(h->t, &d->id, &who));
}

/* What can be asked about a delegate that is nobody's: it is seen, emptied and removed, and gets no key. The
 * server makes its own anew when it needs it. */
static bool may_be_reserved(enum ipc_type type)
{
	return type == IPC_DELEGATE_SHOW || type == IPC_VALUES_CLEAR || type == IPC_DELEGATE_REMOVE;
}

enum ipc_status hear_delegate(struct hearing *h)
{
	struct delegate d;
	enum ipc_status status = find_delegate(h, &d);
	if (status)
		return status;
	if (delegate_label_reserved(d.id.label) && !may_be_reserved(h->r->type))
		return IPC_BAD_NAME;
	switch (h->r->type) {
	case IPC_DELEGATE_SHOW:
		return show(h, &d);
	case IPC_DELEGATE_REMOVE:
		return status_of(delegate_remove(h->t, &d.id));
	case IPC_VALUES_CLEAR:
		return clear(h, &d);
	case IPC_ALLOW_SET:
		return set_allow(h, &d);
	case IPC_ALIASES_SET:
		return set_aliases(h, &d);
	case IPC_KEY_ADD:
		return add_key(h, &d);
	case IPC_KEY_ROTATE:
		return rotate_key(h, &d);
	case IPC_KEY_REVOKE:
		return revoke_key(h, &d);
	default:
		return IPC_FAILED;
	}
}
