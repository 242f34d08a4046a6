// SPDX-License-Identifier: GPL-3.0-or-later
#include "keeper/keeper.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/follower.h"
#include "keeper/internal.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	BATCH = 256,         /* requests per commit */
	SWEEP_MS = 1000,     /* how often expired values are looked for; DNS does not serve them meanwhile */
	SWEEP_ENTRIES = 512, /* delegates per sweep, so that requests do not wait for a large one */
	REPLY_WAIT_MS = 100  /* how long a full channel may hold up the others */
};

struct answer {
	size_t channel;
	struct ipc_envelope envelope;
	struct ipc_reply reply;
};

struct keeper {
	const struct keeper_settings *settings;
	struct judge judge;
	struct store *store; /* NULL: cannot be opened at present */
	struct follower *follower;
	bool filling; /* the follower has more to do */
	uint64_t epoch;
	int channels[KEEPER_CHANNELS]; /* -1: free */
	int64_t next_open, next_sweep;
	bool open_failed; /* said once, not every second */
	size_t answer_count;
	struct answer answers[BATCH];
};

static void close_channel(struct keeper *k, size_t i)
{
	close(k->channels[i]);
	k->channels[i] = -1;
}

/* Sends a reply; a channel that stays full loses it (its request then times out), one that is broken is
 * closed. */
static void send_reply(
	struct keeper *k, size_t channel, const struct ipc_envelope *e, const struct ipc_reply *r)
{
	uint8_t message[IPC_MESSAGE_MAX];
	size_t len;
	int fd = k->channels[channel];
	if (fd < 0 || ipc_encode_reply(e, r, message, sizeof message, &len))
		return;
	int rc = ipc_send(fd, message, len);
	if (rc == ERR_AGAIN) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		if (poll(&p, 1, REPLY_WAIT_MS) > 0)
			rc = ipc_send(fd, message, len);
	}
	secure_wipe(message, sizeof message);
	if (rc == ERR_AGAIN)
		log_warning("keeper", "a reply was lost: its asker does not read");
	else if (rc)
		close_channel(k, channel);
}

static void say_hello(struct keeper *k, size_t channel)
{
	struct ipc_envelope e = {.epoch = k->epoch};
	struct ipc_reply hello = {.type = IPC_HELLO};
	send_reply(k, channel, &e, &hello);
}

static void add_channel(struct keeper *k, int fd)
{
	for (size_t i = 0; i < KEEPER_CHANNELS; i++) {
		if (k->channels[i] >= 0)
			continue;
		k->channels[i] = fd;
		say_hello(k, i);
		return;
	}
	log_error("keeper", "too many askers; one was turned away");
	close(fd);
}

/* Takes the sockets of new askers from the supervisor. ERR_CLOSED: the supervisor is gone. */
static int take_channels(struct keeper *k)
{
	int fd, rc;
	while (!(rc = ipc_receive_channel(k->settings->control, &fd)) || rc == ERR_INVALID)
		if (!rc)
			add_channel(k, fd);
	return rc == ERR_AGAIN ? OK : ERR_CLOSED;
}

static void open_store(struct keeper *k, int64_t now)
{
	if (k->store || now < k->next_open)
		return;
	k->next_open = now + 1000;
	int rc = store_open(k->settings->store_path, STORE_WRITE, NULL, &k->store);
	if (rc && !k->open_failed)
		log_error("keeper", "cannot open the store in %s: %s; updates fail until it can be",
			k->settings->store_path, error_text(rc));
	if (!rc && k->open_failed)
		log_info("keeper", "the store can be opened again");
	k->open_failed = rc != OK;
	if (!rc) {
		follower_open(k->follower, k->store);
		k->filling = true;
	}
}

/* Takes one request from a channel into the batch. False: nothing there. */
static bool take_request(struct keeper *k, size_t channel, struct store_txn *t, struct judge_time now)
{
	uint8_t message[IPC_MESSAGE_MAX];
	size_t len;
	struct ipc_request request;
	struct answer *a = &k->answers[k->answer_count];
	int rc = ipc_receive(k->channels[channel], message, &len);
	if (rc == ERR_AGAIN)
		return false;
	if (rc != OK && rc != ERR_INVALID) {
		close_channel(k, channel);
		return false;
	}
	if (rc || ipc_decode_request(message, len, &a->envelope, &request)) {
		log_warning("keeper", "dropped a message that is not a request");
		return true;
	}
	secure_wipe(message, sizeof message);
	/* Sent to a predecessor of this keeper: its sender sends it again when it sees our hello. */
	if (request.type != IPC_HELLO && a->envelope.epoch != k->epoch)
		return true;
	a->channel = channel;
	a->envelope.epoch = k->epoch;
	judge_request(&k->judge, t, &request, now, &a->reply);
	secure_wipe(&request, sizeof request);
	k->answer_count++;
	return true;
}

/* One request from each channel in turn, so that none keeps the others waiting. */
static void take_requests(struct keeper *k, struct store_txn *t, struct judge_time now)
{
	bool more = true;
	while (more && k->answer_count < BATCH) {
		more = false;
		for (size_t i = 0; i < KEEPER_CHANNELS && k->answer_count < BATCH; i++)
			if (k->channels[i] >= 0)
				more |= take_request(k, i, t, now);
	}
}

