// SPDX-License-Identifier: GPL-3.0-or-later
/* What connection.c, response.c and server.c share. One thread.
 *
 * A connection walks through the states below. Only http_run() moves it on: http_respond() stores the answer
 * and puts the connection on the server's list of woken ones, so that the handler is never entered from
 * within a callback of whoever answers. */
#pragma once

#include <sys/queue.h>

#include "http/head.h"
#include "http/http.h"
#include "tls/tls.h"

enum {
	INPUT_MAX = HTTP_MAX_HEADERS + HTTP_MAX_BODY,
	LINGER_SECONDS = 2, /* how long a refused client's bytes are still taken, so that it can read why */
	TURNS_MAX = 64,     /* steps of one connection before the others have their turn */
	SWEEP_INTERVAL_MS = 200,
	FRESH_MS = 1000 /* how long a connection without a request counts as busy */
};

enum source_kind { SOURCE_LISTENER, SOURCE_WAKE, SOURCE_CONNECTION };

/* First member of whatever the epoll descriptor watches. */
struct source {
	enum source_kind kind;
	int fd;
};

enum connection_state {
	STATE_HANDSHAKE, /* TLS */
	STATE_READING,   /* waiting for a request, or in the middle of one */
	STATE_HANDLING,  /* the handler has it; waiting for http_respond() */
	STATE_WRITING,   /* an answer, or "100 Continue" */
	STATE_LINGERING  /* everything said; waiting for the other side to close */
};

enum after_write { AFTER_READ_BODY, AFTER_NEXT_REQUEST, AFTER_CLOSE };

/* The connections of one network (/24, /56). */
struct crowd {
	struct address base;
	size_t count;
	LIST_ENTRY(crowd) link;
};

struct http_exchange {
	struct connection *connection;
	struct head head;
	unsigned class;
	int64_t began; /* microseconds */
};

struct connection {
	struct source source;
	TAILQ_ENTRY(connection) all;
	TAILQ_ENTRY(connection) woken;
	struct http_server *server;
	struct tls_session *tls; /* NULL: plain */
	struct address peer;
	struct crowd *crowd; /* NULL: a trusted proxy, which speaks for many */
	int64_t accepted;
	int64_t deadline; /* INT64_MAX: none */
	uint32_t events;  /* what epoll watches for */
	enum connection_state state;
	enum after_write after;
	bool trusted; /* the peer is a trusted proxy */
	bool is_woken;
	bool in_handler;
	bool gone; /* the peer left while the handler had the request: only http_respond() is awaited */
	bool used; /* has answered at least one request */
	bool have_head;
	bool skipped_crlf;
	char *in; /* NULL while there is nothing in it */
	size_t in_len, in_cap, scanned;
	char *out;
	const char *tail; /* what follows `out`, and lasts */
	size_t out_len, tail_len;
	size_t out_at; /* how much of both has been sent */
	struct http_exchange exchange;
};

TAILQ_HEAD(connection_list, connection);

struct listener {
	struct source source;
	bool watched;
	bool ready; /* somebody waits; accepted after all events, see http_run() */
};

struct http_server {
	int epoll;
	struct source wake; /* eventfd */
	struct listener *listeners;
	size_t listener_count;
	const struct tls_context *tls; /* NULL: plain */
	struct prefix *trusted;
	size_t trusted_count;
	http_handler *handler;
	void *ctx;
	int64_t now, last_sweep;
	size_t connection_count;
	struct crowds *crowds;
	struct connection_list all, woken;
	bool quiesced;
	size_t limit;                           /* connections */
	struct http_counters *counters, unread; /* unread: where nobody reads them */
};

/* connection.c */
void connection_open(struct http_server *s, int fd, const struct address *peer); /* takes fd over */
void connection_progress(struct connection *c);
void connection_event(struct connection *c, uint32_t events);
void connection_free(struct connection *c);

/* crowds.c: how many connections come from one network. ERR_NOMEM, ERR_SYSTEM (no random numbers). */
int crowds_new(struct crowds **out) MUST_USE;
void crowds_free(struct crowds **s); /* accepts NULL inside; sets it to NULL; nobody may be left in it */
struct crowd *crowds_join(struct crowds *s, const struct address *peer); /* NULL: no memory */
void crowds_leave(struct crowd *c);                                      /* accepts NULL */

/* server.c: has the connection moved on by the next http_run(). */
void server_wake(struct connection *c);

/* response.c: makes c->out; leaves it NULL when there is no memory. */
void response_format(struct connection *c, const struct http_response *r, bool keep_alive, bool head_only);
void response_wipe(struct connection *c);
/* Counts a response. */
void response_count(struct connection *c, unsigned status);
/* A refusal by this room. */
struct http_response response_refusal(unsigned status);
