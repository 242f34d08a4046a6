// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/secure.h"

struct call *call_new(const struct context *c, call_success *success)
{
	struct call *k = calloc(1, sizeof *k);
	if (!k) {
		answer_error(c, "out_of_memory");
		return NULL;
	}
	k->api = c->api;
	k->exchange = c->exchange;
	k->base = c->base;
	k->manner = c->manner;
	k->success = success;
	k->client = c->request->client;
	return k;
}

void call_free(struct call *c)
{
	if (!c)
		return;
	free(c->text);
	free(c->domains);
	secure_wipe(c, sizeof *c);
	free(c);
}

static const char *type_name(enum ipc_type type)
{
	static const char *const names[IPC_TYPES] = {
		[IPC_HELLO] = "hello",
		[IPC_HEALTH] = "health",
		[IPC_REGISTER] = "register",
		[IPC_UPDATE] = "update",
		[IPC_PRESENT] = "present",
		[IPC_CLEANUP] = "cleanup",
		[IPC_DELEGATE_SHOW] = "delegate show",
		[IPC_DELEGATE_REMOVE] = "delegate remove",
		[IPC_VALUES_CLEAR] = "values clear",
		[IPC_ALLOW_SET] = "allow list",
		[IPC_ALIASES_SET] = "aliases",
		[IPC_KEY_ADD] = "key add",
		[IPC_KEY_ROTATE] = "key rotate",
		[IPC_KEY_REVOKE] = "key revoke",
		[IPC_DELEGATE_ADD] = "delegate add",
		[IPC_DELEGATE_LIST] = "delegate list",
		[IPC_TOKEN_ADD] = "token add",
		[IPC_TOKEN_LIST] = "token list",
		[IPC_TOKEN_REVOKE] = "token revoke",
		[IPC_STATUS] = "status",
		[IPC_EVENTS] = "events",
	};
	return names[type] ? names[type] : "request";
}

/* One network is one source. */
static uint64_t source_of(const struct address *client)
{
	uint64_t half[2];
	const struct address network = address_network(client);
	_Static_assert(sizeof half == sizeof network.bytes, "both halves");
	memcpy(half, network.bytes, sizeof half);
	return half[0] * 31 + half[1];
}

/* win-acme never looks at the status of an update: only the log tells why its order fails. */
static void log_refusal(const struct call *c, const char *code)
{
	char client[ADDRESS_TEXT];
	address_format(&c->client, client);
	log_event_about(LOG_LEVEL_INFO, "api", source_of(&c->client), "%s refused: %s (client %s, key id %s)",
		type_name(c->type), code, client, *c->key_id ? c->key_id : "-");
}

static unsigned retry_after(enum ipc_status status, const struct ipc_reply *reply)
{
	if (!reply || (status != IPC_LIMITED && status != IPC_BUSY))
		return 0;
	return reply->retry_after ? reply->retry_after : 1;
}

/* No answer means that nobody knows whether the change was made: to the client, the same as a failed store.
 */
static void refuse_call(const struct call *c, const struct ipc_reply *reply)
{
	enum ipc_status status = reply ? reply->status : IPC_FAILED;
	const struct refusal *f = refusal_of(c->manner, status);
	if (status == IPC_BAD_VALUE && c->bad_value)
		f = c->bad_value;
	log_refusal(c, f->code);
	if (c->type == IPC_HEALTH)
		f = refusal_called(c->manner, "store_unavailable");
	held_refuse(c->api, c->exchange, c->manner, f, &c->client, retry_after(status, reply),
		reply ? reply->delay : 0);
}

/* Whoever asks how we are has a deadline, and a keeper that hangs is an answer, too. */
int64_t call_lose_patience(struct api *a, int64_t now)
{
	struct call *c;
	while ((c = TAILQ_FIRST(&a->impatient)) && c->due <= now) {
		TAILQ_REMOVE(&a->impatient, c, impatient);
		c->due = 0;
		answer_refusal(
			c->exchange, c->manner, refusal_called(c->manner, "store_unavailable"), NULL, 0);
		c->exchange = NULL;
	}
	return c ? c->due : INT64_MAX;
}

static void keeper_replied(void *ctx, const struct ipc_reply *reply)
{
	struct call *c = ctx;
	if (c->due)
		TAILQ_REMOVE(&c->api->impatient, c, impatient);
	if (!c->exchange)
		log_debug("api", "the keeper answered too late");
	else if (reply && reply->status == IPC_OK && reply->type == c->type)
		c->success(c, reply);
	else
		refuse_call(c, reply);
	call_free(c);
}

void call_ask(struct call *c, struct ipc_request *q)
{
	c->type = q->type;
	memcpy(c->key_id, q->key_id, sizeof c->key_id);
	if (q->by == IPC_BY_KEY)
		memcpy(c->secret, q->secret, sizeof c->secret);
	int r = ipc_client_ask(c->api->client, q, clock_mono_ms(), keeper_replied, c);
	secure_wipe(q, sizeof *q);
	if (r == OK) {
		if (c->type == IPC_HEALTH) {
			c->due = clock_mono_ms() + HEALTH_MS;
			TAILQ_INSERT_TAIL(&c->api->impatient, c, impatient);
		}
		return;
	}
	const struct refusal *f = refusal_of(c->manner, r == ERR_LIMIT ? IPC_BUSY : IPC_FAILED);
	answer_refusal(c->exchange, c->manner, f, NULL, r == ERR_LIMIT ? 1 : 0);
	call_free(c);
}

void ask(const struct context *c, struct ipc_request *q, call_success *success)
{
	struct call *k = call_new(c, success);
	if (k)
		call_ask(k, q);
	secure_wipe(q, sizeof *q);
}

/* ---- successes ---- */

static bool holds_credentials(enum ipc_type type)
{
	return type == IPC_REGISTER || type == IPC_DELEGATE_ADD || type == IPC_KEY_ADD ||
	       type == IPC_KEY_ROTATE;
}

static void success(struct call *c, const struct ipc_reply *reply, unsigned status)
{
	json_t *object = render_reply(reply, c->limit);
	if (object && holds_credentials(reply->type) && c->base->server_url &&
		json_object_set_new(object, "server_url", json_string(c->base->server_url))) {
		json_decref(object);
		object = NULL;
	}
	answer_object(c->exchange, status, object);
}

void success_ok(struct call *c, const struct ipc_reply *reply)
{
	success(c, reply, 200);
}

void success_created(struct call *c, const struct ipc_reply *reply)
{
	success(c, reply, 201);
}

void success_text(struct call *c, const struct ipc_reply *reply)
{
	(void)reply;
	answer_json(c->exchange, 200, c->text);
}
