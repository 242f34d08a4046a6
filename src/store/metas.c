// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/internal.h"

static int write_again(int fd, void *bytes, size_t len)
{
	ssize_t n = pread(fd, bytes, len, 0);
	if (n >= 0 && (size_t)n == len)
		n = pwrite(fd, bytes, len, 0);
	if (n < 0)
		return errno;
	if ((size_t)n != len)
		return EIO;
	return fdatasync(fd) ? errno : 0;
}

int store_metas_write_again(MDB_env *env)
{
	mdb_filehandle_t fd;
	MDB_stat stat;
	int code = mdb_env_get_fd(env, &fd);
	code = code ? code : mdb_env_stat(env, &stat);
	if (code)
		return code;
	size_t len = 2 * (size_t)stat.ms_psize;
	void *bytes = malloc(len);
	code = bytes ? write_again(fd, bytes, len) : ENOMEM;
	free(bytes);
	/* Where that needs room, on a filesystem that copies on write, there will be no commit either; but
	 * what is there can be served. */
	return code == ENOSPC || code == EDQUOT ? 0 : code;
}
