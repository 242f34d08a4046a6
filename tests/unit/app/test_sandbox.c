// SPDX-License-Identifier: GPL-3.0-or-later
/* What somebody could still do who has taken over a process: each role is entered in a process of its own,
 * below a supervisor's confinement as in the server, and then tries one thing. */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "app/attempts.h"
#include "app/calls.h"

/* ---- what comes of each ---- */

enum { ROLES_TRIED = 6 };
static const struct {
	enum sandbox_role role;
	const char *name;
} roles[ROLES_TRIED] = {{SANDBOX_SUPERVISOR, "supervisor"}, {SANDBOX_KEEPER, "keeper"}, {SANDBOX_DNS, "dns"},
	{SANDBOX_DOT, "dot"}, {SANDBOX_API, "api"}, {SANDBOX_AGENT, "agent"}};

/* One letter for each role, in the order above. D: done. R: refused. K: killed. */
struct attempt {
	const char *name;
	bool (*try)(void);
	const char *expected;
	enum { SECCOMP, LANDLOCK, SIGNALS, PORTS } by; /* what has to be there for the expectation */
	bool sanitizer;                                /* the leak check needs the call */
};
#define TRY(f, outcome, ...)                                                                                 \
	{                                                                                                    \
		.name = #f, .try = f, .expected = outcome, __VA_ARGS__                                       \
	}

static const struct attempt attempts[] = {
	TRY(read_data, "DDDDRR", .by = LANDLOCK),
	TRY(write_data, "DDRRRR", .by = LANDLOCK),
	TRY(write_lock, "DDDDRR", .by = LANDLOCK),
	TRY(create_beside, "DDRRRR", .by = LANDLOCK),
	TRY(create_elsewhere, "RRRRRR", .by = LANDLOCK),
	TRY(read_accounts, "DRRRRR", .by = LANDLOCK),
	TRY(read_resolver, "DRRRRD", .by = LANDLOCK),
	TRY(read_own_memory, "DRRRRR", .by = LANDLOCK, .sanitizer = true),
	TRY(write_agents, "DDRRRD", .by = LANDLOCK),
	TRY(replace_agents, "DRRRRD", .by = LANDLOCK),
	TRY(replace_data, "DRRRRR", .by = LANDLOCK),
	TRY(remove_data, "DRRRRR", .by = LANDLOCK),
	TRY(socket_inet, "DKKKKD", ),
	TRY(socket_local, "RKKKKR", ),
	TRY(socket_netlink, "RKKKKR", ),
	TRY(socket_packet, "RKKKKR", ),
	TRY(socket_vm, "RKKKKR", ),
	TRY(pair_local, "DKKKKD", ),
	TRY(connect_out, "DKKKKD", ),
	TRY(bind_port, "KKKKKK", ),
	TRY(listen_port, "KKKKKK", ),
	TRY(filter_socket, "DRRRRD", ),
	TRY(run_program, "KKKKKK", ),
	TRY(run_descriptor, "KKKKKK", ),
	TRY(fork_process, "DKKKKK", .sanitizer = true),
	TRY(clone_namespace, "RKKKKK", .sanitizer = true),
	TRY(clone_newer, "RRRRRR", ),
	TRY(start_thread, "DDRKKD", .sanitizer = true),
	TRY(trace, "KKKKKK", .sanitizer = true),
	TRY(read_others, "KKKKKK", .sanitizer = true),
	TRY(signal_other, "RKKKKK", .by = SIGNALS),
	TRY(signal_all, "DKKKKK", ),
	TRY(signal_self, "DDDDDD", ),
	TRY(signal_thread_of_other, "RRRRRR", .by = SIGNALS, .sanitizer = true),
	TRY(signal_by_descriptor, "KKKKKK", ),
	TRY(queue_signal, "KKKKKK", ),
	TRY(get_descriptor, "KKKKKK", ),
	TRY(map_memory, "DDDDDD", ),
	TRY(map_code, "RKKKKR", ),
	TRY(map_writable_code, "RKKKKR", ),
	TRY(turn_into_code, "RKKKKR", ),
	TRY(make_file_in_memory, "DKKKKK", ),
	TRY(use_io_uring, "KKKKKK", ),
	TRY(use_bpf, "KKKKKK", ),
	TRY(use_keys, "KKKKKK", ),
	TRY(use_perf, "KKKKKK", ),
	TRY(use_faults, "KKKKKK", ),
	TRY(open_handle, "KKKKKK", ),
	TRY(leave_namespace, "KKKKKK", ),
	TRY(join_namespace, "KKKKKK", ),
	TRY(mount_something, "KKKKKK", ),
	TRY(change_root, "KKKKKK", ),
	TRY(become_root, "KKKKKK", ),
	TRY(gain_capabilities, "KKKKKK", ),
	TRY(change_personality, "KKKKKK", ),
	TRY(load_module, "KKKKKK", ),
	TRY(type_into_terminal, "RRRRRR", ),
	TRY(become_traceable, "DRRRRR", .sanitizer = true),
	TRY(make_filter, "DKKKKK", ),
	TRY(call_unknown, "RRRRRR", ),
	TRY(lift_core_limit, "RRRRRR", .sanitizer = true),
	TRY(gain_privileges, "RDDDDD", .by = LANDLOCK, .sanitizer = true), /* the others cannot read of it */
#ifdef __x86_64__
	TRY(call_x32, "KKKKKK", ),
	TRY(call_32_bit, "KKKKKK", ),
#endif
};

