// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/ipc.h"

static const struct ipc_request sample = {
	.type = IPC_UPDATE,
	.client = {{[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}},
	.key_id = "00112233-4455-6677-8899-aabbccddeeff",
	.secret = "0123456789012345678901234567890123456789",
	.name = "label",
	.value = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
};

static void requests_survive_the_way(void **state)
{
	(void)state;
	static const enum ipc_type types[] = {
		IPC_HELLO, IPC_REGISTER, IPC_UPDATE, IPC_PRESENT, IPC_CLEANUP, IPC_HEALTH};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		uint8_t wire[IPC_MESSAGE_MAX];
		size_t len;
		struct ipc_envelope e = {7, 9}, back_e;
		struct ipc_request r = sample, back;
		r.type = types[i];
		r.allow_count = 2;
		r.allow[0] = (struct prefix){r.client, 120};
		r.allow[1] = (struct prefix){{{0x20, 1}}, 32};
		assert_int_equal(ipc_encode_request(&e, &r, wire, sizeof wire, &len), OK);
		assert_int_equal(ipc_decode_request(wire, len, &back_e, &back), OK);
		assert_int_equal(back.type, r.type);
		assert_int_equal(back_e.epoch, 7);
		assert_int_equal(back_e.id, 9);
		assert_true(address_equal(&back.client, &r.client));
		if (r.type == IPC_REGISTER) {
			assert_int_equal(back.allow_count, 2);
			assert_memory_equal(&back.allow[1], &r.allow[1], sizeof r.allow[1]);
		}
		if (r.type == IPC_UPDATE || r.type == IPC_PRESENT || r.type == IPC_CLEANUP) {
			assert_string_equal(back.key_id, r.key_id);
			assert_string_equal(back.secret, r.secret);
			assert_string_equal(back.name, r.name);
			assert_string_equal(back.value, r.value);
		}
		/* Nothing shorter, nothing longer is taken. */
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(ipc_decode_request(wire, cut, &back_e, &back), ERR_INVALID);
		assert_int_equal(ipc_decode_request(wire, len + 1, &back_e, &back), ERR_INVALID);
	}
}

static void replies_survive_the_way(void **state)
{
	(void)state;
	uint8_t wire[IPC_MESSAGE_MAX];
	size_t len;
	struct ipc_envelope e = {7, 9}, back_e;
	struct ipc_reply back, r = {.type = IPC_REGISTER,
				       .status = IPC_OK,
				       .credentials = {.key_id = "id",
					       .secret = "secret",
					       .label = "label",
					       .zone = "auth.example.org"}};
	assert_int_equal(ipc_encode_reply(&e, &r, wire, sizeof wire, &len), OK);
	assert_int_equal(ipc_decode_reply(wire, len, &back_e, &back), OK);
	assert_string_equal(back.credentials.secret, "secret");
	assert_string_equal(back.credentials.zone, "auth.example.org");
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(ipc_decode_reply(wire, cut, &back_e, &back), ERR_INVALID);
	r = (struct ipc_reply){.type = IPC_UPDATE, .status = IPC_LIMITED, .retry_after = 77};
	assert_int_equal(ipc_encode_reply(&e, &r, wire, sizeof wire, &len), OK);
	assert_int_equal(ipc_decode_reply(wire, len, &back_e, &back), OK);
	assert_int_equal(back.retry_after, 77);
	/* A request is no reply, nor the other way round. */
	assert_int_equal(ipc_decode_request(wire, len, &back_e, &(struct ipc_request){0}), ERR_INVALID);
	assert_int_equal(ipc_encode_request(&e, &sample, wire, sizeof wire, &len), OK);
	assert_int_equal(ipc_decode_reply(wire, len, &back_e, &back), ERR_INVALID);
	wire[0] = IPC_VERSION + 1;
	assert_int_equal(ipc_decode_request(wire, len, &back_e, &(struct ipc_request){0}), ERR_INVALID);
}

/* ---- the asking side, against a keeper played by the test ---- */

struct outcome {
	int calls;
	bool answered;
	enum ipc_status status;
};

static void note(void *ctx, const struct ipc_reply *reply)
{
	struct outcome *o = ctx;
	o->calls++;
	o->answered = reply != NULL;
	if (reply)
		o->status = reply->status;
}

static int keeper;
static struct ipc_client *client;

