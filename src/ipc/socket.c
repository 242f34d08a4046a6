// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
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
