// SPDX-License-Identifier: GPL-3.0-or-later
/* Prometheus's text format, version 0.0.4. One table has every metric; doc/metrics.md is held to it by a
 * test. Everything comes from shared memory: it can be read while the keeper hangs. No label ever holds
 * anything that clients choose. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/render.h"
#include "app/supervisor.h"
#include "util/clock.h"
#include "version.h"

/* What is added up over all processes, those that are leaving included. */
struct view {
	const struct board *board;
	struct dns_counters dns;
	struct net_counters net;
	struct http_counters http;
	struct keeper_counters keeper; /* what is as it is now: of the one in service */
	struct ipc_certificate certificate;
};

/* ---- adding up ---- */

/* All these structures are rows of 64-bit numbers that only their writer changes. */
static void add_words(void *to, const void *from, size_t size)
{
	uint64_t *sum = to;
	const uint64_t *n = from;
	for (size_t i = 0; i < size / sizeof *n; i++)
		sum[i] += __atomic_load_n(&n[i], __ATOMIC_RELAXED);
}

_Static_assert(sizeof(struct dns_counters) % 8 == 0 && sizeof(struct net_counters) % 8 == 0 &&
		       sizeof(struct http_counters) % 8 == 0 &&
		       offsetof(struct keeper_counters, beat) % 8 == 0,
	"rows of 64-bit numbers");

static void add_dns(struct view *v, const struct board_dns *d, bool running)
{
	struct net_counters net = {.starved = 0};
	add_words(&v->dns, &d->dns, sizeof v->dns);
	add_words(&net, &d->net, sizeof net);
	if (!running) /* whoever was killed has left them behind */
		net.open[0] = net.open[1] = 0;
	add_words(&v->net, &net, sizeof net);
}

static void add_http(struct view *v, const struct board_api *a, bool running)
{
	struct http_counters http = {.open = 0};
	add_words(&http, &a->http, sizeof http);
	http.open = running ? http.open : 0;
	add_words(&v->http, &http, sizeof http);
}

static void add_keeper(struct view *v, const struct keeper_counters *k, bool in_service)
{
	size_t grows = offsetof(struct keeper_counters, beat);
	add_words(&v->keeper, k, grows);
	if (in_service)
		memcpy((char *)&v->keeper + grows, (const char *)k + grows, sizeof *k - grows);
}

static void look(const struct board *b, struct view *v)
{
	*v = (struct view){.board = b};
	for (unsigned i = 0; i < board_places(b); i++) {
		const struct board_child c = board_child(b, i);
		unsigned index;
		switch (place_role(b, i, &index)) {
		case ROLE_DNS:
		case ROLE_DOT:
			add_dns(v, board_dns(b, i), c.pid);
			break;
		case ROLE_API:
			add_http(v, board_api(b, i), c.pid);
			break;
		case ROLE_KEEPER:
			add_keeper(v, board_keeper(b, i), c.in_service);
			break;
		default:
			break;
		}
	}
	health_certificate(b, &v->certificate);
}

/* ---- writing ---- */

static void number(FILE *to, const char *name, uint64_t n)
{
	fprintf(to, "%s %" PRIu64 "\n", name, n);
}

static void labelled(FILE *to, const char *name, const char *label, const char *value, uint64_t n)
{
	fprintf(to, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, n);
}

/* Exactly, whatever the locale: milliseconds, or with `micro` microseconds. */
static void seconds(FILE *to, int64_t n, bool micro)
{
	if (micro)
		fprintf(to, "%" PRId64 ".%06" PRId64 "\n", n / 1000000, n % 1000000);
	else
		fprintf(to, "%" PRId64 ".%03" PRId64 "\n", n / 1000, n % 1000);
}

/* Milliseconds since the epoch; 0: never, and nothing is written. */
static void moment(FILE *to, const char *name, int64_t when)
{
	if (when <= 0)
		return;
	fprintf(to, "%s ", name);
	seconds(to, when, false);
}

