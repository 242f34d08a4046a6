// SPDX-License-Identifier: GPL-3.0-or-later
/* /present and /cleanup for lego's httpreq provider, in both of its modes, and for acmeproxy clients
 * (acme.sh, Caddy). lego ignores the answer's body; acme.sh looks for "<value>" in it; Caddy wants exactly
 * the texts it sent. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "util/secure.h"
#include "util/text.h"

/* A name of 253 characters may be written with a final dot. */
static int MUST_USE set_name(struct ipc_request *q, const char *fqdn)
{
	size_t len = strlen(fqdn);
	if (len == IPC_NAME_MAX + 1 && fqdn[len - 1] == '.')
		len--;
	if (len > IPC_NAME_MAX)
		return ERR_INVALID;
	memcpy(q->name, fqdn, len);
	q->name[len] = 0;
	return OK;
}

/* What is too long is no value; the keeper says so after it has looked at the key. */
static void set_value(struct ipc_request *q, const char *value)
{
	if (text_format(q->value, sizeof q->value, "%s", value))
		q->value[0] = 0;
}

static int MUST_USE dump(json_t *object, char **text)
{
	*text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return *text ? OK : ERR_NOMEM;
}

static int MUST_USE read_default(const json_t *body, struct ipc_request *q, char **text)
{
	const char *fqdn, *value;
	if (body_text(body, "fqdn", &fqdn) || body_text(body, "value", &value) || !*fqdn || set_name(q, fqdn))
		return ERR_INVALID;
	set_value(q, value);
	return dump(json_pack("{s:s,s:s}", "fqdn", fqdn, "value", value), text);
}

/* HTTPREQ_MODE=RAW: the digest of RFC 8555 section 8.4 is ours to compute. The domain is the user's own name,
 * which says nothing about the delegate; the key does. */
static int MUST_USE read_raw(const json_t *body, struct ipc_request *q, char **text)
{
	const char *domain, *token, *key_auth;
	uint8_t digest[SECURE_DIGEST_SIZE];
	if (body_text(body, "domain", &domain) || body_text(body, "token", &token) ||
		body_text(body, "keyAuth", &key_auth) || !*domain || !*key_auth)
		return ERR_INVALID;
	if (secure_sha256(key_auth, strlen(key_auth), digest))
		return ERR_SYSTEM;
	text_base64url(digest, sizeof digest, q->value);
	return dump(json_pack("{s:s,s:s}", "domain", domain, "value", q->value), text);
}

int httpreq_read(const char *body, size_t len, struct ipc_request *q, char **text)
{
	json_t *object;
	*text = NULL;
	int r = body_parse(body, len, &object);
	if (r == OK && !json_is_object(object))
		r = ERR_INVALID;
	if (r == OK)
		r = body_member(object, "fqdn") ? read_default(object, q, text) : read_raw(object, q, text);
	json_decref(object);
	return r;
}

static void change_ask(const struct context *c, struct ipc_request *q, char *text)
{
	struct call *k = call_new(c, success_text);
	if (!k) {
		free(text);
		return;
	}
	k->text = text;
	call_ask(k, q);
}

static void change(const struct context *c, enum ipc_type type)
{
	const struct http_request *r = c->request;
	struct ipc_request q = {.type = type, .client = r->client};
	char *text;
	if (credentials_from_any(r, &q)) {
		answer_error(c, "forbidden");
		goto done;
	}
	switch (httpreq_read(r->body, r->body_len, &q, &text)) {
	case OK:
		change_ask(c, &q, text);
		break;
	case ERR_INVALID:
		answer_error(c, "malformed_json_payload");
		break;
	default:
		answer_error(c, "out_of_memory");
	}
done:
	secure_wipe(&q, sizeof q);
}

void httpreq_present(const struct context *c)
{
	change(c, IPC_PRESENT);
}

void httpreq_cleanup(const struct context *c)
{
	change(c, IPC_CLEANUP);
}
