// SPDX-License-Identifier: GPL-3.0-or-later
/* Reading a small file that holds a secret. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/internal.h"

static int read_error(struct diag *d, const char *key, const char *path)
{
	diag_error(d, path, 0, "%s cannot be read: %s", key, strerror(errno));
	return ERR_SYSTEM;
}

/* Whoever knows it can pass for somebody else, so others of this machine must not. */
static int check_file(int fd, const char *key, const char *path, struct diag *d)
{
	struct stat st;
	if (fstat(fd, &st))
		return read_error(d, key, path);
	if (!S_ISREG(st.st_mode)) {
		diag_error(d, path, 0, "%s is not a file", key);
		return ERR_INVALID;
	}
	if (st.st_mode & (S_IROTH | S_IWOTH)) {
		diag_error(d, path, 0, "%s is open to everybody; use: chmod o= %s", key, path);
		return ERR_INVALID;
	}
	return OK;
}

int secret_file_read(const char *key, const char *path, struct diag *d, char *text, size_t cap, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return read_error(d, key, path);
	int rc = check_file(fd, key, path, d);
	ssize_t n = 0;
	for (*len = 0; !rc && *len < cap; *len += (size_t)n) {
		n = read(fd, text + *len, cap - *len);
		if (n < 0)
			rc = read_error(d, key, path);
		if (n <= 0)
			break;
	}
	close(fd);
	return rc;
}
