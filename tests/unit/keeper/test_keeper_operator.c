// SPDX-License-Identifier: GPL-3.0-or-later
/* What the operator does: tokens, lists, status; and the admin socket. */
#include "lab.h"

#include <sys/stat.h>

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

/* Connects as somebody else. True: greeted. */
static bool a_stranger_is_let_in(void)
{
	enum { STRANGER = 65534 };
	int status;
	fflush(NULL);
	pid_t stranger = fork();
	assert_true(stranger >= 0);
	if (!stranger) {
		uint8_t wire[IPC_MESSAGE_MAX];
		size_t len;
		if (setuid(STRANGER))
			_exit(2);
		int fd = connect_admin();
		_exit(readable(fd, PATIENCE_MS) && !ipc_receive(fd, wire, &len) ? 1 : 0);
	}
	assert_int_equal(waitpid(stranger, &status, 0), stranger);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 1;
}

/* Root and the server's own user; others only if a group was named, and then the file's mode decides. */
static void the_admin_socket_looks_at_who_comes(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* nobody else can be played */
	assert_int_equal(chmod(dir.path, 0711), 0);
	assert_int_equal(chmod(admin_path, 0777), 0);
	start_keeper();
	assert_false(a_stranger_is_let_in());
	close(admin()); /* root */
	kill_keeper();
	settings.admin_group = true;
	start_keeper();
	assert_true(a_stranger_is_let_in());
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
		TEST(tokens_open_what_is_closed_to_others),
		TEST(a_quota_is_never_exceeded),
		TEST(open_registration_takes_no_notice_of_junk),
		TEST(admins_never_crowd_out_the_api),
		TEST(the_admin_socket_looks_at_who_comes),
		TEST(the_status_says_what_there_is),
		TEST(the_list_has_every_delegate_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
