// SPDX-License-Identifier: GPL-3.0-or-later
/* The parent of all: it starts the children, starts those again that end, replaces them on SIGHUP and ends
 * them in order. It reads nothing from the network, and after the start has no privileges either; what it
 * keeps for its children are the sockets. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/supervisor.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

enum {
	STEADY_MS = 200,      /* who lived that long is started again at once */
	RESTART_MS = 100,     /* others after this, doubled for each quick death ... */
	RESTART_MAX_MS = 800, /* ... up to this: a child shall be back within a second */
	VERDICT_MS = 1000,    /* for a check of the store, before the keeper opens it again */
	STOP_MS = 12 * 1000,  /* for an orderly stop; then SIGKILL */
	AGENT_STOP_MS = 3000, /* of which the agent has as much before the keeper goes */
	READY_POLL_MS = 10 /* how often it is looked whether all children serve, if somebody waits for it */
};

/* ---- starting ---- */

static void delay_start(struct child *c, int64_t now)
{
	int64_t wait = RESTART_MS;
	for (unsigned i = 0; i < c->quick_deaths && wait < RESTART_MAX_MS; i++)
		wait *= 2;
	c->quick_deaths++;
	c->due = now + wait;
}

static unsigned place_of(const struct supervisor *s, const struct child *c)
{
	return child_place(s, c->role, c->index, c->generation);
}

static void start_child(struct supervisor *s, struct child *c)
{
	int64_t now = clock_mono_ms();
	c->started = now;
	if (child_start(s, c)) {
		delay_start(c, now);
		board_child_ended(s->board, place_of(s, c), BOARD_END_FORK, clock_wall_ms());
	} else if (s->child_status < 0) {
		board_child_started(s->board, place_of(s, c), (uint32_t)c->pid, clock_wall_ms(), now);
	}
}

static bool running(const struct supervisor *s, enum role role)
{
	for (const struct child *c = s->children; c; c = c->next)
		if (c->role == role && c->pid)
			return true;
	return false;
}

static bool may_start(const struct supervisor *s, const struct child *c, int64_t now)
{
	if (c->pid || c->leaving || c->due > now)
		return false;
	/* The store has one writer, and so has the agent's folder: these wait for the end of their
	 * predecessors. */
	return (c->role != ROLE_KEEPER && c->role != ROLE_AGENT) || !running(s, c->role);
}

/* Starts whoever is due. In a child it returns at once, with child_status set. */
static void start_due(struct supervisor *s)
{
	int64_t now = clock_mono_ms();
	for (struct child *c = s->children; c && s->child_status < 0; c = c->next)
		if (may_start(s, c, now))
			start_child(s, c);
}

static int add_child(struct supervisor *s, enum role role, unsigned index)
{
	struct child *c = calloc(1, sizeof *c), **last = &s->children;
	if (!c)
		return ERR_NOMEM;
	c->role = role;
	c->index = index;
	c->generation = s->generation;
	c->channel = c->line = -1;
	while (*last)
		last = &(*last)->next;
	*last = c;
	board_child_added(s->board, place_of(s, c), clock_mono_ms());
	return OK;
}

/* ---- ending ---- */

static void tell(const struct supervisor *s, struct child *c, int signal_number)
{
	board_child_leaves(s->board, place_of(s, c));
	if (!c->leaving)
		c->due = clock_mono_ms();
	c->leaving = true;
	if (c->pid && kill(c->pid, signal_number))
		log_debug("app", "child %d is gone already", (int)c->pid);
}

static bool any_running(const struct supervisor *s)
{
	for (const struct child *c = s->children; c; c = c->next)
		if (c->pid)
			return true;
	return false;
}

static void tell_role(struct supervisor *s, enum role role)
{
	for (struct child *c = s->children; c; c = c->next)
		if (c->role == role && !c->leaving)
			tell(s, c, CHILD_STOP_SIGNAL);
}

/* The agent may be in the middle of something with the world, which is not waited for long. */
static bool askers_have_ended(const struct supervisor *s)
{
	bool patient = clock_mono_ms() < s->stop_deadline - STOP_MS + AGENT_STOP_MS;
	return !running(s, ROLE_API) && !(patient && running(s, ROLE_AGENT));
}

