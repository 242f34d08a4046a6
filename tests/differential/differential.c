// SPDX-License-Identifier: GPL-3.0-or-later
/* differential: sends the same generated queries to acme-delegate and to Knot DNS, which serve the same data,
 * and compares the replies.
 *
 *   differential OURS KNOT NAMES COUNT SEED      (ports on 127.0.0.1; NAMES: "kind name" a line)
 *
 * Queries go out in batches. Behind each batch goes one that both servers answer for certain. Each has one
 * worker, so when that answer is there, every answer to the batch is: what is missing then was dropped on
 * purpose, or lost, and is asked once more. One batch in TCP_EVERY goes over TCP. Two batches are in flight,
 * so that the servers have work while replies are compared. Exit status: 0 no unexpected difference, 1 there
 * was one, 2 it could not be done. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libknot/wire.h>

#include "differential.h"

enum {
	BATCH = 64,
	SLOTS = BATCH + 1, /* with the one that marks the end */
	ID_STEP = 128,     /* between the ids of two batches */
	SIDES = 2,
	PATIENCE_MS = 2000, /* for the end of a batch */
	SILENCE_MS = 200,   /* for the answer to one query alone */
	TRIES = 3,
	TCP_EVERY = 20, /* one batch of so many goes over TCP */
	SHOWN = 20      /* different differences that are printed */
};

struct answer {
	size_t len; /* 0: none yet */
	uint8_t wire[REPLY_MAX];
};

struct batch {
	uint16_t id; /* of the first query; the others follow */
	size_t count;
	bool tcp;
	struct query queries[SLOTS];
	struct answer answers[SIDES][SLOTS];
};

struct side {
	const char *name;
	struct sockaddr_in address;
	int udp, tcp;
};

struct run {
	struct names names;
	uint64_t seed, count, next;
	uint16_t next_id;
	struct side sides[SIDES];
	struct batch batches[2];
	struct reply replies[SIDES];
	uint64_t same, expected, wrong, unanswered;
	struct {
		unsigned aspects;
		uint16_t ours, knot;
	} shown[SHOWN];
	size_t shown_count;
};

static void die(const char *what, const char *name)
{
	fprintf(stderr, "differential: %s %s: %s\n", what, name, strerror(errno));
	exit(2);
}

/* ---- sending ---- */

static void make_batch(struct run *r, struct batch *b)
{
	uint64_t left = r->count - r->next;
	b->count = left < BATCH ? (size_t)left : BATCH;
	b->id = r->next_id;
	b->tcp = (r->next / BATCH) % TCP_EVERY == TCP_EVERY - 1;
	r->next_id = (uint16_t)(r->next_id + ID_STEP);
	for (size_t i = 0; i < b->count; i++)
		generate(&r->names, r->seed, r->next++, b->tcp, &b->queries[i]);

	/* The mark: SOA of the first zone. */
	static const uint8_t header[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, rest[] = {0, 6, 0, 1};
	const struct known *apex = &r->names.list[r->names.of_kind[KIND_APEX][0]];
	struct query *mark = &b->queries[b->count];
	memcpy(mark->wire, header, sizeof header);
	memcpy(mark->wire + sizeof header, apex->name, apex->len);
	memcpy(mark->wire + sizeof header + apex->len, rest, sizeof rest);
	mark->len = sizeof header + apex->len + sizeof rest;

	for (size_t i = 0; i <= b->count; i++) {
		if (b->queries[i].len >= sizeof(uint16_t))
			knot_wire_set_id(b->queries[i].wire, (uint16_t)(b->id + i));
		for (int s = 0; s < SIDES; s++)
			b->answers[s][i].len = 0;
	}
}

static void send_udp(struct side *side, struct batch *b, const struct answer *answers)
{
	struct mmsghdr messages[SLOTS];
	struct iovec parts[SLOTS];
	unsigned count = 0, sent = 0;
	for (size_t i = 0; i <= b->count; i++) {
		if (answers[i].len && i < b->count)
			continue;
		parts[count] = (struct iovec){b->queries[i].wire, b->queries[i].len};
		messages[count] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[count], .msg_iovlen = 1}};
		count++;
	}
	while (sent < count) {
		int n = sendmmsg(side->udp, messages + sent, count - sent, 0);
		if (n <= 0)
			die("cannot send to", side->name);
		sent += (unsigned)n;
	}
}

static void connect_tcp(struct side *side)
{
	int one = 1;
	if (side->tcp >= 0)
		close(side->tcp);
	side->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (side->tcp < 0 || setsockopt(side->tcp, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) ||
		connect(side->tcp, (const struct sockaddr *)&side->address, sizeof side->address))
		die("cannot connect to", side->name);
}

