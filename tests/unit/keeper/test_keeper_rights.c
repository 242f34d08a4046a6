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

/* ---- the agent ---- */

static int agent_end = -1; /* the keeper's */

/* A keeper with a channel of the agent's; returns the agent's end. */
static int start_keeper_with_agent(void)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	agent_end = pair[1];
	settings.agents = &agent_end;
	settings.agent_count = 1;
	settings.challenge_zone = &zones[1];
	start_keeper();
	close(agent_end);
	await_hello(pair[0]);
	return pair[0];
}

static struct ipc_request challenge(char c)
{
	struct ipc_request r = {.type = IPC_CHALLENGE_SET, .by = IPC_BY_AGENT};
	r.challenge_count = 2;
	SET(r.challenges[0], "%s", value(c));
	SET(r.challenges[1], "%s", value((char)(c + 1)));
	return r;
}

static const struct ipc_credentials own_challenge = {.label = "_acme-challenge", .zone = "second.example"};

/* Exactly the values that were asked for, and none of those before. */
static void the_agent_sets_the_servers_own_challenge(void **state)
{
	(void)state;
	int agent = start_keeper_with_agent(), fd = admin();
	struct ipc_request r = challenge('a'), seen = by_operator(IPC_DELEGATE_SHOW);
	name_of(&own_challenge, seen.name);
	assert_int_equal(ask_at(fd, &seen), IPC_NOT_FOUND); /* made when it is first asked for */
	assert_int_equal(ask_at(agent, &r), IPC_OK);
	struct ipc_delegate d = show(fd, &own_challenge);
	assert_int_equal(d.key_count, 0);
	assert_int_equal(d.value_count, 2);
	assert_string_equal(d.values[0].text, value('a'));
	r = challenge('c');
	r.challenge_count = 1;
	assert_int_equal(ask_at(agent, &r), IPC_OK);
	d = show(fd, &own_challenge);
	assert_int_equal(d.value_count, 1);
	assert_string_equal(d.values[0].text, value('c'));
	SET(r.challenges[0], "not a value");
	assert_int_equal(ask_at(agent, &r), IPC_BAD_VALUE);
	assert_int_equal(show(fd, &own_challenge).value_count, 1);
	r.challenge_count = 0;
	assert_int_equal(ask_at(agent, &r), IPC_OK);
	assert_int_equal(show(fd, &own_challenge).value_count, 0);
	struct ipc_request log = by_operator(IPC_EVENTS);
	log.flags = IPC_FLAG_NEWEST;
	SET(log.name, "%s", "_acme-challenge.second.example");
	assert_int_equal(ask_at(fd, &log), IPC_OK);
	int done = 0;
	for (size_t i = 0; i < last.count; i++)
		done += last.events[i].kind == IPC_EVENT_CHALLENGE && last.events[i].by == IPC_BY_AGENT &&
			last.events[i].outcome == IPC_OK;
	assert_int_equal(done, 3);
	close(agent);
}

/* Whoever takes over the agent can do that one thing, whatever it says about itself and whatever it knows. */
static void the_agents_channel_is_good_for_nothing_else(void **state)
{
	(void)state;
	int agent = start_keeper_with_agent(), fd = admin();
	struct ipc_credentials own = do_register();
	assert_int_equal(update(&own, 'v'), IPC_OK);
	const struct ipc_delegate before = show(fd, &own);
	for (int type = IPC_HELLO + 1; type < IPC_TYPES; type++) {
		for (int by = 0; by < IPC_BYS; by++) {
			struct ipc_request r = aimed((enum ipc_type)type, &own, &own);
			r.by = (enum ipc_by)by;
			if (r.by == IPC_BY_OPERATOR)
				SET(r.secret, "%s", bearer);
			if (type == IPC_CHALLENGE_SET && by == IPC_BY_AGENT)
				continue;
			assert_int_equal(ask_at(agent, &r), IPC_FORBIDDEN);
		}
	}
	assert_untouched(fd, &own, &before);
	close(agent);
}

/* Neither the api nor the admin socket becomes the agent by saying so, whatever secret it has. */
static void nobody_else_sets_the_servers_own_challenge(void **state)
{
	(void)state;
	int agent = start_keeper_with_agent(), fd = admin();
	struct ipc_credentials own = do_register();
	struct ipc_request r = challenge('a');
	assert_int_equal(ask_at(agent, &r), IPC_OK);
	const struct ipc_delegate before = show(fd, &own_challenge);
	for (int by = 0; by < IPC_BYS; by++) {
		r = challenge('x');
		r.by = (enum ipc_by)by;
		SET(r.key_id, "%s", own.key_id);
		SET(r.secret, "%s", by == IPC_BY_OPERATOR ? bearer : own.secret);
		assert_int_equal(ask(&r), IPC_FORBIDDEN);
		assert_int_equal(ask_at(fd, &r), IPC_FORBIDDEN);
	}
	assert_untouched(fd, &own_challenge, &before);
	static const enum ipc_type refused[] = {
		IPC_KEY_ADD, IPC_KEY_ROTATE, IPC_KEY_REVOKE, IPC_ALLOW_SET, IPC_ALIASES_SET};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		r = by_operator(refused[i]);
		SET(r.name, "%s", "_acme-challenge.second.example");
		assert_int_equal(ask_at(fd, &r), IPC_BAD_NAME);
	}
	assert_untouched(fd, &own_challenge, &before);
	r = by_operator(IPC_DELEGATE_REMOVE); /* the server makes it anew */
	SET(r.name, "%s", "_acme-challenge.second.example");
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	r = challenge('a');
	assert_int_equal(ask_at(agent, &r), IPC_OK);
	assert_int_equal(show(fd, &own_challenge).value_count, 2);
	close(agent);
}

