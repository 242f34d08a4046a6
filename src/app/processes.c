// SPDX-License-Identifier: GPL-3.0-or-later
/* The bodies of the keeper and the api: each joins the rooms it needs, and runs. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>

#include "api/api.h"
#include "app/supervisor.h"
#include "http/http.h"
#include "ipc/ipc.h"
#include "tls/tls.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/secure.h"
#include "version.h"

enum {
	API_TICK_MS = 250,       /* how often deadlines are looked at */
	API_DRAIN_MS = 5 * 1000, /* for requests under way when the api is told to stop */
	METRICS_CONNECTIONS = 64,
	YIELDING_NICE = 5
};

/* Updates may wait a moment for DNS, which asks for a few microseconds at a time. Measured on two cores that
 * four clients keep busy: a quarter off the 99th percentile of DNS, and nothing off the updates. */
static void give_way_to_dns(void)
{
	if (setpriority(PRIO_PROCESS, 0, YIELDING_NICE))
		log_debug("app", "cannot lower the priority of this process");
}

/* ---- keeper ---- */

struct reporter {
	const struct board *board;
	bool tls;
};

/* Of all keepers since the server started. */
static void add_requests(const struct keeper_counters *n, struct ipc_report *report)
{
	report->registrations += n->registrations;
	report->changes += n->changes;
	for (unsigned i = 0; i < IPC_STATUSES; i++)
		report->refusals += n->refusals[i];
}

/* What the keeper tells the operator of others. */
static void fill_report(void *ctx, struct ipc_report *report)
{
	const struct reporter *reporter = ctx;
	const struct board *b = reporter->board;
	report->tls = reporter->tls;
	report->registrations = report->changes = report->refusals = 0;
	for (unsigned i = 0; i < board_places(b); i++) {
		unsigned index;
		enum role role = place_role(b, i, &index);
		if (role == ROLE_KEEPER)
			add_requests(board_keeper(b, i), report);
		if (role != ROLE_DNS && role != ROLE_DOT)
			continue;
		const struct dns_counters *n = &board_dns(b, i)->dns;
		report->queries_udp += n->udp;
		report->queries_tcp += n->tcp;
		report->queries_tls += n->tls;
		report->queries_dropped += n->dropped;
		report->replies_limited += n->limited;
	}
	health_report(b, report);
}

static bool is_static(const void *zones, uint16_t zone, const char *label)
{
	return dns_zones_has_static(zones, zone, label);
}

/* Where the challenge for the API's own certificate is. */
static const struct keeper_zone *challenge_zone(const struct settings *s)
{
	const struct conf *c = s->conf;
	if (c->api.tls_mode != CONF_TLS_ACME)
		return NULL;
	return &s->keeper_zones[c->api.host_zone ? c->api.host_zone - c->zones : 0];
}

int keeper_process_run(const struct settings *s, const struct board_seat *seat,
	const struct keeper_inheritance *in, int stop)
{
	const struct conf_api *api = &s->conf->api;
	struct reporter reporter = {
		seat->board, api->tls_mode != CONF_TLS_OFF || s->conf->dns.tls_listen_count};
	struct keeper_settings settings = {
		.store_path = in->store_damaged ? NULL : s->conf->store_path,
		.index = in->index,
		.zones = s->keeper_zones,
		.zone_count = s->conf->zone_count,
		.registration_mode = api->registration_mode,
		.per_address_per_hour = api->registration_per_address_per_hour,
		.per_day = api->registration_per_day,
		.failed_login_delay = (uint32_t)api->failed_login_delay,
		.events_keep = s->conf->admin.events,
		.clock_origin = s->clock_origin,
		.version = VERSION,
		.counters = board_keeper(seat->board, seat->place),
		.fill_report = fill_report,
		.report_ctx = &reporter,
		.is_static = is_static,
		.static_ctx = s->zones,
		.channels = in->channels,
		.channel_count = in->channel_count,
		.agents = in->agents,
		.agent_count = in->agent_count,
		.challenge_zone = challenge_zone(s),
		.control = in->control,
		.stop = stop,
		.witness = in->witness,
		.admin = in->admin,
		.admin_group = s->conf->admin.group != NULL,
	};
	memcpy(settings.operator_digest, s->operator_digest, sizeof settings.operator_digest);
	give_way_to_dns();
	int rc = sandbox_enter(SANDBOX_KEEPER, s->conf->store_path, seat);
	if (!rc) {
		board_serving(seat);
		rc = keeper_run(&settings);
	}
	secure_wipe(settings.operator_digest, sizeof settings.operator_digest);
	return rc;
}

/* ---- api ---- */

struct api_process {
	struct api *api;
	struct http_server *http, *metrics; /* metrics NULL: nobody listens */
	struct ipc_client *client;
	struct board_api *board;
	struct tls_context *tls;    /* NULL: plain HTTP */
	struct own_certificate own; /* line -1: none, or there will be no newer ones */
};

