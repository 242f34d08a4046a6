// SPDX-License-Identifier: GPL-3.0-or-later
/* What the endpoint files share. One thread. */
#pragma once

#include <jansson.h>

#include "api/api.h"

struct base_path {
	char *path;       /* without trailing slash; "" for the root */
	char *server_url; /* "https://host/base", NULL when the url is not known */
};

struct api {
	struct ipc_client *client;
	struct base_path *bases;
	size_t base_count;
};

/* ---- answers (api.c) ---- */

void api_answer(struct http_exchange *x, unsigned status, const char *json);
/* {"error": "<word>"}; `word` is one of ours, never anything a client sent: acme.sh takes a quoted txt for
 * success. */
void api_refuse(struct http_exchange *x, unsigned status, const char *word);

/* Called when the keeper said IPC_OK. `text` is what was given to api_ask(). */
typedef void api_success(struct http_exchange *x, const struct ipc_reply *reply, const char *text);

/* Asks the keeper and answers when it has replied; what is not IPC_OK is answered here. Takes over `text`
 * (malloc'ed, may be NULL) and wipes *q. */
void api_ask(struct api *a, struct http_exchange *x, struct ipc_request *q, api_success *success, char *text);

/* Answers 200 with `text`. */
void api_echo(struct http_exchange *x, const struct ipc_reply *reply, const char *text);

/* ---- JSON bodies (body.c) ---- */

/* Any JSON value; an object whose keys differ only by case is refused, for it has no single meaning when keys
 * are compared without case. ERR_INVALID, ERR_NOMEM. The caller decrefs *out. */
int body_parse(const char *body, size_t len, json_t **out) MUST_USE;
/* The member called `name` in any case (goacmedns 0.1 sends "SubDomain"), or NULL. Borrowed. */
json_t *body_member(const json_t *object, const char *name);
/* The text of a member; "" when it is missing or null, as Go decodes it. Borrowed. ERR_INVALID: another type.
 * ERR_RANGE: it holds a NUL, at which *out would end early: not to be used. */
int body_text(const json_t *object, const char *name, const char **out) MUST_USE;

/* ---- who asks (credentials.c) ---- */

/* X-Api-User and X-Api-Key into *q. ERR_FORBIDDEN: missing or not of their form. */
int credentials_from_headers(const struct http_request *r, struct ipc_request *q) MUST_USE;
/* The same pair, or Authorization: Basic when X-Api-User is absent. */
int credentials_from_any(const struct http_request *r, struct ipc_request *q) MUST_USE;
/* The parts, for tests: any spelling of a UUID -> the canonical one; the text behind "Basic". */
int credentials_set_user(struct ipc_request *q, const char *text) MUST_USE;
int credentials_set_basic(struct ipc_request *q, const char *authorization) MUST_USE;

/* ---- JSON of replies (render.c); new objects, NULL: no memory ---- */

json_t *render_reply(const struct ipc_reply *r, unsigned limit);
json_t *render_values(const struct ipc_delegate *d);
json_t *render_keys(const struct ipc_delegate *d);

/* ---- refusals (refusals.c) ---- */

/* What an outcome is over HTTP. */
struct refusal {
	unsigned status;
	const char *code;
	const char *detail; /* one sentence that says what to do; NULL: there is none (acme-dns) */
};

/* Of the keeper's. IPC_OK is taken for IPC_FAILED: it is no refusal. */
const struct refusal *refusal_of(enum ipc_status status);         /* on /v1/ */
const struct refusal *refusal_of_acmedns(enum ipc_status status); /* the codes its clients know */

/* ---- endpoint families ---- */

/* Reads bodies only. *text is malloc'ed. */
/* ERR_INVALID: not what /register takes. ERR_RANGE: an entry is not a CIDR, or too many. *text: the entries
 * as JSON. */
int acmedns_read_register(const char *body, size_t len, struct ipc_request *q, char **text) MUST_USE;
/* ERR_INVALID: malformed. *text: the answer on success. A txt that is no value is sent as "", which never is
 * one, so that the keeper judges the key first. */
int acmedns_read_update(const char *body, size_t len, struct ipc_request *q, char **text) MUST_USE;
/* ERR_INVALID: neither {"fqdn","value"} nor {"domain","token","keyAuth"}. *text: the answer on success. */
int httpreq_read(const char *body, size_t len, struct ipc_request *q, char **text) MUST_USE;

void acmedns_register(
	struct api *a, struct http_exchange *x, const struct http_request *r, const struct base_path *b);
void acmedns_update(
	struct api *a, struct http_exchange *x, const struct http_request *r, const struct base_path *b);
void acmedns_health(
	struct api *a, struct http_exchange *x, const struct http_request *r, const struct base_path *b);
void httpreq_present(
	struct api *a, struct http_exchange *x, const struct http_request *r, const struct base_path *b);
void httpreq_cleanup(
	struct api *a, struct http_exchange *x, const struct http_request *r, const struct base_path *b);
