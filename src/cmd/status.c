// SPDX-License-Identifier: GPL-3.0-or-later
#include <inttypes.h>
#include <stdio.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "cmd/table.h"
#include "util/clock.h"
#include "util/text.h"

static const char usage[] =
	"Usage: acme-delegate status\n"
	"\n"
	"How the running server is, at a glance.\n"
	"\n" ADMIN_USAGE_CONFIG "      --json         for programs\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0 when all is well; 1 when there is no answer or something is wrong\n"
	"(the store cannot be written, a process is missing or stuck, the certificate of\n"
	"the API is about to expire); 2 for a wrong option or configuration.\n";

static void print_size(uint64_t bytes)
{
	if (bytes < 10u << 20)
		printf("%" PRIu64 " KiB", bytes >> 10);
	else
		printf("%" PRIu64 " MiB", bytes >> 20);
}

static void print_counts(const struct ipc_report *r)
{
	char a[48], b[48], c[48];
	printf("requests      %s, %s, %s refused\n", admin_plural(r->registrations, "registration", a),
		admin_plural(r->changes, "change", b), admin_plural(r->refusals, "request", c));
	if (r->waiting_bcrypt)
		printf("waiting       %s of keys imported from acme-dns\n",
			admin_plural(r->waiting_bcrypt, "check", a));
	printf("queries       %" PRIu64 " over UDP, %" PRIu64 " TCP, %" PRIu64 " TLS; %" PRIu64
	       " dropped, %" PRIu64 " answers limited\n",
		r->queries_udp, r->queries_tcp, r->queries_tls, r->queries_dropped, r->replies_limited);
	printf("evidence      %" PRIu64 " noted", r->evidence);
	printf(r->evidence_lost ? ", %" PRIu64 " not\n" : "\n", r->evidence_lost);
	printf("events        %" PRIu64 " kept\n", r->events_last ? r->events_last - r->events_first + 1 : 0);
}

/* What is wrong comes first, and says what to do. */
static void print_health(const struct ipc_report *r)
{
	struct api_check checks[API_CHECKS_MAX];
	size_t count = api_checks(r, clock_wall_ms(), checks), failing = api_checks_failing(checks, count);
	char since[ADMIN_TIME], wrong[48];
	if (!failing) {
		puts("all is well");
		return;
	}
	printf("NOT WELL: %s wrong\n", failing == 1 ? "1 thing is" : admin_plural(failing, "thing", wrong));
	for (size_t i = 0; i < count; i++) {
		if (checks[i].ok)
			continue;
		printf("  %-11s since %s: ", checks[i].name, admin_time(checks[i].since, since));
		print_text(checks[i].message, stdout);
		putchar('\n');
	}
}

static void print_acme(const struct ipc_certificate *c)
{
	char time[ADMIN_TIME];
	if (c->last_success)
		printf("              got %s", admin_time(c->last_success, time));
	else
		printf("              never got one");
	printf(", next attempt %s\n", admin_time(c->next_attempt, time));
	if (!c->failures)
		return;
	printf("              %" PRIu32 " failed in a row, last %s: ", c->failures,
		admin_time(c->last_attempt, time));
	print_text(c->error, stdout);
	putchar('\n');
}

static void print_certificate(const struct ipc_report *r)
{
	const struct ipc_certificate *c = &r->certificate;
	char date[ADMIN_TIME], left[ADMIN_SPAN];
	int64_t now = clock_wall_ms();
	if (!r->tls)
		return;
	printf("certificate   ");
	if (!c->not_after)
		puts("none");
	else if (c->not_after <= now)
		printf("EXPIRED on %s\n", admin_date(c->not_after, date));
	else
		printf("%s left, until %s\n", admin_span(c->not_after - now, left),
			admin_date(c->not_after, date));
	if (c->acme)
		print_acme(c);
}

