// SPDX-License-Identifier: GPL-3.0-or-later
/* What somebody could still do who has taken over a child: each role is entered in a process of its own,
 * which then tries. The statuses are collected, so that one run shows every hole. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "app/internal.h"
#include "tempdir.h"

enum attempt {
	WRITE_DATA = 1 << 0,
	WRITE_LOCK = 1 << 1,
	READ_DATA = 1 << 2,
	CREATE_BESIDE = 1 << 3, /* in the store's folder */
	CREATE_ELSEWHERE = 1 << 4,
	READ_ELSEWHERE = 1 << 5,
	GAIN_PRIVILEGES = 1 << 6,
};

static struct tempdir dir;

static int setup(void **state)
{
	(void)state;
	dir = tempdir_make();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tempdir_remove(dir.path);
	return 0;
}

static bool can_open(const char *name, int flags)
{
	char path[128];
	if (name[0] == '/')
		snprintf(path, sizeof path, "%s", name);
	else
		snprintf(path, sizeof path, "%s/%s", dir.path, name);
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int attempts(void)
{
	int done = 0;
	done |= can_open("data.mdb", O_RDWR) ? WRITE_DATA : 0;
	done |= can_open("lock.mdb", O_RDWR) ? WRITE_LOCK : 0;
	done |= can_open("data.mdb", O_RDONLY) ? READ_DATA : 0;
	done |= can_open("new", O_RDWR | O_CREAT) ? CREATE_BESIDE : 0;
	done |= can_open("/tmp/acme-delegate-test-escape", O_RDWR | O_CREAT) ? CREATE_ELSEWHERE : 0;
	done |= can_open("/etc/passwd", O_RDONLY) ? READ_ELSEWHERE : 0;
	done |= prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ? GAIN_PRIVILEGES : 0;
	return done;
}

/* What a process in this role gets done; -1: it could not enter. */
static int done_by(enum sandbox_role role)
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* _exit: nothing of the test's own is to be looked at from inside the sandbox */
		_exit(sandbox_enter(role, dir.path, NULL) ? 255 : attempts());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
}

static void make_store(void)
{
	struct store *s;
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &s), OK);
	store_close(&s);
}

static void nothing_is_taken_from_the_supervisor_but_privileges(void **state)
{
	(void)state;
	make_store();
	int all = WRITE_DATA | WRITE_LOCK | READ_DATA | CREATE_BESIDE | CREATE_ELSEWHERE | READ_ELSEWHERE;
	assert_int_equal(done_by(SANDBOX_SUPERVISOR), all);
	unlink("/tmp/acme-delegate-test-escape");
}

static void the_api_has_no_files(void **state)
{
	(void)state;
	make_store();
	assert_int_equal(done_by(SANDBOX_API), 0);
}

static void a_dns_worker_reads_the_store_and_nothing_else(void **state)
{
	(void)state;
	make_store();
	assert_int_equal(done_by(SANDBOX_DNS), READ_DATA | WRITE_LOCK);
}

static void the_keeper_has_the_store_and_nothing_else(void **state)
{
	(void)state;
	make_store();
	assert_int_equal(done_by(SANDBOX_KEEPER), WRITE_DATA | WRITE_LOCK | READ_DATA | CREATE_BESIDE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_taken_from_the_supervisor_but_privileges),
		TEST(the_api_has_no_files),
		TEST(a_dns_worker_reads_the_store_and_nothing_else),
		TEST(the_keeper_has_the_store_and_nothing_else),
	};
	const struct CMUnitTest without_landlock[] = {
		TEST(nothing_is_taken_from_the_supervisor_but_privileges)};
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1) {
		print_message("this kernel has no Landlock: what it confines is not tested\n");
		return cmocka_run_group_tests(without_landlock, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
