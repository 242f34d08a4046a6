// SPDX-License-Identifier: GPL-3.0-or-later
/* /v1/admin/: what the command line can do, by the operator's token. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "util/secure.h"
#include "util/text.h"

/* False: answered. */
static bool identify(const struct context *c, struct ipc_request *q)
{
	*q = (struct ipc_request){.client = c->request->client};
	if (credentials_from_bearer(c->request, q) == OK)
		return true;
	answer_error(c, "forbidden");
	return false;
}

/* The same for what is about the delegate in the path. */
static bool identify_with_name(const struct context *c, struct ipc_request *q)
{
	if (!identify(c, q))
		return false;
	if (text_format(q->name, sizeof q->name, "%s", c->params[0]) == OK)
		return true;
	answer_refusal(c->exchange, c->manner, refusal_of(c->manner, IPC_NOT_FOUND), NULL, 0);
	return false;
}

static void simple(const struct context *c, enum ipc_type type, call_success *success)
{
	struct ipc_request q;
	if (identify_with_name(c, &q))
		ask_about(c, &q, type, success);
	secure_wipe(&q, sizeof q);
}

void operator_status(const struct context *c)
{
	struct ipc_request q;
	if (identify(c, &q))
		ask_about(c, &q, IPC_STATUS, success_ok);
	secure_wipe(&q, sizeof q);
}

/* ---- lists ---- */

/* "limit", at most what a page of that kind holds. */
static const char *read_limit(const struct context *c, struct ipc_request *q, unsigned most)
{
	uint64_t limit = 0;
	if (query_number(c->request, "limit", UINT16_MAX, &limit) == ERR_INVALID)
		return "bad_query";
	q->limit = (uint16_t)(limit > most ? most : limit);
	return NULL;
}

static void ask_list(const struct context *c, struct ipc_request *q, enum ipc_type type)
{
	struct call *k = call_new(c, success_ok);
	if (!k)
		return;
	q->type = type;
	k->limit = q->limit;
	call_ask(k, q);
}

static void list(const struct context *c, struct ipc_request *q, enum ipc_type type, unsigned most,
	char *after, size_t cap)
{
	static const char *const names[] = {"after", "limit", NULL};
	const char *wrong = query_check(c->request, names) ? NULL : "bad_query";
	if (!wrong)
		wrong = read_limit(c, q, most);
	if (!wrong)
		(void)query_get(c->request, "after", after, cap);
	if (wrong)
		answer_error(c, wrong);
	else
		ask_list(c, q, type);
}

void operator_delegates(const struct context *c)
{
	struct ipc_request q;
	if (identify(c, &q))
		list(c, &q, IPC_DELEGATE_LIST, IPC_PAGE_MAX, q.name, sizeof q.name);
	secure_wipe(&q, sizeof q);
}

void operator_tokens(const struct context *c)
{
	struct ipc_request q;
	if (identify(c, &q))
		list(c, &q, IPC_TOKEN_LIST, IPC_TOKENS_MAX, q.target, sizeof q.target);
	secure_wipe(&q, sizeof q);
}

static const char *read_events(const struct context *c, struct ipc_request *q)
{
	static const char *const names[] = {"after", "limit", "name", "wait", "newest", NULL};
	if (!query_check(c->request, names) ||
		query_number(c->request, "after", INT64_MAX, &q->after) == ERR_INVALID)
		return "bad_query";
	(void)query_get(c->request, "name", q->name, sizeof q->name);
	if (query_flag(c->request, "wait"))
		q->flags |= IPC_FLAG_WAIT;
	if (query_flag(c->request, "newest"))
		q->flags |= IPC_FLAG_NEWEST;
	return read_limit(c, q, IPC_PAGE_MAX);
}

void operator_events(const struct context *c)
{
	struct ipc_request q;
	if (!identify(c, &q))
		return;
	const char *wrong = read_events(c, &q);
	if (wrong)
		answer_error(c, wrong);
	else
		ask_list(c, &q, IPC_EVENTS);
	secure_wipe(&q, sizeof q);
}

/* ---- delegates ---- */

static const char *read_delegate(const struct context *c, struct ipc_request *q)
{
	json_t *body;
	const char *wrong = fields_parse(c->request, &body);
	if (!wrong)
		wrong = fields_text(body, "label", q->name, IPC_LABEL_MAX + 1, "bad_name");
	if (!wrong)
		wrong = fields_text(body, "zone", q->zone, sizeof q->zone, "bad_name");
	if (!wrong)
		wrong = fields_allow(body, q->allow, &q->allow_count);
	if (!wrong)
		wrong = fields_aliases(body, q);
	json_decref(body);
	return wrong;
}

void operator_delegate_add(const struct context *c)
{
	struct ipc_request q;
	if (!identify(c, &q))
		return;
	const char *wrong = read_delegate(c, &q);
	if (wrong)
		answer_error(c, wrong);
	else
		ask_about(c, &q, IPC_DELEGATE_ADD, success_created);
	secure_wipe(&q, sizeof q);
}

void operator_delegate(const struct context *c)
{
	simple(c, IPC_DELEGATE_SHOW, success_ok);
}

void operator_remove(const struct context *c)
{
	simple(c, IPC_DELEGATE_REMOVE, success_ok);
}

void operator_clear(const struct context *c)
{
	simple(c, IPC_VALUES_CLEAR, success_ok);
}

void operator_key_add(const struct context *c)
{
	simple(c, IPC_KEY_ADD, success_created);
}

void operator_allow(const struct context *c)
{
	struct ipc_request q;
	if (identify_with_name(c, &q))
		ask_set_allow(c, &q);
	secure_wipe(&q, sizeof q);
}

void operator_aliases(const struct context *c)
{
	struct ipc_request q;
	if (identify_with_name(c, &q))
		ask_set_aliases(c, &q);
	secure_wipe(&q, sizeof q);
}

void operator_key_rotate(const struct context *c)
{
	struct ipc_request q;
	if (identify_with_name(c, &q))
		ask_rotate(c, &q, c->params[1]);
	secure_wipe(&q, sizeof q);
}

void operator_key_revoke(const struct context *c)
{
	struct ipc_request q;
	if (identify_with_name(c, &q))
		ask_revoke(c, &q, c->params[1]);
	secure_wipe(&q, sizeof q);
}

/* ---- tokens ---- */

void operator_token_add(const struct context *c)
{
	struct ipc_request q;
	json_t *body;
	if (!identify(c, &q))
		return;
	const char *wrong = fields_parse(c->request, &body);
	if (!wrong)
		wrong = fields_terms(body, &q.terms);
	json_decref(body);
	if (wrong)
		answer_error(c, wrong);
	else
		ask_about(c, &q, IPC_TOKEN_ADD, success_created);
	secure_wipe(&q, sizeof q);
}

void operator_token_revoke(const struct context *c)
{
	struct ipc_request q;
	if (!identify(c, &q))
		return;
	if (text_format(q.target, sizeof q.target, "%s", c->params[0]))
		answer_refusal(c->exchange, c->manner, refusal_of(c->manner, IPC_NOT_FOUND), NULL, 0);
	else
		ask_about(c, &q, IPC_TOKEN_REVOKE, success_ok);
	secure_wipe(&q, sizeof q);
}