/* The api and the agent go first, because the requests they still have need the keeper. */
static void stop_in_order(struct supervisor *s)
{
	tell_role(s, ROLE_AGENT);
	tell_role(s, ROLE_API);
	if (askers_have_ended(s)) {
		tell_role(s, ROLE_KEEPER);
		tell_role(s, ROLE_DNS);
		tell_role(s, ROLE_DOT);
	}
	if (clock_mono_ms() < s->stop_deadline)
		return;
	for (struct child *c = s->children; c; c = c->next)
		tell(s, c, SIGKILL);
}

static void begin_stop(struct supervisor *s)
{
	if (s->stopping) /* asked twice: no more patience */
		s->stop_deadline = 0;
	else
		s->stop_deadline = clock_mono_ms() + STOP_MS;
	log_info("app", s->stopping ? "stopping at once" : "stopping");
	notify_stopping(&s->notify);
	s->stopping = true;
}

static void remove_child(struct supervisor *s, const struct child *gone)
{
	for (struct child **c = &s->children; *c; c = &(*c)->next) {
		if (*c != gone)
			continue;
		struct child *next = (*c)->next;
		free(*c);
		*c = next;
		return;
	}
}

static void report_end(const struct child *c, int status)
{
	char name[16];
	child_name(c, name);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		log_error("app",
			"%s (pid %d) made a forbidden system call and was ended; starting it again. Please report "
			"this: the kernel's log (journalctl -k, dmesg) has the call's number as \"syscall=\"",
			name, (int)c->pid);
	else if (WIFSIGNALED(status))
		log_error("app", "%s (pid %d) was ended by signal %d (%s); starting it again", name,
			(int)c->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_error("app", "%s (pid %d) ended with status %d; starting it again", name, (int)c->pid,
			WEXITSTATUS(status));
}

static void child_ended(struct supervisor *s, struct child *c, int status)
{
	int64_t now = clock_mono_ms();
	if (!c->leaving)
		report_end(c, status);
	if (c->role != ROLE_API && c->role != ROLE_AGENT && damage_is_sign(status))
		damage_suspect(&s->damage, now);
	c->pid = 0;
	child_close(c);
	board_child_ended(s->board, place_of(s, c), WIFSIGNALED(status) ? BOARD_END_SIGNAL : BOARD_END_EXIT,
		clock_wall_ms());
	if (c->leaving) {
		remove_child(s, c);
		return;
	}
	c->again = true;
	c->due = now;
	if (now - c->started < STEADY_MS)
		delay_start(c, now);
	else
		c->quick_deaths = 0;
	/* What a damaged store says must not get into the index: so the verdict first, if it comes soon. */
	if (c->role == ROLE_KEEPER && damage_is_sign(status) && c->due < now + VERDICT_MS)
		c->due = now + VERDICT_MS;
}

static void start_now(struct supervisor *s, enum role role)
{
	int64_t now = clock_mono_ms();
	for (struct child *c = s->children; c; c = c->next)
		if (c->role == role && !c->pid && c->due > now)
			c->due = now;
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->damage.pid) {
			s->damage_changed |= damage_ended(&s->damage, &s->settings, status);
			start_now(s, ROLE_KEEPER);
			continue;
		}
		for (struct child *c = s->children; c; c = c->next)
			if (c->pid == pid) {
				child_ended(s, c, status);
				break;
			}
	}
}

/* ---- reloading ---- */

static bool reload_under_way(const struct supervisor *s)
{
	for (const struct child *c = s->children; c; c = c->next)
		if (c->leaving)
			return true;
	return false;
}

static int load_next(struct supervisor *s, struct settings *next, struct diag *d)
{
	int rc = app_load(s->file, d, &next->conf);
	rc = rc ? rc : settings_check_certificate(next->conf, d);
	rc = rc ? rc : own_check_files(next->conf, d);
	rc = rc ? rc : settings_load_cookies(next, &s->settings, d);
	rc = rc ? rc : settings_load_operator(next, d);
	rc = rc ? rc : settings_check_reload(&s->settings, next, d);
	return rc ? rc : settings_bind_store(next, false, d);
}

