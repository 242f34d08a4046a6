// SPDX-License-Identifier: GPL-3.0-or-later
/* Who may ask what, and what is written about it. */
#include <string.h>

#include "keeper/audit.h"
#include "keeper/internal.h"
#include "util/text.h"

enum {
	NOBODY = 1 << IPC_BY_NOBODY,
	KEY = 1 << IPC_BY_KEY,
	OPERATOR = 1 << IPC_BY_OPERATOR,
	AGENT = 1 << IPC_BY_AGENT
};

static enum ipc_status hear_health(struct hearing *h);

static const struct {
	enum ipc_status (*hear)(struct hearing *h);
	unsigned by;               /* whose right it may be */
	enum ipc_event_kind event; /* 0: nothing is written about it */
} types[IPC_TYPES] = {
	[IPC_HEALTH] = {hear_health, NOBODY | KEY | OPERATOR, 0},
	[IPC_REGISTER] = {hear_register, NOBODY, IPC_EVENT_REGISTER},
	[IPC_UPDATE] = {hear_change, KEY, IPC_EVENT_UPDATE},
	[IPC_PRESENT] = {hear_change, KEY, IPC_EVENT_UPDATE},
	[IPC_CLEANUP] = {hear_change, KEY, IPC_EVENT_WITHDRAW},
	[IPC_DELEGATE_SHOW] = {hear_delegate, KEY | OPERATOR, IPC_EVENT_ACCESS},
	[IPC_DELEGATE_REMOVE] = {hear_delegate, KEY | OPERATOR, IPC_EVENT_REMOVE},
	[IPC_VALUES_CLEAR] = {hear_delegate, KEY | OPERATOR, IPC_EVENT_CLEAR},
	[IPC_ALLOW_SET] = {hear_delegate, KEY | OPERATOR, IPC_EVENT_ALLOW},
	[IPC_ALIASES_SET] = {hear_delegate, KEY | OPERATOR, IPC_EVENT_ALIASES},
	[IPC_KEY_ADD] = {hear_delegate, KEY | OPERATOR, IPC_EVENT_KEY_ADD},
	[IPC_KEY_ROTATE] = {hear_delegate, KEY | OPERATOR, IPC_EVENT_KEY_ROTATE},
	[IPC_KEY_REVOKE] = {hear_delegate, KEY | OPERATOR, IPC_EVENT_KEY_REVOKE},
	[IPC_DELEGATE_ADD] = {hear_delegate_add, OPERATOR, IPC_EVENT_REGISTER},
	[IPC_DELEGATE_LIST] = {hear_delegate_list, OPERATOR, IPC_EVENT_ACCESS},
	[IPC_TOKEN_ADD] = {hear_token_add, OPERATOR, IPC_EVENT_TOKEN_ADD},
	[IPC_TOKEN_LIST] = {hear_token_list, OPERATOR, IPC_EVENT_ACCESS},
	[IPC_TOKEN_REVOKE] = {hear_token_revoke, OPERATOR, IPC_EVENT_TOKEN_REVOKE},
	[IPC_STATUS] = {hear_status, OPERATOR, IPC_EVENT_ACCESS},
	[IPC_EVENTS] = {hear_events, OPERATOR, IPC_EVENT_ACCESS},
	[IPC_CHALLENGE_SET] = {hear_challenge, AGENT, IPC_EVENT_CHALLENGE},
};

enum ipc_status status_of(int rc)
{
	switch (rc) {
	case OK:
		return IPC_OK;
	case ERR_FORBIDDEN:
		return IPC_FORBIDDEN;
	case ERR_NOTFOUND:
		return IPC_NOT_FOUND;
	case ERR_EXISTS:
		return IPC_EXISTS;
	default:
		return IPC_FAILED;
	}
}

/* ---- the audit log ---- */

void copy_text(char *out, size_t cap, const char *text)
{
	size_t len = strnlen(text, cap - 1);
	memcpy(out, text, len);
	out[len] = 0;
}

void event_key(struct hearing *h, const char *key)
{
	copy_text(h->event.key, sizeof h->event.key, key);
}

void event_detail(struct hearing *h, const char *detail)
{
	copy_text(h->event.detail, sizeof h->event.detail, detail);
}

void event_name(struct hearing *h, const struct delegate_id *id)
{
	const struct keeper_zone *zone = zone_by_id(h->judge->settings, id->zone);
	if (zone && text_format(h->event.name, sizeof h->event.name, "%s.%s", id->label, zone->name))
		h->event.name[0] = 0;
}

static void begin_event(struct hearing *h)
{
	uint8_t id[16];
	h->event = (struct event){.when = h->now.wall,
		.kind = (uint8_t)types[h->r->type].event,
		.by = (uint8_t)h->r->by,
		.uid = h->asker->uid,
		.client = h->r->client};
	if (h->asker->admin && h->r->by == IPC_BY_OPERATOR)
		h->event.client = (struct address){{0}};
	/* What claims to be a key id and is none may be a password that went into the wrong field. */
	if (h->r->by == IPC_BY_KEY && !text_to_uuid(h->r->key_id, strlen(h->r->key_id), id))
		event_key(h, h->r->key_id);
}

