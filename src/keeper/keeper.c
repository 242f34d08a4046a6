// SPDX-License-Identifier: GPL-3.0-or-later
/* The loop: what has arrived becomes one transaction, and then answers. */
#include "keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/audit.h"
#include "keeper/court.h"
#include "keeper/follower.h"
#include "keeper/gauges.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	ADMIN_SHARE = 32,  /* requests from the admin socket per transaction: the rest is for the api */
	ADMIN_ACCEPT = 32, /* connections to it taken in one turn */
	/* From the beginning of one commit to that of the next, at least. A commit costs the same whatever is
	 * in it, so those who come within this time share one: half the CPU time and half the writing, which
	 * DNS and the disk notice, for half a millisecond of waiting, which nobody does. */
	PACE_US = 1000,
	MIGRATE_RECORDS = 1000, /* in a transaction: some milliseconds, for which requests wait */
	PROBE_PAGES = 24,
	PROBE_BYTES = 3900, /* each has a page for itself */
	SWEEP_MS = 1000,    /* how often expired values are looked for; DNS does not serve them meanwhile */
	/* What was written that recently can be written. Whoever asks for the health of a server where nobody
	 * changes anything has something written, once a minute at most. */
	FRESH_MS = 60 * 1000,
	SWEEP_ENTRIES = 512 /* delegates per sweep, so that requests do not wait for a large one */
};

struct keeper {
	const struct keeper_settings *settings;
	struct court court;
	struct store *store; /* NULL: cannot be opened at present */
	struct follower *follower;
	bool filling;   /* the follower has more to do */
	bool migrating; /* the store is of an older format, and there is more to do */
	uint64_t epoch;
	struct channels channels;
	int64_t next_open, next_sweep, next_probe;
	int64_t written; /* when a commit last succeeded that wrote */
	struct gauges gauges;
	int64_t next_accept; /* at the admin socket: not before */
	int64_t next_commit; /* microseconds: not before */
	bool open_failed;    /* said once, not every second */
	bool audit_open,
		start_written; /* the audit log knows its numbers; it says that this keeper has started */
	struct ipc_request request;       /* scratch */
	uint8_t message[IPC_MESSAGE_MAX]; /* scratch */
};

/* ---- channels ---- */

static void say_hello(struct keeper *k, const struct channel *to)
{
	uint8_t message[64];
	size_t len, i = (size_t)(to - k->channels.at);
	struct ipc_envelope e = {.epoch = k->epoch};
	struct ipc_reply *hello = &k->court.reply;
	memset(hello, 0, offsetof(struct ipc_reply, credentials));
	hello->type = IPC_HELLO;
	if (!ipc_encode_reply(&e, hello, message, sizeof message, &len))
		channels_send(&k->channels, channels_ref(&k->channels, i), message, len);
}

static void add_channel(struct keeper *k, int fd, bool agent)
{
	const struct channel *added = channels_add(&k->channels, fd, agent);
	if (added)
		say_hello(k, added);
}

/* Takes the sockets of new askers from the supervisor. ERR_CLOSED: the supervisor is gone. ERR_INVALID: one
 * was lost, because there was no descriptor left for it; a successor of this keeper inherits it. */
static int take_channels(struct keeper *k)
{
	int fd, rc;
	uint8_t kind;
	while (!(rc = ipc_receive_channel(k->settings->control, &fd, &kind)))
		add_channel(k, fd, kind == IPC_CHANNEL_AGENT);
	return rc == ERR_AGAIN ? OK : rc == ERR_INVALID ? rc : ERR_CLOSED;
}

/* Nobody can be let in for want of descriptors or memory, and whoever waits would wake us up without end. */
static bool nothing_left(int cause)
{
	return cause == EMFILE || cause == ENFILE || cause == ENOBUFS || cause == ENOMEM;
}

static void take_admins(struct keeper *k)
{
	bool done = false;
	for (int i = 0; i < ADMIN_ACCEPT && !done; i++) {
		errno = 0;
		const struct channel *added =
			channels_accept(&k->channels, k->settings->admin, k->settings->admin_group, &done);
		if (added)
			say_hello(k, added);
		else if (done && nothing_left(errno))
			k->next_accept = clock_mono_ms() + SWEEP_MS;
	}
}

