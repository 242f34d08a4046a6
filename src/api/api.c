// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

enum { PATH_LEN_MAX = 255 };

/* ---- answers ---- */

static void answer(
	struct http_exchange *x, unsigned status, const char *json, const char *allow, unsigned retry_after)
{
	http_respond(x, &(struct http_response){
				.status = status,
				.content_type = "application/json",
				.body = json,
				.body_len = strlen(json),
				.allow = allow,
				.retry_after = retry_after,
			});
}

static void refuse(
	struct http_exchange *x, unsigned status, const char *word, const char *allow, unsigned retry_after)
{
	char json[96];
	if (text_format(json, sizeof json, "{\"error\": \"%s\"}", word))
		json[0] = 0;
	answer(x, status, json, allow, retry_after);
}

void api_answer(struct http_exchange *x, unsigned status, const char *json)
{
	answer(x, status, json, NULL, 0);
}

void api_refuse(struct http_exchange *x, unsigned status, const char *word)
{
	refuse(x, status, word, NULL, 0);
}

void api_echo(struct http_exchange *x, const struct ipc_reply *reply, const char *text)
{
	(void)reply;
	api_answer(x, 200, text);
}

/* ---- the keeper ---- */

struct call {
	struct http_exchange *exchange;
	api_success *success;
	char *text;
	enum ipc_type type;
	struct address client;
	char key_id[IPC_CREDENTIAL_MAX + 1];
};

static const struct {
	unsigned status;
	const char *word;
} refusals[IPC_STATUSES] = {
	[IPC_FORBIDDEN] = {401, "forbidden"},
	[IPC_FOREIGN] = {403, "foreign_name"},
	[IPC_BAD_VALUE] = {400, "bad_txt"},
	[IPC_CLOSED] = {404, "registration_closed"}, /* acme-dns has no such route then */
	[IPC_LIMITED] = {429, "rate_limited"},
	[IPC_FAILED] = {500, "db_error"},
};

static const char *type_name(enum ipc_type type)
{
	static const char *const names[] = {
		[IPC_HELLO] = "hello",
		[IPC_REGISTER] = "register",
		[IPC_UPDATE] = "update",
		[IPC_PRESENT] = "present",
		[IPC_CLEANUP] = "cleanup",
		[IPC_HEALTH] = "health",
	};
	return names[type];
}

/* win-acme never looks at the status of an update: only the log tells why its order fails. */
static void log_refusal(const struct call *c, const char *word)
{
	char client[ADDRESS_TEXT];
	address_format(&c->client, client);
	log_info("api", "%s refused: %s (client %s, key id %s)", type_name(c->type), word, client,
		*c->key_id ? c->key_id : "-");
}

/* No answer means that nobody knows whether the change was made: to the client, the same as a failed store.
 */
static void refuse_call(const struct call *c, const struct ipc_reply *reply)
{
	enum ipc_status status = reply ? reply->status : IPC_FAILED;
	if (status == IPC_OK || status >= IPC_STATUSES)
		status = IPC_FAILED;
	log_refusal(c, refusals[status].word);
	if (c->type == IPC_HEALTH)
		api_refuse(c->exchange, 503, "store_unavailable");
	else
		refuse(c->exchange, refusals[status].status, refusals[status].word, NULL,
			status == IPC_LIMITED ? reply->retry_after : 0);
}

static void call_free(struct call *c)
{
	free(c->text);
	free(c);
}

static void keeper_replied(void *ctx, const struct ipc_reply *reply)
{
	struct call *c = ctx;
	if (reply && reply->status == IPC_OK && reply->type == c->type)
		c->success(c->exchange, reply, c->text);
	else
		refuse_call(c, reply);
	call_free(c);
}

void api_ask(struct api *a, struct http_exchange *x, struct ipc_request *q, api_success *success, char *text)
{
	int r = ERR_NOMEM;
	struct call *c = malloc(sizeof *c);
	if (c) {
		*c = (struct call){x, success, text, q->type, q->client, ""};
		memcpy(c->key_id, q->key_id, sizeof c->key_id);
		r = ipc_client_ask(a->client, q, clock_mono_ms(), keeper_replied, c);
	}
	secure_wipe(q, sizeof *q);
	if (r == OK)
		return;
	free(text);
	free(c);
	if (r == ERR_LIMIT)
		refuse(x, 503, "overloaded", NULL, 1);
	else
		api_refuse(x, 500, "db_error");
}

