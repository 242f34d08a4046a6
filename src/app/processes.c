// SPDX-License-Identifier: GPL-3.0-or-later
/* The bodies of the keeper and the api: each joins the rooms it needs, and runs. */
#include <poll.h>
#include <string.h>
#include <sys/resource.h>

#include "api/api.h"
#include "app/internal.h"
#include "http/http.h"
#include "ipc/ipc.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/secure.h"
#include "version.h"

enum {
	API_TICK_MS = 250,       /* how often deadlines are looked at */
	API_DRAIN_MS = 5 * 1000, /* for requests under way when the api is told to stop */
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

static void count_queries(void *ctx, struct ipc_report *report)
{
	const struct counters *c = ctx;
	for (unsigned i = 0; c->slots && i < COUNTERS_GENERATIONS * c->processes; i++) {
		report->queries_udp += c->slots[i].udp;
		report->queries_tcp += c->slots[i].tcp;
		report->queries_tls += c->slots[i].tls;
		report->queries_dropped += c->slots[i].dropped;
		report->replies_limited += c->slots[i].limited;
	}
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
	struct keeper_settings settings = {
		.store_path = s->conf->store_path,
		.index = in->index,
		.zones = s->keeper_zones,
		.zone_count = s->conf->zone_count,
		.registration_mode = api->registration_mode,
		.per_address_per_hour = api->registration_per_address_per_hour,
		.per_day = api->registration_per_day,
		.failed_login_delay = (uint32_t)api->failed_login_delay,
		.events_keep = s->conf->admin.events,
		.version = VERSION,
		.count_queries = count_queries,
		.count_ctx = (void *)in->counters,
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
	struct http_server *http;
	struct ipc_client *client;
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
		{.fd = p->tls ? p->own.line : -1, .events = POLLIN},
		{.fd = stop, .events = POLLIN},
	};
	(void)!poll(fds, sizeof fds / sizeof *fds, wait); /* interrupted or not: look at everything */
	int64_t now = clock_mono_ms();
	if (fds[2].revents && !own_take_newer(&p->own, p->tls))
		p->own.line = -1;
	*rc = ipc_client_run(p->client, now);
	http_run(p->http, now);
	return stop >= 0 && fds[3].revents;
}

static int serve_until_stopped(struct api_process *p, const struct board_seat *seat, int stop)
{
	int rc = OK;
	while (!rc && !serve_once(p, stop, &rc))
		if (ipc_client_greeted(p->client))
			board_serving(seat);
	http_quiesce(p->http);
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
	};
	return http_start(&settings, api_handle, p->api, &p->http);
}

int api_process_run(const struct settings *s, const struct board_seat *seat, const struct sockets *k,
	int channel, const struct own_certificate *own, int stop)
{
	const struct conf_api *c = &s->conf->api;
	const struct api_settings api_settings = {
		c->url, (const char *const *)c->base_paths, c->base_path_count};
	struct api_process p = {.own = *own};
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
	give_way_to_dns();
	/* After the key was read, before the first byte from the network is. */
	rc = sandbox_enter(SANDBOX_API, NULL, seat);
	if (!rc)
		rc = serve_until_stopped(&p, seat, stop);
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
