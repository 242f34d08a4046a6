// SPDX-License-Identifier: GPL-3.0-or-later
/* The index against the store it is made from: whatever is asked, it says the same or "ask the store". */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "delegate/index_tables.h"
#include "tempdir.h"

enum { SECOND = 1000, HOUR = 3600 * SECOND, NOW = 100 * HOUR, KEYS_MAX = 64 };

static const struct delegate_rules rules = {.value_lifetime = HOUR, .max_values = 32};
static struct tempdir dir;
static struct store *store;
static struct store_snapshot *view;
static struct delegate_index *x;
static uint16_t zone;
static struct delegate_key touched[KEYS_MAX];
static size_t touched_count;

static void note(void *ctx, const uint8_t *key, size_t len)
{
	(void)ctx;
	struct delegate_key *k = &touched[touched_count++ % KEYS_MAX];
	memcpy(k->bytes, key, len);
	k->len = len;
}

static struct store_txn *begin(void)
{
	struct store_txn *t;
	touched_count = 0;
	assert_int_equal(store_txn_begin(store, &t), OK);
	return t;
}

/* Commits, and tells the index. */
static int commit(struct store_txn *t)
{
	int rc = OK;
	assert_int_equal(store_txn_commit(&t), OK);
	assert_int_equal(store_snapshot_renew(view), OK);
	delegate_index_begin(x);
	for (size_t i = 0; !rc && i < touched_count; i++)
		rc = delegate_index_refresh(x, view, touched[i].bytes, touched[i].len);
	delegate_index_end(x, store_snapshot_version(view));
	return rc;
}

static int fill(size_t step)
{
	int rc = OK;
	assert_int_equal(store_snapshot_renew(view), OK);
	while (!rc)
		rc = delegate_index_build(x, view, step);
	return rc;
}

static int setup_with(size_t limit)
{
	dir = tempdir_make();
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &store), OK);
	assert_int_equal(store_snapshot_new(store, &view), OK);
	assert_int_equal(delegate_index_new(limit, &x), OK);
	store_watch_writes(store, STORE_NAMES, note, NULL);
	struct store_txn *t = begin();
	assert_int_equal(delegate_zone_id(t, "auth.example.org", &zone), OK);
	assert_int_equal(commit(t), OK);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(0);
}

static int setup_small(void **state)
{
	(void)state;
	return setup_with(64 << 10);
}

static int teardown(void **state)
{
	(void)state;
	delegate_index_free(&x);
	store_snapshot_free(&view);
	store_close(&store);
	tempdir_remove(dir.path);
	return 0;
}

static struct delegate_id registered(struct store_txn *t)
{
	static const struct delegate_allow everyone = {.count = 0};
	struct delegate_credentials c;
	assert_int_equal(
		delegate_register(t, &(struct delegate_wish){.zone = zone, .allow = everyone}, 0, &c), OK);
	return c.id;
}

static struct delegate_id new_delegate(void)
{
	struct store_txn *t = begin();
	struct delegate_id id = registered(t);
	assert_int_equal(commit(t), OK);
	return id;
}

static const char *value(unsigned n)
{
	static _Thread_local char text[DELEGATE_VALUE_LEN + 1];
	memset(text, 'v', DELEGATE_VALUE_LEN - 8);
	snprintf(text + DELEGATE_VALUE_LEN - 8, 9, "%08u", n % 100000000);
	return text;
}

static void put(const struct delegate_id *id, unsigned n, int64_t now)
{
	struct store_txn *t = begin();
	assert_int_equal(delegate_put(t, id, value(n), &rules, &(struct delegate_actor){.now = now}), OK);
	assert_int_equal(commit(t), OK);
}

static int find(const struct delegate_id *id, int64_t now, struct delegate_values *out)
{
	struct hash128 name = delegate_index_hash(x, id->zone, (const uint8_t *)id->label, strlen(id->label));
	delegate_index_prefetch(x, name);
	return delegate_index_find(x, name, now, out);
}

