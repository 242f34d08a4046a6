// SPDX-License-Identifier: GPL-3.0-or-later
/* System calls by role (seccomp). An allow list each: what is not in it does not happen.
 *
 * How it does not happen depends on who would ask. Nothing here or in a library ever runs a program, traces,
 * mounts or makes memory executable, so who does that is not this program any more, and is killed before it
 * can try the next thing. Whatever else is not allowed is answered with ENOSYS, for which libraries have a
 * second way: a newer C library that tries a newer call must not end a server.
 *
 * A filter is inherited and can only be made tighter. So the supervisor's allows what any child needs, and
 * children add their own. Since Linux 5.11 a call that is allowed whatever its arguments costs a look into a
 * bitmap, however many filters there are: what a dns worker does for each batch is of that kind. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/calls.h"

enum {
	SUPERVISOR = 1 << SANDBOX_SUPERVISOR,
	KEEPER = 1 << SANDBOX_KEEPER,
	DNS = 1 << SANDBOX_DNS,
	API = 1 << SANDBOX_API,
	AGENT = 1 << SANDBOX_AGENT,
	DOT = 1 << SANDBOX_DOT,
	ALL = SUPERVISOR | KEEPER | DNS | API | AGENT | DOT,
	TLS = DOT | API | AGENT,            /* GnuTLS */
	FILES = KEEPER | DNS | DOT | AGENT, /* who opens files; which, Landlock says */
	WRITING = KEEPER | AGENT,           /* and changes them */
	THREADS = KEEPER | AGENT,
	CHILDREN = ALL & ~SUPERVISOR,
	NEW_NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
			 CLONE_NEWPID | CLONE_NEWNET
};

struct rule {
	int call;
	unsigned roles;
};
#define CALL(name, roles)                                                                                    \
	{                                                                                                    \
		SCMP_SYS(name), (roles) | SUPERVISOR                                                         \
	}

/* Allowed whatever their arguments are. */
static const struct rule allowed[] = {
/* what each batch of queries takes */
#ifdef __NR_epoll_wait
	CALL(epoll_wait, TLS | DNS),
#else
	CALL(epoll_pwait, TLS | DNS),
#endif
	CALL(recvmmsg, DNS),
	CALL(sendmmsg, DNS | AGENT),
/* connections */
#ifdef __NR_poll
	CALL(poll, ALL),
#else
	CALL(ppoll, ALL),
#endif
	CALL(epoll_create1, TLS | DNS),
	CALL(epoll_ctl, TLS | DNS),
	CALL(accept4, KEEPER | DNS | DOT | API),
	CALL(recvfrom, ALL),
	CALL(sendto, ALL),
	CALL(recvmsg, KEEPER | TLS),
	CALL(sendmsg, KEEPER | TLS),
	CALL(shutdown, TLS),
	CALL(getsockopt, KEEPER | AGENT),
	CALL(getsockname, AGENT),
	CALL(getpeername, AGENT),
	CALL(connect, AGENT),
	CALL(select, AGENT),
	CALL(pselect6, AGENT),
	/* descriptors */
	CALL(read, ALL & ~DNS),
	CALL(write, ALL),
	CALL(close, ALL),
	CALL(readv, AGENT),
	CALL(writev, ALL & ~DNS), /* the C library's last words */
	CALL(eventfd2, KEEPER | AGENT),
	CALL(pipe2, AGENT),
	CALL(lseek, FILES),
	CALL(pread64, FILES | API), /* of a certificate that is handed to it */
	CALL(fstat, FILES | API),   /* since glibc 2.39; before it is newfstatat */
	CALL(newfstatat, FILES | API),
	CALL(statx, AGENT),
	CALL(fstatfs, WRITING),
	CALL(statfs, WRITING),
	CALL(openat, FILES),
	CALL(open, AGENT),
	CALL(stat, AGENT),
	CALL(access, AGENT),
	CALL(faccessat, AGENT),
	CALL(faccessat2, AGENT),
	CALL(readlink, AGENT),
	CALL(readlinkat, AGENT),
	CALL(getdents64, WRITING),
	CALL(pwrite64, WRITING),
	CALL(pwritev, KEEPER),
	CALL(ftruncate, WRITING),
	CALL(fallocate, KEEPER),
	CALL(fsync, WRITING),
	CALL(fdatasync, WRITING),
	CALL(msync, KEEPER),
	CALL(mkdir, WRITING),
	CALL(mkdirat, WRITING),
	CALL(rename, AGENT),
	CALL(renameat, AGENT),
	CALL(renameat2, AGENT),
	CALL(unlink, AGENT),
	CALL(unlinkat, AGENT),
	CALL(fchmod, AGENT),
	CALL(umask, AGENT),
	CALL(flock, AGENT),
	/* memory; mmap and mprotect are below */
	CALL(munmap, ALL),
	CALL(mremap, ALL & ~DNS),
	CALL(madvise, ALL & ~DNS), /* advice; nobody minds if it is not taken */
	CALL(brk, ALL),
	/* time and chance; the clock is a call where the kernel cannot show it in user space */
	CALL(clock_gettime, ALL),
	CALL(gettimeofday, TLS),
	CALL(time, TLS),
	CALL(getrandom, ALL),
	CALL(nanosleep, AGENT),
	CALL(clock_nanosleep, WRITING),    /* the keeper waits for more to commit together */
	CALL(restart_syscall, ALL & ~DNS), /* after SIGSTOP and SIGCONT */
	/* oneself */
	CALL(exit_group, ALL),
	CALL(futex, ALL),
	CALL(rt_sigaction, FILES),        /* SIGBUS, store/guard.c */
	CALL(rt_sigprocmask, ALL & ~DNS), /* abort() */
	CALL(rt_sigreturn, ALL),
	CALL(getpid, ALL),
	CALL(gettid, ALL), /* abort() */
	CALL(getuid, AGENT),
	CALL(geteuid, WRITING),
	CALL(getgid, AGENT),
	CALL(getegid, AGENT),
	CALL(uname, WRITING),
	CALL(sysinfo, WRITING),
	CALL(getrusage, KEEPER | API | AGENT),
	CALL(sched_getaffinity, THREADS),
	CALL(sched_yield, THREADS),
	CALL(setpriority, THREADS), /* of the bcrypt thread */
	CALL(exit, THREADS),
	CALL(set_robust_list, THREADS),
	CALL(rseq, THREADS),
	CALL(sigaltstack, AGENT),
	/* the supervisor's own: starting, telling and burying children */
	CALL(wait4, 0),
	CALL(waitid, 0),
	CALL(kill, 0),
	CALL(tgkill, 0), /* children: below */
	CALL(getppid, 0),
#ifdef __NR_alarm
	CALL(alarm, 0), /* of those who work apart */
#else
	CALL(setitimer, 0),
#endif
	CALL(getpriority, 0),
	CALL(prlimit64, 0),
	CALL(signalfd4, 0),
	CALL(memfd_create, 0),
	CALL(close_range, 0),
	CALL(dup, 0),
	CALL(setsockopt, AGENT),
	CALL(seccomp, 0),
	CALL(landlock_create_ruleset, 0),
	CALL(landlock_add_rule, 0),
	CALL(landlock_restrict_self, 0),
};

