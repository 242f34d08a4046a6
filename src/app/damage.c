// SPDX-License-Identifier: GPL-3.0-or-later
/* A damaged store: how it is noticed and what is said of it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/internal.h"
#include "bulk/bulk.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

enum {
	SHOWN = 50,         /* problems; more are only counted */
	PROBLEM = 512,      /* octets of one */
	AGAIN_MIN_MS = 500, /* between two checks of a store that is damaged ... */
	AGAIN_TIMES = 10,   /* ... or so many times as long as a check takes */
	NICE = 15,
	UNKNOWN_MS = 10 * 1000, /* after a check that came to no result */
	STILL_MS = 2000         /* after a death that had another cause */
};

const char damage_advice[] = "restore the last backup: \"acme-delegate restore [-c FILE] BACKUP\"";

void damage_killed(struct diag *d, const char *path, int signal_number)
{
	diag_error(d, path, 0, "the store is damaged: who reads it dies (%s); %s", strsignal(signal_number),
		damage_advice);
}

/* ---- one check ---- */

static void keep_first(void *ctx, const char *what)
{
	char *first = ctx;
	if (!*first && text_format(first, PROBLEM, "%s", what))
		memset(first, 0, PROBLEM);
}

int damage_look(const char *path, bool live, int64_t patience, struct diag *d, bool *complete)
{
	char first[PROBLEM] = "";
	struct store_checked found;
	const struct store_check check = {
		.path = path, .live = live, .patience = patience, .complain = keep_first, .ctx = first};
	int rc = store_check(&check, &found);
	*complete = rc == OK || rc == ERR_NOTFOUND;
	if (rc == ERR_STORE && found.problems > 1)
		diag_error(d, path, 0,
			"the store is damaged: %s; there is more, \"acme-delegate store check\" tells all of it; %s",
			first, damage_advice);
	else if (rc == ERR_STORE)
		diag_error(d, path, 0, "the store is damaged: %s; %s", first, damage_advice);
	/* Whatever else it is, who opens the store says it better. */
	return rc == ERR_STORE ? rc : OK;
}

/* ---- while the server runs ---- */

static _Noreturn void watch(const struct settings *s, int to, pid_t parent)
{
	bool complete;
	struct diag *d = diag_new();
	bool in_time = apart_begin(DAMAGE_CHECK_SECONDS, parent);
	prctl(PR_SET_NAME, "delegate-check", 0, 0, 0);
	if (setpriority(PRIO_PROCESS, 0, NICE))
		log_debug("app", "cannot lower the priority of the check");
	if (!d || !in_time)
		_exit(DAMAGE_UNKNOWN);
	int rc = damage_look(s->conf->store_path, true, 0, d, &complete);
	if (rc && diag_send(d, to))
		_exit(DAMAGE_UNKNOWN);
	_exit(rc ? DAMAGE_FOUND : complete ? DAMAGE_NONE : DAMAGE_UNKNOWN);
}

void damage_begin(struct damage *g, const struct settings *s)
{
	int fd[2];
	pid_t parent = getpid();
	g->due = 0;
	if (g->pid || pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		return;
	g->began = clock_mono_ms();
	g->pid = fork();
	if (g->pid == 0) {
		log_process("check");
		close(fd[0]);
		watch(s, fd[1], parent);
	}
	close(fd[1]);
	g->fd = fd[0];
	if (g->pid < 0) {
		log_warning("app", "cannot check the store: %s", strerror(errno));
		g->pid = 0;
		close(fd[0]);
	}
}

void damage_suspect(struct damage *g, int64_t now)
{
	int64_t when = now < g->not_before ? g->not_before : now;
	if (!g->pid && (!g->due || when < g->due))
		g->due = when;
}

/* What the check has said, or else how it died. */
static void tell(const struct damage *g, const struct settings *s, int status)
{
	struct diag *d = diag_new();
	if (!d)
		return;
	if (WIFSIGNALED(status))
		damage_killed(d, s->conf->store_path, WTERMSIG(status));
	else if (diag_receive(d, g->fd))
		log_debug("app", "what the check of the store has said is lost");
	diag_log(d, "app");
	diag_free(&d);
}

bool damage_ended(struct damage *g, const struct settings *s, int status)
{
	int64_t now = clock_mono_ms(), took = now - g->began;
	bool died = WIFSIGNALED(status) && damage_is_sign(status);
	bool found = died || (WIFEXITED(status) && WEXITSTATUS(status) == DAMAGE_FOUND);
	bool none = WIFEXITED(status) && WEXITSTATUS(status) == DAMAGE_NONE, was = g->damaged;
	g->pid = 0;
	if (found && !was)
		tell(g, s, status);
	close(g->fd);
	g->damaged = found || (was && !none);
	g->verified |= none;
	g->not_before = now + STILL_MS;
	if (g->damaged)
		g->due = now + (took * AGAIN_TIMES > AGAIN_MIN_MS ? took * AGAIN_TIMES : AGAIN_MIN_MS);
	else
		g->due = now + (none ? DAMAGE_CHECK_EVERY_MS : UNKNOWN_MS);
	if (g->damaged && !was)
		log_error("app",
			"updates are refused, and what only the store knows is answered with SERVFAIL, until "
			"the store is in order");
	if (was && !g->damaged)
		log_info("app", "the store is in order again");
	return was != g->damaged;
}

bool damage_is_sign(int status)
{
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status) != APP_OK;
	switch (WTERMSIG(status)) {
	case SIGSEGV:
	case SIGBUS:
	case SIGABRT:
	case SIGFPE:
	case SIGILL:
		return true;
	default:
		return false;
	}
}

