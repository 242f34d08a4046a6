// SPDX-License-Identifier: GPL-3.0-or-later
/* updblast: update clients at full speed. Each client has its own delegate, key and kept-alive connection,
 * and sends its next update (POST /update, a new value each time) as soon as the last one was acknowledged.
 * Only "200" with the value in the body counts. With -n every Nth request of a client is a registration (POST
 * /register) instead, which "201" with a label acknowledges.
 *
 *   updblast -p PORT -k FILE [-c CLIENTS] [-t SECONDS] [-n N]       (plain HTTP, 127.0.0.1)
 *
 * FILE holds one "label value key-id secret" a line, as bench/names writes it; a line for each client is
 * used. Output: one line of key=value; the delays are those of updates. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { CLIENTS_MAX = 512, VALUE_LEN = 43, REQUEST_MAX = 1024, RESPONSE_MAX = 4096 };

#define GRACE 5.0 /* seconds after the end in which the last replies are waited for */

struct options {
	const char *file;
	uint16_t port;
	unsigned clients, seconds, register_every; /* 0: never */
};

struct client {
	int fd;
	bool waiting, registering;
	char label[64], key_id[65], secret[65];
	char value[VALUE_LEN + 1];
	uint64_t count; /* of requests: makes each value new */
	double sent;
	char response[RESPONSE_MAX + 1];
	size_t response_len;
};

struct blast {
	struct client clients[CLIENTS_MAX];
	struct pollfd polls[CLIENTS_MAX];
	unsigned client_count, register_every;
	uint16_t port;
	double start, end, last;
	uint64_t ok, registered, failed, reconnects;
	struct delays delays;
};

static int clients_read(struct blast *b, const struct options *o)
{
	FILE *f = fopen(o->file, "r");
	if (!f)
		return ERR_SYSTEM;
	for (; b->client_count < o->clients; b->client_count++) {
		struct client *c = &b->clients[b->client_count];
		if (fscanf(f, "%63s %*s %64s %64s", c->label, c->key_id, c->secret) != 3)
			break;
		c->fd = -1;
	}
	fclose(f);
	return b->client_count == o->clients ? OK : ERR_INVALID;
}

static int client_connect(struct client *c, uint16_t port)
{
	int on = 1;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
		connect(c->fd, (const struct sockaddr *)&a, sizeof a) < 0)
		return ERR_SYSTEM;
	return OK;
}

static void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->waiting = false;
}

/* A value that this client has not used in any run: the time it was made, the client and a count, in
 * hexadecimal. */
static void next_value(struct blast *b, struct client *c)
{
	unsigned index = (unsigned)(c - b->clients);
	uint64_t run = (uint64_t)(b->start * 1e9);
	snprintf(c->value, sizeof c->value, "updblast_%016lx_%04x_%012lx", run, index,
		++c->count & 0xffffffffffff);
}

static int write_registration(const struct blast *b, char out[static REQUEST_MAX])
{
	return snprintf(out, REQUEST_MAX,
		"POST /register HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: 0\r\n\r\n", b->port);
}

/* With the client's value of the moment. */
static int write_update(const struct blast *b, const struct client *c, char out[static REQUEST_MAX])
{
	char body[256];
	int body_len =
		snprintf(body, sizeof body, "{\"subdomain\":\"%s\",\"txt\":\"%s\"}", c->label, c->value);
	return snprintf(out, REQUEST_MAX,
		"POST /update HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nX-Api-User: %s\r\nX-Api-Key: %s\r\n"
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		b->port, c->key_id, c->secret, body_len, body);
}

static int client_send(struct blast *b, struct client *c)
{
	char request[REQUEST_MAX];
	int len = c->registering ? write_registration(b, request) : write_update(b, c, request);
	if (len < 0 || len >= REQUEST_MAX)
		return ERR_RANGE;
	c->response_len = 0;
	c->waiting = true;
	/* A request fits into any empty send buffer, so it goes as a whole. */
	return send(c->fd, request, (size_t)len, MSG_NOSIGNAL) == len ? OK : ERR_CLOSED;
}

/* The length of the complete response: 0 when there is more to come. */
static size_t response_size(const char *text, size_t len)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *field = strcasestr(text, "\r\nContent-Length:");
	if (!end || !field || field > end)
		return 0;
	size_t size = (size_t)(end - text) + 4 + strtoul(field + strlen("\r\nContent-Length:"), NULL, 10);
	return size <= len ? size : 0;
}

/* An acknowledgement of an update is 200 and shows the value (what acme.sh and the dehydrated hook look for).
 */
static bool acknowledged(const struct client *c)
{
	if (c->registering)
		return !strncmp(c->response, "HTTP/1.1 201 ", 13) && strstr(c->response, "\"subdomain\"");
	return !strncmp(c->response, "HTTP/1.1 200 ", 13) && strstr(c->response, c->value);
}

static void count_reply(struct blast *b, struct client *c)
{
	if (!acknowledged(c)) {
		if (!b->failed++)
			fprintf(stderr, "updblast: refused: %.*s\n", (int)strcspn(c->response, "\r"),
				c->response);
		return;
	}
	b->last = seconds_now();
	if (c->registering) {
		b->registered += b->last <= b->end;
		return;
	}
	b->ok += b->last <= b->end;
	delays_add(&b->delays, (uint64_t)((b->last - c->sent) * 1e6));
}

