// SPDX-License-Identifier: GPL-3.0-or-later
/* udpblast: a closed-loop DNS load generator that spends less per query than the servers it measures.
 *
 *   udpblast [-s ADDR] -p PORT -q FILE [-t SECONDS] [-c SOCKETS] [-w WINDOW] [-r RATE] [-e] [-d] [-P
 * PID[,PID...]]
 *
 * FILE holds one "name type" a line (type: TXT A AAAA SOA NS CAA DS DNSKEY ANY). WINDOW queries are kept in
 * flight on each socket, sent and received in batches. -r sends at most RATE queries a second in total, to
 * measure delays of a server that is not saturated. -e adds EDNS, -d EDNS with DO. -P also prints the CPU
 * time (user and system, all threads) that those processes spent per answered query. Output: one line of
 * key=value. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"
#include "util/cursor.h"

enum {
	BATCH = 32,
	WINDOW_MAX = 1024,
	SOCKETS_MAX = 64,
	PIDS_MAX = 64,
	MESSAGE_MAX = 4096,
	QUERY_MAX = 300, /* header, name of 255 bytes, type, class, OPT */
	RECEIVE_BUFFER = 4 << 20,
	IDS = 65536
};

#define GRACE      0.3 /* seconds after the end in which answers are still taken */
#define LOST_AFTER 0.1 /* seconds of silence after which what is in flight counts as lost */

/* Where things stand in a DNS header, RFC 1035 section 4.1.1. */
enum {
	HEADER_SIZE = 12,
	HEADER_FLAGS = 2,
	HEADER_RCODE = 3,
	HEADER_ANCOUNT = 6,
	FLAG_TC = 2,
	RCODE_MASK = 15
};

struct options {
	const char *address, *file;
	uint16_t port;
	unsigned seconds, sockets, window, rate; /* rate 0: as fast as answers come */
	bool edns, dnssec_ok;
	pid_t pids[PIDS_MAX];
	unsigned pid_count;
};

/* Ready queries one behind the other, each with its length (native uint16_t) in front: small in the cache. */
struct queries {
	uint8_t *bytes;
	size_t used, cap, at;
};

struct stream {
	int fd;
	unsigned inflight;
	uint16_t next_id;
	uint32_t *sent_us; /* by id: when it was sent, since the start */
};

struct batch {
	struct mmsghdr message[BATCH];
	struct iovec iov[BATCH];
	uint8_t buffer[BATCH][MESSAGE_MAX];
};

struct blast {
	struct queries queries;
	struct stream streams[SOCKETS_MAX];
	struct pollfd polls[SOCKETS_MAX];
	unsigned stream_count, window, rate;
	struct batch out, in;
	double start, end, last; /* last: when the newest answer came */
	double stirred;          /* when anything was sent or received */
	uint64_t sent, answered, bytes, empty, truncated;
	uint64_t rcodes[RCODE_MASK + 1];
	struct delays delays;
};

/* ---- the server's CPU time ---- */

/* Seconds that one thread has run; 0 when it is gone. */
static double thread_cpu(pid_t pid, const char *tid)
{
	char path[320];
	char line[64] = "";
	snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, tid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	if (!fgets(line, sizeof line, f))
		line[0] = 0;
	fclose(f);
	return (double)strtoull(line, NULL, 10) * 1e-9; /* the first number: nanoseconds on a CPU */
}

static double cpu_of(const struct options *o)
{
	double sum = 0;
	for (unsigned i = 0; i < o->pid_count; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/task", (int)o->pids[i]);
		DIR *dir = opendir(path);
		for (struct dirent *e; dir && (e = readdir(dir));)
			if (e->d_name[0] != '.')
				sum += thread_cpu(o->pids[i], e->d_name);
		if (dir)
			closedir(dir);
	}
	return sum;
}

/* ---- the queries ---- */

static int type_from_text(const char *text, uint16_t *out)
{
	static const struct {
		const char *name;
		uint16_t type;
	} types[] = {{"A", 1}, {"NS", 2}, {"SOA", 6}, {"TXT", 16}, {"AAAA", 28}, {"DS", 43}, {"DNSKEY", 48},
		{"ANY", 255}, {"CAA", 257}};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (!strcasecmp(types[i].name, text)) {
			*out = types[i].type;
			return OK;
		}
	}
	return ERR_INVALID;
}

