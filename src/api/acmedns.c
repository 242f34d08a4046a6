// SPDX-License-Identifier: GPL-3.0-or-later
/* The acme-dns API: /register, /update, /health. Its clients parse the answers with sed and grep, so every
 * byte of a successful answer is as acme-dns sends it. What it answers as text/plain is JSON here: some
 * clients parse the body of an error too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "util/secure.h"
#include "util/text.h"

/* ---- register ---- */

/* lego splits ACME_DNS_ALLOWLIST at commas without trimming. */
static const char *trimmed(const char *s, size_t *len)
{
	static const char blanks[] = " \t\r\n";
	s += strspn(s, blanks);
	*len = strlen(s);
	while (*len && strchr(blanks, s[*len - 1]))
		(*len)--;
	return s;
}

/* acme-dns echoes an entry as it was sent, host bits kept, but without the brackets of an IPv6 address. */
static json_t *without_brackets(const char *s, size_t len)
{
	char text[ADDRESS_TEXT + 8];
	size_t n = 0;
	for (size_t i = 0; i < len && n < sizeof text; i++)
		if (s[i] != '[' && s[i] != ']')
			text[n++] = s[i];
	return json_stringn(text, n);
}

/* ERR_INVALID: not a text. ERR_RANGE: not a CIDR, or one too many. */
static int MUST_USE read_entry(const json_t *entry, struct ipc_request *q, json_t *echo)
{
	size_t len;
	if (!json_is_string(entry))
		return ERR_INVALID;
	const char *s = trimmed(json_string_value(entry), &len);
	if (strlen(json_string_value(entry)) != json_string_length(entry))
		return ERR_RANGE;
	if (q->allow_count == IPC_ALLOW_MAX || prefix_parse(s, len, &q->allow[q->allow_count]))
		return ERR_RANGE;
	q->allow_count++;
	return json_array_append_new(echo, without_brackets(s, len)) ? ERR_NOMEM : OK;
}

static int MUST_USE read_allow_list(const json_t *list, struct ipc_request *q, json_t *echo)
{
	size_t i;
	json_t *entry;
	if (!list || json_is_null(list))
		return OK;
	if (!json_is_array(list))
		return ERR_INVALID;
	json_array_foreach(list, i, entry)
	{
		int r = read_entry(entry, q, echo);
		if (r)
			return r;
	}
	return OK;
}

/* Nothing, null and an object: goacmedns 0.2 sends the four letters "null" when there is no allow list. */
static int MUST_USE read_options(const char *body, size_t len, struct ipc_request *q, json_t *echo)
{
	json_t *options = NULL;
	if (!len)
		return OK;
	int r = body_parse(body, len, &options);
	if (r == OK && json_is_object(options))
		r = read_allow_list(body_member(options, "allowfrom"), q, echo);
	else if (r == OK && !json_is_null(options))
		r = ERR_INVALID;
	json_decref(options);
	return r;
}

int acmedns_read_register(const char *body, size_t len, struct ipc_request *q, char **text)
{
	json_t *echo = json_array();
	*text = NULL;
	if (!echo)
		return ERR_NOMEM;
	int r = read_options(body, len, q, echo);
	if (r == OK) {
		*text = json_dumps(echo, JSON_COMPACT);
		r = *text ? OK : ERR_NOMEM;
	}
	json_decref(echo);
	return r;
}

/* A JSON text, malloc'ed; NULL: no memory. */
static char *quoted(json_t *value)
{
	char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	json_decref(value);
	return text;
}

/* server_url lets Caddy use the answer as its credentials file as it is. Last, because acme.sh's greedy sed
 * takes the last occurrence of a key name. */
static char *register_line(const struct ipc_credentials *c, const char *allow, const char *server_url)
{
	char *url = server_url ? quoted(json_string(server_url)) : NULL, *line = NULL;
	if (asprintf(&line,
		    "{\"username\":\"%s\",\"password\":\"%s\",\"fulldomain\":\"%s.%s\",\"subdomain\":\"%s\","
		    "\"allowfrom\":%s%s%s}",
		    c->key_id, c->secret, c->label, c->zone, c->label, allow, url ? ",\"server_url\":" : "",
		    url ? url : "") < 0)
		line = NULL;
	free(url);
	return line;
}

