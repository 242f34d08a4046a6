// SPDX-License-Identifier: GPL-3.0-or-later
/* What the kernel may lack, tried on sockets of our own: so that it is said once, not by each worker for each
 * socket. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/internal.h"
#include "net/net.h"
#include "util/log.h"

struct feature {
	int family, level, option, value;
	const char *without; /* what follows when it is missing */
};

static const struct feature share = {AF_INET, SOL_SOCKET, SO_REUSEPORT, 1,
	"SO_REUSEPORT is missing: the workers share one socket for each endpoint, and wake up together"};

static const struct feature others[] = {
	{AF_INET, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT,
		"IP_PMTUDISC_OMIT is missing: forged ICMP messages can have answers over IPv4 fragmented"},
	{AF_INET6, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT,
		"IPV6_PMTUDISC_OMIT is missing: path MTUs of IPv6 are believed"},
	{AF_INET, IPPROTO_IP, IP_PKTINFO, 1,
		"IP_PKTINFO is missing: on a host with several addresses, list them in dns.listen instead of "
		"0.0.0.0"},
	{AF_INET6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1,
		"IPV6_RECVPKTINFO is missing: on a host with several addresses, list them in dns.listen "
		"instead of [::]"},
};

/* Where there are no sockets of that family, there is nothing to miss. */
static bool has(const struct feature *f)
{
	int fd = socket(f->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	bool ok = setsockopt(fd, f->level, f->option, &f->value, sizeof f->value) == 0;
	close(fd);
	return ok;
}

bool net_can_share(void)
{
	return has(&share);
}

/* The kernel reports twice of what was granted, because of its own bookkeeping. */
static void report_buffer(int udp)
{
	int size;
	socklen_t len = sizeof size;
	if (getsockopt(udp, SOL_SOCKET, SO_RCVBUF, &size, &len) || size / 2 >= UDP_BUFFER)
		return;
	log_info("net",
		"the kernel grants UDP buffers of %d KiB only, so more is lost when queries come in bursts; "
		"\"sysctl net.core.rmem_max=%d\" lifts that",
		size / 2 >> 10, UDP_BUFFER);
}

void net_report_kernel(int udp)
{
	if (!has(&share))
		log_warning("net", "%s", share.without);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (!has(&others[i]))
			log_warning("net", "%s", others[i].without);
	report_buffer(udp);
}
