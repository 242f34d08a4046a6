// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "keeper/internal.h"
#include "util/text.h"

static enum ipc_status status_of(int rc)
{
	switch (rc) {
	case OK:
		return IPC_OK;
	case ERR_FORBIDDEN:
		return IPC_FORBIDDEN;
	case ERR_INVALID:
		return IPC_BAD_VALUE;
	case ERR_LIMIT:
		return IPC_LIMITED;
	default:
		return IPC_FAILED;
	}
}

static const struct keeper_zone *zone_of(const struct keeper_settings *s, uint16_t id)
{
	for (size_t i = 0; i < s->zone_count; i++)
		if (s->zones[i].id == id)
			return &s->zones[i];
	return NULL;
}

static enum ipc_status do_register(struct judge *j, struct store_txn *t, const struct ipc_request *r,
	struct judge_time now, struct ipc_reply *out)
{
	const struct keeper_zone *zone = &j->settings->zones[0];
	if (j->settings->registration_mode != CONF_REGISTRATION_OPEN)
		return IPC_CLOSED;
	int rc = limits_take(j->limits, &r->client, now.mono, &out->retry_after);
	if (rc)
		return status_of(rc);
	struct delegate_wish wish = {.zone = zone->id, .allow.count = r->allow_count};
	_Static_assert((int)IPC_ALLOW_MAX == (int)DELEGATE_MAX_PREFIXES, "what may be sent can be kept");
	memcpy(wish.allow.prefixes, r->allow, r->allow_count * sizeof r->allow[0]);
	struct delegate_credentials made;
	rc = delegate_register(t, &wish, now.wall, &made);
	if (!rc)
		rc = text_format(out->credentials.key_id, sizeof out->credentials.key_id, "%s", made.key_id);
	if (!rc)
		rc = text_format(out->credentials.secret, sizeof out->credentials.secret, "%s", made.secret);
	if (!rc)
		rc = text_format(out->credentials.label, sizeof out->credentials.label, "%s", made.id.label);
	if (!rc)
		rc = text_format(out->credentials.zone, sizeof out->credentials.zone, "%s", zone->name);
	secure_wipe(&made, sizeof made);
	return status_of(rc);
}

/* `name` is `tail`, or ends with a dot and `tail`. */
static bool is_below_or_at(const char *name, size_t len, const char *tail)
{
	size_t tail_len = strlen(tail);
	if (len < tail_len || strncasecmp(name + len - tail_len, tail, tail_len) != 0)
		return false;
	return len == tail_len || name[len - tail_len - 1] == '.';
}

/* The key decides which delegate changes; the name a httpreq client sends along can only show a mix-up. lego
 * sends the delegate (it follows the CNAME), others the user's own _acme-challenge name. What is refused is
 * somebody else's name in our zones. */
static bool name_fits(const struct keeper_settings *s, const char *name, const struct delegate_id *id)
{
	static const char challenge[] = "_acme-challenge.";
	char own[IPC_NAME_MAX + 2];
	size_t len = strlen(name);
	if (len && name[len - 1] == '.')
		len--;
	const struct keeper_zone *zone = zone_of(s, id->zone);
	if (!zone || text_format(own, sizeof own, "%s.%s", id->label, zone->name))
		return false;
	size_t skip = strncasecmp(name, challenge, sizeof challenge - 1) == 0 ? sizeof challenge - 1 : 0;
	if (len >= skip && len - skip == strlen(own) && strncasecmp(name + skip, own, len - skip) == 0)
		return true;
	for (size_t i = 0; i < s->zone_count; i++)
		if (is_below_or_at(name, len, s->zones[i].name))
			return false;
	return true;
}

static enum ipc_status do_change(
	struct judge *j, struct store_txn *t, const struct ipc_request *r, struct judge_time now)
{
	struct delegate_login login;
	int rc = delegate_authenticate(t, r->key_id, r->secret, &r->client, &login);
	if (rc)
		return status_of(rc);
	const struct delegate_id id = login.id;
	struct delegate_actor who = {.now = now.wall, .from = r->client};
	memcpy(who.key, login.key, sizeof who.key);
	const struct keeper_zone *zone = zone_of(j->settings, id.zone);
	if (!zone) /* the zone was taken out of the configuration */
		return IPC_FORBIDDEN;
	/* acme-dns compares byte for byte, and answers as if the key were wrong. */
	if (r->type == IPC_UPDATE && strcmp(r->name, id.label) != 0)
		return IPC_FORBIDDEN;
	if (r->type != IPC_UPDATE && !name_fits(j->settings, r->name, &id))
		return IPC_FOREIGN;
	rc = r->type == IPC_CLEANUP ? delegate_withdraw(t, &id, r->value, &who)
				    : delegate_put(t, &id, r->value, &zone->rules, &who);
	return status_of(rc);
}

/* Reads a page, and while writing is in doubt writes one: a full disk shall be seen, and its end too. */
static enum ipc_status do_health(struct judge *j, struct store_txn *t, struct judge_time now)
{
	static const char probe_key[] = "probe";
	uint16_t id;
	int rc = delegate_zone_id(t, j->settings->zones[0].name, &id);
	if (!rc && j->probe)
		rc = store_txn_put(
			t, STORE_META, probe_key, sizeof probe_key - 1, &now.wall, sizeof now.wall);
	return status_of(rc);
}

void judge_request(struct judge *j, struct store_txn *t, const struct ipc_request *r, struct judge_time now,
	struct ipc_reply *out)
{
	memset(out, 0, sizeof *out);
	out->type = r->type;
	if (r->type == IPC_HELLO)
		return;
	if (!t) {
		out->status = IPC_FAILED;
		return;
	}
	switch (r->type) {
	case IPC_REGISTER:
		out->status = do_register(j, t, r, now, out);
		break;
	case IPC_UPDATE:
	case IPC_PRESENT:
	case IPC_CLEANUP:
		out->status = do_change(j, t, r, now);
		break;
	default:
		out->status = do_health(j, t, now);
	}
}
