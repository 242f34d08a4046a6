// SPDX-License-Identifier: GPL-3.0-or-later
/* The command line's side of the admin socket. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/internal.h"
#include "ipc/ipc.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

enum { TICK_MS = 250, CONNECT_TRIES = 20 };

struct app_admin {
	struct conf *conf;
	struct ipc_client *client;
	struct sockaddr_un address;
	struct ipc_reply *reply; /* where the one that is waited for goes */
	bool done, answered;
};

static void explain(const struct app_admin *a)
{
	const char *path = a->address.sun_path;
	if (errno == EACCES || errno == EPERM)
		fprintf(stderr,
			"%s: no permission; run this as root, as the account the server runs as, or as a member of "
			"admin.group\n",
			path);
	else if (errno == ENOENT || errno == ECONNREFUSED)
		fprintf(stderr,
			"%s: no server listens there; start it, or name its configuration with -c FILE\n",
			path);
	else
		fprintf(stderr, "%s: cannot connect: %s\n", path, strerror(errno));
}

/* ERR_SYSTEM: errno says why. */
static int connect_once(struct app_admin *a)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_SYSTEM;
	if (connect(fd, (const struct sockaddr *)&a->address, sizeof a->address)) {
		int code = errno;
		close(fd);
		errno = code;
		return ERR_SYSTEM;
	}
	int rc = ipc_client_new(fd, &a->client);
	if (rc)
		close(fd);
	return rc;
}

/* The supervisor holds the socket while the keeper is started again; but its queue may be full. */
static int reconnect(struct app_admin *a)
{
	ipc_client_free(&a->client);
	for (int i = 0; i < CONNECT_TRIES; i++) {
		if (!connect_once(a))
			return OK;
		if (errno != EAGAIN)
			break;
		(void)!poll(NULL, 0, TICK_MS);
	}
	return ERR_CLOSED;
}

static int find_socket(struct app_admin *a, const char *file, const char *path)
{
	struct diag *d = diag_new();
	int rc = d ? OK : ERR_NOMEM;
	if (!rc && (file || !path))
		rc = file ? conf_load(file, d, &a->conf) : conf_local(d, &a->conf);
	if (d && rc)
		diag_print(d, stderr);
	if (rc && (!d || !diag_errors(d)))
		fprintf(stderr, "cannot ask the server: %s\n", error_text(rc));
	diag_free(&d);
	if (rc)
		return rc;
	path = path ? path : a->conf->admin.socket;
	a->address.sun_family = AF_UNIX;
	if (!path || text_format(a->address.sun_path, sizeof a->address.sun_path, "%s", path)) {
		fprintf(stderr, "%s\n",
			path ? "the path of the admin socket is too long" : "there is no admin socket");
		return ERR_INVALID;
	}
	return OK;
}

/* Who names no server has a local instance, or else the one of the machine. */
static int connect_somewhere(struct app_admin *a, bool anywhere)
{
	static const struct sockaddr_un machine = {.sun_family = AF_UNIX, .sun_path = CONF_ADMIN_SOCKET};
	int rc = connect_once(a);
	if (!rc || !anywhere || (errno != ENOENT && errno != ECONNREFUSED))
		return rc;
	const struct sockaddr_un local = a->address;
	a->address = machine;
	rc = connect_once(a);
	if (!rc)
		conf_free(&a->conf); /* of the local instance */
	else if (errno == ENOENT || errno == ECONNREFUSED)
		a->address = local;
	return rc;
}

int app_admin_open(const char *file, const char *socket_path, struct app_admin **out)
{
	struct app_admin *a = *out = calloc(1, sizeof *a);
	if (!a) {
		fprintf(stderr, "%s\n", error_text(ERR_NOMEM));
		return APP_FAILED;
	}
	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	if (find_socket(a, file, socket_path)) {
		app_admin_close(out);
		return APP_USAGE;
	}
	if (connect_somewhere(a, !file && !socket_path)) {
		explain(a);
		app_admin_close(out);
		return APP_FAILED;
	}
	return APP_OK;
}

void app_admin_close(struct app_admin **admin)
{
	struct app_admin *a = *admin;
	*admin = NULL;
	if (!a)
		return;
	ipc_client_free(&a->client);
	conf_free(&a->conf);
	free(a);
}

const struct conf *app_admin_conf(const struct app_admin *a)
{
	return a->conf;
}

static void take_reply(void *ctx, const struct ipc_reply *reply)
{
	struct app_admin *a = ctx;
	a->done = true;
	a->answered = reply != NULL;
	if (reply)
		*a->reply = *reply;
}

static int wait_for_reply(struct app_admin *a, int stop)
{
	while (!a->done) {
		struct pollfd p[] = {
			{.fd = ipc_client_fd(a->client), .events = POLLIN}, {.fd = stop, .events = POLLIN}};
		if (poll(p, 2, TICK_MS) < 0 && errno != EINTR)
			return ERR_SYSTEM;
		if (stop >= 0 && p[1].revents)
			return ERR_AGAIN;
		int rc = ipc_client_run(a->client, clock_mono_ms());
		if (rc)
			return rc;
	}
	return a->answered ? OK : ERR_CLOSED;
}

/* A keeper that is started again has closed the connection: what was asked may have been done, so only
 * questions are asked again. */
static bool is_question(enum ipc_type type)
{
	return type == IPC_DELEGATE_SHOW || type == IPC_DELEGATE_LIST || type == IPC_TOKEN_LIST ||
	       type == IPC_STATUS || type == IPC_EVENTS;
}

int app_admin_ask(struct app_admin *a, struct ipc_request *q, int stop, struct ipc_reply *out)
{
	int rc = ERR_CLOSED;
	q->by = IPC_BY_OPERATOR;
	a->reply = out;
	for (int tries = 0; tries < 2; tries++) {
		a->done = a->answered = false;
		if (!a->client && reconnect(a))
			break;
		rc = ipc_client_ask(a->client, q, clock_mono_ms(), take_reply, a);
		rc = rc ? rc : wait_for_reply(a, stop);
		if (rc != OK)
			ipc_client_free(&a->client); /* whatever comes late is not for the next question */
		if (rc != ERR_CLOSED || !is_question(q->type))
			break;
	}
	secure_wipe(q, sizeof *q);
	return rc;
}
