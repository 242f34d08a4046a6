// SPDX-License-Identifier: GPL-3.0-or-later
/* What somebody tries who has taken over a process: each returns true if it was done. For test_sandbox.c. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tempdir.h"

static struct tempdir dir;
static pid_t test_process;
static int spare_socket;          /* not bound, as an asker of trouble would want one */
static struct sockaddr_in a_port; /* somebody listens there */

static bool can_open(const char *name, int flags)
{
	char path[128];
	snprintf(
		path, sizeof path, "%s%s%s", name[0] == '/' ? "" : dir.path, name[0] == '/' ? "" : "/", name);
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool read_data(void)
{
	return can_open("data.mdb", O_RDONLY);
}
static bool write_data(void)
{
	return can_open("data.mdb", O_RDWR);
}
static bool write_lock(void)
{
	return can_open("lock.mdb", O_RDWR);
}
static bool create_beside(void)
{
	return can_open("new", O_RDWR | O_CREAT);
}
static bool create_elsewhere(void)
{
	return can_open("/tmp/acme-delegate-test-escape", O_RDWR | O_CREAT);
}
static bool read_accounts(void)
{
	return can_open("/etc/passwd", O_RDONLY);
}
static bool read_resolver(void)
{
	return can_open("/etc/nsswitch.conf", O_RDONLY);
}
static bool read_own_memory(void)
{
	return can_open("/proc/self/mem", O_RDONLY);
}
static bool write_agents(void)
{
	return can_open("acme/new", O_RDWR | O_CREAT);
}

static bool rename_in(const char *from, const char *to)
{
	char a[128], b[128];
	snprintf(a, sizeof a, "%s/%s", dir.path, from);
	snprintf(b, sizeof b, "%s/%s", dir.path, to);
	return rename(a, b) == 0;
}

static bool replace_agents(void)
{
	return rename_in("acme/old", "acme/older");
}
static bool replace_data(void)
{
	return rename_in("data.mdb", "data.old");
}

static bool remove_data(void)
{
	char path[128];
	snprintf(path, sizeof path, "%s/data.mdb", dir.path);
	return unlink(path) == 0;
}

static bool opens_socket(int family, int type)
{
	return socket(family, type | SOCK_CLOEXEC, 0) >= 0;
}
static bool socket_inet(void)
{
	return opens_socket(AF_INET, SOCK_STREAM);
}
static bool socket_local(void)
{
	return opens_socket(AF_UNIX, SOCK_STREAM);
}
static bool socket_netlink(void)
{
	return opens_socket(AF_NETLINK, SOCK_RAW);
}
static bool socket_packet(void)
{
	return opens_socket(AF_PACKET, SOCK_RAW);
}
static bool socket_vm(void)
{
	return opens_socket(AF_VSOCK, SOCK_STREAM);
}

static bool pair_local(void)
{
	int fd[2];
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0;
}

static bool connect_out(void)
{
	return connect(spare_socket, (const struct sockaddr *)&a_port, sizeof a_port) == 0;
}

static bool bind_port(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};
	return bind(spare_socket, (const struct sockaddr *)&any, sizeof any) == 0;
}

static bool listen_port(void)
{
	return listen(spare_socket, 1) == 0;
}

