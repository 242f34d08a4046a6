// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bulk/bulk.h"
#include "delegate/delegate.h"
#include "tempdir.h"

enum { NOW = 1000, MEMORY = 64 << 10 /* far less than a person may give: many chunks */ };

static struct tempdir dir;
static char store_path[80];
static struct bulk_zone zone = {"auth.example.org", 0};

/* What was said of bad lines, as "LINE: why\n". */
static char complaints[8192];
static uint64_t exit_at; /* the step of writing at which the process is to end; 0: never */

static int setup(void **state)
{
	(void)state;
	dir = tempdir_make();
	snprintf(store_path, sizeof store_path, "%s/store", dir.path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tempdir_remove(dir.path);
	return 0;
}

static struct store *open_store(void)
{
	struct store *s;
	struct store_txn *t;
	assert_int_equal(store_open(store_path, STORE_WRITE, NULL, &s), OK);
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(delegate_zone_id(t, zone.name, &zone.id), OK);
	assert_int_equal(store_txn_commit(&t), OK);
	return s;
}

static void note_bad(void *ctx, uint64_t line, const char *why)
{
	(void)ctx;
	size_t n = strlen(complaints);
	snprintf(complaints + n, sizeof complaints - n, "%llu: %s\n", (unsigned long long)line, why);
}

static void leave(void *ctx, enum bulk_phase phase, uint64_t done, uint64_t total)
{
	(void)ctx;
	(void)total;
	if (phase == BULK_WRITING && exit_at && done >= exit_at)
		_exit(7); /* as if killed: nothing is flushed, closed or undone */
}

static int import_file(FILE *f, bool keep_going, struct bulk_import_result *out)
{
	struct store *s = open_store();
	complaints[0] = 0;
	rewind(f);
	lseek(fileno(f), 0, SEEK_SET);
	const struct bulk_import_settings settings = {
		.input = fileno(f),
		.zones = &zone,
		.zone_count = 1,
		.folder = dir.path,
		.memory = MEMORY,
		.keep_going = keep_going,
		.now = NOW,
		.stop = -1,
		.watcher = {NULL, leave, note_bad},
	};
	int rc = bulk_import(s, &settings, out);
	store_close(&s);
	return rc;
}

static int import(const char *text, bool keep_going, struct bulk_import_result *out)
{
	FILE *f = tmpfile();
	fputs(text, f);
	int rc = import_file(f, keep_going, out);
	fclose(f);
	return rc;
}

/* Everything in the store, as export writes it. */
static char *export(void)
{
	struct store *s = open_store();
	FILE *f = tmpfile();
	struct bulk_export_result n;
	const struct bulk_export_settings settings = {
		.output = fileno(f), .zones = &zone, .zone_count = 1, .now = NOW, .stop = -1};
	assert_int_equal(bulk_export(s, &settings, &n), OK);
	assert_int_equal(n.nameless + n.damaged, 0);
	store_close(&s);
	fseek(f, 0, SEEK_END);
	size_t len = (size_t)ftell(f);
	char *text = malloc(len + 1);
	rewind(f);
	assert_int_equal(fread(text, 1, len, f), len);
	text[len] = 0;
	fclose(f);
	return text;
}

static void expect_export(const char *expected)
{
	char *text = export();
	assert_string_equal(text, expected);
	free(text);
}

#define HEADER  "{\"format\":\"acme-delegate\",\"version\":2}\n"
#define END(n)  "{\"delegates\":" #n "}\n"
#define HEX     "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY(k)  "{\"id\":\"" #k "1234567-89ab-4cde-8f01-23456789abcd\",\"created\":5,\"sha256\":\"" HEX "\"}"
#define D(l, k) "{\"zone\":\"auth.example.org\",\"label\":\"" l "\",\"created\":3,\"keys\":[" k "]}\n"
#define ID(k)   #k "1234567-89ab-4cde-8f01-23456789abcd"

static void lines_become_delegates_and_lines_again(void **state)
{
	(void)state;
	static const char text[] = HEADER D("a", KEY(0)) D("b",
		KEY(2) "," KEY(1)) "{\"zone\":\"auth.example.org\",\"label\":\"c\",\"created\":3,"
				   "\"allow\":[\"192.0.2.0/24\"],\"keys\":[],\"values\":[{\"value\":"
				   "\"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\",\"expiry\":2000}]}\n" END(
					   3);
	struct bulk_import_result n;
	assert_int_equal(import(text, false, &n), OK);
	assert_int_equal(n.imported, 3);
	assert_int_equal(n.there + n.bad, 0);
	expect_export(text);
	/* What it has is swept when its time has come. */
	struct store *s = open_store();
	struct store_txn *t;
	int64_t next;
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(delegate_sweep(t, 1999, 10, &next), OK);
	assert_true(next == 2000);
	store_txn_abort(&t);
	store_close(&s);
}

static void what_is_there_stays_as_it_is(void **state)
{
	(void)state;
	struct bulk_import_result n;
	assert_int_equal(import(D("a", KEY(0)), false, &n), OK);
	/* The line for "a" brings another key, which must not open it. */
	assert_int_equal(import(D("b", KEY(1)) D("a", KEY(2)), false, &n), OK);
	assert_int_equal(n.imported, 1);
	assert_int_equal(n.there, 1);
	expect_export(HEADER D("a", KEY(0)) D("b", KEY(1)) END(2));
	struct store *s = open_store();
	struct store_txn *t;
	struct delegate_login id;
	const struct address from = {{0}};
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(delegate_authenticate(t, ID(2), "any", &from, &id), ERR_FORBIDDEN);
	store_txn_abort(&t);
	store_close(&s);
}

static void one_bad_line_and_nothing_is_written(void **state)
{
	(void)state;
	struct bulk_import_result n;
	static const char text[] = HEADER D("a", KEY(0)) D("B", KEY(1)) "{\n" D("c", KEY(2)) END(4);
	assert_int_equal(import(text, false, &n), ERR_INVALID);
	assert_int_equal(n.bad, 2);
	assert_int_equal(n.imported, 0);
	assert_false(n.writing);
	assert_non_null(strstr(complaints, "3: label"));
	assert_non_null(strstr(complaints, "4: not JSON"));
	expect_export(HEADER END(0));
	assert_int_equal(import(text, true, &n), OK);
	assert_int_equal(n.bad, 2);
	assert_int_equal(n.imported, 2);
	expect_export(HEADER D("a", KEY(0)) D("c", KEY(2)) END(2));
}

static void a_delegate_stands_once_in_the_input(void **state)
{
	(void)state;
	struct bulk_import_result n;
	assert_int_equal(import(D("a", KEY(0)) D("b", KEY(1)) D("a", KEY(2)), true, &n), OK);
	assert_string_equal(complaints, "3: \"a\" is the same delegate as in line 1\n");
	expect_export(HEADER D("a", KEY(0)) D("b", KEY(1)) END(2));
}

static void a_key_never_changes_hands(void **state)
{
	(void)state;
	struct bulk_import_result n;
	/* Between two lines nobody knows who is right. */
	assert_int_equal(import(D("a", KEY(0)) D("b", KEY(1)) D("c", KEY(2) "," KEY(0)), true, &n), OK);
	assert_int_equal(n.bad, 2);
	assert_non_null(
		strstr(complaints, "1: the key ID " ID(0) " is that of another delegate in line 3\n"));
	assert_non_null(
		strstr(complaints, "3: the key ID " ID(0) " is that of another delegate in line 1\n"));
	expect_export(HEADER D("b", KEY(1)) END(1));
	/* Against the store the store is right; a line that is left out brings none of its keys. */
	assert_int_equal(import(D("a", KEY(1) "," KEY(3)), true, &n), OK);
	assert_string_equal(complaints, "1: the key ID " ID(1) " is that of another delegate in the store\n");
	assert_int_equal(import(D("d", KEY(3)), false, &n), OK);
	expect_export(HEADER D("b", KEY(1)) D("d", KEY(3)) END(2));
	/* Also when the other line is about a delegate that is there already. */
	assert_int_equal(import(D("b", KEY(4)) D("e", KEY(4)), true, &n), OK);
	assert_int_equal(n.there, 1);
	assert_non_null(strstr(complaints, "2: the key ID " ID(4)));
	assert_int_equal(n.imported, 0);
}

static void an_input_that_breaks_off_is_noticed(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} cases[] = {
		{HEADER D("a", KEY(0)), "3: the input ends without its last line"},
		{HEADER D("a", KEY(0)) END(2), "3: 2 delegates were to come"},
		{HEADER D("a", KEY(0)) END(0), "3: 0 delegates were to come"},
		{HEADER D("a", KEY(0)) END(1) D("b", KEY(1)), "4: behind the line"},
		{HEADER D("a", KEY(0)) END(1) HEADER, "4: behind the line"},
		{D("a", KEY(0)) HEADER END(1), "2: a header that is not"},
		{D("a", KEY(0)) "\n", "2: an empty line"},
	};
	struct bulk_import_result n;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(import(cases[i].text, false, &n), ERR_INVALID);
		assert_true(strncmp(complaints, cases[i].why, strlen(cases[i].why)) == 0);
	}
	assert_int_equal(import("{\"format\":\"acme-delegate\",\"version\":3}\n", true, &n), ERR_FORMAT);
	expect_export(HEADER END(0));
	assert_int_equal(import(HEADER END(0), false, &n), OK);
	assert_int_equal(import("", false, &n), OK); /* lines written by hand, of which there are none */
}

