// SPDX-License-Identifier: GPL-3.0-or-later
/* /v1/ for who holds a key: its own delegate, and nothing else. The keeper finds the delegate by the key, so
 * there is no name in these requests that could be another's. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "util/secure.h"
#include "util/text.h"

/* False: answered. */
static bool identify(const struct context *c, struct ipc_request *q)
{
	*q = (struct ipc_request){.client = c->request->client};
	if (credentials_from_any(c->request, q) == OK)
		return true;
	answer_error(c, "forbidden");
	return false;
}

void ask_about(const struct context *c, struct ipc_request *q, enum ipc_type type, call_success *success)
{
	q->type = type;
	ask(c, q, success);
}

/* Both read a body into *q and ask, or answer what is wrong. */
static void ask_unless(const struct context *c, struct ipc_request *q, enum ipc_type type, const char *wrong)
{
	if (wrong)
		answer_error(c, wrong);
	else
		ask_about(c, q, type, success_ok);
}

/* "allowfrom" must be there: an empty list opens the delegate to every address. */
void ask_set_allow(const struct context *c, struct ipc_request *q)
{
	json_t *body;
	const char *wrong = fields_parse(c->request, &body);
	if (!wrong && !json_is_array(body ? body_member(body, "allowfrom") : NULL))
		wrong = "bad_allowfrom";
	if (!wrong)
		wrong = fields_allow(body, q->allow, &q->allow_count);
	if (!wrong)
		wrong = fields_flag(body, "force", IPC_FLAG_FORCE, &q->flags);
	json_decref(body);
	ask_unless(c, q, IPC_ALLOW_SET, wrong);
}

void ask_set_aliases(const struct context *c, struct ipc_request *q)
{
	json_t *body;
	const char *wrong = fields_parse(c->request, &body);
	if (!wrong && !json_is_array(body ? body_member(body, "aliases") : NULL))
		wrong = "bad_alias";
	if (!wrong)
		wrong = fields_aliases(body, q);
	json_decref(body);
	ask_unless(c, q, IPC_ALIASES_SET, wrong);
}

/* A key id in any spelling; what is none is not found. */
static const char *set_target(struct ipc_request *q, const char *key_id)
{
	struct ipc_request parsed = {0};
	if (credentials_set_user(&parsed, key_id))
		return "not_found";
	memcpy(q->target, parsed.key_id, sizeof q->target);
	return NULL;
}

static void refuse_target(const struct context *c)
{
	answer_refusal(c->exchange, c->manner, refusal_of(c->manner, IPC_NOT_FOUND), NULL, 0);
}

void ask_rotate(const struct context *c, struct ipc_request *q, const char *key_id)
{
	json_t *body;
	const char *wrong = fields_parse(c->request, &body);
	if (!wrong)
		wrong = fields_flag(body, "at_once", IPC_FLAG_AT_ONCE, &q->flags);
	json_decref(body);
	if (wrong) {
		answer_error(c, wrong);
	} else if (set_target(q, key_id)) {
		refuse_target(c);
	} else {
		ask_about(c, q, IPC_KEY_ROTATE, success_created);
	}
}

void ask_revoke(const struct context *c, struct ipc_request *q, const char *key_id)
{
	static const char *const names[] = {"force", NULL};
	if (!query_check(c->request, names)) {
		answer_error(c, "bad_query");
		return;
	}
	if (query_flag(c->request, "force"))
		q->flags |= IPC_FLAG_FORCE;
	if (set_target(q, key_id))
		refuse_target(c);
	else
		ask_about(c, q, IPC_KEY_REVOKE, success_ok);
}

/* ---- the delegate ---- */

static void checked(struct call *c, const struct ipc_reply *reply)
{
	const struct ipc_delegate *d = &reply->delegate;
	char name[IPC_LABEL_MAX + 1 + IPC_NAME_MAX + 1];
	bool fits = text_format(name, sizeof name, "%s.%s", d->label, d->zone) == OK;
	answer_object(c->exchange, 200, fits ? json_pack("{s:s,s:s}", "status", "ok", "domain", name) : NULL);
}

static void show_values(struct call *c, const struct ipc_reply *reply)
{
	answer_object(c->exchange, 200, render_values(&reply->delegate));
}

static void show_keys(struct call *c, const struct ipc_reply *reply)
{
	answer_object(c->exchange, 200, render_keys(&reply->delegate));
}

static void simple(const struct context *c, enum ipc_type type, call_success *success)
{
	struct ipc_request q;
	if (identify(c, &q))
		ask_about(c, &q, type, success);
	secure_wipe(&q, sizeof q);
}

void own_check(const struct context *c)
{
	simple(c, IPC_DELEGATE_SHOW, checked);
}

void own_show(const struct context *c)
{
	simple(c, IPC_DELEGATE_SHOW, success_ok);
}

void own_remove(const struct context *c)
{
	simple(c, IPC_DELEGATE_REMOVE, success_ok);
}

void own_values(const struct context *c)
{
	simple(c, IPC_DELEGATE_SHOW, show_values);
}

void own_clear(const struct context *c)
{
	simple(c, IPC_VALUES_CLEAR, success_ok);
}

void own_keys(const struct context *c)
{
	simple(c, IPC_DELEGATE_SHOW, show_keys);
}

void own_key_add(const struct context *c)
{
	simple(c, IPC_KEY_ADD, success_created);
}

void own_allow(const struct context *c)
{
	struct ipc_request q;
	if (identify(c, &q))
		ask_set_allow(c, &q);
	secure_wipe(&q, sizeof q);
}

