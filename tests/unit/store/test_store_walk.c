// SPDX-License-Identifier: GPL-3.0-or-later
/* Walks over a table, entries appended in order, and the numbers of commits. */
#include "unit.h"

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

/* The first character of a value, or 0 for none. */
static char get(struct store_snapshot *v, const char *key)
{
	char out[8];
	size_t len = 0;
	int rc = store_snapshot_get(v, STORE_NAMES, key, strlen(key), out, sizeof out, &len);
	assert_true(rc == OK || rc == ERR_NOTFOUND);
	return (char)(rc || !len ? 0 : out[0]);
}

/* Leaves LMDB's meta pages and nothing else. */
static void cut(void)
{
	char file[128];
	snprintf(file, sizeof file, "%s/data.mdb", dir.path);
	assert_int_equal(truncate(file, 8192), 0);
}

static void put_many(struct store *s, enum store_table table, unsigned from, unsigned to, size_t value_len)
{
	struct store_txn *t;
	char key[16], value[STORE_MAX_VALUE];
	memset(value, 'v', sizeof value);
	assert_int_equal(store_txn_begin(s, &t), OK);
	for (unsigned i = from; i < to; i++) {
		snprintf(key, sizeof key, "%06u", i);
		assert_int_equal(store_txn_append(t, table, key, 6, value, value_len), OK);
	}
	assert_int_equal(store_txn_commit(&t), OK);
}

struct seen {
	unsigned expected, stop_at; /* the next key, and the one at which to say stop */
	size_t value_len;
	struct store_snapshot *renew; /* at every entry, if not NULL */
};

static bool see(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len)
{
	struct seen *s = ctx;
	char number[7] = "";
	assert_int_equal(key_len, 6);
	memcpy(number, key, 6);
	assert_int_equal(strtoul(number, NULL, 10), s->expected);
	assert_int_equal(value_len, s->value_len);
	for (size_t i = 0; i < value_len; i++)
		assert_int_equal(value[i], 'v');
	if (s->renew)
		assert_int_equal(store_snapshot_renew(s->renew), OK);
	return ++s->expected <= s->stop_at;
}

static struct store_snapshot *pinned(struct store *s)
{
	struct store_snapshot *v;
	assert_int_equal(store_snapshot_new(s, &v), OK);
	assert_int_equal(store_snapshot_renew(v), OK);
	return v;
}

static void a_walk_visits_all_in_order(void **state)
{
	(void)state;
	struct store *s = open_writer();
	static const size_t lengths[] = {0, 1, 100, STORE_MAX_VALUE};
	for (unsigned i = 0; i < 4; i++) {
		enum store_table table = STORE_NAMES + i; /* one for each length */
		put_many(s, table, 0, 1000, lengths[i]);
		struct store_snapshot *v = pinned(s);
		struct seen seen = {.stop_at = UINT32_MAX, .value_len = lengths[i]};
		bool more = true;
		assert_int_equal(store_snapshot_walk(v, table, NULL, 0, SIZE_MAX, see, &seen, &more), OK);
		assert_int_equal(seen.expected, 1000);
		assert_false(more);
		store_snapshot_free(&v);
	}
	store_close(&s);
}

static void a_walk_goes_on_where_another_has_ended(void **state)
{
	(void)state;
	struct store *s = open_writer();
	put_many(s, STORE_NAMES, 0, 1000, 10);
	struct store_snapshot *v = pinned(s);
	struct seen seen = {.stop_at = UINT32_MAX, .value_len = 10};
	bool more = true;
	for (unsigned walks = 0; more; walks++) { /* 143 walks of 7 entries at most */
		char after[16] = "";
		assert_in_range(walks, 0, 143);
		if (seen.expected)
			snprintf(after, sizeof after, "%06u", seen.expected - 1);
		assert_int_equal(
			store_snapshot_walk(v, STORE_NAMES, after, strlen(after), 7, see, &seen, &more), OK);
	}
	assert_int_equal(seen.expected, 1000);
	/* A key that is not there is a place between two that are; there is none behind the last. */
	seen.expected = 500;
	assert_int_equal(store_snapshot_walk(v, STORE_NAMES, "000499x", 7, 2, see, &seen, &more), OK);
	assert_int_equal(seen.expected, 502);
	assert_true(more);
	assert_int_equal(store_snapshot_walk(v, STORE_NAMES, "000999", 6, 2, see, &seen, &more), OK);
	assert_false(more);
	assert_int_equal(store_snapshot_walk(v, STORE_EXPIRY, NULL, 0, 2, see, &seen, &more), OK);
	assert_false(more); /* an empty table */
	assert_int_equal(seen.expected, 502);
	store_snapshot_free(&v);
	store_close(&s);
}

