// SPDX-License-Identifier: GPL-3.0-or-later
/* Preloaded by disk.py: a disk with a volatile cache, and with errors on order.
 *
 * What is written to the store's file goes to the real file, where everybody reads it, as into the page
 * cache. Into the image behind the control page, the disk, it goes only when it is synced; a sync that fails
 * leaves an arbitrary part of it there, and what is not there counts as clean from then on, as on Linux.
 * After a power cut there is the image, and of what was not synced an arbitrary part. All lies in the file
 * named by VOLATILE_DISK, which is mapped when the program starts: a sandboxed process can open nothing
 * later. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 8192, CONTROL = 65536 };

/* Kinds of calls that may fail. */
enum { WRITE = 1, SYNC = 2, SYNCED_WRITE = 4, ALLOCATE = 8, APPEND = 16 };

struct control {
	_Atomic int64_t calls;   /* of the kinds that are watched */
	_Atomic int64_t fail_at; /* that call fails; 0: none does */
	_Atomic int64_t persistent;
	_Atomic int64_t error;
	_Atomic int64_t failed; /* how many did */
	_Atomic int64_t kinds;
	_Atomic int64_t seed;
	_Atomic int64_t overflow; /* the store has become larger than the image */
	_Atomic int64_t unlucky;  /* of failed syncs all reaches the disk but the two pages that name the
				     newest commits */
	uint8_t dirty[PAGES];
};

static struct control *control;
static uint8_t *image;

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void map_disk(void)
{
	const char *path = getenv("VOLATILE_DISK");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	uint8_t *p = mmap(NULL, CONTROL + (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED) {
		control = (struct control *)p;
		image = p + CONTROL;
	}
	close(fd);
}

/* Is this call to fail? */
static bool fails(int kind)
{
	if (!control || !(control->kinds & kind))
		return false;
	int64_t call = ++control->calls, at = control->fail_at;
	if (!at || call < at || (call > at && !control->persistent))
		return false;
	control->failed++;
	errno = (int)control->error;
	return true;
}

/* What of a failed sync reaches the disk? */
static bool chance(size_t page)
{
	if (control->unlucky)
		return page > 1;
	uint64_t x = (uint64_t)control->seed;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	control->seed = (int64_t)x;
	return x >> 33 & 1;
}

static void reach_disk(int fd, size_t page)
{
	uint8_t bytes[PAGE] = {0};
	if (REAL(pread)(fd, bytes, sizeof bytes, (off_t)(page * PAGE)) >= 0)
		memcpy(image + page * PAGE, bytes, sizeof bytes);
}

/* All that is dirty, or by chance. */
static void flush(int fd, bool all)
{
	for (size_t i = 0; i < PAGES; i++)
		if (control->dirty[i]) {
			if (all || chance(i))
				reach_disk(fd, i);
			control->dirty[i] = 0;
		}
}

/* `synced`: what a synced write wrote, NULL if it was none. */
static void written(const void *synced, off_t at, ssize_t n, bool failed)
{
	if (!control || n <= 0)
		return;
	if ((size_t)(at + n) > (size_t)PAGES * PAGE) {
		control->overflow = 1;
	} else if (!synced) {
		memset(control->dirty + at / PAGE, 1, (size_t)((at + n - 1) / PAGE - at / PAGE + 1));
	} else if (!failed || control->unlucky || chance(0)) {
		memcpy(image + at, synced,
			(size_t)n); /* not read back: the descriptor may be one for writing only */
	}
}

static bool is_synced(int fd)
{
	return fcntl(fd, F_GETFL) & O_DSYNC;
}

/* A synced write that fails has changed what is read all the same; another one has not. */
#define WRITE_THROUGH(name, at, bytes, ...)                                                                  \
	do {                                                                                                 \
		bool synced = is_synced(fd);                                                                 \
		bool failed = fails(synced ? SYNCED_WRITE : WRITE);                                          \
		int code = errno;                                                                            \
		if (failed && !synced)                                                                       \
			return -1;                                                                           \
		ssize_t n = REAL(name)(__VA_ARGS__);                                                         \
		written(synced ? bytes : NULL, at, n, failed);                                               \
		if (failed)                                                                                  \
			errno = code;                                                                        \
		return failed ? -1 : n;                                                                      \
	} while (0)

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	WRITE_THROUGH(pwrite, at, data, fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	WRITE_THROUGH(pwrite64, at, data, fd, data, len, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at)
{
	WRITE_THROUGH(pwritev, at, NULL, fd, v, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *v, int count, off64_t at)
{
	WRITE_THROUGH(pwritev64, at, NULL, fd, v, count, at);
}

/* LMDB seeks first. Other files than the store are not written that way. */
ssize_t writev(int fd, const struct iovec *v, int count)
{
	off_t at = fd > 2 ? lseek(fd, 0, SEEK_CUR) : -1;
	if (at < 0)
		return REAL(writev)(fd, v, count);
	WRITE_THROUGH(writev, at, NULL, fd, v, count);
}

/* Plain writes: files that grow, such as a backup's. Never standard output and error. */
ssize_t write(int fd, const void *data, size_t len)
{
	struct stat st;
	if (fd > 2 && control && control->kinds & APPEND && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
		fails(APPEND))
		return -1;
	return REAL(write)(fd, data, len);
}

static int sync_file(int fd)
{
	bool failed = fails(SYNC);
	int code = errno;
	if (control)
		flush(fd, !failed);
	errno = code;
	return failed ? -1 : 0;
}

int fsync(int fd)
{
	return sync_file(fd);
}

int fdatasync(int fd)
{
	return sync_file(fd);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
	return fails(ALLOCATE) ? (int)control->error : REAL(posix_fallocate)(fd, at, len);
}

int ftruncate(int fd, off_t len)
{
	return fails(ALLOCATE) ? -1 : REAL(ftruncate)(fd, len);
}

int rename(const char *from, const char *to)
{
	return fails(ALLOCATE) ? -1 : REAL(rename)(from, to);
}
