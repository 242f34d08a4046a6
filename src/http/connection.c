// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http/forward.h"
#include "http/internal.h"
#include "util/clock.h"
#include "util/secure.h"

enum { INPUT_FIRST = 2048, MS = 1000 };

/* What a step says: go on with the next, wait for the network (or the handler), or end the connection. */
enum step { STEP_ON, STEP_WAIT, STEP_CLOSE };

/* ---- input ---- */

/* Requests carry keys, so input is wiped wherever it is given back. */
static void input_free(struct connection *c)
{
	if (c->in)
		secure_wipe(c->in, c->in_cap);
	free(c->in);
	c->in = NULL;
	c->in_len = c->in_cap = 0;
}

/* Room for at least one more byte and the NUL behind the body. */
static int MUST_USE input_grow(struct connection *c)
{
	if (c->in_cap > c->in_len + 1)
		return OK;
	size_t cap = c->in_cap ? 2 * c->in_cap : INPUT_FIRST;
	if (cap > INPUT_MAX + 1)
		cap = INPUT_MAX + 1;
	char *grown = cap > c->in_cap ? malloc(cap) : NULL;
	if (!grown)
		return ERR_NOMEM;
	size_t len = c->in_len;
	if (len)
		memcpy(grown, c->in, len);
	input_free(c);
	c->in = grown;
	c->in_len = len;
	c->in_cap = cap;
	return OK;
}

/* Forgets the first `len` bytes. */
static void input_drop(struct connection *c, size_t len)
{
	size_t rest = c->in_len - len;
	if (!rest) {
		input_free(c);
		return;
	}
	memmove(c->in, c->in + len, rest);
	secure_wipe(c->in + rest, len);
	c->in_len = rest;
}

static ssize_t receive_plain(int fd, void *buf, size_t len)
{
	ssize_t n = recv(fd, buf, len, 0);
	if (n > 0)
		return n;
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? ERR_AGAIN : ERR_CLOSED;
}

static enum step input_receive(struct connection *c)
{
	if (input_grow(c))
		return STEP_CLOSE;
	char *at = c->in + c->in_len;
	size_t room = c->in_cap - 1 - c->in_len;
	ssize_t n = c->tls ? tls_receive(c->tls, at, room) : receive_plain(c->source.fd, at, room);
	if (n > 0) {
		if (!c->in_len && c->used)
			c->deadline =
				c->server->now + HTTP_REQUEST_SECONDS * MS; /* the next request has begun */
		c->in_len += (size_t)n;
		return STEP_ON;
	}
	if (!c->in_len)
		input_free(c); /* an idle connection keeps no buffer */
	return n == ERR_AGAIN ? STEP_WAIT : STEP_CLOSE;
}

/* ---- from bytes to the handler ---- */

static enum step start_writing(struct connection *c, enum after_write after)
{
	c->state = STATE_WRITING;
	c->after = after;
	c->deadline = c->server->now + HTTP_REQUEST_SECONDS * MS;
	return STEP_ON;
}

/* After a refusal nobody can say where the next request would begin: always closed. */
static enum step refuse(struct connection *c, unsigned status)
{
	struct http_response r = response_refusal(status);
	c->exchange.class = 0;
	response_count(c, status);
	response_format(c, &r, false, c->exchange.head.is_head);
	input_free(c);
	return start_writing(c, AFTER_CLOSE);
}

static enum step say_continue(struct connection *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	int64_t deadline = c->deadline;
	c->out = strdup(text);
	c->out_len = c->out ? sizeof text - 1 : 0;
	(void)start_writing(c, AFTER_READ_BODY);
	c->deadline = deadline; /* the request's own goes on */
	return STEP_ON;
}

/* RFC 9112 section 2.2: an empty line before a request is tolerated; one is enough for old clients. */
static void skip_empty_line(struct connection *c)
{
	if (c->skipped_crlf || c->in_len < 2 || memcmp(c->in, "\r\n", 2) != 0)
		return;
	c->skipped_crlf = true;
	c->scanned = 0;
	input_drop(c, 2);
}

static enum step take_head(struct connection *c)
{
	c->exchange.head.is_head = false; /* of this request nothing is known yet */
	skip_empty_line(c);
	size_t limit = c->in_len < HTTP_MAX_HEADERS ? c->in_len : HTTP_MAX_HEADERS;
	switch (head_scan(c->in, limit, &c->scanned)) {
	case HEAD_BAD:
		return refuse(c, 400);
	case HEAD_INCOMPLETE:
		return limit == HTTP_MAX_HEADERS ? refuse(c, 431) : input_receive(c);
	case HEAD_COMPLETE:
		break;
	}
	struct head *h = &c->exchange.head;
	unsigned status = head_parse(c->in, c->scanned, h);
	if (status)
		return refuse(c, status);
	if (h->content_length > HTTP_MAX_BODY)
		return refuse(c, 413);
	c->have_head = true;
	bool waits = h->expects_continue && c->in_len < h->length + h->content_length;
	return waits ? say_continue(c) : STEP_ON;
}

