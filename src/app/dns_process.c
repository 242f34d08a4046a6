// SPDX-License-Identifier: GPL-3.0-or-later
/* The body of a dns process, a worker or dot: sockets on one side, the store on the other, answers in
 * between.
 */
#include <string.h>

#include "app/internal.h"
#include "net/net.h"
#include "tls/tls.h"
#include "util/clock.h"
#include "util/cursor.h"
#include "util/log.h"

enum {
	REPORT_MS = 60 * 1000, /* between two lines about clients that were limited */
	REOPEN_MS = 1000,      /* how often a store that cannot be read is tried again */
	TCP_IDLE_MS =
		10 * 1000, /* RFC 9210 section 4.3 leaves it to the server; BIND and Knot are near this */
	TCP_IDLE_CROWDED_MS = 2 * 1000,
	TCP_MESSAGE_MS = 5 * 1000, /* for one query to arrive, or one answer to be taken */
	GROWTH_MAX = 4,            /* an answer with two values is that long at most */
	PROBE_MAX = 12 + 255 + 4   /* header, name, type and class */
};

struct dns_process {
	const char *store_path;
	struct store *store;
	struct store_snapshot *snapshot;
	struct delegate_source delegates;
	struct dns_answerer *answerer;
	int64_t next_open;
	int64_t clock_origin, time; /* time of this batch, by which values live */
	bool tried, pinned;         /* the snapshot, for this batch */
	bool open_failed;
	const struct dns_counters *counters;
	uint64_t reported;  /* limited answers the log knows of */
	int64_t report_due; /* 0: nobody was limited lately */
	struct board_dns *board;
	struct dns_answerer *prober; /* whose answers count nowhere */
	uint8_t probe[PROBE_MAX];
	size_t probe_len;
	struct tls_context *tls; /* NULL: a worker of port 53 */
	const struct own_certificate *own;
};

static void close_store(struct dns_process *p)
{
	store_snapshot_free(&p->snapshot);
	store_close(&p->store);
}

static void open_store(struct dns_process *p)
{
	p->next_open = clock_mono_ms() + REOPEN_MS; /* if it fails */
	int rc = store_open(p->store_path, STORE_READ, NULL, &p->store);
	rc = rc ? rc : store_snapshot_new(p->store, &p->snapshot);
	if (rc)
		close_store(p);
	if (rc && !p->open_failed)
		log_error("app", "cannot read the store in %s: %s; delegates are answered with SERVFAIL",
			p->store_path, error_text(rc));
	if (!rc && p->open_failed)
		log_info("app", "the store can be read again");
	p->open_failed = rc != OK;
}

/* A flood is news when it begins, and then once a minute for as long as it lasts. */
static void report_limited(struct dns_process *p)
{
	uint64_t limited = p->counters->limited, news = limited - p->reported;
	if (!news && !p->report_due)
		return;
	int64_t now = clock_mono_ms();
	if (!p->report_due) {
		log_info("app", "clients ask more than dns.rate_limit allows; they get truncated answers");
		p->report_due = now + REPORT_MS;
	} else if (now >= p->report_due) {
		if (news)
			log_info("app", "%llu answers truncated by rate limiting in the last minute",
				(unsigned long long)news);
		p->report_due = news ? now + REPORT_MS : 0;
		p->reported = limited;
	}
}

static void begin_batch(void *ctx)
{
	struct dns_process *p = ctx;
	p->time = clock_steady_ms(p->clock_origin);
	if (!p->store && p->store_path && clock_mono_ms() >= p->next_open)
		open_store(p);
}

/* One snapshot for the batch: taken after its queries arrived, so whatever was acknowledged before is in it.
 */
static struct store_snapshot *pin_snapshot(void *ctx)
{
	struct dns_process *p = ctx;
	if (!p->tried)
		p->pinned = p->store && !store_snapshot_renew(p->snapshot);
	p->tried = true;
	return p->pinned ? p->snapshot : NULL;
}

static void end_batch(void *ctx)
{
	struct dns_process *p = ctx;
	p->tried = p->pinned = false;
	report_limited(p);
	if (!p->store)
		return;
	store_snapshot_release(p->snapshot);
	if (store_snapshot_broken(p->snapshot)) {
		log_error("app", "the store cannot be read; delegates are answered with SERVFAIL");
		p->open_failed = true;
		p->next_open = clock_mono_ms() + REOPEN_MS;
		close_store(p);
	}
}

static struct dns_query query_of(const struct dns_process *p, const struct net_message *m)
{
	return (struct dns_query){.wire = m->data,
		.len = m->len,
		.slot = m->slot,
		.tcp = m->tcp,
		.tls = m->tls,
		.client = m->client,
		.now = m->now,
		.jump = m->now - p->time,
		.delegates = &p->delegates};
}

static void look_ahead(void *ctx, const struct net_message *m)
{
	const struct dns_process *p = ctx;
	struct dns_query q = query_of(p, m);
	dns_look_ahead(p->answerer, &q);
}

static size_t answer(void *ctx, const struct net_message *m, uint8_t *out, size_t cap)
{
	struct dns_process *p = ctx;
	struct dns_query q = query_of(p, m);
	return dns_answer(p->answerer, &q, out, cap);
}

static bool take_certificate(void *ctx)
{
	const struct dns_process *p = ctx;
	return own_take_newer(p->own, p->tls);
}

/* ---- how it is itself ---- */