static void expect(const struct delegate_id *id, int64_t now, int rc, size_t count)
{
	struct delegate_values v, stored;
	assert_int_equal(find(id, now, &v), rc);
	if (rc)
		return;
	assert_int_equal(v.count, count);
	assert_int_equal(store_snapshot_renew(view), OK);
	assert_int_equal(
		delegate_read(view, id->zone, (const uint8_t *)id->label, strlen(id->label), now, &stored),
		OK);
	assert_int_equal(stored.count, count);
	assert_memory_equal(v.rdata, stored.rdata, count * sizeof v.rdata[0]);
}

static void out_of_service_it_knows_nothing(void **state)
{
	(void)state;
	struct delegate_id id = new_delegate();
	expect(&id, NOW, ERR_AGAIN, 0);
	assert_false(delegate_index_is_at(x, 0));
	assert_int_equal(fill(1), ERR_NOTFOUND);
	expect(&id, NOW, OK, 0);
	delegate_index_reset(x);
	expect(&id, NOW, ERR_AGAIN, 0);
}

/* Of a name that was removed it says nothing: the store knows. */
static void a_removed_name_is_the_stores_affair(void **state)
{
	(void)state;
	struct delegate_id before = new_delegate(), after = new_delegate(), stays = new_delegate();
	struct delegate_values v;
	put(&before, 1, NOW);
	struct store_txn *t = begin();
	assert_int_equal(delegate_remove(t, &before), OK);
	assert_int_equal(commit(t), OK);
	assert_int_equal(fill(100), ERR_NOTFOUND);
	put(&after, 1, NOW);
	expect(&after, NOW, OK, 1);
	t = begin();
	assert_int_equal(delegate_remove(t, &after), OK);
	assert_int_equal(commit(t), OK);
	const struct delegate_id *removed[] = {&before, &after};
	for (int i = 0; i < 2; i++) {
		int rc = find(removed[i], NOW, &v);
		assert_true(rc == ERR_AGAIN || rc == ERR_NOTFOUND);
	}
	expect(&stays, NOW, OK, 0);
}

static void it_says_what_the_store_says(void **state)
{
	(void)state;
	struct delegate_id id = new_delegate(), none = {.zone = zone, .label = "nobody"};
	struct delegate_id elsewhere = id;
	elsewhere.zone++;
	assert_int_equal(fill(100), ERR_NOTFOUND);
	expect(&id, NOW, OK, 0);
	expect(&none, NOW, ERR_NOTFOUND, 0);
	expect(&elsewhere, NOW, ERR_NOTFOUND, 0);
	put(&id, 1, NOW);
	expect(&id, NOW, OK, 1);
	put(&id, 2, NOW + SECOND);
	expect(&id, NOW + SECOND, OK, 2);
	expect(&id, NOW + HOUR, OK, 1); /* the first has expired */
	expect(&id, NOW + HOUR + SECOND, OK, 0);
	put(&id, 3, NOW + SECOND);
	expect(&id, NOW + SECOND, ERR_AGAIN, 0); /* more than fit */
	for (unsigned n = 1; n <= 2; n++) {
		struct store_txn *t = begin();
		assert_int_equal(
			delegate_withdraw(t, &id, value(n), &(struct delegate_actor){.now = NOW + SECOND}),
			OK);
		assert_int_equal(commit(t), OK);
	}
	expect(&id, NOW + SECOND, OK, 1);
	int64_t next;
	struct store_txn *t = begin();
	assert_int_equal(delegate_sweep(t, NOW + 3 * HOUR, 10, &next), OK);
	assert_int_equal(commit(t), OK);
	expect(&id, NOW + SECOND, OK, 0);
}

