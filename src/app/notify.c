// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

static void tell(const struct notify *n, const char *message)
{
	if (n->fd >= 0 && send(n->fd, message, strlen(message), MSG_NOSIGNAL) < 0)
		log_debug("app", "the service manager cannot be told: %s", message);
}

/* A path, or with a leading "@" an abstract name. */
static int connect_to(const char *address)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	size_t len = strlen(address);
	if ((address[0] != '/' && address[0] != '@') || len < 2 || len >= sizeof at.sun_path)
		return -1;
	memcpy(at.sun_path, address, len);
	if (address[0] == '@')
		at.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, size)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int64_t watchdog_interval(void)
{
	const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (!text || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	int64_t us = strtoll(text, NULL, 10);
	return us > 0 ? us / 2000 + 1 : 0; /* twice as often as must be */
}

void notify_begin(struct notify *n)
{
	const char *address = getenv("NOTIFY_SOCKET");
	*n = (struct notify){.fd = address ? connect_to(address) : -1, .watchdog = watchdog_interval()};
	if (address && n->fd < 0)
		log_warning("app", "cannot tell the service manager at %s that the server is ready", address);
	if (unsetenv("NOTIFY_SOCKET") || unsetenv("WATCHDOG_USEC") || unsetenv("WATCHDOG_PID"))
		log_debug("app", "cannot change the environment");
}

void notify_end(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

static void tell_status(const struct notify *n, const char *status)
{
	char message[256];
	if (!text_format(message, sizeof message, "READY=1\nSTATUS=%s\n", status))
		tell(n, message);
}

void notify_ready(struct notify *n, const char *status)
{
	n->ready = true;
	tell_status(n, status);
}

/* MONOTONIC_USEC is for Type=notify-reload; others pass over it. */
void notify_reloading(struct notify *n)
{
	char message[128];
	n->ready = false;
	if (!text_format(message, sizeof message,
		    "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Loading the configuration\n",
		    (long long)clock_mono_ms() * 1000))
		tell(n, message);
}

void notify_stopping(struct notify *n)
{
	n->ready = true; /* whatever is still starting, nobody waits for it */
	tell(n, "STOPPING=1\nSTATUS=Finishing requests\n");
}

int64_t notify_alive(struct notify *n, int64_t now, int64_t wait)
{
	if (n->fd < 0 || !n->watchdog)
		return wait;
	if (now >= n->due) {
		tell(n, "WATCHDOG=1\n");
		n->due = now + n->watchdog;
	}
	return n->due - now < wait ? n->due - now : wait;
}
