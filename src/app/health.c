// SPDX-License-Identifier: GPL-3.0-or-later
/* Are the processes there, and do they do their work? Each shows once a second that its loop turns; here it
 * is seen whose does not. */
#include <string.h>

#include "app/supervisor.h"
#include "util/clock.h"
#include "util/text.h"

/* The last time it was seen, or came into service: clock_mono_ms(). */
static int64_t last_seen(const struct board *b, unsigned place, enum role role, const struct board_child *c)
{
	int64_t beat = 0;
	if (role == ROLE_DNS || role == ROLE_DOT)
		beat = board_dns(b, place)->beat;
	else if (role == ROLE_KEEPER)
		beat = board_keeper(b, place)->beat;
	else if (role == ROLE_API)
		beat = board_api(b, place)->beat;
	else
		beat = c->pid ? clock_mono_ms() : 0; /* waits inside others' functions, and is not asked */
	return beat > c->added ? beat : c->added;
}

static enum ipc_process_state dns_state(const struct board_dns *d)
{
	return d->state == BOARD_DNS_WELL        ? IPC_PROCESS_RUNS
	       : d->state == BOARD_DNS_NO_ANSWER ? IPC_PROCESS_NO_ANSWER
						 : IPC_PROCESS_NO_STORE;
}

bool health_of_place(const struct board *b, unsigned place, struct ipc_process *out)
{
	const struct board_child c = board_child(b, place);
	unsigned index;
	enum role role = place_role(b, place, &index);
	*out = (struct ipc_process){.pid = c.pid,
		.started = c.started,
		.up = c.pid ? clock_mono_ms() - c.begun : 0,
		.since = c.started};
	if (!c.in_service)
		return false;
	place_name(b, place, out->name);
	out->confinement = board_confinement(b, place);
	int64_t silent = clock_mono_ms() - last_seen(b, place, role, &c);
	if (silent > HEALTH_PATIENCE_MS) {
		out->state = c.pid ? IPC_PROCESS_STUCK : IPC_PROCESS_MISSING;
		out->since = c.pid ? clock_wall_ms() - silent : c.changed;
	} else if (role == ROLE_DNS || role == ROLE_DOT) {
		out->state = dns_state(board_dns(b, place));
		if (out->state != IPC_PROCESS_RUNS)
			out->since = board_dns(b, place)->since;
	}
	return true;
}

const char *health_problem(void *board)
{
	const struct board *b = board;
	struct ipc_process p;
	for (unsigned i = 0; i < board_places(b); i++) {
		unsigned index;
		enum role role = place_role(b, i, &index);
		if (!health_of_place(b, i, &p) || p.state == IPC_PROCESS_RUNS)
			continue;
		if (role == ROLE_KEEPER)
			return "store_unavailable";
		if (role == ROLE_DNS || role == ROLE_DOT)
			return "dns_unavailable";
	}
	return NULL;
}

/* Both places that a process and its successors take in turn. */
static uint32_t restarts_of(const struct board *b, unsigned place)
{
	unsigned half = board_places(b) / COUNTERS_GENERATIONS;
	uint32_t all = 0;
	for (unsigned g = 0; g < COUNTERS_GENERATIONS; g++) {
		const struct board_child c = board_child(b, place % half + g * half);
		for (unsigned i = 0; i < BOARD_ENDS; i++)
			all += c.restarts[i];
	}
	return all;
}

static void list_processes(const struct board *b, bool failing, size_t *count, struct ipc_report *out)
{
	struct ipc_process p;
	for (unsigned i = 0; i < board_places(b); i++) {
		if (!health_of_place(b, i, &p) || (p.state != IPC_PROCESS_RUNS) != failing)
			continue;
		p.restarts = restarts_of(b, i);
		if (*count < IPC_PROCESSES_MAX)
			out->processes[*count] = p;
		++*count;
	}
}

void health_certificate(const struct board *b, struct ipc_certificate *out)
{
	struct acme_state acme;
	*out = (struct ipc_certificate){.acme = board_agent_read(b, &acme)};
	if (out->acme) {
		out->not_before = acme.not_before;
		out->not_after = acme.not_after;
		out->last_attempt = acme.last_attempt;
		out->last_success = acme.last_success;
		out->next_attempt = acme.next_attempt;
		out->failures = acme.failures;
		if (text_format(out->error, sizeof out->error, "%s", acme.error))
			return; /* a shortened one is good enough */
	}
	for (unsigned i = 0; !out->acme && i < board_places(b); i++) {
		unsigned index;
		if (place_role(b, i, &index) != ROLE_API || !board_child(b, i).in_service)
			continue;
		out->not_before = board_api(b, i)->not_before;
		out->not_after = board_api(b, i)->not_after;
	}
}

void health_report(const struct board *b, struct ipc_report *out)
{
	size_t count = 0;
	list_processes(b, true, &count, out);
	list_processes(b, false, &count, out);
	out->process_count = count;
	out->server_started = board_started(b);
	out->server_up = clock_mono_ms() - board_begun(b);
	health_certificate(b, &out->certificate);
}
