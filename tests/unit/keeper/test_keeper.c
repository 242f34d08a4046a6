// SPDX-License-Identifier: GPL-3.0-or-later
/* The real keeper in a process of its own; the test holds the api's end of the channel. So it is what
 * somebody is who has taken over the api process: it can send whatever it likes, and must get nowhere without
 * a key. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "ipc/ipc.h"
#include "keeper/keeper.h"
#include "tempdir.h"

enum { PATIENCE_MS = 20000 };

static struct tempdir dir;
static uint16_t zone_ids[2];
static struct keeper_zone zones[2];
static int api = -1, keeper_end = -1, stop_pipe[2] = {-1, -1}, control[2] = {-1, -1};
static pid_t keeper;
static uint64_t epoch, next_id;
static struct ipc_reply last;

static const struct address here = {{[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}};

static void start_keeper(enum conf_registration_mode mode, uint32_t per_hour)
{
	fflush(NULL);
	keeper = fork();
	assert_true(keeper >= 0);
	if (keeper)
		return;
	struct keeper_settings s = {.store_path = dir.path,
		.zones = zones,
		.zone_count = 2,
		.registration_mode = mode,
		.per_address_per_hour = per_hour,
		.channels = &keeper_end,
		.channel_count = 1,
		.control = control[1],
		.admin = -1,
		.stop = stop_pipe[0]};
	_exit(keeper_run(&s) ? 1 : 0);
}

static void kill_keeper(void)
{
	if (keeper > 0) {
		kill(keeper, SIGKILL);
		waitpid(keeper, NULL, 0);
	}
	keeper = 0;
}

static int setup(void **state)
{
	(void)state;
	struct store *store;
	struct store_txn *t;
	int pair[2];
	dir = tempdir_make();
	assert_int_equal(store_open(dir.path, STORE_WRITE, NULL, &store), OK);
	assert_int_equal(store_txn_begin(store, &t), OK);
	assert_int_equal(delegate_zone_id(t, "auth.example.org", &zone_ids[0]), OK);
	assert_int_equal(delegate_zone_id(t, "second.example", &zone_ids[1]), OK);
	assert_int_equal(store_txn_commit(&t), OK);
	store_close(&store);
	for (int i = 0; i < 2; i++)
		zones[i] = (struct keeper_zone){
			i ? "second.example" : "auth.example.org", zone_ids[i], {3600000, 32}};
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, control), 0);
	assert_int_equal(pipe(stop_pipe), 0);
	api = pair[0];
	keeper_end = pair[1];
	epoch = 0;
	return 0;
}

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static int teardown(void **state)
{
	(void)state;
	kill_keeper();
	close_all(&api, 1);
	close_all(&keeper_end, 1);
	close_all(stop_pipe, 2);
	close_all(control, 2);
	tempdir_remove(dir.path);
	return 0;
}

static bool readable(int fd, int wait)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, wait) == 1;
}

/* The next reply into `last`; hellos are noted and passed over. False: none in time. */
static bool receive(struct ipc_envelope *e, int wait)
{
	uint8_t wire[IPC_MESSAGE_MAX];
	size_t len;
	while (readable(api, wait)) {
		assert_int_equal(ipc_receive(api, wire, &len), OK);
		assert_int_equal(ipc_decode_reply(wire, len, e, &last), OK);
		if (last.type != IPC_HELLO)
			return true;
		epoch = e->epoch;
		if (wait == 0)
			return false;
	}
	return false;
}

static void await_hello(void)
{
	struct ipc_envelope e;
	uint64_t before = epoch;
	while (epoch == before) {
		assert_true(readable(api, PATIENCE_MS));
		receive(&e, 0);
	}
}

