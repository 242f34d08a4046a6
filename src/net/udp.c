// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/clock.h"

enum { SEND_PATIENCE = 5 }; /* milliseconds a full send buffer may hold up everything else */

union peer {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

union control {
	struct cmsghdr aligned;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))]; /* the larger of the two kinds */
};

struct udp {
	const struct net_handler *handler;
	struct histogram *answered;
	struct mmsghdr in[UDP_BATCH], out[UDP_BATCH];
	struct iovec in_data[UDP_BATCH], out_data[UDP_BATCH];
	union peer peer[UDP_BATCH];
	union control control[UDP_BATCH];
	struct net_message messages[UDP_BATCH];
	uint8_t query[UDP_BATCH][UDP_QUERY_MAX];
	uint8_t answer[UDP_BATCH][UDP_ANSWER_MAX];
};

/* What the kernel overwrote when it filled in a message. */
static void reset_query(struct msghdr *m)
{
	m->msg_namelen = sizeof(union peer);
	m->msg_controllen = sizeof(union control);
}

static void set_up(struct udp *u, unsigned i)
{
	u->in_data[i] = (struct iovec){u->query[i], UDP_QUERY_MAX};
	u->out_data[i] = (struct iovec){u->answer[i], 0};
	u->in[i].msg_hdr = (struct msghdr){.msg_name = &u->peer[i],
		.msg_iov = &u->in_data[i],
		.msg_iovlen = 1,
		.msg_control = &u->control[i]};
	u->out[i].msg_hdr = (struct msghdr){.msg_iov = &u->out_data[i], .msg_iovlen = 1};
	reset_query(&u->in[i].msg_hdr);
}

int udp_new(const struct net_handler *h, struct histogram *answered, struct udp **out)
{
	struct udp *u = calloc(1, sizeof *u);
	if (!u)
		return ERR_NOMEM;
	u->handler = h;
	u->answered = answered;
	for (unsigned i = 0; i < UDP_BATCH; i++)
		set_up(u, i);
	*out = u;
	return OK;
}

void udp_free(struct udp **u)
{
	free(*u);
	*u = NULL;
}

/* False: to be dropped. */
static bool read_query(const struct udp *u, unsigned i, struct net_message *m)
{
	const struct msghdr *h = &u->in[i].msg_hdr;
	if (h->msg_flags & MSG_TRUNC)
		return false;
	if (address_from_sockaddr(&u->peer[i].any, h->msg_namelen, &m->client))
		return false;
	m->data = u->query[i];
	m->len = u->in[i].msg_len;
	m->slot = i;
	return m->client.port != 0; /* nobody can be answered there: a forgery */
}

/* The address that was asked becomes the source of the answer, but the interface is left to the routing
 * table: the way back need not be the way in. Only a link-local address means nothing without its interface.
 */
static void choose_source(struct cmsghdr *c)
{
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo four;
		memcpy(&four, CMSG_DATA(c), sizeof four);
		four.ipi_ifindex = 0;
		memcpy(CMSG_DATA(c), &four, sizeof four);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo six;
		memcpy(&six, CMSG_DATA(c), sizeof six);
		if (!IN6_IS_ADDR_LINKLOCAL(&six.ipi6_addr))
			six.ipi6_ifindex = 0;
		memcpy(CMSG_DATA(c), &six, sizeof six);
	}
}

static void write_reply(struct udp *u, unsigned query, unsigned reply, size_t len)
{
	struct msghdr *from = &u->in[query].msg_hdr, *to = &u->out[reply].msg_hdr;
	struct cmsghdr *c = from->msg_flags & MSG_CTRUNC ? NULL : CMSG_FIRSTHDR(from);
	if (c)
		choose_source(c);
	to->msg_name = from->msg_name;
	to->msg_namelen = from->msg_namelen;
	to->msg_control = c ? from->msg_control : NULL;
	to->msg_controllen = c ? from->msg_controllen : 0;
	u->out_data[reply].iov_len = len;
}

/* Returns how many replies are ready. */
static unsigned answer_batch(struct udp *u, unsigned received, int64_t now)
{
	const struct net_handler *h = u->handler;
	unsigned queries = 0, ready = 0;
	for (unsigned i = 0; i < received; i++) {
		struct net_message *m = &u->messages[queries];
		*m = (struct net_message){.now = now};
		if (!read_query(u, i, m))
			continue;
		queries++;
		if (h->look_ahead)
			h->look_ahead(h->ctx, m);
	}
	h->batch_begin(h->ctx);
	for (unsigned i = 0; i < queries; i++) {
		const struct net_message *m = &u->messages[i];
		size_t len = h->answer(h->ctx, m, u->answer[ready], UDP_ANSWER_MAX);
		if (len)
			write_reply(u, m->slot, ready++, len);
	}
	h->batch_end(h->ctx);
	return ready;
}

static bool room_to_send(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	return poll(&p, 1, SEND_PATIENCE) > 0;
}

/* sendmmsg stops at the first message it cannot send and reports the cause only when that one comes first.
 * One full send buffer is waited for; at the second the rest is dropped, as the network would have done. */
static void send_batch(struct udp *u, int fd, unsigned ready)
{
	bool patient = true;
	for (unsigned sent = 0; sent < ready;) {
		int n = sendmmsg(fd, u->out + sent, ready - sent, MSG_DONTWAIT);
		if (n > 0) {
			sent += (unsigned)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
			if (!patient || !room_to_send(fd))
				return;
			patient = false;
		} else if (errno != EINTR) {
			sent++; /* no route to this peer, or a filter: the others must not suffer */
		}
	}
}

/* A clock that was set meanwhile says nothing. */
static void note_time(struct udp *u, int64_t began, unsigned ready)
{
	enum { LONGEST_US = 10 * 1000 * 1000 };
	int64_t took = clock_wall_us() - began;
	if (took >= 0 && took < LONGEST_US)
		histogram_add(u->answered, histogram_durations, (uint64_t)took, ready);
}

void udp_serve(struct udp *u, int fd, unsigned batches)
{
	for (int n = UDP_BATCH; batches > 0 && n == UDP_BATCH; batches--) {
		n = recvmmsg(fd, u->in, UDP_BATCH, MSG_DONTWAIT, NULL);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0) { /* a signal, or an earlier reply's ICMP error: both are over now */
			n = UDP_BATCH;
			continue;
		}
		int64_t began = clock_wall_us();
		unsigned ready = answer_batch(u, (unsigned)n, began / 1000);
		send_batch(u, fd, ready);
		note_time(u, began, ready);
		for (int i = 0; i < n; i++)
			reset_query(&u->in[i].msg_hdr);
	}
}