/* ---- requests ---- */

/* Takes one request from a channel into the batch. False: nothing there. */
static bool take_request(struct keeper *k, size_t i, struct store_txn *t, struct judge_time now)
{
	size_t len;
	struct sender from = {channels_ref(&k->channels, i), {0}, k->channels.at[i].asker};
	int rc = ipc_receive(k->channels.at[i].fd, k->message, &len);
	if (rc == ERR_AGAIN)
		return false;
	if (rc != OK && rc != ERR_INVALID) {
		channels_close(&k->channels, i);
		return false;
	}
	if (rc || ipc_decode_request(k->message, len, &from.envelope, &k->request)) {
		log_warning("keeper", "dropped a message that is not a request");
		return true;
	}
	secure_wipe(k->message, len);
	/* Sent to a predecessor of this keeper: its sender sends it again when it sees our hello. */
	if (k->request.type != IPC_HELLO && from.envelope.epoch != k->epoch)
		return true;
	from.envelope.epoch = k->epoch;
	court_hear(&k->court, t, now, &from, &k->request);
	secure_wipe(&k->request, sizeof k->request);
	return true;
}

/* One request from each channel in turn, so that none keeps the others waiting. */
static void take_requests(struct keeper *k, struct store_txn *t, struct judge_time now)
{
	const struct answers *a = &k->court.answers;
	bool more = true;
	int admin = 0;
	/* Requests that are put off leave no answer, so these turns are counted, too. */
	for (int turns = 0; more && turns < ANSWERS_MAX && !answers_full(a); turns++) {
		more = false;
		for (size_t i = 0; i < CHANNELS && !answers_full(a); i++) {
			const struct channel *c = &k->channels.at[i];
			if (c->fd < 0 || (c->asker.admin && admin++ >= ADMIN_SHARE))
				continue;
			more |= take_request(k, i, t, now);
		}
	}
}

/* ---- the store ---- */

static void open_store(struct keeper *k, int64_t now)
{
	if (k->store || now < k->next_open || !k->settings->store_path)
		return;
	k->next_open = now + 1000;
	int rc = store_open(k->settings->store_path, STORE_WRITE, NULL, &k->store);
	if (rc && !k->open_failed)
		log_error("keeper", "cannot open the store in %s: %s; updates fail until it can be",
			k->settings->store_path, error_text(rc));
	if (!rc && k->open_failed)
		log_info("keeper", "the store can be opened again");
	k->open_failed = rc != OK;
	if (rc)
		return;
	follower_open(k->follower, k->store);
	k->filling = k->migrating = true;
	k->court.judge.store = k->store;
	if (store_snapshot_new(k->store, &k->court.judge.view))
		log_warning("keeper", "cannot look into the store beside writing it: nothing can be listed");
}

static void write_start(struct keeper *k, struct store_txn *t, int64_t wall)
{
	struct event e = {.when = wall, .kind = IPC_EVENT_START, .by = IPC_BY_NOBODY};
	const char *version = k->settings->version;
	copy_text(e.detail, sizeof e.detail, version ? version : "");
	audit_done(k->court.judge.audit, t, &e);
}

/* Once a second: values that have expired, who asked for values, and what dns workers that were killed have
 * left in the store. */
static int sweep(struct keeper *k, struct store_txn *t, struct judge_time now)
{
	int64_t next;
	if (now.mono < k->next_sweep)
		return OK;
	int64_t live_at = now.wall - now.jump;
	int rc = delegate_sweep(t, live_at, SWEEP_ENTRIES, &next);
	collector_run(&k->court.judge.collector, t);
	k->next_sweep = !rc && next <= live_at ? now.mono : now.mono + SWEEP_MS;
	store_reap_readers(k->store);
	return rc;
}

