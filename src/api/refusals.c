// SPDX-License-Identifier: GPL-3.0-or-later
/* What the outcomes of requests are over HTTP. Codes are for programs, details for people. */
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
		"Add another key first, or send {\"force\": true} to leave the delegate without a key."},
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

const struct refusal *refusal_of(enum ipc_status status)
{
	return &refusals[status > IPC_OK && status < IPC_STATUSES ? status : IPC_FAILED];
}

/* What cannot come to pass there counts as a failure of ours. */
const struct refusal *refusal_of_acmedns(enum ipc_status status)
{
	const struct refusal *r = &acmedns[status > IPC_OK && status < IPC_STATUSES ? status : IPC_FAILED];
	return r->code ? r : &acmedns[IPC_FAILED];
}

const char *api_outcome_word(enum ipc_status status)
{
	return status < IPC_STATUSES ? refusals[status].code : "unknown";
}
