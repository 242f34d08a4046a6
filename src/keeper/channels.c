// SPDX-License-Identifier: GPL-3.0-or-later
#include "keeper/channels.h"

#include <sys/socket.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "util/log.h"

enum { REPLY_WAIT_MS = 100 /* how long a full channel of the api may hold up the others */ };

void channels_init(struct channels *c)
{
	c->last_serial = 0;
	for (size_t i = 0; i < CHANNELS; i++)
		c->at[i] = (struct channel){.fd = -1};
}

void channels_close(struct channels *c, size_t i)
{
	close(c->at[i].fd);
	c->at[i] = (struct channel){.fd = -1};
}

void channels_close_all(struct channels *c)
{
	for (size_t i = 0; i < CHANNELS; i++)
		if (c->at[i].fd >= 0)
			channels_close(c, i);
}

/* NULL: no place is free from `first` to before `end`. */
static struct channel *take_place(
	struct channels *c, size_t first, size_t end, int fd, const struct asker *asker)
{
	for (size_t i = first; i < end; i++)
		if (c->at[i].fd < 0) {
			c->at[i] = (struct channel){fd, ++c->last_serial, *asker};
			return &c->at[i];
		}
	close(fd);
	return NULL;
}

struct channel *channels_add(struct channels *c, int fd, bool agent)
{
	struct channel *taken = take_place(c, 0, KEEPER_CHANNELS, fd, &(struct asker){.agent = agent});
	if (!taken)
		log_error("keeper", "too many askers; one was turned away");
	return taken;
}

static bool welcome(const struct ucred *peer, bool let_group_in)
{
	return let_group_in || peer->uid == 0 || peer->uid == geteuid();
}

struct channel *channels_accept(struct channels *c, int listener, bool let_group_in, bool *done)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	*done = fd < 0;
	if (fd < 0)
		return NULL;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || !welcome(&peer, let_group_in)) {
		log_warning("keeper", "somebody without the right to was turned away at the admin socket");
		close(fd);
		return NULL;
	}
	struct asker asker = {.admin = true, .uid = peer.uid};
	struct channel *taken = take_place(c, KEEPER_CHANNELS, CHANNELS, fd, &asker);
	if (!taken)
		log_warning("keeper", "too many connections to the admin socket; one was turned away");
	return taken;
}

struct channel_ref channels_ref(const struct channels *c, size_t i)
{
	return (struct channel_ref){i, c->at[i].serial};
}

static int send_patiently(int fd, const uint8_t *message, size_t len)
{
	int rc = ipc_send(fd, message, len);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	if (rc == ERR_AGAIN && poll(&p, 1, REPLY_WAIT_MS) > 0)
		rc = ipc_send(fd, message, len);
	return rc;
}

void channels_send(struct channels *c, struct channel_ref to, const uint8_t *message, size_t len)
{
	const struct channel *at = &c->at[to.index];
	if (at->fd < 0 || at->serial != to.serial)
		return;
	bool admin = at->asker.admin;
	int rc = admin ? ipc_send(at->fd, message, len) : send_patiently(at->fd, message, len);
	if (rc == ERR_AGAIN && !admin)
		log_warning("keeper", "a reply was lost: its asker does not read");
	else if (rc)
		channels_close(c, to.index);
}

void channels_watch(const struct channels *c, struct pollfd p[static CHANNELS])
{
	for (size_t i = 0; i < CHANNELS; i++)
		p[i] = (struct pollfd){.fd = c->at[i].fd, .events = POLLIN};
}
