// SPDX-License-Identifier: GPL-3.0-or-later
/* Whose right reaches how far: a key its own delegate, the operator everything, everybody else nothing. */
#include "lab.h"

#include "delegate/failures.h"

/* ---- isolation ---- */

static const enum ipc_type of_keys[] = {IPC_UPDATE, IPC_PRESENT, IPC_CLEANUP, IPC_DELEGATE_SHOW,
	IPC_DELEGATE_REMOVE, IPC_VALUES_CLEAR, IPC_ALLOW_SET, IPC_ALIASES_SET, IPC_KEY_ADD, IPC_KEY_ROTATE,
	IPC_KEY_REVOKE};
static const enum ipc_type of_operators[] = {IPC_DELEGATE_ADD, IPC_DELEGATE_LIST, IPC_TOKEN_ADD,
	IPC_TOKEN_LIST, IPC_TOKEN_REVOKE, IPC_STATUS, IPC_EVENTS};
enum {
	KEY_TYPES = sizeof of_keys / sizeof *of_keys,
	OPERATOR_TYPES = sizeof of_operators / sizeof *of_operators
};

/* Everything in it is aimed at the victim. */
static struct ipc_request aimed(
	enum ipc_type type, const struct ipc_credentials *with, const struct ipc_credentials *victim)
{
	struct ipc_request r = by_key(type, with);
	name_of(victim, r.name);
	if (type == IPC_UPDATE)
		SET(r.name, "%s", victim->label);
	SET(r.value, "%s", value(type == IPC_CLEANUP ? 'v' : 'x'));
	SET(r.target, "%s", victim->key_id);
	r.flags = IPC_FLAG_FORCE | IPC_FLAG_AT_ONCE;
	return r;
}

static void assert_untouched(int fd, const struct ipc_credentials *victim, const struct ipc_delegate *before)
{
	struct ipc_delegate now = show(fd, victim);
	assert_memory_equal(&now, before, sizeof now);
}

static struct ipc_credentials retired_key(const struct ipc_credentials *of)
{
	struct ipc_request r = by_key(IPC_KEY_ROTATE, of);
	assert_int_equal(ask(&r), IPC_OK);
	struct ipc_credentials successor = last.credentials;
	assert_int_equal(update(&successor, 'v'), IPC_OK); /* its first use */
	return *of;
}

static struct ipc_credentials revoked_key(int fd, const struct ipc_credentials *of)
{
	struct ipc_request r = by_operator(IPC_KEY_ADD);
	name_of(of, r.name);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	struct ipc_credentials added = last.credentials;
	r = by_operator(IPC_KEY_REVOKE);
	name_of(of, r.name);
	SET(r.target, "%s", added.key_id);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	return added;
}

static void no_key_reaches_a_foreign_delegate(void **state)
{
	(void)state;
	start_keeper();
	int fd = admin();
	struct ipc_credentials victim = do_register(), other = do_register();
	struct ipc_credentials bad[6] = {victim, victim, victim, other, other, victim};
	bad[0].secret[0] = 0;
	memset(bad[1].secret, 'A', SECURE_SECRET_LEN);
	SET(bad[2].secret, "%s", other.secret);
	SET(bad[3].secret, "%s",
		victim.secret); /* the victim's secret with another id opens nothing either */
	SET(bad[4].key_id, "not a key id");
	bad[5] = revoked_key(fd, &victim);
	struct ipc_credentials retired = retired_key(&victim);
	const struct ipc_delegate before = show(fd, &victim), before_other = show(fd, &other);
	for (size_t i = 0; i < KEY_TYPES; i++) {
		for (size_t k = 0; k < 7; k++) {
			struct ipc_request r = aimed(of_keys[i], k < 6 ? &bad[k] : &retired, &victim);
			assert_int_equal(ask(&r), IPC_FORBIDDEN);
			/* The admin socket makes a bad key no better. */
			assert_int_equal(ask_at(fd, &r), IPC_FORBIDDEN);
			/* Nor does saying nothing about one's right, or claiming the operator's. */
			r.by = IPC_BY_NOBODY;
			assert_int_equal(ask(&r), IPC_FORBIDDEN);
			r.by = IPC_BY_OPERATOR;
			assert_int_equal(ask(&r), IPC_FORBIDDEN);
		}
		assert_untouched(fd, &victim, &before);
		assert_untouched(fd, &other, &before_other);
	}
}