/* Every child is replaced by one with the new settings: the new one starts, the old one finishes what it has.
 * Only the keeper's successor waits for its predecessor's end (start_due sees to it), because the store has
 * one writer. */
int supervisor_replace(struct supervisor *s, bool agent_too)
{
	for (struct child *c = s->children, *next; c; c = next) {
		next = c->next;
		if (c->role == ROLE_AGENT && !agent_too)
			continue;
		if (!c->pid)
			board_child_leaves(s->board, place_of(s, c));
		if (!c->pid)
			remove_child(s, c); /* not started (again) yet: nobody to wait for */
		else if (!c->leaving)
			tell(s, c, CHILD_STOP_SIGNAL);
	}
	s->generation++;
	int rc = add_child(s, ROLE_KEEPER, 0);
	for (unsigned i = 0; !rc && i < s->sockets->workers; i++)
		rc = add_child(s, ROLE_DNS, i);
	if (!rc && s->sockets->dot_count)
		rc = add_child(s, ROLE_DOT, 0);
	if (!rc && agent_too && s->settings.conf->api.tls_mode == CONF_TLS_ACME)
		rc = add_child(s, ROLE_AGENT, 0);
	return rc ? rc : add_child(s, ROLE_API, 0);
}

static void reload(struct supervisor *s)
{
	notify_reloading(&s->notify);
	struct settings next = {.conf = NULL, .clock_origin = s->settings.clock_origin};
	struct diag *d = diag_new();
	int rc = d ? load_next(s, &next, d) : ERR_NOMEM;
	if (d)
		diag_log(d, "app");
	if (rc) {
		log_error("app", "the new configuration is not used (%s); the old one stays in force",
			error_text(rc));
		notify_ready(&s->notify, "The new configuration is bad; the old one stays in force");
		settings_free(&next);
	} else {
		struct settings old = s->settings;
		s->settings = next;
		settings_free(&old);
		log_setup(next.conf->log_level, next.conf->log_format);
		board_reloaded(s->board);
		log_info("app", "new configuration in force");
		if (agent_prepare(s) || supervisor_replace(s, true))
			begin_stop(s);
	}
	diag_free(&d);
}

/* ---- a damaged store ---- */

/* Who reads the store leaves it alone from here on, or does not any more. */
static void tell_of_damage(struct supervisor *s)
{
	s->damage_changed = false;
	if (supervisor_replace(s, false))
		begin_stop(s);
}

/* ---- the loop ---- */

static void take_signals(struct supervisor *s, bool *hangup)
{
	struct signalfd_siginfo info;
	while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGHUP)
			*hangup = true;
		else if (info.ssi_signo != SIGCHLD)
			begin_stop(s);
	}
}

static int next_wait(const struct supervisor *s)
{
	int64_t now = clock_mono_ms(), wait = s->stopping ? 100 : 60 * 1000;
	for (const struct child *c = s->children; c; c = c->next)
		if (may_start(s, c, INT64_MAX) && c->due - now < wait)
			wait = c->due - now; /* may be past: it came due after start_due() looked */
	if (s->damage.due && !s->stopping && s->damage.due - now < wait)
		wait = s->damage.due - now;
	if (agent_due(s) - now < wait)
		wait = agent_due(s) - now;
	return wait < 0 ? 0 : (int)wait;
}

static bool all_serve(const struct supervisor *s)
{
	for (const struct child *c = s->children; c; c = c->next)
		if (!c->leaving && (!c->pid || !board_serves(s->board,
						       child_place(s, c->role, c->index, c->generation))))
			return false;
	return true;
}

/* Says what there is to say to the service manager. Returns how long to wait until there may be more. */
static int keep_informed(struct supervisor *s, int wait)
{
	char status[128];
	if (s->notify.fd < 0)
		return wait;
	if (!s->notify.ready && all_serve(s) &&
		!text_format(status, sizeof status, "Serving %zu zone%s", s->settings.conf->zone_count,
			s->settings.conf->zone_count == 1 ? "" : "s"))
		notify_ready(&s->notify, status);
	if (!s->notify.ready && wait > READY_POLL_MS)
		wait = READY_POLL_MS;
	return (int)notify_alive(&s->notify, clock_mono_ms(), wait);
}