/* True: told to stop. */
static bool serve_once(struct api_process *p, int stop, int *rc)
{
	int64_t next = api_run(p->api, clock_mono_ms()) - clock_mono_ms();
	int wait = next < 0 ? 0 : next < API_TICK_MS ? (int)next : API_TICK_MS;
	struct pollfd fds[] = {
		{.fd = http_fd(p->http), .events = POLLIN},
		{.fd = ipc_client_fd(p->client), .events = POLLIN},
		{.fd = p->metrics ? http_fd(p->metrics) : -1, .events = POLLIN},
		{.fd = p->tls ? p->own.line : -1, .events = POLLIN},
		{.fd = stop, .events = POLLIN},
	};
	if (poll(fds, sizeof fds / sizeof *fds, wait) < 0 && errno != EINTR) {
		*rc = ERR_SYSTEM; /* else it would turn round and round */
		return false;
	}
	int64_t now = clock_mono_ms();
	if (now / 1000 != p->board->beat / 1000)
		log_catch_up(false);
	p->board->beat = now;
	if (fds[3].revents && !own_take_newer(&p->own, p->tls))
		p->own.line = -1;
	*rc = ipc_client_run(p->client, now);
	http_run(p->http, now);
	if (p->metrics)
		http_run(p->metrics, now);
	return stop >= 0 && fds[4].revents;
}

static int serve_until_stopped(struct api_process *p, const struct board_seat *seat, int stop)
{
	int rc = OK;
	while (!rc && !serve_once(p, stop, &rc))
		if (ipc_client_greeted(p->client))
			board_serving(seat);
	http_quiesce(p->http);
	if (p->metrics)
		http_quiesce(p->metrics);
	int64_t end = clock_mono_ms() + API_DRAIN_MS;
	while (!rc && http_busy(p->http) && clock_mono_ms() < end)
		serve_once(p, -1, &rc);
	return rc;
}

static int start_http(const struct conf_api *c, const struct sockets *k, struct api_process *p)
{
	const struct http_settings settings = {
		.listen = k->api,
		.listen_count = k->api_count,
		.tls = p->tls,
		.trusted_proxies = c->trusted_proxies,
		.trusted_proxy_count = c->trusted_proxy_count,
		.counters = &p->board->http,
	};
	return http_start(&settings, api_handle, p->api, &p->http);
}

static int start_metrics(const struct sockets *k, struct board *b, struct http_server **out)
{
	const struct http_settings settings = {
		.listen = k->metrics, .listen_count = k->metrics_count, .connections = METRICS_CONNECTIONS};
	*out = NULL;
	return k->metrics_count ? http_start(&settings, metrics_handle, b, out) : OK;
}

/* While files can still be read. */
static void note_certificate(struct board_api *b, const struct conf_api *c)
{
	b->not_before = b->not_after = 0;
	if (c->tls_mode == CONF_TLS_FILES &&
		tls_certificate_dates(c->tls_certificate, &b->not_before, &b->not_after))
		log_warning("app", "cannot read the dates of the certificate in %s", c->tls_certificate);
}

int api_process_run(const struct settings *s, const struct board_seat *seat, const struct sockets *k,
	int channel, const struct own_certificate *own, int stop)
{
	const struct conf_api *c = &s->conf->api;
	struct api_process p = {.own = *own, .board = board_api(seat->board, seat->place)};
	const struct api_settings api_settings = {
		c->url, (const char *const *)c->base_paths, c->base_path_count, health_problem, seat->board};
	int rc = ipc_client_new(channel, &p.client);
	if (rc)
		goto out;
	rc = api_new(&api_settings, p.client, &p.api);
	if (rc)
		goto free_client;
	if (c->tls_mode != CONF_TLS_OFF)
		rc = own_tls_context(c, own, HTTP_PROTOCOL, &p.tls);
	rc = rc ? rc : start_http(c, k, &p);
	if (rc)
		goto free_api;
	rc = start_metrics(k, seat->board, &p.metrics);
	if (rc)
		goto stop_http;
	note_certificate(p.board, c);
	give_way_to_dns();
	/* After the key was read, before the first byte from the network is. */
	rc = sandbox_enter(SANDBOX_API, NULL, seat);
	if (!rc)
		rc = serve_until_stopped(&p, seat, stop);
	http_stop(&p.metrics);
stop_http:
	/* Ends what is still pending, which answers its exchange, so that the server can stop. */
	ipc_client_free(&p.client);
	api_flush(p.api);
	http_stop(&p.http);
free_api:
	tls_context_free(&p.tls);
	api_free(&p.api);
free_client:
	ipc_client_free(&p.client);
out:
	return rc;
}