/* Reads what there is. OK: the response is complete or more is to come. ERR_CLOSED: the connection is no
 * more. */
static int client_read(struct blast *b, struct client *c)
{
	ssize_t n = recv(c->fd, c->response + c->response_len, RESPONSE_MAX - c->response_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return OK;
	if (n <= 0)
		return ERR_CLOSED;
	c->response_len += (size_t)n;
	c->response[c->response_len] = 0;
	if (!response_size(c->response, c->response_len))
		return c->response_len < RESPONSE_MAX ? OK : ERR_CLOSED;
	c->waiting = false;
	count_reply(b, c);
	return strcasestr(c->response, "\r\nConnection: close\r\n") ? ERR_CLOSED : OK;
}

/* Starts the next request. */
static int client_next(struct blast *b, struct client *c)
{
	next_value(b, c);
	c->registering = b->register_every && c->count % b->register_every == 0;
	c->sent = seconds_now();
	return client_send(b, c);
}

/* A server may close a connection between two requests: what met no answer at all is sent again (both may
 * be repeated), an answer cut short is a failure. */
static int client_recover(struct blast *b, struct client *c)
{
	bool again = c->waiting && c->response_len == 0;
	b->failed += c->waiting && !again;
	b->reconnects++;
	client_close(c);
	int r = client_connect(c, b->port);
	return r == OK && again ? client_send(b, c) : r;
}

static int client_step(struct blast *b, struct client *c, short events)
{
	int r = OK;
	if (events && client_read(b, c) != OK)
		r = client_recover(b, c);
	if (r == OK && !c->waiting && seconds_now() < b->end)
		r = client_next(b, c);
	return r == ERR_CLOSED ? client_recover(b, c) : r;
}

static unsigned waiting(const struct blast *b)
{
	unsigned n = 0;
	for (unsigned i = 0; i < b->client_count; i++)
		n += b->clients[i].waiting;
	return n;
}

static int blast_run(struct blast *b, unsigned seconds)
{
	int r = OK;
	for (unsigned i = 0; r == OK && i < b->client_count; i++)
		r = client_connect(&b->clients[i], b->port);
	b->start = b->last = seconds_now();
	b->end = b->start + seconds;
	for (unsigned i = 0; r == OK && i < b->client_count; i++)
		r = client_next(b, &b->clients[i]);
	while (r == OK && waiting(b) && seconds_now() < b->end + GRACE) {
		for (unsigned i = 0; i < b->client_count; i++)
			b->polls[i] = (struct pollfd){b->clients[i].fd, POLLIN, 0};
		if (poll(b->polls, b->client_count, 100) < 0 && errno != EINTR)
			return ERR_SYSTEM;
		for (unsigned i = 0; r == OK && i < b->client_count; i++)
			r = client_step(b, &b->clients[i], b->polls[i].revents);
	}
	b->failed += waiting(b);
	return r;
}

static void print_result(const struct blast *b)
{
	double elapsed = (b->last < b->end ? b->last : b->end) - b->start;
	printf("updates_per_s=%.0f registrations_per_s=%.0f ok=%lu registered=%lu failed=%lu reconnects=%lu "
	       "p50_us=%u p99_us=%u\n",
		elapsed > 0 ? (double)b->ok / elapsed : 0.0,
		elapsed > 0 ? (double)b->registered / elapsed : 0.0, b->ok, b->registered, b->failed,
		b->reconnects, delays_percentile(&b->delays, 50), delays_percentile(&b->delays, 99));
}

static int parse_options(int argc, char **argv, struct options *o)
{
	unsigned port = 0;
	int r = OK;
	*o = (struct options){.clients = 1, .seconds = 5};
	for (int letter; r == OK && (letter = getopt(argc, argv, "p:k:c:t:n:")) != -1;) {
		if (letter == 'p')
			r = parse_number(optarg, 1, UINT16_MAX, &port);
		else if (letter == 'k')
			o->file = optarg;
		else if (letter == 'c')
			r = parse_number(optarg, 1, CLIENTS_MAX, &o->clients);
		else if (letter == 't')
			r = parse_number(optarg, 1, 3600, &o->seconds);
		else if (letter == 'n')
			r = parse_number(optarg, 1, 1000000, &o->register_every);
		else
			r = ERR_INVALID;
	}
	o->port = (uint16_t)port;
	return r == OK && port && o->file && optind == argc ? OK : ERR_INVALID;
}

int main(int argc, char **argv)
{
	struct options o;
	if (parse_options(argc, argv, &o) != OK) {
		fputs("usage: updblast -p PORT -k FILE [-c CLIENTS] [-t SECONDS] [-n N]\n", stderr);
		return 2;
	}
	struct blast *b = calloc(1, sizeof *b);
	int r = b ? clients_read(b, &o) : ERR_NOMEM;
	if (r == OK) {
		b->port = o.port;
		b->register_every = o.register_every;
		r = blast_run(b, o.seconds);
	}
	if (r == OK)
		print_result(b);
	else
		fprintf(stderr, "updblast: %s has no line for each client, or port %u is not reachable\n",
			o.file, o.port);
	for (unsigned i = 0; b && i < b->client_count; i++)
		client_close(&b->clients[i]);
	free(b);
	return r == OK && !fflush(stdout) ? 0 : 1;
}
