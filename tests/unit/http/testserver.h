// SPDX-License-Identifier: GPL-3.0-or-later
/* A real http server and its client in one process and one thread: whatever the client waits for, the
 * server's loop is turned meanwhile. Time is the test's: it stands still unless server->now is changed. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"
#include "http/http.h"
#include "util/clock.h"

enum { TURNS_BEFORE_GIVING_UP = 500, TURN_MS = 10 };

struct testserver {
	struct http_server *http;
	int listener;
	uint16_t port;
	int64_t now;
	void (*other)(void *); /* what else has to be turned: may be NULL */
	void *other_ctx;
};

struct testclient {
	struct testserver *server;
	int fd;
	char buf[65536];
	size_t len;
	bool closed;
};

struct answer {
	int status;
	char head[4096];
	char body[16384];
};

static inline int test_listen(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

/* s->listen is set here. */
static inline void testserver_start(
	struct testserver *t, struct http_settings s, http_handler *handler, void *ctx)
{
	*t = (struct testserver){.now = clock_mono_ms()};
	t->listener = test_listen(&t->port);
	s.listen = &t->listener;
	s.listen_count = 1;
	assert_int_equal(http_start(&s, handler, ctx, &t->http), OK);
}

static inline void testserver_stop(struct testserver *t)
{
	http_stop(&t->http);
	assert_null(t->http);
	assert_int_equal(fcntl(t->listener, F_GETFD) >= 0, 1); /* stays the caller's */
	close(t->listener);
}

/* One turn of the loop; waits a moment for either side. */
static inline void testserver_turn(struct testserver *t, int client_fd, short events)
{
	struct pollfd p[2] = {{http_fd(t->http), POLLIN, 0}, {client_fd, events, 0}};
	assert_true(poll(p, client_fd >= 0 ? 2 : 1, TURN_MS) >= 0);
	http_run(t->http, t->now);
	if (t->other)
		t->other(t->other_ctx);
}

static inline void testserver_turns(struct testserver *t, unsigned n)
{
	while (n--)
		testserver_turn(t, -1, 0);
}

/* `source` in host byte order: all of 127.0.0.0/8 is ours. */
static inline void testclient_open_from(struct testclient *c, struct testserver *t, in_addr_t source)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(t->port)};
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memset(c, 0, sizeof *c);
	c->server = t;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(c->fd >= 0);
	assert_int_equal(bind(c->fd, (struct sockaddr *)&own, sizeof own), 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
}

static inline void testclient_open(struct testclient *c, struct testserver *t)
{
	testclient_open_from(c, t, INADDR_LOOPBACK);
}

static inline void testclient_close(struct testclient *c)
{
	close(c->fd);
	c->fd = -1;
}

static inline void testclient_send_bytes(struct testclient *c, const char *data, size_t len)
{
	for (unsigned i = 0; len && i < TURNS_BEFORE_GIVING_UP; i++) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return; /* refused meanwhile: the answer tells */
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
		testserver_turn(c->server, c->fd, POLLOUT);
	}
	assert_int_equal(len, 0);
}

static inline void testclient_send(struct testclient *c, const char *text)
{
	testclient_send_bytes(c, text, strlen(text));
}

/* Takes what has arrived. */
static inline void testclient_receive(struct testclient *c)
{
	ssize_t n = recv(c->fd, c->buf + c->len, sizeof c->buf - 1 - c->len, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		c->closed = true;
	if (n > 0)
		c->len += (size_t)n;
	c->buf[c->len] = 0;
}

/* Bytes of the first complete answer in the buffer, 0: not complete. */
static inline size_t answer_length(const struct testclient *c, size_t *head)
{
	const char *end = strstr(c->buf, "\r\n\r\n");
	const char *length = strstr(c->buf, "Content-Length: ");
	if (!end)
		return 0;
	*head = (size_t)(end + 4 - c->buf);
	size_t total = *head + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
	return c->len >= total ? total : 0;
}

/* Waits for one answer. False: the server closed without one. */
static inline bool testclient_answer(struct testclient *c, struct answer *a)
{
	size_t head = 0, total = 0;
	memset(a, 0, sizeof *a);
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && !(total = answer_length(c, &head)) && !c->closed;
		i++) {
		testserver_turn(c->server, c->fd, POLLIN);
		testclient_receive(c);
	}
	if (!total)
		return false;
	assert_true(head < sizeof a->head && total - head < sizeof a->body);
	memcpy(a->head, c->buf, head);
	memcpy(a->body, c->buf + head, total - head);
	assert_int_equal(sscanf(a->head, "HTTP/1.1 %d ", &a->status), 1);
	memmove(c->buf, c->buf + total, c->len - total + 1);
	c->len -= total;
	return true;
}

/* Waits until the server has closed; nothing may arrive before that. */
static inline void testclient_expect_closed(struct testclient *c)
{
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && !c->closed; i++) {
		testserver_turn(c->server, c->fd, POLLIN);
		testclient_receive(c);
	}
	assert_true(c->closed);
	assert_int_equal(c->len, 0);
}

/* One request on a connection of its own. */
static inline void testserver_ask(struct testserver *t, const char *request, struct answer *a)
{
	struct testclient *c = malloc(sizeof *c);
	assert_non_null(c);
	testclient_open(c, t);
	testclient_send(c, request);
	assert_true(testclient_answer(c, a));
	testclient_close(c);
	free(c);
}