/* Once a second: values that have expired, and what dns workers that were killed have left in the store. */
static int sweep(struct keeper *k, struct store_txn *t, struct judge_time now)
{
	int64_t next;
	if (now.mono < k->next_sweep)
		return OK;
	int rc = delegate_sweep(t, now.wall, SWEEP_ENTRIES, &next);
	k->next_sweep = !rc && next <= now.wall ? now.mono : now.mono + SWEEP_MS;
	store_reap_readers(k->store);
	return rc;
}

static void send_answers(struct keeper *k, int committed)
{
	for (size_t i = 0; i < k->answer_count; i++) {
		struct answer *a = &k->answers[i];
		if (committed && a->reply.status == IPC_OK && a->reply.type != IPC_HELLO)
			a->reply = (struct ipc_reply){.type = a->reply.type, .status = IPC_FAILED};
		send_reply(k, a->channel, &a->envelope, &a->reply);
		secure_wipe(&a->reply, sizeof a->reply);
	}
	k->answer_count = 0;
}

/* Carries out everything that waits (at most BATCH) as one durable transaction, then replies.
 * ERR_STORE: see store.h, this process must end. */
static int run_batch(struct keeper *k)
{
	struct judge_time now = {clock_wall_ms(), clock_mono_ms()};
	struct store_txn *t = NULL;
	open_store(k, now.mono);
	int rc = k->store ? store_txn_begin(k->store, &t) : OK;
	take_requests(k, t, now);
	if (t) {
		/* A failed sweep sticks to the transaction, so commit reports it. */
		rc = sweep(k, t, now);
		int committed = store_txn_commit(&t);
		rc = rc ? rc : committed;
		follower_commit(k->follower, !committed);
	}
	send_answers(k, rc);
	if (rc && !k->judge.probe)
		log_error("keeper", "cannot write to the store: %s; updates are refused, values stay served",
			error_text(rc));
	if (!rc && k->judge.probe && k->store)
		log_info("keeper", "the store can be written again");
	k->judge.probe = rc != OK;
	return rc == ERR_STORE ? rc : OK;
}

/* Free slots hold -1, which poll() passes over. */
static void watch_channels(const struct keeper *k, struct pollfd p[static KEEPER_CHANNELS])
{
	for (size_t i = 0; i < KEEPER_CHANNELS; i++)
		p[i] = (struct pollfd){.fd = k->channels[i], .events = POLLIN};
}

/* Waits for work, at most until the next sweep. True: asked to stop. */
static bool wait_for_work(struct keeper *k, int *rc)
{
	struct pollfd p[KEEPER_CHANNELS + 2];
	watch_channels(k, p);
	p[KEEPER_CHANNELS] = (struct pollfd){.fd = k->settings->control, .events = POLLIN};
	p[KEEPER_CHANNELS + 1] = (struct pollfd){.fd = k->settings->stop, .events = POLLIN};
	int64_t wait = k->filling ? 0 : k->next_sweep - clock_mono_ms();
	if (poll(p, KEEPER_CHANNELS + 2, wait < 0 ? 0 : wait > SWEEP_MS ? SWEEP_MS : (int)wait) < 0)
		return false;
	if (p[KEEPER_CHANNELS].revents)
		*rc = take_channels(k);
	return p[KEEPER_CHANNELS + 1].revents != 0;
}

/* Everything that was asked before the stop is still answered. */
static int drain(struct keeper *k)
{
	int rc = OK;
	for (int rounds = 0; !rc && rounds < 64; rounds++) {
		struct pollfd p[KEEPER_CHANNELS];
		watch_channels(k, p);
		if (poll(p, KEEPER_CHANNELS, 0) <= 0)
			break;
		rc = run_batch(k);
	}
	return rc;
}

static int loop(struct keeper *k)
{
	int rc = OK;
	while (!rc && !wait_for_work(k, &rc)) {
		rc = rc ? rc : run_batch(k);
		k->filling = follower_work(k->follower);
	}
	return rc ? rc : drain(k);
}

static void free_keeper(struct keeper *k)
{
	for (size_t i = 0; i < KEEPER_CHANNELS; i++)
		if (k->channels[i] >= 0)
			close_channel(k, i);
	limits_free(&k->judge.limits);
	follower_free(&k->follower);
	store_close(&k->store);
	secure_wipe(k->answers, sizeof k->answers);
	free(k);
}

int keeper_run(const struct keeper_settings *s)
{
	struct keeper *k = calloc(1, sizeof *k);
	if (!k)
		return ERR_NOMEM;
	k->settings = s;
	k->judge.settings = s;
	memset(k->channels, -1, sizeof k->channels);
	int rc = secure_random(&k->epoch, sizeof k->epoch);
	k->epoch |= !k->epoch; /* 0 means "not known" to askers */
	rc = rc ? rc : follower_new(s->index, &k->follower);
	rc = rc ? rc : limits_new(s->per_address_per_hour, s->per_day, &k->judge.limits);
	if (!rc) {
		for (size_t i = 0; i < s->channel_count; i++)
			add_channel(k, s->channels[i]);
		rc = loop(k);
	}
	free_keeper(k);
	return rc;
}