static void a_walk_stops_when_told_to(void **state)
{
	(void)state;
	struct store *s = open_writer();
	put_many(s, STORE_NAMES, 0, 1000, 10);
	struct store_snapshot *v = pinned(s);
	struct seen seen = {.stop_at = 41, .value_len = 10};
	bool more = false;
	assert_int_equal(store_snapshot_walk(v, STORE_NAMES, NULL, 0, SIZE_MAX, see, &seen, &more), OK);
	assert_int_equal(seen.expected, 42);
	assert_true(more);
	store_snapshot_free(&v);
	store_close(&s);
}

static void a_walk_survives_a_renewal_and_wants_a_pinned_snapshot(void **state)
{
	(void)state;
	struct store *s = open_writer();
	put_many(s, STORE_NAMES, 0, 1000, 1000);
	struct store_snapshot *v = pinned(s);
	struct seen seen = {.stop_at = UINT32_MAX, .value_len = 1000, .renew = v};
	bool more;
	assert_int_equal(store_snapshot_walk(v, STORE_NAMES, NULL, 0, SIZE_MAX, see, &seen, &more), OK);
	assert_int_equal(seen.expected, 1000);
	store_snapshot_release(v);
	assert_int_equal(store_snapshot_walk(v, STORE_NAMES, NULL, 0, 1, see, &seen, &more), ERR_STORE);
	assert_false(store_snapshot_broken(v));
	store_snapshot_free(&v);
	store_close(&s);
}

static void a_walk_over_a_cut_file_is_an_error_not_a_signal(void **state)
{
	(void)state;
	struct store *s = open_writer();
	put_many(s, STORE_NAMES, 0, 1000, 1000);
	struct store_snapshot *v = pinned(s);
	struct seen seen = {.stop_at = UINT32_MAX, .value_len = 1000};
	bool more;
	cut();
	assert_int_equal(
		store_snapshot_walk(v, STORE_NAMES, NULL, 0, SIZE_MAX, see, &seen, &more), ERR_STORE);
	assert_true(store_snapshot_broken(v));
	store_snapshot_free(&v);
	store_close(&s);
}

/* What appends must be found like what was put, in whatever order it comes. */
static void appending_is_putting(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_txn *t;
	static const char *const keys[] = {"c", "e", "d", "a", "e", "f"};
	assert_int_equal(store_txn_begin(s, &t), OK);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		char value[2] = {(char)('0' + i), 0};
		assert_int_equal(store_txn_append(t, STORE_NAMES, keys[i], 1, value, 1), OK);
	}
	assert_int_equal(store_txn_commit(&t), OK);
	struct store_snapshot *v = pinned(s);
	assert_int_equal(get(v, "a"), '3');
	assert_int_equal(get(v, "c"), '0');
	assert_int_equal(get(v, "d"), '2');
	assert_int_equal(get(v, "e"), '4'); /* overwritten, as put does */
	assert_int_equal(get(v, "f"), '5');
	store_snapshot_free(&v);
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(store_txn_append(t, STORE_NAMES, "", 0, "", 0), ERR_RANGE); /* sticks, too */
	assert_int_equal(store_txn_commit(&t), ERR_RANGE);
	store_close(&s);
}

static void a_commit_has_the_number_its_transaction_said(void **state)
{
	(void)state;
	struct store *s = open_writer();
	struct store_snapshot *v = pinned(s);
	uint64_t before = store_snapshot_version(v);
	for (unsigned i = 0; i < 3; i++) {
		struct store_txn *t;
		assert_int_equal(store_txn_begin(s, &t), OK);
		uint64_t said = store_txn_version(t);
		assert_true(said > before);
		assert_int_equal(store_txn_put(t, STORE_NAMES, "k", 1, "v", 1), OK);
		assert_int_equal(store_txn_commit(&t), OK);
		assert_true(store_snapshot_version(v) == before); /* until it is renewed */
		assert_int_equal(store_snapshot_renew(v), OK);
		assert_true(store_snapshot_version(v) == said);
		before = said;
	}
	struct store_txn *t;
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(store_txn_commit(&t), OK); /* without a write it is no commit */
	assert_int_equal(store_snapshot_renew(v), OK);
	assert_true(store_snapshot_version(v) == before);
	store_snapshot_release(v);
	assert_true(store_snapshot_version(v) == 0);
	store_snapshot_free(&v);
	store_close(&s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_walk_visits_all_in_order),
		TEST(a_walk_goes_on_where_another_has_ended),
		TEST(a_walk_stops_when_told_to),
		TEST(a_walk_survives_a_renewal_and_wants_a_pinned_snapshot),
		TEST(a_walk_over_a_cut_file_is_an_error_not_a_signal),
		TEST(appending_is_putting),
		TEST(a_commit_has_the_number_its_transaction_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