static int enter(enum sandbox_role role)
{
	spare_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = sandbox_enter_supervisor(dir.path, NULL);
	if (rc || role == SANDBOX_SUPERVISOR)
		return rc;
	return role == SANDBOX_AGENT ? sandbox_enter_agent(dir.path, NULL, NULL)
				     : sandbox_enter(role, dir.path, NULL);
}

static char outcome_of(enum sandbox_role role, bool (*try)(void))
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* _exit: nothing of the test's own is to be looked at from inside the sandbox */
		if (enter(role))
			_exit(9);
		_exit(try() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? 'K' : 'S';
	return WEXITSTATUS(status) == 0 ? 'D' : WEXITSTATUS(status) == 1 ? 'R' : '?';
}

static bool can_be_expected(const struct attempt *a)
{
#ifdef CALLS_OF_SANITIZERS
	if (a->sanitizer)
		return false;
#endif
	unsigned have = sandbox_available();
	static const unsigned needed[] = {[SECCOMP] = 0,
		[LANDLOCK] = CONFINED_FILES,
		[SIGNALS] = CONFINED_SIGNALS,
		[PORTS] = CONFINED_NETWORK};
	return have & CONFINED_CALLS && (have & needed[a->by]) == needed[a->by];
}

/* Again what an attempt has taken away. */
static void make_store(void)
{
	char path[128];
	struct store *s;
	if (!can_open("data.mdb", O_RDONLY)) {
		assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &s), OK);
		store_close(&s);
	}
	snprintf(path, sizeof path, "%s/acme", dir.path);
	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	assert_true(can_open("acme/old", O_RDWR | O_CREAT));
}

static void each_role_does_its_own_and_nothing_else(void **state)
{
	int wrong = 0;
	(void)state;
	for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
		const struct attempt *a = &attempts[i];
		for (size_t r = 0; r < ROLES_TRIED && can_be_expected(a); r++) {
			make_store();
			char got = outcome_of(roles[r].role, a->try);
			if (got == a->expected[r])
				continue;
			print_error("%s: %s is %c, not %c\n", roles[r].name, a->name, got, a->expected[r]);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

/* An attempt that could not be made by anybody would show nothing. */
static void outside_the_sandbox_it_can_be_done(void **state)
{
	bool (*const possible[])(void) = {read_data, write_data, write_lock, create_beside, create_elsewhere,
		read_accounts, read_resolver, write_agents, replace_agents, socket_inet, socket_local,
		socket_netlink, pair_local, connect_out, bind_port, filter_socket, run_program, fork_process,
		start_thread, trace, read_others, signal_other, signal_self, map_code, map_writable_code,
		turn_into_code, make_file_in_memory, become_traceable, make_filter, replace_data};
	(void)state;
	for (size_t i = 0; i < sizeof possible / sizeof *possible; i++) {
		int status;
		make_store();
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			spare_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
			_exit(possible[i]() ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status)
			print_error("attempt %zu\n", i);
		assert_int_equal(status, 0);
	}
	unlink("/tmp/acme-delegate-test-escape");
}

static int setup(void **state)
{
	(void)state;
	socklen_t len = sizeof a_port;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a_port = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	test_process = getpid();
	dir = tempdir_make();
	return listener < 0 || bind(listener, (struct sockaddr *)&a_port, len) || listen(listener, 128) ||
	       getsockname(listener, (struct sockaddr *)&a_port, &len);
}

static int teardown(void **state)
{
	char path[128];
	(void)state;
	snprintf(path, sizeof path, "%s/acme", dir.path);
	tempdir_remove(path);
	tempdir_remove(dir.path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outside_the_sandbox_it_can_be_done),
		cmocka_unit_test(each_role_does_its_own_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
