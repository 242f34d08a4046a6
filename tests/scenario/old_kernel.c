// SPDX-License-Identifier: GPL-3.0-or-later
/* Preloaded by test_old_kernel.py: a kernel that does not know the newer socket options, and grants small buffers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

static int is_unknown(int level, int option, int value)
{
	if (level == SOL_SOCKET)
		return option == SO_REUSEPORT;
	if (level == IPPROTO_IP)
		return option == IP_PKTINFO || (option == IP_MTU_DISCOVER && value == IP_PMTUDISC_OMIT);
	if (level == IPPROTO_IPV6)
		return option == IPV6_RECVPKTINFO || (option == IPV6_MTU_DISCOVER && value == IPV6_PMTUDISC_OMIT);
	return 0;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	if (level == SOL_SOCKET && (option == SO_RCVBUFFORCE || option == SO_SNDBUFFORCE)) {
		errno = EPERM;
		return -1;
	}
	if (len == sizeof(int) && is_unknown(level, option, *(const int *)value)) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return ((typeof(&setsockopt))dlsym(RTLD_NEXT, "setsockopt"))(fd, level, option, value, len);
}