/* What the store or the load refuses was not judged. Of what only reads, failed attempts are of interest. */
static bool worth_an_event(const struct hearing *h)
{
	enum ipc_status status = h->out->status;
	if (!h->event.kind || status == IPC_FAILED || status == IPC_BUSY)
		return false;
	return h->event.kind != IPC_EVENT_ACCESS || status == IPC_FORBIDDEN;
}

static void write_event(struct hearing *h)
{
	if (!worth_an_event(h))
		return;
	h->event.outcome = (uint8_t)h->out->status;
	if (h->out->status == IPC_OK)
		audit_done(h->judge->audit, h->t, &h->event);
	else
		audit_refused(h->judge->audit, &h->event, h->now.mono);
}

/* ---- who asks ---- */

enum ipc_status refuse_attempt(struct hearing *h, enum ipc_status why)
{
	uint32_t delay = failures_note(h->judge->failures, &h->r->client, h->now.mono);
	uint32_t most = h->judge->settings->failed_login_delay;
	h->out->delay = delay < most ? delay : most;
	return why;
}

/* The first use of a successor has ended the key before it. */
static void write_retirement(struct hearing *h)
{
	struct event e = h->event;
	e.kind = IPC_EVENT_KEY_RETIRED;
	e.outcome = IPC_OK;
	text_from_uuid(h->login.other, e.detail);
	audit_done(h->judge->audit, h->t, &e);
}

enum ipc_status hear_key(struct hearing *h)
{
	const struct ipc_request *r = h->r;
	int rc = delegate_authenticate(h->t, r->key_id, r->secret, &r->client, &h->login);
	if (rc == ERR_AGAIN) {
		h->judgement = JUDGE_VERIFY;
		h->out->retry_after = 1;
		return IPC_BUSY;
	}
	if (rc == ERR_FORBIDDEN)
		return refuse_attempt(h, IPC_FORBIDDEN);
	if (rc)
		return IPC_FAILED;
	event_name(h, &h->login.id);
	/* From a store of a version in which such labels could be had. */
	if (delegate_label_reserved(h->login.id.label))
		return IPC_FORBIDDEN;
	if (h->login.retired_other)
		write_retirement(h);
	/* The zone may have been taken out of the configuration. */
	return zone_by_id(h->judge->settings, h->login.id.zone) ? IPC_OK : IPC_FORBIDDEN;
}

struct delegate_actor actor_of(const struct hearing *h)
{
	struct delegate_actor who = {.now = h->now.wall, .jump = h->now.jump, .from = h->event.client};
	if (h->r->by == IPC_BY_KEY)
		memcpy(who.key, h->login.key, sizeof who.key);
	return who;
}

/* On the admin socket the file's mode and the peer's user id have decided already. */
static enum ipc_status check_operator(struct hearing *h)
{
	static const uint8_t none[SECURE_DIGEST_SIZE];
	const uint8_t *right = h->judge->settings->operator_digest;
	uint8_t given[SECURE_DIGEST_SIZE];
	if (h->asker->admin)
		return IPC_OK;
	if (secure_sha256(h->r->secret, strlen(h->r->secret), given))
		return IPC_FAILED;
	bool configured = !secure_equal(right, none, sizeof none);
	bool equal = secure_equal(right, given, sizeof given);
	secure_wipe(given, sizeof given);
	return configured && equal ? IPC_OK : refuse_attempt(h, IPC_FORBIDDEN);
}

/* ---- one request ---- */

/* Reads a page. Whether one can be written the keeper tries by itself, while it is in doubt. */
static enum ipc_status hear_health(struct hearing *h)
{
	uint16_t id;
	h->judge->health_asked = true;
	int rc = delegate_zone_id(h->t, h->judge->settings->zones[0].name, &id);
	return rc || h->judge->probe ? IPC_FAILED : IPC_OK;
}

static enum ipc_status hear(struct hearing *h)
{
	enum ipc_type type = h->r->type;
	if (!(types[type].by & 1u << h->r->by))
		return IPC_FORBIDDEN;
	/* Who the agent is is told by its channel, not by what it says; and it is nobody else. */
	if (h->asker->agent != (h->r->by == IPC_BY_AGENT))
		return IPC_FORBIDDEN;
	if (h->r->by == IPC_BY_OPERATOR && type != IPC_HEALTH) {
		enum ipc_status status = check_operator(h);
		if (status)
			return status;
	}
	return types[type].hear(h);
}

static void begin_reply(struct hearing *h)
{
	memset(h->out, 0, offsetof(struct ipc_reply, credentials));
	h->out->type = h->r->type;
	h->judgement = JUDGED;
	memset(&h->login, 0, sizeof h->login);
	begin_event(h);
}

enum judgement judge_request(struct hearing *h)
{
	begin_reply(h);
	if (h->r->type == IPC_HELLO)
		return JUDGED;
	if (!h->t) {
		h->out->status = IPC_FAILED;
		return JUDGED;
	}
	h->out->status = hear(h);
	write_event(h);
	return h->judgement;
}

void judge_wrong_secret(struct hearing *h)
{
	begin_reply(h);
	h->out->status = refuse_attempt(h, IPC_FORBIDDEN);
	write_event(h);
}