static int setup(void **state)
{
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	keeper = pair[0];
	assert_int_equal(ipc_client_new(pair[1], &client), OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ipc_client_free(&client);
	if (keeper >= 0)
		close(keeper);
	return 0;
}

/* The next request at the keeper's end; OK or ERR_AGAIN. */
static int next_request(struct ipc_envelope *e, struct ipc_request *r)
{
	uint8_t wire[IPC_MESSAGE_MAX];
	size_t len;
	int rc = ipc_receive(keeper, wire, &len);
	return rc ? rc : ipc_decode_request(wire, len, e, r);
}

static void reply(const struct ipc_envelope *e, enum ipc_type type, enum ipc_status status)
{
	uint8_t wire[IPC_MESSAGE_MAX];
	size_t len;
	struct ipc_reply r = {.type = type, .status = status};
	assert_int_equal(ipc_encode_reply(e, &r, wire, sizeof wire, &len), OK);
	assert_int_equal(ipc_send(keeper, wire, len), OK);
}

static void say_hello(uint64_t epoch)
{
	reply(&(struct ipc_envelope){.epoch = epoch}, IPC_HELLO, IPC_OK);
	assert_int_equal(ipc_client_run(client, 0), OK);
}

static void requests_wait_for_the_epoch(void **state)
{
	(void)state;
	struct outcome o = {0};
	struct ipc_envelope e;
	struct ipc_request r;
	assert_int_equal(ipc_client_ask(client, &sample, 0, note, &o), OK);
	assert_int_equal(ipc_client_run(client, 0), OK);
	assert_int_equal(next_request(&e, &r), OK);
	assert_int_equal(r.type, IPC_HELLO); /* nothing but the question */
	assert_int_equal(next_request(&e, &r), ERR_AGAIN);
	say_hello(5);
	assert_int_equal(next_request(&e, &r), OK);
	assert_int_equal(r.type, IPC_UPDATE);
	assert_int_equal(e.epoch, 5);
	assert_int_equal(o.calls, 0);
	reply(&e, IPC_UPDATE, IPC_FORBIDDEN);
	assert_int_equal(ipc_client_run(client, 0), OK);
	assert_int_equal(o.calls, 1);
	assert_true(o.answered);
	assert_int_equal(o.status, IPC_FORBIDDEN);
	reply(&e, IPC_UPDATE, IPC_OK); /* a second answer meets nobody */
	assert_int_equal(ipc_client_run(client, 0), OK);
	assert_int_equal(o.calls, 1);
	assert_int_equal(ipc_client_pending(client), 0);
}

static void a_new_keeper_gets_what_is_unanswered_once(void **state)
{
	(void)state;
	struct outcome o = {0};
	struct ipc_envelope first, second;
	struct ipc_request r;
	say_hello(5);
	assert_int_equal(ipc_client_ask(client, &sample, 0, note, &o), OK);
	while (!next_request(&first, &r) && r.type == IPC_HELLO)
		;
	say_hello(6);
	assert_int_equal(next_request(&second, &r), OK);
	assert_int_equal(second.epoch, 6);
	assert_int_equal(second.id, first.id);
	assert_int_equal(next_request(&second, &r), ERR_AGAIN);
	say_hello(6); /* said again: no news */
	assert_int_equal(next_request(&second, &r), ERR_AGAIN);
	/* Two keepers have died over it: a third must not. */
	say_hello(7);
	assert_int_equal(next_request(&second, &r), ERR_AGAIN);
	assert_int_equal(o.calls, 1);
	assert_false(o.answered);
}

static void an_overdue_request_ends_without_an_answer(void **state)
{
	(void)state;
	struct outcome o = {0};
	assert_int_equal(ipc_client_ask(client, &sample, 1000, note, &o), OK);
	assert_int_equal(ipc_client_run(client, 15999), OK);
	assert_int_equal(o.calls, 0);
	assert_int_equal(ipc_client_run(client, 16100), OK);
	assert_int_equal(o.calls, 1);
	assert_false(o.answered);
}

static void too_many_at_once_are_refused(void **state)
{
	(void)state;
	struct outcome o = {0};
	for (int i = 0; i < IPC_PENDING_MAX; i++)
		assert_int_equal(ipc_client_ask(client, &sample, 0, note, &o), OK);
	assert_int_equal(ipc_client_ask(client, &sample, 0, note, &o), ERR_LIMIT);
	assert_int_equal(ipc_client_pending(client), IPC_PENDING_MAX);
	ipc_client_free(&client);
	assert_int_equal(o.calls, IPC_PENDING_MAX); /* nobody is left waiting */
}

static void rubbish_from_the_keeper_changes_nothing(void **state)
{
	(void)state;
	struct outcome o = {0};
	say_hello(5);
	assert_int_equal(ipc_client_ask(client, &sample, 0, note, &o), OK);
	assert_int_equal(ipc_send(keeper, (const uint8_t *)"rubbish", 7), OK);
	reply(&(struct ipc_envelope){5, 12345}, IPC_UPDATE, IPC_OK);
	reply(&(struct ipc_envelope){5, 0}, IPC_HEALTH, IPC_OK); /* right id, other question */
	assert_int_equal(ipc_client_run(client, 0), OK);
	assert_int_equal(o.calls, 0);
	ipc_client_free(&client); /* while `o` is still there */
	assert_int_equal(o.calls, 1);
}

static void the_end_of_the_supervisor_is_noticed(void **state)
{
	(void)state;
	close(keeper);
	keeper = -1;
	assert_int_equal(ipc_client_run(client, 0), ERR_CLOSED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_survive_the_way),
		cmocka_unit_test(replies_survive_the_way),
		TEST(requests_wait_for_the_epoch),
		TEST(a_new_keeper_gets_what_is_unanswered_once),
		TEST(an_overdue_request_ends_without_an_answer),
		TEST(too_many_at_once_are_refused),
		TEST(rubbish_from_the_keeper_changes_nothing),
		TEST(the_end_of_the_supervisor_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
