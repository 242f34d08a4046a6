// SPDX-License-Identifier: GPL-3.0-or-later
/* Sockets from a service manager: the protocol of sd_listen_fds(3). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/address.h"
#include "util/diag.h"
#include "util/error.h"

/* For messages: how systemd makes other sockets out of a changed configuration (see socket_unit.c). */
#define APP_NEW_SOCKETS "systemctl daemon-reload; systemctl stop acme-delegate; systemctl start acme-delegate"

enum { ACTIVATION_NAME = 64, ACTIVATION_PATH = 108 };

struct passed_socket {
	int fd; /* -1: taken */
	int type;
	bool local;                 /* AF_UNIX: */
	char path[ACTIVATION_PATH]; /* empty: it has none */
	struct endpoint endpoint;   /* otherwise */
	char name[ACTIVATION_NAME]; /* FileDescriptorName= of the unit */
};

struct activation {
	struct passed_socket *sockets;
	size_t count;
};

/* Takes the sockets passed to this process, if any: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES are read and
 * removed. ERR_INVALID: what was passed cannot be used, said in `d`. ERR_NOMEM. */
int activation_begin(struct diag *d, struct activation *out) MUST_USE;

/* How many sockets of that type (SOCK_DGRAM or SOCK_STREAM) are bound to the endpoint. */
size_t activation_count(const struct activation *a, int type, const struct endpoint *e);
/* Takes one of them; the caller closes it. -1: there is none (left). */
int activation_take(struct activation *a, int type, const struct endpoint *e);
/* The same, listening at a path, SOCK_SEQPACKET. */
int activation_take_local(struct activation *a, const char *path);

/* ERR_INVALID: sockets are left that nothing was configured for, said in `d`. */
int activation_check_all_taken(const struct activation *a, struct diag *d) MUST_USE;
void activation_end(struct activation *a); /* closes what is left; accepts the zero state */
