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

/* ---- registration by token ---- */

static struct ipc_token add_token(int fd, uint32_t quota, int64_t expiry, const char *label)
{
	struct ipc_request r = by_operator(IPC_TOKEN_ADD);
	r.terms.quota = quota;
	r.terms.expiry = expiry;
	r.terms.allow_count = 1;
	assert_int_equal(prefix_parse("192.0.2.0/24", 12, &r.terms.allow[0]), OK);
	SET(r.terms.label, "%s", label);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	return last.token;
}

static enum ipc_status register_with(const char *secret, unsigned flags)
{
	struct ipc_request r = {.type = IPC_REGISTER, .client = here, .flags = flags};
	SET(r.secret, "%s", secret);
	return ask(&r);
}

static void tokens_open_what_is_closed_to_others(void **state)
{
	(void)state;
	settings.registration_mode = CONF_REGISTRATION_TOKEN;
	settings.per_address_per_hour = 1; /* which does not concern tokens */
	start_keeper();
	int fd = admin();
	struct ipc_token good = add_token(fd, 3, 0, ""), expired = add_token(fd, 0, 1, ""),
			 fixed = add_token(fd, 0, 0, "printer");
	assert_int_equal(register_with("", 0), IPC_TOKEN_REQUIRED);
	assert_int_equal(register_with("junk", 0), IPC_BAD_TOKEN);
	assert_int_equal(register_with("junk", IPC_FLAG_MAYBE), IPC_BAD_TOKEN);
	assert_int_equal(register_with(expired.secret, 0), IPC_TOKEN_EXPIRED);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(register_with(good.secret, 0), IPC_OK);
		assert_int_equal(last.credentials.allow_count, 1); /* as the token says */
	}
	assert_int_equal(register_with(good.secret, 0), IPC_TOKEN_SPENT);
	assert_int_equal(register_with(fixed.secret, 0), IPC_OK);
	assert_string_equal(last.credentials.label, "printer");
	assert_int_not_equal(register_with(fixed.secret, 0), IPC_OK);
	struct ipc_request r = by_operator(IPC_TOKEN_LIST);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	assert_int_equal(last.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(last.tokens[i].secret, "");
		if (strcmp(last.tokens[i].id, good.id) == 0)
			assert_int_equal(last.tokens[i].spent, 3);
	}
	r = by_operator(IPC_TOKEN_REVOKE);
	SET(r.target, "%s", good.id);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	assert_int_equal(ask_at(fd, &r), IPC_NOT_FOUND);
	assert_int_equal(register_with(good.secret, 0), IPC_BAD_TOKEN);
}

/* However requests are repeated. */
static void a_quota_is_never_exceeded(void **state)
{
	(void)state;
	enum { QUOTA = 10, TRIES = 100 };
	settings.registration_mode = CONF_REGISTRATION_TOKEN;
	start_keeper();
	struct ipc_token k = add_token(admin(), QUOTA, 0, "");
	struct ipc_request r = {.type = IPC_REGISTER, .client = here};
	int made = 0;
	SET(r.secret, "%s", k.secret);
	for (int i = 0; i < TRIES; i++)
		post(api, &r);
	for (int i = 0; i < TRIES; i++) {
		receive_any(api);
		made += last.status == IPC_OK;
	}
	assert_int_equal(made, QUOTA);
}

static void open_registration_takes_no_notice_of_junk(void **state)
{
	(void)state;
	settings.per_address_per_hour = 2;
	start_keeper();
	int fd = admin();
	struct ipc_token k = add_token(fd, 0, 0, "");
	assert_int_equal(register_with("junk", 0), IPC_BAD_TOKEN);
	assert_int_equal(register_with("junk", IPC_FLAG_MAYBE), IPC_OK);
	assert_int_equal(register_with("", 0), IPC_OK);
	assert_int_equal(register_with("", 0), IPC_LIMITED);
	assert_true(last.retry_after > 0);
	assert_int_equal(register_with(k.secret, 0), IPC_OK);
	struct ipc_request r = by_operator(IPC_DELEGATE_ADD);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	stop_keeper();
	settings.registration_mode = CONF_REGISTRATION_CLOSED;
	close(stop_pipe[0]);
	close(stop_pipe[1]);
	assert_int_equal(pipe(stop_pipe), 0);
	settings.stop = stop_pipe[0];
	start_keeper();
	assert_int_equal(register_with("", 0), IPC_CLOSED);
	assert_int_equal(register_with(k.secret, 0), IPC_CLOSED);
	assert_int_equal(ask_at(admin(), &r), IPC_OK);
}

