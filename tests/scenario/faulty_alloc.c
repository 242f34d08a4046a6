// SPDX-License-Identifier: GPL-3.0-or-later
/* Preloaded by alloc.py: makes the n-th allocation of a process fail, or all from then on. Which process, and when, is
 * in the file named by FAULTY_ALLOC, which is mapped when the program starts, since a sandboxed process can open
 * nothing later; or for this process alone in FAULTY_ALLOC_SELF ("12", or "12+" for all from the 12th on). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* alloc.py knows this layout. */
struct control {
	char name[16];     /* of the process: its prctl(2) name; empty: none */
	int pid;           /* and this one alone; 0: whichever has the name */
	int from_then_on;
	long left;         /* allocations until one fails; below 1: it has */
	long failed;       /* how many have */
};

static struct control *shared;
static struct control own;
static struct passwd *(*real_getpwnam)(const char *);
static struct group *(*real_getgrnam)(const char *);
static __thread int sparing;
static char process[16]; /* its name; a process in its sandbox cannot ask for it */

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

__attribute__((constructor)) static void set_up(void)
{
	const char *path = getenv("FAULTY_ALLOC"), *self = getenv("FAULTY_ALLOC_SELF");
	real_getpwnam = dlsym(RTLD_NEXT, "getpwnam");
	real_getgrnam = dlsym(RTLD_NEXT, "getgrnam");
	if (self) {
		own.left = atol(self);
		own.from_then_on = strchr(self, '+') != NULL;
	}
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		shared = p;
	close(fd);
}

static int counts_down(struct control *c)
{
	long left = __atomic_sub_fetch(&c->left, 1, __ATOMIC_SEQ_CST);
	if (left > 0 || (left < 0 && !c->from_then_on))
		return 0;
	c = c == &own && shared ? shared : c; /* where it is seen */
	__atomic_add_fetch(&c->failed, 1, __ATOMIC_SEQ_CST);
	errno = ENOMEM;
	return 1;
}

int prctl(int option, ...)
{
	unsigned long a[4];
	va_list args;
	va_start(args, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_SET_NAME && getpid() == gettid())
		strncpy(process, (const char *)a[0], sizeof process - 1);
	return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}

/* glibc dies when the first look-up of an account finds no memory for its own state (nss_database.c), which
 * nobody can help: allocations in there do not fail, and do not count. */
struct passwd *getpwnam(const char *name)
{
	sparing = 1;
	struct passwd *p = real_getpwnam ? real_getpwnam(name) : NULL;
	sparing = 0;
	return p;
}

struct group *getgrnam(const char *name)
{
	sparing = 1;
	struct group *g = real_getgrnam ? real_getgrnam(name) : NULL;
	sparing = 0;
	return g;
}

static int fails(void)
{
	if (sparing)
		return 0;
	/* Once for a process and its children together, which count on from where they were forked. */
	if (own.left > 0 && !own.from_then_on && shared && shared->failed)
		return 0;
	if (own.left > 0 || own.from_then_on)
		return counts_down(&own);
	struct control *c = shared;
	if (!c || !c->name[0] || (c->pid && c->pid != getpid()))
		return 0;
	return strncmp(process, c->name, sizeof process) == 0 && counts_down(c);
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	void *p = fails() ? NULL : __libc_memalign(align, size);
	*out = p;
	return p ? 0 : ENOMEM;
}

void *aligned_alloc(size_t align, size_t size)
{
	return fails() ? NULL : __libc_memalign(align, size);
}
