// SPDX-License-Identifier: GPL-3.0-or-later
/* Datagrams in batches: one recvmmsg, the handler, one sendmmsg. All buffers are set up once; nothing is
 * allocated per message. One thread. */
#pragma once

#include "net/net.h"

enum {
	UDP_BATCH = NET_BATCH,
	/* The payload of a full Ethernet frame; longer queries are dropped, no resolver sends them. An odd
	 * multiple of the cache line, so that the buffers do not compete for the same cache sets. */
	UDP_QUERY_MAX = 1472,
	UDP_ANSWER_MAX = 1232, /* RFC 9715 appendix A: unfragmented on every path of today */
};

struct udp;

/* `h` and `answered` must outlive it. ERR_NOMEM. */
int udp_new(const struct net_handler *h, struct histogram *answered, struct udp **out) MUST_USE;
void udp_free(struct udp **u); /* accepts NULL inside; sets it to NULL */

/* Answers what waits in the socket, at most `batches` batches. */
void udp_serve(struct udp *u, int fd, unsigned batches);
