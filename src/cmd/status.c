// SPDX-License-Identifier: GPL-3.0-or-later
#include <inttypes.h>
#include <stdio.h>

#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "util/clock.h"
#include "util/text.h"

static const char usage[] = "Usage: acme-delegate status\n"
			    "\n"
			    "How the running server is, at a glance.\n"
			    "\n" ADMIN_USAGE_CONFIG "      --json         for programs\n"
			    "  -h, --help         this text\n"
			    "\n"
			    "Exit status: 0 when all is well, 1 when there is no answer or the store cannot\n"
			    "be read or written, 2 for a wrong option or configuration.\n";

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
	printf("since then    %s, %s, %s refused\n", admin_plural(r->registrations, "registration", a),
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

static void print_report(const struct ipc_report *r)
{
	char started[ADMIN_TIME], up[ADMIN_SPAN], tokens[48];
	printf("acme-delegate %s, up %s (since %s UTC)\n", r->version,
		admin_span(clock_wall_ms() - r->started, up), admin_time(r->started, started));
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
	print_counts(r);
}

static int status(struct app_admin *a, const struct admin_options *o)
{
	struct ipc_request q = {.type = IPC_STATUS};
	struct ipc_reply reply;
	int rc = admin_ask(a, &q, &reply);
	if (rc)
		return rc;
	bool writable = reply.report.store_writable;
	if (o->json)
		rc = admin_print_json(&reply);
	else
		print_report(&reply.report);
	return rc ? rc : writable ? APP_OK : APP_FAILED;
}

int cmd_status(int argc, char **argv)
{
	static const struct admin_action action = {NULL, "", 0, 0, status};
	return admin_command(argc, argv, usage, &action, 1);
}
