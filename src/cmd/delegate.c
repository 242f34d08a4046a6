// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "cmd/table.h"
#include "util/text.h"

static const char usage[] =
	"Usage: acme-delegate delegate add [LABEL] [--zone ZONE] [--allow NETWORK]... [--alias NAME]...\n"
	"       acme-delegate delegate list [PATTERN] [--zone ZONE]\n"
	"       acme-delegate delegate show NAME\n"
	"       acme-delegate delegate allow NAME NETWORK...|--everywhere\n"
	"       acme-delegate delegate alias NAME ALIAS...|--none\n"
	"       acme-delegate delegate clear NAME\n"
	"       acme-delegate delegate remove NAME [--yes]\n"
	"\n"
	"Delegates of the running server. NAME is a full name, or a label if there is one zone only.\n"
	"\n"
	"  add     makes one with its first key, whose secret is shown this once\n"
	"  list    all, or those whose full name contains PATTERN\n"
	"  show    values, keys, allow list, last changes, and which resolvers asked\n"
	"  allow   from where its keys may be used (CIDR notation or addresses)\n"
	"  alias   the domains whose _acme-challenge leads to it\n"
	"  clear   withdraws its values\n"
	"  remove  ends it for good: its label is never given out again\n"
	"\n"
	"  -c, --config FILE  the server's configuration (default: the local instance)\n"
	"      --socket PATH  its admin socket, in place of what the configuration says\n"
	"      --json         for programs; of a list, one object a line\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0 when it is done, 1 when it is not, 2 for a wrong option or configuration.\n";

static int add(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_DELEGATE_ADD};
	struct ipc_reply reply;
	if (!admin_lists(o, &q) ||
		text_format(q.name, sizeof q.name, "%s", o->operand_count ? o->operands[0] : "") ||
		text_format(q.zone, sizeof q.zone, "%s", o->zone ? o->zone : ""))
		return APP_USAGE;
	int status = admin_ask(a, &q, &reply);
	if (status)
		return status;
	return o->json ? admin_print_json(&reply) : admin_print_credentials(a, o, &reply.credentials);
}

/* ---- list ---- */

static bool is_wanted(const struct admin_options *o, const struct ipc_delegate_entry *d)
{
	char name[IPC_LABEL_MAX + IPC_NAME_MAX + 2];
	if (o->zone && strcasecmp(o->zone, d->zone) != 0)
		return false;
	return !o->operand_count || text_format(name, sizeof name, "%s.%s", d->label, d->zone) ||
	       strcasestr(name, o->operands[0]);
}

static int print_entry(struct table *t, const struct admin_options *o, const struct ipc_reply *r, size_t i)
{
	const struct ipc_delegate_entry *d = &r->delegates[i];
	char created[ADMIN_TIME], changed[ADMIN_TIME], *json;
	if (o->json) {
		if (api_render_entry(r, i, &json))
			return APP_FAILED;
		puts(json);
		free(json);
		return APP_OK;
	}
	char(*row)[TABLE_CELL] = table_row(t);
	if (!row)
		return APP_FAILED;
	table_set(row[0], "%s.%s", d->label, d->zone);
	table_set(row[1], "%s", admin_time(d->created, created));
	table_set(row[2], "%s", admin_time(d->changed, changed));
	table_set(row[3], "%u", (unsigned)d->keys);
	table_set(row[4], "%u", (unsigned)d->values);
	return APP_OK;
}

/* The next page; false: there is none, or *status is not APP_OK. */
static bool next_page(struct app_admin *a, struct ipc_request *q, struct ipc_reply *reply, int *status)
{
	struct ipc_request sent = *q;
	*status = admin_ask(a, &sent, reply);
	if (*status || !reply->count)
		return false;
	const struct ipc_delegate_entry *last = &reply->delegates[reply->count - 1];
	return !text_format(q->name, sizeof q->name, "%s.%s", last->label, last->zone);
}

static int list(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_DELEGATE_LIST};
	struct ipc_reply reply;
	struct table t = {
		.columns = 5, .heads = {"DELEGATE", "CREATED (UTC)", "LAST CHANGE", "KEYS", "VALUES"}};
	int status;
	bool watched = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
	for (uint64_t seen = 0; next_page(a, &q, &reply, &status);) {
		for (size_t i = 0; !status && i < reply.count; i++)
			if (is_wanted(o, &reply.delegates[i]))
				status = print_entry(&t, o, &reply, i);
		if (status)
			break;
		if (!o->json && t.rows)
			table_print(&t, stdout);
		seen += reply.count;
		if (watched && seen % (IPC_PAGE_MAX * 1024) == 0)
			fprintf(stderr, "\r%llu delegates", (unsigned long long)seen);
	}
	if (!status && !o->json && !t.headed)
		fputs(o->operand_count || o->zone ? "there is none like that\n"
						  : "there are no delegates yet\n",
			stderr);
	table_free(&t);
	return status;
}

/* ---- show ---- */

static void print_allow(const struct ipc_delegate *d)
{
	char text[PREFIX_TEXT];
	printf("allowed from  %s", d->allow_count ? "" : "everywhere");
	for (size_t i = 0; i < d->allow_count; i++) {
		prefix_format(&d->allow[i], text);
		printf("%s%s", i ? ", " : "", text);
	}
	putchar('\n');
}

static void address_text(const struct address *a, char out[static ADDRESS_TEXT])
{
	static const struct address none;
	address_format(a, out);
	if (address_equal(a, &none) && text_format(out, ADDRESS_TEXT, "here"))
		out[0] = 0;
}