/* ---- the admin socket ---- */

static bool is_closed(int fd)
{
	uint8_t wire[IPC_MESSAGE_MAX];
	size_t len;
	assert_true(readable(fd, PATIENCE_MS));
	return ipc_receive(fd, wire, &len) == ERR_CLOSED;
}

static void admins_never_crowd_out_the_api(void **state)
{
	(void)state;
	int fds[KEEPER_ADMIN_CHANNELS];
	start_keeper();
	struct ipc_credentials own = do_register();
	for (size_t i = 0; i < KEEPER_ADMIN_CHANNELS; i++)
		fds[i] = admin();
	int late = connect_admin();
	assert_true(is_closed(late));
	close(late);
	assert_int_equal(update(&own, 'a'), IPC_OK);
	close(fds[3]); /* a place becomes free; the keeper sees it before the next update is answered */
	assert_int_equal(update(&own, 'a'), IPC_OK);
	fds[3] = admin();
	for (size_t i = 0; i < KEEPER_ADMIN_CHANNELS; i++)
		close(fds[i]);
}

static void the_status_says_what_there_is(void **state)
{
	(void)state;
	start_keeper();
	int fd = admin();
	struct ipc_credentials own = do_register();
	assert_int_equal(update(&own, 'a'), IPC_OK);
	own.secret[0] ^= 1;
	assert_int_equal(update(&own, 'a'), IPC_FORBIDDEN);
	struct ipc_request r = by_operator(IPC_STATUS);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	const struct ipc_report *p = &last.report;
	assert_string_equal(p->version, "1.2.3");
	assert_int_equal(p->zone_count, 2);
	assert_string_equal(p->zones[1], "second.example");
	assert_int_equal(p->delegates, 1);
	assert_int_equal(p->registrations, 1);
	assert_int_equal(p->changes, 1);
	assert_int_equal(p->refusals, 1);
	assert_true(p->store_writable && p->store_bytes > 0 && p->started > 0);
	assert_int_equal(p->registration, CONF_REGISTRATION_OPEN);
}

/* All of them, page by page, each once, whatever zones the configuration has lost. */
static void the_list_has_every_delegate_once(void **state)
{
	(void)state;
	start_keeper();
	int fd = admin();
	struct ipc_request r = by_operator(IPC_DELEGATE_ADD);
	for (int i = 0; i < 40; i++) {
		SET(r.name, "%s%02d", i % 4 == 3 ? "" : "n", i);
		SET(r.zone, "%s", i % 2 ? "second.example" : "auth.example.org");
		if (i % 4 == 3)
			r.name[0] = 0; /* a random label */
		assert_int_equal(ask_at(fd, &r), IPC_OK);
	}
	r = by_operator(IPC_DELEGATE_LIST);
	r.limit = 7;
	int seen = 0;
	do {
		assert_int_equal(ask_at(fd, &r), IPC_OK);
		seen += (int)last.count;
		assert_true(seen <= 40);
		if (last.count)
			snprintf(r.name, sizeof r.name, "%.63s.%.180s", last.delegates[last.count - 1].label,
				last.delegates[last.count - 1].zone);
	} while (last.count == 7);
	assert_int_equal(seen, 40);
	kill_keeper();
	settings.zones = &zones[1];
	settings.zone_count = 1;
	start_keeper();
	r.name[0] = 0;
	r.limit = 0;
	assert_int_equal(ask_at(admin(), &r), IPC_OK);
	assert_int_equal(last.count, 20);
	for (size_t i = 0; i < 20; i++)
		assert_string_equal(last.delegates[i].zone, "second.example");
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
		TEST(tokens_open_what_is_closed_to_others),
		TEST(a_quota_is_never_exceeded),
		TEST(open_registration_takes_no_notice_of_junk),
		TEST(admins_never_crowd_out_the_api),
		TEST(the_status_says_what_there_is),
		TEST(the_list_has_every_delegate_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
