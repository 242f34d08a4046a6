// SPDX-License-Identifier: GPL-3.0-or-later
/* What the endpoint files share. One thread. */
#pragma once

#include <jansson.h>
#include <sys/queue.h>

#include "api/api.h"

enum {
	PATH_LEN_MAX = 512, /* of a request: base path, fixed parts, a full name and a key id */
	BASE_PATH_MAX = 255,
	PARAMS_MAX = 2,
	DOMAINS_MAX = 8,
	VALUE_LEN = 43,   /* base64url of a SHA-256 digest, RFC 8555 section 8.4 */
	HEALTH_MS = 3000, /* for the keeper to answer */
	HELD_MAX = 256,
	HELD_PER_NETWORK = 4
};

struct base_path {
	char *path;       /* without trailing slash; "" for the root */
	char *server_url; /* "https://host/base", NULL when the url is not known */
};

struct held;

struct api {
	struct ipc_client *client;
	struct base_path *bases;
	size_t base_count;
	TAILQ_HEAD(held_list, held) held; /* refusals that are held back */
	size_t held_count;
	const char *(*problem)(void *ctx);
	void *problem_ctx;
	TAILQ_HEAD(call_list, call)
	impatient; /* questions with a deadline of their own, the first one first */
};

/* What an outcome is over HTTP. */
struct refusal {
	unsigned status;
	const char
		*code; /* one of ours, never anything a client sent: acme.sh takes a quoted txt for success */
	const char *detail; /* one sentence that says what to do; NULL: there is none (acme-dns) */
};

/* How a path is answered: acme-dns's {"error": "code"}, or that with a detail; by whose rights. */
enum manner { MANNER_ACMEDNS, MANNER_KEY, MANNER_OPERATOR };

/* One request on its way to its endpoint. */
struct context {
	struct api *api;
	struct http_exchange *exchange;
	const struct http_request *request;
	const struct base_path *base;
	const char *params[PARAMS_MAX]; /* what stands in the path where the pattern has "{}" */
	const char *token;              /* from <base>/t/<token>/...; NULL: none */
	enum manner manner;
};

/* ---- routes (routes.c) ---- */

typedef void endpoint(const struct context *c);

enum route_flag {
	ROUTE_PLAIN = 1 /* carries no key, neither way */,
	ROUTE_TOKEN = 2 /* also below /t/<token> */
};

struct route {
	const char *method; /* GET stands for HEAD too */
	const char *path;   /* "{name}" is a parameter */
	endpoint *run;
	enum manner manner;
	unsigned flags;
};

const struct route *api_routes(size_t *count);

/* ---- answers (answer.c) ---- */

void answer_json(struct http_exchange *x, unsigned status, const char *json);
void answer_text(struct http_exchange *x, unsigned status, const char *type, const char *text);
void answer_refusal(struct http_exchange *x, enum manner m, const struct refusal *f, const char *allow,
	unsigned retry_after);
/* By code: one of those in refusals.c. */
void answer_error(const struct context *c, const char *code);
/* Dumps and decrefs; NULL: there was no memory. */
void answer_object(struct http_exchange *x, unsigned status, json_t *object);

/* ---- refusals held back (held.c) ---- */

/* Answers `delay` ms from now, or at once when too many wait. */
void held_refuse(struct api *a, struct http_exchange *x, enum manner m, const struct refusal *f,
	const struct address *client, unsigned retry_after, unsigned delay);

/* ---- asking the keeper (call.c) ---- */

/* A name that a certificate is for: itself, as a wildcard, or both. */
struct domain {
	char name[IPC_NAME_MAX + 1];
	bool plain, wildcard;
};

struct call;
/* Called when the keeper said IPC_OK. */
typedef void call_success(struct call *c, const struct ipc_reply *reply);

/* A question under way. */
struct call {
	struct api *api;
	struct http_exchange *exchange; /* NULL: has been answered */
	const struct base_path *base;
	enum manner manner;
	call_success *success;
	TAILQ_ENTRY(call) impatient;
	int64_t due; /* 0: as long as the keeper is asked at all */
	enum ipc_type type;
	struct address client;
	char key_id[IPC_CREDENTIAL_MAX + 1];
	char secret[IPC_CREDENTIAL_MAX + 1]; /* as presented */
	char *text;                          /* malloc'ed, for the success; may be NULL */
	const struct refusal *bad_value;     /* instead of the usual one; may be NULL */
	unsigned limit;                      /* of a page */
	unsigned format;                     /* of enum format */
	size_t domain_count;
	struct domain *domains; /* DOMAINS_MAX, malloc'ed; may be NULL */
};