/* A new connection for each batch: the servers may close one when they like. */
static void send_tcp(struct side *side, struct batch *b, size_t first, size_t last)
{
	static uint8_t bytes[SLOTS * (QUERY_MAX + 2)];
	size_t len = 0, sent = 0;
	for (size_t i = first; i <= last; i++) {
		const struct query *q = &b->queries[i];
		bytes[len++] = (uint8_t)(q->len >> 8);
		bytes[len++] = (uint8_t)q->len;
		memcpy(bytes + len, q->wire, q->len);
		len += q->len;
	}
	connect_tcp(side);
	while (sent < len) {
		ssize_t n = send(side->tcp, bytes + sent, len - sent, MSG_NOSIGNAL);
		if (n <= 0)
			die("cannot send to", side->name);
		sent += (size_t)n;
	}
}

static void send_batch(struct run *r, struct batch *b, int s)
{
	if (b->tcp)
		send_tcp(&r->sides[s], b, 0, b->count);
	else
		send_udp(&r->sides[s], b, b->answers[s]);
}

/* ---- receiving ---- */

/* Puts an answer where it belongs. False: to no query under way. */
static bool take(struct run *r, int s, bool tcp, const uint8_t *wire, size_t len)
{
	if (len < sizeof(uint16_t) || len > REPLY_MAX)
		return false;
	for (int i = 0; i < 2; i++) {
		struct batch *b = &r->batches[i];
		uint16_t slot = (uint16_t)(knot_wire_get_id(wire) - b->id);
		if (b->tcp != tcp || slot > b->count || !b->queries[slot].len)
			continue;
		struct answer *a = &b->answers[s][slot];
		memcpy(a->wire, wire, len);
		a->len = len;
		return true;
	}
	return false;
}

static bool complete(const struct batch *b, int s)
{
	return b->answers[s][b->count].len > 0;
}

static bool readable(int fd, int patience_ms)
{
	struct pollfd p = {fd, POLLIN, 0};
	return poll(&p, 1, patience_ms) > 0;
}

static void receive_udp(struct run *r, struct batch *b, int s)
{
	static uint8_t bytes[BATCH][REPLY_MAX];
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){bytes[i], REPLY_MAX};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
	}
	while (!complete(b, s) && readable(r->sides[s].udp, PATIENCE_MS)) {
		int n = recvmmsg(r->sides[s].udp, messages, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			if (!take(r, s, false, bytes[i], messages[i].msg_len))
				fprintf(stderr, "differential: a stray reply from %s\n", r->sides[s].name);
	}
}

static bool receive_exactly(int fd, uint8_t *to, size_t len, int patience_ms)
{
	while (len) {
		ssize_t n = readable(fd, patience_ms) ? recv(fd, to, len, 0) : -1;
		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

/* Until the answer in slot `last` is there, the connection is closed, or nothing comes. */
static void receive_tcp(struct run *r, struct batch *b, int s, size_t last, int patience_ms)
{
	static uint8_t bytes[UINT16_MAX];
	uint8_t size[2];
	int fd = r->sides[s].tcp;
	while (!b->answers[s][last].len && receive_exactly(fd, size, sizeof size, patience_ms)) {
		size_t len = (size_t)size[0] << 8 | size[1];
		if (!receive_exactly(fd, bytes, len, patience_ms))
			return;
		if (!take(r, s, true, bytes, len))
			fprintf(stderr, "differential: a stray reply from %s over TCP\n", r->sides[s].name);
	}
}

static bool some_missing(const struct batch *b, int s)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->answers[s][i].len)
			return true;
	return false;
}

static void give_up(const struct side *side)
{
	fprintf(stderr, "differential: %s does not answer any more\n", side->name);
	exit(2);
}

/* Until the mark is answered; what is missing then is asked a second time. */
static void collect_udp(struct run *r, struct batch *b, int s)
{
	for (int round = 0; round < 2; round++) {
		receive_udp(r, b, s);
		for (int tries = 1; !complete(b, s); tries++) {
			if (tries == TRIES)
				give_up(&r->sides[s]);
			send_udp(&r->sides[s], b, b->answers[s]);
			receive_udp(r, b, s);
		}
		if (round || !some_missing(b, s))
			return;
		b->answers[s][b->count].len = 0;
		send_udp(&r->sides[s], b, b->answers[s]);
	}
}

/* A server may answer a query by closing the connection, and what it had said before may be lost by that. So
 * what is missing is asked again, one by one. */
static void collect_tcp(struct run *r, struct batch *b, int s)
{
	receive_tcp(r, b, s, b->count, PATIENCE_MS);
	for (size_t i = 0; i <= b->count; i++) {
		if (b->answers[s][i].len)
			continue;
		send_tcp(&r->sides[s], b, i, i);
		receive_tcp(r, b, s, i, SILENCE_MS);
	}
	if (!complete(b, s))
		give_up(&r->sides[s]);
}

