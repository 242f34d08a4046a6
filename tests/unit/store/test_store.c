// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <lmdb.h>

#include "store/store.h"
#include "tempdir.h"

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

static struct store *open_writer(void)
{
	struct store *s;
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &s), OK);
	return s;
}

static void put(struct store *s, const char *key, const char *value)
{
	struct store_txn *t;
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(store_txn_put(t, STORE_NAMES, key, strlen(key), value, strlen(value)), OK);
	assert_int_equal(store_txn_commit(&t), OK);
	assert_null(t);
}

/* The value as text, or "" for none. */
static const char *get(struct store_snapshot *v, const char *key)
{
	static char out[64];
	size_t len = 0;
	int rc = store_snapshot_get(v, STORE_NAMES, key, strlen(key), out, sizeof out - 1, &len);
	assert_true(rc == OK || rc == ERR_NOTFOUND);
	out[rc ? 0 : len] = 0;
	return out;
}

static void a_snapshot_sees_what_was_committed_before_it(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_snapshot *v;
	assert_int_equal(store_snapshot_new(s, &v), OK);
	assert_int_equal(
		store_snapshot_get(v, STORE_NAMES, "k", 1, NULL, 0, NULL), ERR_STORE); /* not pinned */
	assert_int_equal(store_snapshot_renew(v), OK);
	put(s, "k", "one");
	assert_string_equal(get(v, "k"), "");
	assert_int_equal(store_snapshot_renew(v), OK);
	assert_string_equal(get(v, "k"), "one");
	store_snapshot_free(&v);
	store_close(&s);
}

/* Whether a commit has shown anything about the disk. */
static void a_transaction_knows_whether_it_writes(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_txn *t;
	size_t len;
	char out[8];
	put(s, "k", "one");
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_false(store_txn_writes(t));
	assert_int_equal(store_txn_get(t, STORE_NAMES, "k", 1, out, sizeof out, &len), OK);
	assert_int_equal(store_txn_delete(t, STORE_NAMES, "nothing", 7), OK);
	assert_false(store_txn_writes(t));
	assert_int_equal(store_txn_delete(t, STORE_NAMES, "k", 1), OK);
	assert_true(store_txn_writes(t));
	assert_int_equal(store_txn_commit(&t), OK);
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_false(store_txn_writes(t));
	assert_int_equal(store_txn_put(t, STORE_NAMES, "k", 1, "two", 3), OK);
	assert_true(store_txn_writes(t));
	store_txn_abort(&t);
	store_close(&s);
}

static void what_is_committed_survives_closing(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_snapshot *v;
	put(s, "k", "one");
	store_close(&s);
	assert_int_equal(store_open(dir.path, STORE_READ, NULL, &s), OK);
	assert_int_equal(store_snapshot_new(s, &v), OK);
	assert_int_equal(store_snapshot_renew(v), OK);
	assert_string_equal(get(v, "k"), "one");
	store_snapshot_free(&v);
	store_close(&s);
}

static void a_transaction_is_all_or_nothing(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_txn *t;
	char out[8], large[STORE_MAX_VALUE + 1] = {0};
	size_t len;
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(store_txn_put(t, STORE_NAMES, "a", 1, "1", 1), OK);
	assert_int_equal(
		store_txn_get(t, STORE_NAMES, "a", 1, out, sizeof out, &len), OK); /* its own write */
	assert_int_equal(store_txn_put(t, STORE_NAMES, "b", 1, large, sizeof large), ERR_RANGE);
	assert_int_equal(store_txn_put(t, STORE_NAMES, "c", 1, "3", 1), ERR_RANGE); /* sticks */
	assert_int_equal(store_txn_commit(&t), ERR_RANGE);
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(store_txn_get(t, STORE_NAMES, "a", 1, out, sizeof out, &len), ERR_NOTFOUND);
	store_txn_abort(&t);
	assert_null(t);
	store_close(&s);
}

static void keys_are_ordered_and_first_finds_the_smallest(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_txn *t;
	char out[8];
	size_t len;
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(store_txn_first(t, STORE_EXPIRY, out, sizeof out, &len), ERR_NOTFOUND);
	assert_int_equal(store_txn_put(t, STORE_EXPIRY, "b", 1, "", 0), OK);
	assert_int_equal(store_txn_put(t, STORE_EXPIRY, "a", 1, "", 0), OK);
	assert_int_equal(store_txn_first(t, STORE_EXPIRY, out, sizeof out, &len), OK);
	assert_int_equal(out[0], 'a');
	assert_int_equal(store_txn_delete(t, STORE_EXPIRY, "a", 1), OK);
	assert_int_equal(store_txn_delete(t, STORE_EXPIRY, "a", 1), OK); /* gone is fine */
	assert_int_equal(store_txn_first(t, STORE_EXPIRY, out, sizeof out, &len), OK);
	assert_int_equal(out[0], 'b');
	assert_int_equal(store_txn_commit(&t), OK);
	store_close(&s);
}