static void bound(FILE *to, uint32_t n, bool durations)
{
	if (durations)
		fprintf(to, "%.9g", n / 1e6);
	else
		fprintf(to, "%" PRIu32, n);
}

/* `labels`: empty, or ending with a comma. */
static void histogram(
	FILE *to, const char *name, const char *labels, const struct histogram *h, bool durations)
{
	const uint32_t *bounds = durations ? histogram_durations : histogram_sizes;
	int labels_len = (int)strlen(labels) - (*labels != 0);
	const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
	uint64_t all = 0;
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		all += h->counts[i];
		fprintf(to, "%s_bucket{%sle=\"", name, labels);
		bound(to, bounds[i], durations);
		fprintf(to, "\"} %" PRIu64 "\n", all);
	}
	all += h->counts[HISTOGRAM_BOUNDS];
	fprintf(to, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, all);
	fprintf(to, "%s_sum%s%.*s%s ", name, open, labels_len, labels, close);
	if (durations)
		seconds(to, (int64_t)h->sum, true);
	else
		fprintf(to, "%" PRIu64 "\n", h->sum);
	fprintf(to, "%s_count%s%.*s%s %" PRIu64 "\n", name, open, labels_len, labels, close, all);
}

/* ---- the server and its processes ---- */

static void build_info(FILE *to, const char *name, const struct view *v)
{
	(void)v;
	labelled(to, name, "version", VERSION, 1);
}

static void start_time(FILE *to, const char *name, const struct view *v)
{
	moment(to, name, board_started(v->board));
}

static void reloads(FILE *to, const char *name, const struct view *v)
{
	number(to, name, board_reloads(v->board));
}

typedef void process_metric(FILE *to, const char *name, const struct view *v, const struct ipc_process *p);

static void each_process(FILE *to, const char *name, const struct view *v, process_metric *one)
{
	struct ipc_process p;
	for (unsigned i = 0; i < board_places(v->board); i++)
		if (health_of_place(v->board, i, &p))
			one(to, name, v, &p);
}

static void process_up(FILE *to, const char *name, const struct view *v, const struct ipc_process *p)
{
	(void)v;
	labelled(to, name, "process", p->name, p->state == IPC_PROCESS_RUNS);
}

static void processes_up(FILE *to, const char *name, const struct view *v)
{
	each_process(to, name, v, process_up);
}

static void process_start(FILE *to, const char *name, const struct view *v, const struct ipc_process *p)
{
	char full[128];
	(void)v;
	if (snprintf(full, sizeof full, "%s{process=\"%s\"}", name, p->name) < (int)sizeof full)
		moment(to, full, p->started);
}

static void processes_start(FILE *to, const char *name, const struct view *v)
{
	each_process(to, name, v, process_start);
}

static void process_confined(FILE *to, const char *name, const struct view *v, const struct ipc_process *p)
{
	(void)v;
	for (unsigned i = 0; i < API_CONFINEMENTS; i++)
		fprintf(to, "%s{process=\"%s\",from=\"%s\"} %d\n", name, p->name, api_confinement_words[i],
			(p->confinement & 1u << i) != 0);
}

_Static_assert(
	CONFINED_PRIVILEGES == 1 && CONFINED_CALLS == 1 << (API_CONFINEMENTS - 1), "each bit has a word");

static void processes_confined(FILE *to, const char *name, const struct view *v)
{
	each_process(to, name, v, process_confined);
}

/* Of a process and of those it took turns with on reloads. */
static void processes_restarts(FILE *to, const char *name, const struct view *v)
{
	static const char *const reasons[BOARD_ENDS] = {"signal", "exit", "fork"};
	unsigned half = board_places(v->board) / COUNTERS_GENERATIONS;
	for (unsigned i = 0; i < half; i++) {
		const struct board_child a = board_child(v->board, i), b = board_child(v->board, i + half);
		char process[16];
		place_name(v->board, i, process);
		for (unsigned r = 0; (a.added || b.added) && r < BOARD_ENDS; r++)
			fprintf(to, "%s{process=\"%s\",reason=\"%s\"} %" PRIu64 "\n", name, process,
				reasons[r], (uint64_t)a.restarts[r] + b.restarts[r]);
	}
}

