// SPDX-License-Identifier: GPL-3.0-or-later
/* How many system calls the filters let pass, read from the very programs that the kernel is given. */
#include "unit.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/calls.h"

#ifdef __x86_64__
static const uint32_t architecture = AUDIT_ARCH_X86_64;
#else
static const uint32_t architecture = AUDIT_ARCH_AARCH64;
#endif

enum { PROGRAM_MAX = 4096, CALLS_TRIED = 1024 };

/* Does the program, from `at` on, let call `number` pass for some arguments? What is loaded from them is not
 * known, so both ways are gone. */
static bool may_pass(
	const struct sock_filter *p, size_t count, size_t at, uint32_t number, bool known, uint32_t a)
{
	for (; at < count; at++) {
		const struct sock_filter *i = &p[at];
		bool jump = false;
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			known = i->k <= 4;
			a = i->k == 0 ? number : architecture;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k == SECCOMP_RET_ALLOW;
		case BPF_JMP | BPF_JA:
			at += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = a == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			jump = a > i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = a >= i->k;
			break;
		default:
			fail_msg("instruction %x is not understood", i->code);
		}
		if (!known && may_pass(p, count, at + 1 + i->jt, number, known, a))
			return true;
		at += known && jump ? i->jt : i->jf;
	}
	fail_msg("the program does not end");
	return false;
}

static unsigned count_calls(enum sandbox_role role)
{
	static struct sock_filter program[PROGRAM_MAX];
	scmp_filter_ctx filter;
	unsigned count = 0;
	int fd = memfd_create("filter", MFD_CLOEXEC);
	assert_int_equal(calls_filter(role, &filter), OK);
	assert_int_equal(seccomp_export_bpf(filter, fd), 0);
	seccomp_release(filter);
	ssize_t size = pread(fd, program, sizeof program, 0);
	close(fd);
	assert_true(size > 0 && (size_t)size < sizeof program);
	for (uint32_t n = 0; n < CALLS_TRIED; n++)
		if (may_pass(program, (size_t)size / sizeof *program, 0, n, false, 0))
			count++;
	print_message("%u calls\n", count);
	return count;
}

static void a_dns_worker_has_thirty_calls(void **state)
{
	(void)state;
#ifdef CALLS_OF_SANITIZERS
	skip(); /* the leak check has more */
#endif
	assert_in_range(count_calls(SANDBOX_DNS), 20, 30);
	assert_in_range(count_calls(SANDBOX_DOT), 20, 40);
	assert_in_range(count_calls(SANDBOX_API), 20, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_dns_worker_has_thirty_calls)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