static void a_stop_leaves_what_was_there(void **state)
{
	(void)state;
	struct store *s = open_store();
	FILE *f = tmpfile();
	int stop[2];
	struct bulk_import_result n;
	fputs(D("a", KEY(0)), f);
	rewind(f);
	assert_int_equal(pipe(stop), 0);
	assert_int_equal(write(stop[1], "x", 1), 1);
	const struct bulk_import_settings settings = {.input = fileno(f),
		.zones = &zone,
		.zone_count = 1,
		.folder = dir.path,
		.memory = MEMORY,
		.now = NOW,
		.stop = stop[0]};
	assert_int_equal(bulk_import(s, &settings, &n), ERR_CLOSED);
	assert_false(n.writing);
	store_close(&s);
	fclose(f);
	close(stop[0]);
	close(stop[1]);
	expect_export(HEADER END(0));
}

/* ---- ends in the middle ---- */

enum { MANY = 60000 /* more than a transaction takes */ };

static FILE *many_delegates(void)
{
	FILE *f = tmpfile();
	for (unsigned i = 0; i < MANY; i++) {
		unsigned n = i * 2654435761u; /* not in the order of the keys */
		fprintf(f,
			"{\"zone\":\"auth.example.org\",\"label\":\"x%08x\",\"created\":3,\"keys\":[{\"id\":\"%08x-89ab-4cde-"
			"8f01-23456789abcd\",\"created\":5,\"sha256\":\"" HEX "\"}]}\n",
			n, ~n);
	}
	fflush(f); /* once, not by every child */
	return f;
}

