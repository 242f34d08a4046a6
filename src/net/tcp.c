// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connection.h"
#include "net/networks.h"

enum {
	ACCEPT_ROUND = 64, /* connections taken before others get their turn */
	NETWORK_SHARE = 4, /* a network gets one in so many */
	CROWDED = 80,      /* percent of the connections */
};

struct listener {
	struct watch watch; /* first: epoll hands out its address */
	bool tls;
};

struct tcp {
	const struct net_settings *settings;
	int epoll;
	struct connection *slots;
	struct connection_list vacant, live; /* live: the one idle longest first */
	size_t limit, live_count;            /* connections */
	struct networks *networks;
	struct listener *listeners;
	size_t listener_count;
	int64_t accept_again; /* 0: accepting */
	bool draining;
	struct net_counters *counters;
	struct exchange exchange;
};

bool tcp_is_empty(const struct tcp *t)
{
	return TAILQ_EMPTY(&t->live);
}

bool tcp_needs_sweep(const struct tcp *t)
{
	return !tcp_is_empty(t) || t->accept_again;
}

static int watch_for(const struct tcp *t, int operation, struct watch *w, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};
	return epoll_ctl(t->epoll, operation, w->fd, &e) ? ERR_SYSTEM : OK;
}

static int add_listeners(struct tcp *t, const int *fds, size_t count, bool tls)
{
	for (size_t i = 0; i < count; i++) {
		struct listener *l = &t->listeners[t->listener_count];
		*l = (struct listener){{WATCH_LISTENER, fds[i]}, tls};
		int e = watch_for(t, EPOLL_CTL_ADD, &l->watch, EPOLLIN);
		if (e)
			return e;
		t->listener_count++;
	}
	return OK;
}

/* A listener without events stays registered: cheaper than to take it out and to fail at putting it back. */
static void set_accepting(struct tcp *t, bool on)
{
	for (size_t i = 0; i < t->listener_count; i++) {
		if (watch_for(t, EPOLL_CTL_MOD, &t->listeners[i].watch, on ? EPOLLIN : 0))
			return; /* cannot fail for a registered descriptor: nothing is allocated */
	}
}

int tcp_new(const struct net_settings *s, const struct net_handler *h, int epoll,
	struct net_counters *counters, struct tcp **out)
{
	int e = ERR_NOMEM;
	size_t limit = s->tcp_connections ? s->tcp_connections : 1;
	struct tcp *t = calloc(1, sizeof *t);
	if (!t)
		return e;
	t->settings = s;
	t->epoll = epoll;
	t->counters = counters;
	counters->open[0] = counters->open[1] = 0; /* what a predecessor had is gone */
	t->limit = limit;
	t->exchange.handler = h;
	t->exchange.tls = s->tls_context;
	t->exchange.limit = s->tcp_message;
	TAILQ_INIT(&t->vacant);
	TAILQ_INIT(&t->live);
	t->slots = calloc(limit, sizeof *t->slots);
	t->listeners = calloc(s->tcp_count + s->tls_count + 1, sizeof *t->listeners);
	if (!t->slots || !t->listeners)
		goto fail;
	e = networks_new(limit, &t->networks);
	if (e)
		goto fail;
	for (size_t i = 0; i < limit; i++)
		TAILQ_INSERT_TAIL(&t->vacant, &t->slots[i], link);
	e = add_listeners(t, s->tcp, s->tcp_count, false);
	if (!e)
		e = add_listeners(t, s->tls, s->tls_count, true);
	if (e)
		goto fail;
	*out = t;
	return OK;
fail:
	tcp_free(&t);
	return e;
}

static void close_connection(struct tcp *t, struct connection *c)
{
	connection_end(c); /* leaves epoll by this: nobody else holds the descriptor */
	networks_leave(t->networks, c);
	TAILQ_REMOVE(&t->live, c, link);
	t->live_count--;
	t->counters->open[c->secure]--;
	/* The slot used last is the one still in the cache. */
	TAILQ_INSERT_HEAD(&t->vacant, c, link);
}

void tcp_free(struct tcp **t)
{
	if (!*t)
		return;
	while (!tcp_is_empty(*t))
		close_connection(*t, TAILQ_FIRST(&(*t)->live));
	networks_free(&(*t)->networks);
	free((*t)->listeners);
	free((*t)->slots);
	free(*t);
	*t = NULL;
}

/* Waits for what can happen next: room for what is to be sent, or queries. */
static int update_interest(const struct tcp *t, struct connection *c)
{
	uint32_t interest = connection_wants_write(c) ? EPOLLOUT : EPOLLIN;
	if (interest == c->interest)
		return OK;
	c->interest = interest;
	return watch_for(t, EPOLL_CTL_MOD, &c->watch, interest);
}

static void serve(struct tcp *t, struct connection *c, bool readable, int64_t now)
{
	int64_t before = c->active;
	t->exchange.now = now;
	if (connection_serve(&t->exchange, c, readable) || (t->draining && connection_is_done(c)) ||
		update_interest(t, c)) {
		close_connection(t, c);
	} else if (c->active != before) {
		TAILQ_REMOVE(&t->live, c, link);
		TAILQ_INSERT_TAIL(&t->live, c, link);
		networks_touch(c);
	}
}

