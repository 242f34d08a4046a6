// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/activation.h"
#include "app/internal.h"
#include "net/net.h"

enum { TCP_SHARE_MIN = 16 }; /* connections of one process, however few are configured */

typedef int bind_fn(const struct endpoint *e, bool shared, int *fd);

static void explain(struct diag *d, const struct endpoint *e, const char *what)
{
	char text[ENDPOINT_TEXT];
	int code = errno;
	endpoint_format(e, text);
	const char *advice =
		code == EADDRINUSE ? "; stop the other program or listen on another address"
		: code == EACCES
			? "; ports below 1024 need root, CAP_NET_BIND_SERVICE, or sockets from systemd: see "
			  "what \"systemctl status acme-delegate.socket\" says, and after a change of "
			  "addresses use: " APP_NEW_SOCKETS
		: code == EADDRNOTAVAIL ? "; this machine does not have that address"
					: "";
	diag_error(d, NULL, 0, "cannot listen on %s (%s): %s%s", text, what, strerror(code), advice);
}

/* A socket with SO_REUSEPORT would also bind beside another server's, and the kernel would split the clients
 * between the two. One that does not share finds out whether the endpoint is free. Where the kernel cannot
 * share, that one serves everybody. */
static int bind_shared(bind_fn *bind, const struct endpoint *e, int *fds, size_t stride, unsigned count)
{
	int first;
	if (bind(e, false, &first))
		return ERR_SYSTEM;
	bool share = net_can_share();
	if (share)
		close(first);
	else
		fds[0] = first;
	for (unsigned i = share ? 0 : 1; i < count; i++) {
		int *fd = &fds[i * stride];
		if (share && bind(e, true, fd))
			return ERR_SYSTEM;
		if (!share && (*fd = fcntl(first, F_DUPFD_CLOEXEC, 0)) < 0)
			return ERR_SYSTEM;
	}
	return OK;
}

/* Inherited ones: each worker has one, and where there are fewer, some have the same. More than workers would
 * be left without anybody who reads them, and the kernel gives each its share of the clients. */
static int share_passed(struct activation *a, int type, const struct endpoint *e, int *fds, size_t stride,
	unsigned workers, struct diag *d)
{
	unsigned count = (unsigned)activation_count(a, type, e);
	if (count > workers) {
		char text[ENDPOINT_TEXT];
		endpoint_format(e, text);
		diag_error(d, NULL, 0,
			"the service manager passed %u sockets for %s, but there are %u workers; set dns.workers: %u",
			count, text, workers, count);
		return ERR_INVALID;
	}
	for (unsigned i = 0; i < workers; i++) {
		int *fd = &fds[i * stride];
		*fd = i < count ? activation_take(a, type, e)
				: fcntl(fds[(i - count) * stride], F_DUPFD_CLOEXEC, 0);
		if (*fd < 0 || net_adopt(e, *fd))
			return ERR_SYSTEM;
	}
	return OK;
}

static int open_shared(
	struct activation *a, const struct endpoint *e, int type, int *fds, struct sockets *s, struct diag *d)
{
	if (activation_count(a, type, e))
		return share_passed(a, type, e, fds, s->dns_count, s->workers, d);
	return bind_shared(
		type == SOCK_DGRAM ? net_udp_bind : net_tcp_listen, e, fds, s->dns_count, s->workers);
}

/* One per core, and none is tied to its core: measured with two workers on two cores, pinning lowered neither
 * the time per query (4.1 against 4.0 us at full load) nor delays, and a worker that is free can move away
 * from whatever else its core has to do. */
unsigned sockets_workers(const struct conf *c)
{
	cpu_set_t cpus;
	if (c->dns.workers)
		return c->dns.workers;
	/* The cores this process may use, which in a container can be fewer than the machine has. */
	if (sched_getaffinity(0, sizeof cpus, &cpus))
		return 1;
	return (unsigned)CPU_COUNT(&cpus);
}

/* Whoever made the sockets may have counted other cores: if the number is left to us, it is theirs. */
static unsigned worker_count(const struct conf *c, const struct activation *a)
{
	unsigned count = sockets_workers(c);
	for (size_t i = 0; i < c->dns.listen_count && !c->dns.workers; i++) {
		unsigned passed = (unsigned)activation_count(a, SOCK_DGRAM, &c->dns.listen[i]);
		count = passed > count ? passed : count;
	}
	return count;
}

