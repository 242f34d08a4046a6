// SPDX-License-Identifier: GPL-3.0-or-later
/* The loop: one epoll for everything, datagrams first. */
#include "net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/internal.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "util/clock.h"

enum {
	EVENTS = 64,
	UDP_TURN = 16,       /* batches of one socket before TCP gets its turn: some milliseconds at most */
	UDP_LAST_TURN = 256, /* batches at the end: more than a receive buffer holds */
	TICK = 1000,         /* milliseconds */
	DRAIN = 1000,        /* milliseconds for connections to end once `stop` is readable */
};

struct loop {
	const struct net_settings *settings;
	const struct net_handler *handler;
	int epoll;
	struct watch stop, watched, *sockets; /* sockets: UDP */
	struct udp *udp;
	struct tcp *tcp;
	int64_t next_sweep, next_tick;
	struct net_counters unread; /* where nobody reads the counters */
	bool stopping;
};

static int add_watch(const struct loop *l, struct watch *w)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = w};
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, w->fd, &e) ? ERR_SYSTEM : OK;
}

static int add_watches(struct loop *l)
{
	const struct net_settings *s = l->settings;
	l->stop = (struct watch){WATCH_STOP, s->stop};
	int e = add_watch(l, &l->stop);
	l->watched = (struct watch){WATCH_OTHER, s->watched};
	if (!e && l->handler->watched)
		e = add_watch(l, &l->watched);
	for (size_t i = 0; !e && i < s->udp_count; i++) {
		l->sockets[i] = (struct watch){WATCH_UDP, s->udp[i]};
		e = add_watch(l, &l->sockets[i]);
	}
	return e;
}

/* Datagrams and connections. What accepting and stopping do to connections must come after their events:
 * these point to them. */
static void serve_ready(struct loop *l, const struct epoll_event *events, int count, int64_t now)
{
	for (int i = 0; i < count; i++) {
		struct watch *w = events[i].data.ptr;
		if (w->kind == WATCH_UDP)
			udp_serve(l->udp, w->fd, UDP_TURN);
		else if (w->kind == WATCH_CONNECTION)
			tcp_event(l->tcp, w, events[i].events, now);
	}
}

static void admit_ready(struct loop *l, const struct epoll_event *events, int count, int64_t now)
{
	for (int i = 0; i < count; i++) {
		const struct watch *w = events[i].data.ptr;
		if (w->kind == WATCH_LISTENER)
			tcp_accept(l->tcp, w, now);
		else if (w->kind == WATCH_STOP)
			l->stopping = true;
		else if (w->kind == WATCH_OTHER && !l->handler->watched(l->handler->ctx) &&
			 epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL))
			l->stopping = true; /* cannot fail for a registered descriptor */
	}
}

static int patience(const struct loop *l)
{
	bool sweeps = tcp_needs_sweep(l->tcp), ticks = l->handler->tick;
	if (!sweeps && !ticks)
		return -1;
	int64_t due = sweeps && (!ticks || l->next_sweep < l->next_tick) ? l->next_sweep : l->next_tick;
	int64_t left = due - clock_mono_ms();
	return left < 0 ? 0 : (int)left;
}

static void tick(struct loop *l, int64_t now)
{
	if (!l->handler->tick || now < l->next_tick)
		return;
	l->handler->tick(l->handler->ctx, now);
	l->next_tick = now + TICK;
}

/* One round: what is ready, then the deadlines if it is time. */
static int turn(struct loop *l)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(l->epoll, events, EVENTS, patience(l));
	if (count < 0)
		return errno == EINTR ? OK : ERR_SYSTEM;
	int64_t now = clock_mono_ms();
	serve_ready(l, events, count, now);
	admit_ready(l, events, count, now);
	if (now >= l->next_sweep) {
		tcp_sweep(l->tcp, now);
		l->next_sweep = now + TCP_SWEEP;
	}
	tick(l, now);
	return OK;
}

/* Datagrams go on being answered while the last connections end. */
static int wind_up(struct loop *l)
{
	int64_t now = clock_mono_ms(), end = now + DRAIN;
	int e = epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->stop.fd, NULL) ? ERR_SYSTEM : OK;
	tcp_drain(l->tcp, now);
	while (!e && !tcp_is_empty(l->tcp) && clock_mono_ms() < end)
		e = turn(l);
	for (size_t i = 0; i < l->settings->udp_count; i++)
		udp_serve(l->udp, l->settings->udp[i], UDP_LAST_TURN);
	return e;
}

static int run(struct loop *l)
{
	int e = add_watches(l);
	while (!e && !l->stopping)
		e = turn(l);
	return e ? e : wind_up(l);
}

int net_run(const struct net_settings *s, const struct net_handler *h)
{
	struct loop l = {.settings = s, .handler = h};
	struct net_counters *counters = s->counters ? s->counters : &l.unread;
	int e = ERR_NOMEM;
	l.sockets = calloc(s->udp_count + 1, sizeof *l.sockets);
	if (!l.sockets)
		return e;
	e = udp_new(h, &counters->answered, &l.udp);
	if (e)
		goto free_sockets;
	l.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l.epoll < 0) {
		e = ERR_SYSTEM;
		goto free_udp;
	}
	e = tcp_new(s, h, l.epoll, counters, &l.tcp);
	if (e)
		goto close_epoll;
	e = run(&l);
	tcp_free(&l.tcp);
close_epoll:
	close(l.epoll);
free_udp:
	udp_free(&l.udp);
free_sockets:
	free(l.sockets);
	return e;
}