static void without_a_zone_for_it_the_agent_has_no_right(void **state)
{
	(void)state;
	int agent = start_keeper_with_agent();
	kill_keeper();
	close(agent);
	settings.challenge_zone = NULL;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	agent_end = pair[1];
	start_keeper();
	close(agent_end);
	await_hello(pair[0]);
	struct ipc_request r = challenge('a');
	assert_int_equal(ask_at(pair[0], &r), IPC_FORBIDDEN);
	close(pair[0]);
}

/* Labels with an underscore in front: not registered, not with any token, not added by the operator. */
static void reserved_labels_are_nobodys(void **state)
{
	(void)state;
	start_keeper();
	int fd = admin();
	static const char *const labels[] = {"_acme-challenge", "_ACME-Challenge", "_", "_x", "_dmarc"};
	for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
		struct ipc_request r = by_operator(IPC_DELEGATE_ADD);
		SET(r.name, "%s", labels[i]);
		assert_int_equal(ask_at(fd, &r), IPC_BAD_NAME);
		r = by_operator(IPC_TOKEN_ADD); /* for that label, and as a prefix */
		SET(r.terms.label, "%s", labels[i]);
		assert_int_equal(ask_at(fd, &r), IPC_BAD_NAME);
		r.terms.label_is_prefix = true;
		assert_int_equal(ask_at(fd, &r), IPC_BAD_NAME);
		r = by_operator(IPC_TOKEN_ADD); /* for any label */
		assert_int_equal(ask_at(fd, &r), IPC_OK);
		struct ipc_request reg = {.type = IPC_REGISTER, .client = here};
		SET(reg.secret, "%s", last.token.secret);
		SET(reg.name, "%s", labels[i]);
		assert_int_equal(ask(&reg), IPC_BAD_NAME);
		reg.secret[0] = 0;
		assert_int_equal(ask(&reg), IPC_BAD_NAME);
	}
	struct ipc_request r = by_operator(IPC_DELEGATE_LIST);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	assert_int_equal(last.count, 0);
}

static int put_entry(
	void *t, enum store_table table, const void *key, size_t key_len, const void *v, size_t len)
{
	return store_txn_put(t, table, key, key_len, v, len);
}

/* A store of a version that let people have such labels. */
static struct ipc_credentials old_owner(const char *label)
{
	struct ipc_credentials c = {.zone = "second.example"};
	struct delegate_credentials made;
	struct store *store;
	struct store_txn *t;
	struct delegate_wish w = {.zone = zones[1].id, .label = "was-allowed"};
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &store), OK);
	assert_int_equal(store_txn_begin(store, &t), OK);
	assert_int_equal(delegate_register(t, &w, 1, &made), OK);
	struct delegate d;
	assert_int_equal(delegate_get(t, &made.id, &d), OK);
	assert_int_equal(delegate_remove(t, &made.id), OK);
	SET(d.id.label, "%s", label);
	assert_int_equal(secure_sha256(made.secret, strlen(made.secret), d.keys[0].digest), OK);
	assert_int_equal(delegate_encode(&d, put_entry, t), OK);
	assert_int_equal(store_txn_commit(&t), OK);
	store_close(&store);
	SET(c.label, "%s", label);
	SET(c.key_id, "%s", made.key_id);
	SET(c.secret, "%s", made.secret);
	return c;
}

static void keys_of_reserved_labels_open_nothing(void **state)
{
	(void)state;
	struct ipc_credentials c = old_owner("_acme-challenge");
	int agent = start_keeper_with_agent(), fd = admin();
	for (size_t i = 0; i < KEY_TYPES; i++) {
		struct ipc_request r = aimed(of_keys[i], &c, &c);
		assert_int_equal(ask(&r), IPC_FORBIDDEN);
	}
	assert_int_equal(show(fd, &c).key_count, 1);
	struct ipc_request r = challenge('a');
	assert_int_equal(ask_at(agent, &r), IPC_OK);
	struct ipc_delegate d = show(fd, &c);
	assert_int_equal(d.key_count, 0);
	assert_int_equal(d.value_count, 2);
	assert_int_equal(update(&c, 'x'), IPC_FORBIDDEN);
	close(agent);
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
		TEST(the_agent_sets_the_servers_own_challenge),
		TEST(the_agents_channel_is_good_for_nothing_else),
		TEST(nobody_else_sets_the_servers_own_challenge),
		TEST(without_a_zone_for_it_the_agent_has_no_right),
		TEST(reserved_labels_are_nobodys),
		TEST(keys_of_reserved_labels_open_nothing),
		TEST(rotation_survives_lost_answers),
		TEST(two_keys_and_never_none),
		TEST(an_allow_list_does_not_shut_out_who_sets_it),
		TEST(a_removed_delegate_never_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