void tcp_event(struct tcp *t, struct watch *connection, uint32_t events, int64_t now)
{
	struct connection *c = (struct connection *)connection;
	/* Reset, or both directions shut down: nobody is left to read an answer. */
	if (events & (EPOLLERR | EPOLLHUP))
		close_connection(t, c);
	else
		serve(t, c, events & EPOLLIN, now);
}

static void evict(struct tcp *t, struct connection *c)
{
	t->counters->evicted[c->secure]++;
	close_connection(t, c);
}

/* RFC 7766 section 6.2.3 lets a server close idle connections at will. A network with a quarter of all loses
 * its own, so one that collects them cannot push others out; at the limit of all, the one idle longest
 * anywhere makes room. */
static struct connection *vacant_slot(struct tcp *t, const struct address *from)
{
	const struct network *own = networks_find(t->networks, from);
	if (own && own->count >= t->limit / NETWORK_SHARE)
		evict(t, TAILQ_FIRST(&own->members));
	else if (TAILQ_EMPTY(&t->vacant))
		evict(t, TAILQ_FIRST(&t->live));
	return TAILQ_FIRST(&t->vacant);
}

static void open_connection(
	struct tcp *t, const struct listener *l, int fd, const struct endpoint *client, int64_t now)
{
	struct connection *c = vacant_slot(t, &client->address);
	TAILQ_REMOVE(&t->vacant, c, link);
	*c = (struct connection){.watch = {WATCH_CONNECTION, fd},
		.client = *client,
		.active = now,
		.secure = l->tls,
		.shaking = l->tls,
		.message_due = l->tls ? now + t->settings->tcp_message : 0,
		.interest = EPOLLIN};
	TAILQ_INSERT_TAIL(&t->live, c, link);
	t->live_count++;
	t->counters->accepted[c->secure]++;
	t->counters->open[c->secure]++;
	networks_join(t->networks, c);
	if (watch_for(t, EPOLL_CTL_ADD, &c->watch, EPOLLIN))
		close_connection(t, c);
}

static void pause_accepting(struct tcp *t, int64_t now)
{
	t->accept_again = now + TCP_PAUSE;
	set_accepting(t, false);
}

/* No connection could be taken: make it possible the next time, or leave the listener alone for a while,
 * since it would wake us up at once again. */
static void relieve(struct tcp *t, int cause, int64_t now)
{
	bool starved = cause == EMFILE || cause == ENFILE || cause == ENOBUFS || cause == ENOMEM;
	t->counters->starved += starved;
	if (cause == EMFILE && !tcp_is_empty(t))
		evict(t, TAILQ_FIRST(&t->live));
	else if (starved)
		pause_accepting(t, now);
	/* anything else is that one connection's trouble (accept(2): network errors are passed on) */
}

static void accept_one(struct tcp *t, const struct listener *l, bool *more, int64_t now)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	struct endpoint client;
	int fd = accept4(l->watch.fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		*more = errno != EAGAIN && errno != EWOULDBLOCK;
		relieve(t, errno, now);
	} else if (address_from_sockaddr((struct sockaddr *)&from, len, &client)) {
		close(fd);
	} else {
		open_connection(t, l, fd, &client, now);
	}
}

void tcp_accept(struct tcp *t, const struct watch *listener, int64_t now)
{
	bool more = true;
	for (unsigned i = 0; more && !t->accept_again && i < ACCEPT_ROUND; i++)
		accept_one(t, (const struct listener *)listener, &more, now);
}

/* While replies wait for the peer, only their deadline counts. */
static bool is_overdue(const struct connection *c, int64_t idle, int64_t now)
{
	if (c->out.len)
		return now >= c->reply_due;
	return (c->message_due && now >= c->message_due) || now - c->active >= idle;
}

static bool is_crowded(const struct tcp *t)
{
	return t->live_count * 100 > t->limit * CROWDED;
}

void tcp_sweep(struct tcp *t, int64_t now)
{
	int64_t idle = is_crowded(t) ? t->settings->tcp_idle_crowded : t->settings->tcp_idle;
	struct connection *next;
	for (struct connection *c = TAILQ_FIRST(&t->live); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (is_overdue(c, idle, now))
			close_connection(t, c);
	}
	if (t->accept_again && now >= t->accept_again && !t->draining) {
		t->accept_again = 0;
		set_accepting(t, true);
	}
}

void tcp_drain(struct tcp *t, int64_t now)
{
	for (size_t i = 0; i < t->listener_count; i++)
		tcp_accept(t, &t->listeners[i].watch, now);
	t->draining = true;
	set_accepting(t, false);
	/* Serving takes a connection off the list or moves it behind the one that is last now. */
	struct connection *next, *last = TAILQ_LAST(&t->live, connection_list);
	bool done = false;
	for (struct connection *c = TAILQ_FIRST(&t->live); c && !done; c = next) {
		next = TAILQ_NEXT(c, link);
		done = c == last;
		serve(t, c, true, now);
	}
}
