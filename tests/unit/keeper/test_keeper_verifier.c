// SPDX-License-Identifier: GPL-3.0-or-later
/* Keys that acme-dns knew by bcrypt digests: what is right, what is bounded, and that nobody else waits. */
#include "lab.h"

#include <crypt.h>

#include "keeper/verifier.h"

/* Python's bcrypt tests and OpenBSD's agree on this one: "U*U" with cost 5. */
static const char known[] = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

static void digests_of_others_fit(void **state)
{
	(void)state;
	assert_true(verifier_fits("U*U", known));
	assert_false(verifier_fits("U*V", known));
	assert_false(verifier_fits("", known));
}

static void what_is_no_digest_fits_nothing(void **state)
{
	(void)state;
	char text[DELEGATE_BCRYPT_LEN + 8];
	static const char *const bad[] = {"", "*0", "$2a$", "$2a$05$", "$1$CCCCCCCC$",
		"$6$rounds=999999999$x$y",
		"$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", /* a day of work */
		"$2a$aa$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2a$05$:::::::::::::::::::::.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(verifier_fits("U*U", bad[i]));
	for (size_t i = 0; i < sizeof known - 1; i++) {
		SET(text, "%s", known);
		text[i] = 0; /* cut */
		assert_false(verifier_fits("U*U", text));
		SET(text, "%s", known);
		text[i] = (char)(text[i] ^ 0x80); /* broken */
		assert_false(verifier_fits("U*U", text));
	}
	SET(text, "%s%s", known, "x"); /* longer */
	assert_false(verifier_fits("U*U", text));
}

/* ---- the queue ---- */

static struct address client_of(unsigned network, unsigned host)
{
	return (struct address){
		{[10] = 0xff, [11] = 0xff, 10, (uint8_t)(network >> 8), (uint8_t)network, (uint8_t)host}};
}

static size_t dropped;

static void count_drop(void *ticket)
{
	(void)ticket;
	dropped++;
}

static int ask_verifier(
	struct verifier *v, const char *id, const char *secret, unsigned network, void *ticket)
{
	struct address client = client_of(network, 1);
	return verifier_ask(v, id, secret, known, &client, ticket);
}

static void a_network_and_the_queue_are_bounded(void **state)
{
	(void)state;
	struct verifier *v;
	int tickets[200];
	size_t taken = 0, refused = 0;
	char id[16];
	assert_int_equal(verifier_new(&v), OK);
	/* What was computed and not collected counts, so the numbers are exact. */
	for (int i = 0; i < VERIFIER_PER_NETWORK + 2; i++) {
		SET(id, "n%d", i);
		assert_int_equal(ask_verifier(v, id, "U*U", 999, &tickets[taken]),
			i < VERIFIER_PER_NETWORK ? OK : ERR_LIMIT);
		taken += i < VERIFIER_PER_NETWORK;
	}
	for (unsigned i = 0; i < VERIFIER_QUEUE; i++) {
		SET(id, "q%u", i);
		int rc = ask_verifier(v, id, "U*U", i, &tickets[taken]);
		assert_true(rc == OK || rc == ERR_LIMIT);
		taken += rc == OK;
		refused += rc == ERR_LIMIT;
	}
	assert_int_equal(taken, VERIFIER_QUEUE);
	assert_int_equal(refused, VERIFIER_PER_NETWORK);
	assert_int_equal(verifier_waiting(v), VERIFIER_QUEUE);
	dropped = 0;
	verifier_free(&v, count_drop);
	assert_null(v);
	assert_int_equal(dropped, VERIFIER_QUEUE);
	verifier_free(&v, count_drop);
}

static void the_same_question_is_computed_once(void **state)
{
	(void)state;
	struct verifier *v;
	struct verdict d;
	int tickets[VERIFIER_TICKETS + 1];
	size_t verdicts = 0, wrong = 0, answered = 0;
	assert_int_equal(verifier_new(&v), OK);
	for (int i = 0; i < VERIFIER_TICKETS; i++)
		assert_int_equal(ask_verifier(v, "one", "U*U", 1, &tickets[i]), OK);
	assert_int_equal(ask_verifier(v, "one", "U*U", 1, &tickets[VERIFIER_TICKETS]), ERR_LIMIT);
	assert_int_equal(ask_verifier(v, "one", "other", 1, &tickets[VERIFIER_TICKETS]), OK);
	while (verdicts < 2) {
		assert_true(readable(verifier_fd(v), PATIENCE_MS));
		while (verifier_collect(v, &d)) {
			verdicts++;
			wrong += !d.right;
			answered += d.ticket_count;
			assert_string_equal(d.secret, d.right ? "U*U" : "other");
		}
	}
	assert_int_equal(wrong, 1);
	assert_int_equal(answered, VERIFIER_TICKETS + 1);
	assert_int_equal(verifier_waiting(v), 0);
	assert_false(verifier_collect(v, &d));
	assert_false(readable(verifier_fd(v), 0)); /* nothing left, so nobody is woken */
	verifier_free(&v, count_drop);
}

/* ---- in the keeper ---- */

static char digest[DELEGATE_BCRYPT_LEN + 1]; /* of "secret", cost 10 as acme-dns has it */

static int put(
	void *ctx, enum store_table table, const void *key, size_t key_len, const void *text, size_t len)
{
	return store_txn_put(ctx, table, key, key_len, text, len);
}

static struct ipc_credentials imported(struct store_txn *t, unsigned number)
{
	struct delegate d = {.key_count = 1};
	struct ipc_credentials c = {.secret = "secret"};
	d.id.zone = zones[0].id;
	SET(d.id.label, "imported-%u", number);
	d.keys[0].id[0] = (uint8_t)(number + 1);
	d.keys[0].hash = DELEGATE_BCRYPT;
	SET(d.keys[0].bcrypt, "%s", digest);
	assert_int_equal(delegate_encode(&d, put, t), OK);
	SET(c.label, "%s", d.id.label);
	SET(c.zone, "%s", zones[0].name);
	SET(c.key_id, "%02x000000-0000-0000-0000-000000000000", number + 1);
	return c;
}

static void import(struct ipc_credentials *out, unsigned count)
{
	struct crypt_data scratch = {0};
	struct store *s;
	struct store_txn *t;
	const char *made = crypt_rn("secret", "$2a$10$abcdefghijklmnopqrstuu", &scratch, sizeof scratch);
	assert_non_null(made);
	SET(digest, "%s", made);
	assert_int_equal(strlen(digest), DELEGATE_BCRYPT_LEN);
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &s), OK);
	assert_int_equal(store_txn_begin(s, &t), OK);
	for (unsigned i = 0; i < count; i++)
		out[i] = imported(t, i);
	assert_int_equal(store_txn_commit(&t), OK);
	store_close(&s);
}