static void describe(struct connection *c, struct http_request *r)
{
	const struct http_server *s = c->server;
	const struct head *h = &c->exchange.head;
	*r = (struct http_request){
		.method = c->in + h->method,
		.path = c->in + h->path,
		.query = h->query ? c->in + h->query : NULL,
		.body = c->in + h->length,
		.body_len = h->content_length,
		.peer = c->peer,
		.client = c->peer,
		.secure = c->tls || c->trusted || address_is_loopback(&c->peer),
		.exchange = &c->exchange,
	};
	if (c->trusted)
		r->client = forward_client(h, c->in, s->trusted, s->trusted_count, &c->peer);
}

static enum step hand_over(struct connection *c)
{
	struct http_request r;
	size_t end = c->exchange.head.length + c->exchange.head.content_length;
	char next = c->in[end]; /* perhaps the first byte of a pipelined request */
	describe(c, &r);
	c->in[end] = 0;
	c->state = STATE_HANDLING;
	c->exchange.class = 0;
	c->exchange.began = clock_mono_us();
	c->deadline = INT64_MAX; /* who answers has a deadline of its own */
	c->in_handler = true;
	c->server->handler(c->server->ctx, &c->exchange, &r);
	c->in_handler = false;
	c->in[end] = next;
	input_drop(c, end);
	c->scanned = 0;
	c->have_head = c->skipped_crlf = false;
	return c->state == STATE_HANDLING ? STEP_WAIT : STEP_ON;
}

static enum step step_reading(struct connection *c)
{
	if (!c->in_len)
		return input_receive(c);
	if (!c->have_head)
		return take_head(c);
	if (c->in_len < c->exchange.head.length + c->exchange.head.content_length)
		return input_receive(c);
	return hand_over(c);
}

/* ---- from the answer to the network ---- */

/* A proxy may send requests of several clients over one connection: it gets one request per connection, so
 * that a disagreement about framing cannot reach another client's request. */
static bool may_keep(const struct connection *c)
{
	return c->exchange.head.keep_alive && !c->trusted && !c->server->quiesced;
}

void http_classify(struct http_exchange *x, unsigned class)
{
	x->class = class < HTTP_CLASSES ? class : 0;
}

static void count(const struct http_exchange *x, unsigned status)
{
	int64_t took = clock_mono_us() - x->began;
	response_count(x->connection, status);
	histogram_add(&x->connection->server->counters->durations[x->class], histogram_durations,
		took > 0 ? (uint64_t)took : 0, 1);
}

void http_respond(struct http_exchange *x, const struct http_response *r)
{
	struct connection *c = x->connection;
	count(x, r->status);
	if (c->gone) {
		connection_free(c);
		return;
	}
	bool keep = may_keep(c);
	response_format(c, r, keep, x->head.is_head);
	(void)start_writing(c, keep ? AFTER_NEXT_REQUEST : AFTER_CLOSE);
	if (!c->in_handler)
		server_wake(c);
}

static ssize_t send_plain(int fd, const void *buf, size_t len)
{
	ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? ERR_AGAIN : ERR_CLOSED;
}

/* A close() with unread input makes the kernel send a reset, which may overtake the answer (RFC 9112
 * section 9.6): so the other side is left to close first. */
static enum step start_lingering(struct connection *c)
{
	if (c->tls)
		tls_bye(c->tls);
	if (shutdown(c->source.fd, SHUT_WR) != 0)
		return STEP_CLOSE;
	input_free(c);
	c->state = STATE_LINGERING;
	c->deadline = c->server->now + LINGER_SECONDS * MS;
	return STEP_ON;
}

static enum step after_writing(struct connection *c)
{
	response_wipe(c);
	if (c->after == AFTER_CLOSE)
		return start_lingering(c);
	c->state = STATE_READING;
	if (c->after == AFTER_READ_BODY)
		return STEP_ON;
	c->used = true;
	c->deadline = c->server->now + (c->in_len ? HTTP_REQUEST_SECONDS : HTTP_IDLE_SECONDS) * MS;
	return STEP_ON;
}

static enum step step_writing(struct connection *c)
{
	if (!c->out)
		return STEP_CLOSE; /* no memory for the answer */
	bool in_tail = c->out_at >= c->out_len;
	const char *at = in_tail ? c->tail + (c->out_at - c->out_len) : c->out + c->out_at;
	size_t len = c->out_len + (in_tail ? c->tail_len : 0) - c->out_at;
	ssize_t n = c->tls ? tls_send(c->tls, at, len) : send_plain(c->source.fd, at, len);
	if (n < 0)
		return n == ERR_AGAIN ? STEP_WAIT : STEP_CLOSE;
	c->out_at += (size_t)n;
	return c->out_at == c->out_len + c->tail_len ? after_writing(c) : STEP_ON;
}

