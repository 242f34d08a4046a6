// SPDX-License-Identifier: GPL-3.0-or-later
/* What processes show each other, in processes of their own where it matters. */
#include "unit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/supervisor.h"
#include "util/clock.h"

enum { WORKERS = 2, SEATS = ROLES + WORKERS, PLACES = COUNTERS_GENERATIONS * SEATS, DNS1 = ROLES + 1 };

static struct board *board;

static int setup(void **state)
{
	(void)state;
	return board_new(PLACES, &board);
}

static int teardown(void **state)
{
	(void)state;
	board_free(&board);
	return 0;
}

/* Runs in a child that keeps what `access` says; the status it ends with, or the negative signal. */
static int in_child(unsigned place, enum board_access access, int (*body)(void))
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* a sanitizer would make a report of it */
		signal(SIGBUS, SIG_DFL);
		board_keep(board, place, access);
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int count_two_queries(void)
{
	board_dns(board, DNS1)->dns.udp += 2;
	board_confined(board, DNS1, CONFINED_FILES | CONFINED_CALLS);
	return 7;
}

/* A process that takes a place over goes on counting where the one before was killed. */
static void a_place_outlives_its_process(void **state)
{
	(void)state;
	for (unsigned times = 1; times <= 3; times++) {
		assert_int_equal(in_child(DNS1, BOARD_NOTHING, count_two_queries), 7);
		assert_int_equal(board_dns(board, DNS1)->dns.udp, 2 * times);
	}
	assert_int_equal(board_dns(board, DNS1 - 1)->dns.udp, 0);
	assert_int_equal(board_dns(board, DNS1 + SEATS)->dns.udp, 0);
	assert_int_equal(board_confinement(board, DNS1), CONFINED_FILES | CONFINED_CALLS);
}

static struct board_dns *another;

static int write_to_another(void)
{
	another->dns.udp = 1;
	return 0;
}

static int see_only_myself(void)
{
	struct acme_state s;
	bool blind = !board_dns(board, DNS1 - 1) && !board_keeper(board, 0) && !board_agent_read(board, &s) &&
		     !board_child(board, 0).in_service && !board_started(board);
	board_confined(board, DNS1 - 1, 1); /* goes nowhere */
	board_free(&board);
	return blind ? 7 : 1;
}

static void nobody_writes_where_another_does(void **state)
{
	(void)state;
	another = board_dns(board, DNS1 - 1);
	board_start(board, 1, 1);
	board_child_added(board, 0, 1);
	assert_int_equal(in_child(DNS1, BOARD_NOTHING, see_only_myself), 7);
	assert_int_equal(board_confinement(board, DNS1 - 1), 0);
	assert_int_equal(in_child(DNS1, BOARD_NOTHING, write_to_another), -SIGSEGV);
	assert_int_equal(in_child(DNS1, BOARD_AGENT, write_to_another), -SIGSEGV);
	assert_int_equal(in_child(DNS1, BOARD_READER, write_to_another), -SIGSEGV);
	assert_int_equal(in_child(DNS1 - 1, BOARD_READER, write_to_another), 0);
}

static int tell_of_certificate(void)
{
	const struct acme_state s = {
		.not_before = 1000, .not_after = 2000, .failures = 3, .error = "no route"};
	board_agent_write(board, &s);
	return 7;
}

static int read_certificate(void)
{
	struct ipc_certificate c;
	health_certificate(board, &c);
	return c.acme && c.not_after == 2000 && c.failures == 3 && strcmp(c.error, "no route") == 0 ? 7 : 1;
}

static void the_agent_tells_of_the_certificate(void **state)
{
	struct ipc_certificate c;
	(void)state;
	board_api(board, ROLE_API)->not_after = 500;
	board_child_added(board, ROLE_API, clock_mono_ms());
	health_certificate(board, &c);
	assert_false(c.acme);
	assert_int_equal(c.not_after, 500);
	assert_int_equal(in_child(DNS1, BOARD_AGENT, tell_of_certificate), 7);
	health_certificate(board, &c); /* no agent is configured */
	assert_false(c.acme);
	assert_int_equal(c.not_after, 500);
	board_agent_wanted(board, true);
	assert_int_equal(in_child(ROLE_API, BOARD_READER, read_certificate), 7);
	board_agent_wanted(board, false); /* as after a reload with a certificate in files */
	health_certificate(board, &c);
	assert_false(c.acme);
	assert_int_equal(c.not_after, 500);
}

/* ---- health ---- */

static enum ipc_process_state state_of(unsigned place)
{
	struct ipc_process p;
	assert_true(health_of_place(board, place, &p));
	return p.state;
}

