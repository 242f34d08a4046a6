// SPDX-License-Identifier: GPL-3.0-or-later
/* A store with one zone, for each test anew. */
#pragma once

#include "unit.h"

#include "delegate/delegate.h"
#include "tempdir.h"

static struct tempdir dir;
static struct store *store;
static struct store_snapshot *view;
static uint16_t zone;

static inline struct store_txn *begin(void)
{
	struct store_txn *t;
	assert_int_equal(store_txn_begin(store, &t), OK);
	return t;
}

static inline void commit(struct store_txn *t)
{
	assert_int_equal(store_txn_commit(&t), OK);
}

static inline int setup(void **state)
{
	(void)state;
	dir = tempdir_make();
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &store), OK);
	assert_int_equal(store_snapshot_new(store, &view), OK);
	struct store_txn *t = begin();
	assert_int_equal(delegate_zone_id(t, "auth.example.org", &zone), OK);
	commit(t);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	store_snapshot_free(&view);
	store_close(&store);
	tempdir_remove(dir.path);
	return 0;
}

static inline struct delegate_credentials registered(const struct delegate_allow *allow)
{
	static const struct delegate_allow everyone = {.count = 0};
	struct delegate_credentials c;
	struct store_txn *t = begin();
	assert_int_equal(
		delegate_register(
			t, &(struct delegate_wish){.zone = zone, .allow = allow ? *allow : everyone}, 0, &c),
		OK);
	commit(t);
	return c;
}

/* 43 characters, of which the last two count. */
static inline const char *value(unsigned n)
{
	static char texts[4][DELEGATE_VALUE_LEN + 1];
	static unsigned next;
	char *out = texts[next++ % 4];
	memset(out, 'v', DELEGATE_VALUE_LEN - 4);
	snprintf(out + DELEGATE_VALUE_LEN - 4, 5, "%04u", n % 10000);
	return out;
}
