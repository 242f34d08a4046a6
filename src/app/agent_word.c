// SPDX-License-Identifier: GPL-3.0-or-later
/* What the agent says to the supervisor, and what is done about it: the zones follow the account, and the
 * processes that speak TLS get the new certificate. The agent's words carry nothing; what they are about is
 * read from its folder, in processes that end with it. */
#include <string.h>
#include <unistd.h>

#include "app/supervisor.h"
#include "ipc/ipc.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	PACE_MS = 1000, /* between two things done for it, whatever it says */
	WORDS_PER_TURN = 64,
	PATIENCE_MS =
		5000 /* for one that was told to end: its successor waits, and so does the next reload */
};

static struct child *agent_of(const struct supervisor *s)
{
	for (struct child *c = s->children; c; c = c->next)
		if (c->role == ROLE_AGENT && c->pid && !c->leaving)
			return c;
	return NULL;
}

int agent_line(const struct supervisor *s)
{
	const struct child *c = agent_of(s);
	return c ? c->line : -1;
}

/* ---- the certificate ---- */

static void replace_certificate(struct supervisor *s, int fd)
{
	if (s->certificate >= 0)
		close(s->certificate);
	s->certificate = fd;
}

/* Those of its children that speak TLS have it from here on; the ones that leave have it too, which does not
 * matter. */
static void hand_out(const struct supervisor *s)
{
	for (const struct child *c = s->children; c; c = c->next)
		if ((c->role == ROLE_API || c->role == ROLE_DOT) && c->pid && c->line >= 0 &&
			ipc_send_channel(c->line, s->certificate, 0))
			log_debug("app", "a child is not there to take the certificate; the next one has it");
}

static void renew(struct supervisor *s)
{
	struct diag *d = diag_new();
	int fd, rc = d ? own_open_certificate(s->settings.conf, d, &fd) : ERR_NOMEM;
	if (d)
		diag_log(d, "app");
	diag_free(&d);
	if (rc) {
		log_error("app", "the new certificate is not used: %s", error_text(rc));
		return;
	}
	replace_certificate(s, fd);
	hand_out(s);
}

int agent_prepare(struct supervisor *s)
{
	const struct conf *c = s->settings.conf;
	int fd = -1;
	board_agent_wanted(s->board, c->api.tls_mode == CONF_TLS_ACME);
	if (c->api.tls_mode != CONF_TLS_ACME) {
		replace_certificate(s, -1);
		return OK;
	}
	struct diag *d = diag_new();
	int rc = d ? own_open_certificate(c, d, &fd) : ERR_NOMEM;
	if (d)
		diag_log(d, "app");
	diag_free(&d);
	if (rc == ERR_NOTFOUND || rc == ERR_INVALID) {
		rc = own_sign_certificate(c, &fd);
		if (!rc)
			log_warning("app",
				"there is no certificate for %s yet; until there is, the API shows one that it "
				"has signed itself, and clients refuse that",
				c->api.host);
	}
	if (!rc)
		replace_certificate(s, fd);
	else if (s->certificate >= 0)
		log_error("app", "the certificate cannot be read (%s); the one in use stays", error_text(rc));
	return s->certificate >= 0 ? OK : rc;
}

/* ---- the account ---- */

static bool same_account(const struct acme_state *a, const struct acme_state *b)
{
	return strcmp(a->account, b->account) == 0 &&
	       memcmp(a->identities, b->identities, sizeof a->identities) == 0;
}

static void answer(struct supervisor *s, enum agent_word word)
{
	uint8_t byte = (uint8_t)word;
	const struct child *c = agent_of(s);
	if (c && c->pid == s->agent.asks && ipc_send(c->line, &byte, 1))
		log_debug("app", "the agent is not there to hear an answer");
	s->agent.asks = 0;
}

static int rebuild(struct supervisor *s, const struct acme_state *state)
{
	struct dns_zones *zones = NULL;
	struct diag *d = diag_new();
	int rc = d ? settings_build_zones(&s->settings, state, d, &zones) : ERR_NOMEM;
	if (d) {
		settings_warn_of_ca(s->settings.conf, state, d);
		diag_log(d, "app");
	}
	diag_free(&d);
	if (rc)
		return rc;
	dns_zones_free(&s->settings.zones);
	s->settings.zones = zones;
	s->settings.own = *state;
	return OK;
}

/* Everybody but the agent, which is in the middle of something. */
static void permit(struct supervisor *s)
{
	struct acme_state state;
	own_load_state(s->settings.conf, &state);
	if (same_account(&state, &s->settings.own)) {
		answer(s, AGENT_DONE);
		return;
	}
	if (rebuild(s, &state)) {
		answer(s, AGENT_FAILED);
		return;
	}
	log_info("app", "the zones now allow the account %s to get certificates for %s",
		*state.account ? state.account : "of nobody", s->settings.conf->api.host);
	s->agent.served = s->agent.asks;
	if (supervisor_replace(s, false))
		answer(s, AGENT_FAILED);
}

/* No answer that is given from now on comes from the zones before: the last one to have them has ended, and
 * what arrives meanwhile waits in the sockets for those that have the new ones. */
static bool everybody_knows(const struct supervisor *s)
{
	for (const struct child *c = s->children; c; c = c->next)
		if ((c->role == ROLE_DNS || c->role == ROLE_DOT) && (c->leaving || !c->pid))
			return false;
	return true;
}

/* ---- the words ---- */

static void take_words(struct supervisor *s)
{
	uint8_t message[IPC_MESSAGE_MAX];
	size_t len;
	const struct child *c = agent_of(s);
	for (int i = 0; c && i < WORDS_PER_TURN && !ipc_receive(c->line, message, &len); i++) {
		s->agent.renewed |= message[0] == AGENT_RENEWED;
		if (message[0] == AGENT_PERMIT)
			s->agent.asks = c->pid;
	}
}

static bool replacing(const struct supervisor *s)
{
	for (const struct child *c = s->children; c; c = c->next)
		if (c->leaving)
			return true;
	return false;
}

/* Whom the children were replaced for may be gone by now; who asks in its place is looked at anew. */
static void end_permit(struct supervisor *s)
{
	if (s->agent.asks == s->agent.served)
		answer(s, AGENT_DONE);
	s->agent.served = 0;
}

/* It talks to the world, which may keep it from hearing. */
static void end_the_deaf(const struct supervisor *s)
{
	for (const struct child *c = s->children; c; c = c->next)
		if (c->role == ROLE_AGENT && c->leaving && c->pid &&
			c->due + PATIENCE_MS <= clock_mono_ms() && kill(c->pid, SIGKILL))
			log_debug("app", "the agent has ended by itself");
}

void agent_act(struct supervisor *s)
{
	take_words(s);
	end_the_deaf(s);
	if (s->agent.served && everybody_knows(s))
		end_permit(s);
	if (clock_mono_ms() < s->agent.due)
		return;
	if (s->agent.asks && !s->agent.served && !replacing(s)) {
		permit(s);
	} else if (s->agent.renewed) {
		s->agent.renewed = false;
		renew(s);
	} else {
		return;
	}
	s->agent.due = clock_mono_ms() + PACE_MS;
}

int64_t agent_due(const struct supervisor *s)
{
	bool asks = s->agent.asks && !s->agent.served && !replacing(s);
	int64_t due = asks || s->agent.renewed ? s->agent.due : INT64_MAX;
	for (const struct child *c = s->children; c; c = c->next)
		if (c->role == ROLE_AGENT && c->leaving && c->pid && c->due + PATIENCE_MS < due)
			due = c->due + PATIENCE_MS;
	return due;
}