/* "files, calls"; "all" is shorter than all of them, and what one likes to see. */
static void confinement_words(uint32_t bits, char *out, size_t cap)
{
	const uint32_t all = (1u << API_CONFINEMENTS) - 1;
	size_t len = 0;
	table_set(out, "%s", (bits & all) == all ? "all" : "");
	for (unsigned i = 0; i < API_CONFINEMENTS && (bits & all) != all; i++)
		if (bits & 1u << i && len < cap)
			len += (size_t)snprintf(
				out + len, cap - len, "%s%s", len ? ", " : "", api_confinement_words[i]);
}

/* Returns the exit status: no memory for all of them. */
static int print_processes(const struct ipc_report *r)
{
	struct table t = {.columns = 6,
		.spare = 1,
		.room = table_terminal(),
		.heads = {"PROCESS", "STATE", "PID", "UP", "RESTARTS", "CONFINED"}};
	char up[ADMIN_SPAN];
	int status = APP_OK;
	for (size_t i = 0; i < r->process_count && i < IPC_PROCESSES_MAX; i++) {
		const struct ipc_process *p = &r->processes[i];
		char(*row)[TABLE_CELL] = table_row(&t);
		if (!row) {
			status = APP_FAILED;
			break;
		}
		table_set(row[0], "%s", p->name);
		table_set(row[1], "%s", api_process_state_word(p->state));
		table_set(row[2], p->pid ? "%" PRIu32 : "-", p->pid);
		table_set(row[3], "%s", p->pid ? admin_span(p->up, up) : "-");
		table_set(row[4], "%" PRIu32, p->restarts);
		confinement_words(p->confinement, row[5], TABLE_CELL);
	}
	if (t.rows)
		putchar('\n');
	table_print(&t, stdout);
	table_free(&t);
	if (r->process_count > IPC_PROCESSES_MAX)
		printf("and %" PRIu64 " more, which are running\n", r->process_count - IPC_PROCESSES_MAX);
	return status;
}

static int print_report(const struct ipc_report *r)
{
	char started[ADMIN_TIME], up[ADMIN_SPAN], tokens[48];
	printf("acme-delegate %s, up %s (since %s UTC)\n", r->version, admin_span(r->server_up, up),
		admin_time(r->server_started, started));
	print_health(r);
	putchar('\n');
	for (size_t i = 0; i < r->zone_count && i < IPC_PAGE_MAX; i++)
		printf("zone          %s\n", r->zones[i]);
	if (r->zone_count > IPC_PAGE_MAX)
		printf("              and %zu more\n", r->zone_count - IPC_PAGE_MAX);
	printf("delegates     %" PRIu64 "\n", r->delegates);
	printf("registration  %s, %s\n", api_registration_word(r->registration),
		admin_plural(r->tokens, "token", tokens));
	printf("store         ");
	print_size(r->store_bytes);
	printf(r->store_writable ? ", in order\n"
				 : ", CANNOT BE WRITTEN: updates are refused, see the log\n");
	printf("index         ");
	print_size(r->index_bytes);
	printf(r->index_in_service ? ", in service\n"
				   : ", not in service: DNS reads the store, which is slower\n");
	print_certificate(r);
	print_counts(r);
	return print_processes(r);
}

static bool all_is_well(const struct ipc_report *r)
{
	struct api_check checks[API_CHECKS_MAX];
	return !api_checks_failing(checks, api_checks(r, clock_wall_ms(), checks));
}

static int status(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_STATUS};
	struct ipc_reply reply;
	int rc = admin_ask(a, &q, &reply);
	if (rc)
		return rc;
	bool well = all_is_well(&reply.report);
	rc = o->json ? admin_print_json(&reply) : print_report(&reply.report);
	return rc ? rc : well ? APP_OK : APP_FAILED;
}

int cmd_status(int argc, char **argv)
{
	static const struct admin_action action = {NULL, "", 0, 0, status};
	return admin_command(argc, argv, usage, &action, 1);
}