/* A good key that points at somebody else's delegate or key. */
static void a_good_key_is_good_for_its_own_delegate_alone(void **state)
{
	(void)state;
	start_keeper();
	int fd = admin();
	struct ipc_credentials victim = do_register(), own = do_register();
	assert_int_equal(update(&victim, 'v'), IPC_OK);
	const struct ipc_delegate before = show(fd, &victim);
	for (size_t i = 0; i < KEY_TYPES; i++) {
		struct ipc_request r = aimed(of_keys[i], &own, &victim);
		bool httpreq = r.type == IPC_PRESENT || r.type == IPC_CLEANUP;
		assert_int_equal(ask(&r), httpreq ? IPC_FOREIGN : IPC_FORBIDDEN);
		assert_int_equal(ask_at(fd, &r), httpreq ? IPC_FOREIGN : IPC_FORBIDDEN);
		assert_untouched(fd, &victim, &before);
	}
	struct ipc_request r = by_key(IPC_KEY_REVOKE, &own); /* not by name, but by target */
	SET(r.target, "%s", victim.key_id);
	r.flags = IPC_FLAG_FORCE;
	assert_int_equal(ask(&r), IPC_NOT_FOUND);
	r.type = IPC_KEY_ROTATE;
	assert_int_equal(ask(&r), IPC_NOT_FOUND);
	assert_untouched(fd, &victim, &before);
	r = by_key(IPC_DELEGATE_SHOW, &own);
	assert_int_equal(ask(&r), IPC_OK);
	assert_string_equal(last.delegate.label, own.label);
}

static void operators_are_known_by_socket_or_bearer(void **state)
{
	(void)state;
	start_keeper();
	int fd = admin();
	struct ipc_credentials own = do_register();
	for (size_t i = 0; i < OPERATOR_TYPES; i++) {
		struct ipc_request r = by_key(of_operators[i], &own);
		assert_int_equal(ask(&r), IPC_FORBIDDEN);
		assert_int_equal(ask_at(fd, &r), IPC_FORBIDDEN);
		r.by = IPC_BY_NOBODY;
		assert_int_equal(ask(&r), IPC_FORBIDDEN);
		r = by_operator(of_operators[i]);
		assert_int_equal(ask(&r), IPC_FORBIDDEN); /* no bearer */
		SET(r.secret, "%s", "the operator's bearer tokem");
		assert_int_equal(ask(&r), IPC_FORBIDDEN);
		SET(r.secret, "%s", bearer);
		SET(r.name, "%s", r.type == IPC_DELEGATE_LIST ? "" : "web");
		assert_int_not_equal(ask(&r), IPC_FORBIDDEN);
	}
	struct ipc_request r = by_operator(IPC_DELEGATE_LIST);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	assert_int_equal(last.count, 2); /* the one registered, and "web" */
}

static void without_a_configured_bearer_none_is_right(void **state)
{
	(void)state;
	memset(settings.operator_digest, 0, sizeof settings.operator_digest);
	start_keeper();
	struct ipc_request r = by_operator(IPC_STATUS);
	assert_int_equal(ask(&r), IPC_FORBIDDEN);
	SET(r.secret, "%s", bearer);
	assert_int_equal(ask(&r), IPC_FORBIDDEN);
}

/* Guessing becomes slow; who has the right key does not notice. */
static void failed_attempts_are_held_back_and_right_keys_never(void **state)
{
	(void)state;
	start_keeper();
	struct ipc_credentials own = do_register(), wrong = own;
	wrong.secret[5] = wrong.secret[5] == 'A' ? 'B' : 'A';
	uint32_t most = 0;
	for (int i = 0; i < 30; i++) {
		assert_int_equal(update(&wrong, 'x'), IPC_FORBIDDEN);
		assert_true(last.delay <= FAILURES_DELAY_MAX && last.delay >= most);
		most = last.delay;
		assert_int_equal(update(&own, 'a'), IPC_OK);
		assert_int_equal(last.delay, 0);
	}
	assert_true(most > 0);
	struct ipc_request r = by_key(IPC_UPDATE, &own); /* a right key with a wrong name was not guessed */
	SET(r.name, "other");
	assert_int_equal(ask(&r), IPC_FORBIDDEN);
	assert_int_equal(last.delay, 0);
}

/* ---- keys ---- */

static void rotation_survives_lost_answers(void **state)
{
	(void)state;
	start_keeper();
	struct ipc_credentials old = do_register(), lost, successor;
	struct ipc_request r = by_key(IPC_KEY_ROTATE, &old);
	assert_int_equal(ask(&r), IPC_OK);
	lost = last.credentials;
	/* The answer went down with the keeper: the request is sent again to the next one. */
	kill_keeper();
	start_keeper();
	assert_int_equal(ask(&r), IPC_OK);
	successor = last.credentials;
	assert_string_equal(successor.label, old.label);
	assert_int_equal(update(&lost, 'l'), IPC_FORBIDDEN); /* it was replaced unused */
	assert_int_equal(update(&old, 'o'), IPC_OK);
	assert_int_equal(update(&successor, 's'), IPC_OK);
	assert_int_equal(update(&old, 'o'), IPC_FORBIDDEN);
	int fd = admin();
	assert_int_equal(show(fd, &old).key_count, 1);
	/* The operator's, without naming a key, means the same when asked again. */
	r = by_operator(IPC_KEY_ROTATE);
	name_of(&old, r.name);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	lost = last.credentials;
	assert_int_equal(show(fd, &old).key_count, 2);
	assert_int_equal(update(&lost, 'n'), IPC_OK);
	assert_int_equal(update(&successor, 's'), IPC_FORBIDDEN);
}