/* ERR_SYSTEM: it cannot wait, so it could only turn round and round; its children end with it. */
static int loop(struct supervisor *s)
{
	bool hangup = false;
	start_due(s);
	while (s->child_status < 0 && (!s->stopping || any_running(s))) {
		struct pollfd p[] = {
			{.fd = s->signal_fd, .events = POLLIN}, {.fd = agent_line(s), .events = POLLIN}};
		if (poll(p, 2, keep_informed(s, next_wait(s))) < 0 && errno != EINTR)
			return ERR_SYSTEM;
		take_signals(s, &hangup);
		log_catch_up(false);
		reap(s);
		if (s->stopping) {
			stop_in_order(s);
			continue;
		}
		if (s->damage.due && s->damage.due <= clock_mono_ms())
			damage_begin(&s->damage, &s->settings);
		if (s->damage_changed && !reload_under_way(s)) {
			tell_of_damage(s);
		} else if (hangup && !reload_under_way(s)) {
			hangup = false;
			reload(s);
		}
		start_due(s);
		if (s->child_status < 0)
			agent_act(s);
	}
	return OK;
}

static int catch_signals(struct supervisor *s)
{
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGCHLD);
	sigset_t blocked = mask;
	sigaddset(&blocked, CHILD_STOP_SIGNAL);
	if (sigprocmask(SIG_BLOCK, &blocked, NULL))
		return ERR_SYSTEM;
	s->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? ERR_SYSTEM : OK;
}

/* As a reload cannot change these, it holds for all children, too. */
static int confine(const struct supervisor *s)
{
	const struct conf *c = s->settings.conf;
	int rc = sandbox_enter_supervisor(c->store_path, s->sockets->admin.fd < 0 ? NULL : c->admin.socket);
	if (rc)
		log_error("app", "cannot give up what is not needed: %s", strerror(errno));
	else
		sandbox_report();
	return rc;
}

int supervisor_run(const char *file, struct settings *settings, const struct sockets *k)
{
	struct supervisor s = {.file = file,
		.settings = *settings,
		.sockets = k,
		.signal_fd = -1,
		.control = -1,
		.certificate = -1,
		.damage = {.verified = settings->store_verified, .fd = -1},
		.child_status = -1};
	/* At once if it was too much for the start. */
	s.damage.due = clock_mono_ms() + (s.damage.verified ? DAMAGE_CHECK_EVERY_MS : 0);
	*settings = (struct settings){.conf = NULL};
	log_process("supervisor");
	int rc = catch_signals(&s);
	notify_begin(&s.notify);
	if (delegate_index_new(0, &s.index))
		log_warning("app",
			"no shared memory for the index: answers come from the store, which is slower");
	rc = rc ? rc : witness_new(COUNTERS_GENERATIONS * (k->workers + 1), &s.witness);
	rc = rc ? rc : board_new(child_places(&s), &s.board);
	if (!rc)
		board_start(s.board, clock_wall_ms(), clock_mono_ms());
	rc = rc ? rc : confine(&s);
	rc = rc ? rc : agent_prepare(&s);
	rc = rc ? rc : supervisor_replace(&s, true);
	if (rc)
		log_error("app", "cannot start: %s", error_text(rc));
	else if ((rc = loop(&s)))
		log_error("app", "cannot go on: poll: %s", strerror(errno));
	/* A child comes by here too and frees its copies; descriptors it closed itself are closed twice,
	 * harmlessly, as it opens nothing any more. */
	while (s.children)
		remove_child(&s, s.children);
	if (s.child_status < 0)
		operator_unlink(s.settings.conf, &k->admin);
	settings_free(&s.settings);
	delegate_index_free(&s.index);
	witness_free(&s.witness);
	board_free(&s.board);
	if (s.child_status >= 0)
		return s.child_status;
	notify_end(&s.notify);
	if (s.control >= 0)
		close(s.control);
	if (s.certificate >= 0)
		close(s.certificate);
	if (s.signal_fd >= 0)
		close(s.signal_fd);
	log_info("app", "stopped");
	log_catch_up(true);
	return rc ? APP_FAILED : APP_OK;
}