/* ---- DNS ---- */

static void dns_queries(FILE *to, const char *name, const struct view *v)
{
	labelled(to, name, "transport", "udp", v->dns.udp);
	labelled(to, name, "transport", "tcp", v->dns.tcp);
	labelled(to, name, "transport", "tls", v->dns.tls);
}

static void dns_types(FILE *to, const char *name, const struct view *v)
{
	static const char *const types[DNS_CLASSES] = {
		"other", "TXT", "A", "AAAA", "NS", "SOA", "CAA", "DNSKEY", "DS", "CNAME", "ANY", "HTTPS"};
	for (unsigned i = 0; i < DNS_CLASSES; i++)
		labelled(to, name, "type", types[i], v->dns.types[i]);
}

static void dns_rcodes(FILE *to, const char *name, const struct view *v)
{
	static const char *const rcodes[] = {[0] = "NOERROR",
		[1] = "FORMERR",
		[2] = "SERVFAIL",
		[3] = "NXDOMAIN",
		[4] = "NOTIMP",
		[5] = "REFUSED",
		[9] = "NOTAUTH",
		[16] = "BADVERS",
		[23] = "BADCOOKIE"};
	uint64_t others = 0;
	_Static_assert(sizeof rcodes / sizeof *rcodes == sizeof v->dns.rcodes / sizeof *v->dns.rcodes, "");
	for (size_t i = 0; i < sizeof rcodes / sizeof *rcodes; i++) {
		if (rcodes[i])
			labelled(to, name, "rcode", rcodes[i], v->dns.rcodes[i]);
		else
			others += v->dns.rcodes[i];
	}
	labelled(to, name, "rcode", "other", others);
}

static void dns_durations(FILE *to, const char *name, const struct view *v)
{
	histogram(to, name, "", &v->net.answered, true);
}

static void dns_cookies(FILE *to, const char *name, const struct view *v)
{
	labelled(to, name, "result", "valid", v->dns.cookies);
	labelled(to, name, "result", "invalid", v->dns.bad_cookies);
}

static void by_transport(FILE *to, const char *name, const uint64_t n[2])
{
	labelled(to, name, "transport", "tcp", n[0]);
	labelled(to, name, "transport", "tls", n[1]);
}

static void dns_accepted(FILE *to, const char *name, const struct view *v)
{
	by_transport(to, name, v->net.accepted);
}

static void dns_open(FILE *to, const char *name, const struct view *v)
{
	by_transport(to, name, v->net.open);
}

static void dns_evicted(FILE *to, const char *name, const struct view *v)
{
	by_transport(to, name, v->net.evicted);
}

/* ---- HTTP ---- */

static void http_responses(FILE *to, const char *name, const struct view *v)
{
	for (unsigned class = 0; class < API_CLASSES; class ++)
		for (unsigned i = 0; i < HTTP_STATUSES; i++) {
			char code[12] = "other";
			if (!v->http.responses[class][i])
				continue; /* 126 in all, and most never come */
			if (http_statuses[i] && snprintf(code, sizeof code, "%u", http_statuses[i]) < 0)
				continue;
			fprintf(to, "%s{route=\"%s\",code=\"%s\"} %" PRIu64 "\n", name,
				api_class_names[class], code, v->http.responses[class][i]);
		}
}

static void http_durations(FILE *to, const char *name, const struct view *v)
{
	char labels[32];
	for (unsigned class = 0; class < API_CLASSES; class ++)
		if (snprintf(labels, sizeof labels, "route=\"%s\",", api_class_names[class]) <
			(int)sizeof labels)
			histogram(to, name, labels, &v->http.durations[class], true);
}

/* ---- the keeper ---- */

