// SPDX-License-Identifier: GPL-3.0-or-later
#include "acme/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/secure.h"
#include "util/text.h"

static int read_all(int fd, char *text, size_t size, size_t *len)
{
	while (*len < size) {
		ssize_t n = read(fd, text + *len, size - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	text[*len] = 0;
	return OK;
}

static int read_open(int fd, char **out, size_t *len)
{
	struct stat st;
	if (fstat(fd, &st))
		return ERR_SYSTEM;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return ERR_RANGE;
	*out = calloc(1, (size_t)st.st_size + 1);
	if (!*out)
		return ERR_NOMEM;
	int rc = read_all(fd, *out, (size_t)st.st_size, len);
	/* What follows a NUL would be seen by some and not by others. */
	if (!rc && memchr(*out, 0, *len))
		rc = ERR_RANGE;
	if (rc)
		file_free(out);
	return rc;
}

int file_read(int folder, const char *name, char **out, size_t *len)
{
	*out = NULL;
	*len = 0;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_SYSTEM;
	int rc = read_open(fd, out, len);
	int saved = errno;
	(void)close(fd);
	errno = saved;
	return rc;
}

void file_free(char **text)
{
	if (!*text)
		return;
	secure_wipe(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

static int write_all(int fd, const char *text)
{
	for (size_t left = strlen(text); left;) {
		ssize_t n = write(fd, text, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		text += n;
		left -= (size_t)n;
	}
	return fsync(fd) ? ERR_SYSTEM : OK;
}

/* A new file of that name, durable; one that a process which died has left is in nobody's way. */
static int write_new(int folder, const char *name, const char *text)
{
	if (unlinkat(folder, name, 0) && errno != ENOENT)
		return ERR_SYSTEM;
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ERR_SYSTEM;
	int rc = write_all(fd, text);
	int saved = errno;
	/* Some file systems (NFS) tell only now that there was no room. */
	if (close(fd) && !rc)
		rc = ERR_SYSTEM;
	else
		errno = saved;
	return rc;
}

int file_write(int folder, const char *name, const char *text)
{
	char temporary[ACME_TEXT];
	if (text_format(temporary, sizeof temporary, "%s.new", name)) {
		errno = ENAMETOOLONG;
		return ERR_SYSTEM;
	}
	int rc = write_new(folder, temporary, text);
	if (!rc && renameat(folder, temporary, folder, name))
		rc = ERR_SYSTEM;
	/* So that the name is durable, too. */
	if (!rc && fsync(folder))
		rc = ERR_SYSTEM;
	if (rc) {
		int saved = errno;
		(void)unlinkat(folder, temporary, 0);
		errno = saved;
	}
	return rc && (errno == ENOSPC || errno == EDQUOT) ? ERR_FULL : rc;
}
