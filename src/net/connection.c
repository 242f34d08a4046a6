// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static bool is_quiet(const struct connection *c)
{
	return !c->in.len && !c->out.len;
}

bool connection_is_done(const struct connection *c)
{
	return c->asked && is_quiet(c);
}

bool connection_wants_write(const struct connection *c)
{
	return c->shaking ? c->tls && tls_wants_write(c->tls) : c->out.len > 0;
}

/* Bytes moved, ERR_AGAIN or ERR_CLOSED, as tls_send. */
static ssize_t send_plain(int fd, const uint8_t *data, size_t len)
{
	ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n >= 0)
		return n;
	return would_block() ? ERR_AGAIN : ERR_CLOSED;
}

/* Bytes moved (> 0), ERR_AGAIN or ERR_CLOSED, as tls_receive. */
static ssize_t receive_plain(int fd, uint8_t *out, size_t len)
{
	ssize_t n = recv(fd, out, len, MSG_DONTWAIT);
	if (n > 0)
		return n;
	return n < 0 && would_block() ? ERR_AGAIN : ERR_CLOSED;
}

/* Sends as much as the peer takes and keeps the rest in `out`; `data` may be `out` itself. What waits is sent
 * first and unchanged, as tls_send demands. */
static int send_bytes(struct exchange *x, struct connection *c, const uint8_t *data, size_t len)
{
	size_t sent = 0;
	while (sent < len) {
		ssize_t n = c->tls ? tls_send(c->tls, data + sent, len - sent)
				   : send_plain(c->watch.fd, data + sent, len - sent);
		if (n == ERR_AGAIN)
			break;
		if (n < 0)
			return ERR_CLOSED;
		sent += (size_t)n;
	}
	if (backlog_replace(&c->out, data + sent, len - sent))
		return ERR_CLOSED; /* out of memory: one connection less is the way out */
	if (!c->out.len)
		c->reply_due = 0;
	else if (!c->reply_due)
		c->reply_due = x->now + x->limit;
	return OK;
}

/* Appends what has arrived to the `len` bytes of x->in: from a plain connection one read's worth, from TLS as
 * many records as there is room for. The end may come right behind queries, which are still to be answered: a
 * client that has shut down its side alone still reads. */
static int receive(struct exchange *x, struct connection *c, size_t *len)
{
	size_t before = *len;
	do {
		ssize_t n = c->tls ? tls_receive(c->tls, x->in + *len, sizeof x->in - *len)
				   : receive_plain(c->watch.fd, x->in + *len, sizeof x->in - *len);
		if (n == ERR_AGAIN)
			return OK;
		if (n < 0) {
			c->ending = true;
			return *len > before ? OK : ERR_CLOSED;
		}
		*len += (size_t)n;
	} while (c->tls && sizeof x->in - *len >= TCP_READ);
	return OK;
}

/* Answers until the input is used up (ERR_AGAIN, ERR_INVALID as from stream_next) or there are replies enough
 * to be sent (OK). */
static int answer_some(struct exchange *x, struct connection *c, struct reader *input, struct writer *out)
{
	const struct net_handler *h = x->handler;
	struct net_message m = {.tcp = true, .tls = c->tls, .client = c->client, .now = clock_wall_ms()};
	int e = OK;
	h->batch_begin(h->ctx);
	while (out->at - out->start <= TCP_FLUSH) {
		e = stream_next(input, &m.data, &m.len);
		if (e)
			break;
		/* There is room for the longest answer: TCP_OUTPUT. Its length is known only afterwards. */
		size_t len = h->answer(h->ctx, &m, out->at + STREAM_PREFIX, STREAM_ANSWER_MAX);
		if (!len)
			continue;
		write_u16(out, (uint16_t)len);
		writer_take(out, len);
	}
	h->batch_end(h->ctx);
	return e;
}

/* The input behind the last answered message. `used`: there was at least one. */
static int keep_rest(struct exchange *x, struct connection *c, const struct reader *rest, bool used)
{
	size_t len = (size_t)(rest->end - rest->at);
	if (used)
		c->active = x->now;
	c->asked |= used;
	/* While replies wait we do not read: that the message does not go on is not the peer's doing. */
	if (len == 0 || c->out.len)
		c->message_due = 0;
	else if (used || !c->message_due)
		c->message_due = x->now + x->limit;
	return backlog_replace(&c->in, rest->at, len) ? ERR_CLOSED : OK;
}

static int answer_input(struct exchange *x, struct connection *c, size_t len)
{
	struct reader input = reader_over(x->in, len);
	int e;
	do {
		struct writer out = writer_over(x->out, sizeof x->out);
		e = answer_some(x, c, &input, &out);
		size_t ready = (size_t)(out.at - out.start);
		if (ready && send_bytes(x, c, x->out, ready))
			return ERR_CLOSED;
	} while (e == OK && !c->out.len);
	bool used = input.at != x->in;
	if (e == ERR_INVALID) { /* what follows nonsense is of no use; the replies before it are */
		c->ending = true;
		input.at = input.end;
	}
	return keep_rest(x, c, &input, used);
}

/* We have nothing to say to the end of a handshake (no tickets), so the kernel would put off its
 * acknowledgement, and a client with Nagle's algorithm would hold its first query back for it: 40 ms. */
static void acknowledge(int fd)
{
	int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on); /* only speed */
}

/* OK: done, and the first query may have come along. ERR_AGAIN, ERR_CLOSED. */
static int shake_hands(struct exchange *x, struct connection *c)
{
	if (!c->tls && tls_session_new(x->tls, c->watch.fd, &c->tls))
		return ERR_CLOSED;
	int e = tls_handshake(c->tls);
	if (e)
		return e;
	c->shaking = false;
	acknowledge(c->watch.fd);
	c->message_due = 0;
	c->active = x->now;
	return OK;
}

int connection_serve(struct exchange *x, struct connection *c, bool readable)
{
	if (c->shaking) {
		int e = shake_hands(x, c);
		if (e)
			return e == ERR_AGAIN ? OK : ERR_CLOSED;
		readable = true;
	}
	if (c->out.len) {
		if (send_bytes(x, c, c->out.data, c->out.len))
			return ERR_CLOSED;
		if (c->out.len)
			return OK;
		c->active = x->now;
		readable = false; /* first what was read before; the rest is reported again */
	}
	size_t len = c->in.len;
	if (len)
		memcpy(x->in, c->in.data, len);
	if (readable && receive(x, c, &len))
		return ERR_CLOSED;
	if (answer_input(x, c, len))
		return ERR_CLOSED;
	return c->ending && !c->out.len ? ERR_CLOSED : OK;
}

void connection_end(struct connection *c)
{
	if (c->tls && !c->shaking)
		tls_bye(c->tls);
	tls_session_free(&c->tls);
	close(c->watch.fd);
	backlog_clear(&c->in);
	backlog_clear(&c->out);
}
