// SPDX-License-Identifier: GPL-3.0-or-later
/* lego's HTTP storage of acme-dns accounts (ACME_DNS_STORAGE_BASE_URL): lego then needs no file. The key in
 * the base URL, which Go sends as Basic, is the account; we store nothing. */
#include <string.h>
#include <strings.h>

#include "api/internal.h"
#include "util/secure.h"
#include "util/text.h"

static json_t *account(const struct call *c, const struct ipc_delegate *d)
{
	char name[IPC_LABEL_MAX + 1 + IPC_NAME_MAX + 1];
	if (text_format(name, sizeof name, "%s.%s", d->label, d->zone))
		return NULL;
	return json_pack("{s:s,s:s,s:s,s:s,s:s*}", "fulldomain", name, "subdomain", d->label, "username",
		c->key_id, "password", c->secret, "server_url", c->base->server_url);
}

static void one(struct call *c, const struct ipc_reply *reply)
{
	answer_object(c->exchange, 200, account(c, &reply->delegate));
}

static void all(struct call *c, const struct ipc_reply *reply)
{
	const struct ipc_delegate *d = &reply->delegate;
	json_t *map = json_object();
	for (size_t i = 0; map && i < d->alias_count; i++) {
		if (json_object_set_new(map, d->aliases[i], account(c, d)) == 0)
			continue;
		json_decref(map);
		map = NULL;
	}
	answer_object(c->exchange, 200, map);
}

/* lego asks GET first, so it only comes here with an account of its own making: that would be another
 * delegate. To 200 it says which CNAME to create and stops. */
static void compare(struct call *c, const struct ipc_reply *reply)
{
	if (c->text && strcmp(c->text, reply->delegate.label) == 0)
		answer_object(c->exchange, 200, json_pack("{s:s}", "status", "ok"));
	else
		answer_refusal(c->exchange, c->manner, refusal_called(c->manner, "other_account"), NULL, 0);
}

/* False: answered. */
static bool identify(const struct context *c, struct ipc_request *q)
{
	*q = (struct ipc_request){.type = IPC_DELEGATE_SHOW, .client = c->request->client};
	if (credentials_from_any(c->request, q) == OK)
		return true;
	answer_error(c, "forbidden");
	return false;
}

void storage_get(const struct context *c)
{
	struct ipc_request q;
	if (identify(c, &q))
		ask(c, &q, one);
	secure_wipe(&q, sizeof q);
}

void storage_all(const struct context *c)
{
	struct ipc_request q;
	if (identify(c, &q))
		ask(c, &q, all);
	secure_wipe(&q, sizeof q);
}

void storage_put(const struct context *c)
{
	struct ipc_request q;
	json_t *body = NULL;
	const char *subdomain = "";
	if (!identify(c, &q))
		return;
	struct call *k = NULL;
	const char *wrong = fields_parse(c->request, &body);
	if (!wrong && (!body || body_text(body, "subdomain", &subdomain)))
		wrong = "malformed_body";
	if (wrong)
		answer_error(c, wrong);
	else
		k = call_new(c, compare);
	if (k) {
		k->text = strdup(subdomain); /* NULL is another account */
		call_ask(k, &q);
	}
	json_decref(body);
	secure_wipe(&q, sizeof q);
}
