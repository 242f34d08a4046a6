// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "util/clock.h"

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

static bool is_quiet(const struct connection *c)
{
	return !c->in.len && !c->out.len;
}

bool connection_is_done(const struct connection *c)
{
	return c->asked && is_quiet(c);
}

/* Sends as much as the peer takes and keeps the rest in `out`; `data` may be `out` itself. */
static int send_bytes(struct exchange *x, struct connection *c, const uint8_t *data, size_t len)
{
	size_t sent = 0;
	while (sent < len) {
		ssize_t n = send(c->watch.fd, data + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			sent += (size_t)n;
		else if (would_block())
			break;
		else if (errno != EINTR)
			return ERR_CLOSED;
	}
	if (backlog_replace(&c->out, data + sent, len - sent))
		return ERR_CLOSED; /* out of memory: one connection less is the way out */
	if (!c->out.len)
		c->reply_due = 0;
	else if (!c->reply_due)
		c->reply_due = x->now + x->limit;
	return OK;
}

/* Appends what has arrived to the `len` bytes of x->in. */
static int receive(struct exchange *x, struct connection *c, size_t *len)
{
	ssize_t n;
	do
		n = recv(c->watch.fd, x->in + *len, sizeof x->in - *len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return would_block() ? OK : ERR_CLOSED;
	/* A client that has shut down its side alone still reads, but all it asked has been answered: as long
	 * as replies wait nothing is read, not even the end. */
	if (n == 0)
		return ERR_CLOSED;
	*len += (size_t)n;
	return OK;
}

/* Answers until the input is used up (ERR_AGAIN, ERR_INVALID as from stream_next) or there are replies enough
 * to be sent (OK). */
static int answer_some(struct exchange *x, struct connection *c, struct reader *input, struct writer *out)
{
	const struct net_handler *h = x->handler;
	struct net_message m = {.tcp = true, .client = c->client, .now = clock_wall_ms()};
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
		c->refused = true;
		input.at = input.end;
	}
	return keep_rest(x, c, &input, used);
}

int connection_serve(struct exchange *x, struct connection *c, bool readable)
{
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
	return c->refused && is_quiet(c) ? ERR_CLOSED : OK;
}
