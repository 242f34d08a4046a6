// SPDX-License-Identifier: GPL-3.0-or-later
/* The audit log as the operator reads it. */
#include "lab.h"

/* The events behind `after` into `last`. */
static size_t events(int fd, uint64_t after, unsigned flags, const char *name)
{
	struct ipc_request r = by_operator(IPC_EVENTS);
	r.after = after;
	r.flags = flags;
	SET(r.name, "%s", name);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	return last.count;
}

static const struct ipc_event *find(enum ipc_event_kind kind, enum ipc_status outcome)
{
	for (size_t i = 0; i < last.count; i++)
		if (last.events[i].kind == kind && last.events[i].outcome == outcome)
			return &last.events[i];
	fail_msg("no event of kind %d and outcome %d", (int)kind, (int)outcome);
	return NULL;
}

static enum ipc_status do_to(
	int fd, enum ipc_type type, const struct ipc_credentials *who, const char *target)
{
	struct ipc_request r = by_operator(type);
	name_of(who, r.name);
	SET(r.target, "%s", target);
	r.flags = IPC_FLAG_FORCE;
	return ask_at(fd, &r);
}

/* Who, from where, which delegate, what: for everything that is done. */
static void everything_done_is_written_down(void **state)
{
	(void)state;
	char full[IPC_NAME_MAX + 1];
	start_keeper();
	int fd = admin();
	struct ipc_credentials own = do_register(), successor;
	name_of(&own, full);
	assert_int_equal(update(&own, 'a'), IPC_OK);
	struct ipc_request r = by_key(IPC_CLEANUP, &own);
	SET(r.value, "%s", value('a'));
	assert_int_equal(ask(&r), IPC_OK);
	r = by_key(IPC_KEY_ROTATE, &own);
	assert_int_equal(ask(&r), IPC_OK);
	successor = last.credentials;
	assert_int_equal(update(&successor, 'b'), IPC_OK);
	static const enum ipc_type types[] = {IPC_VALUES_CLEAR, IPC_ALLOW_SET, IPC_ALIASES_SET, IPC_KEY_ADD};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		assert_int_equal(do_to(fd, types[i], &own, ""), IPC_OK);
	assert_int_equal(do_to(fd, IPC_KEY_REVOKE, &own, successor.key_id), IPC_OK);
	assert_int_equal(do_to(fd, IPC_DELEGATE_REMOVE, &own, ""), IPC_OK);
	static const struct {
		enum ipc_event_kind kind;
		bool by_key;
	} expected[] = {{IPC_EVENT_REGISTER, false}, {IPC_EVENT_UPDATE, true}, {IPC_EVENT_WITHDRAW, true},
		{IPC_EVENT_KEY_ROTATE, true}, {IPC_EVENT_KEY_RETIRED, true}, {IPC_EVENT_UPDATE, true},
		{IPC_EVENT_CLEAR, false}, {IPC_EVENT_ALLOW, false}, {IPC_EVENT_ALIASES, false},
		{IPC_EVENT_KEY_ADD, false}, {IPC_EVENT_KEY_REVOKE, false}, {IPC_EVENT_REMOVE, false}};
	size_t count = sizeof expected / sizeof *expected;
	assert_int_equal(events(fd, 0, 0, full), count);
	for (size_t i = 0; i < count; i++) {
		const struct ipc_event *e = &last.events[i];
		assert_int_equal(e->kind, expected[i].kind);
		assert_int_equal(e->outcome, IPC_OK);
		assert_int_equal(e->times, 1);
		assert_string_equal(e->name, full);
		assert_true(e->when > 0 && (!i || e->sequence > last.events[i - 1].sequence));
		bool operator_ = !expected[i].by_key && e->kind != IPC_EVENT_REGISTER;
		assert_int_equal(e->by, operator_            ? IPC_BY_OPERATOR
					: expected[i].by_key ? IPC_BY_KEY
							     : IPC_BY_NOBODY);
		if (operator_) {
			assert_int_equal(e->uid, geteuid());
			assert_memory_equal(&e->client, &(struct address){{0}}, sizeof e->client);
		} else {
			assert_true(address_equal(&e->client, &here));
		}
		if (expected[i].by_key)
			assert_string_equal(e->key, i < 4 ? own.key_id : successor.key_id);
	}
	assert_string_equal(last.events[1].detail, value('a'));
	assert_string_equal(last.events[4].detail, own.key_id);
	assert_string_equal(last.events[10].detail, successor.key_id);
}

static void the_start_and_tokens_are_written_down(void **state)
{
	(void)state;
	settings.registration_mode = CONF_REGISTRATION_TOKEN;
	start_keeper();
	int fd = admin();
	struct ipc_request r = by_operator(IPC_TOKEN_ADD);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	struct ipc_token k = last.token;
	r = (struct ipc_request){.type = IPC_REGISTER, .client = here};
	SET(r.secret, "%s", k.secret);
	assert_int_equal(ask(&r), IPC_OK);
	assert_true(events(fd, 0, 0, "") >= 3);
	assert_string_equal(find(IPC_EVENT_START, IPC_OK)->detail, "1.2.3");
	assert_string_equal(find(IPC_EVENT_TOKEN_ADD, IPC_OK)->detail, k.id);
	assert_string_equal(find(IPC_EVENT_REGISTER, IPC_OK)->key, k.id);
	for (size_t i = 0; i < last.count; i++) /* no secret is ever in it */
		assert_null(strstr(last.events[i].detail, k.secret));
}

