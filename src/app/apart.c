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

int apart_run(apart_job *job, apart_take *take, void *ctx)
{
	int fd[2];
	if (pipe2(fd, O_CLOEXEC))
		return ERR_SYSTEM;
	pid_t pid = fork();
	if (pid == 0)
		_exit(-job(ctx, fd[1]));
	close(fd[1]);
	int taken = pid < 0 ? ERR_SYSTEM : take ? take(ctx, fd[0]) : OK;
	close(fd[0]);
	int rc = pid > 0 ? result_of(pid) : ERR_SYSTEM;
	return rc ? rc : taken;
}
