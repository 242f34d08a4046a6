// SPDX-License-Identifier: GPL-3.0-or-later
/* Preloaded by clock.py: the wall clock is ahead by so many seconds as the file named by SHIFTED_CLOCK says
 * (8 bytes), and nothing else is: what was monotonic stays so. The file is mapped when the program starts,
 * since a sandboxed process can open nothing later; libfaketime would read it at each call. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

static const int64_t none;
static const volatile int64_t *shift = &none;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void map_shift(void)
{
	const char *path = getenv("SHIFTED_CLOCK");
	real_clock_gettime = REAL(clock_gettime);
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		shift = p;
	close(fd);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	if (!real_clock_gettime)
		real_clock_gettime = REAL(clock_gettime);
	int rc = real_clock_gettime(id, t);
	if (!rc && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += *shift;
	return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
	return 0;
}

time_t time(time_t *out)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