static int *new_fds(size_t count)
{
	int *fds = calloc(count + 1, sizeof *fds); /* none is no lack of memory */
	for (size_t i = 0; fds && i < count; i++)
		fds[i] = -1;
	return fds;
}

static int open_once(struct activation *a, const struct endpoint *e, int *fd)
{
	*fd = activation_take(a, SOCK_STREAM, e);
	return *fd < 0 ? net_tcp_listen(e, false, fd) : net_adopt(e, *fd);
}

static void bind_once(struct activation *a, const struct endpoint *all, size_t count, const char *what,
	int *fds, struct diag *d)
{
	for (size_t i = 0; i < count; i++)
		if (open_once(a, &all[i], &fds[i]))
			explain(d, &all[i], what);
}

static int bind_all(const struct conf *c, struct diag *d, struct activation *a, struct sockets *s)
{
	size_t before = diag_errors(d);
	for (size_t i = 0; i < s->dns_count; i++) {
		const struct endpoint *e = &c->dns.listen[i];
		int rc = open_shared(a, e, SOCK_DGRAM, s->udp + i, s, d);
		if (rc == ERR_SYSTEM)
			explain(d, e, "DNS, UDP");
		if (rc)
			continue;
		rc = open_shared(a, e, SOCK_STREAM, s->tcp + i, s, d);
		if (rc == ERR_SYSTEM)
			explain(d, e, "DNS, TCP");
	}
	bind_once(a, c->dns.tls_listen, s->dot_count, "DNS over TLS", s->dot, d);
	bind_once(a, c->api.listen, s->api_count, "API", s->api, d);
	bind_once(a, c->metrics.listen, s->metrics_count, "metrics", s->metrics, d);
	if (c->admin.socket)
		s->admin.fd = activation_take_local(a, c->admin.socket);
	if (diag_errors(d) == before && activation_check_all_taken(a, d))
		return ERR_INVALID;
	if (diag_errors(d) == before && s->admin.fd < 0 && operator_bind(c, d, &s->admin))
		return ERR_SYSTEM;
	return diag_errors(d) > before ? ERR_SYSTEM : OK;
}

int sockets_bind(const struct conf *c, struct diag *d, struct sockets *out)
{
	struct activation a;
	*out = (struct sockets){.admin.fd = -1};
	int rc = activation_begin(d, &a);
	if (rc)
		return rc;
	*out = (struct sockets){.workers = worker_count(c, &a),
		.dns_count = c->dns.listen_count,
		.dot_count = c->dns.tls_listen_count,
		.api_count = c->api.listen_count,
		.metrics_count = c->metrics.listen_count,
		.admin.fd = -1};
	out->udp = new_fds(out->workers * out->dns_count);
	out->tcp = new_fds(out->workers * out->dns_count);
	out->dot = new_fds(out->dot_count);
	out->api = new_fds(out->api_count);
	out->metrics = new_fds(out->metrics_count);
	rc = out->udp && out->tcp && out->dot && out->api && out->metrics ? bind_all(c, d, &a, out)
									  : ERR_NOMEM;
	activation_end(&a);
	if (rc)
		sockets_close(out);
	return rc;
}

static size_t tcp_share(const struct sockets *s, const struct conf *c)
{
	size_t share = c->dns.tcp_connections / (s->workers + (s->dot_count > 0));
	return share < TCP_SHARE_MIN ? TCP_SHARE_MIN : share;
}

struct dns_sockets sockets_of_worker(const struct sockets *s, const struct conf *c, unsigned index)
{
	size_t first = index * s->dns_count;
	return (struct dns_sockets){.udp = s->udp + first,
		.tcp = s->tcp + first,
		.count = s->dns_count,
		.workers = s->workers,
		.tcp_connections = tcp_share(s, c)};
}

struct dns_sockets sockets_of_dot(const struct sockets *s, const struct conf *c)
{
	return (struct dns_sockets){
		.tls = s->dot, .tls_count = s->dot_count, .tcp_connections = tcp_share(s, c)};
}

static void close_fds(int *fds, size_t count)
{
	for (size_t i = 0; fds && i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(fds);
}

void sockets_close(struct sockets *s)
{
	close_fds(s->udp, s->workers * s->dns_count);
	close_fds(s->tcp, s->workers * s->dns_count);
	close_fds(s->dot, s->dot_count);
	close_fds(s->api, s->api_count);
	close_fds(s->metrics, s->metrics_count);
	if (s->admin.fd >= 0)
		close(s->admin.fd);
	*s = (struct sockets){.admin.fd = -1};
}