static void collect(struct run *r, struct batch *b, int s)
{
	if (b->tcp)
		collect_tcp(r, b, s);
	else
		collect_udp(r, b, s);
}

/* ---- judging ---- */

/* The first of each sort is shown. */
static bool is_new(struct run *r, unsigned aspects)
{
	uint16_t ours = r->replies[0].rcode, knot = r->replies[1].rcode;
	for (size_t i = 0; i < r->shown_count; i++)
		if (r->shown[i].aspects == aspects && r->shown[i].ours == ours && r->shown[i].knot == knot)
			return false;
	if (r->shown_count == SHOWN)
		return false;
	r->shown[r->shown_count].aspects = aspects;
	r->shown[r->shown_count].ours = ours;
	r->shown[r->shown_count++].knot = knot;
	return true;
}

static void judge(struct run *r, const struct batch *b, size_t i)
{
	const struct query *q = &b->queries[i];
	for (int s = 0; s < SIDES; s++)
		reply_parse(b->answers[s][i].wire, b->answers[s][i].len, &r->replies[s]);
	unsigned aspects = reply_compare(&r->replies[0], &r->replies[1]);
	r->unanswered += !r->replies[0].len;
	if (aspects) {
		struct facts f;
		knot_pkt_t *packet = knot_pkt_new((void *)q->wire, (uint16_t)q->len, NULL);
		if (!packet)
			die("no memory for", "a query");
		facts_init(&f, q, packet);
		f.tcp = b->tcp;
		f.ours = &r->replies[0];
		f.knot = &r->replies[1];
		unsigned left = expected_take(&f, aspects);
		r->expected += !left;
		r->wrong += left != 0;
		if (left && is_new(r, left)) {
			printf("\nDIFFERENCE%s in", b->tcp ? " (TCP)" : "");
			aspects_print(left);
			printf("\n");
			query_print(q);
			reply_print("acme-delegate", &r->replies[0]);
			reply_print("Knot", &r->replies[1]);
		}
		knot_pkt_free(packet);
	} else {
		r->same++;
	}
	for (int s = 0; s < SIDES; s++)
		reply_clear(&r->replies[s]);
}

static void finish_batch(struct run *r, struct batch *b)
{
	for (int s = 0; s < SIDES; s++)
		collect(r, b, s);
	for (size_t i = 0; i < b->count; i++)
		judge(r, b, i);
	b->count = 0;
}

static void run(struct run *r)
{
	for (unsigned turn = 0; r->next < r->count || r->batches[(turn + 1) % 2].count; turn++) {
		struct batch *fresh = &r->batches[turn % 2], *before = &r->batches[(turn + 1) % 2];
		if (r->next < r->count) {
			make_batch(r, fresh);
			for (int s = 0; s < SIDES; s++)
				send_batch(r, fresh, s);
		}
		if (before->count)
			finish_batch(r, before);
	}
}

/* ---- the rest ---- */

static void side_open(struct side *side, const char *name, const char *port)
{
	int size = 1 << 22;
	*side = (struct side){.name = name, .tcp = -1};
	side->address = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	side->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (side->udp < 0 || setsockopt(side->udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) ||
		connect(side->udp, (const struct sockaddr *)&side->address, sizeof side->address))
		die("cannot reach", name);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: differential OURS KNOT NAMES COUNT SEED\n");
		return 2;
	}
	struct run *r = calloc(1, sizeof *r);
	if (!r)
		die("no memory for", "the run");
	int err = names_read(argv[3], &r->names);
	if (err || !r->names.count_of[KIND_APEX]) {
		fprintf(stderr, "differential: %s: %s\n", argv[3], error_text(err ? err : ERR_INVALID));
		return 2;
	}
	r->count = strtoull(argv[4], NULL, 10);
	r->seed = strtoull(argv[5], NULL, 10);
	side_open(&r->sides[0], "acme-delegate", argv[1]);
	side_open(&r->sides[1], "Knot", argv[2]);
	run(r);

	printf("   %lu queries: %lu answered the same, %lu with expected differences, %lu WRONG; %lu dropped by us\n",
		r->count, r->same, r->expected, r->wrong, r->unanswered);
	expected_print();
	bool good = r->wrong == 0;
	names_free(&r->names);
	for (int s = 0; s < SIDES; s++) {
		close(r->sides[s].udp);
		if (r->sides[s].tcp >= 0)
			close(r->sides[s].tcp);
	}
	free(r);
	return fflush(stdout) || !good;
}
