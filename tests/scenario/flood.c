// SPDX-License-Identifier: GPL-3.0-or-later
/* Asks a name server from every address of a network at a given rate, as a forger would, and counts what comes
 * back; built and run by test_abuse.py in a network namespace where the whole network is local, so that the
 * answers arrive here. Prints the counts as one line of JSON.
 * usage: flood SERVER PORT RATE SECONDS NETWORK PREFIX-LENGTH QUERY-IN-HEX [RANDOM]
 * RANDOM: so many octets of the first label are new in each query. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

enum { BATCH = 64, SIZE = 1500, HEADER = 12, BUFFER = 64 << 20, SILENCE = 300, FIRST_LABEL = HEADER + 1 };

struct count {
	uint64_t packets, bytes;
};

struct flood {
	int fd;
	int family;
	struct sockaddr_storage server;
	socklen_t server_len;
	uint8_t network[16];
	unsigned bits; /* of the network that are fixed */
	uint8_t query[SIZE];
	size_t len, random;
	uint64_t state; /* of the generator: the flood is the same each time */
	struct count sent, whole, truncated, negative, other;
	uint64_t unsent;
};

static uint64_t next_random(struct flood *f)
{
	f->state ^= f->state << 13;
	f->state ^= f->state >> 7;
	f->state ^= f->state << 17;
	return f->state;
}

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static size_t address_size(const struct flood *f)
{
	return f->family == AF_INET ? 4 : 16;
}

static void random_source(struct flood *f, uint8_t *out)
{
	size_t size = address_size(f);
	for (size_t i = 0; i < size; i++) {
		unsigned fixed = f->bits > 8 * i ? f->bits - 8 * (unsigned)i : 0;
		uint8_t mask = fixed >= 8 ? 0xff : (uint8_t)(0xff << (8 - fixed));
		out[i] = (uint8_t)((f->network[i] & mask) | (next_random(f) & ~mask));
	}
	if (size == 4 && (out[3] == 0 || out[3] == 255))
		out[3] = 77;
}

/* Fills in where the datagram comes from. */
static size_t put_source(struct flood *f, struct cmsghdr *c)
{
	uint8_t source[16];
	random_source(f, source);
	if (f->family == AF_INET) {
		struct in_pktinfo p = {0};
		memcpy(&p.ipi_spec_dst, source, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof p);
		memcpy(CMSG_DATA(c), &p, sizeof p);
		return CMSG_SPACE(sizeof p);
	}
	struct in6_pktinfo p = {0};
	memcpy(&p.ipi6_addr, source, 16);
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof p);
	memcpy(CMSG_DATA(c), &p, sizeof p);
	return CMSG_SPACE(sizeof p);
}

static void put_query(struct flood *f, uint8_t *out)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	memcpy(out, f->query, f->len);
	uint64_t id = next_random(f);
	out[0] = (uint8_t)id;
	out[1] = (uint8_t)(id >> 8);
	for (size_t i = 0; i < f->random; i++)
		out[FIRST_LABEL + i] = (uint8_t)letters[next_random(f) & 31];
}

static void send_some(struct flood *f, unsigned count)
{
	static uint8_t data[BATCH][SIZE];
	static _Alignas(struct cmsghdr) uint8_t control[BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct iovec vectors[BATCH];
	struct mmsghdr messages[BATCH];
	memset(messages, 0, sizeof messages);
	for (unsigned i = 0; i < count; i++) {
		put_query(f, data[i]);
		vectors[i] = (struct iovec){data[i], f->len};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &f->server,
			.msg_namelen = f->server_len,
			.msg_iov = &vectors[i],
			.msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = put_source(f, (struct cmsghdr *)control[i])};
	}
	for (unsigned done = 0; done < count;) {
		int n = sendmmsg(f->fd, messages + done, count - done, 0);
		if (n > 0) {
			done += (unsigned)n;
			f->sent.packets += (unsigned)n;
			f->sent.bytes += (unsigned)n * f->len;
		} else if (errno != EINTR) { /* an ICMP error of an earlier one: the datagram itself was not sent */
			f->unsent++;
			done++;
		}
	}
}

static void add(struct count *c, size_t len)
{
	c->packets++;
	c->bytes += len;
}

static void classify(struct flood *f, const uint8_t *reply, size_t len)
{
	if (len < HEADER || !(reply[2] & 0x80))
		add(&f->other, len);
	else if (reply[2] & 2)
		add(&f->truncated, len);
	else if ((reply[3] & 15) == 3)
		add(&f->negative, len);
	else if (reply[3] & 15)
		add(&f->other, len);
	else
		add(&f->whole, len);
}

