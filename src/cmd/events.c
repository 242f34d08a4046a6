// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "cmd/table.h"
#include "util/text.h"

static const char usage[] =
	"Usage: acme-delegate events [--last N] [--name NAME] [--follow]\n"
	"\n"
	"What was asked of the server, by whom, from where, and how it ended:\n"
	"registrations, updates, refusals, changes of keys. Refusals of one kind from one\n"
	"network become one event, with how often. admin.events in the configuration is\n"
	"how many are kept. On a terminal ids and values are shortened.\n"
	"\n"
	"      --last N       begin with the last N (default 20)\n"
	"      --name NAME    of one delegate only\n"
	"      --follow       go on as they happen, until Ctrl-C\n" ADMIN_USAGE_CONFIG
	"      --json         for programs, one object a line\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0, 1 when there is no answer, 2 for a wrong option or\n"
	"configuration.\n";

enum { RETRY_MS = 500, RETRIES = 60 };

struct reading {
	struct app_admin *admin;
	const struct admin_options *options;
	struct table table;
	uint64_t after; /* the last number seen */
	bool shown;
	bool said; /* that a page could not be printed, or it is said when the output is closed */
	char name[IPC_NAME_MAX + 1];
	int stop;
};

static bool is_here(const struct ipc_event *e)
{
	return address_is_none(&e->client);
}

/* `brief`: key ids as short as the commands take them. */
static void who_text(const struct ipc_event *e, bool brief, char out[static TABLE_CELL])
{
	const struct passwd *account = e->by == IPC_BY_OPERATOR && is_here(e) ? getpwuid(e->uid) : NULL;
	int cut = brief && e->by == IPC_BY_KEY ? 8 : IPC_CREDENTIAL_MAX;
	if (account)
		table_set(out, "operator %s", account->pw_name);
	else if (e->by == IPC_BY_OPERATOR && is_here(e))
		table_set(out, "operator %u", e->uid);
	else if (e->by == IPC_BY_OPERATOR)
		table_set(out, "operator");
	else if (e->by == IPC_BY_AGENT)
		table_set(out, "agent");
	else if (*e->key)
		table_set(out, "%s %.*s", e->by == IPC_BY_KEY ? "key" : "token", cut, e->key);
	else
		table_set(out, "-");
}

static void from_text(const struct ipc_event *e, char out[static TABLE_CELL])
{
	char address[ADDRESS_TEXT];
	address_format(&e->client, address);
	table_set(out, "%s", !is_here(e) ? address : e->by == IPC_BY_OPERATOR ? "socket" : "-");
}

/* The key or token that was made or changed, or the value. */
static void detail_text(const struct ipc_event *e, bool brief, char out[static TABLE_CELL])
{
	bool key = e->kind == IPC_EVENT_REGISTER || e->kind == IPC_EVENT_KEY_ADD ||
		   e->kind == IPC_EVENT_KEY_ROTATE || e->kind == IPC_EVENT_KEY_REVOKE ||
		   e->kind == IPC_EVENT_KEY_RETIRED;
	bool token = e->kind == IPC_EVENT_TOKEN_ADD || e->kind == IPC_EVENT_TOKEN_REVOKE;
	bool value = e->kind == IPC_EVENT_UPDATE || e->kind == IPC_EVENT_WITHDRAW;
	if (!*e->detail || e->times > 1)
		table_set(out, "%s", e->detail);
	else if (key || token)
		table_set(out, "%s %.*s", key ? "key" : "token", brief && key ? 8 : IPC_NOTE_MAX, e->detail);
	else if (value && brief)
		table_set(out, "%.12s..", e->detail);
	else
		table_set(out, "%s", e->detail);
}

static void fill_row(char (*row)[TABLE_CELL], const struct ipc_event *e, bool brief)
{
	char when[ADMIN_TIME], times[32] = "";
	if (e->times > 1 && text_format(times, sizeof times, " (%u times)", e->times))
		times[0] = 0;
	table_set(row[0], "%s", admin_time(e->when, when));
	table_set(row[1], "%s", api_event_word(e->kind));
	table_set(row[2], "%s%s", api_outcome_word(e->outcome), times);
	who_text(e, brief, row[3]);
	from_text(e, row[4]);
	table_set(row[5], "%s", *e->name ? e->name : "-");
	detail_text(e, brief, row[6]);
}

