// SPDX-License-Identifier: GPL-3.0-or-later
/* Is the certificate usable? Asked in a process of its own, which ends with the answer: what a TLS library
 * leaves behind of a key that it has read would otherwise be inherited by every child of this process, among
 * them those that read port 53. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/internal.h"
#include "tls/tls.h"

enum { USABLE, UNUSABLE, NO_MEMORY }; /* exit status */

static _Noreturn void check(const struct conf_api *api, int to)
{
	struct diag *d = diag_new();
	int rc = d ? tls_check_certificate(api->tls_certificate, api->tls_key, d) : ERR_NOMEM;
	if (!d || rc == ERR_NOMEM || diag_send(d, to))
		_exit(NO_MEMORY);
	_exit(rc ? UNUSABLE : USABLE);
}

static int result_of(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return ERR_SYSTEM;
	if (!WIFEXITED(status))
		return ERR_SYSTEM;
	return WEXITSTATUS(status) == USABLE ? OK : WEXITSTATUS(status) == UNUSABLE ? ERR_INVALID : ERR_NOMEM;
}

int settings_check_certificate(const struct conf *c, struct diag *d)
{
	int fd[2];
	if (c->api.tls_mode != CONF_TLS_FILES)
		return OK;
	if (pipe2(fd, O_CLOEXEC))
		return ERR_SYSTEM;
	pid_t pid = fork();
	if (pid == 0)
		check(&c->api, fd[1]);
	close(fd[1]);
	int rc = pid < 0 ? ERR_SYSTEM : diag_receive(d, fd[0]);
	close(fd[0]);
	if (pid > 0) {
		int result = result_of(pid);
		rc = result ? result : rc;
	}
	return rc;
}