static int receive_some(struct flood *f)
{
	static uint8_t data[BATCH][SIZE];
	struct iovec vectors[BATCH];
	struct mmsghdr messages[BATCH];
	memset(messages, 0, sizeof messages);
	for (unsigned i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){data[i], SIZE};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
	}
	int n = recvmmsg(f->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		classify(f, data[i], messages[i].msg_len);
	return n;
}

static void wait_for_replies(const struct flood *f, int milliseconds)
{
	struct pollfd p = {.fd = f->fd, .events = POLLIN};
	poll(&p, 1, milliseconds);
}

static uint64_t replies(const struct flood *f)
{
	return f->whole.packets + f->truncated.packets + f->negative.packets + f->other.packets;
}

static void run(struct flood *f, double rate, double seconds)
{
	int64_t start = now_us(), end = start + (int64_t)(seconds * 1e6);
	for (int64_t now = start; now < end; now = now_us()) {
		uint64_t due = (uint64_t)((double)(now - start) * rate / 1e6), done = f->sent.packets + f->unsent;
		unsigned count = due > done ? (unsigned)(due - done < BATCH ? due - done : BATCH) : 0;
		if (count)
			send_some(f, count);
		if (receive_some(f) <= 0 && count < BATCH)
			wait_for_replies(f, 1);
	}
	for (int64_t quiet = now_us(); replies(f) < f->sent.packets && now_us() - quiet < SILENCE * 1000;) {
		if (receive_some(f) > 0)
			quiet = now_us();
		else
			wait_for_replies(f, 10);
	}
}

static int open_socket(struct flood *f)
{
	int size = BUFFER, on = 1;
	struct sockaddr_storage any = {.ss_family = (sa_family_t)f->family};
	f->fd = socket(f->family, SOCK_DGRAM, 0);
	if (f->fd < 0 || setsockopt(f->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
		return -1;
	setsockopt(f->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
	if (f->family == AF_INET6 && setsockopt(f->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
		return -1;
	return bind(f->fd, (struct sockaddr *)&any, f->server_len);
}

static int read_address(struct flood *f, const char *server, const char *port, const char *network)
{
	uint16_t number = htons((uint16_t)atoi(port));
	f->family = strchr(server, ':') ? AF_INET6 : AF_INET;
	f->server.ss_family = (sa_family_t)f->family;
	if (f->family == AF_INET) {
		struct sockaddr_in *four = (struct sockaddr_in *)&f->server;
		four->sin_port = number;
		f->server_len = sizeof *four;
		return inet_pton(AF_INET, server, &four->sin_addr) == 1 && inet_pton(AF_INET, network, f->network) == 1;
	}
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&f->server;
	six->sin6_port = number;
	f->server_len = sizeof *six;
	return inet_pton(AF_INET6, server, &six->sin6_addr) == 1 && inet_pton(AF_INET6, network, f->network) == 1;
}

static void read_query(struct flood *f, const char *hex)
{
	unsigned byte;
	for (; f->len < SIZE && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		f->query[f->len++] = (uint8_t)byte;
}

static void print_count(const char *name, const struct count *c, const char *end)
{
	printf("\"%s\": [%llu, %llu]%s", name, (unsigned long long)c->packets, (unsigned long long)c->bytes, end);
}

int main(int argc, char **argv)
{
	static struct flood f = {.state = 0x9e3779b97f4a7c15};
	if (argc < 8 || !read_address(&f, argv[1], argv[2], argv[5]))
		return 2;
	f.bits = (unsigned)atoi(argv[6]);
	read_query(&f, argv[7]);
	f.random = argc > 8 ? (size_t)atoi(argv[8]) : 0;
	if (f.len < HEADER || FIRST_LABEL + f.random > f.len || open_socket(&f)) {
		perror("flood");
		return 2;
	}
	run(&f, atof(argv[3]), atof(argv[4]));

	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t size = sizeof memory;
	getsockopt(f.fd, SOL_SOCKET, SO_MEMINFO, memory, &size);
	printf("{");
	print_count("sent", &f.sent, ", ");
	print_count("whole", &f.whole, ", ");
	print_count("truncated", &f.truncated, ", ");
	print_count("negative", &f.negative, ", ");
	print_count("other", &f.other, ", ");
	printf("\"dropped_here\": %u, \"unsent\": %llu}\n", memory[SK_MEMINFO_DROPS], (unsigned long long)f.unsent);
	return 0;
}
