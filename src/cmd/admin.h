// SPDX-License-Identifier: GPL-3.0-or-later
/* What the commands that ask a running server share: options, asking, showing what came back. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/render.h"
#include "app/app.h"
#include "ipc/messages.h"

struct admin_options {
	const char *file, *socket;
	bool json, yes, force, at_once, follow;
	bool none; /* --everywhere, --none: an empty list is meant */
	const char *zone, *label, *prefix, *note, *name;
	const char *client; /* --for: whose settings are wanted */
	uint32_t quota, last;
	int64_t expiry; /* milliseconds since the epoch; 0: none */
	size_t allow_count, alias_count;
	struct prefix allow[IPC_ALLOW_MAX];
	const char *aliases[IPC_ALIASES_MAX];
	char **operands;
	int operand_count;
};

/* One thing to do: its name, the letters of the options it takes besides those that all have, how many
 * operands, and the function. */
struct admin_action {
	const char *name; /* NULL: the command has no actions of its own */
	const char *letters;
	int least, most;
	int (*run)(struct app_admin *a, const struct admin_options *o);
};

/* What all of them say about the options that they share. */
#define ADMIN_USAGE_CONFIG                                                                                   \
	"  -c, --config FILE  the server's configuration (default:\n"                                        \
	"                     /etc/acme-delegate/acme-delegate.yaml, or else the local\n"                    \
	"                     instance, or else /run/acme-delegate/admin.sock)\n"                            \
	"      --socket PATH  its admin socket, in place of what the configuration says\n"

/* Reads the options, finds the action (the first operand, unless the only one has no name), connects, runs
 * it. Returns the exit status. */
int admin_command(int argc, char **argv, const char *usage, const struct admin_action *actions, size_t count);

/* "30d", "12h", "45m", or a day "2026-12-31" (its beginning, UTC) -> milliseconds since the epoch. False:
 * none of these. */
bool admin_parse_expiry(const char *text, int64_t now, int64_t *out);
/* A network in CIDR notation or an address. */
bool admin_parse_network(const char *text, struct prefix *out);

/* The full name of a delegate: as given, or a label with the only zone. False: said on standard error. */
bool admin_full_name(struct app_admin *a, const char *given, char out[static IPC_NAME_MAX + 1]);
/* The allow list and aliases of the options into the request. False: said. */
bool admin_lists(const struct admin_options *o, struct ipc_request *q);

/* Asks and says what was refused. APP_OK: there is an IPC_OK reply. */
int admin_ask(struct app_admin *a, struct ipc_request *q, struct ipc_reply *out);
/* Prints the reply as one line of JSON. Returns the exit status. */
int admin_print_json(const struct ipc_reply *r);
/* The same with its i-th entry alone. */
int admin_print_entry(const struct ipc_reply *r, size_t i);
/* Asks, and prints `done` (a sentence) or, with --json, the reply. Returns the exit status. */
int admin_do(struct app_admin *a, const struct admin_options *o, struct ipc_request *q, const char *done);

enum { ADMIN_URL = 1024 };
/* How clients reach the API; NULL: not known, for no configuration was named. */
const char *admin_api_url(const struct app_admin *a, char out[static ADMIN_URL]);
/* Can --for be done: is the client known, are its domains, is the URL of the API? Before anything is changed.
 * The aliases of the request are the domains. False: said. */
bool admin_check_settings(
	const struct app_admin *a, const struct admin_options *o, const struct ipc_request *q);
/* What a new key's owner needs, in the form that the options ask for. `aliases` is a request that holds them;
 * `hint` is said to people, NULL: nothing. Returns the exit status. */
int admin_print_credentials(struct app_admin *a, const struct admin_options *o, const struct ipc_reply *r,
	struct ipc_request *aliases, const char *hint);

enum { ADMIN_TIME = 20, ADMIN_SPAN = 32 };
/* "2026-11-24 08:00:00", UTC, or "-" */
const char *admin_time(int64_t when, char out[static ADMIN_TIME]);
const char *admin_date(int64_t when, char out[static ADMIN_TIME]); /* its first half */
/* "3 d 4 h", "12 min", "40 s"; nothing is shorter than "0 s" */
const char *admin_span(int64_t ms, char out[static ADMIN_SPAN]);
/* "2 values", "1 value" */
const char *admin_plural(uint64_t n, const char *one, char out[static 48]);