static void two_keys_and_never_none(void **state)
{
	(void)state;
	start_keeper();
	struct ipc_credentials first = do_register(), second;
	struct ipc_request r = by_key(IPC_KEY_ADD, &first);
	assert_int_equal(ask(&r), IPC_OK);
	second = last.credentials;
	assert_int_equal(ask(&r), IPC_TOO_MANY);
	assert_int_equal(update(&first, 'a'), IPC_OK);
	assert_int_equal(update(&second, 'b'), IPC_OK);
	r = by_operator(IPC_KEY_ROTATE); /* which one? */
	name_of(&first, r.name);
	int fd = admin();
	assert_int_equal(ask_at(fd, &r), IPC_TOO_MANY);
	struct ipc_delegate d = show(fd, &first);
	for (size_t i = 0; i < 2; i++) {
		assert_true(d.keys[i].used >= d.keys[i].created && d.keys[i].created);
		assert_true(address_equal(&d.keys[i].used_from, &here));
	}
	r = by_key(IPC_KEY_REVOKE, &second);
	SET(r.target, "%s", first.key_id);
	assert_int_equal(ask(&r), IPC_OK);
	assert_int_equal(update(&first, 'a'), IPC_FORBIDDEN);
	SET(r.target, "%s", second.key_id);
	assert_int_equal(ask(&r), IPC_LAST_KEY);
	r.flags = IPC_FLAG_FORCE;
	assert_int_equal(ask(&r), IPC_OK);
	assert_int_equal(update(&second, 'b'), IPC_FORBIDDEN);
	assert_int_equal(show(fd, &first).key_count, 0);
}

static void an_allow_list_does_not_shut_out_who_sets_it(void **state)
{
	(void)state;
	start_keeper();
	struct ipc_credentials own = do_register();
	struct ipc_request r = by_key(IPC_ALLOW_SET, &own);
	r.allow_count = 1;
	assert_int_equal(prefix_parse("198.51.100.0/24", 15, &r.allow[0]), OK);
	assert_int_equal(ask(&r), IPC_SHUTS_OUT);
	assert_int_equal(update(&own, 'a'), IPC_OK);
	r.flags = IPC_FLAG_FORCE;
	assert_int_equal(ask(&r), IPC_OK);
	assert_int_equal(update(&own, 'a'), IPC_FORBIDDEN);
	int fd = admin(); /* the way back */
	r = by_operator(IPC_ALLOW_SET);
	name_of(&own, r.name);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	assert_int_equal(update(&own, 'a'), IPC_OK);
}

/* ---- the end of a delegate ---- */

static void a_removed_delegate_never_comes_back(void **state)
{
	(void)state;
	start_keeper();
	int fd = admin();
	struct ipc_request r = by_operator(IPC_DELEGATE_ADD);
	SET(r.name, "Web-1"); /* names are compared without case */
	SET(r.zone, "SECOND.example.");
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	struct ipc_credentials own = last.credentials;
	assert_string_equal(own.label, "web-1");
	assert_string_equal(own.zone, "second.example");
	assert_int_equal(ask_at(fd, &r), IPC_EXISTS);
	assert_int_equal(update(&own, 'a'), IPC_OK);
	struct ipc_request s = by_operator(IPC_DELEGATE_SHOW);
	SET(s.name, "WEB-1.Second.Example.");
	assert_int_equal(ask_at(fd, &s), IPC_OK);
	assert_int_equal(last.delegate.value_count, 1);
	struct ipc_request gone = by_key(IPC_DELEGATE_REMOVE, &own);
	assert_int_equal(ask(&gone), IPC_OK);
	assert_int_equal(update(&own, 'a'), IPC_FORBIDDEN);
	assert_int_equal(ask_at(fd, &s), IPC_NOT_FOUND);
	assert_int_equal(ask_at(fd, &r), IPC_EXISTS);
	SET(r.zone, "elsewhere.example");
	assert_int_equal(ask_at(fd, &r), IPC_BAD_NAME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_key_reaches_a_foreign_delegate),
		TEST(a_good_key_is_good_for_its_own_delegate_alone),
		TEST(operators_are_known_by_socket_or_bearer),
		TEST(without_a_configured_bearer_none_is_right),
		TEST(failed_attempts_are_held_back_and_right_keys_never),
		TEST(rotation_survives_lost_answers),
		TEST(two_keys_and_never_none),
		TEST(an_allow_list_does_not_shut_out_who_sets_it),
		TEST(a_removed_delegate_never_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