void own_aliases(const struct context *c)
{
	struct ipc_request q;
	if (identify(c, &q))
		ask_set_aliases(c, &q);
	secure_wipe(&q, sizeof q);
}

void own_key_rotate(const struct context *c)
{
	struct ipc_request q;
	if (identify(c, &q))
		ask_rotate(c, &q, c->params[0]);
	secure_wipe(&q, sizeof q);
}

void own_key_revoke(const struct context *c)
{
	struct ipc_request q;
	if (identify(c, &q))
		ask_revoke(c, &q, c->params[0]);
	secure_wipe(&q, sizeof q);
}

/* ---- values ---- */

/* What is no value is sent as "", so that the keeper judges the key first. */
static void change_value(
	const struct context *c, struct ipc_request *q, enum ipc_type type, const char *value)
{
	struct call *k = call_new(c, success_ok);
	if (!k)
		return;
	q->type = type;
	k->bad_value = fields_value_problem(value);
	if (!k->bad_value)
		memcpy(q->value, value, VALUE_LEN + 1);
	call_ask(k, q);
}

/* "value", or "txt" as acme-dns calls it. The code of what is wrong, or NULL. */
static const char *read_value(const struct http_request *r, char out[static HTTP_MAX_BODY + 1])
{
	json_t *body;
	const char *text = "", *wrong = fields_parse(r, &body);
	int e = OK;
	if (wrong)
		return wrong;
	const char *name = body && body_member(body, "value") ? "value" : "txt";
	if (body)
		e = body_text(body, name, &text);
	if (e == ERR_RANGE)
		e = OK, text = "?"; /* a NUL: no value, whatever stands before it */
	if (e == OK)
		e = text_format(out, HTTP_MAX_BODY + 1, "%s", text);
	json_decref(body);
	return e ? "malformed_body" : NULL;
}

void own_put_value(const struct context *c)
{
	struct ipc_request q;
	char value[HTTP_MAX_BODY + 1];
	if (!identify(c, &q))
		return;
	const char *wrong = read_value(c->request, value);
	if (wrong)
		answer_error(c, wrong);
	else
		change_value(c, &q, IPC_PRESENT, value);
	secure_wipe(&q, sizeof q);
}

void own_withdraw(const struct context *c)
{
	struct ipc_request q;
	if (identify(c, &q))
		change_value(c, &q, IPC_CLEANUP, c->params[0]);
	secure_wipe(&q, sizeof q);
}

/* ---- settings for clients ---- */

/* The secret is the one that was presented: the server keeps none. Names that were not asked for are the
 * declared aliases. */
static void write_settings(struct call *c, const struct ipc_reply *reply)
{
	const struct ipc_delegate *d = &reply->delegate;
	struct ipc_credentials k = {.allow_count = d->allow_count};
	memcpy(k.key_id, c->key_id, sizeof k.key_id);
	memcpy(k.secret, c->secret, sizeof k.secret);
	memcpy(k.label, d->label, sizeof k.label);
	memcpy(k.zone, d->zone, sizeof k.zone);
	memcpy(k.allow, d->allow, sizeof k.allow);
	format_default_domains(c, d->aliases, d->alias_count);
	format_answer(c, 200, &k);
	secure_wipe(&k, sizeof k);
}

/* A call with ?format= and ?domain= read. NULL: answered. */
static struct call *settings_call(const struct context *c, call_success *success)
{
	struct call *k = call_new(c, success);
	const char *wrong = k ? format_read_query(c->request, k) : NULL;
	if (!wrong)
		return k;
	answer_error(c, wrong);
	call_free(k);
	return NULL;
}

void own_credentials(const struct context *c)
{
	struct ipc_request q;
	struct call *k = identify(c, &q) ? settings_call(c, write_settings) : NULL;
	if (k) {
		q.type = IPC_DELEGATE_SHOW;
		call_ask(k, &q);
	}
	secure_wipe(&q, sizeof q);
}

static void registered(struct call *c, const struct ipc_reply *reply)
{
	format_answer(c, 201, &reply->credentials);
}

static const char *read_registration(const struct context *c, struct ipc_request *q)
{
	json_t *body;
	const char *wrong = fields_parse(c->request, &body);
	if (!wrong)
		wrong = fields_text(body, "label", q->name, IPC_LABEL_MAX + 1, "bad_name");
	if (!wrong)
		wrong = fields_allow(body, q->allow, &q->allow_count);
	if (!wrong)
		wrong = fields_aliases(body, q);
	if (!wrong && credentials_token(c, q))
		wrong = "bad_token";
	json_decref(body);
	return wrong;
}

void own_register(const struct context *c)
{
	struct ipc_request q = {.type = IPC_REGISTER, .client = c->request->client};
	const char *wrong = read_registration(c, &q);
	if (wrong) {
		answer_error(c, wrong);
		goto done;
	}
	struct call *k = settings_call(c, registered);
	if (!k)
		goto done;
	format_default_domains(k, q.aliases, q.alias_count);
	/* Nothing may be wrong any more once the delegate exists: nobody could be told its key again. */
	if (format_needs_domain((enum format)k->format) && !k->domain_count) {
		answer_error(c, "domain_required");
		call_free(k);
	} else if (!format_works_with((enum format)k->format, c->base->server_url)) {
		answer_error(c, "no_url");
		call_free(k);
	} else {
		call_ask(k, &q);
	}
done:
	secure_wipe(&q, sizeof q);
}

void own_openapi(const struct context *c)
{
	http_respond(c->exchange, &(struct http_response){
					  .status = 200,
					  .content_type = "application/json",
					  .body = openapi_document,
					  .body_len = strlen(openapi_document),
					  .body_lasts = true,
				  });
}