static void print_keys(const struct ipc_delegate *d)
{
	char created[ADMIN_TIME], used[ADMIN_TIME], from[ADDRESS_TEXT];
	for (size_t i = 0; i < d->key_count; i++) {
		const struct ipc_key *k = &d->keys[i];
		address_text(&k->used_from, from);
		printf("key           %s\n              created %s, ", k->id,
			admin_time(k->created, created));
		if (k->used)
			printf("last used %s from %s\n", admin_time(k->used, used), from);
		else
			printf("not used to change values\n");
		if (k->retiring)
			printf("              ends with the first use of the other key\n");
		if (k->bcrypt)
			printf("              imported from acme-dns, not used since\n");
	}
	if (!d->key_count)
		printf("key           none: nobody can change its values\n");
}

static void print_history(const struct ipc_delegate *d)
{
	char when[ADMIN_TIME], then[ADMIN_TIME], from[ADDRESS_TEXT];
	for (size_t i = 0; i < d->value_count; i++)
		printf("value         %s  until %s\n", d->values[i].text,
			admin_time(d->values[i].expiry, when));
	for (size_t i = 0; i < d->change_count; i++) {
		const struct ipc_change *c = &d->changes[i];
		address_text(&c->from, from);
		printf("changed       %s  %s by %s%s from %s\n", admin_time(c->when, when),
			api_change_word(c->kind), *c->key ? "key " : "the operator", c->key, from);
	}
	for (size_t i = 0; i < d->asker_count; i++) {
		const struct ipc_asker *k = &d->askers[i];
		address_text(&k->resolver, from);
		printf("asked for by  %s  %u time%s from %s to %s\n", from, k->times,
			k->times == 1 ? "" : "s", admin_time(k->first, when), admin_time(k->last, then));
	}
}

static int show(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_DELEGATE_SHOW};
	struct ipc_reply reply;
	if (!admin_full_name(a, o->operands[0], q.name))
		return APP_FAILED;
	int status = admin_ask(a, &q, &reply);
	if (status)
		return status;
	if (o->json)
		return admin_print_json(&reply);
	const struct ipc_delegate *d = &reply.delegate;
	char created[ADMIN_TIME];
	printf("delegate      %s.%s\ncreated       %s (all times UTC)\n", d->label, d->zone,
		admin_time(d->created, created));
	for (size_t i = 0; i < d->alias_count; i++)
		printf("alias         %s\n", d->aliases[i]);
	print_allow(d);
	print_keys(d);
	print_history(d);
	return APP_OK;
}

/* ---- changes ---- */

static int allow(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_ALLOW_SET, .flags = IPC_FLAG_FORCE};
	if (o->none == (o->operand_count > 1)) {
		fputs("name the networks, or say --everywhere\n", stderr);
		return APP_USAGE;
	}
	for (int i = 1; i < o->operand_count; i++)
		if (q.allow_count == IPC_ALLOW_MAX ||
			!admin_parse_network(o->operands[i], &q.allow[q.allow_count++])) {
			fprintf(stderr,
				"\"%s\" is not a network like 192.0.2.0/24, or is one too many (at most %d)\n",
				o->operands[i], IPC_ALLOW_MAX);
			return APP_USAGE;
		}
	if (!admin_full_name(a, o->operands[0], q.name))
		return APP_FAILED;
	return admin_do(a, o, &q,
		o->none ? "its keys may be used from everywhere" : "its keys may be used from there only");
}

static int alias(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_ALIASES_SET};
	if (o->none == (o->operand_count > 1) || o->operand_count > 1 + IPC_ALIASES_MAX) {
		fputs("name at most 8 aliases, or say --none\n", stderr);
		return APP_USAGE;
	}
	for (int i = 1; i < o->operand_count; i++)
		if (text_format(q.aliases[q.alias_count++], sizeof q.aliases[0], "%s", o->operands[i]))
			return APP_USAGE;
	if (!admin_full_name(a, o->operands[0], q.name))
		return APP_FAILED;
	return admin_do(a, o, &q, o->none ? "it has no aliases" : "noted");
}

static int clear(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_VALUES_CLEAR};
	if (!admin_full_name(a, o->operands[0], q.name))
		return APP_FAILED;
	return admin_do(a, o, &q, "its values are withdrawn");
}

/* Asks a person; without one there must be --yes. */
static bool is_meant(const struct admin_options *o, const char *name)
{
	char answer[8] = "";
	if (o->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		fputs("this cannot be undone; say --yes\n", stderr);
		return false;
	}
	fprintf(stderr,
		"%s and its keys end for good, and its label is never given out again.\n"
		"CNAME records that lead to it should go first. Remove it? [y/N] ",
		name);
	return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int remove_delegate(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_DELEGATE_REMOVE};
	if (!admin_full_name(a, o->operands[0], q.name) || !is_meant(o, q.name))
		return APP_FAILED;
	return admin_do(a, o, &q, "removed; its label is never given out again");
}

int cmd_delegate(int argc, char **argv)
{
	static const struct admin_action actions[] = {
		{"add", "zaA", 0, 1, add},
		{"list", "z", 0, 1, list},
		{"show", "", 1, 1, show},
		{"allow", "E", 1, -1, allow},
		{"alias", "N", 1, -1, alias},
		{"clear", "", 1, 1, clear},
		{"remove", "y", 1, 1, remove_delegate},
	};
	return admin_command(argc, argv, usage, actions, sizeof actions / sizeof *actions);
}