/* A flood of refusals is a few events, and none is forgotten. */
static void refusals_are_counted_not_listed(void **state)
{
	(void)state;
	enum { TRIES = 500 };
	start_keeper();
	int fd = admin();
	struct ipc_credentials own = do_register(), wrong = own;
	memset(wrong.secret, 'A', SECURE_SECRET_LEN);
	struct ipc_request r = by_key(IPC_UPDATE, &wrong);
	for (int i = 0; i < TRIES; i++)
		post(api, &r);
	for (int i = 0; i < TRIES; i++) {
		receive_any(api);
		assert_int_equal(last.status, IPC_FORBIDDEN);
	}
	/* All within 10 s: one event at once, and one for all others when that time is over. */
	uint64_t after = 0;
	unsigned found = 0, times = 0;
	for (int turns = 0; turns < 10 && times < TRIES; turns++) {
		size_t count = events(fd, after, IPC_FLAG_WAIT, "");
		for (size_t i = 0; i < count; i++) {
			const struct ipc_event *e = &last.events[i];
			after = e->sequence;
			if (e->outcome != IPC_FORBIDDEN)
				continue;
			assert_int_equal(e->kind, IPC_EVENT_UPDATE);
			assert_string_equal(e->key, own.key_id);
			assert_string_equal(e->name, "");
			found++;
			times += e->times;
		}
	}
	assert_int_equal(times, TRIES);
	assert_true(found <= 2);
}

static void a_password_in_the_wrong_field_is_not_written_down(void **state)
{
	(void)state;
	start_keeper();
	int fd = admin();
	struct ipc_credentials own = do_register(), mixed = own;
	SET(mixed.key_id, "%s", own.secret);
	assert_int_equal(update(&mixed, 'x'), IPC_FORBIDDEN);
	assert_int_equal(update(&own, 'a'), IPC_OK); /* its commit takes the refusal along */
	assert_true(events(fd, 0, 0, "") > 0);
	assert_string_equal(find(IPC_EVENT_UPDATE, IPC_FORBIDDEN)->key, "");
}

static void who_waits_is_told_of_what_comes(void **state)
{
	(void)state;
	start_keeper();
	int fd = admin();
	struct ipc_credentials own = do_register();
	char full[IPC_NAME_MAX + 1];
	name_of(&own, full);
	assert_true(events(fd, 0, 0, "") > 0);
	struct ipc_request r = by_operator(IPC_EVENTS);
	r.after = last.events[last.count - 1].sequence;
	r.flags = IPC_FLAG_WAIT;
	SET(r.name, "%s", full);
	uint64_t id = post(fd, &r);
	struct ipc_credentials other = do_register(); /* not what is waited for */
	assert_int_equal(update(&other, 'o'), IPC_OK);
	assert_int_equal(update(&own, 'a'), IPC_OK);
	struct ipc_envelope e = receive_any(fd);
	assert_int_equal(e.id, id);
	assert_int_equal(last.status, IPC_OK);
	assert_int_equal(last.count, 1);
	assert_int_equal(last.events[0].kind, IPC_EVENT_UPDATE);
	assert_string_equal(last.events[0].name, full);
}

/* So many, and no more; whoever is turned away is told to come again. */
static void those_who_wait_are_bounded(void **state)
{
	(void)state;
	enum { WAITERS = 20, PLACES = 16 };
	start_keeper();
	int fd = admin();
	struct ipc_credentials own = do_register();
	(void)own;
	unsigned busy = 0, good = 0;
	struct ipc_request r = by_operator(IPC_EVENTS);
	r.flags = IPC_FLAG_WAIT;
	r.after = UINT64_MAX; /* which never comes */
	for (int i = 0; i < WAITERS; i++)
		post(fd, &r);
	for (int i = 0; i < WAITERS; i++) { /* the last ones after 10 s at most */
		receive_any(fd);
		busy += last.status == IPC_BUSY;
		good += last.status == IPC_OK && last.count == 0;
	}
	assert_int_equal(busy, WAITERS - PLACES);
	assert_int_equal(good, PLACES);
}

static void the_newest_and_those_of_one_delegate(void **state)
{
	(void)state;
	start_keeper();
	int fd = admin();
	struct ipc_credentials one = do_register(), other = do_register();
	char full[IPC_NAME_MAX + 1];
	for (int i = 0; i < 20; i++) {
		assert_int_equal(update(&one, (char)('a' + i)), IPC_OK);
		assert_int_equal(update(&other, 'z'), IPC_OK);
	}
	struct ipc_request r = by_operator(IPC_EVENTS);
	r.flags = IPC_FLAG_NEWEST;
	r.limit = 3;
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	assert_int_equal(last.count, 3);
	assert_true(last.events[2].sequence == last.events[0].sequence + 2);
	assert_string_equal(last.events[2].detail, value('z'));
	name_of(&one, full);
	SET(r.name, "%.200s.", full);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	assert_int_equal(last.count, 3);
	for (int i = 0; i < 3; i++)
		assert_string_equal(last.events[i].detail, value((char)('a' + 17 + i)));
	assert_int_equal(events(fd, 0, 0, full), 21); /* and its registration */
}

static void none_are_kept_if_none_are_wanted(void **state)
{
	(void)state;
	settings.events_keep = 0;
	start_keeper();
	int fd = admin();
	struct ipc_credentials own = do_register();
	assert_int_equal(update(&own, 'a'), IPC_OK);
	assert_int_equal(events(fd, 0, 0, ""), 0);
	assert_int_equal(events(fd, 0, IPC_FLAG_NEWEST, ""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_done_is_written_down),
		TEST(the_start_and_tokens_are_written_down),
		TEST(refusals_are_counted_not_listed),
		TEST(a_password_in_the_wrong_field_is_not_written_down),
		TEST(who_waits_is_told_of_what_comes),
		TEST(those_who_wait_are_bounded),
		TEST(the_newest_and_those_of_one_delegate),
		TEST(none_are_kept_if_none_are_wanted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
