// SPDX-License-Identifier: GPL-3.0-or-later
/* The sockets of those who ask. One thread. */
#pragma once

#include <poll.h>
#include <stdbool.h>

#include "keeper/keeper.h"

enum { CHANNELS = KEEPER_CHANNELS + KEEPER_ADMIN_CHANNELS };

/* Who asks. */
struct asker {
	bool agent;   /* on the channel that the supervisor made for the agent */
	bool admin;   /* on the admin socket */
	uint32_t uid; /* then: the user id of the process that connected */
};

struct channel {
	int fd;          /* -1: free */
	uint64_t serial; /* no other channel, now or later, has it */
	struct asker asker;
};

struct channels {
	uint64_t last_serial;
	struct channel at[CHANNELS]; /* first those of the api, then those of the admin socket */
};

/* A channel that may be gone by the time it is needed. */
struct channel_ref {
	size_t index;
	uint64_t serial;
};

void channels_init(struct channels *c);
void channels_close(struct channels *c, size_t i);
void channels_close_all(struct channels *c);

/* Takes over the socket of an api, or of the agent. NULL: no place is free, and the socket was closed. */
struct channel *channels_add(struct channels *c, int fd, bool agent);
/* Takes the next who waits at the listening admin socket. NULL: nobody (else); *done says so. Otherwise NULL:
 * turned away, because all places are taken or because of who it is (see keeper.h). */
struct channel *channels_accept(struct channels *c, int listener, bool let_group_in, bool *done);

struct channel_ref channels_ref(const struct channels *c, size_t i);
/* Sends a message. A channel that stays full loses it (its request then times out there), one that is broken
 * is closed. One on the admin socket is closed in both cases: it must not hold up the others. */
void channels_send(struct channels *c, struct channel_ref to, const uint8_t *message, size_t len);

/* Free places hold -1, which poll() passes over. */
void channels_watch(const struct channels *c, struct pollfd p[static CHANNELS]);
