// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "util/log.h"
#include "util/secure.h"

enum {
	TRIES = 2, /* keepers a request may outlive: one that kills every keeper must not go round for ever */
	PATIENCE_MS = 15 * 1000,  /* how long an answer may take; longer than a slow disk's commit */
	HELLO_INTERVAL_MS = 1000, /* how often to ask while the keeper's epoch is not known */
	OVERDUE_INTERVAL_MS = 100 /* how often to look for requests that waited too long */
};

struct pending {
	bool used, sent;
	uint8_t tries;
	uint32_t generation;
	int64_t deadline;
	ipc_done *done;
	void *ctx;
	struct ipc_request request;
};

struct ipc_client {
	int fd;
	uint64_t epoch; /* 0: not known */
	int64_t next_hello, next_overdue;
	size_t pending_count, unsent;
	struct pending pending[IPC_PENDING_MAX];
};

int ipc_client_new(int fd, struct ipc_client **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	(*out)->fd = fd;
	return OK;
}

static void end(struct ipc_client *c, struct pending *p, const struct ipc_reply *reply)
{
	ipc_done *done = p->done;
	void *ctx = p->ctx;
	uint32_t generation = p->generation;
	c->pending_count--;
	c->unsent -= !p->sent;
	secure_wipe(p, sizeof *p);
	p->generation = generation + 1;
	done(ctx, reply); /* last: it may ask again */
}

void ipc_client_free(struct ipc_client **client)
{
	struct ipc_client *c = *client;
	*client = NULL;
	if (!c)
		return;
	for (size_t i = 0; i < IPC_PENDING_MAX; i++)
		if (c->pending[i].used)
			end(c, &c->pending[i], NULL);
	close(c->fd);
	free(c);
}

static int send_request(struct ipc_client *c, const struct ipc_request *r, uint64_t id)
{
	uint8_t message[IPC_MESSAGE_MAX];
	size_t len;
	struct ipc_envelope e = {.epoch = c->epoch, .id = id};
	int rc = ipc_encode_request(&e, r, message, sizeof message, &len);
	rc = rc ? rc : ipc_send(c->fd, message, len);
	secure_wipe(message, sizeof message);
	return rc;
}

/* An id names a slot and how often the slot was used, so that a late answer never meets somebody else's
 * request. */
static uint64_t id_of(const struct ipc_client *c, const struct pending *p)
{
	return (uint64_t)p->generation << 32 | (uint64_t)(p - c->pending);
}

static int send_pending(struct ipc_client *c, struct pending *p)
{
	int rc = send_request(c, &p->request, id_of(c, p));
	if (rc)
		return rc;
	p->sent = true;
	p->tries++;
	c->unsent--;
	return OK;
}

/* Sends what waits; stops at a full socket, the next run goes on. */
static int flush(struct ipc_client *c)
{
	for (size_t i = 0; c->epoch && c->unsent && i < IPC_PENDING_MAX; i++) {
		struct pending *p = &c->pending[i];
		int rc = p->used && !p->sent ? send_pending(c, p) : OK;
		if (rc)
			return rc == ERR_AGAIN ? OK : rc;
	}
	return OK;
}

int ipc_client_ask(struct ipc_client *c, const struct ipc_request *r, int64_t now, ipc_done *done, void *ctx)
{
	if (c->pending_count == IPC_PENDING_MAX)
		return ERR_LIMIT;
	struct pending *p = c->pending;
	while (p->used)
		p++;
	p->used = true;
	p->request = *r;
	p->deadline = now + PATIENCE_MS;
	p->done = done;
	p->ctx = ctx;
	c->pending_count++;
	c->unsent++;
	int rc = c->epoch ? send_pending(c, p) : OK;
	if (!rc || rc == ERR_AGAIN)
		return OK;
	p->used = false;
	c->pending_count--;
	c->unsent--;
	return rc;
}

/* A new keeper: whatever its predecessor left unanswered is sent again. */
static void take_hello(struct ipc_client *c, uint64_t epoch)
{
	if (epoch == c->epoch)
		return;
	c->epoch = epoch;
	for (size_t i = 0; i < IPC_PENDING_MAX; i++) {
		struct pending *p = &c->pending[i];
		if (!p->used || !p->sent)
			continue;
		p->sent = false;
		c->unsent++;
		if (p->tries >= TRIES)
			end(c, p, NULL);
	}
}

static void take_message(struct ipc_client *c, const uint8_t *message, size_t len)
{
	struct ipc_envelope e;
	struct ipc_reply reply;
	if (ipc_decode_reply(message, len, &e, &reply)) {
		log_error("ipc", "the keeper sent something that is not a reply");
		return;
	}
	if (reply.type == IPC_HELLO) {
		take_hello(c, e.epoch);
		return;
	}
	size_t slot = (uint32_t)e.id;
	if (slot >= IPC_PENDING_MAX)
		return;
	struct pending *p = &c->pending[slot];
	if (p->used && id_of(c, p) == e.id && p->request.type == reply.type)
		end(c, p, &reply);
	ipc_reply_wipe(&reply);
}

static void ask_for_epoch(struct ipc_client *c, int64_t now)
{
	if (c->epoch || now < c->next_hello)
		return;
	struct ipc_request hello = {.type = IPC_HELLO};
	c->next_hello = now + HELLO_INTERVAL_MS;
	if (send_request(c, &hello, 0))
		log_debug("ipc", "cannot ask the keeper for its epoch; trying again");
}

static void end_overdue(struct ipc_client *c, int64_t now)
{
	if (now < c->next_overdue)
		return;
	c->next_overdue = now + OVERDUE_INTERVAL_MS;
	for (size_t i = 0; c->pending_count && i < IPC_PENDING_MAX; i++)
		if (c->pending[i].used && c->pending[i].deadline <= now)
			end(c, &c->pending[i], NULL);
}

int ipc_client_run(struct ipc_client *c, int64_t now)
{
	uint8_t message[IPC_MESSAGE_MAX];
	size_t len;
	int rc;
	while (!(rc = ipc_receive(c->fd, message, &len)) || rc == ERR_INVALID)
		if (!rc)
			take_message(c, message, len);
	secure_wipe(message, sizeof message);
	if (rc != ERR_AGAIN)
		return ERR_CLOSED;
	ask_for_epoch(c, now);
	end_overdue(c, now);
	return flush(c) ? ERR_CLOSED : OK;
}

bool ipc_client_greeted(const struct ipc_client *c)
{
	return c->epoch != 0;
}

int ipc_client_fd(const struct ipc_client *c)
{
	return c->fd;
}

size_t ipc_client_pending(const struct ipc_client *c)
{
	return c->pending_count;
}
