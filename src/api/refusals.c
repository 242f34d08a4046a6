// SPDX-License-Identifier: GPL-3.0-or-later
/* What the outcomes of requests are over HTTP. Codes are for programs, details for people. */
#include <string.h>

#include "api/internal.h"
#include "api/render.h"

static const struct refusal refusals[IPC_STATUSES] = {
	[IPC_OK] = {200, "ok", NULL},
	[IPC_FORBIDDEN] = {401, "forbidden",
		"Send a valid key id and secret (or the operator's token) from an address that is allowed to "
		"use it."},
	[IPC_FOREIGN] = {403, "foreign_name", "Use the key of the delegate that this name is."},
	[IPC_BAD_VALUE] = {400, "bad_value",
		"Send the 43 characters of the base64url SHA-256 digest of the key authorization."},
	[IPC_CLOSED] = {403, "registration_closed", "Ask the operator of this server for a delegate."},
	[IPC_LIMITED] = {429, "rate_limited",
		"Too many registrations: wait for as long as Retry-After says, then try again."},
	[IPC_FAILED] = {500, "store_failed",
		"The server could not store this and nothing was changed: try again, or tell its operator."},
	[IPC_BUSY] = {503, "busy",
		"The server has too much to do: wait for as long as Retry-After says, then try again."},
	[IPC_TOKEN_REQUIRED] = {401, "token_required",
		"Send a registration token, as Authorization: Bearer or X-Registration-Token; its operator "
		"hands them out."},
	[IPC_BAD_TOKEN] = {401, "bad_token",
		"There is no such registration token: check how it was copied, or ask for a new one."},
	[IPC_TOKEN_EXPIRED] = {403, "token_expired",
		"This registration token has expired: ask for a new one."},
	[IPC_TOKEN_SPENT] = {403, "token_spent",
		"This registration token has been used as often as it may be: ask for a new one."},
	[IPC_BAD_NAME] = {400, "bad_name",
		"Choose a label of at most 63 letters, digits, hyphens and underscores that may be given out "
		"here, in a zone of this server, and aliases that are host names."},
	[IPC_NOT_FOUND] = {404, "not_found", "There is no such delegate, key or token: look at the list."},
	[IPC_EXISTS] = {409, "exists",
		"Choose another label: this one is taken, or was, and labels are never given out again."},
	[IPC_TOO_MANY] = {409, "too_many_keys", "Revoke one of the delegate's two keys first."},
	[IPC_LAST_KEY] = {409, "last_key",
		"Add another key first, or repeat this with ?force=true to leave the delegate without a key."},
	[IPC_SHUTS_OUT] = {409, "shuts_out",
		"The allow list does not contain the address this comes from: add it, or send \"force\": "
		"true."},
};

/* The words acme-dns has, or would have. */
static const struct refusal acmedns[IPC_STATUSES] = {
	[IPC_FORBIDDEN] = {401, "forbidden", NULL},
	[IPC_FOREIGN] = {403, "foreign_name", NULL},
	[IPC_BAD_VALUE] = {400, "bad_txt", NULL},
	[IPC_CLOSED] = {404, "registration_closed", NULL}, /* acme-dns has no such route then */
	[IPC_LIMITED] = {429, "rate_limited", NULL},
	[IPC_FAILED] = {500, "db_error", NULL},
	[IPC_BUSY] = {503, "overloaded", NULL},
	[IPC_TOKEN_REQUIRED] = {401, "token_required", NULL},
	[IPC_BAD_TOKEN] = {401, "bad_token", NULL},
	[IPC_TOKEN_EXPIRED] = {403, "token_expired", NULL},
	[IPC_TOKEN_SPENT] = {403, "token_spent", NULL},
	[IPC_BAD_NAME] = {400, "bad_name", NULL},
	[IPC_EXISTS] = {409, "exists", NULL},
};

/* What the api itself refuses, on all paths; acme-dns's are without the detail. */
static const struct refusal own[] = {
	{404, "not_found", "There is no such path: /v1/openapi.json lists them all."},
	{405, "method_not_allowed", "Use one of the methods that Allow names."},
	{403, "https_required", "Use https: a key that travels in clear is a key for everybody on the way."},
	{500, "out_of_memory", "The server has no memory left for this: try again."},
	{503, "store_unavailable", NULL},
	{503, "dns_unavailable", NULL},
	{503, "unhealthy", "Look at the checks that are failing: each says what to do."},
	{400, "malformed_json_payload", NULL},
	{400, "invalid_allowfrom_cidr", NULL},
	{400, "malformed_body", "Send one JSON object, with every key once."},
	{400, "bad_field", "Look at the type, the length and the range of the fields in /v1/openapi.json."},
	{400, "bad_query", "Use the parameters that /v1/openapi.json names, without percent-encoding."},
	{400, "bad_allowfrom",
		"Send at most 32 networks in CIDR notation, such as \"192.0.2.0/24\" or \"2001:db8::/32\"."},
	{400, "bad_alias", "Send at most 8 host names of two labels or more, such as \"www.example.com\"."},
	{400, "bad_domain",
		"Send at most 8 host names, each as domain=www.example.com, without percent-encoding."},
	{400, "domain_required",
		"Say which names the certificate is for, with domain=, or declare them as aliases."},
	{400, "unknown_format",
		"Use one of json, lego, traefik, caddy, certbot, acme.sh, posh-acme, cert-manager, httpreq."},
	{409, "no_url", "The operator must set api.url to a plain https URL before settings can be written."},
	{409, "other_account",
		"This storage is read only and knows only the account of the key in its URL: create the CNAME "
		"and run lego again."},
	{401, "forbidden",
		"Send a valid key id and secret (or the operator's token) from an address that is allowed to "
		"use it."},
};

const struct refusal *refusal_of(enum manner m, enum ipc_status status)
{
	if (status <= IPC_OK || status >= IPC_STATUSES)
		status = IPC_FAILED;
	/* What cannot come to pass on acme-dns's paths counts as a failure of ours. */
	if (m == MANNER_ACMEDNS)
		return &acmedns[acmedns[status].code ? status : IPC_FAILED];
	return &refusals[status];
}

static const struct refusal *find(const struct refusal *table, size_t count, const char *code)
{
	for (size_t i = 0; i < count; i++)
		if (table[i].code && strcmp(table[i].code, code) == 0)
			return &table[i];
	return NULL;
}

const struct refusal *refusal_called(enum manner m, const char *code)
{
	const struct refusal *f = find(own, sizeof own / sizeof *own, code);
	if (!f)
		f = find(m == MANNER_ACMEDNS ? acmedns : refusals, IPC_STATUSES, code);
	return f ? f : refusal_of(m, IPC_FAILED);
}

const char *api_outcome_word(enum ipc_status status)
{
	return status < IPC_STATUSES ? refusals[status].code : "unknown";
}
