// SPDX-License-Identifier: GPL-3.0-or-later
/* What becomes of answers and of events when the commit fails, and how many refusals are written. */
#include "lab.h"

#include "keeper/answers.h"
#include "keeper/audit.h"

static void what_is_not_durable_did_not_happen(void **state)
{
	(void)state;
	struct channels c;
	struct answers *a = calloc(1, sizeof *a);
	struct ipc_reply *r = calloc(1, sizeof *r);
	assert_true(a && r);
	channels_init(&c);
	assert_non_null(channels_add(&c, keeper_end, false));
	keeper_end = -1;
	for (int durable = 1; durable >= 0; durable--) {
		struct channel_ref to = channels_ref(&c, 0), gone = {1, 77};
		r->type = IPC_REGISTER;
		r->status = IPC_OK;
		SET(r->credentials.secret, "secret");
		answers_add(a, to, &(struct ipc_envelope){1, 1}, r);
		answers_add(a, gone, &(struct ipc_envelope){1, 2}, r);
		r->status = IPC_FORBIDDEN;
		answers_add(a, to, &(struct ipc_envelope){1, 3}, r);
		r->type = IPC_HELLO;
		r->status = IPC_OK;
		answers_add(a, to, &(struct ipc_envelope){1, 4}, r);
		answers_send(a, &c, durable);
		assert_int_equal(a->count, 0);
		assert_int_equal(receive_any(api).id, 1);
		assert_int_equal(last.status, durable ? IPC_OK : IPC_FAILED);
		assert_string_equal(last.credentials.secret, durable ? "secret" : "");
		assert_int_equal(receive_any(api).id, 3);
		assert_int_equal(last.status, IPC_FORBIDDEN);
		assert_int_equal(receive_any(api).id, 4);
		assert_int_equal(last.status, IPC_OK);
		assert_false(readable(api, 0));
	}
	channels_close_all(&c);
	free(a);
	free(r);
}

static void refuse(struct audit *a, unsigned network, int64_t mono)
{
	struct event e = {.kind = IPC_EVENT_UPDATE,
		.outcome = IPC_FORBIDDEN,
		.client = {{[10] = 0xff, [11] = 0xff, 10, (uint8_t)(network >> 8), (uint8_t)network, 1}}};
	audit_refused(a, &e, mono);
}

struct sums {
	uint64_t events, times;
};

static bool sum(void *ctx, const struct event *e)
{
	struct sums *s = ctx;
	s->events++;
	s->times += e->times;
	return true;
}

static struct sums written(struct store *s)
{
	struct store_snapshot *v;
	struct sums sums = {0};
	bool more;
	assert_int_equal(store_snapshot_new(s, &v), OK);
	assert_int_equal(store_snapshot_renew(v), OK);
	assert_int_equal(events_list(v, 0, 10000, sum, &sums, &more), OK);
	store_snapshot_free(&v);
	return sums;
}

/* One turn of the keeper's loop. */
static struct sums turn(struct store *s, struct audit *a, int64_t mono, bool second, bool durable)
{
	struct store_txn *t;
	assert_int_equal(store_txn_begin(s, &t), OK);
	audit_write(a, t, mono, second);
	if (durable)
		assert_int_equal(store_txn_commit(&t), OK);
	else
		store_txn_abort(&t);
	audit_committed(a, durable);
	return written(s);
}

static void refusals_cost_few_writes_and_none_is_lost(void **state)
{
	(void)state;
	enum { NETWORKS = 300, EACH = 5 };
	struct store *s;
	struct audit *a;
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &s), OK);
	assert_int_equal(audit_new(100000, &a), OK);
	int64_t now = 1000000;
	for (unsigned i = 0; i < NETWORKS * EACH; i++)
		refuse(a, i % NETWORKS, now);
	assert_int_equal(turn(s, a, now, false, true).events, 0); /* alone they wait */
	assert_int_equal(turn(s, a, now, true, false).events, 0); /* what is not durable comes again */
	struct sums before = {0}, after = {0};
	for (int second = 1; second <= 60; second++) {
		now += 1000;
		after = turn(s, a, now, true, true);
		assert_true(after.events - before.events <= AUDIT_PER_SECOND);
		before = after;
	}
	assert_int_equal(after.times, NETWORKS * EACH);
	assert_true(after.events <= AUDIT_NETWORKS + 2);
	assert_int_equal(audit_counts(a).refusals, NETWORKS * EACH);
	assert_int_equal(audit_last(a), after.events);
	audit_free(&a);
	store_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_durable_did_not_happen),
		TEST(refusals_cost_few_writes_and_none_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