static uint64_t post_update(const struct ipc_credentials *who, unsigned network)
{
	struct ipc_request r = by_key(IPC_UPDATE, who);
	r.client = client_of(network, 1);
	SET(r.value, "%s", value('i'));
	return post(api, &r);
}

static void others_do_not_wait_for_verifications(void **state)
{
	(void)state;
	enum { IMPORTED = 50 };
	static struct ipc_credentials old[IMPORTED];
	import(old, IMPORTED);
	start_keeper();
	struct ipc_credentials fresh = do_register();
	uint64_t first = next_id + 1, after;
	for (unsigned i = 0; i < IMPORTED; i++)
		post_update(&old[i], i);
	struct ipc_request r = by_key(IPC_UPDATE, &fresh);
	SET(r.value, "%s", value('f'));
	after = post(api, &r);
	/* 50 x 50 ms lie before it in the queue, and nearly all are answered behind it. */
	unsigned before = 0, done = 0;
	while (receive_any(api).id != after) {
		assert_int_equal(last.status, IPC_OK);
		before++;
	}
	assert_int_equal(last.status, IPC_OK);
	assert_true(before < IMPORTED / 2);
	for (done = before; done < IMPORTED; done++) {
		struct ipc_envelope e = receive_any(api);
		assert_true(e.id >= first && e.id < after);
		assert_int_equal(last.status, IPC_OK);
	}
	/* From now on they are like others. */
	int fd = admin();
	struct ipc_delegate d = show(fd, &old[7]);
	assert_int_equal(d.value_count, 1);
	assert_false(d.keys[0].bcrypt);
	assert_int_equal(update(&old[7], 'j'), IPC_OK);
}

static void a_network_may_have_four_verified_at_a_time(void **state)
{
	(void)state;
	struct ipc_credentials old[6];
	unsigned busy = 0, good = 0;
	import(old, 6);
	start_keeper();
	assert_true(kill(keeper, SIGSTOP) == 0); /* so that all arrive at once */
	for (unsigned i = 0; i < 6; i++)
		post_update(&old[i], 1);
	assert_true(kill(keeper, SIGCONT) == 0);
	for (unsigned i = 0; i < 6; i++) {
		receive_any(api);
		good += last.status == IPC_OK;
		busy += last.status == IPC_BUSY;
		assert_true(last.status != IPC_BUSY || last.retry_after == 1);
	}
	assert_int_equal(good, 4);
	assert_int_equal(busy, 2);
	assert_int_equal(update(&old[5], 'i') == IPC_OK || last.status == IPC_BUSY, 1);
}

static void a_wrong_secret_stays_wrong(void **state)
{
	(void)state;
	struct ipc_credentials old[1], wrong;
	import(old, 1);
	start_keeper();
	wrong = old[0];
	SET(wrong.secret, "Secret");
	uint32_t most = 0;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(update(&wrong, 'x'), IPC_FORBIDDEN);
		most = last.delay > most ? last.delay : most;
	}
	assert_true(most > 0);           /* it counts as a failed attempt */
	SET(wrong.secret, "%s", digest); /* nor does the digest open anything */
	assert_int_equal(update(&wrong, 'x'), IPC_FORBIDDEN);
	int fd = admin();
	struct ipc_delegate d = show(fd, &old[0]);
	assert_int_equal(d.value_count, 0);
	assert_true(d.keys[0].bcrypt);
	assert_int_equal(update(&old[0], 'a'), IPC_OK);
	assert_int_equal(last.delay, 0);
}

static void told_to_stop_it_waits_for_no_verification(void **state)
{
	(void)state;
	static struct ipc_credentials old[40];
	import(old, 40);
	start_keeper();
	for (unsigned i = 0; i < 40; i++)
		post_update(&old[i], i);
	stop_keeper();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_of_others_fit),
		cmocka_unit_test(what_is_no_digest_fits_nothing),
		cmocka_unit_test(a_network_and_the_queue_are_bounded),
		cmocka_unit_test(the_same_question_is_computed_once),
		TEST(others_do_not_wait_for_verifications),
		TEST(a_network_may_have_four_verified_at_a_time),
		TEST(a_wrong_secret_stays_wrong),
		TEST(told_to_stop_it_waits_for_no_verification),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
