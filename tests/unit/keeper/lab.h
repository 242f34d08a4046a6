// SPDX-License-Identifier: GPL-3.0-or-later
/* A keeper in a process of its own, with a store of its own; the test holds the api's end of a channel, and
 * may connect to the admin socket. */
#pragma once

#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "ipc/ipc.h"
#include "keeper/keeper.h"
#include "tempdir.h"
#include "util/log.h"

enum { PATIENCE_MS = 30000 };

static struct tempdir dir;
static struct keeper_zone zones[2];
static struct keeper_settings settings; /* of the next keeper; setup() fills in what most tests want */
static int api = -1, keeper_end = -1, stop_pipe[2] = {-1, -1};
static char admin_path[100];
static pid_t keeper;
static uint64_t epoch, next_id;
static struct ipc_reply last;
static const struct address here = {{[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}};
static const char bearer[] = "the operator's bearer token";

__attribute__((unused)) static bool readable(int fd, int wait)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, wait) == 1;
}

/* The next reply into `last`, a hello too. */
static struct ipc_envelope receive_any(int fd)
{
	uint8_t wire[IPC_MESSAGE_MAX];
	size_t len;
	struct ipc_envelope e;
	assert_true(readable(fd, PATIENCE_MS));
	assert_int_equal(ipc_receive(fd, wire, &len), OK);
	memset(&last, 0, sizeof last);
	assert_int_equal(ipc_decode_reply(wire, len, &e, &last), OK);
	return e;
}

__attribute__((unused)) static void await_hello(int fd)
{
	epoch = receive_any(fd).epoch;
	assert_int_equal(last.type, IPC_HELLO);
}

__attribute__((unused)) static uint64_t post(int fd, const struct ipc_request *r)
{
	uint8_t wire[IPC_MESSAGE_MAX];
	size_t len;
	struct ipc_envelope e = {epoch, ++next_id};
	int rc;
	assert_int_equal(ipc_encode_request(&e, r, wire, sizeof wire, &len), OK);
	while ((rc = ipc_send(fd, wire, len)) == ERR_AGAIN) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	}
	assert_int_equal(rc, OK);
	return next_id;
}

__attribute__((unused)) static enum ipc_status ask_at(int fd, const struct ipc_request *r)
{
	uint64_t id = post(fd, r);
	while (receive_any(fd).id != id)
		;
	assert_int_equal(last.type, r->type);
	return last.status;
}

__attribute__((unused)) static enum ipc_status ask(const struct ipc_request *r)
{
	return ask_at(api, r);
}

__attribute__((unused)) static void start_keeper(void)
{
	fflush(NULL);
	keeper = fork();
	assert_true(keeper >= 0);
	if (!keeper) {
		log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
		_exit(keeper_run(&settings) ? 1 : 0);
	}
	await_hello(api);
}

__attribute__((unused)) static void kill_keeper(void)
{
	kill(keeper, SIGKILL);
	waitpid(keeper, NULL, 0);
	keeper = 0;
}

/* Ends it as the supervisor would. */
__attribute__((unused)) static void stop_keeper(void)
{
	int status;
	assert_int_equal(write(stop_pipe[1], "x", 1), 1);
	assert_int_equal(waitpid(keeper, &status, 0), keeper);
	keeper = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int listen_at(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof a.sun_path, "%.99s", path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 32), 0);
	return fd;
}

__attribute__((unused)) static int connect_admin(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof a.sun_path, "%.99s", admin_path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

/* Connected and greeted. */
__attribute__((unused)) static int admin(void)
{
	int fd = connect_admin();
	await_hello(fd);
	return fd;
}

static void make_zones(void)
{
	static const char *const names[2] = {"auth.example.org", "second.example"};
	struct store *store;
	struct store_txn *t;
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &store), OK);
	assert_int_equal(store_txn_begin(store, &t), OK);
	for (int i = 0; i < 2; i++) {
		zones[i] = (struct keeper_zone){names[i], 0, {3600000, 32}};
		assert_int_equal(delegate_zone_id(t, names[i], &zones[i].id), OK);
	}
	assert_int_equal(store_txn_commit(&t), OK);
	store_close(&store);
}

static int setup(void **state)
{
	(void)state;
	int pair[2];
	dir = tempdir_make();
	make_zones();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(pipe(stop_pipe), 0);
	api = pair[0];
	keeper_end = pair[1];
	snprintf(admin_path, sizeof admin_path, "%s/admin.sock", dir.path);
	settings = (struct keeper_settings){.store_path = dir.path,
		.zones = zones,
		.zone_count = 2,
		.events_keep = 1000,
		.failed_login_delay = 2000,
		.version = "1.2.3",
		.admin = listen_at(admin_path),
		.channels = &keeper_end,
		.channel_count = 1,
		.control = -1,
		.stop = stop_pipe[0]};
	assert_int_equal(secure_sha256(bearer, strlen(bearer), settings.operator_digest), OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (keeper > 0) {
		kill(keeper, SIGKILL);
		waitpid(keeper, NULL, 0);
	}
	keeper = 0;
	close(api);
	close(keeper_end);
	close(stop_pipe[0]);
	close(stop_pipe[1]);
	close(settings.admin);
	tempdir_remove(dir.path);
	return 0;
}

__attribute__((unused)) static const char *value(char c)
{
	static char text[DELEGATE_VALUE_LEN + 1];
	memset(text, c, DELEGATE_VALUE_LEN);
	return text;
}

#define SET(field, ...) snprintf(field, sizeof field, __VA_ARGS__)

__attribute__((unused)) static struct ipc_request by_key(
	enum ipc_type type, const struct ipc_credentials *who)
{
	struct ipc_request r = {.type = type, .by = IPC_BY_KEY, .client = here};
	SET(r.key_id, "%s", who->key_id);
	SET(r.secret, "%s", who->secret);
	if (type == IPC_UPDATE)
		SET(r.name, "%s", who->label);
	return r;
}

__attribute__((unused)) static struct ipc_request by_operator(enum ipc_type type)
{
	return (struct ipc_request){.type = type, .by = IPC_BY_OPERATOR};
}

__attribute__((unused)) static void name_of(
	const struct ipc_credentials *who, char out[static IPC_NAME_MAX + 1])
{
	snprintf(out, IPC_NAME_MAX + 1, "%.63s.%.180s", who->label, who->zone);
}

__attribute__((unused)) static struct ipc_credentials do_register(void)
{
	struct ipc_request r = {.type = IPC_REGISTER, .client = here};
	assert_int_equal(ask(&r), IPC_OK);
	return last.credentials;
}

__attribute__((unused)) static enum ipc_status update(const struct ipc_credentials *who, char c)
{
	struct ipc_request r = by_key(IPC_UPDATE, who);
	SET(r.value, "%s", value(c));
	return ask(&r);
}

/* What the operator sees of a delegate. */
__attribute__((unused)) static struct ipc_delegate show(int fd, const struct ipc_credentials *who)
{
	struct ipc_request r = by_operator(IPC_DELEGATE_SHOW);
	name_of(who, r.name);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	return last.delegate;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
