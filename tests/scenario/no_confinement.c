// SPDX-License-Identifier: GPL-3.0-or-later
/* Preloaded by test_confinement.py: a kernel without Landlock and without seccomp. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int missing(long number)
{
	return number == SYS_landlock_create_ruleset || number == SYS_landlock_add_rule ||
	       number == SYS_landlock_restrict_self || number == SYS_seccomp;
}

long syscall(long number, ...)
{
	long a[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (missing(number)) {
		errno = ENOSYS;
		return -1;
	}
	return ((long (*)(long, ...))dlsym(RTLD_NEXT, "syscall"))(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int prctl(int option, ...)
{
	unsigned long a[4];
	va_list list;
	va_start(list, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(list, unsigned long);
	va_end(list);
	if (option == PR_GET_SECCOMP || option == PR_SET_SECCOMP) {
		errno = EINVAL;
		return -1;
	}
	return ((int (*)(int, ...))dlsym(RTLD_NEXT, "prctl"))(option, a[0], a[1], a[2], a[3]);
}