static void write_name(struct writer *w, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");
		if (len == 0 || len > 63) /* RFC 1035 section 2.3.4 */
			w->failed = true;
		write_string(w, name, len);
		name += len + (name[len] == '.');
	}
	write_u8(w, 0);
}

static int encode_query(const char *name, uint16_t type, const struct options *o, uint8_t *out, size_t *len)
{
	struct writer w = writer_over(out, QUERY_MAX);
	write_u32(&w, 0); /* id (filled in when sent) and flags */
	write_u16(&w, 1);
	write_u32(&w, 0);
	write_u16(&w, o->edns);
	write_name(&w, name);
	write_u16(&w, type);
	write_u16(&w, 1);
	if (o->edns) { /* OPT, RFC 6891 section 6.1.2: root, type, 1232 bytes, flags, no options */
		write_u8(&w, 0);
		write_u16(&w, 41);
		write_u16(&w, 1232);
		write_u32(&w, o->dnssec_ok ? 0x8000 : 0);
		write_u16(&w, 0);
	}
	return writer_finish(&w, len);
}

static int queries_add(struct queries *q, const uint8_t *wire, size_t len)
{
	uint16_t size = (uint16_t)len;
	if (q->cap - q->used < sizeof size + len) {
		size_t cap = q->cap ? q->cap * 2 : 1 << 20;
		uint8_t *grown = realloc(q->bytes, cap);
		if (!grown)
			return ERR_NOMEM;
		q->bytes = grown;
		q->cap = cap;
	}
	memcpy(q->bytes + q->used, &size, sizeof size);
	memcpy(q->bytes + q->used + sizeof size, wire, len);
	q->used += sizeof size + len;
	return OK;
}

static int queries_read(struct queries *q, const struct options *o)
{
	char name[300], type[32];
	uint8_t wire[QUERY_MAX];
	uint16_t qtype;
	size_t len;
	int r = OK;

	FILE *f = fopen(o->file, "r");
	if (!f)
		return ERR_SYSTEM;
	while (r == OK && fscanf(f, "%299s %31s", name, type) == 2) {
		r = type_from_text(type, &qtype);
		if (r == OK)
			r = encode_query(name, qtype, o, wire, &len);
		if (r == OK)
			r = queries_add(q, wire, len);
	}
	fclose(f);
	return r == OK && !q->used ? ERR_INVALID : r;
}

/* Copies the next query, round and round. */
static size_t queries_next(struct queries *q, uint8_t *out)
{
	uint16_t len;
	memcpy(&len, q->bytes + q->at, sizeof len);
	memcpy(out, q->bytes + q->at + sizeof len, len);
	q->at += sizeof len + len;
	if (q->at == q->used)
		q->at = 0;
	return len;
}

/* ---- the load ---- */

static uint32_t since_start_us(const struct blast *b, double t)
{
	return (uint32_t)((t - b->start) * 1e6);
}

/* How many queries may be sent on a stream now. */
static unsigned allowance(const struct blast *b, const struct stream *s, double t)
{
	unsigned k = b->window - s->inflight;
	if (b->rate) {
		double due = (t - b->start) * b->rate + 1 - (double)b->sent;
		k = due < 1 ? 0 : due < k ? (unsigned)due : k;
	}
	return k < BATCH ? k : BATCH;
}

static int send_batch(struct blast *b, struct stream *s, unsigned count, double t)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t *query = b->out.buffer[i];
		uint16_t id = (uint16_t)(s->next_id + i);
		b->out.iov[i] = (struct iovec){query, queries_next(&b->queries, query)};
		query[0] = (uint8_t)(id >> 8);
		query[1] = (uint8_t)id;
		s->sent_us[id] = since_start_us(b, t);
	}
	return sendmmsg(s->fd, b->out.message, count, 0);
}