static bool filter_socket(void)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = {1, &all};
	return setsockopt(spare_socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

static bool run_program(void)
{
	char *const words[] = {(char *)"true", NULL};
	return execve("/bin/true", words, NULL) == 0;
}

static bool run_descriptor(void)
{
	return syscall(SYS_execveat, 0, "", NULL, NULL, AT_EMPTY_PATH) == 0;
}

static bool fork_process(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static bool clone_raw(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static bool clone_namespace(void)
{
	return clone_raw(CLONE_NEWUSER);
}
static bool clone_newer(void)
{
	return syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS;
}

static void *do_nothing(void *p)
{
	return p;
}

static bool start_thread(void)
{
	pthread_t t;
	return pthread_create(&t, NULL, do_nothing, NULL) == 0 && pthread_join(t, NULL) == 0;
}

static bool trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool read_others(void)
{
	int here, there = 0;
	struct iovec to = {&here, sizeof here}, from = {&there, sizeof there};
	return process_vm_readv(test_process, &to, 1, &from, 1, 0) >= 0;
}

static bool signal_other(void)
{
	return kill(test_process, 0) == 0;
}
static bool signal_all(void)
{
	return kill(0, 0) == 0;
}
static bool signal_self(void)
{
	return syscall(SYS_tgkill, getpid(), gettid(), 0) == 0;
}
static bool signal_thread_of_other(void)
{
	return syscall(SYS_tgkill, test_process, test_process, 0) == 0;
}
static bool signal_by_descriptor(void)
{
	return syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0) == 0;
}
static bool queue_signal(void)
{
	return sigqueue(test_process, 0, (union sigval){0}) == 0;
}
static bool get_descriptor(void)
{
	return syscall(SYS_pidfd_getfd, 0, 0, 0) >= 0;
}

static bool map(int protection)
{
	return mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool map_code(void)
{
	return map(PROT_READ | PROT_EXEC);
}
static bool map_writable_code(void)
{
	return map(PROT_READ | PROT_WRITE | PROT_EXEC);
}
static bool map_memory(void)
{
	return map(PROT_READ | PROT_WRITE);
}

static bool turn_into_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool make_file_in_memory(void)
{
	return syscall(SYS_memfd_create, "x", 0) >= 0;
}
static bool use_io_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) >= 0 || errno == EFAULT;
}
static bool use_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno == EINVAL;
}
static bool use_keys(void)
{
	return syscall(SYS_keyctl, 0, -3, 0) >= 0;
}
static bool use_perf(void)
{
	return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) >= 0 || errno == EFAULT;
}
static bool use_faults(void)
{
	return syscall(SYS_userfaultfd, 1) >= 0;
}
static bool open_handle(void)
{
	return syscall(SYS_open_by_handle_at, -1, NULL, 0) >= 0 || errno == EFAULT;
}
static bool leave_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}
static bool join_namespace(void)
{
	return setns(-1, 0) == 0 || errno == EBADF;
}
static bool mount_something(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL) == 0;
}
static bool change_root(void)
{
	return chroot("/") == 0;
}
static bool become_root(void)
{
	return syscall(SYS_setuid, 0) == 0;
}
static bool gain_capabilities(void)
{
	return syscall(SYS_capset, NULL, NULL) == 0 || errno == EFAULT;
}
static bool change_personality(void)
{
	return syscall(SYS_personality, 0x0400000) >= 0;
}
static bool load_module(void)
{
	return syscall(SYS_init_module, NULL, 0, "") == 0;
}
static bool type_into_terminal(void)
{
	return ioctl(0, TIOCSTI, "x") == 0 || errno != ENOSYS;
}
static bool become_traceable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}
static bool make_filter(void)
{
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &(uint32_t){SECCOMP_RET_KILL_PROCESS}) == 0;
}
static bool call_unknown(void)
{
	return syscall(1500) >= 0 || errno != ENOSYS;
}

static bool lift_core_limit(void)
{
	const struct rlimit any = {RLIM_INFINITY, RLIM_INFINITY};
	return setrlimit(RLIMIT_CORE, &any) == 0;
}

static bool gain_privileges(void)
{
	/* root, as which the tests run, has not changed its account here */
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof line, f))
		found |= strncmp(line, "NoNewPrivs:\t1", 13) == 0;
	return !found;
}

#ifdef __x86_64__
static bool call_x32(void)
{
	return syscall(0x40000000 | SYS_getpid) >= 0;
}

static bool call_32_bit(void)
{
	long result = 20; /* getpid */
	__asm__ volatile("int $0x80" : "+a"(result)::"memory", "r8", "r9", "r10", "r11");
	return result > 0;
}
#endif
