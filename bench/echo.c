// SPDX-License-Identifier: GPL-3.0-or-later
/* echo: the floor of the kernel's UDP path. Receives queries in batches, turns each header into a response,
 * appends one constant TXT record and sends the batch back: what a server with no work of its own would spend
 * per query.
 *
 *   echo PORT        (loopback only; runs until it is killed) */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common.h"

enum { BATCH = 64, MESSAGE_MAX = 1500, RECEIVE_BUFFER = 4 << 20, VALUE_LEN = 43 };

/* Where things stand in a DNS header, RFC 1035 section 4.1.1. */
enum { HEADER_FLAGS = 2, HEADER_ANCOUNT_LOW = 7, FLAGS_QR_AA = 0x84 };

/* Owner: a pointer to the question; TXT, IN, TTL 1; RDATA: one string of VALUE_LEN bytes. */
static const uint8_t answer_head[] = {0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 1, 0, VALUE_LEN + 1, VALUE_LEN};

enum { ANSWER_LEN = sizeof answer_head + VALUE_LEN };

struct batch {
	struct mmsghdr message[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage peer[BATCH];
	uint8_t buffer[BATCH][MESSAGE_MAX];
};

static int open_socket(uint16_t port)
{
	int on = 1, size = RECEIVE_BUFFER;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0 ||
		bind(fd, (const struct sockaddr *)&a, sizeof a) < 0)
		return ERR_SYSTEM;
	return fd;
}

static void prepare(struct batch *b)
{
	for (int i = 0; i < BATCH; i++) {
		/* Room is kept for the answer, so that respond() needs no check. */
		b->iov[i] = (struct iovec){b->buffer[i], MESSAGE_MAX - ANSWER_LEN};
		b->message[i].msg_hdr = (struct msghdr){.msg_name = &b->peer[i],
			.msg_namelen = sizeof b->peer[i],
			.msg_iov = &b->iov[i],
			.msg_iovlen = 1};
	}
}

static void respond(struct batch *b, int i)
{
	uint8_t *end = b->buffer[i] + b->message[i].msg_len;
	b->buffer[i][HEADER_FLAGS] |= FLAGS_QR_AA;
	b->buffer[i][HEADER_ANCOUNT_LOW] = 1;
	memcpy(end, answer_head, sizeof answer_head);
	memset(end + sizeof answer_head, 'a', VALUE_LEN);
	b->iov[i].iov_len = b->message[i].msg_len + ANSWER_LEN;
}

static void serve(int fd, struct batch *b)
{
	for (;;) {
		prepare(b);
		int n = recvmmsg(fd, b->message, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0 && errno != EINTR)
			return;
		for (int i = 0; i < n; i++)
			respond(b, i);
		for (int sent = 0, r; sent < n; sent += r)
			if ((r = sendmmsg(fd, b->message + sent, (unsigned)(n - sent), 0)) <= 0)
				break; /* UDP: what cannot be sent is lost */
	}
}

int main(int argc, char **argv)
{
	unsigned port;
	if (argc != 2 || parse_number(argv[1], 1, UINT16_MAX, &port) != OK) {
		fputs("usage: echo PORT\n", stderr);
		return 2;
	}
	struct batch *b = calloc(1, sizeof *b);
	int fd = open_socket((uint16_t)port);
	if (!b || fd < 0) {
		perror("echo");
		free(b);
		return 1;
	}
	serve(fd, b);
	perror("echo");
	free(b);
	return 1;
}
