// SPDX-License-Identifier: GPL-3.0-or-later
/* The body of the agent, which keeps the API's certificate good. It is the only process that talks to the
 * world of its own accord, so it is trusted with little: it can set the values of one name, by asking the
 * keeper, and write its own folder. Whatever else follows from what it does is the supervisor's to look at
 * and to do. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "acme/acme.h"
#include "app/internal.h"
#include "ipc/ipc.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

enum {
	TICK_MS = 500, /* how often the channel to the keeper is looked at while an answer is awaited */
	DAY_MS = 24 * 3600 * 1000
};

struct agent {
	const char *host;
	struct ipc_client *keeper;
	struct board *board;
	int line, stop;
	uint32_t failures; /* that the log knows of */
};

/* ---- asking the keeper ---- */

struct waiting {
	bool done;
	int result;
};

static void answered(void *ctx, const struct ipc_reply *reply)
{
	struct waiting *w = ctx;
	w->done = true;
	w->result = !reply ? ERR_CLOSED : reply->status == IPC_OK ? OK : ERR_FORBIDDEN;
}

static int fill(struct ipc_request *q, const char *const *values, size_t count)
{
	*q = (struct ipc_request){.type = IPC_CHALLENGE_SET, .by = IPC_BY_AGENT};
	int rc = count > IPC_CHALLENGES_MAX ? ERR_RANGE : OK;
	for (size_t i = 0; i < count && !rc; i++)
		rc = text_format(q->challenges[i], sizeof q->challenges[i], "%s", values[i]);
	q->challenge_count = count;
	return rc;
}

/* Even if it is told to stop meanwhile, the answer is waited for: it does not take long, and what is
 * published is to be withdrawn. */
static int ask(struct agent *a, const struct ipc_request *q)
{
	struct waiting w = {.done = false};
	int rc = ipc_client_ask(a->keeper, q, clock_mono_ms(), answered, &w);
	while (!rc && !w.done) {
		struct pollfd p = {.fd = ipc_client_fd(a->keeper), .events = POLLIN};
		(void)!poll(&p, 1, TICK_MS);
		rc = ipc_client_run(a->keeper, clock_mono_ms());
	}
	return rc ? rc : w.result;
}

static int publish(void *ctx, const char *name, const char *const *values, size_t count)
{
	struct agent *a = ctx;
	struct ipc_request q;
	if (strcmp(name, a->host) != 0)
		return ERR_INVALID;
	int rc = fill(&q, values, count);
	rc = rc ? rc : ask(a, &q);
	if (rc)
		log_warning("agent", "the challenge cannot be %s: %s", count ? "published" : "withdrawn",
			rc == ERR_FORBIDDEN ? "the keeper refuses it; its log says why" : error_text(rc));
	return rc;
}

/* ---- telling the supervisor ---- */

static int say(const struct agent *a, enum agent_word word)
{
	uint8_t byte = (uint8_t)word;
	return ipc_send(a->line, &byte, 1);
}

static int hear(const struct agent *a, enum agent_word *word)
{
	uint8_t message[IPC_MESSAGE_MAX];
	size_t len;
	int rc = ipc_receive(a->line, message, &len);
	*word = rc ? AGENT_FAILED : (enum agent_word)message[0];
	return rc;
}

/* The zones are brought in line by the supervisor, which looks into the folder itself. It may take as long as
 * it takes dns workers to be replaced. */
static int permit(void *ctx, const struct acme_state *state)
{
	struct agent *a = ctx;
	enum agent_word word;
	(void)state;
	int rc = say(a, AGENT_PERMIT);
	while (!rc) {
		struct pollfd p[] = {{.fd = a->line, .events = POLLIN}, {.fd = a->stop, .events = POLLIN}};
		(void)!poll(p, 2, -1);
		if (p[1].revents)
			return ERR_CLOSED;
		rc = hear(a, &word);
		if (!rc)
			return word == AGENT_DONE ? OK : ERR_FORBIDDEN;
		if (rc == ERR_AGAIN)
			rc = OK;
	}
	return rc;
}

static void renewed(void *ctx, const struct acme_state *state)
{
	const struct agent *a = ctx;
	(void)state;
	if (say(a, AGENT_RENEWED))
		log_error("agent", "the supervisor is not there to take the new certificate");
}

/* Once for each attempt: how much time is left is what decides whether somebody must get up. */
static void say_days_left(const struct acme_state *s)
{
	int64_t left = s->not_after - clock_wall_ms();
	if (!s->not_after)
		log_error("agent",
			"there is no certificate yet: clients refuse the one the API has signed itself");
	else if (left < 0)
		log_error("agent", "the certificate has expired: clients refuse it");
	else if (left < DAY_MS)
		log_error(
			"agent", "the certificate in use expires in %lld hours", (long long)(left / 3600000));
	else
		log_error("agent", "the certificate in use is good for %lld days more",
			(long long)(left / DAY_MS));
}

static void report(void *ctx, const struct acme_state *state)
{
	struct agent *a = ctx;
	board_agent_write(a->board, state);
	if (state->failures > a->failures && *state->error)
		say_days_left(state);
	a->failures = state->failures;
}

/* ---- its life ---- */

/* Less patience, for tests: ACME_DELEGATE_TEST_HASTE is how many milliseconds stand for a first retry's
 * minute. */
static struct acme_times patience(void)
{
	const char *text = getenv("ACME_DELEGATE_TEST_HASTE");
	int64_t haste = text ? strtol(text, NULL, 10) : 0;
	if (haste <= 0)
		return (struct acme_times){0};
	return (struct acme_times){.poll = haste,
		.first_retry = haste,
		.longest_retry = 2 * haste,
		.check = haste,
		.patience = 2000,
		.wait = 10000,
		.request = 8000};
}

static int run(const struct settings *s, struct agent *a, const char *folder, const char *binding, bool fresh)
{
	const struct conf_acme *c = &s->conf->api.acme;
	const char *const names[] = {a->host};
	const struct acme_settings settings = {.directory = c->directory,
		.ca_file = c->ca_file,
		.contact = c->contact,
		.eab_key_id = c->eab_key_id,
		.eab_hmac_key = *binding ? binding : NULL,
		.preferred_chain = c->preferred_chain,
		.profile = c->profile,
		.names = names,
		.name_count = 1,
		.folder = folder,
		.fresh = fresh,
		.times = patience()};
	const struct acme_hooks hooks = {
		.ctx = a, .publish = publish, .permit = permit, .renewed = renewed, .report = report};
	return acme_run(&settings, &hooks, a->stop);
}

int agent_process_run(
	const struct settings *s, const struct board_seat *seat, int channel, int line, bool fresh, int stop)
{
	struct agent a = {.host = s->conf->api.host, .board = seat->board, .line = line, .stop = stop};
	char binding[OWN_BINDING], folder[OWN_PATH];
	struct diag *d = diag_new();
	int rc = d ? own_load_binding(s->conf, d, binding, sizeof binding) : ERR_NOMEM;
	if (d)
		diag_log(d, "agent");
	diag_free(&d);
	rc = rc ? rc : own_path(s->conf, "", folder);
	rc = rc ? rc : ipc_client_new(channel, &a.keeper);
	if (rc)
		goto out;
	rc = sandbox_enter_agent(s->conf->store_path, s->conf->api.acme.ca_file, seat);
	if (!rc) {
		board_serving(seat);
		rc = run(s, &a, folder, binding, fresh);
	}
	ipc_client_free(&a.keeper);
out:
	secure_wipe(binding, sizeof binding);
	return rc;
}
