// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdio.h>
#include <string.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "util/text.h"

static const char usage[] =
	"Usage: acme-delegate key add NAME [--for CLIENT]\n"
	"       acme-delegate key rotate NAME [KEYID] [--at-once] [--for CLIENT]\n"
	"       acme-delegate key revoke NAME KEYID [--force]\n"
	"\n"
	"Keys of a delegate, of which it has two at most. NAME is a full name, or a label\n"
	"if there is one zone only; KEYID may be shortened to its first 8 characters.\n"
	"\n"
	"  add     makes a second key\n"
	"  rotate  makes a successor; the old key works until the new one is used for the\n"
	"          first time\n"
	"  revoke  ends a key now\n"
	"\n"
	"      --at-once      the old key ends now\n"
	"      --force        revoke even the last key\n"
	"      --for CLIENT   print the settings of a client, ready to use, and nothing\n"
	"                     else: lego, traefik, caddy, certbot, acme.sh, posh-acme,\n"
	"                     cert-manager, httpreq\n" ADMIN_USAGE_CONFIG
	"      --json         for programs\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0 when it is done, 1 when it is not, 2 for a wrong option or\n"
	"configuration.\n";

/* The aliases are the domains in a client's settings. */
static bool find_aliases(
	struct app_admin *a, const struct admin_options *o, const char *name, struct ipc_request *out)
{
	struct ipc_request q = {.type = IPC_DELEGATE_SHOW};
	struct ipc_reply reply;
	*out = (struct ipc_request){.alias_count = 0};
	if (text_format(q.name, sizeof q.name, "%s", name) || admin_ask(a, &q, &reply))
		return false;
	out->alias_count = reply.delegate.alias_count;
	memcpy(out->aliases, reply.delegate.aliases, sizeof reply.delegate.aliases);
	return admin_check_settings(a, o, out);
}

static int print_key(
	struct app_admin *a, const struct admin_options *o, struct ipc_request *q, const char *hint)
{
	struct ipc_request aliases;
	struct ipc_reply reply;
	if (!find_aliases(a, o, q->name, &aliases))
		return APP_FAILED;
	int status = admin_ask(a, q, &reply);
	return status ? status : admin_print_credentials(a, o, &reply, &aliases, hint);
}

static int add(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_KEY_ADD};
	return admin_full_name(a, o->operands[0], q.name) ? print_key(a, o, &q, NULL) : APP_FAILED;
}

/* A whole key id, or the first 8 characters or more of one of the delegate's. False: said. */
static bool find_key(
	struct app_admin *a, const char *name, const char *given, char out[static IPC_CREDENTIAL_MAX + 1])
{
	struct ipc_request q = {.type = IPC_DELEGATE_SHOW};
	struct ipc_reply reply;
	size_t len = strlen(given), found = 0;
	if (text_format(q.name, sizeof q.name, "%s", name) || admin_ask(a, &q, &reply))
		return false;
	for (size_t i = 0; len >= 8 && i < reply.delegate.key_count; i++)
		if (strncasecmp(reply.delegate.keys[i].id, given, len) == 0) {
			memcpy(out, reply.delegate.keys[i].id, IPC_CREDENTIAL_MAX + 1);
			found++;
		}
	if (found != 1)
		fprintf(stderr,
			found ? "\"%s\" fits both keys; write more of it\n"
			      : "%s is none of its keys; \"acme-delegate delegate show\" names them\n",
			given);
	return found == 1;
}

static int rotate(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_KEY_ROTATE, .flags = o->at_once ? IPC_FLAG_AT_ONCE : 0};
	if (!admin_full_name(a, o->operands[0], q.name))
		return APP_FAILED;
	if (o->operand_count > 1 && !find_key(a, q.name, o->operands[1], q.target))
		return APP_FAILED;
	return print_key(a, o, &q,
		o->at_once ? "The old key has ended."
			   : "The old key works until the new one is used for the first time.");
}

static int revoke_key(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_KEY_REVOKE, .flags = o->force ? IPC_FLAG_FORCE : 0};
	if (!admin_full_name(a, o->operands[0], q.name) || !find_key(a, q.name, o->operands[1], q.target))
		return APP_FAILED;
	return admin_do(a, o, &q, "revoked");
}

int cmd_key(int argc, char **argv)
{
	static const struct admin_action actions[] = {
		{"add", "C", 1, 1, add},
		{"rotate", "oC", 1, 2, rotate},
		{"revoke", "f", 2, 2, revoke_key},
	};
	return admin_command(argc, argv, usage, actions, sizeof actions / sizeof *actions);
}