/* Nobody's: who calls them has been taken over. */
static const struct rule deadly[] = {CALL(execve, ALL), CALL(execveat, ALL), CALL(ptrace, ALL),
	CALL(process_vm_readv, ALL), CALL(process_vm_writev, ALL), CALL(pidfd_getfd, ALL), CALL(kcmp, ALL),
	CALL(bpf, ALL), CALL(perf_event_open, ALL), CALL(userfaultfd, ALL), CALL(io_uring_setup, ALL),
	CALL(io_uring_enter, ALL), CALL(io_uring_register, ALL), CALL(mount, ALL), CALL(umount2, ALL),
	CALL(pivot_root, ALL), CALL(open_tree, ALL), CALL(move_mount, ALL), CALL(fsopen, ALL),
	CALL(fsmount, ALL), CALL(fspick, ALL), CALL(mount_setattr, ALL), CALL(chroot, ALL),
	CALL(unshare, ALL), CALL(setns, ALL), CALL(keyctl, ALL), CALL(add_key, ALL), CALL(request_key, ALL),
	CALL(open_by_handle_at, ALL), CALL(name_to_handle_at, ALL), CALL(init_module, ALL),
	CALL(finit_module, ALL), CALL(delete_module, ALL), CALL(kexec_load, ALL), CALL(kexec_file_load, ALL),
	CALL(reboot, ALL), CALL(swapon, ALL), CALL(swapoff, ALL), CALL(setuid, ALL), CALL(setgid, ALL),
	CALL(setreuid, ALL), CALL(setregid, ALL), CALL(setresuid, ALL), CALL(setresgid, ALL),
	CALL(setgroups, ALL), CALL(setfsuid, ALL), CALL(setfsgid, ALL), CALL(capset, ALL),
	CALL(personality, ALL), CALL(modify_ldt, ALL), CALL(iopl, ALL), CALL(ioperm, ALL),
	CALL(clock_settime, ALL), CALL(settimeofday, ALL), CALL(syslog, ALL), CALL(mknod, ALL),
	CALL(mknodat, ALL), CALL(remap_file_pages, ALL), CALL(bind, ALL), CALL(listen, ALL), CALL(vfork, ALL),
	CALL(pidfd_send_signal, ALL), CALL(rt_sigqueueinfo, ALL), CALL(rt_tgsigqueueinfo, ALL)};