static void send_queries(struct blast *b, struct stream *s)
{
	double t = seconds_now();
	unsigned count;
	while (t < b->end && (count = allowance(b, s, t)) > 0) {
		int r = send_batch(b, s, count, t);
		if (r <= 0)
			return;
		s->next_id = (uint16_t)(s->next_id + r);
		s->inflight += (unsigned)r;
		b->sent += (unsigned)r;
		b->stirred = t;
	}
}

static void count_answer(
	struct blast *b, const struct stream *s, const uint8_t *m, size_t len, uint32_t at_us)
{
	if (len < HEADER_SIZE)
		return;
	delays_add(&b->delays, at_us - s->sent_us[m[0] << 8 | m[1]]);
	b->rcodes[m[HEADER_RCODE] & RCODE_MASK]++;
	b->empty += !m[HEADER_ANCOUNT] && !m[HEADER_ANCOUNT + 1];
	b->truncated += (m[HEADER_FLAGS] & FLAG_TC) != 0;
	b->bytes += len;
	b->answered++;
}

static void take_answers(struct blast *b, struct stream *s)
{
	int r;
	do {
		r = recvmmsg(s->fd, b->in.message, BATCH, MSG_DONTWAIT, NULL);
		if (r <= 0)
			return;
		b->last = b->stirred = seconds_now();
		for (int i = 0; i < r; i++)
			count_answer(
				b, s, b->in.buffer[i], b->in.message[i].msg_len, since_start_us(b, b->last));
		s->inflight -= (unsigned)r < s->inflight ? (unsigned)r : s->inflight;
	} while (r == BATCH);
}

/* Waits for an answer or for the time of the next query; gives up on what has been in flight for too long. */
static void rest(struct blast *b)
{
	double wait = LOST_AFTER, t = seconds_now();
	if (b->rate && t < b->end) {
		double due = b->start + (double)b->sent / b->rate - t;
		wait = due < 0 ? 0 : due < wait ? due : wait;
	}
	struct timespec ts = {.tv_nsec = (long)(wait * 1e9)};
	if (ppoll(b->polls, b->stream_count, &ts, NULL) > 0 || seconds_now() - b->stirred < LOST_AFTER)
		return;
	for (unsigned i = 0; i < b->stream_count; i++)
		b->streams[i].inflight = 0;
}

static void blast_run(struct blast *b, unsigned seconds)
{
	b->start = b->last = b->stirred = seconds_now();
	b->end = b->start + seconds;
	while (seconds_now() < b->end + GRACE) {
		uint64_t before = b->sent + b->answered;
		for (unsigned i = 0; i < b->stream_count; i++) {
			send_queries(b, &b->streams[i]);
			take_answers(b, &b->streams[i]);
		}
		if (seconds_now() >= b->end && b->answered >= b->sent)
			break;
		if (b->sent + b->answered == before)
			rest(b);
	}
}

/* ---- the rest ---- */

static int stream_open(struct stream *s, const struct options *o)
{
	int size = RECEIVE_BUFFER;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(o->port)};
	if (inet_pton(AF_INET, o->address, &a.sin_addr) != 1)
		return ERR_INVALID;
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	s->sent_us = calloc(IDS, sizeof *s->sent_us);
	if (s->fd < 0 || !s->sent_us || setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0 ||
		connect(s->fd, (const struct sockaddr *)&a, sizeof a) < 0)
		return ERR_SYSTEM;
	return OK;
}

static void batch_init(struct batch *b)
{
	for (int i = 0; i < BATCH; i++) {
		b->iov[i] = (struct iovec){b->buffer[i], MESSAGE_MAX};
		b->message[i].msg_hdr = (struct msghdr){.msg_iov = &b->iov[i], .msg_iovlen = 1};
	}
}

static void blast_free(struct blast **b)
{
	for (unsigned i = 0; *b && i < (*b)->stream_count; i++) {
		free((*b)->streams[i].sent_us);
		if ((*b)->streams[i].fd >= 0)
			close((*b)->streams[i].fd);
	}
	if (*b)
		free((*b)->queries.bytes);
	free(*b);
	*b = NULL;
}

