// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "app/internal.h"
#include "util/log.h"
#include "util/text.h"

int store_lock(const struct conf *c, struct diag *d, int *fd)
{
	char path[4096], owner[32] = "";
	if (text_format(path, sizeof path, "%s/serve.lock", c->store_path))
		return ERR_RANGE;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0) {
		diag_error(d, c->store_path, 0, "cannot write to the store's folder: %s", strerror(errno));
		return ERR_SYSTEM;
	}
	if (flock(*fd, LOCK_EX | LOCK_NB)) {
		ssize_t n = pread(*fd, owner, sizeof owner - 1, 0);
		owner[n > 0 ? strcspn(owner, "\n") : 0] = 0;
		diag_error(d, c->store_path, 0,
			"the store is in use by another acme-delegate%s%s; stop it first",
			*owner ? ", process " : "", owner);
		return ERR_BUSY;
	}
	if (ftruncate(*fd, 0) || dprintf(*fd, "%d\n", (int)getpid()) < 0)
		log_debug("app", "cannot note the process in %s",
			path); /* a full disk must not keep DNS from starting */
	return OK;
}
