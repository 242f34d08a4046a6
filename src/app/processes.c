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

/* True: told to stop. */
static bool serve_once(
	struct api *api, struct http_server *http, struct ipc_client *client, int stop, int *rc)
{
	int64_t next = api_run(api, clock_mono_ms()) - clock_mono_ms();
	int wait = next < 0 ? 0 : next < API_TICK_MS ? (int)next : API_TICK_MS;
	struct pollfd p[] = {
		{.fd = http_fd(http), .events = POLLIN},
		{.fd = ipc_client_fd(client), .events = POLLIN},
		{.fd = stop, .events = POLLIN},
	};
	(void)!poll(p, stop < 0 ? 2 : 3, wait); /* interrupted or not: look at everything */
	int64_t now = clock_mono_ms();
	*rc = ipc_client_run(client, now);
	http_run(http, now);
	return stop >= 0 && p[2].revents;
}

static int serve_until_stopped(struct api *api, struct http_server *http, struct ipc_client *client,
	const struct board_seat *seat, int stop)
{
	int rc = OK;
	while (!rc && !serve_once(api, http, client, stop, &rc))
		if (ipc_client_greeted(client))
			board_serving(seat);
	http_quiesce(http);
	int64_t end = clock_mono_ms() + API_DRAIN_MS;
	while (!rc && http_busy(http) && clock_mono_ms() < end)
		serve_once(api, http, client, -1, &rc);
	return rc;
}

int api_process_run(const struct settings *s, const struct board_seat *seat, const struct sockets *k,
	int channel, int stop)
{
	const struct conf_api *c = &s->conf->api;
	const struct api_settings api_settings = {
		c->url, (const char *const *)c->base_paths, c->base_path_count};
	bool tls = c->tls_mode == CONF_TLS_FILES;
	const struct http_settings http_settings = {
		.listen = k->api,
		.listen_count = k->api_count,
		.certificate = tls ? c->tls_certificate : NULL,
		.key = tls ? c->tls_key : NULL,
		.trusted_proxies = c->trusted_proxies,
		.trusted_proxy_count = c->trusted_proxy_count,
	};
	struct ipc_client *client;
	struct api *api;
	struct http_server *http;
	int rc = ipc_client_new(channel, &client);
	if (rc)
		goto out;
	rc = api_new(&api_settings, client, &api);
	if (rc)
		goto free_client;
	rc = http_start(&http_settings, api_handle, api, &http);
	if (rc)
		goto free_api;
	give_way_to_dns();
	/* After the key was read, before the first byte from the network is. */
	rc = sandbox_enter(SANDBOX_API, NULL, seat);
	if (!rc)
		rc = serve_until_stopped(api, http, client, seat, stop);
	/* Ends what is still pending, which answers its exchange, so that the server can stop. */
	ipc_client_free(&client);
	api_flush(api);
	http_stop(&http);
free_api:
	api_free(&api);
free_client:
	ipc_client_free(&client);
out:
	return rc;
}
