// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "cmd/table.h"
#include "util/clock.h"
#include "util/text.h"

static const char usage[] =
	"Usage: acme-delegate delegate add [LABEL] [--zone ZONE] [--allow NETWORK]...\n"
	"                                  [--alias DOMAIN]... [--for CLIENT]\n"
	"       acme-delegate delegate list [PATTERN] [--zone ZONE]\n"
	"       acme-delegate delegate show NAME\n"
	"       acme-delegate delegate allow NAME NETWORK...|--everywhere\n"
	"       acme-delegate delegate alias NAME DOMAIN...|--none\n"
	"       acme-delegate delegate clear NAME\n"
	"       acme-delegate delegate remove NAME [--yes]\n"
	"\n"
	"Delegates of the running server. NAME is a full name, or a label if there is one\n"
	"zone only.\n"
	"\n"
	"  add     makes one with its first key, whose secret is shown this once; without\n"
	"          LABEL the label is random\n"
	"  list    all, or those whose full name contains PATTERN\n"
	"  show    values, keys, allow list, last changes, and which resolvers asked\n"
	"  allow   from where its keys may be used (CIDR notation or addresses)\n"
	"  alias   the domains whose _acme-challenge leads to it\n"
	"  clear   withdraws its values\n"
	"  remove  ends it for good, after asking: its label is never given out again\n"
	"\n"
	"      --for CLIENT   print the settings of a client, ready to use, and nothing\n"
	"                     else: lego, traefik, caddy, certbot, acme.sh, posh-acme,\n"
	"                     cert-manager, httpreq\n"
	"      --yes          do not ask\n" ADMIN_USAGE_CONFIG
	"      --json         for programs; of a list, one object a line\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0 when it is done, 1 when it is not, 2 for a wrong option or\n"
	"configuration.\n";

