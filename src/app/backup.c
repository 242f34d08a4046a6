// SPDX-License-Identifier: GPL-3.0-or-later
/* A child opens the store and writes its image into a pipe; this process puts it through a digest and writes
 * it to its place. So what LMDB meets, and what the disk of the copy does, stay apart. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
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

/* A backup being written. */
struct backing {
	const struct conf *conf;
	struct diag *d;
	int stop;
	struct progress progress;
	uint64_t size; /* of the image */
};

/* No more at once than a pipe takes, for else it is the writing that waits, which no signal ends. */
int backup_write(int fd, int stop, const void *data, size_t len)
{
	struct stat st;
	size_t most = !fstat(fd, &st) && S_ISREG(st.st_mode) ? SIZE_MAX : PIPE_BUF;
	for (size_t at = 0; at < len;) {
		if (interrupt_wait(stop, fd, POLLOUT))
			return ERR_CLOSED;
		ssize_t n = write(fd, (const char *)data + at, len - at < most ? len - at : most);
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
	bool told = false;
	bool complete;
	int rc = privileges_drop_to_read(c, d);
	/* A copy of a damaged store must not take the place of a good one. */
	rc = rc ? rc : damage_look(c->store_path, true, 0, d, &complete);
	rc = rc ? rc : store_open(c->store_path, STORE_READ, d, &s);
	if (rc == ERR_NOTFOUND && !diag_errors(d))
		diag_error(d, c->store_path, 0, "there is no store here");
	if (!rc) {
		rc = store_copy(s, pipe_end);
		told = rc == ERR_SYSTEM && errno == EPIPE; /* who broke the pipe says why */
		if (rc == ERR_SYSTEM && !told)
			diag_error(d, c->store_path, 0, "cannot read the store: %s", strerror(errno));
		else if (rc && !told)
			diag_error(d, c->store_path, 0, "cannot read the store: %s", error_text(rc));
	}
	store_close(&s);
	diag_print(d, stderr);
	if (rc && !told && !diag_errors(d))
		fprintf(stderr, "cannot back up: %s\n", error_text(rc));
	return rc ? APP_FAILED : APP_OK;
}

static int write_trailer(const struct backing *b, int fd, const uint8_t digest[static SECURE_DIGEST_SIZE])
{
	uint8_t trailer[BACKUP_TRAILER];
	size_t len;
	struct writer w = writer_over(trailer, sizeof trailer);
	write_bytes(&w, BACKUP_MAGIC, sizeof BACKUP_MAGIC - 1);
	write_u32(&w, BACKUP_FORMAT);
	write_u64(&w, b->size);
	write_bytes(&w, digest, SECURE_DIGEST_SIZE);
	int rc = writer_finish(&w, &len);
	return rc ? rc : backup_write(fd, b->stop, trailer, len);
}

/* From the pipe to the output. */
static int copy_image(struct backing *b, int from, int to, struct secure_hash *h)
{
	uint8_t block[BLOCK];
	ssize_t n;
	for (;;) {
		if (interrupt_wait(b->stop, from, POLLIN))
			return ERR_CLOSED;
		n = read(from, block, sizeof block);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return OK;
		int rc = n < 0 ? ERR_SYSTEM : secure_hash_add(h, block, (size_t)n);
		rc = rc ? rc : backup_write(to, b->stop, block, (size_t)n);
		if (rc)
			return rc;
		b->size += (uint64_t)n;
		progress_show(&b->progress, "written", " MiB", b->size >> 20, 0);
	}
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

static int write_backup(struct backing *b, int out)
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
		_exit(write_image(b->conf, b->d, ends[1]));
	}
	close(ends[1]);
	rc = child < 0 ? ERR_SYSTEM : secure_hash_new(&h);
	rc = rc ? rc : copy_image(b, ends[0], out, h);
	int saved = errno;
	close(ends[0]);
	int said = child < 0 ? OK : reap(child);
	secure_hash_end(&h, digest);
	errno = saved;
	rc = rc ? rc : said;
	rc = rc ? rc : write_trailer(b, out, digest);
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
static int backup_to_device(struct backing *b, const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 ? ERR_SYSTEM : write_backup(b, fd);
	int saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return rc;
}

/* Under another name first, so that a backup that fails leaves the one before. */
static int backup_to_file(struct backing *b, const char *path)
{
	char part[4096];
	struct stat there;
	if (!stat(path, &there) && !S_ISREG(there.st_mode))
		return backup_to_device(b, path);
	if (text_format(part, sizeof part, "%s.tmp", path))
		return ERR_RANGE;
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = fd < 0 ? ERR_SYSTEM : write_backup(b, fd);
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

static void explain(struct backing *b, const char *name, bool standard, int rc)
{
	progress_clear(&b->progress);
	if (!rc)
		fprintf(stderr, "backed up %llu bytes, %lld s\n", (unsigned long long)b->size,
			progress_seconds(&b->progress));
	else if (rc == ERR_CLOSED)
		diag_error(b->d, name, 0, "interrupted; %s",
			standard ? "what was written is not complete" : "there is no new backup");
	else if (rc == ERR_SYSTEM || rc == ERR_FULL)
		diag_error(b->d, name, 0, "cannot write it: %s", strerror(errno));
	else if (rc != ERR_INVALID) /* the child has said why */
		diag_error(b->d, name, 0, "cannot write it: %s", error_text(rc));
}

int app_backup(const char *file, const char *output)
{
	bool standard = strcmp(output, "-") == 0;
	struct conf *c = NULL;
	struct backing b = {.d = diag_new(), .stop = -1, .progress = progress_begin()};
	int rc = b.d ? app_load(file, b.d, &c) : ERR_NOMEM;
	b.conf = c;
	if (!rc && ((b.stop = app_interrupt_open()) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR))
		rc = ERR_SYSTEM;
	if (!rc)
		rc = standard ? write_backup(&b, STDOUT_FILENO) : backup_to_file(&b, output);
	if (c)
		explain(&b, standard ? "standard output" : output, standard, rc);
	else if (rc && (!b.d || !diag_errors(b.d)))
		fprintf(stderr, "cannot back up: %s\n", error_text(rc));
	if (b.d)
		diag_print(b.d, stderr);
	if (b.stop >= 0)
		close(b.stop);
	int status = !rc ? APP_OK : c ? APP_FAILED : APP_USAGE;
	conf_free(&c);
	diag_free(&b.d);
	return status;
}
