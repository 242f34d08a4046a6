// SPDX-License-Identifier: GPL-3.0-or-later
/* One TCP connection's conversation, plain or in TLS: queries in, replies out, over a non-blocking socket. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "net/internal.h"
#include "net/net.h"
#include "net/stream.h"
#include "tls/tls.h"

enum {
	/* At most in one go; 200 pipelined queries fit, and so does a whole TLS record, so that nothing stays
	 * behind in the TLS library, where epoll does not see it. */
	TCP_READ = 16 << 10,
	TCP_FLUSH = 16 << 10, /* replies are sent when they exceed this */
	TCP_INPUT = STREAM_PREFIX + STREAM_QUERY_MAX + TCP_READ,
	TCP_OUTPUT = TCP_FLUSH + STREAM_PREFIX + STREAM_ANSWER_MAX,
};

struct connection {
	struct watch watch;                /* first: epoll hands out its address */
	TAILQ_ENTRY(connection) link;      /* all, or the vacant ones */
	TAILQ_ENTRY(connection) neighbour; /* of one network */
	struct network *network;
	struct endpoint client;
	struct tls_session *tls; /* NULL: plain, or nothing has arrived yet */
	struct backlog in;       /* read, not answered: a started message or, while `out` waits, whole ones */
	struct backlog out;      /* answered, not taken by the peer */
	int64_t active;          /* when it was last accepted, asked or took its last reply */
	/* 0: no message is started. Set with its first byte, for a TLS handshake with the connection; never
	 * moved. */
	int64_t message_due;
	int64_t reply_due; /* 0: nothing is unsent. Set with the first byte that has to wait, never moved */
	uint32_t interest; /* the epoll events it waits for */
	bool secure;       /* TLS */
	bool shaking;      /* the TLS handshake is not over */
	bool asked;        /* at least one message was answered */
	bool ending;       /* nothing more is read, and with the last reply it ends */
};

TAILQ_HEAD(connection_list, connection);

/* What all connections of a loop share while one of them is served. */
struct exchange {
	const struct net_handler *handler;
	const struct tls_context *tls;
	int64_t limit; /* milliseconds for a started message or an unread reply */
	int64_t now;
	uint8_t in[TCP_INPUT], out[TCP_OUTPUT];
};

/* Sends what is unsent; reads, when there is something to be read, and answers. ERR_CLOSED: the connection is
 * over, for whatever reason. */
int connection_serve(struct exchange *x, struct connection *c, bool readable) MUST_USE;

/* It has asked, and neither a message nor a reply is under way. One that has just been opened is not done:
 * its first query is on the way. */
bool connection_is_done(const struct connection *c);

/* It waits for room to send, not for something to read. */
bool connection_wants_write(const struct connection *c);

/* Closes the socket, after close_notify as far as that goes without waiting (RFC 8446 section 6.1), and frees
 * what it held. */
void connection_end(struct connection *c);