/* The supervisor's, or the agent's, and nobody else's. */
static const struct {
	int call;
	unsigned roles;
} deadly_for_some[] = {
	{SCMP_SYS(fork), CHILDREN},
	{SCMP_SYS(kill), CHILDREN},
	{SCMP_SYS(tkill), CHILDREN},
	{SCMP_SYS(connect), CHILDREN & ~AGENT},
	{SCMP_SYS(socket), CHILDREN & ~AGENT},
	{SCMP_SYS(socketpair), CHILDREN & ~AGENT},
	{SCMP_SYS(seccomp), CHILDREN},
	{SCMP_SYS(memfd_create), CHILDREN},
};

#ifdef CALLS_OF_SANITIZERS
/* The leak check stops its own process and looks at it from a second one. */
static const int of_sanitizers[] = {SCMP_SYS(ptrace), SCMP_SYS(clone), SCMP_SYS(wait4), SCMP_SYS(getppid),
	SCMP_SYS(getdents), SCMP_SYS(getdents64), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(read),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(sched_yield), SCMP_SYS(prctl), SCMP_SYS(pipe2), SCMP_SYS(pipe),
	SCMP_SYS(newfstatat), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lseek), SCMP_SYS(exit),
	SCMP_SYS(prlimit64), SCMP_SYS(uname), SCMP_SYS(getuid), SCMP_SYS(geteuid),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(tgkill), SCMP_SYS(process_vm_readv), SCMP_SYS(mremap),
	SCMP_SYS(madvise)};
#endif

static bool is_of_sanitizers(int call)
{
#ifdef CALLS_OF_SANITIZERS
	for (size_t i = 0; i < sizeof of_sanitizers / sizeof *of_sanitizers; i++)
		if (of_sanitizers[i] == call)
			return true;
#endif
	(void)call;
	return false;
}

/* The first error stays. A call that this architecture does not have needs no rule. */
struct building {
	scmp_filter_ctx filter;
	unsigned role; /* one bit */
	int error;     /* 0, or of libseccomp: negative errno */
};

static void add(
	struct building *b, uint32_t action, int call, unsigned count, const struct scmp_arg_cmp *args)
{
	if (b->error || call < 0)
		return;
	b->error = seccomp_rule_add_array(b->filter, action, call, count, args);
}

static void add_if(struct building *b, uint32_t action, int call, struct scmp_arg_cmp condition)
{
	add(b, action, call, 1, &condition);
}

/* The condition that an argument (counted from 0) compares with a value. */
static struct scmp_arg_cmp argument(unsigned n, enum scmp_compare how, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){.arg = n, .op = how, .datum_a = value};
}

/* ... or that of its bits in `mask` exactly `value` are set. */
static struct scmp_arg_cmp bits(unsigned n, scmp_datum_t mask, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){.arg = n, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

static void add_allowed(struct building *b)
{
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
		if (allowed[i].roles & b->role && !is_of_sanitizers(allowed[i].call))
			add(b, SCMP_ACT_ALLOW, allowed[i].call, 0, NULL);
#ifdef CALLS_OF_SANITIZERS
	for (size_t i = 0; i < sizeof of_sanitizers / sizeof *of_sanitizers; i++)
		add(b, SCMP_ACT_ALLOW, of_sanitizers[i], 0, NULL);
#endif
}

static void add_deadly(struct building *b)
{
	for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
		if (!is_of_sanitizers(deadly[i].call))
			add(b, SCMP_ACT_KILL_PROCESS, deadly[i].call, 0, NULL);
	for (size_t i = 0; i < sizeof deadly_for_some / sizeof *deadly_for_some; i++)
		if (deadly_for_some[i].roles & b->role)
			add(b, SCMP_ACT_KILL_PROCESS, deadly_for_some[i].call, 0, NULL);
}

static bool opens_memory(const struct building *b)
{
	return !(b->role & DNS) || is_of_sanitizers(SCMP_SYS(ptrace));
}

/* Nobody makes code. Name services and locales are loaded as libraries in some set-ups; who would do that
 * goes on without them. */
static void add_memory(struct building *b)
{
	const struct scmp_arg_cmp exec = bits(2, PROT_EXEC, PROT_EXEC);
	const struct scmp_arg_cmp data = bits(2, PROT_EXEC, 0);
	const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(pkey_mprotect)};
	uint32_t refuse =
		b->role & (AGENT | SUPERVISOR) ? SCMP_ACT_ERRNO(EACCES) : (uint32_t)SCMP_ACT_KILL_PROCESS;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		/* only the heap of a second thread, and its stack, are mapped first and opened later */
		if (calls[i] == SCMP_SYS(mmap) || (calls[i] == SCMP_SYS(mprotect) && opens_memory(b)))
			add_if(b, SCMP_ACT_ALLOW, calls[i], data);
		add_if(b, refuse, calls[i], exec);
	}
}