/* NULL: no memory, and the request has been answered. */
struct call *call_new(const struct context *c, call_success *success);
void call_free(struct call *c);
/* Asks, and answers when the keeper has replied; what is not IPC_OK is answered there. Takes `c` over and
 * wipes *q. */
void call_ask(struct call *c, struct ipc_request *q);
/* Answers those that have waited long enough. Returns when the next is due. */
int64_t call_lose_patience(struct api *a, int64_t now);
/* The usual: no options. Wipes *q. */
void ask(const struct context *c, struct ipc_request *q, call_success *success);

/* Successes: 200 or 201 with the reply as JSON; of credentials with server_url. */
void success_ok(struct call *c, const struct ipc_reply *reply);
void success_created(struct call *c, const struct ipc_reply *reply);
/* 200 with c->text. */
void success_text(struct call *c, const struct ipc_reply *reply);

/* ---- JSON bodies (body.c) ---- */

/* Any JSON value; an object whose keys differ only by case is refused, for it has no single meaning when keys
 * are compared without case. ERR_INVALID, ERR_NOMEM. The caller decrefs *out. */
int body_parse(const char *body, size_t len, json_t **out) MUST_USE;
/* The member called `name` in any case (goacmedns 0.1 sends "SubDomain"), or NULL. Borrowed. */
json_t *body_member(const json_t *object, const char *name);
/* The text of a member; "" when it is missing or null, as Go decodes it. Borrowed. ERR_INVALID: another type.
 * ERR_RANGE: it holds a NUL, at which *out would end early: not to be used. */
int body_text(const json_t *object, const char *name, const char **out) MUST_USE;

/* ---- bodies of /v1/ (fields.c) ---- */

/* An object, nothing or null. The code of what is wrong, or NULL. The caller decrefs *out, which is NULL for
 * nothing. */
const char *fields_parse(const struct http_request *r, json_t **out) MUST_USE;
/* Members into the request; what is missing or null leaves it alone. The code of what is wrong, or NULL. */
const char *fields_text(const json_t *o, const char *name, char *out, size_t cap, const char *code);
const char *fields_allow(const json_t *o, struct prefix *allow, size_t *count);
const char *fields_aliases(const json_t *o, struct ipc_request *q);
const char *fields_flag(const json_t *o, const char *name, unsigned flag, unsigned *flags);
const char *fields_terms(const json_t *o, struct ipc_terms *t);
/* A host name of two labels or more, as an alias can be; lower-cases in place and takes a final dot and a
 * leading "*." or "_acme-challenge." off. */
bool fields_clean_domain(char *name);

/* What is wrong with a value: a refusal of its own for each mistake. NULL: nothing. */
const struct refusal *fields_value_problem(const char *value);

/* ---- the query (query.c) ---- */

/* Copies the first parameter called `name`. False: there is none. ERR is reported through query_check(). */
bool query_get(const struct http_request *r, const char *name, char *out, size_t cap);
/* Is it made of parameters named in `names` (NULL at the end), each with a value that fits and without
 * characters that would need decoding? */
bool query_check(const struct http_request *r, const char *const *names);
/* ERR_NOTFOUND: not there. ERR_INVALID: not a number, or more than `max`. */
int query_number(const struct http_request *r, const char *name, uint64_t max, uint64_t *out) MUST_USE;
/* "1", "true" or nothing behind the name. */
bool query_flag(const struct http_request *r, const char *name);
/* The next parameter called `name` at *at (start with r->query). False: no more. */
bool query_next(const char **at, const char *name, char *out, size_t cap);

/* ---- who asks (credentials.c) ---- */

/* X-Api-User and X-Api-Key into *q. ERR_FORBIDDEN: missing or not of their form. */
int credentials_from_headers(const struct http_request *r, struct ipc_request *q) MUST_USE;
/* The same pair, or Authorization: Basic when X-Api-User is absent. */
int credentials_from_any(const struct http_request *r, struct ipc_request *q) MUST_USE;
/* The operator's token: Authorization: Bearer, RFC 6750 section 2.1. ERR_FORBIDDEN. */
int credentials_from_bearer(const struct http_request *r, struct ipc_request *q) MUST_USE;
/* A registration token, if there is one: the path's, X-Registration-Token, Bearer or a Basic password.
 * ERR_FORBIDDEN: one that cannot be. */
