// SPDX-License-Identifier: GPL-3.0-or-later
/* What the keeper says, as JSON: the same for /v1/ and for the command line's --json. Times are RFC 3339 in
 * UTC, null for never; addresses are texts, null for none; what is counted in enums here are words there. Any
 * thread. */
#pragma once

#include "ipc/messages.h"
#include "util/error.h"

enum { API_TIME_TEXT = 21 }; /* "2026-11-24T08:00:00Z" and the NUL */

/* One JSON object on one line, malloc'ed: free it, and wipe it if the reply holds a secret. The reply's
 * status must be IPC_OK. Lists are {"delegates": [...], "next": "..."}; `next` is what to go on behind, null
 * when the page is not full. Of events it is the last one's number, as long as there is one. What has no body
 * gives
 * {"status": "ok"}. ERR_NOMEM. */
int api_render(const struct ipc_reply *r, char **json) MUST_USE;

/* The same where the request had a limit of its own (0: none): a page of so many is full. */
int api_render_page(const struct ipc_reply *r, unsigned limit, char **json) MUST_USE;

/* One entry of a list of delegates, tokens or events; `i` is below the reply's count. ERR_NOMEM. */
int api_render_entry(const struct ipc_reply *r, size_t i, char **json) MUST_USE;

/* The settings of a client with such credentials, as GET /v1/credentials has them. `url`: of the API, NULL:
 * not known. `names`: the domains, at most IPC_ALIASES_MAX, also as wildcards. *text is malloc'ed: free and
 * wipe it; NULL: only see whether it can be done. ERR_NOTFOUND: no client is known by that name. ERR_RANGE:
 * it needs a domain. ERR_INVALID: one of them is none. ERR_FORMAT: the URL is not known, or cannot stand in
 * it without quoting. ERR_NOMEM. */
int api_settings_for(const char *client, const struct ipc_credentials *k, const char *url,
	const char (*names)[IPC_NAME_MAX + 1], size_t name_count, char **text) MUST_USE;
/* A domain as it is kept: lower case, without final dot, "*." and "_acme-challenge." in front. False: it is
 * none. */
bool api_domain_clean(char *name);
/* "json, lego, traefik, ..." */
extern const char api_settings_clients[];

/* ---- is all well? ---- */

enum { API_CHECKS_MAX = 2 + IPC_PROCESSES_MAX, API_CONFINEMENTS = 5 };

struct api_check {
	char name[24]; /* "store", "certificate", or that of a process */
	bool ok;
	int64_t since;     /* milliseconds since the epoch; 0: not known */
	char message[400]; /* for people: how it is, and what to do */
};

/* What the report says, at a time. Returns how many. */
size_t api_checks(const struct ipc_report *r, int64_t now, struct api_check out[static API_CHECKS_MAX]);
size_t api_checks_failing(const struct api_check *checks, size_t count);
/* What the bits of a process's confinement mean, from the lowest. */
extern const char *const api_confinement_words[API_CONFINEMENTS];
const char *api_process_state_word(enum ipc_process_state state);

/* Words of the enums, as the JSON has them: never NULL. */
const char *api_outcome_word(enum ipc_status status); /* also the error codes of /v1/ */
const char *api_event_word(enum ipc_event_kind kind);
const char *api_change_word(enum ipc_change_kind kind);
const char *api_by_word(enum ipc_by by);
const char *api_registration_word(unsigned mode); /* of enum conf_registration_mode */

/* "" for 0, and for what no calendar holds. */
void api_time_text(int64_t when, char out[static API_TIME_TEXT]);