/* The end of a transaction: what is written beside what was asked for, and the commit. */
static int finish(struct keeper *k, struct store_txn **t, struct judge_time now, bool *wrote)
{
	struct audit *a = k->court.judge.audit;
	const struct audit_counts before = audit_counts(a);
	bool second = now.mono >= k->next_sweep;
	/* A failure sticks to the transaction, so commit reports it. */
	int rc = sweep(k, *t, now);
	if (second && !k->start_written)
		write_start(k, *t, now.wall);
	audit_write(a, *t, now.mono, second);
	*wrote = store_txn_writes(*t);
	int64_t begun = clock_mono_us();
	int committed = store_txn_commit(t);
	audit_committed(a, !committed);
	if (*wrote)
		gauges_committed(&k->court, clock_mono_us() - begun, !committed);
	gauges_audited(&k->court, &before);
	k->start_written |= second && !committed;
	follower_commit(k->follower, !committed);
	return rc ? rc : committed;
}

static int begin(struct keeper *k, struct store_txn **t)
{
	if (!k->store)
		return OK;
	int rc = store_txn_begin(k->store, t);
	if (!rc && !k->audit_open)
		k->audit_open = !audit_open(k->court.judge.audit, *t);
	return rc;
}

/* What only read has not shown that the store can be written. */
static void tell_of_writing(struct keeper *k, int rc, bool wrote)
{
	if (rc && !k->court.judge.probe)
		log_error("keeper", "cannot write to the store: %s; updates are refused, values stay served",
			error_text(rc));
	if (!rc && wrote && k->court.judge.probe)
		log_info("keeper", "the store can be written again");
	k->court.judge.probe = rc || (k->court.judge.probe && !wrote);
	if (!rc && wrote)
		k->written = clock_mono_ms();
	gauges_writable(k->court.judge.counters, k->store && !k->court.judge.probe);
}

/* Not known from what was asked lately. */
static bool in_doubt(const struct keeper *k, int64_t mono)
{
	return k->court.judge.probe || (k->court.judge.health_asked && mono - k->written >= FRESH_MS);
}

/* As many pages as a registration takes in a large store, so that what goes through after this is more than
 * itself: on a disk that is almost full, a page or two can still be written when nothing else can. */
static int rehearse(struct store_txn *t)
{
	uint8_t page[PROBE_BYTES] = {0};
	char key[] = "probe-a";
	int rc = OK;
	for (int i = 0; i < PROBE_PAGES && !rc; i++, key[sizeof key - 2]++)
		rc = store_txn_put(t, STORE_META, key, sizeof key - 1, page, sizeof page);
	return rc;
}

/* While writing is in doubt it is tried once a second, in a transaction of its own: that it fails shall be no
 * other request's misfortune. ERR_STORE: as below. */
static int try_to_write(struct keeper *k, int64_t mono)
{
	struct store_txn *t;
	if (!in_doubt(k, mono) || !k->store || mono < k->next_probe)
		return OK;
	k->court.judge.health_asked = false;
	k->next_probe = mono + SWEEP_MS;
	int rc = store_txn_begin(k->store, &t);
	if (!rc) {
		(void)!rehearse(t); /* a failure sticks to the transaction */
		rc = store_txn_commit(&t);
		follower_commit(k->follower, !rc);
	}
	tell_of_writing(k, rc, true);
	return rc == ERR_STORE ? rc : OK;
}

/* Carries out everything that waits (at most ANSWERS_MAX) as one durable transaction, then replies.
 * ERR_STORE: see store.h, this process must end; ERR_DAMAGED: so that its parent looks how bad it is. */
static int run_batch(struct keeper *k)
{
	int64_t begun = clock_mono_us();
	struct judge_time now = {.wall = clock_wall_ms(), .mono = begun / 1000};
	struct store_txn *t = NULL;
	bool wrote = false;
	now.jump = now.wall - clock_steady_ms(k->settings->clock_origin);
	open_store(k, now.mono);
	int rc = try_to_write(k, now.mono);
	if (rc)
		return rc;
	rc = begin(k, &t);
	court_resume(&k->court, t, now);
	take_requests(k, t, now);
	if (k->court.answers.count)
		k->next_commit = begun + PACE_US;
	if (t)
		rc = finish(k, &t, now, &wrote);
	if (rc)
		gauges_undone(&k->court);
	answers_send(&k->court.answers, &k->channels, !rc);
	tell_of_writing(k, rc, wrote);
	return rc == ERR_STORE || rc == ERR_DAMAGED ? rc : OK;
}

