// SPDX-License-Identifier: GPL-3.0-or-later
/* Work in a process of its own: whoever reads a damaged store may die of it, and what a library leaves behind
 * in memory of a key that it has read would otherwise be inherited by every child of this process. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/internal.h"

static int write_all(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, (const char *)data + at, len - at);
		if (n < 0 && errno != EINTR)
			return ERR_SYSTEM;
		at += n > 0 ? (size_t)n : 0;
	}
	return OK;
}

/* False: the end came first. */
static bool read_all(int fd, void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = read(fd, (char *)data + at, len - at);
		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		at += n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* It reads what others may have written, so it has none of this process's sockets: the standard descriptors
 * and these two are enough. */
static void keep_two(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
	if (low > 3)
		close_range(3, low - 1, 0);
	if (high > low + 1)
		close_range(low > 2 ? low + 1 : 3, high - 1, 0);
	close_range(high + 1, ~0u, 0);
}

bool apart_begin(unsigned seconds, pid_t parent)
{
	/* What never ends is damage, too. */
	signal(SIGALRM, SIG_DFL);
	alarm(seconds);
	return !prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) && getppid() == parent;
}

static _Noreturn void work(const struct apart *a, int to, pid_t parent)
{
	struct diag *d = diag_new();
	if (!d || !apart_begin(a->seconds, parent))
		_exit(APP_FAILED);
	int rc = a->body(a->ctx, d, a->reply);
	int sent = write_all(to, &rc, sizeof rc);
	sent = sent ? sent : write_all(to, a->reply, a->reply_len);
	sent = sent ? sent : diag_send(d, to);
	_exit(sent ? APP_FAILED : APP_OK);
}

static int reap(pid_t pid, int *status)
{
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return ERR_SYSTEM;
	return OK;
}

/* How it died, if it has not answered. */
static int explain_death(const struct apart *a, int status, struct diag *d)
{
	if (!WIFSIGNALED(status))
		return ERR_SYSTEM;
	int signal_number = WTERMSIG(status);
	if (!a->store || signal_number == SIGKILL || signal_number == SIGTERM || signal_number == SIGINT)
		return ERR_SYSTEM;
	if (signal_number == SIGALRM)
		diag_error(d, a->store, 0, "the store is damaged: reading it comes to no end; %s",
			damage_advice);
	else
		damage_killed(d, a->store, signal_number);
	return ERR_STORE;
}

int apart_run(const struct apart *a, struct diag *d)
{
	int fd[2], rc, status;
	pid_t parent = getpid();
	if (pipe2(fd, O_CLOEXEC))
		return ERR_SYSTEM;
	pid_t pid = fork();
	if (pid == 0) {
		close(fd[0]);
		keep_two(fd[1], a->keep > 0 ? a->keep : STDERR_FILENO);
		work(a, fd[1], parent);
	}
	close(fd[1]);
	bool answered = pid > 0 && read_all(fd[0], &rc, sizeof rc) && read_all(fd[0], a->reply, a->reply_len);
	int told = answered ? diag_receive(d, fd[0]) : OK;
	close(fd[0]);
	if (pid < 0)
		return ERR_SYSTEM;
	int reaped = reap(pid, &status);
	if (!answered)
		return reaped ? reaped : explain_death(a, status, d);
	return rc ? rc : told ? told : reaped;
}
