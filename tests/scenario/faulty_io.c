// SPDX-License-Identifier: GPL-3.0-or-later
/* Preloaded by test_faults.py: makes writing or syncing fail with EIO, or shared memory be refused, while the first
 * byte of the file named by FAULTY_IO says so. The file is mapped when the program starts, since a sandboxed process can open nothing later. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static const volatile char *flag = "";

__attribute__((constructor)) static void map_flag(void)
{
	const char *path = getenv("FAULTY_IO");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		flag = p;
	close(fd);
}

/* 's': syncing fails; 'w': writing at a position, which only the store does, fails too. */
static int failing(char what)
{
	return *flag == what || *flag == 'w';
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_IF(what)                \
	if (failing(what)) {         \
		errno = EIO;         \
		return -1;           \
	}

/* 'm': a kernel without memfd_create(2). */
int memfd_create(const char *name, unsigned flags)
{
	if (*flag == 'm') {
		errno = ENOSYS;
		return -1;
	}
	return REAL(memfd_create)(name, flags);
}

int fsync(int fd)
{
	FAIL_IF('s')
	return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	FAIL_IF('s')
	return REAL(fdatasync)(fd);
}

int msync(void *p, size_t len, int flags)
{
	FAIL_IF('s')
	return REAL(msync)(p, len, flags);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	FAIL_IF('w')
	return REAL(pwrite)(fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	FAIL_IF('w')
	return REAL(pwrite64)(fd, data, len, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at)
{
	FAIL_IF('w')
	return REAL(pwritev)(fd, v, count, at);
}