/* A name that does not exist any more must not be denied out of the index: only the store knows. */
static void deleted_and_damaged_records_are_the_stores_business(void **state)
{
	(void)state;
	struct delegate_id gone = new_delegate(), broken = new_delegate();
	struct delegate_key key;
	put(&gone, 1, NOW);
	assert_int_equal(fill(100), ERR_NOTFOUND);
	struct store_txn *t = begin();
	assert_int_equal(delegate_key_of(&gone, &key), OK);
	store_txn_put(t, STORE_NAMES, key.bytes, key.len, "\x01\x00", 2);
	assert_int_equal(delegate_key_of(&broken, &key), OK);
	store_txn_put(t, STORE_NAMES, key.bytes, key.len, "\x00\x21", 2);
	assert_int_equal(commit(t), OK);
	expect(&gone, NOW, ERR_AGAIN, 0);
	expect(&broken, NOW, ERR_AGAIN, 0);
	/* One that was deleted before the index was filled is simply not there. */
	delegate_index_reset(x);
	assert_int_equal(fill(100), ERR_NOTFOUND);
	expect(&gone, NOW, ERR_NOTFOUND, 0);
	expect(&broken, NOW, ERR_AGAIN, 0);
}

static void changes_while_it_is_filled_are_in_it(void **state)
{
	(void)state;
	struct delegate_id ids[40];
	for (size_t i = 0; i < 20; i++)
		ids[i] = new_delegate();
	assert_int_equal(store_snapshot_renew(view), OK);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(delegate_index_build(x, view, 1), OK);
		put(&ids[i], i, NOW);
		ids[20 + i] = new_delegate();
	}
	assert_int_equal(fill(3), ERR_NOTFOUND);
	for (size_t i = 0; i < 40; i++)
		expect(&ids[i], NOW, OK, i < 20);
}

static void only_a_finished_commit_counts(void **state)
{
	(void)state;
	struct delegate_id id = new_delegate();
	assert_int_equal(fill(10), ERR_NOTFOUND);
	assert_int_equal(store_snapshot_renew(view), OK);
	uint64_t version = store_snapshot_version(view);
	assert_true(delegate_index_is_at(x, version));
	assert_false(delegate_index_is_at(x, version + 1));
	delegate_index_begin(x); /* and its writer is killed */
	assert_false(delegate_index_is_at(x, version));
	expect(&id, NOW, OK, 0); /* readers go on */
	delegate_index_reset(x);
	assert_int_equal(fill(10), ERR_NOTFOUND);
	assert_true(delegate_index_is_at(x, version));
}

enum { MANY = 30000 };

/* Through several sizes of both tables, with values that come and go. */
static void it_grows(void **state)
{
	(void)state;
	static struct delegate_id ids[MANY];
	struct delegate_index_state is;
	assert_int_equal(fill(10), ERR_NOTFOUND);
	for (unsigned i = 0; i < MANY; i++) {
		struct store_txn *t = begin();
		for (unsigned end = i + 20; i < end; i++) {
			ids[i] = registered(t);
			assert_int_equal(delegate_put(t, &ids[i], value(i), &rules,
						 &(struct delegate_actor){.now = NOW}),
				OK);
			if (i >= 1000)
				assert_int_equal(delegate_withdraw(t, &ids[i - 1000], value(i - 1000),
							 &(struct delegate_actor){.now = NOW}),
					OK);
		}
		i--;
		assert_int_equal(commit(t), OK);
	}
	delegate_index_state(x, &is);
	assert_true(is.in_service);
	assert_int_equal(is.delegates, MANY);
	/* 8 bytes for a name, 128 for the thousand with values; the names at least three eighths full, the
	 * values a quarter. */
	assert_in_range(is.bytes, MANY * 8, MANY * 8 * 8 / 3 + 1025 * 128 * 4);
	for (unsigned i = 0; i < MANY; i += 7)
		expect(&ids[i], NOW, OK, i >= MANY - 1000);
}

