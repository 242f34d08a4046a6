// SPDX-License-Identifier: GPL-3.0-or-later
/* A child opens the store and writes its image into a pipe; this process puts it through a digest and writes
 * it to its place. So what LMDB meets, and what the disk of the copy does, stay apart. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/internal.h"
#include "util/cursor.h"
#include "util/secure.h"
#include "util/text.h"

enum { BLOCK = 1 << 16 };

int backup_write(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, (const char *)data + at, len - at);
		if (n < 0 && errno != EINTR)
			return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_FULL : ERR_SYSTEM;
		at += n > 0 ? (size_t)n : 0;
	}
	return OK;
}

/* The child: the image into the pipe. Returns the exit status. */
static int write_image(const struct conf *c, struct diag *d, int pipe_end)
{
	struct store *s = NULL;
	int rc = privileges_drop_to_read(c, d);
	rc = rc ? rc : store_open(c->store_path, STORE_READ, d, &s);
	if (rc == ERR_NOTFOUND && !diag_errors(d))
		diag_error(d, c->store_path, 0, "there is no store here");
	if (!rc) {
		rc = store_copy(s, pipe_end);
		if (rc && rc != ERR_SYSTEM) /* who broke the pipe says why */
			diag_error(d, c->store_path, 0, "cannot read the store: %s", error_text(rc));
	}
	store_close(&s);
	diag_print(d, stderr);
	return rc ? APP_FAILED : APP_OK;
}

static int write_trailer(int fd, uint64_t size, const uint8_t digest[static SECURE_DIGEST_SIZE])
{
	uint8_t trailer[BACKUP_TRAILER];
	size_t len;
	struct writer w = writer_over(trailer, sizeof trailer);
	write_bytes(&w, BACKUP_MAGIC, sizeof BACKUP_MAGIC - 1);
	write_u32(&w, BACKUP_FORMAT);
	write_u64(&w, size);
	write_bytes(&w, digest, SECURE_DIGEST_SIZE);
	int rc = writer_finish(&w, &len);
	return rc ? rc : backup_write(fd, trailer, len);
}

/* From the pipe to the output. *size: of the image. */
static int copy_image(int from, int to, struct secure_hash *h, uint64_t *size)
{
	uint8_t block[BLOCK];
	ssize_t n;
	*size = 0;
	while ((n = read(from, block, sizeof block)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		int rc = n < 0 ? ERR_SYSTEM : secure_hash_add(h, block, (size_t)n);
		rc = rc ? rc : backup_write(to, block, (size_t)n);
		if (rc)
			return rc;
		*size += (uint64_t)n;
	}
	return OK;
}

/* ERR_INVALID: the child has failed and said why. */
static int reap(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return ERR_SYSTEM;
	return WIFEXITED(status) && WEXITSTATUS(status) == APP_OK ? OK : ERR_INVALID;
}

static int write_backup(const struct conf *c, struct diag *d, int out, uint64_t *size)
{
	int ends[2], rc;
	uint8_t digest[SECURE_DIGEST_SIZE];
	struct secure_hash *h = NULL;
	if (pipe2(ends, O_CLOEXEC))
		return ERR_SYSTEM;
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		close(out);
		_exit(write_image(c, d, ends[1]));
	}
	close(ends[1]);
	rc = child < 0 ? ERR_SYSTEM : secure_hash_new(&h);
	rc = rc ? rc : copy_image(ends[0], out, h, size);
	int saved = errno;
	close(ends[0]);
	int said = child < 0 ? OK : reap(child);
	secure_hash_end(&h, digest);
	errno = saved;
	rc = rc ? rc : said;
	rc = rc ? rc : write_trailer(out, *size, digest);
	if (!rc && fsync(out) && errno != EINVAL && errno != EROFS)
		rc = errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_SYSTEM;
	return rc;
}

/* What has its name must be on the disk under it. */
static int sync_folder(const char *path)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	if (slash ? text_format(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path)
		  : text_format(folder, sizeof folder, "."))
		return ERR_RANGE;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) ? ERR_SYSTEM : OK;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* A device or a pipe is written to, never replaced. */
static int backup_to_device(const struct conf *c, struct diag *d, const char *path, uint64_t *size)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 ? ERR_SYSTEM : write_backup(c, d, fd, size);
	int saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return rc;
}

/* Under another name first, so that a backup that fails leaves the one before. */
static int backup_to_file(const struct conf *c, struct diag *d, const char *path, uint64_t *size)
{
	char part[4096];
	struct stat there;
	if (!stat(path, &there) && !S_ISREG(there.st_mode))
		return backup_to_device(c, d, path, size);
	if (text_format(part, sizeof part, "%s.tmp", path))
		return ERR_RANGE;
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = fd < 0 ? ERR_SYSTEM : write_backup(c, d, fd, size);
	rc = rc || !rename(part, path) ? rc : ERR_SYSTEM;
	rc = rc ? rc : sync_folder(path);
	int saved = errno;
	if (fd >= 0) {
		close(fd);
		if (rc)
			unlink(part);
	}
	errno = saved;
	return rc;
}

int app_backup(const char *file, const char *output)
{
	bool standard = strcmp(output, "-") == 0;
	const char *name = standard ? "standard output" : output;
	struct conf *c = NULL;
	struct diag *d = diag_new();
	uint64_t size = 0;
	int rc = d ? app_load(file, d, &c) : ERR_NOMEM;
	if (!rc && (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || signal(SIGPIPE, SIG_IGN) == SIG_ERR))
		rc = ERR_SYSTEM;
	if (!rc)
		rc = standard ? write_backup(c, d, STDOUT_FILENO, &size)
			      : backup_to_file(c, d, output, &size);
	if (c && (rc == ERR_SYSTEM || rc == ERR_FULL))
		diag_error(d, name, 0, "cannot write it: %s", strerror(errno));
	else if (c && rc && rc != ERR_INVALID)
		diag_error(d, name, 0, "cannot write it: %s", error_text(rc));
	if (!rc)
		fprintf(stderr, "backed up %llu bytes\n", (unsigned long long)size);
	if (d)
		diag_print(d, stderr);
	int status = !rc ? APP_OK : c ? APP_FAILED : APP_USAGE;
	conf_free(&c);
	diag_free(&d);
	return status;
}