static int blast_new(const struct options *o, struct blast **out)
{
	struct blast *b = calloc(1, sizeof *b);
	if (!b)
		return ERR_NOMEM;
	b->window = o->window;
	b->rate = o->rate;
	batch_init(&b->out);
	batch_init(&b->in);
	int r = queries_read(&b->queries, o);
	while (r == OK && b->stream_count < o->sockets) {
		struct stream *s = &b->streams[b->stream_count];
		r = stream_open(s, o);
		b->polls[b->stream_count++] = (struct pollfd){s->fd, POLLIN, 0};
	}
	if (r != OK)
		blast_free(&b);
	*out = b;
	return r;
}

static void print_result(const struct blast *b)
{
	double elapsed = (b->last < b->end ? b->last : b->end) - b->start;
	const uint64_t *rcodes = b->rcodes;
	printf("qps=%.0f sent=%lu answered=%lu lost=%lu p50_us=%u p99_us=%u noerror=%lu nxdomain=%lu "
	       "other=%lu empty=%lu "
	       "tc=%lu avg_bytes=%lu",
		elapsed > 0 ? (double)b->answered / elapsed : 0.0, b->sent, b->answered,
		b->sent - b->answered, delays_percentile(&b->delays, 50), delays_percentile(&b->delays, 99),
		rcodes[0], rcodes[3], b->answered - rcodes[0] - rcodes[3], b->empty, b->truncated,
		b->answered ? b->bytes / b->answered : 0);
}

static int parse_pids(const char *text, struct options *o)
{
	while (o->pid_count < PIDS_MAX) {
		char *end;
		long v = strtol(text, &end, 10);
		if (end == text || v <= 0)
			return ERR_INVALID;
		o->pids[o->pid_count++] = (pid_t)v;
		if (!*end)
			return OK;
		if (*end != ',')
			return ERR_INVALID;
		text = end + 1;
	}
	return ERR_LIMIT;
}

static int parse_option(int letter, const char *arg, struct options *o)
{
	unsigned port;
	int r;
	switch (letter) {
	case 's':
		o->address = arg;
		return OK;
	case 'p':
		r = parse_number(arg, 1, UINT16_MAX, &port);
		o->port = r == OK ? (uint16_t)port : 0;
		return r;
	case 'q':
		o->file = arg;
		return OK;
	case 't':
		return parse_number(arg, 1, 3600, &o->seconds);
	case 'c':
		return parse_number(arg, 1, SOCKETS_MAX, &o->sockets);
	case 'w':
		return parse_number(arg, 1, WINDOW_MAX, &o->window);
	case 'r':
		return parse_number(arg, 1, 10000000, &o->rate);
	case 'd':
		o->edns = o->dnssec_ok = true;
		return OK;
	case 'e':
		o->edns = true;
		return OK;
	case 'P':
		return parse_pids(arg, o);
	default:
		return ERR_INVALID;
	}
}

static int parse_options(int argc, char **argv, struct options *o)
{
	*o = (struct options){.address = "127.0.0.1", .port = 53, .seconds = 5, .sockets = 4, .window = 64};
	for (int letter; (letter = getopt(argc, argv, "s:p:q:t:c:w:r:edP:")) != -1;) {
		int r = parse_option(letter, optarg, o);
		if (r != OK)
			return r;
	}
	return o->file && optind == argc ? OK : ERR_INVALID;
}

int main(int argc, char **argv)
{
	struct options o;
	if (parse_options(argc, argv, &o) != OK) {
		fputs("usage: udpblast [-s ADDR] -p PORT -q FILE [-t SECONDS] [-c SOCKETS] [-w WINDOW] [-r "
		      "RATE] [-e] [-d] "
		      "[-P PID[,PID...]]\n",
			stderr);
		return 2;
	}
	struct blast *b;
	if (blast_new(&o, &b) != OK) {
		fprintf(stderr, "udpblast: cannot use %s, or reach %s port %u\n", o.file, o.address, o.port);
		return 2;
	}
	double cpu = cpu_of(&o);
	blast_run(b, o.seconds);
	cpu = cpu_of(&o) - cpu;
	print_result(b);
	if (o.pid_count)
		printf(" server_cpu_us_per_query=%.3f", b->answered ? cpu * 1e6 / (double)b->answered : 0.0);
	putchar('\n');
	blast_free(&b);
	return fflush(stdout) ? 1 : 0;
}