static void the_limit_is_kept(void **state)
{
	(void)state;
	int rc = OK;
	assert_int_equal(fill(10), ERR_NOTFOUND);
	struct delegate_id first = new_delegate();
	for (unsigned i = 0; !rc && i < 10000; i++) {
		struct store_txn *t = begin();
		registered(t);
		rc = commit(t);
	}
	assert_int_equal(rc, ERR_FULL);
	expect(&first, NOW, ERR_AGAIN, 0);
	delegate_index_reset(x);
	assert_int_equal(fill(10), ERR_FULL);
	expect(&first, NOW, ERR_AGAIN, 0);
}

static struct delegate_id watched[8];
static atomic_bool finished;

/* A name that exists is never denied, and what is read is a state that was written: two values of one round.
 */
static void *read_on(void *arg)
{
	size_t *answers = arg;
	while (!atomic_load(&finished)) {
		for (size_t i = 0; i < 8; i++) {
			struct delegate_values v = {.count = 0};
			int rc = find(&watched[i], 0, &v);
			if (rc == ERR_NOTFOUND || (rc == OK && v.count == 2 &&
							  memcmp(v.rdata[0] + 41, v.rdata[1] + 41, 3) != 0))
				return (void *)"wrong";
			*answers += !rc;
		}
	}
	return NULL;
}

static void readers_never_see_half_a_change(void **state)
{
	(void)state;
	static const char form[] = "%040u%03u";
	pthread_t threads[2];
	size_t answers[2] = {0};
	void *verdict;
	for (size_t i = 0; i < 8; i++)
		watched[i] = new_delegate();
	assert_int_equal(fill(10), ERR_NOTFOUND);
	atomic_store(&finished, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &answers[i]), 0);
	for (unsigned round = 0; round < 1500; round++) {
		struct store_txn *t = begin();
		for (unsigned i = 0; i < 8; i++) {
			char text[DELEGATE_VALUE_LEN + 1];
			int64_t now = round; /* what was put the round before has expired */
			const struct delegate_rules short_lived = {.value_lifetime = 1, .max_values = 32};
			for (unsigned k = 0; k < 2; k++) {
				snprintf(text, sizeof text, form, k, round % 1000);
				assert_int_equal(delegate_put(t, &watched[i], text, &short_lived,
							 &(struct delegate_actor){.now = now}),
					OK);
			}
		}
		for (unsigned i = 0; round % 8 == 0 && i < 40; i++)
			registered(t);
		assert_int_equal(commit(t), OK);
	}
	atomic_store(&finished, true);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &verdict), 0);
		assert_null(verdict);
		assert_true(answers[i] > 0);
	}
}

/* Whoever has given up writing cannot get it back. */
static void a_reader_cannot_write(void **state)
{
	(void)state;
	int status;
	pid_t child = fork();
	if (child == 0) {
		bool ok =
			!delegate_index_read_only(x) && mprotect(x->base, 4096, PROT_READ | PROT_WRITE) != 0;
		signal(SIGSEGV, SIG_DFL);
		if (ok)
			x->header->busy = true;
		_exit(ok ? 1 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	struct delegate_id id = new_delegate(); /* the writer still can, and its mapping is the same */
	assert_int_equal(fill(10), ERR_NOTFOUND);
	child = fork();
	if (child == 0)
		_exit(delegate_index_read_only(x) || find(&id, NOW, &(struct delegate_values){0}) != OK);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define TEST(f)       cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_SMALL(f) cmocka_unit_test_setup_teardown(f, setup_small, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(out_of_service_it_knows_nothing),
		TEST(it_says_what_the_store_says),
		TEST(a_removed_name_is_the_stores_affair),
		TEST(deleted_and_damaged_records_are_the_stores_business),
		TEST(changes_while_it_is_filled_are_in_it),
		TEST(only_a_finished_commit_counts),
		TEST(it_grows),
		TEST_SMALL(the_limit_is_kept),
		TEST(readers_never_see_half_a_change),
		TEST(a_reader_cannot_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
