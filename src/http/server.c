// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	EVENTS_PER_RUN = 64,
	ACCEPTS_PER_RUN = 64,
	CROWD_STEP = 16 /* so many connections more from one network make a difference */
};

/* ---- listening sockets ---- */

static void listener_watch(struct http_server *s, struct listener *l, bool on)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = &l->source};
	if (l->watched == on)
		return;
	if (epoll_ctl(s->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, l->source.fd, &e) == 0)
		l->watched = on;
}

static void watch_listeners(struct http_server *s, bool on)
{
	for (size_t i = 0; i < s->listener_count; i++)
		listener_watch(s, &s->listeners[i], on);
}

/* How easily a connection can be done without: 0, somebody works on its request, or its answer is just to be
 * sent. */
static unsigned expendability(const struct connection *c)
{
	if (c->state == STATE_LINGERING || (c->state == STATE_READING && c->used && !c->in_len))
		return 3;
	if (c->state == STATE_READING || c->state == STATE_HANDSHAKE)
		return 2;
	return c->state == STATE_WRITING && !c->is_woken; /* the other side does not take its answer */
}

static size_t crowding(const struct connection *c)
{
	return c->crowd ? c->crowd->count / CROWD_STEP : 0;
}

static bool goes_before(const struct connection *a, const struct connection *b)
{
	unsigned ea = expendability(a), eb = expendability(b);
	if (crowding(a) != crowding(b))
		return crowding(a) > crowding(b);
	return ea != eb ? ea > eb : a->deadline < b->deadline;
}

/* Who makes room at the limit: one of the network with the most, so that nobody alone can push out others;
 * there one between requests, or else the one that has been busy with sending its request longest, or with
 * not taking its answer. NULL: nobody. */
static struct connection *most_expendable(const struct http_server *s)
{
	struct connection *c, *found = NULL;
	TAILQ_FOREACH(c, &s->all, all)
	if (expendability(c) && (!found || goes_before(c, found)))
		found = c;
	return found;
}

/* ERR_AGAIN: nobody waits, or that one was lost. ERR_LIMIT: no descriptors left. */
static int MUST_USE accept_one(struct http_server *s, struct listener *l)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct endpoint peer;
	int fd = accept4(l->source.fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? ERR_LIMIT
												 : ERR_AGAIN;
	if (address_from_sockaddr((struct sockaddr *)&sa, len, &peer)) {
		(void)close(fd);
		return OK;
	}
	connection_open(s, fd, &peer.address);
	return OK;
}

static void accept_waiting(struct http_server *s, struct listener *l)
{
	for (unsigned i = 0; i < ACCEPTS_PER_RUN; i++) {
		bool full = s->connection_count >= s->limit;
		struct connection *leaves = full ? most_expendable(s) : NULL;
		int r = full && !leaves ? ERR_LIMIT : accept_one(s, l);
		if (r == ERR_LIMIT && !full && (leaves = most_expendable(s))) {
			s->counters->evicted++;
			connection_free(leaves); /* its descriptor is for the next */
			continue;
		}
		s->counters->starved += r == ERR_LIMIT;
		if (r == ERR_LIMIT)                /* try again with the next sweep */
			watch_listeners(s, false); /* else epoll would report them without end */
		if (r)
			return;
		s->counters->evicted += leaves != NULL;
		if (leaves)
			connection_free(leaves);
	}
}

/* After the events: making room frees a connection that may stand further down in them. */
static void accept_ready(struct http_server *s)
{
	for (size_t i = 0; i < s->listener_count; i++) {
		struct listener *l = &s->listeners[i];
		if (l->ready && l->watched)
			accept_waiting(s, l);
		l->ready = false;
	}
}

/* ---- the loop's side ---- */

void server_wake(struct connection *c)
{
	struct http_server *s = c->server;
	uint64_t one = 1;
	if (c->is_woken)
		return;
	if (TAILQ_EMPTY(&s->woken) && write(s->wake.fd, &one, sizeof one) < 0)
		log_debug("http", "eventfd: %s",
			strerror(errno)); /* it is readable already, or the next sweep helps */
	c->is_woken = true;
	TAILQ_INSERT_TAIL(&s->woken, c, woken);
}

/* Takes the list as it is now: a connection that uses up its turns comes again with the next run. */
static void run_woken(struct http_server *s)
{
	uint64_t count;
	if (TAILQ_EMPTY(&s->woken))
		return;
	if (read(s->wake.fd, &count, sizeof count) < 0)
		log_debug("http", "eventfd: %s", strerror(errno));
	size_t waiting = 0;
	struct connection *c;
	TAILQ_FOREACH(c, &s->woken, woken)
	waiting++;
	while (waiting-- && (c = TAILQ_FIRST(&s->woken))) {
		TAILQ_REMOVE(&s->woken, c, woken);
		c->is_woken = false;
		connection_progress(c);
	}
}

static void sweep(struct http_server *s)
{
	struct connection *next;
	if (s->now - s->last_sweep < SWEEP_INTERVAL_MS)
		return;
	s->last_sweep = s->now;
	for (struct connection *c = TAILQ_FIRST(&s->all); c; c = next) {
		next = TAILQ_NEXT(c, all);
		if (s->now >= c->deadline)
			connection_free(c);
	}
	if (!s->quiesced)
		watch_listeners(s, true);
}