static void end_at(uint64_t written, FILE *f)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct bulk_import_result n;
		exit_at = written;
		_exit(import_file(f, false, &n) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
}

/* Lines that have `part` in them. */
static size_t count(const char *text, const char *part)
{
	size_t n = 0;
	for (const char *end; (end = strchrnul(text, '\n')) != text; text = end + 1)
		n += memmem(text, (size_t)(end - text), part, strlen(part)) != NULL;
	return n;
}

static void an_import_that_was_killed_can_be_completed(void **state)
{
	(void)state;
	FILE *f = many_delegates();
	/* While keys are written; when they are, but no name is; when some names are. */
	static const uint64_t moments[] = {8192, MANY + 8192, 2 * MANY - 8192};
	static const size_t expected[] = {0, 0, 50000};
	struct bulk_import_result n;
	for (size_t i = 0; i < 3; i++) {
		end_at(moments[i], f);
		/* Export reads the account and the keys of every name, and finds nothing damaged. */
		char *text = export();
		assert_int_equal(count(text, "\"label\""), expected[i]);
		assert_int_equal(count(text, "\"sha256\""), expected[i]);
		free(text);
	}
	assert_int_equal(import_file(f, false, &n), OK);
	assert_int_equal(n.imported + n.there, MANY);
	assert_int_equal(n.there, 50000);
	char *text = export();
	assert_int_equal(count(text, "\"sha256\""), MANY);
	free(text);
	assert_int_equal(import_file(f, false, &n), OK);
	assert_int_equal(n.there, MANY);
	fclose(f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_become_delegates_and_lines_again),
		TEST(what_is_there_stays_as_it_is),
		TEST(one_bad_line_and_nothing_is_written),
		TEST(a_delegate_stands_once_in_the_input),
		TEST(a_key_never_changes_hands),
		TEST(an_input_that_breaks_off_is_noticed),
		TEST(a_stop_leaves_what_was_there),
		TEST(an_import_that_was_killed_can_be_completed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