static void wait_for_room(void)
{
	struct pollfd p = {.fd = api, .events = POLLOUT};
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

/* Sends whatever bytes, waiting for room: the keeper reads while we write. */
static void send_bytes(const uint8_t *data, size_t len)
{
	int rc;
	while ((rc = ipc_send(api, data, len)) == ERR_AGAIN)
		wait_for_room();
	assert_int_equal(rc, OK);
}

static void post(const struct ipc_request *r, uint64_t with_epoch)
{
	uint8_t wire[IPC_MESSAGE_MAX];
	size_t len;
	struct ipc_envelope e = {with_epoch, ++next_id};
	assert_int_equal(ipc_encode_request(&e, r, wire, sizeof wire, &len), OK);
	send_bytes(wire, len);
}

static enum ipc_status ask(const struct ipc_request *r)
{
	struct ipc_envelope e;
	post(r, epoch);
	do
		assert_true(receive(&e, PATIENCE_MS));
	while (e.id != next_id);
	assert_int_equal(last.type, r->type);
	return last.status;
}

static struct ipc_reply do_register(void)
{
	struct ipc_request r = {.type = IPC_REGISTER, .client = here};
	assert_int_equal(ask(&r), IPC_OK);
	assert_string_equal(last.credentials.zone, "auth.example.org");
	return last;
}

static const char *value(char c)
{
	static char text[DELEGATE_VALUE_LEN + 1];
	memset(text, c, DELEGATE_VALUE_LEN);
	return text;
}

static struct ipc_request change(
	enum ipc_type type, const struct ipc_reply *who, const char *name, const char *text)
{
	struct ipc_request r = {.type = type, .by = IPC_BY_KEY, .client = here};
	snprintf(r.key_id, sizeof r.key_id, "%s", who->credentials.key_id);
	snprintf(r.secret, sizeof r.secret, "%s", who->credentials.secret);
	snprintf(r.name, sizeof r.name, "%s", name);
	snprintf(r.value, sizeof r.value, "%s", text);
	return r;
}

/* What DNS would serve, read from the store by this process: the first letters of the values. */
static const char *served(const struct ipc_reply *who)
{
	static char letters[DELEGATE_MAX_VALUES + 1];
	struct store *s;
	struct store_snapshot *v;
	struct delegate_values values;
	assert_int_equal(store_open(dir.path, STORE_READ, NULL, &s), OK);
	assert_int_equal(store_snapshot_new(s, &v), OK);
	assert_int_equal(store_snapshot_renew(v), OK);
	assert_int_equal(delegate_read(v, zone_ids[0], (const uint8_t *)who->credentials.label,
				 strlen(who->credentials.label), 0, &values),
		OK);
	for (size_t i = 0; i < values.count; i++)
		letters[i] = (char)values.rdata[i][1];
	letters[values.count] = 0;
	store_snapshot_free(&v);
	store_close(&s);
	return letters;
}

static void an_update_is_in_the_store_when_it_is_acknowledged(void **state)
{
	(void)state;
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	struct ipc_reply who = do_register();
	assert_string_equal(served(&who), "");
	struct ipc_request r = change(IPC_UPDATE, &who, who.credentials.label, value('a'));
	assert_int_equal(ask(&r), IPC_OK);
	assert_string_equal(served(&who), "a");
	r = change(IPC_CLEANUP, &who, "", value('a'));
	assert_int_equal(ask(&r), IPC_OK);
	assert_string_equal(served(&who), "");
}

static void without_the_key_nothing_changes(void **state)
{
	(void)state;
	static const enum ipc_type types[] = {IPC_UPDATE, IPC_PRESENT, IPC_CLEANUP};
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	struct ipc_reply victim = do_register(), own = do_register(), guess = victim;
	struct ipc_request r = change(IPC_UPDATE, &victim, victim.credentials.label, value('a'));
	assert_int_equal(ask(&r), IPC_OK);
	for (size_t i = 0; i < 3; i++) {
		/* The victim's id with no, a wrong, and somebody else's secret. */
		static const char *const secrets[] = {"", "0123456789012345678901234567890123456789", NULL};
		for (size_t k = 0; k < 3; k++) {
			snprintf(guess.credentials.secret, sizeof guess.credentials.secret, "%s",
				secrets[k] ? secrets[k] : own.credentials.secret);
			r = change(types[i], &guess, victim.credentials.label,
				value(types[i] == IPC_CLEANUP ? 'a' : 'x'));
			assert_int_equal(ask(&r), IPC_FORBIDDEN);
		}
		/* A good key, pointed at the victim's name. */
		char fqdn[IPC_NAME_MAX + 32];
		snprintf(fqdn, sizeof fqdn, "%s.auth.example.org.", victim.credentials.label);
		r = change(types[i], &own, types[i] == IPC_UPDATE ? victim.credentials.label : fqdn,
			value(types[i] == IPC_CLEANUP ? 'a' : 'x'));
		assert_int_equal(ask(&r), types[i] == IPC_UPDATE ? IPC_FORBIDDEN : IPC_FOREIGN);
	}
	assert_string_equal(served(&victim), "a");
	assert_string_equal(served(&own), "");
}

static void rubbish_neither_writes_nor_stops_the_keeper(void **state)
{
	(void)state;
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	struct ipc_reply who = do_register();
	struct ipc_request r = change(IPC_UPDATE, &who, who.credentials.label, value('x'));
	uint8_t good[IPC_MESSAGE_MAX], wire[2 * IPC_MESSAGE_MAX] = {0};
	size_t len;
	struct ipc_envelope e = {epoch, 1};
	/* Every byte of a good update in turn changed, with a wrong secret so that a lucky hit writes nothing
	 * either. */
	r.secret[0] = r.secret[0] == 'A' ? 'B' : 'A';
	assert_int_equal(ipc_encode_request(&e, &r, good, sizeof good, &len), OK);
	for (size_t i = 0; i < len; i++) {
		memcpy(wire, good, len);
		wire[i] ^= 0xff;
		send_bytes(wire, len);
		send_bytes(good, i + 1 < len ? i + 1 : 1);
	}
	for (size_t size = 1; size <= sizeof wire; size *= 2) {
		memset(wire, 0xff, size);
		send_bytes(wire, size);
	}
	/* Descriptors nobody asked for are dropped, not collected. */
	for (int i = 0; i < 100; i++) {
		int rc;
		while ((rc = ipc_send_channel(api, api, IPC_CHANNEL_API)) == ERR_AGAIN)
			wait_for_room();
		assert_int_equal(rc, OK);
	}
	r = (struct ipc_request){.type = IPC_HEALTH};
	assert_int_equal(ask(&r), IPC_OK);
	assert_string_equal(served(&who), "");
}

static void what_was_meant_for_a_predecessor_is_dropped(void **state)
{
	(void)state;
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	struct ipc_reply who = do_register();
	uint64_t old = epoch;
	kill_keeper();
	struct ipc_request r = change(IPC_UPDATE, &who, who.credentials.label, value('o'));
	post(&r, old);
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	assert_true(epoch != old);
	r = change(IPC_UPDATE, &who, who.credentials.label, value('n'));
	assert_int_equal(ask(&r), IPC_OK);
	assert_string_equal(served(&who), "n");
}

static void every_acknowledged_value_outlives_the_keeper(void **state)
{
	(void)state;
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	struct ipc_reply who = do_register();
	for (int i = 0; i < 20; i++) {
		struct ipc_request r =
			change(IPC_UPDATE, &who, who.credentials.label, value((char)('a' + i)));
		assert_int_equal(ask(&r), IPC_OK);
		kill_keeper();
		start_keeper(CONF_REGISTRATION_OPEN, 0);
		await_hello();
	}
	assert_string_equal(served(&who), "abcdefghijklmnopqrst");
}

static void names_of_httpreq_clients(void **state)
{
	(void)state;
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	struct ipc_reply who = do_register(), other = do_register();
	struct {
		const char *shape;
		const struct ipc_reply *about;
		enum ipc_status expected;
	} cases[] = {
		{"%s.auth.example.org.", &who, IPC_OK}, /* lego: the name behind the CNAME */
		{"%s.AUTH.example.ORG", &who, IPC_OK},
		{"_acme-challenge.%s.auth.example.org.", &who, IPC_OK},
		{"_acme-challenge.example.com.", &who, IPC_OK}, /* clients that do not follow the CNAME */
		{"", &who, IPC_OK},                             /* httpreq's RAW mode knows no name of ours */
		{"_acme-challenge.notauth.example.org.", &who, IPC_OK},
		{"%s.auth.example.org.", &other, IPC_FOREIGN},
		{"_acme-challenge.%s.auth.example.org.", &other, IPC_FOREIGN},
		{"x.%s.auth.example.org.", &who, IPC_FOREIGN}, /* nothing exists below a delegate */
		{"auth.example.org.", &who, IPC_FOREIGN},
		{"%s.second.example.", &who, IPC_FOREIGN},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char name[IPC_NAME_MAX + 1];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		snprintf(name, sizeof name, cases[i].shape, cases[i].about->credentials.label);
#pragma GCC diagnostic pop
		struct ipc_request r = change(IPC_PRESENT, &who, name, value('a'));
		assert_int_equal(ask(&r), cases[i].expected);
	}
	assert_string_equal(served(&other), "");
}

/* acme-dns judges the key first, then the name, byte for byte, then the value. */
static void the_order_of_refusals(void **state)
{
	(void)state;
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	struct ipc_reply who = do_register(), stranger = who;
	stranger.credentials.secret[3] ^= 1;
	struct ipc_request r = change(IPC_UPDATE, &stranger, who.credentials.label, "bad");
	assert_int_equal(ask(&r), IPC_FORBIDDEN);
	r = change(IPC_UPDATE, &who, "other", "bad");
	assert_int_equal(ask(&r), IPC_FORBIDDEN);
	r = change(IPC_UPDATE, &who, who.credentials.label, "bad");
	assert_int_equal(ask(&r), IPC_BAD_VALUE);
	r = change(IPC_UPDATE, &who, who.credentials.label, value('a'));
	for (char *p = r.name; *p; p++)
		*p = (char)(*p >= 'a' ? *p - 32 : *p);
	/* A label may have no letter at all. */
	assert_int_equal(ask(&r), strcmp(r.name, who.credentials.label) == 0 ? IPC_OK : IPC_FORBIDDEN);
}

static void registration_can_be_closed_or_limited(void **state)
{
	(void)state;
	struct ipc_request r = {.type = IPC_REGISTER, .client = here};
	start_keeper(CONF_REGISTRATION_CLOSED, 0);
	await_hello();
	assert_int_equal(ask(&r), IPC_CLOSED);
	kill_keeper();
	start_keeper(CONF_REGISTRATION_OPEN, 2);
	await_hello();
	assert_int_equal(ask(&r), IPC_OK);
	assert_int_equal(ask(&r), IPC_OK);
	assert_int_equal(ask(&r), IPC_LIMITED);
	assert_int_equal(last.retry_after, 1800);
}

static void a_store_that_cannot_be_opened_fails_everything(void **state)
{
	(void)state;
	char file[128];
	snprintf(file, sizeof file, "%s/data.mdb", dir.path);
	int fd = open(file, O_RDWR | O_TRUNC);
	assert_true(fd >= 0);
	close(fd);
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	struct ipc_request r = {.type = IPC_REGISTER, .client = here};
	assert_int_equal(ask(&r), IPC_FAILED);
	r.type = IPC_HEALTH;
	assert_int_equal(ask(&r), IPC_FAILED);
}

/* The supervisor hands a new asker's socket to the running keeper. */
static void a_new_asker_is_taken_in(void **state)
{
	(void)state;
	int pair[2];
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	struct ipc_reply who = do_register();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(ipc_send_channel(control[0], pair[1], IPC_CHANNEL_API), OK);
	close(pair[1]);
	close(api); /* the old one goes: the keeper stays */
	api = pair[0];
	epoch = 0;
	await_hello();
	struct ipc_request r = change(IPC_UPDATE, &who, who.credentials.label, value('a'));
	assert_int_equal(ask(&r), IPC_OK);
}

static void told_to_stop_it_answers_what_waits(void **state)
{
	(void)state;
	enum { WAITING = 100 };
	struct ipc_envelope e;
	int status;
	start_keeper(CONF_REGISTRATION_OPEN, 0);
	await_hello();
	struct ipc_reply who = do_register();
	kill(keeper, SIGSTOP);
	struct ipc_request r = change(IPC_UPDATE, &who, who.credentials.label, value('a'));
	for (int i = 0; i < WAITING; i++)
		post(&r, epoch);
	assert_true(write(stop_pipe[1], "x", 1) == 1);
	kill(keeper, SIGCONT);
	for (int i = 0; i < WAITING; i++) {
		assert_true(receive(&e, PATIENCE_MS));
		assert_int_equal(last.status, IPC_OK);
	}
	assert_int_equal(waitpid(keeper, &status, 0), keeper);
	keeper = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_update_is_in_the_store_when_it_is_acknowledged),
		TEST(without_the_key_nothing_changes),
		TEST(rubbish_neither_writes_nor_stops_the_keeper),
		TEST(what_was_meant_for_a_predecessor_is_dropped),
		TEST(every_acknowledged_value_outlives_the_keeper),
		TEST(names_of_httpreq_clients),
		TEST(the_order_of_refusals),
		TEST(registration_can_be_closed_or_limited),
		TEST(a_store_that_cannot_be_opened_fails_everything),
		TEST(a_new_asker_is_taken_in),
		TEST(told_to_stop_it_answers_what_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