static int print_page(struct reading *r, const struct ipc_reply *reply)
{
	for (size_t i = 0; i < reply->count; i++) {
		r->after = reply->events[i].sequence;
		r->shown = true;
		if (r->options->json) {
			if (admin_print_entry(reply, i))
				return APP_FAILED;
			continue;
		}
		char(*row)[TABLE_CELL] = table_row(&r->table);
		if (!row)
			return APP_FAILED;
		fill_row(row, &reply->events[i], r->table.room != 0);
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

/* The number of the last event there is; 0: there is none. */
static int find_end(struct reading *r, uint64_t *out)
{
	struct ipc_request q = {.type = IPC_STATUS};
	struct ipc_reply reply;
	int rc = app_admin_ask(r->admin, &q, r->stop, &reply);
	if (!rc && reply.status != IPC_OK)
		return ERR_STORE;
	*out = rc ? 0 : reply.report.events_last;
	return rc;
}

/* A page of those behind r->after; an empty one at the end. */
static int read_page(struct reading *r, uint64_t limit, struct ipc_reply *reply)
{
	int rc = ask(r, 0, (uint16_t)(limit < IPC_PAGE_MAX ? limit : IPC_PAGE_MAX), reply);
	return rc || reply->status == IPC_OK ? rc : ERR_STORE;
}

/* How many there are of one delegate. */
static int count_events(struct reading *r, uint64_t *out)
{
	struct ipc_reply reply;
	int rc;
	*out = 0;
	r->after = 0;
	while (!(rc = read_page(r, IPC_PAGE_MAX, &reply)) && reply.count) {
		*out += reply.count;
		r->after = reply.events[reply.count - 1].sequence;
	}
	r->after = 0;
	return rc;
}

/* So that `last` events are behind r->after. Those of one delegate are counted first. */
static int go_back(struct reading *r, uint64_t last, uint64_t end)
{
	struct ipc_reply reply;
	uint64_t there, skip;
	r->after = end > last ? end - last : 0;
	if (!*r->name || !last)
		return OK;
	int rc = count_events(r, &there);
	for (skip = there > last ? there - last : 0; !rc && skip;) {
		rc = read_page(r, skip, &reply);
		if (rc || !reply.count)
			break;
		skip -= reply.count;
		r->after = reply.events[reply.count - 1].sequence;
	}
	return rc;
}

/* Why a page was not printed was said, or will be. */
static int say_no_more(struct reading *r)
{
	r->said = true;
	return ERR_SYSTEM;
}

static int read_last(struct reading *r)
{
	struct ipc_reply reply;
	uint64_t end;
	int rc = find_end(r, &end);
	rc = rc ? rc : go_back(r, r->options->last, end);
	for (uint64_t left = r->options->last; !rc && left; left -= reply.count) {
		rc = read_page(r, left, &reply);
		if (rc || !reply.count)
			break;
		if (print_page(r, &reply))
			return say_no_more(r);
	}
	return rc;
}

static bool told_to_stop(const struct reading *r, int ms)
{
	struct pollfd p = {.fd = r->stop, .events = POLLIN};
	return poll(&p, 1, ms) > 0;
}

/* Waits for the next ones. Of one delegate's events it is noted how far the log has been looked through, so
 * that the server need not do that again. */
static int wait_for_page(struct reading *r, struct ipc_reply *reply)
{
	uint64_t end = 0;
	int rc = *r->name ? find_end(r, &end) : OK;
	rc = rc ? rc : ask(r, IPC_FLAG_WAIT, 0, reply);
	if (!rc && reply->status == IPC_OK && !reply->count && end > r->after)
		r->after = end;
	return rc;
}

/* A server that is started again is waited for; what it noted meanwhile follows. */
static int follow(struct reading *r)
{
	struct ipc_reply reply;
	for (int failures = 0; failures < RETRIES;) {
		int rc = wait_for_page(r, &reply);
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
			return say_no_more(r);
	}
	return ERR_CLOSED;
}

/* Readable at SIGINT and SIGTERM, and when nobody reads the output any more: that would else be noticed with
 * the next event only. */
static int stop_fd(void)
{
	struct epoll_event what = {.events = EPOLLIN}, broken = {.events = 0};
	int signals = app_interrupt_open();
	int fd = signals < 0 ? -1 : epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, signals, &what))
		return -1;
	/* A file cannot be watched, and need not be. */
	(void)!epoll_ctl(fd, EPOLL_CTL_ADD, STDOUT_FILENO, &broken);
	return fd;
}

static int events(struct app_admin *a, const struct admin_options *o)
{
	struct reading r = {.admin = a,
		.options = o,
		.table = {.columns = 7,
			.room = table_terminal(),
			.heads = {"TIME (UTC)", "EVENT", "OUTCOME", "WHO", "FROM", "DELEGATE", "DETAIL"}},
		.stop = stop_fd()};
	if (o->name && !admin_full_name(a, o->name, r.name))
		return APP_FAILED;
	if (r.stop < 0) {
		fprintf(stderr, "cannot watch for signals: %s\n", strerror(errno));
		return APP_FAILED;
	}
	int rc = read_last(&r);
	if (!rc && !o->follow && !r.shown && !o->json)
		fputs("there are no events like that\n", stderr);
	if (!rc && o->follow)
		rc = follow(&r);
	table_free(&r.table);
	close(r.stop);
	if (!rc || rc == ERR_AGAIN)
		return APP_OK;
	if (!r.said)
		fprintf(stderr, "no answer from the server (%s)\n", error_text(rc));
	return APP_FAILED;
}

int cmd_events(int argc, char **argv)
{
	static const struct admin_action action = {NULL, "LmF", 0, 0, events};
	return admin_command(argc, argv, usage, &action, 1);
}