int credentials_token(const struct context *c, struct ipc_request *q) MUST_USE;
/* The parts, for tests: any spelling of a UUID -> the canonical one; the text behind "Basic". */
int credentials_set_user(struct ipc_request *q, const char *text) MUST_USE;
int credentials_set_basic(struct ipc_request *q, const char *authorization) MUST_USE;

/* ---- JSON of replies (render.c); new objects, NULL: no memory ---- */

json_t *render_reply(const struct ipc_reply *r, unsigned limit);
json_t *render_values(const struct ipc_delegate *d);
json_t *render_keys(const struct ipc_delegate *d);
json_t *render_health(const struct ipc_report *r, size_t *failing);
json_t *render_certificate(const struct ipc_report *r);
json_t *render_process(const void *process);
json_t *render_credentials(const struct ipc_credentials *c);
json_t *render_allow(const struct prefix *allow, size_t count);

/* ---- refusals (refusals.c) ---- */

/* Of the keeper's. IPC_OK is taken for IPC_FAILED: it is no refusal. */
const struct refusal *refusal_of(enum manner m, enum ipc_status status);
/* Of the api's own. */
const struct refusal *refusal_called(enum manner m, const char *code);

/* ---- settings for clients (formats.c) ---- */

enum format {
	FORMAT_JSON,
	FORMAT_LEGO,
	FORMAT_TRAEFIK,
	FORMAT_CADDY,
	FORMAT_CERTBOT,
	FORMAT_ACME_SH,
	FORMAT_POSH_ACME,
	FORMAT_CERT_MANAGER,
	FORMAT_HTTPREQ,
	FORMATS
};

struct format_input {
	const struct ipc_credentials *credentials;
	const char *server_url; /* NULL: not known */
	size_t domain_count;
	const struct domain *domains;
};

/* ERR_NOTFOUND: there is no such format. */
int format_find(const char *name, enum format *out) MUST_USE;
bool format_needs_domain(enum format f);
/* Can this URL stand in it without any quoting? NULL: not known. */
bool format_works_with(enum format f, const char *url);
/* *text is malloc'ed: free and wipe. ERR_INVALID: the url is not known, or cannot be quoted everywhere. */
int format_write(enum format f, const struct format_input *in, char **text, const char **type) MUST_USE;
/* Reads ?format= and ?domain= into the call. The code of what is wrong, or NULL. */
const char *format_read_query(const struct http_request *r, struct call *c);
/* Without ?domain=, the aliases. */
void format_default_domains(struct call *c, const char (*aliases)[IPC_NAME_MAX + 1], size_t count);
/* Answers with them. */
void format_answer(struct call *c, unsigned status, const struct ipc_credentials *k);

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

endpoint acmedns_register, acmedns_update, acmedns_health;
endpoint httpreq_present, httpreq_cleanup;

/* own.c: a key's own delegate */
endpoint own_check, own_show, own_remove, own_allow, own_aliases;
endpoint own_values, own_put_value, own_clear, own_withdraw;
endpoint own_keys, own_key_add, own_key_rotate, own_key_revoke;
endpoint own_credentials, own_register, own_openapi;
/* storage.c: lego's HTTP storage */
endpoint storage_get, storage_put, storage_all;
/* health.c */
endpoint operator_health;
/* operator.c */
endpoint operator_status, operator_events;
endpoint operator_delegates, operator_delegate_add, operator_delegate, operator_remove;
endpoint operator_allow, operator_aliases, operator_clear;
endpoint operator_key_add, operator_key_rotate, operator_key_revoke;
endpoint operator_tokens, operator_token_add, operator_token_revoke;

/* Shared by own.c and operator.c: about one delegate, whose name is in *q already where it must be. */
void ask_about(const struct context *c, struct ipc_request *q, enum ipc_type type, call_success *success);
void ask_set_allow(const struct context *c, struct ipc_request *q);
void ask_set_aliases(const struct context *c, struct ipc_request *q);
void ask_rotate(const struct context *c, struct ipc_request *q, const char *key_id);
void ask_revoke(const struct context *c, struct ipc_request *q, const char *key_id);

/* The OpenAPI document (made by scripts/embed). */
extern const char openapi_document[];
