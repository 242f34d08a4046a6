// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <string.h>

#include "store/store.h"
#include "tempdir.h"

static void put(struct store *s, const char *key, const char *value)
{
	struct store_txn *t;
	assert_int_equal(store_txn_begin(s, &t), OK);
	assert_int_equal(store_txn_put(t, STORE_NAMES, key, strlen(key), value, strlen(value)), OK);
	assert_int_equal(store_txn_commit(&t), OK);
}

/* A reader that holds an old commit keeps its pages; both can be seen from outside. */
static void who_holds_what_can_be_seen(void **state)
{
	struct tempdir dir = tempdir_make();
	struct store *s;
	struct store_snapshot *v;
	struct store_state before, held, after;
	(void)state;
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &s), OK);
	put(s, "a", "1");
	assert_int_equal(store_inspect(s, &before), OK);
	assert_int_equal(before.oldest_held, before.newest);
	assert_true(before.pages > 2 && before.pages_free < before.pages && before.page_bytes >= 4096);
	assert_true(before.map_bytes > before.pages * before.page_bytes);
	assert_int_equal(store_snapshot_new(s, &v), OK);
	assert_int_equal(store_snapshot_renew(v), OK);
	for (int i = 0; i < 5; i++)
		put(s, "a", "2");
	assert_int_equal(store_inspect(s, &held), OK);
	assert_int_equal(held.newest - before.newest, 5);
	assert_int_equal(held.oldest_held, before.newest);
	store_snapshot_release(v);
	assert_int_equal(store_inspect(s, &after), OK);
	assert_int_equal(after.oldest_held, after.newest);
	store_snapshot_free(&v);
	store_close(&s);
	tempdir_remove(dir.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(who_holds_what_can_be_seen)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