static enum step step_lingering(struct connection *c)
{
	char ignored[4096];
	ssize_t n = receive_plain(c->source.fd, ignored, sizeof ignored);
	if (n > 0)
		return STEP_ON;
	return n == ERR_AGAIN ? STEP_WAIT : STEP_CLOSE;
}

static enum step step_handshake(struct connection *c)
{
	int r = tls_handshake(c->tls);
	c->server->counters->tls_failed += r != OK && r != ERR_AGAIN;
	if (r == OK)
		c->state = STATE_READING;
	return r == OK ? STEP_ON : r == ERR_AGAIN ? STEP_WAIT : STEP_CLOSE;
}

/* ---- the walk ---- */

static enum step take_step(struct connection *c)
{
	switch (c->state) {
	case STATE_HANDSHAKE:
		return step_handshake(c);
	case STATE_READING:
		return step_reading(c);
	case STATE_HANDLING:
		return STEP_WAIT;
	case STATE_WRITING:
		return step_writing(c);
	case STATE_LINGERING:
		return step_lingering(c);
	}
	return STEP_CLOSE;
}

static int MUST_USE watch(struct connection *c, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = &c->source};
	if (c->events == events)
		return OK;
	c->events = events;
	return epoll_ctl(c->server->epoll, EPOLL_CTL_MOD, c->source.fd, &e) == 0 ? OK : ERR_SYSTEM;
}

/* While the handler works the old interest stays: usually the answer is out before anything else arrives, and
 * two system calls are saved. If something does arrive, connection_event() turns it off. */
static int MUST_USE watch_for_state(struct connection *c)
{
	if (c->state == STATE_HANDLING)
		return OK;
	bool writes = c->state == STATE_WRITING || (c->state == STATE_HANDSHAKE && tls_wants_write(c->tls));
	return watch(c, writes ? EPOLLOUT : EPOLLIN);
}

void connection_progress(struct connection *c)
{
	for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
		enum step s = take_step(c);
		if (s == STEP_ON)
			continue;
		if (s == STEP_CLOSE || watch_for_state(c))
			connection_free(c);
		return;
	}
	server_wake(c);
}

/* The exchange is still the handler's, so the connection stays until http_respond(). */
static void peer_left(struct connection *c)
{
	c->gone = true;
	(void)close(c->source.fd);
	c->source.fd = -1;
	input_free(c);
}

void connection_event(struct connection *c, uint32_t events)
{
	if (c->state != STATE_HANDLING)
		connection_progress(c);
	else if ((events & (EPOLLERR | EPOLLHUP)) || watch(c, 0))
		peer_left(c);
}

void connection_open(struct http_server *s, int fd, const struct address *peer)
{
	struct connection *c = calloc(1, sizeof *c);
	int one = 1;
	if (!c)
		goto fail_fd;
	*c = (struct connection){
		.source = {SOURCE_CONNECTION, fd},
		.server = s,
		.peer = *peer,
		.accepted = s->now,
		.deadline = s->now + HTTP_REQUEST_SECONDS * MS, /* TLS handshake and first request together */
		.events = EPOLLIN,
		.state = s->tls ? STATE_HANDSHAKE : STATE_READING,
		.trusted = forward_trusted(s->trusted, s->trusted_count, peer),
	};
	c->exchange.connection = c;
	if (!c->trusted && !(c->crowd = crowds_join(s->crowds, peer)))
		goto fail_connection;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* only speed */
	if (s->tls && tls_session_new(s->tls, fd, &c->tls))
		goto fail_crowd;
	struct epoll_event e = {.events = c->events, .data.ptr = &c->source};
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		goto fail_tls;
	TAILQ_INSERT_TAIL(&s->all, c, all);
	s->connection_count++;
	s->counters->accepted++;
	s->counters->open = s->connection_count;
	return;
fail_tls:
	tls_session_free(&c->tls);
fail_crowd:
	crowds_leave(c->crowd);
fail_connection:
	free(c);
fail_fd:
	(void)close(fd);
}

void connection_free(struct connection *c)
{
	struct http_server *s = c->server;
	if (c->is_woken)
		TAILQ_REMOVE(&s->woken, c, woken);
	TAILQ_REMOVE(&s->all, c, all);
	s->connection_count--;
	s->counters->open = s->connection_count;
	crowds_leave(c->crowd);
	tls_session_free(&c->tls);
	if (c->source.fd >= 0)
		(void)close(c->source.fd); /* leaves the epoll set by itself */
	input_free(c);
	response_wipe(c);
	free(c);
}
