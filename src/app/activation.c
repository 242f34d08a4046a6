// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/text.h"

enum { FIRST = 3, MOST = 1024 }; /* the first is SD_LISTEN_FDS_START */

/* A decimal number of the environment; 0: none, or nonsense. */
static unsigned long number_of(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	return errno || *end ? 0 : n;
}

/* The names are separated by colons; there may be fewer than sockets. */
static const char *take_name(const char *names, char out[static ACTIVATION_NAME])
{
	size_t len = names ? strcspn(names, ":") : 0;
	if (text_format(out, ACTIVATION_NAME, "%.*s", (int)len, len ? names : ""))
		*out = 0; /* only said in messages */
	return names && names[len] ? names + len + 1 : NULL;
}

static int option_of(int fd, int level, int option)
{
	int value = 0;
	socklen_t len = sizeof value;
	return getsockopt(fd, level, option, &value, &len) ? -1 : value;
}

static const char *describe(const struct passed_socket *s, char out[static 256])
{
	char text[ENDPOINT_TEXT];
	if (!s->local)
		endpoint_format(&s->endpoint, text);
	const char *type = s->local ? "" : s->type == SOCK_DGRAM ? " (UDP)" : " (TCP)";
	if (text_format(out, 256, "%s%s%s%s%s", s->local ? s->path : text, type, *s->name ? " of " : "",
		    s->name, *s->name ? ", a unit's socket" : ""))
		*out = 0; /* cannot be: all of it fits */
	return out;
}

/* A datagram socket must be bound, the others must listen, and IPv6 must not take IPv4 too: its clients would
 * be seen on a socket whose settings are those of IPv6. */
static int check(const struct passed_socket *s, struct diag *d)
{
	char what[256];
	bool six = !s->local && !address_is_ipv4(&s->endpoint.address);
	if (s->type != SOCK_DGRAM && option_of(s->fd, SOL_SOCKET, SO_ACCEPTCONN) != 1) {
		diag_error(d, NULL, 0,
			"the service manager passed %s, which does not listen; is Accept=no set?",
			describe(s, what));
		return ERR_INVALID;
	}
	if (six && option_of(s->fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0) {
		diag_error(d, NULL, 0,
			"the service manager passed %s, which takes IPv4, too; set BindIPv6Only=ipv6-only in the "
			".socket unit, and list 0.0.0.0 and [::] both",
			describe(s, what));
		return ERR_INVALID;
	}
	return OK;
}

static int examine(struct passed_socket *s, struct diag *d)
{
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		struct sockaddr_storage room;
	} at = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof at;
	s->type = option_of(s->fd, SOL_SOCKET, SO_TYPE);
	if (s->type < 0 || getsockname(s->fd, &at.any, &len) || fcntl(s->fd, F_SETFD, FD_CLOEXEC)) {
		diag_error(d, NULL, 0, "descriptor %d, which the service manager passed, is no socket: %s",
			s->fd, strerror(errno));
		return ERR_INVALID;
	}
	s->local = at.any.sa_family == AF_UNIX;
	if (s->local) {
		if (text_format(s->path, sizeof s->path, "%.*s", (int)sizeof at.local.sun_path,
			    at.local.sun_path))
			*s->path = 0; /* matches nothing */
	} else if (address_from_sockaddr(&at.any, len, &s->endpoint)) {
		diag_error(d, NULL, 0,
			"descriptor %d, which the service manager passed, is neither of IPv4, IPv6 nor local",
			s->fd);
		return ERR_INVALID;
	}
	return check(s, d);
}

int activation_begin(struct diag *d, struct activation *out)
{
	unsigned long count = number_of("LISTEN_FDS");
	bool ours = number_of("LISTEN_PID") == (unsigned long)getpid();
	const char *names = getenv("LISTEN_FDNAMES");
	int rc = OK;
	*out = (struct activation){.count = 0};
	if (!ours || !count || count > MOST)
		return OK; /* another process's, as its environment was inherited */
	out->sockets = calloc(count, sizeof *out->sockets);
	if (!out->sockets)
		return ERR_NOMEM;
	for (; !rc && out->count < count; out->count++) {
		struct passed_socket *s = &out->sockets[out->count];
		s->fd = FIRST + (int)out->count;
		names = take_name(names, s->name);
		rc = examine(s, d);
	}
	if (unsetenv("LISTEN_PID") || unsetenv("LISTEN_FDS") || unsetenv("LISTEN_FDNAMES"))
		rc = rc ? rc : ERR_SYSTEM;
	if (rc)
		activation_end(out);
	return rc;
}

static bool matches(const struct passed_socket *s, int type, const struct endpoint *e)
{
	return s->fd >= 0 && !s->local && s->type == type && s->endpoint.port == e->port &&
	       address_equal(&s->endpoint.address, &e->address);
}

size_t activation_count(const struct activation *a, int type, const struct endpoint *e)
{
	size_t count = 0;
	for (size_t i = 0; i < a->count; i++)
		count += matches(&a->sockets[i], type, e);
	return count;
}

static int take(struct passed_socket *s)
{
	int fd = s->fd;
	s->fd = -1;
	return fd;
}

int activation_take(struct activation *a, int type, const struct endpoint *e)
{
	for (size_t i = 0; i < a->count; i++)
		if (matches(&a->sockets[i], type, e))
			return take(&a->sockets[i]);
	return -1;
}

int activation_take_local(struct activation *a, const char *path)
{
	for (size_t i = 0; i < a->count; i++) {
		struct passed_socket *s = &a->sockets[i];
		if (s->fd >= 0 && s->local && s->type == SOCK_SEQPACKET && strcmp(s->path, path) == 0)
			return take(s);
	}
	return -1;
}

int activation_check_all_taken(const struct activation *a, struct diag *d)
{
	char what[256];
	int rc = OK;
	for (size_t i = 0; i < a->count; i++) {
		if (a->sockets[i].fd < 0)
			continue;
		rc = ERR_INVALID;
		diag_error(d, NULL, 0,
			"the service manager passed %s, for which nothing is configured; list that address in "
			"dns.listen or another listen key, or take it out of the .socket unit; after a change "
			"of addresses use: " APP_NEW_SOCKETS,
			describe(&a->sockets[i], what));
	}
	return rc;
}

void activation_end(struct activation *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->sockets[i].fd >= 0)
			close(a->sockets[i].fd);
	free(a->sockets);
	*a = (struct activation){.count = 0};
}
