// SPDX-License-Identifier: GPL-3.0-or-later
/* The bodies of the children: each joins the rooms it needs, and runs. */
#include <poll.h>

#include "api/api.h"
#include "app/internal.h"
#include "http/http.h"
#include "ipc/ipc.h"
#include "net/net.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	REOPEN_MS = 1000,       /* how often a store that cannot be read is tried again */
	TCP_CONNECTIONS = 1000, /* per dns worker */
	TCP_IDLE_MS =
		10 * 1000, /* RFC 9210 section 4.3 leaves it to the server; BIND and Knot are near this */
	TCP_MESSAGE_MS = 5 * 1000, /* for one query to arrive, or one answer to be taken */
	API_TICK_MS = 250,         /* how often deadlines are looked at */
	API_DRAIN_MS = 5 * 1000    /* for requests under way when the api is told to stop */
};

/* ---- dns ---- */

struct dns_process {
	const char *store_path;
	struct store *store;
	struct store_snapshot *snapshot;
	struct delegate_source delegates;
	struct dns_answerer *answerer;
	int64_t next_open;
	bool tried, pinned; /* the snapshot, for this batch */
	bool open_failed;
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

static void begin_batch(void *ctx)
{
	struct dns_process *p = ctx;
	if (!p->store && clock_mono_ms() >= p->next_open)
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

static size_t answer(void *ctx, const struct net_message *m, uint8_t *out, size_t cap)
{
	struct dns_process *p = ctx;
	struct dns_query q = {.wire = m->data,
		.len = m->len,
		.tcp = m->tcp,
		.tls = m->tls,
		.client = m->client,
		.now = m->now,
		.delegates = &p->delegates};
	return dns_answer(p->answerer, &q, out, cap);
}

int dns_process_run(const struct settings *s, const struct sockets *k, unsigned index, int stop)
{
	struct dns_process p = {.store_path = s->conf->store_path, .delegates = {NULL, pin_snapshot, &p}};
	const struct dns_settings dns = {.zones = s->zones, .tcp_idle = TCP_IDLE_MS};
	int rc = dns_answerer_new(&dns, &p.answerer);
	if (rc)
		return rc;
	open_store(&p);
	rc = sandbox_enter(SANDBOX_DNS, s->conf->store_path);
	if (!rc) {
		const struct net_settings settings = {
			.udp = k->udp + index * k->dns_count,
			.udp_count = k->dns_count,
			.tcp = k->tcp + index * k->dns_count,
			.tcp_count = k->dns_count,
			.stop = stop,
			.tcp_connections = TCP_CONNECTIONS,
			.tcp_idle = TCP_IDLE_MS,
			.tcp_message = TCP_MESSAGE_MS,
		};
		const struct net_handler handler = {&p, begin_batch, end_batch, NULL, answer};
		rc = net_run(&settings, &handler);
	}
	close_store(&p);
	dns_answerer_free(&p.answerer);
	return rc;
}

/* ---- keeper ---- */

int keeper_process_run(const struct settings *s, const int *channels, size_t count, int control, int stop)
{
	const struct conf_api *api = &s->conf->api;
	struct keeper_settings settings = {
		.store_path = s->conf->store_path,
		.zones = s->keeper_zones,
		.zone_count = s->conf->zone_count,
		.registration_mode = api->registration_mode,
		.per_address_per_hour = api->registration_per_address_per_hour,
		.per_day = api->registration_per_day,
		.channels = channels,
		.channel_count = count,
		.control = control,
		.stop = stop,
	};
	int rc = sandbox_enter(SANDBOX_KEEPER, s->conf->store_path);
	return rc ? rc : keeper_run(&settings);
}

/* ---- api ---- */

/* True: told to stop. */
static bool serve_once(struct http_server *http, struct ipc_client *client, int stop, int *rc)
{
	struct pollfd p[] = {
		{.fd = http_fd(http), .events = POLLIN},
		{.fd = ipc_client_fd(client), .events = POLLIN},
		{.fd = stop, .events = POLLIN},
	};
	(void)!poll(p, stop < 0 ? 2 : 3, API_TICK_MS); /* interrupted or not: look at everything */
	int64_t now = clock_mono_ms();
	*rc = ipc_client_run(client, now);
	http_run(http, now);
	return stop >= 0 && p[2].revents;
}

static int serve_until_stopped(struct http_server *http, struct ipc_client *client, int stop)
{
	int rc = OK;
	while (!rc && !serve_once(http, client, stop, &rc))
		;
	http_quiesce(http);
	int64_t end = clock_mono_ms() + API_DRAIN_MS;
	while (!rc && http_busy(http) && clock_mono_ms() < end)
		serve_once(http, client, -1, &rc);
	return rc;
}

int api_process_run(const struct settings *s, const struct sockets *k, int channel, int stop)
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
	/* After the key was read, before the first byte from the network is. */
	rc = sandbox_enter(SANDBOX_API, NULL);
	if (!rc)
		rc = serve_until_stopped(http, client, stop);
	/* Ends what is still pending, which answers its exchange, so that the server can stop. */
	ipc_client_free(&client);
	http_stop(&http);
free_api:
	api_free(&api);
free_client:
	ipc_client_free(&client);
out:
	return rc;
}
