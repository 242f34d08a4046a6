// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/internal.h"

/* Errors are small negative numbers, which an exit status can carry. */
static int result_of(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return ERR_SYSTEM;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : ERR_SYSTEM;
}

/* It reads what others may have written, so it has none of this process's sockets; the standard descriptors
 * and these two are enough. */
static void keep_two(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
	if (a < 0 || b < 0)
		low = high;
	if (low > 3)
		close_range(3, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0u, 0);
}

int apart_run(apart_job *job, apart_take *take, void *ctx, int keep)
{
	int fd[2];
	if (pipe2(fd, O_CLOEXEC))
		return ERR_SYSTEM;
	pid_t pid = fork();
	if (pid == 0) {
		keep_two(fd[1], keep);
		_exit(-job(ctx, fd[1]));
	}
	close(fd[1]);
	int taken = pid < 0 ? ERR_SYSTEM : take ? take(ctx, fd[0]) : OK;
	close(fd[0]);
	int rc = pid > 0 ? result_of(pid) : ERR_SYSTEM;
	return rc ? rc : taken;
}