static void put_in_service(unsigned place, int64_t ago)
{
	board_child_added(board, place, clock_mono_ms() - ago);
	board_child_started(board, place, 100 + place, clock_wall_ms() - ago, clock_mono_ms() - ago);
}

static void who_does_not_show_up_is_missed(void **state)
{
	struct ipc_process p;
	(void)state;
	assert_false(health_of_place(board, DNS1, &p));
	assert_null(health_problem(board));

	put_in_service(DNS1, 0); /* has a while to begin */
	assert_int_equal(state_of(DNS1), IPC_PROCESS_RUNS);
	put_in_service(DNS1, HEALTH_PATIENCE_MS + 1000);
	assert_int_equal(state_of(DNS1), IPC_PROCESS_STUCK);
	assert_string_equal(health_problem(board), "dns_unavailable");
	board_dns(board, DNS1)->beat = clock_mono_ms();
	assert_int_equal(state_of(DNS1), IPC_PROCESS_RUNS);
	assert_null(health_problem(board));

	board_dns(board, DNS1)->beat = clock_mono_ms() - HEALTH_PATIENCE_MS - 1000;
	board_child_ended(board, DNS1, BOARD_END_SIGNAL, clock_wall_ms());
	assert_int_equal(state_of(DNS1), IPC_PROCESS_MISSING);
	board_child_leaves(board, DNS1);
	assert_null(health_problem(board));
}

static void who_cannot_do_its_work_says_so(void **state)
{
	(void)state;
	put_in_service(DNS1, 0);
	board_dns(board, DNS1)->state = BOARD_DNS_NO_ANSWER;
	assert_int_equal(state_of(DNS1), IPC_PROCESS_NO_ANSWER);
	board_dns(board, DNS1)->state = BOARD_DNS_NO_STORE;
	assert_int_equal(state_of(DNS1), IPC_PROCESS_NO_STORE);
	assert_string_equal(health_problem(board), "dns_unavailable");
	board_dns(board, DNS1)->state = BOARD_DNS_WELL;
	put_in_service(ROLE_KEEPER, HEALTH_PATIENCE_MS + 1000);
	assert_string_equal(health_problem(board), "store_unavailable");
}

static void a_report_has_the_sick_first(void **state)
{
	struct ipc_report r = {.process_count = 0};
	(void)state;
	put_in_service(ROLE_KEEPER, 0);
	put_in_service(ROLES, 0);
	put_in_service(DNS1, HEALTH_PATIENCE_MS + 1000);
	board_child_ended(board, ROLES, BOARD_END_EXIT, clock_wall_ms());
	board_child_started(board, ROLES, 8, clock_wall_ms() + 86400000,
		clock_mono_ms() - 3000); /* the clock is set back since */
	/* of the other generation */
	board_child_added(board, ROLES + SEATS, clock_mono_ms());
	board_child_ended(board, ROLES + SEATS, BOARD_END_SIGNAL, clock_wall_ms());
	board_child_leaves(board, ROLES + SEATS);
	board_start(board, 5, clock_mono_ms() - 7000);
	health_report(board, &r);
	assert_int_equal(r.process_count, 3);
	assert_int_equal(r.server_started, 5);
	assert_in_range(r.server_up, 7000, 7999);
	assert_string_equal(r.processes[0].name, "dns1");
	assert_string_equal(r.processes[1].name, "keeper");
	assert_string_equal(r.processes[2].name, "dns0");
	assert_int_equal(r.processes[2].restarts, 2);
	assert_int_equal(r.processes[2].pid, 8);
	assert_in_range(r.processes[2].up, 3000, 3999);
}

static void names_are_those_of_the_processes(void **state)
{
	static const char *const names[SEATS] = {[ROLE_KEEPER] = "keeper",
		[ROLE_DOT] = "dot",
		[ROLE_API] = "api",
		[ROLES] = "dns0",
		[DNS1] = "dns1"};
	char name[16];
	(void)state;
	for (unsigned i = 0; i < PLACES; i++) {
		if (!names[i % SEATS])
			continue;
		place_name(board, i, name);
		assert_string_equal(name, names[i % SEATS]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_place_outlives_its_process, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_writes_where_another_does, setup, teardown),
		cmocka_unit_test_setup_teardown(the_agent_tells_of_the_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(who_does_not_show_up_is_missed, setup, teardown),
		cmocka_unit_test_setup_teardown(who_cannot_do_its_work_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(a_report_has_the_sick_first, setup, teardown),
		cmocka_unit_test_setup_teardown(names_are_those_of_the_processes, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
