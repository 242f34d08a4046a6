// SPDX-License-Identifier: GPL-3.0-or-later
/* TCP connections: who may have one, for how long, and what is answered on them (RFC 7766). Times are
 * clock_mono_ms().
 *
 * Replies are written in the order of the queries. A connection that does not take its replies is not read
 * from. Memory is bounded by the number of connections: each holds at most TCP_INPUT (20 KiB) of what was
 * read, TCP_FLUSH (16 KiB) of replies plus one reply, and in TLS a session (see tls.h); an idle one holds
 * nothing but its slot. What the kernel keeps for it is bounded by the buffers of its listener (bind.c). One
 * network has a quarter of it. Taking a connection costs a look into a table, never a look at all
 * connections.
 *
 * Calls may close any connection, so of one round of events those of connections go first,
 * listeners last. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/internal.h"
#include "net/net.h"

enum {
	TCP_SWEEP = 250, /* milliseconds between two looks at the deadlines */
	TCP_PAUSE = 100, /* milliseconds without accepting when the system has no descriptors left */
};

struct tcp;

/* Adds the listeners to `epoll`. The settings, the handler and the counters must outlive it. ERR_NOMEM,
 * ERR_SYSTEM. */
int tcp_new(const struct net_settings *s, const struct net_handler *h, int epoll,
	struct net_counters *counters, struct tcp **out) MUST_USE;
void tcp_free(struct tcp **t); /* closes all connections; accepts NULL inside; sets it to NULL */

void tcp_accept(struct tcp *t, const struct watch *listener, int64_t now);
void tcp_event(struct tcp *t, struct watch *connection, uint32_t events, int64_t now);

/* Closes what is past its deadline, and accepts again after a pause. */
void tcp_sweep(struct tcp *t, int64_t now);
/* Something is waiting for the next sweep. */
bool tcp_needs_sweep(const struct tcp *t);

/* Accepts and answers what has arrived, then no more connections; those between messages are closed, the
 * others as soon as they are. */
void tcp_drain(struct tcp *t, int64_t now);
bool tcp_is_empty(const struct tcp *t);