static int add(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_DELEGATE_ADD}, aliases;
	struct ipc_reply reply;
	if (!admin_lists(o, &q) || !admin_check_settings(a, o, &q))
		return APP_USAGE;
	if (text_format(q.name, sizeof q.name, "%s", o->operand_count ? o->operands[0] : "") ||
		text_format(q.zone, sizeof q.zone, "%s", o->zone ? o->zone : "")) {
		fputs("the label or the zone is too long\n", stderr);
		return APP_USAGE;
	}
	aliases = q; /* asking wipes it */
	int status = admin_ask(a, &q, &reply);
	return status ? status : admin_print_credentials(a, o, &reply, &aliases, NULL);
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
	char day[ADMIN_TIME];
	if (o->json)
		return admin_print_entry(r, i);
	char(*row)[TABLE_CELL] = table_row(t);
	if (!row)
		return APP_FAILED;
	table_set(row[0], "%s.%s", d->label, d->zone);
	table_set(row[1], "%u", (unsigned)d->keys);
	table_set(row[2], "%u", (unsigned)d->values);
	table_set(row[3], "%s", admin_date(d->changed, day));
	table_set(row[4], "%s", admin_date(d->created, day));
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
	struct table t = {.columns = 5,
		.spare = 2,
		.room = table_terminal(),
		.heads = {"DELEGATE", "KEYS", "VALUES", "CHANGED", "CREATED"}};
	int status;
	bool watched = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
	for (uint64_t seen = 0; next_page(a, &q, &reply, &status);) {
		for (size_t i = 0; !status && i < reply.count; i++)
			if (is_wanted(o, &reply.delegates[i]))
				status = print_entry(&t, o, &reply, i);
		if (status)
			break;
		if (t.rows >= TABLE_IN_LINE)
			table_print(&t, stdout);
		seen += reply.count;
		if (watched && seen % (IPC_PAGE_MAX * 1024) == 0)
			fprintf(stderr, "\r%llu delegates", (unsigned long long)seen);
	}
	if (!status && t.rows)
		table_print(&t, stdout);
	if (watched)
		fputs("\r\033[K", stderr);
	if (!status && !o->json && !t.headed)
		fputs(o->operand_count || o->zone ? "there is no delegate like that\n"
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

/* " from 192.0.2.1"; nothing for what came over the admin socket. */
static const char *from_text(const struct address *a, char out[static ADDRESS_TEXT + 6])
{
	char text[ADDRESS_TEXT];
	address_format(a, text);
	return address_is_none(a) || text_format(out, ADDRESS_TEXT + 6, " from %s", text) ? "" : out;
}

static void print_keys(const struct ipc_delegate *d)
{
	char when[ADMIN_TIME], from[ADDRESS_TEXT + 6];
	for (size_t i = 0; i < d->key_count; i++) {
		const struct ipc_key *k = &d->keys[i];
		printf("key           %s\n              created    %s\n", k->id,
			admin_time(k->created, when));
		if (k->used)
			printf("              last used  %s%s\n", admin_time(k->used, when),
				from_text(&k->used_from, from));
		else
			printf("              not used to change values\n");
		if (k->retiring)
			printf("              ends with the first use of the other key\n");
		if (k->bcrypt)
			printf("              imported from acme-dns, not used since\n");
	}
	if (!d->key_count)
		printf("key           none: nobody can change its values\n");
}

static void print_change(const struct ipc_change *c)
{
	char when[ADMIN_TIME], from[ADDRESS_TEXT + 6];
	printf("changed       %s  %s by %s%s%s\n", admin_time(c->when, when), api_change_word(c->kind),
		*c->key ? "key " : "the operator", c->key, from_text(&c->from, from));
}

/* Two lines: an IPv6 address and two times are too much for one. */
static void print_asker(const struct ipc_asker *k)
{
	char first[ADMIN_TIME], last[ADMIN_TIME], resolver[ADDRESS_TEXT];
	address_format(&k->resolver, resolver);
	printf("asked for by  %s, %u time%s\n              from %s to %s\n", resolver, k->times,
		k->times == 1 ? "" : "s", admin_time(k->first, first), admin_time(k->last, last));
}

static void print_history(const struct ipc_delegate *d)
{
	char left[ADMIN_SPAN];
	for (size_t i = 0; i < d->value_count; i++)
		printf("value         %s  %s left\n", d->values[i].text,
			admin_span(d->values[i].expiry - clock_wall_ms(), left));
	for (size_t i = 0; i < d->change_count; i++)
		print_change(&d->changes[i]);
	for (size_t i = 0; i < d->asker_count; i++)
		print_asker(&d->askers[i]);
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
		if (text_format(q.aliases[q.alias_count++], sizeof q.aliases[0], "%s", o->operands[i])) {
			fprintf(stderr, "\"%.40s...\" is too long for a name\n", o->operands[i]);
			return APP_USAGE;
		}
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

/* Asks a person, who is told what there is; without one there must be --yes. */
static bool is_meant(struct app_admin *a, const char *name)
{
	struct ipc_request q = {.type = IPC_DELEGATE_SHOW};
	struct ipc_reply reply;
	char answer[8] = "", keys[48], values[48];
	if (!isatty(STDIN_FILENO)) {
		fputs("this cannot be undone; say --yes\n", stderr);
		return false;
	}
	if (text_format(q.name, sizeof q.name, "%s", name) || admin_ask(a, &q, &reply))
		return false;
	const struct ipc_delegate *d = &reply.delegate;
	fprintf(stderr, "%s.%s has %s and %s", d->label, d->zone, admin_plural(d->key_count, "key", keys),
		admin_plural(d->value_count, "value", values));
	for (size_t i = 0; i < d->alias_count; i++)
		fprintf(stderr, ", %s%s", i ? "" : "for ", d->aliases[i]);
	fputs(".\nThey end for good, and the label is never given out again. CNAME records that\n"
	      "lead to it should go first. Remove it? [y/N] ",
		stderr);
	if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return true;
	fputs("nothing was changed\n", stderr);
	return false;
}

static int remove_delegate(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_DELEGATE_REMOVE};
	if (!admin_full_name(a, o->operands[0], q.name) || (!o->yes && !is_meant(a, q.name)))
		return APP_FAILED;
	return admin_do(a, o, &q, "removed; its label is never given out again");
}

int cmd_delegate(int argc, char **argv)
{
	static const struct admin_action actions[] = {
		{"add", "zaAC", 0, 1, add},
		{"list", "z", 0, 1, list},
		{"show", "", 1, 1, show},
		{"allow", "E", 1, -1, allow},
		{"alias", "N", 1, -1, alias},
		{"clear", "", 1, 1, clear},
		{"remove", "y", 1, 1, remove_delegate},
	};
	return admin_command(argc, argv, usage, actions, sizeof actions / sizeof *actions);
}