static void refusals(FILE *to, const char *name, const struct view *v)
{
	for (unsigned i = IPC_OK + 1; i < IPC_STATUSES; i++)
		labelled(to, name, "reason", api_outcome_word((enum ipc_status)i), v->keeper.refusals[i]);
}

static void commit_durations(FILE *to, const char *name, const struct view *v)
{
	histogram(to, name, "", &v->keeper.commits, true);
}

static void commit_requests(FILE *to, const char *name, const struct view *v)
{
	histogram(to, name, "", &v->keeper.groups, false);
}

static void store_pages(FILE *to, const char *name, const struct view *v)
{
	labelled(to, name, "state", "used", v->keeper.pages_used);
	labelled(to, name, "state", "free", v->keeper.pages_free);
}

static void reader_held(FILE *to, const char *name, const struct view *v)
{
	fprintf(to, "%s ", name);
	seconds(to, (int64_t)v->keeper.reader_held_ms, false);
}

/* ---- the certificate ---- */

static void not_before(FILE *to, const char *name, const struct view *v)
{
	moment(to, name, v->certificate.not_before);
}

static void not_after(FILE *to, const char *name, const struct view *v)
{
	moment(to, name, v->certificate.not_after);
}

static void acme_failures(FILE *to, const char *name, const struct view *v)
{
	if (v->certificate.acme)
		number(to, name, v->certificate.failures);
}

static void acme_attempt(FILE *to, const char *name, const struct view *v)
{
	moment(to, name, v->certificate.last_attempt);
}

static void acme_success(FILE *to, const char *name, const struct view *v)
{
	moment(to, name, v->certificate.last_success);
}

static void acme_next(FILE *to, const char *name, const struct view *v)
{
	moment(to, name, v->certificate.next_attempt);
}

/* ---- the table ---- */

/* What is one number needs no function. */
#define OF(member) NULL, offsetof(struct view, member)

static const struct {
	const char *name, *type, *help;
	void (*write)(FILE *to, const char *name, const struct view *v);
	size_t offset; /* of a 64-bit number in the view */
} metrics[] = {
#include "app/metrics.def"
};

char *metrics_render(const struct board *b, size_t *len)
{
	char *text = NULL;
	struct view v;
	FILE *to = open_memstream(&text, len);
	if (!to)
		return NULL;
	look(b, &v);
	for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
		fprintf(to, "# HELP acme_delegate_%s %s\n", metrics[i].name, metrics[i].help);
		fprintf(to, "# TYPE acme_delegate_%s %s\n", metrics[i].name, metrics[i].type);
		char name[64];
		uint64_t n;
		if (snprintf(name, sizeof name, "acme_delegate_%s", metrics[i].name) >= (int)sizeof name)
			continue;
		memcpy(&n, (const char *)&v + metrics[i].offset, sizeof n);
		if (metrics[i].write)
			metrics[i].write(to, name, &v);
		else
			number(to, name, n);
	}
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- over HTTP ---- */

static void refuse(struct http_exchange *x, unsigned status, const char *say, const char *allow)
{
	http_respond(x, &(struct http_response){.status = status,
				.content_type = "text/plain; charset=utf-8",
				.body = say,
				.body_len = strlen(say),
				.allow = allow});
}

void metrics_handle(void *ctx, struct http_exchange *x, const struct http_request *r)
{
	size_t len;
	if (strcmp(r->path, "/metrics") != 0) {
		refuse(x, 404, "There is nothing here but /metrics.\n", NULL);
		return;
	}
	if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0) {
		refuse(x, 405, "Use GET.\n", "GET, HEAD");
		return;
	}
	char *text = metrics_render(ctx, &len);
	if (!text)
		refuse(x, 500, "There is no memory left for this.\n", NULL);
	else
		http_respond(x, &(struct http_response){.status = 200,
					.content_type = "text/plain; version=0.0.4; charset=utf-8",
					.body = text,
					.body_len = len});
	free(text);
}