/* ---- routes ---- */

typedef void endpoint(
	struct api *a, struct http_exchange *x, const struct http_request *r, const struct base_path *b);

static const struct route {
	const char *path;
	const char *methods; /* as in Allow */
	endpoint *run;
	bool carries_key; /* in the request or in the answer */
} routes[] = {
	{"/register", "POST", acmedns_register, true},
	{"/update", "POST", acmedns_update, true},
	{"/health", "GET, HEAD", acmedns_health, false},
	{"/present", "POST", httpreq_present, true},
	{"/cleanup", "POST", httpreq_cleanup, true},
};

/* Repeated slashes become one and a final one goes: clients join "<base>/" and "/update". */
static int MUST_USE clean_path(const char *path, char out[static PATH_LEN_MAX + 1])
{
	size_t n = 0;
	for (; *path; path++) {
		if (*path == '/' && (path[1] == '/' || !path[1]))
			continue;
		if (n == PATH_LEN_MAX)
			return ERR_RANGE;
		out[n++] = *path;
	}
	out[n] = 0;
	return OK;
}

static const struct route *find_below(const char *path)
{
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		if (strcmp(path, routes[i].path) == 0)
			return &routes[i];
	return NULL;
}

static const struct route *find_route(const struct api *a, const char *path, const struct base_path **base)
{
	for (size_t i = 0; i < a->base_count; i++) {
		size_t len = strlen(a->bases[i].path);
		const struct route *found =
			strncmp(path, a->bases[i].path, len) == 0 ? find_below(path + len) : NULL;
		if (found) {
			*base = &a->bases[i];
			return found;
		}
	}
	return NULL;
}

/* Is the method one of "GET, HEAD"? Methods are case-sensitive: RFC 9110 section 9.1. */
static bool is_allowed(const char *methods, const char *method)
{
	size_t len = strlen(method);
	for (const char *at = methods; *at; at += strspn(at, ", ")) {
		size_t n = strcspn(at, ",");
		if (n == len && memcmp(at, method, len) == 0)
			return true;
		at += n;
	}
	return false;
}

void api_handle(void *ctx, struct http_exchange *x, const struct http_request *r)
{
	struct api *a = ctx;
	char path[PATH_LEN_MAX + 1];
	const struct base_path *base = NULL;
	const struct route *route = clean_path(r->path, path) ? NULL : find_route(a, path, &base);
	if (!route)
		api_refuse(x, 404, "not_found");
	else if (!is_allowed(route->methods, r->method))
		refuse(x, 405, "method_not_allowed", route->methods, 0);
	else if (route->carries_key && !r->secure)
		api_refuse(x, 403, "https_required");
	else
		route->run(a, x, r, base);
}

/* ---- start and end ---- */

static int MUST_USE set_base(struct base_path *b, const char *path, const char *url)
{
	char clean[PATH_LEN_MAX + 1];
	if (clean_path(path, clean))
		return ERR_RANGE;
	b->path = strdup(clean);
	if (!b->path || (url && asprintf(&b->server_url, "%s%s", url, clean) < 0)) {
		b->server_url = NULL;
		return ERR_NOMEM;
	}
	return OK;
}

int api_new(const struct api_settings *s, struct ipc_client *client, struct api **out)
{
	struct api *a = calloc(1, sizeof *a);
	int r = ERR_NOMEM;
	*out = NULL;
	if (!a)
		return r;
	a->client = client;
	a->bases = calloc(s->base_path_count + 1, sizeof *a->bases);
	if (!a->bases)
		goto fail;
	for (; a->base_count < s->base_path_count; a->base_count++) {
		r = set_base(&a->bases[a->base_count], s->base_paths[a->base_count], s->url);
		if (r)
			goto fail_base;
	}
	*out = a;
	return OK;
fail_base:
	a->base_count++; /* so that the half-made one is freed too */
fail:
	api_free(&a);
	return r;
}

void api_free(struct api **api)
{
	struct api *a = *api;
	if (!a)
		return;
	for (size_t i = 0; i < a->base_count; i++) {
		free(a->bases[i].path);
		free(a->bases[i].server_url);
	}
	free(a->bases);
	free(a);
	*api = NULL;
}