/* Threads, not processes; never in a new namespace. The arguments of clone3 lie in memory, where no filter
 * can look: ENOSYS has the C library take clone. */
static void add_clone(struct building *b)
{
	const unsigned long thread = CLONE_THREAD | CLONE_VM;
	if (is_of_sanitizers(SCMP_SYS(clone)))
		return;
	if (b->role & SUPERVISOR)
		add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(clone), bits(0, NEW_NAMESPACES, 0));
	else if (b->role & THREADS) {
		add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(clone), bits(0, thread | NEW_NAMESPACES, thread));
		add_if(b, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), bits(0, CLONE_THREAD, 0));
	} else
		add(b, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 0, NULL);
}

/* Outwards goes the agent, over IPv4 and IPv6. Other families are refused as on a kernel without them: name
 * services ask for local sockets and for netlink, and do without. */
static void add_sockets(struct building *b)
{
	if (b->role & (AGENT | SUPERVISOR)) {
		add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(socket), argument(0, SCMP_CMP_EQ, AF_INET));
		add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(socket), argument(0, SCMP_CMP_EQ, AF_INET6));
		add_if(b, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), argument(0, SCMP_CMP_LT, AF_INET));
		add_if(b, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), argument(0, SCMP_CMP_GT, AF_INET6));
		add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), argument(0, SCMP_CMP_EQ, AF_UNIX));
	}
	/* Of TCP only: no filters of their own on sockets, and no other addresses. */
	if (b->role & (DNS | DOT | API))
		add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), argument(1, SCMP_CMP_EQ, IPPROTO_TCP));
}

static void add_control(struct building *b)
{
	static const int commands[] = {
		F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_DUPFD_CLOEXEC};
	/* a certificate is handed on in memory that is sealed */
	static const int seals[] = {F_ADD_SEALS, F_GET_SEALS};
	static const int options[] = {PR_SET_NAME, PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS,
		PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_SET_SECCOMP, PR_GET_DUMPABLE};
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (b->role & (FILES | SUPERVISOR))
			add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(fcntl),
				argument(1, SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
	for (size_t i = 0; i < sizeof seals / sizeof *seals; i++)
		if (b->role & SUPERVISOR)
			add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(fcntl),
				argument(1, SCMP_CMP_EQ, (scmp_datum_t)seals[i]));
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (b->role & SUPERVISOR && !is_of_sanitizers(SCMP_SYS(prctl)))
			add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(prctl),
				argument(0, SCMP_CMP_EQ, (scmp_datum_t)options[i]));
	/* The resolver asks how much has come; nobody needs anything of a terminal or a device. */
	if (b->role & (AGENT | SUPERVISOR))
		add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), argument(1, SCMP_CMP_EQ, FIONREAD));
	/* abort(), of one's own process */
	if (!(b->role & SUPERVISOR) && !is_of_sanitizers(SCMP_SYS(tgkill)))
		add_if(b, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), argument(0, SCMP_CMP_EQ, (scmp_datum_t)getpid()));
}

static void set_attributes(struct building *b)
{
	const struct {
		enum scmp_filter_attr attribute;
		uint32_t value;
	} wanted[] = {
		{SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS}, /* the 32-bit calls of a 64-bit machine */
		{SCMP_FLTATR_CTL_NNP, 0},                         /* is set already */
		{SCMP_FLTATR_CTL_OPTIMIZE, 2},                    /* a binary tree, not a list */
	};
	for (size_t i = 0; !b->error && i < sizeof wanted / sizeof *wanted; i++)
		b->error = seccomp_attr_set(b->filter, wanted[i].attribute, wanted[i].value);
}

int calls_filter(enum sandbox_role role, scmp_filter_ctx *out)
{
	struct building b = {.filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS)), .role = 1u << role};
	*out = NULL;
	if (!b.filter)
		return ERR_NOMEM;
	set_attributes(&b);
	add_allowed(&b);
	add_deadly(&b);
	add_memory(&b);
	add_clone(&b);
	add_sockets(&b);
	add_control(&b);
	if (b.error) {
		seccomp_release(b.filter);
		errno = -b.error;
		return b.error == -ENOMEM ? ERR_NOMEM : ERR_SYSTEM;
	}
	*out = b.filter;
	return OK;
}

bool calls_can_be_filtered(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

int calls_confine(enum sandbox_role role)
{
	scmp_filter_ctx filter;
	int rc = calls_filter(role, &filter);
	if (rc)
		return rc;
	int code = seccomp_load(filter);
	seccomp_release(filter);
	errno = code ? -code : 0;
	return code ? ERR_SYSTEM : OK;
}
