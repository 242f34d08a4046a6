// SPDX-License-Identifier: GPL-3.0-or-later
/* net_run() in a child process with a handler that obeys the first byte of each message:
 *   'D' no answer · 'B' BIG_ANSWER bytes, all equal to the second byte · 'C' one byte, the number of messages
 * handled before · 'W' who asks: "udp", "tcp" or "tls" and the port · anything else: the message itself. The
 * child exits 0 only if net_run returned OK, batches were begun and ended in turn, and nothing leaked. */
#pragma once

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/net.h"
#include "util/clock.h"

enum { BIG_ANSWER = 60000, PATIENCE = 10000 /* milliseconds until a test gives up */ };

struct toy {
	/* May be changed before toy_start(). */
	struct net_settings settings;
	const char *address;           /* without port; all sockets are bound there */
	int spare_files;               /* descriptors the child may open; 0: no limit */
	const char *certificate, *key; /* for a TLS listener; NULL: none */
	/* Set by toy_start(). */
	struct endpoint udp, tcp, tls;
	int stop;
	pid_t pid;
};

struct toy_state {
	bool in_batch;
	unsigned handled;
};

static inline void toy_begin(void *ctx)
{
	struct toy_state *s = ctx;
	if (s->in_batch)
		abort();
	s->in_batch = true;
}

static inline void toy_end(void *ctx)
{
	struct toy_state *s = ctx;
	if (!s->in_batch)
		abort();
	s->in_batch = false;
}

static inline size_t toy_answer(void *ctx, const struct net_message *m, uint8_t *out, size_t cap)
{
	struct toy_state *s = ctx;
	if (!s->in_batch || !m->len || cap < (m->tcp ? UINT16_MAX : 1232) || m->now < 1600000000000)
		abort();
	unsigned before = s->handled++;
	switch (m->data[0]) {
	case 'D':
		return 0;
	case 'B':
		memset(out, m->data[1], BIG_ANSWER);
		return BIG_ANSWER;
	case 'C':
		out[0] = (uint8_t)before;
		return 1;
	case 'W':
		return (size_t)snprintf((char *)out, cap, "%s %u",
			m->tls   ? "tls"
			: m->tcp ? "tcp"
				 : "udp",
			m->client.port);
	default:
		memcpy(out, m->data, m->len);
		return m->len;
	}
}

/* Lets the child open no more than `spare` descriptors. */
static inline void toy_limit_files(int spare)
{
	int next = dup(STDIN_FILENO);
	struct rlimit limit = {(rlim_t)next + (rlim_t)spare, (rlim_t)next + (rlim_t)spare};
	if (next < 0 || close(next) || setrlimit(RLIMIT_NOFILE, &limit))
		_exit(3);
}

static inline void toy_child(const struct toy *t)
{
	struct toy_state state = {0};
	struct net_handler h = {&state, toy_begin, toy_end, NULL, toy_answer, NULL};
	struct net_settings settings = t->settings;
	struct tls_context *context = NULL;
	alarm(60);
	if (t->certificate && tls_context_new(t->certificate, t->key, "dot", &context))
		_exit(4);
	settings.tls_context = context;
	if (t->spare_files)
		toy_limit_files(t->spare_files);
	int e = net_run(&settings, &h);
	tls_context_free(&context);
	if (t->spare_files)
		_exit(e == OK && !state.in_batch ? 0 : 1); /* the leak checker needs descriptors of its own */
	exit(e == OK && !state.in_batch ? 0 : 1);
}

static inline struct endpoint toy_endpoint(const char *address, uint16_t port)
{
	struct endpoint e = {.port = port};
	assert_int_equal(address_parse(address, &e.address), OK);
	return e;
}

static inline struct endpoint toy_bound(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;
	struct endpoint e;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&at, len, &e), OK);
	assert_int_not_equal(e.port, 0);
	return e;
}

static inline struct toy toy_default(void)
{
	return (struct toy){.address = "127.0.0.1",
		.settings = {.tcp_connections = 100,
			.tcp_idle = PATIENCE,
			.tcp_idle_crowded = PATIENCE,
			.tcp_message = PATIENCE}};
}

static inline void toy_start(struct toy *t)
{
	struct endpoint e = toy_endpoint(t->address, 0);
	int udp, tcp, tls;
	assert_int_equal(net_udp_bind(&e, false, &udp), OK);
	assert_int_equal(net_tcp_listen(&e, false, &tcp), OK);
	assert_int_equal(net_tcp_listen(&e, false, &tls), OK);
	t->udp = toy_bound(udp);
	t->tcp = toy_bound(tcp);
	t->tls = toy_bound(tls);
	t->stop = eventfd(0, EFD_CLOEXEC);
	assert_true(t->stop >= 0);
	t->settings.udp = &udp;
	t->settings.udp_count = 1;
	t->settings.tcp = &tcp;
	t->settings.tcp_count = 1;
	t->settings.tls = &tls;
	t->settings.tls_count = t->certificate ? 1 : 0;
	t->settings.stop = t->stop;
	fflush(NULL);
	t->pid = fork();
	assert_true(t->pid >= 0);
	if (t->pid == 0)
		toy_child(t);
	t->settings.udp = t->settings.tcp = t->settings.tls = NULL;
	close(udp);
	close(tcp);
	close(tls);
}

/* Between the two the child runs no instruction, so that what is sent meanwhile arrives at once. */
static inline void toy_freeze(const struct toy *t)
{
	int status;
	assert_int_equal(kill(t->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(t->pid, &status, WUNTRACED), t->pid);
	assert_true(WIFSTOPPED(status));
}

static inline void toy_thaw(const struct toy *t)
{
	assert_int_equal(kill(t->pid, SIGCONT), 0);
}

static inline void toy_ask_to_stop(const struct toy *t)
{
	assert_int_equal(eventfd_write(t->stop, 1), 0);
}

static inline void toy_wait(const struct toy *t)
{
	int status;
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(t->stop);
}

static inline void toy_stop(const struct toy *t)
{
	toy_ask_to_stop(t);
	toy_wait(t);
}

/* A client socket, connected to `to`, that gives up after PATIENCE. */
static inline int toy_connect(const struct endpoint *to, int type)
{
	struct sockaddr_storage at;
	socklen_t len = endpoint_to_sockaddr(to, &at);
	struct timeval patience = {.tv_sec = PATIENCE / 1000};
	int fd = socket(at.ss_family, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
	return fd;
}
