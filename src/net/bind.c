// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/internal.h"

enum {
	/* Bound the kernel's memory for peers that do not read, or that send while we do not. Left alone the
	 * kernel would grow them to megabytes. */
	TCP_SEND_BUFFER = 64 << 10,
	TCP_RECEIVE_BUFFER = 32 << 10,
	TCP_BACKLOG = 1024,
};

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) ? ERR_SYSTEM : OK;
}

static bool is_wildcard(const struct sockaddr_storage *at)
{
	if (at->ss_family == AF_INET)
		return ((const struct sockaddr_in *)at)->sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)at)->sin6_addr);
}

/* More than net.core.rmem_max takes CAP_NET_ADMIN. Whatever the kernel grants will do: a smaller buffer only
 * loses more in a burst. */
static void grow_buffer(int fd, int forced, int plain)
{
	if (set_option(fd, SOL_SOCKET, forced, UDP_BUFFER) != OK &&
		set_option(fd, SOL_SOCKET, plain, UDP_BUFFER) != OK)
		return;
}

/* We never fragment (RFC 9715 section 3.1, R1 and R2). No answer is longer than 1232 bytes, 1280 with its
 * headers, which every IPv6 link carries (RFC 8200 section 5). What could still make the kernel cut them up
 * is a smaller path MTU learnt from an ICMP message, and those can be forged to have fragments to forge: so
 * path MTUs are not believed. DF stays clear on IPv4, since with it an answer would be lost on the rare path
 * below 1280, and nobody would tell us. An old kernel without the option is told at least not to discover
 * MTUs; it can still be made to fragment over IPv4, so that is a fallback only. */
static void ignore_path_mtu(int fd, bool six)
{
	int e = six ? set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT)
		    : set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
	if (e)
		e = six ? set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
			: set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	(void)e; /* net_report_kernel() says what is missing, here and in the next one */
}

/* On a host with several addresses the answer must come from the one that was asked (RFC 2181 section 4.1); a
 * wildcard socket learns it with every datagram. */
static void learn_destination(int fd, bool six)
{
	int e = six ? set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
		    : set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
	(void)e;
}

static void prepare_udp(int fd, const struct sockaddr_storage *at)
{
	bool six = at->ss_family == AF_INET6;
	grow_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	grow_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	ignore_path_mtu(fd, six);
	if (is_wildcard(at))
		learn_destination(fd, six);
}

/* Accepted connections inherit the options of their listener. */
static int prepare_tcp(int fd)
{
	int e = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!e)
		e = set_option(fd, SOL_SOCKET, SO_SNDBUF, TCP_SEND_BUFFER);
	if (!e)
		e = set_option(fd, SOL_SOCKET, SO_RCVBUF, TCP_RECEIVE_BUFFER);
	if (!e)
		e = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return e;
}

static int prepare(int fd, int type, bool shared, const struct sockaddr_storage *at)
{
	int e = shared ? set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) : OK;
	if (!e && at->ss_family == AF_INET6)
		e = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!e && type == SOCK_STREAM)
		e = prepare_tcp(fd);
	if (!e && type == SOCK_DGRAM)
		prepare_udp(fd, at);
	return e;
}

static int open_bound(const struct endpoint *e, int type, bool shared, int *out)
{
	struct sockaddr_storage at;
	socklen_t len = endpoint_to_sockaddr(e, &at);
	int fd = socket(at.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_SYSTEM;
	if (prepare(fd, type, shared, &at) || bind(fd, (struct sockaddr *)&at, len) ||
		(type == SOCK_STREAM && listen(fd, TCP_BACKLOG))) {
		int cause = errno; /* the caller's to report; close() may change it */
		close(fd);
		errno = cause;
		return ERR_SYSTEM;
	}
	*out = fd;
	return OK;
}

int net_udp_bind(const struct endpoint *e, bool shared, int *fd)
{
	return open_bound(e, SOCK_DGRAM, shared, fd);
}

int net_tcp_listen(const struct endpoint *e, bool shared, int *fd)
{
	return open_bound(e, SOCK_STREAM, shared, fd);
}

int net_adopt(const struct endpoint *e, int fd)
{
	struct sockaddr_storage at;
	int type = 0, flags = fcntl(fd, F_GETFL);
	socklen_t len = sizeof type;
	endpoint_to_sockaddr(e, &at);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC) ||
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return ERR_SYSTEM;
	if (type == SOCK_STREAM)
		return prepare_tcp(fd);
	prepare_udp(fd, &at);
	return OK;
}