static void dispatch(struct source *source, uint32_t events)
{
	switch (source->kind) {
	case SOURCE_LISTENER:
		((struct listener *)source)->ready = true;
		break;
	case SOURCE_CONNECTION:
		connection_event((struct connection *)source, events);
		break;
	case SOURCE_WAKE:
		break; /* run_woken() follows */
	}
}

void http_run(struct http_server *s, int64_t now)
{
	struct epoll_event events[EVENTS_PER_RUN];
	s->now = now;
	sweep(s);
	int n = epoll_wait(s->epoll, events, EVENTS_PER_RUN, 0);
	for (int i = 0; i < n; i++)
		dispatch(events[i].data.ptr, events[i].events);
	accept_ready(s);
	run_woken(s);
}

int http_fd(const struct http_server *s)
{
	return s->epoll;
}

/* Just opened: its first request is on the way, or still in the TLS handshake. */
static bool is_fresh(const struct http_server *s, const struct connection *c)
{
	return !c->used && s->now - c->accepted < FRESH_MS;
}

size_t http_busy(const struct http_server *s)
{
	size_t n = 0;
	const struct connection *c;
	TAILQ_FOREACH(c, &s->all, all)
	n += c->state == STATE_HANDLING || c->state == STATE_WRITING || c->in_len > 0 || is_fresh(s, c);
	return n;
}

/* ---- start and end ---- */

static int MUST_USE copy_settings(struct http_server *server, const struct http_settings *s)
{
	server->listeners = calloc(s->listen_count + 1, sizeof *server->listeners);
	server->trusted = calloc(s->trusted_proxy_count + 1, sizeof *server->trusted);
	if (!server->listeners || !server->trusted)
		return ERR_NOMEM;
	for (size_t i = 0; i < s->listen_count; i++)
		server->listeners[i].source = (struct source){SOURCE_LISTENER, s->listen[i]};
	for (size_t i = 0; i < s->trusted_proxy_count; i++)
		server->trusted[i] = s->trusted_proxies[i];
	server->listener_count = s->listen_count;
	server->trusted_count = s->trusted_proxy_count;
	return OK;
}

static int MUST_USE open_descriptors(struct http_server *s)
{
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->wake = (struct source){SOURCE_WAKE, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (s->epoll < 0 || s->wake.fd < 0)
		return ERR_SYSTEM;
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = &s->wake};
	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->wake.fd, &e) == 0 ? OK : ERR_SYSTEM;
}

/* Another process may take a waiting connection first, so accept must not block. */
static int MUST_USE start_listening(struct http_server *s)
{
	for (size_t i = 0; i < s->listener_count; i++) {
		struct listener *l = &s->listeners[i];
		int flags = fcntl(l->source.fd, F_GETFL);
		if (flags < 0 || fcntl(l->source.fd, F_SETFL, flags | O_NONBLOCK) != 0)
			return ERR_SYSTEM;
		listener_watch(s, l, true);
		if (!l->watched)
			return ERR_SYSTEM;
	}
	return OK;
}

int http_start(
	const struct http_settings *settings, http_handler *handler, void *ctx, struct http_server **out)
{
	struct http_server *s = calloc(1, sizeof *s);
	if (!s)
		return ERR_NOMEM;
	*s = (struct http_server){
		.epoll = -1, .wake.fd = -1, .handler = handler, .ctx = ctx, .now = clock_mono_ms()};
	s->limit = settings->connections ? settings->connections : HTTP_MAX_CONNECTIONS;
	s->counters = settings->counters ? settings->counters : &s->unread;
	s->counters->open = 0; /* what a predecessor had is gone */
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->woken);
	int r = copy_settings(s, settings);
	s->tls = settings->tls;
	if (r == OK)
		r = crowds_new(&s->crowds);
	if (r == OK)
		r = open_descriptors(s);
	if (r == OK)
		r = start_listening(s);
	if (r != OK)
		http_stop(&s);
	*out = s;
	return r;
}

void http_quiesce(struct http_server *s)
{
	struct connection *next;
	s->quiesced = true;
	watch_listeners(s, false);
	for (struct connection *c = TAILQ_FIRST(&s->all); c; c = next) {
		next = TAILQ_NEXT(c, all);
		if (c->state == STATE_READING && c->used && !c->in_len)
			connection_free(c);
	}
}

void http_stop(struct http_server **server)
{
	struct http_server *s = *server;
	if (!s)
		return;
	watch_listeners(s, false); /* the sockets stay the caller's, so they leave the epoll set by hand */
	for (struct connection *c; (c = TAILQ_FIRST(&s->all));)
		connection_free(c);
	if (s->wake.fd >= 0)
		(void)close(s->wake.fd);
	if (s->epoll >= 0)
		(void)close(s->epoll);
	crowds_free(&s->crowds);
	free(s->listeners);
	free(s->trusted);
	free(s);
	*server = NULL;
}

const char *http_header(const struct http_request *r, const char *name, bool *twice)
{
	return head_field(&r->exchange->head, r->exchange->connection->in, name, twice);
}