/* A step of bringing an old store up to date, between two batches. As run_batch(). */
static int migrate(struct keeper *k)
{
	if (!k->store || !k->migrating || k->court.judge.probe)
		return OK;
	int rc = store_migrate(k->store, MIGRATE_RECORDS, &k->migrating);
	follower_commit(k->follower, !rc);
	if (rc)
		tell_of_writing(k, rc, true);
	k->migrating |= rc == ERR_FULL;
	return rc == ERR_STORE || rc == ERR_DAMAGED ? rc : OK;
}

/* ---- the loop ---- */

static int patience(const struct keeper *k)
{
	int64_t now = clock_mono_ms();
	int64_t wait = (k->store ? k->next_sweep : k->next_open) - now;
	if (k->filling || (k->migrating && !k->court.judge.probe) || wait < 0 ||
		court_restless(&k->court, now))
		return 0;
	return wait > SWEEP_MS ? SWEEP_MS : (int)wait;
}

/* Waits for work, at most until the next sweep. True: asked to stop. */
static bool wait_for_work(struct keeper *k, int *rc)
{
	enum { CONTROL = CHANNELS, STOP, ADMIN, VERIFIER, ALL };
	struct pollfd p[ALL];
	channels_watch(&k->channels, p);
	p[CONTROL] = (struct pollfd){.fd = k->settings->control, .events = POLLIN};
	p[STOP] = (struct pollfd){.fd = k->settings->stop, .events = POLLIN};
	bool closed = clock_mono_ms() < k->next_accept;
	p[ADMIN] = (struct pollfd){.fd = closed ? -1 : k->settings->admin, .events = POLLIN};
	p[VERIFIER] = (struct pollfd){.fd = verifier_fd(k->court.verifier), .events = POLLIN};
	if (poll(p, ALL, patience(k)) < 0)
		return false;
	if (p[CONTROL].revents)
		*rc = take_channels(k);
	if (p[ADMIN].revents)
		take_admins(k);
	return p[STOP].revents != 0;
}

/* Everything that was asked before the stop is still answered, but for what would take long: its asker asks
 * the successor. */
static int drain(struct keeper *k)
{
	int rc = OK;
	for (int rounds = 0; !rc && rounds < 64; rounds++) {
		struct pollfd p[CHANNELS];
		channels_watch(&k->channels, p);
		if (poll(p, CHANNELS, 0) <= 0)
			break;
		rc = run_batch(k);
	}
	return rc;
}

static int loop(struct keeper *k)
{
	int rc = OK;
	while (!rc && !wait_for_work(k, &rc)) {
		clock_sleep_us(k->next_commit - clock_mono_us());
		rc = rc ? rc : run_batch(k);
		rc = rc ? rc : migrate(k);
		k->filling = follower_work(k->follower);
		gauges_turn(&k->gauges, &k->court);
	}
	return rc ? rc : drain(k);
}

static void free_keeper(struct keeper *k)
{
	channels_close_all(&k->channels);
	court_close(&k->court);
	store_snapshot_free(&k->court.judge.view);
	follower_free(&k->follower);
	store_close(&k->store);
	secure_wipe(k->message, sizeof k->message);
	secure_wipe(&k->request, sizeof k->request);
	free(k);
}

/* accept() shall not wait for somebody who has gone again. */
static int prepare_admin(int fd)
{
	int flags = fd < 0 ? 0 : fcntl(fd, F_GETFL);
	return fd >= 0 && (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) ? ERR_SYSTEM : OK;
}

int keeper_run(const struct keeper_settings *s)
{
	struct keeper *k = calloc(1, sizeof *k);
	if (!k)
		return ERR_NOMEM;
	k->settings = s;
	channels_init(&k->channels);
	int rc = secure_random(&k->epoch, sizeof k->epoch);
	k->epoch |= !k->epoch; /* 0 means "not known" to askers */
	rc = rc ? rc : prepare_admin(s->admin);
	rc = rc ? rc : follower_new(s->index, &k->follower);
	rc = rc ? rc : court_open(&k->court, s);
	if (!rc) {
		for (size_t i = 0; i < s->channel_count; i++)
			add_channel(k, s->channels[i], false);
		for (size_t i = 0; i < s->agent_count; i++)
			add_channel(k, s->agents[i], true);
		rc = loop(k);
	}
	free_keeper(k);
	return rc;
}