/* ---- for a person ---- */

struct checking {
	const char *path;
	struct progress progress;
	unsigned shown;
};

static void show_problem(void *ctx, const char *what)
{
	struct checking *c = ctx;
	progress_clear(&c->progress);
	if (c->shown++ < SHOWN)
		fprintf(stderr, "%s: %s\n", c->path, what);
	else if (c->shown == SHOWN + 1)
		fputs("... more of them are counted, not shown\n", stderr);
}

static bool show_progress(void *ctx, uint64_t records)
{
	struct checking *c = ctx;
	progress_show(&c->progress, "records checked", "", records, 0);
	return true;
}

/* Do the records fit together? LMDB reads it, now that its pages are known to be good. */
static int check_fit(struct checking *c, struct diag *d)
{
	char why[BULK_WHY];
	struct bulk_counts counts;
	struct store *s = NULL;
	const struct bulk_watcher watcher = {.ctx = c};
	int rc = store_open(c->path, STORE_READ, d, &s);
	rc = rc ? rc : bulk_check(s, -1, &watcher, &counts, why);
	if ((rc == ERR_STORE || rc == ERR_DAMAGED) && !diag_errors(d))
		show_problem(c, why);
	store_close(&s);
	return rc == ERR_DAMAGED ? ERR_STORE : rc;
}

static int check_all(void *ctx, struct diag *d, void *reply)
{
	struct checking c = {.path = ctx, .progress = progress_begin()};
	struct store_checked *found = reply;
	const struct store_check check = {
		.path = ctx, .live = true, .complain = show_problem, .go_on = show_progress, .ctx = &c};
	int rc = store_check(&check, found);
	if (rc == ERR_NOTFOUND)
		diag_error(d, ctx, 0, "there is no store here");
	else if (rc == ERR_SYSTEM)
		diag_error(d, ctx, 0, "cannot read the store: %s", strerror(errno));
	rc = rc ? rc : check_fit(&c, d);
	progress_clear(&c.progress);
	if (rc == ERR_STORE && !diag_errors(d))
		diag_error(d, ctx, 0, "the store is damaged, in %u place%s; %s", c.shown,
			c.shown == 1 ? "" : "s", damage_advice);
	return rc;
}

int app_store_check(const char *file)
{
	struct conf *c = NULL;
	struct store_checked found;
	struct diag *d = diag_new();
	int rc = d ? app_load(file, d, &c) : ERR_NOMEM;
	rc = rc ? rc : privileges_drop_to_read(c, d);
	if (!rc) {
		const struct apart check = {.store = c->store_path,
			.body = check_all,
			.ctx = (void *)c->store_path,
			.reply = &found,
			.reply_len = sizeof found};
		rc = apart_run(&check, d);
	}
	if (d)
		diag_print(d, stderr);
	if (rc && (!d || !diag_errors(d)))
		fprintf(stderr, "cannot check the store: %s\n", error_text(rc));
	if (!rc) {
		printf("%s: in order: format %u, %llu records on %llu pages\n", c->store_path, found.format,
			(unsigned long long)found.records, (unsigned long long)found.pages);
		if (found.unsealed)
			printf("%llu records have no checksum yet; the running server gives them one\n",
				(unsigned long long)found.unsealed);
	}
	int status = !rc ? APP_OK : c ? APP_FAILED : APP_USAGE;
	conf_free(&c);
	diag_free(&d);
	return status;
}