/* The allow list as it was sent, as acme-dns has it; with a token, which may bring one of its own, as it is.
 */
static void registered(struct call *c, const struct ipc_reply *reply)
{
	const struct ipc_credentials *k = &reply->credentials;
	char *actual = c->text ? NULL : quoted(render_allow(k->allow, k->allow_count));
	const char *allow = c->text ? c->text : actual;
	char *line = allow ? register_line(k, allow, c->base->server_url) : NULL;
	if (line) {
		answer_json(c->exchange, 201, line);
		secure_wipe(line, strlen(line));
	} else {
		answer_refusal(c->exchange, c->manner, refusal_called(c->manner, "out_of_memory"), NULL, 0);
	}
	free(line);
	free(actual);
}

static void register_ask(const struct context *c, struct ipc_request *q, char *text)
{
	struct call *k = call_new(c, registered);
	if (!k || *q->secret) {
		free(text);
		text = NULL;
	}
	if (!k)
		return;
	k->text = text;
	call_ask(k, q);
}

void acmedns_register(const struct context *c)
{
	const struct http_request *r = c->request;
	struct ipc_request q = {.type = IPC_REGISTER, .client = r->client};
	char *text;
	if (credentials_token(c, &q)) {
		answer_error(c, "bad_token");
		return;
	}
	switch (acmedns_read_register(r->body, r->body_len, &q, &text)) {
	case OK:
		register_ask(c, &q, text);
		break;
	case ERR_RANGE:
		answer_error(c, "invalid_allowfrom_cidr");
		break;
	case ERR_NOMEM:
		answer_error(c, "out_of_memory");
		break;
	default:
		answer_error(c, "malformed_json_payload");
	}
	secure_wipe(&q, sizeof q);
}

/* ---- update ---- */

static int MUST_USE set_update(const json_t *object, struct ipc_request *q, char **text)
{
	const char *subdomain, *txt;
	if (!json_is_object(object) || body_text(object, "subdomain", &subdomain))
		return ERR_INVALID;
	int r = body_text(object, "txt", &txt);
	if (r == ERR_RANGE)
		txt = ""; /* well-formed JSON, but no value: bad_txt, once the key is known to be good */
	else if (r)
		return r;
	if (text_format(q->name, sizeof q->name, "%s", subdomain))
		return ERR_INVALID; /* longer than any label: cannot be this key's */
	if (strlen(txt) == VALUE_LEN && text_is_base64url(txt, VALUE_LEN))
		memcpy(q->value, txt, VALUE_LEN + 1);
	return asprintf(text, "{\"txt\": \"%s\"}", q->value) < 0 ? ERR_NOMEM : OK;
}

int acmedns_read_update(const char *body, size_t len, struct ipc_request *q, char **text)
{
	json_t *object;
	*text = NULL;
	int r = body_parse(body, len, &object);
	if (r == OK)
		r = set_update(object, q, text);
	json_decref(object);
	return r;
}

/* acme-dns answers 401 to whatever keeps it from knowing who asks for what, malformed JSON included. */
void acmedns_update(const struct context *c)
{
	const struct http_request *r = c->request;
	struct ipc_request q = {.type = IPC_UPDATE, .client = r->client};
	char *text = NULL;
	struct call *k;
	int rc = credentials_from_headers(r, &q);
	rc = rc ? rc : acmedns_read_update(r->body, r->body_len, &q, &text);
	if (rc) {
		answer_error(c, rc == ERR_NOMEM ? "db_error" : "forbidden");
	} else if ((k = call_new(c, success_text)) != NULL) {
		k->text = text;
		call_ask(k, &q);
	} else {
		free(text);
	}
	secure_wipe(&q, sizeof q);
}

/* ---- health ---- */

static void healthy(struct call *c, const struct ipc_reply *reply)
{
	(void)reply;
	http_respond(c->exchange, &(struct http_response){.status = 200, .body = ""});
}

void acmedns_health(const struct context *c)
{
	struct ipc_request q = {.type = IPC_HEALTH, .client = c->request->client};
	const char *problem = c->api->problem ? c->api->problem(c->api->problem_ctx) : NULL;
	if (problem)
		answer_error(c, problem);
	else
		ask(c, &q, healthy);
}