/* SOA of the first zone, RFC 1035 section 4.1. */
static void make_probe(struct dns_process *p, const char *zone)
{
	struct writer w = writer_over(p->probe, sizeof p->probe);
	static const uint8_t header[12] = {0, 0, 0, 0, 0, 1};
	write_bytes(&w, header, sizeof header);
	for (const char *label = zone; *label;) {
		size_t len = strcspn(label, ".");
		write_string(&w, label, len);
		label += len + (label[len] == '.');
	}
	write_u8(&w, 0);
	write_u16(&w, 6); /* SOA */
	write_u16(&w, 1); /* IN */
	if (writer_finish(&w, &p->probe_len))
		p->probe_len = 0;
}

/* No query comes from outside to say so: the sandbox lets nobody in here ask this process. */
static bool answers_probe(struct dns_process *p)
{
	uint8_t out[512];
	const struct dns_query q = {.wire = p->probe,
		.len = p->probe_len,
		.client.port = 1,
		.now = clock_wall_ms(),
		.delegates = &p->delegates};
	size_t len = dns_answer(p->prober, &q, out, sizeof out);
	/* QR, AA; NOERROR; one answer */
	return len > 12 && (out[2] & 0x84) == 0x84 && !(out[3] & 15) && out[6] == 0 && out[7] == 1;
}

static void look_at_myself(void *ctx, int64_t now)
{
	struct dns_process *p = ctx;
	begin_batch(p); /* opens a store that could not be read */
	uint32_t state = !answers_probe(p) ? BOARD_DNS_NO_ANSWER
			 : !p->store       ? BOARD_DNS_NO_STORE
					   : BOARD_DNS_WELL;
	if (state != p->board->state || !p->board->since)
		p->board->since = clock_wall_ms();
	p->board->state = state;
	p->board->beat = now;
	log_catch_up(false);
}

static int serve(struct dns_process *p, const struct dns_sockets *k, int stop)
{
	const struct net_settings settings = {
		.udp = k->udp,
		.udp_count = k->count,
		.tcp = k->tcp,
		.tcp_count = k->count,
		.tls = k->tls,
		.tls_count = k->tls_count,
		.tls_context = p->tls,
		.watched = p->own->line,
		.stop = stop,
		.tcp_connections = k->tcp_connections,
		.tcp_idle = TCP_IDLE_MS,
		.tcp_idle_crowded = TCP_IDLE_CROWDED_MS,
		.tcp_message = TCP_MESSAGE_MS,
		.counters = &p->board->net,
	};
	const struct net_handler handler = {.ctx = p,
		.batch_begin = begin_batch,
		.batch_end = end_batch,
		.look_ahead = look_ahead,
		.answer = answer,
		.tick = look_at_myself,
		.watched = p->tls && p->own->line >= 0 ? take_certificate : NULL};
	return net_run(&settings, &handler);
}

static struct dns_settings dns_settings_of(const struct settings *s, unsigned workers, struct dns_counters *n)
{
	const struct conf_dns *c = &s->conf->dns;
	return (struct dns_settings){.zones = s->zones,
		.nsid = c->nsid,
		.identity = c->identity,
		.version = c->version,
		.cookies = &s->cookies,
		.growth = GROWTH_MAX,
		.responses_per_second = c->responses_per_second,
		.answerers = workers,
		.unlimited = c->unlimited,
		.unlimited_count = c->unlimited_count,
		.tcp_idle = TCP_IDLE_MS,
		.counters = n};
}

static void note(
	void *ctx, uint16_t zone, const uint8_t *label, size_t len, const struct address *client, int64_t now)
{
	witness_note(ctx, zone, label, len, client, now);
}

int dns_process_run(const struct settings *s, const struct board_seat *seat, const struct dns_sockets *k,
	const struct dns_memory *m, const struct own_certificate *own, int stop)
{
	struct board_dns *board = board_dns(seat->board, seat->place);
	struct dns_counters *n = &board->dns;
	struct witness_writer *witness = NULL;
	struct dns_process p = {.store_path = m->store_damaged ? NULL : s->conf->store_path,
		.delegates = {m->index, pin_snapshot, &p},
		.own = own,
		.clock_origin = s->clock_origin,
		.counters = n,
		.board = board,
		.reported = n->limited};
	struct dns_settings dns = dns_settings_of(s, k->workers, n);
	int rc = m->witness ? witness_writer_new(m->witness, m->ring, &witness) : OK;
	if (rc)
		return rc;
	if (witness)
		dns.witness = (struct dns_witness){note, witness};
	make_probe(&p, s->conf->zones[0].name);
	rc = dns_answerer_new(&dns, &p.answerer);
	rc = rc ? rc : dns_answerer_new(&(struct dns_settings){.zones = s->zones}, &p.prober);
	if (rc)
		goto out;
	/* Only who serves TLS reads the key, and before the sandbox is entered. */
	if (k->tls_count)
		rc = own_tls_context(&s->conf->api, own, "dot", &p.tls);
	if (rc)
		goto out;
	if (p.store_path)
		open_store(&p);
	rc = sandbox_enter(k->tls_count ? SANDBOX_DOT : SANDBOX_DNS, s->conf->store_path, seat);
	if (!rc) {
		board_serving(seat);
		rc = serve(&p, k, stop);
	}
	close_store(&p);
out:
	tls_context_free(&p.tls);
	dns_answerer_free(&p.prober);
	dns_answerer_free(&p.answerer);
	witness_writer_free(&witness);
	return rc;
}
