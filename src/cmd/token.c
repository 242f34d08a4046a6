// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "cmd/table.h"
#include "util/text.h"

static const char usage[] =
	"Usage: acme-delegate token add [--note TEXT] [--zone ZONE] [--quota N]\n"
	"                               [--label LABEL | --prefix PREFIX]\n"
	"                               [--expires WHEN] [--allow NETWORK]...\n"
	"       acme-delegate token list\n"
	"       acme-delegate token revoke ID\n"
	"\n"
	"Registration tokens: who has one may register delegates, as many and of the kind\n"
	"that it says.\n"
	"\n"
	"      --note TEXT    for you, to know it again\n"
	"      --zone ZONE    where its delegates are (default: the first zone)\n"
	"      --quota N      how many registrations (default: no limit)\n"
	"      --label LABEL  the delegate's label; then the token is good for one\n"
	"      --prefix PREFIX\n"
	"                     what the labels begin with; the rest is random, or chosen\n"
	"                     by who registers\n"
	"      --expires WHEN\n"
	"                     30d, 12h, 45m or 2026-12-31 (default: never)\n"
	"      --allow NETWORK\n"
	"                     from where the keys of its delegates may be used\n" ADMIN_USAGE_CONFIG
	"      --json         for programs; of a list, one object a line\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0 when it is done, 1 when it is not, 2 for a wrong option or\n"
	"configuration.\n";

static bool read_terms(const struct admin_options *o, struct ipc_terms *t)
{
	if (o->label && o->prefix) {
		fputs("--label and --prefix do not go together\n", stderr);
		return false;
	}
	const char *label = o->label ? o->label : o->prefix ? o->prefix : "";
	if (text_format(t->note, sizeof t->note, "%s", o->note ? o->note : "")) {
		fprintf(stderr, "the note is too long: at most %d characters\n", IPC_NOTE_MAX);
		return false;
	}
	if (text_format(t->zone, sizeof t->zone, "%s", o->zone ? o->zone : "") ||
		text_format(t->label, sizeof t->label, "%s", label)) {
		fputs("the zone or the label is too long\n", stderr);
		return false;
	}
	t->label_is_prefix = o->prefix != NULL;
	t->quota = o->quota;
	t->expiry = o->expiry;
	t->allow_count = o->allow_count;
	memcpy(t->allow, o->allow, o->allow_count * sizeof o->allow[0]);
	return true;
}

static int add(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_TOKEN_ADD};
	struct ipc_reply reply;
	if (!read_terms(o, &q.terms))
		return APP_USAGE;
	int status = admin_ask(a, &q, &reply);
	if (status)
		return status;
	if (o->json)
		return admin_print_json(&reply);
	char buffer[ADMIN_URL];
	const char *known = admin_api_url(a, buffer), *url = known ? known : "https://THE-API";
	printf("id     %s\n"
	       "token  %s\n\n"
	       "The token is not shown again: the server keeps its digest only. A client sends\n"
	       "it as part of its base URL,\n"
	       "  %s/t/%s\n"
	       "in a header,\n"
	       "  X-Registration-Token: %s\n"
	       "or as the password of HTTP Basic, with any user name.\n",
		reply.token.id, reply.token.secret, url, reply.token.secret, reply.token.secret);
	return APP_OK;
}

static void fill_row(char (*row)[TABLE_CELL], const struct ipc_token *k)
{
	char created[ADMIN_TIME], expiry[ADMIN_TIME], quota[32] = "";
	char network[PREFIX_TEXT], more[32] = "";
	const struct ipc_terms *t = &k->terms;
	if (t->quota && text_format(quota, sizeof quota, " of %u", t->quota))
		quota[0] = 0;
	table_set(row[0], "%s", k->id);
	table_set(row[1], "%s", admin_date(k->created, created));
	table_set(row[2], "%.16s", t->expiry ? admin_time(t->expiry, expiry) : "never");
	table_set(row[3], "%u%s", k->spent, quota);
	table_set(row[4], "%s%s.%s", *t->label ? t->label : "*", t->label_is_prefix ? "*" : "", t->zone);
	if (t->allow_count > 1 && text_format(more, sizeof more, " and %zu more", t->allow_count - 1))
		more[0] = 0;
	if (t->allow_count)
		prefix_format(&t->allow[0], network);
	table_set(row[5], "%s%s", t->allow_count ? network : "everywhere", more);
	table_set(row[6], "%s", t->note);
}

static int print_page(struct table *t, const struct admin_options *o, const struct ipc_reply *r)
{
	for (size_t i = 0; i < r->count; i++) {
		if (o->json) {
			if (admin_print_entry(r, i))
				return APP_FAILED;
			continue;
		}
		char(*row)[TABLE_CELL] = table_row(t);
		if (!row)
			return APP_FAILED;
		fill_row(row, &r->tokens[i]);
	}
	if (t->rows >= TABLE_IN_LINE)
		table_print(t, stdout);
	return APP_OK;
}

static int list(struct app_admin *a, const struct admin_options *o)
{
	struct table t = {.columns = 7,
		.room = table_terminal(),
		.heads = {"ID", "CREATED", "EXPIRES (UTC)", "USED", "DELEGATES", "ALLOWED FROM", "NOTE"}};
	char after[IPC_CREDENTIAL_MAX + 1] = "";
	int status;
	for (;;) {
		struct ipc_request q = {.type = IPC_TOKEN_LIST};
		struct ipc_reply reply;
		memcpy(q.target, after, sizeof after);
		status = admin_ask(a, &q, &reply);
		if (status || !reply.count)
			break;
		memcpy(after, reply.tokens[reply.count - 1].id, sizeof after);
		status = print_page(&t, o, &reply);
		if (status)
			break;
	}
	if (!status && t.rows)
		table_print(&t, stdout);
	if (!status && !o->json && !t.headed)
		fputs("there are no registration tokens\n", stderr);
	table_free(&t);
	return status;
}

static int revoke_token(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_TOKEN_REVOKE};
	if (text_format(q.target, sizeof q.target, "%s", o->operands[0])) {
		fputs("there is no token of that id; \"acme-delegate token list\" shows them\n", stderr);
		return APP_FAILED;
	}
	return admin_do(a, o, &q, "revoked; delegates that were registered with it stay");
}

int cmd_token(int argc, char **argv)
{
	static const struct admin_action actions[] = {
		{"add", "nzlpqea", 0, 0, add},
		{"list", "", 0, 0, list},
		{"revoke", "", 1, 1, revoke_token},
	};
	return admin_command(argc, argv, usage, actions, sizeof actions / sizeof *actions);
}
