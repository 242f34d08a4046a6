// SPDX-License-Identifier: GPL-3.0-or-later
/* Sockets of the DNS side: binding, UDP in batches, TCP streams of length-prefixed messages (RFC 1035
 * section 4.2.2, RFC 7766), the same in TLS (RFC 7858), with deadlines. Knows nothing of DNS: what to answer
 * is the handler's business. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/tls.h"
#include "util/address.h"
#include "util/error.h"

/* Bound sockets, non-blocking, close-on-exec. `shared`: SO_REUSEPORT, for several sockets on one endpoint,
 * among which the kernel spreads clients. An IPv6 socket takes IPv6 only. Port 0: the kernel chooses. On
 * ERR_SYSTEM errno says why (EADDRINUSE, EACCES, ...). */
int net_udp_bind(const struct endpoint *e, bool shared, int *fd) MUST_USE;
int net_tcp_listen(const struct endpoint *e, bool shared, int *fd) MUST_USE;

/* Prepares a socket that somebody else has bound to `e` (and has listening) as those above are. */
int net_adopt(const struct endpoint *e, int fd) MUST_USE;

/* Whether this kernel lets sockets share an endpoint. */
bool net_can_share(void);

/* Writes to the log what this kernel does not have or grant of what binding asks it for, a line each, and
 * what follows from it. The server does without. `udp`: one of its sockets, to see how large a buffer it got.
 */
void net_report_kernel(int udp);

enum { NET_BATCH = 64 }; /* messages at most */

struct net_message {
	const uint8_t *data;
	size_t len;
	unsigned slot; /* below NET_BATCH, its own among the messages of a batch */
	bool tcp;      /* also where it is TLS */
	bool tls;
	struct endpoint client;
	int64_t now; /* milliseconds since the epoch, read once per batch */
};

struct net_handler {
	void *ctx;
	/* Before and after the messages of one batch, around the answer() calls; nothing blocks between the
	 * two. */
	void (*batch_begin)(void *ctx);
	void (*batch_end)(void *ctx);
	/* What can be done about a message before it is its turn, so that memory it will need is on its way.
	 * Not called for every message; its bytes stay where they are until its answer(). NULL: nothing. */
	void (*look_ahead)(void *ctx, const struct net_message *m);
	/* Writes an answer of at most `cap` bytes to `out`; returns its length, 0 for none. */
	size_t (*answer)(void *ctx, const struct net_message *m, uint8_t *out, size_t cap);
};

struct net_settings {
	const int *udp; /* sockets from net_udp_bind; stay the caller's */
	size_t udp_count;
	const int *tcp; /* from net_tcp_listen; stay the caller's */
	size_t tcp_count;
	const int *tls; /* the same, for DNS over TLS */
	size_t tls_count;
	const struct tls_context *tls_context; /* for these; stays the caller's */
	int stop; /* readable: answer what has arrived, close connections between messages, return */
	/* At most, plain and TLS together, at least 4: the one idle longest makes room. A quarter of them at
	 * most are of one network (/24, /56); above that the network's own idle longest makes room. */
	size_t tcp_connections;
	int64_t tcp_idle; /* milliseconds without a complete message after which a connection is closed */
	int64_t tcp_idle_crowded; /* the same when more than 80 % of the connections are taken */
	/* Milliseconds that a started message, a TLS handshake or a reply the peer does not read may take. */
	int64_t tcp_message;
};

/* Serves until `stop` is readable, and at most a second longer for what is under way. Dropped without a word:
 * datagrams above 1472 bytes or from port 0. A TCP message above 4096 bytes, or of none, ends its connection.
 * Answers over UDP have a cap of 1232, over TCP of 65535. ERR_NOMEM, ERR_SYSTEM: could not start. */
int net_run(const struct net_settings *s, const struct net_handler *h) MUST_USE;
