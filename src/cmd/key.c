// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdio.h>
#include <string.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "util/text.h"

static const char usage[] =
	"Usage: acme-delegate key add NAME\n"
	"       acme-delegate key rotate NAME [KEYID] [--at-once]\n"
	"       acme-delegate key revoke NAME KEYID [--force]\n"
	"\n"
	"Keys of a delegate, of which it has two at most. NAME is a full name, or a label if there is one zone only;\n"
	"KEYID may be shortened to its first 8 characters.\n"
	"\n"
	"  add     makes a second key\n"
	"  rotate  makes a successor; the old key works until the new one is used for the first time\n"
	"  revoke  ends a key now\n"
	"\n"
	"      --at-once      the old key ends now\n"
	"      --force        revoke even the last key\n"
	"  -c, --config FILE  the server's configuration (default: the local instance)\n"
	"      --socket PATH  its admin socket, in place of what the configuration says\n"
	"      --json         for programs\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0 when it is done, 1 when it is not, 2 for a wrong option or configuration.\n";

static int print_key(struct app_admin *a, const struct admin_options *o, struct ipc_request *q)
{
	struct ipc_reply reply;
	int status = admin_ask(a, q, &reply);
	if (status)
		return status;
	status = o->json ? admin_print_json(&reply) : admin_print_credentials(a, o, &reply.credentials);
	return status;
}

static int add(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_KEY_ADD};
	return admin_full_name(a, o->operands[0], q.name) ? print_key(a, o, &q) : APP_FAILED;
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
	return print_key(a, o, &q);
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
		{"add", "", 1, 1, add},
		{"rotate", "o", 1, 2, rotate},
		{"revoke", "f", 2, 2, revoke_key},
	};
	return admin_command(argc, argv, usage, actions, sizeof actions / sizeof *actions);
}
