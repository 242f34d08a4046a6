// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/ipc.h"

static int map_errno(void)
{
	switch (errno) {
	case EAGAIN:
	case ENOBUFS:
		return ERR_AGAIN;
	case EPIPE:
	case ECONNRESET:
		return ERR_CLOSED;
	default:
		return ERR_SYSTEM;
	}
}

int ipc_send(int fd, const uint8_t *data, size_t len)
{
	for (;;) {
		ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0)
			return OK; /* a datagram goes as a whole or not at all */
		if (errno != EINTR)
			return map_errno();
	}
}

int ipc_receive(int fd, uint8_t out[static IPC_MESSAGE_MAX], size_t *len)
{
	struct iovec iov = {out, IPC_MESSAGE_MAX};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	for (;;) {
		/* No control data is taken, so descriptors a hostile peer attaches are dropped by the kernel.
		 */
		ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return map_errno();
		if (m.msg_flags & MSG_TRUNC)
			return ERR_INVALID;
		*len = (size_t)n;
		/* Our messages are never empty: nothing means end of file (or a peer not worth keeping). */
		return n ? OK : ERR_CLOSED;
	}
}

/* A message of one byte that carries one descriptor. */
struct handover {
	uint8_t byte;
	struct iovec iov;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct msghdr message;
};

static struct msghdr *handover_init(struct handover *h)
{
	memset(h, 0, sizeof *h);
	h->iov = (struct iovec){&h->byte, 1};
	h->message = (struct msghdr){.msg_iov = &h->iov,
		.msg_iovlen = 1,
		.msg_control = h->control,
		.msg_controllen = sizeof h->control};
	return &h->message;
}

int ipc_send_channel(int fd, int channel, uint8_t kind)
{
	struct handover h;
	struct msghdr *m = handover_init(&h);
	h.byte = kind;
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof channel);
	memcpy(CMSG_DATA(c), &channel, sizeof channel);
	return sendmsg(fd, m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? map_errno() : OK;
}

int ipc_receive_channel(int fd, int *channel, uint8_t *kind)
{
	struct handover h;
	struct msghdr *m = handover_init(&h);
	ssize_t n;
	do
		n = recvmsg(fd, m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? map_errno() : ERR_CLOSED;
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return ERR_INVALID;
	memcpy(channel, CMSG_DATA(c), sizeof *channel);
	*kind = h.byte;
	return OK;
}
