// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "cmd/table.h"
#include "util/text.h"

static const char usage[] =
	"Usage: acme-delegate events [--last N] [--name NAME] [--follow]\n"
	"\n"
	"What was asked of the server, by whom, from where, and how it ended: registrations, updates, refusals,\n"
	"changes of keys. How many are kept is admin.events in the configuration.\n"
	"\n"
	"      --last N       begin with the last N (default 20)\n"
	"      --name NAME    of one delegate only\n"
	"      --follow       go on as they happen, until Ctrl-C\n"
	"  -c, --config FILE  the server's configuration (default: the local instance)\n"
	"      --socket PATH  its admin socket, in place of what the configuration says\n"
	"      --json         for programs, one object a line\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0, 1 when there is no answer, 2 for a wrong option or configuration.\n";

enum { RETRY_MS = 500, RETRIES = 60 };

struct reading {
	struct app_admin *admin;
	const struct admin_options *options;
	struct table table;
	uint64_t after; /* the last number seen */
	char name[IPC_NAME_MAX + 1];
	int stop;
};

static void who_text(const struct ipc_event *e, char out[static TABLE_CELL])
{
	if (e->by == IPC_BY_OPERATOR)
		table_set(out, "operator %u", e->uid);
	else if (*e->key)
		table_set(out, "%s %s", e->by == IPC_BY_KEY ? "key" : "token", e->key);
	else
		table_set(out, "-");
}

static void fill_row(char (*row)[TABLE_CELL], const struct ipc_event *e)
{
	static const struct address none;
	char when[ADMIN_TIME], from[ADDRESS_TEXT] = "here", times[32] = "";
	if (!address_equal(&e->client, &none))
		address_format(&e->client, from);
	if (e->times > 1 && text_format(times, sizeof times, " (%u times)", e->times))
		times[0] = 0;
	table_set(row[0], "%s", admin_time(e->when, when));
	table_set(row[1], "%s", api_event_word(e->kind));
	table_set(row[2], "%s%s", api_outcome_word(e->outcome), times);
	who_text(e, row[3]);
	table_set(row[4], "%s", from);
	table_set(row[5], "%s", *e->name ? e->name : "-");
	table_set(row[6], "%s", e->detail);
}

static int print_page(struct reading *r, const struct ipc_reply *reply)
{
	for (size_t i = 0; i < reply->count; i++) {
		char *json;
		r->after = reply->events[i].sequence;
		if (r->options->json) {
			if (api_render_entry(reply, i, &json))
				return APP_FAILED;
			puts(json);
			free(json);
			continue;
		}
		char(*row)[TABLE_CELL] = table_row(&r->table);
		if (!row)
			return APP_FAILED;
		fill_row(row, &reply->events[i]);
	}
	if (!r->options->json && r->table.rows)
		table_print(&r->table, stdout);
	return fflush(stdout) ? APP_FAILED : APP_OK;
}

/* OK, ERR_AGAIN (told to stop), or the error of asking. */
static int ask(struct reading *r, unsigned flags, uint16_t limit, struct ipc_reply *reply)
{
	struct ipc_request q = {.type = IPC_EVENTS, .flags = flags, .after = r->after, .limit = limit};
	memcpy(q.name, r->name, sizeof q.name);
	return app_admin_ask(r->admin, &q, r->stop, reply);
}

/* The last ones: `last` of them, in pages. */
static int read_last(struct reading *r)
{
	uint32_t left = r->options->last;
	unsigned flags = IPC_FLAG_NEWEST;
	struct ipc_reply reply = {.count = 0};
	while (left) {
		/* How many a page holds: more than that are read from their beginning on. */
		uint16_t limit = left < IPC_PAGE_MAX ? (uint16_t)left : IPC_PAGE_MAX;
		int rc = ask(
			r, flags, flags ? (uint16_t)(left < UINT16_MAX ? left : UINT16_MAX) : limit, &reply);
		if (rc || reply.status != IPC_OK || !reply.count)
			return rc ? rc : reply.status != IPC_OK ? ERR_FORBIDDEN : OK;
		if (print_page(r, &reply))
			return ERR_SYSTEM;
		left -= reply.count < left ? (uint32_t)reply.count : left;
		flags = 0;
	}
	if (!r->options->last) { /* only what comes now */
		int rc = ask(r, IPC_FLAG_NEWEST, 1, &reply);
		if (!rc && reply.status == IPC_OK && reply.count)
			r->after = reply.events[0].sequence;
		return rc;
	}
	return OK;
}

static bool told_to_stop(const struct reading *r, int ms)
{
	struct pollfd p = {.fd = r->stop, .events = POLLIN};
	return poll(&p, 1, ms) > 0;
}

/* A server that is started again is waited for; what it noted meanwhile follows. */
static int follow(struct reading *r)
{
	struct ipc_reply reply;
	for (int failures = 0; failures < RETRIES;) {
		int rc = ask(r, IPC_FLAG_WAIT, 0, &reply);
		if (rc == ERR_AGAIN)
			return OK;
		if (rc || reply.status != IPC_OK) {
			failures++;
			if (told_to_stop(r, RETRY_MS))
				return OK;
			continue;
		}
		failures = 0;
		if (print_page(r, &reply))
			return ERR_SYSTEM;
	}
	return ERR_CLOSED;
}

static int stop_fd(void)
{
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &stop, NULL))
		return -1;
	return signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int events(struct app_admin *a, const struct admin_options *o)
{
	struct reading r = {.admin = a,
		.options = o,
		.table = {.columns = 7,
			.heads = {"TIME (UTC)", "EVENT", "OUTCOME", "WHO", "FROM", "DELEGATE", "DETAIL"}},
		.stop = stop_fd()};
	if (o->name && !admin_full_name(a, o->name, r.name))
		return APP_FAILED;
	int rc = read_last(&r);
	if (!rc && o->follow)
		rc = follow(&r);
	table_free(&r.table);
	if (r.stop >= 0)
		close(r.stop);
	if (!rc || rc == ERR_AGAIN)
		return APP_OK;
	fprintf(stderr, "no answer from the server (%s)\n", error_text(rc));
	return APP_FAILED;
}

int cmd_events(int argc, char **argv)
{
	static const struct admin_action action = {NULL, "LmF", 0, 0, events};
	return admin_command(argc, argv, usage, &action, 1);
}