static void limits_of_keys_and_buffers(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_txn *t;
	char key[STORE_MAX_KEY + 1] = {1}, out[2];
	size_t len;
	put(s, "k", "long");
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(store_txn_get(t, STORE_NAMES, "k", 1, out, sizeof out, &len), ERR_RANGE);
	assert_int_equal(store_txn_put(t, STORE_NAMES, key, STORE_MAX_KEY, "v", 1),
		OK); /* reading too little is no fault */
	assert_int_equal(store_txn_put(t, STORE_NAMES, key, sizeof key, "v", 1), ERR_RANGE);
	store_txn_abort(&t);
	store_close(&s);
}

static void reading_wants_a_store_that_is_there(void **state)
{
	(void)state;
	struct store *s;
	assert_int_equal(store_open(dir.path, STORE_READ, NULL, &s), ERR_NOTFOUND);
	assert_null(s);
	assert_int_equal(store_open("/proc/nowhere", STORE_WRITE, NULL, &s), ERR_SYSTEM);
}

static void set_format(uint32_t format)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi meta;
	uint8_t bytes[4] = {0, 0, 0, (uint8_t)format};
	char name[] = "format";
	MDB_val k = {6, name}, v = {4, bytes};
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
	assert_int_equal(mdb_env_open(env, dir.path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
	assert_int_equal(mdb_put(txn, meta, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void a_newer_format_is_refused(void **state)
{
	(void)state;
	struct store *s = open_writer();
	char *text = NULL;
	size_t len;
	store_close(&s);
	set_format(4);
	struct diag *why = diag_new();
	assert_int_equal(store_open(dir.path, STORE_WRITE, why, &s), ERR_FORMAT);
	FILE *f = open_memstream(&text, &len);
	diag_print(why, f);
	fclose(f);
	assert_non_null(strstr(text, "format 4"));
	free(text);
	diag_free(&why);
	assert_int_equal(store_open(dir.path, STORE_READ, NULL, &s), ERR_FORMAT);
}

/* A store as the first format has it: without the tables that came later. */
static void make_old(void)
{
	static const char *const later[] = {"evidence", "tokens", "events"};
	MDB_env *env;
	MDB_txn *txn;
	set_format(1);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
	assert_int_equal(mdb_env_open(env, dir.path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	for (int i = 0; i < 3; i++) {
		MDB_dbi dbi;
		assert_int_equal(mdb_dbi_open(txn, later[i], 0, &dbi), 0);
		assert_int_equal(mdb_drop(txn, dbi, 1), 0);
	}
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static bool stop_at_once(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t len)
{
	(void)key, (void)key_len, (void)value, (void)len;
	*(bool *)ctx = true;
	return false;
}

/* Who only reads takes what is missing as empty; who writes brings the store up to date, and loses nothing.
 */
static void an_older_format_is_read_and_brought_up_to_date(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_snapshot *v;
	char out[8];
	size_t len;
	put(s, "k", "one");
	store_close(&s);
	make_old();
	for (int turn = 0; turn < 2; turn++) {
		bool visited = false, more = true;
		struct store_size size;
		assert_int_equal(store_open(dir.path, turn ? STORE_WRITE : STORE_READ, NULL, &s), OK);
		assert_int_equal(store_snapshot_new(s, &v), OK);
		assert_int_equal(store_snapshot_renew(v), OK);
		assert_int_equal(store_snapshot_get(v, STORE_NAMES, "k", 1, out, sizeof out, &len), OK);
		assert_int_equal(
			store_snapshot_get(v, STORE_EVENTS, "k", 1, out, sizeof out, &len), ERR_NOTFOUND);
		assert_int_equal(
			store_snapshot_walk(v, STORE_EVENTS, NULL, 0, 9, stop_at_once, &visited, &more), OK);
		assert_false(visited || more);
		assert_int_equal(store_measure(s, &size), OK);
		assert_int_equal(size.entries[STORE_NAMES], 1);
		assert_int_equal(size.entries[STORE_EVENTS], 0);
		store_snapshot_free(&v);
		store_close(&s);
	}
	struct store_txn *t;
	s = open_writer();
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(store_txn_put(t, STORE_EVENTS, "e", 1, "x", 1), OK);
	assert_int_equal(store_txn_commit(&t), OK);
	store_close(&s);
}

static void the_ends_of_a_table_and_what_is_between(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_txn *t;
	char key[8], value[8];
	size_t key_len, len;
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(store_txn_last(t, STORE_EVENTS, key, sizeof key, &key_len), ERR_NOTFOUND);
	assert_int_equal(
		store_txn_seek(t, STORE_EVENTS, "a", 1, key, sizeof key, &key_len, value, sizeof value, &len),
		ERR_NOTFOUND);
	assert_int_equal(store_txn_put(t, STORE_EVENTS, "bb", 2, "1", 1), OK);
	assert_int_equal(store_txn_put(t, STORE_EVENTS, "dd", 2, "2", 1), OK);
	assert_int_equal(store_txn_last(t, STORE_EVENTS, key, sizeof key, &key_len), OK);
	assert_memory_equal(key, "dd", 2);
	static const struct {
		const char *from, *found;
	} cases[] = {{"a", "bb"}, {"b", "bb"}, {"bb", "bb"}, {"bc", "dd"}, {"dd", "dd"}, {"de", NULL}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int rc = store_txn_seek(t, STORE_EVENTS, cases[i].from, strlen(cases[i].from), key,
			sizeof key, &key_len, value, sizeof value, &len);
		assert_int_equal(rc, cases[i].found ? OK : ERR_NOTFOUND);
		if (cases[i].found)
			assert_true(key_len == 2 && memcmp(key, cases[i].found, 2) == 0 && len == 1);
	}
	assert_int_equal(store_txn_seek(t, STORE_EVENTS, "a", 1, key, 1, &key_len, value, sizeof value, &len),
		ERR_RANGE);
	assert_int_equal(store_txn_commit(&t), OK); /* which does not stick */
	store_close(&s);
}

static void a_copy_is_a_store(void **state)
{
	(void)state;
	struct tempdir other = tempdir_make();
	struct store *s = open_writer(), *copy;
	struct store_snapshot *v;
	char file[128], out[8];
	size_t len;
	put(s, "k", "one");
	snprintf(file, sizeof file, "%s/data.mdb", other.path);
	int fd = open(file, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(store_copy(s, fd), OK);
	close(fd);
	put(s, "k", "two");
	assert_int_equal(store_open(other.path, STORE_READ, NULL, &copy), OK);
	assert_int_equal(store_snapshot_new(copy, &v), OK);
	assert_int_equal(store_snapshot_renew(v), OK);
	assert_int_equal(store_snapshot_get(v, STORE_NAMES, "k", 1, out, sizeof out, &len), OK);
	assert_memory_equal(out, "one", 3);
	store_snapshot_free(&v);
	store_close(&copy);
	fd = open("/dev/full", O_WRONLY);
	assert_int_equal(store_copy(s, fd), ERR_FULL);
	assert_int_equal(errno, ENOSPC);
	close(fd);
	put(s, "k", "three"); /* none the worse for it */
	store_close(&s);
	tempdir_remove(other.path);
}

static void damage(const char *how, off_t size)
{
	char file[128];
	snprintf(file, sizeof file, "%s/data.mdb", dir.path);
	int fd = open(file, O_RDWR);
	assert_true(fd >= 0);
	if (strcmp(how, "truncate") == 0) {
		assert_int_equal(ftruncate(fd, size), 0);
	} else {
		char junk[8192];
		memset(junk, 0x5a, sizeof junk);
		assert_int_equal(pwrite(fd, junk, sizeof junk, 0), sizeof junk);
	}
	close(fd);
}

/* LMDB would take an empty file for a new store: every name would be gone without a word. */
static void an_emptied_file_is_damage_not_a_new_store(void **state)
{
	(void)state;
	struct store *s = open_writer();
	put(s, "k", "one");
	store_close(&s);
	damage("truncate", 0);
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &s), ERR_STORE);
	assert_int_equal(store_open(dir.path, STORE_READ, NULL, &s), ERR_STORE);
}

static void overwritten_meta_pages_are_damage(void **state)
{
	(void)state;
	struct store *s = open_writer();
	store_close(&s);
	damage("overwrite", 0);
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &s), ERR_STORE);
}

static void a_file_cut_while_open_is_an_error_not_a_signal(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_snapshot *v;
	char out[8];
	size_t len;
	put(s, "k", "one");
	assert_int_equal(store_snapshot_new(s, &v), OK);
	assert_int_equal(store_snapshot_renew(v), OK);
	assert_false(store_snapshot_broken(v));
	damage("truncate", 0);
	for (int i = 0; i < 3; i++) /* the guard works more than once */
		assert_int_equal(
			store_snapshot_get(v, STORE_NAMES, "k", 1, out, sizeof out, &len), ERR_STORE);
	assert_true(store_snapshot_broken(v));
	store_snapshot_free(&v);
	store_close(&s);
}

/* No room for the file to grow: the transaction is refused as a whole, the store goes on. */
static void a_full_disk_refuses_and_recovers(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_txn *t;
	char value[STORE_MAX_VALUE] = {1};
	struct rlimit before, small;
	put(s, "k", "one");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN); /* then write(2) fails with EFBIG, as with ENOSPC */
	small = (struct rlimit){256 << 10, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(store_txn_begin(s, &t), OK);
	for (uint8_t i = 0; i < 200; i++)
		store_txn_put(t, STORE_NAMES, &i, 1, value, sizeof value);
	assert_int_equal(store_txn_commit(&t), ERR_FULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	put(s, "l", "two");
	struct store_snapshot *v;
	assert_int_equal(store_snapshot_new(s, &v), OK);
	assert_int_equal(store_snapshot_renew(v), OK);
	assert_string_equal(get(v, "k"), "one");
	assert_string_equal(get(v, "l"), "two");
	assert_string_equal(get(v, "\x05"), "");
	store_snapshot_free(&v);
	store_close(&s);
}

/* A writer killed in the middle of a transaction leaves nothing behind, not even its lock. */
static void a_killed_writer_leaves_nothing(void **state)
{
	(void)state;
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct store *s;
		struct store_txn *t;
		if (store_open(dir.path, STORE_WRITE, NULL, &s) || store_txn_begin(s, &t))
			_exit(1);
		store_txn_put(t, STORE_NAMES, "k", 1, "half", 4);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	struct store *s = open_writer();
	struct store_snapshot *v;
	assert_int_equal(store_snapshot_new(s, &v), OK);
	assert_int_equal(store_snapshot_renew(v), OK);
	assert_string_equal(get(v, "k"), "");
	put(s, "k", "whole");
	assert_int_equal(store_snapshot_renew(v), OK);
	assert_string_equal(get(v, "k"), "whole");
	store_reap_readers(s);
	store_snapshot_free(&v);
	store_close(&s);
	close(ready[0]);
	close(ready[1]);
}

static off_t file_size(void)
{
	char file[128];
	struct stat st;
	snprintf(file, sizeof file, "%s/data.mdb", dir.path);
	assert_int_equal(stat(file, &st), 0);
	return st.st_size;
}

static void overwrite(struct store *s, int times)
{
	char value[STORE_MAX_VALUE] = {1};
	for (int i = 0; i < times; i++) {
		struct store_txn *t;
		assert_int_equal(store_txn_begin(s, &t), OK);
		assert_int_equal(store_txn_put(t, STORE_NAMES, "k", 1, value, sizeof value), OK);
		assert_int_equal(store_txn_commit(&t), OK);
	}
}

/* The snapshot of a reader that was killed would keep old pages for ever, and its slot is one of a limited
 * number. */
static void a_killed_reader_does_not_make_the_file_grow(void **state)
{
	(void)state;
	int ready[2];
	char byte;
	struct store *s = open_writer();
	put(s, "k", "one");
	store_close(&s);
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct store_snapshot *v;
		if (store_open(dir.path, STORE_READ, NULL, &s) || store_snapshot_new(s, &v) ||
			store_snapshot_renew(v) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	s = open_writer();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	overwrite(s, 100);
	off_t pinned = file_size();
	assert_true(pinned > 100 * STORE_MAX_VALUE); /* nothing was used again */
	store_reap_readers(s);
	overwrite(s, 100);
	assert_true(file_size() == pinned);
	store_close(&s);
	close(ready[0]);
	close(ready[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_snapshot_sees_what_was_committed_before_it),
		TEST(a_transaction_knows_whether_it_writes),
		TEST(what_is_committed_survives_closing),
		TEST(a_transaction_is_all_or_nothing),
		TEST(keys_are_ordered_and_first_finds_the_smallest),
		TEST(limits_of_keys_and_buffers),
		TEST(reading_wants_a_store_that_is_there),
		TEST(a_newer_format_is_refused),
		TEST(an_older_format_is_read_and_brought_up_to_date),
		TEST(the_ends_of_a_table_and_what_is_between),
		TEST(a_copy_is_a_store),
		TEST(an_emptied_file_is_damage_not_a_new_store),
		TEST(overwritten_meta_pages_are_damage),
		TEST(a_file_cut_while_open_is_an_error_not_a_signal),
		TEST(a_full_disk_refuses_and_recovers),
		TEST(a_killed_writer_leaves_nothing),
		TEST(a_killed_reader_does_not_make_the_file_grow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
