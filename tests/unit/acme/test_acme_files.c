// SPDX-License-Identifier: GPL-3.0-or-later
/* The folder: files are replaced whole or not at all, and what is damaged is no obstacle. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "acme/book.h"
#include "acme/files.h"
#include "tempdir.h"
#include "unit.h"

struct folder {
	struct tempdir dir;
	int fd;
};

static int set_up(void **state)
{
	static struct folder f;
	f.dir = tempdir_make();
	f.fd = open(f.dir.path, O_RDONLY | O_DIRECTORY);
	assert_true(f.fd >= 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct folder *f = *state;
	close(f->fd);
	tempdir_remove(f->dir.path);
	return 0;
}

static void assert_file(int folder, const char *name, const char *wanted)
{
	char *text;
	size_t len;
	assert_int_equal(file_read(folder, name, &text, &len), OK);
	assert_string_equal(text, wanted);
	assert_int_equal(len, strlen(wanted));
	file_free(&text);
	assert_null(text);
}

static void test_written_and_read(void **state)
{
	struct folder *f = *state;
	struct stat st;
	char *text;
	size_t len;
	assert_int_equal(file_read(f->fd, "x", &text, &len), ERR_NOTFOUND);
	assert_int_equal(file_write(f->fd, "x", "first"), OK);
	assert_file(f->fd, "x", "first");
	assert_int_equal(file_write(f->fd, "x", "second"), OK);
	assert_file(f->fd, "x", "second");
	assert_int_equal(fstatat(f->fd, "x", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(faccessat(f->fd, "x.new", F_OK, 0), -1);
}

/* What a killed predecessor has left is no obstacle, and a link that somebody put there is not followed. */
static void test_leftovers(void **state)
{
	struct folder *f = *state;
	assert_int_equal(file_write(f->fd, "victim", "untouched"), OK);
	assert_int_equal(symlinkat("victim", f->fd, "x.new"), 0);
	assert_int_equal(file_write(f->fd, "x", "text"), OK);
	assert_file(f->fd, "x", "text");
	assert_file(f->fd, "victim", "untouched");
	char *text;
	size_t len;
	assert_int_equal(symlinkat("victim", f->fd, "link"), 0);
	assert_int_equal(file_read(f->fd, "link", &text, &len), ERR_SYSTEM);
}

/* A write that breaks off in the middle: here at the limit on the size of files. */
static void test_failed_write_leaves_the_old_file(void **state)
{
	struct folder *f = *state;
	struct rlimit before, small;
	assert_int_equal(file_write(f->fd, "x", "old"), OK);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 4;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int rc = file_write(f->fd, "x", "longer than that");
	int why = errno;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(rc, ERR_SYSTEM);
	assert_int_equal(why, EFBIG);
	assert_file(f->fd, "x", "old");
	assert_int_equal(faccessat(f->fd, "x.new", F_OK, 0), -1);
	assert_int_equal(file_write(f->fd, "x", "longer than that"), OK);
}

static void test_odd_files(void **state)
{
	struct folder *f = *state;
	char *text;
	size_t len;
	assert_int_equal(mkdirat(f->fd, "folder", 0700), 0);
	assert_int_equal(file_read(f->fd, "folder", &text, &len), ERR_RANGE);
	int fd = openat(f->fd, "nul", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "a\0b", 3), 3);
	assert_int_equal(ftruncate(fd, 3), 0);
	close(fd);
	assert_int_equal(file_read(f->fd, "nul", &text, &len), ERR_RANGE);
	fd = openat(f->fd, "big", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, FILE_MAX + 1), 0);
	close(fd);
	assert_int_equal(file_read(f->fd, "big", &text, &len), ERR_RANGE);
	assert_null(text);
}

static void test_book_comes_back(void **state)
{
	struct folder *f = *state;
	struct book b, again;
	struct acme_state s;
	char identities[ACME_IDENTITIES][ACME_TEXT] = {"ca.example", "ca.example.net"};
	assert_int_equal(book_load(f->fd, &b), OK); /* none is an empty one */
	b.last_attempt = 1;
	b.next_attempt = 2;
	b.last_success = 3;
	b.barred = 4;
	b.failures = 5;
	b.renew_at = 6;
	b.check_at = 7;
	b.window = (struct window){.start = 8, .end = 9};
	strncpy(b.error, "why", sizeof b.error);
	assert_int_equal(
		book_set_account(&b, "https://one/", "https://one/1", "a@b", "https://t", identities), OK);
	assert_int_equal(book_set_account(&b, "https://two/", "https://two/2", "", "", identities), OK);
	assert_int_equal(book_save(f->fd, &b), OK);
	assert_int_equal(book_load(f->fd, &again), OK);
	assert_int_equal(again.barred, 4);
	assert_int_equal(again.renew_at, 6);
	assert_int_equal(again.check_at, 7);
	assert_int_equal(again.window.start, 8);
	assert_int_equal(again.window.end, 9);
	book_free(&b);
	book_free(&again);
	/* Each CA has its own account. */
	assert_int_equal(acme_state_load(f->dir.path, "https://two/", &s), OK);
	assert_string_equal(s.account, "https://two/2");
	assert_int_equal(acme_state_load(f->dir.path, "https://one/", &s), OK);
	assert_string_equal(s.account, "https://one/1");
	assert_string_equal(s.identities[1], "ca.example.net");
	assert_string_equal(s.identities[2], "");
	assert_int_equal(s.last_attempt, 1);
	assert_int_equal(s.next_attempt, 2);
	assert_int_equal(s.last_success, 3);
	assert_int_equal(s.failures, 5);
	assert_string_equal(s.error, "why");
	assert_int_equal(s.not_after, 0);
}

static void test_nothing_yet(void **state)
{
	struct folder *f = *state;
	struct acme_state s;
	assert_int_equal(acme_state_load(f->dir.path, "https://one/", &s), ERR_NOTFOUND);
	assert_int_equal(acme_state_load("/nonexistent", "https://one/", &s), ERR_NOTFOUND);
	assert_int_equal(s.next_attempt, 0);
}

static void test_damaged_book(void **state)
{
	struct folder *f = *state;
	static const char *const damaged[] = {"", "{", "[]", "{\"accounts\":1", "\xff"};
	static const char *const odd[] = {"{}", "{\"accounts\":[],\"attempts\":1,\"renewal\":\"x\"}",
		"{\"accounts\":{\"https://one/\":7},\"attempts\":{\"failures\":-1,\"next_attempt\":9223372036854775807}}"};
	struct book b;
	struct acme_state s;
	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
		assert_int_equal(file_write(f->fd, ACME_STATE_FILE, damaged[i]), OK);
		assert_int_equal(book_load(f->fd, &b), ERR_INVALID);
		assert_int_equal(b.next_attempt, 0);
		book_free(&b);
	}
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		assert_int_equal(file_write(f->fd, ACME_STATE_FILE, odd[i]), OK);
		assert_int_equal(book_load(f->fd, &b), OK);
		assert_int_equal(b.failures, 0);
		assert_int_equal(b.next_attempt, 0);
		book_free(&b);
		assert_int_equal(acme_state_load(f->dir.path, "https://one/", &s), ERR_NOTFOUND);
	}
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_written_and_read),
		IN_FOLDER(test_leftovers),
		IN_FOLDER(test_failed_write_leaves_the_old_file),
		IN_FOLDER(test_odd_files),
		IN_FOLDER(test_book_comes_back),
		IN_FOLDER(test_nothing_yet),
		IN_FOLDER(test_damaged_book),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
