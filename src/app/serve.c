// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/internal.h"
#include "net/net.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	DESCRIPTORS = 4096,  /* per process, besides DNS connections: the api's, and room to spare */
	DESCRIPTORS_MIN = 64 /* with fewer it cannot even look at all it has: poll(2), EINVAL */
};

static void announce(const struct settings *s, const struct sockets *k)
{
	const struct conf *c = s->conf;
	char text[ENDPOINT_TEXT];
	for (size_t i = 0; i < c->zone_count; i++)
		log_info("app", "serving the zone %s", c->zones[i].name);
	for (size_t i = 0; i < c->dns.listen_count; i++) {
		endpoint_format(&c->dns.listen[i], text);
		log_info("app", "DNS on %s, UDP and TCP, %u worker%s", text, k->workers,
			k->workers == 1 ? "" : "s");
	}
	for (size_t i = 0; i < c->dns.tls_listen_count; i++) {
		endpoint_format(&c->dns.tls_listen[i], text);
		log_info("app", "DNS over TLS on %s", text);
	}
	for (size_t i = 0; i < c->api.listen_count; i++) {
		endpoint_format(&c->api.listen[i], text);
		log_info("app", "API on %s, %s", text,
			c->api.tls_mode == CONF_TLS_OFF ? "plain HTTP" : "HTTPS");
	}
	for (size_t i = 0; i < c->metrics.listen_count; i++) {
		endpoint_format(&c->metrics.listen[i], text);
		log_info("app", "metrics on http://%s/metrics", text);
	}
	if (k->admin.fd >= 0)
		log_info("app", "administration on %s%s", c->admin.socket,
			c->admin.token_file ? ", and over the API" : "");
	log_info("app", "the store is in %s", c->store_path);
	net_report_kernel(k->udp[0]);
}

/* The api alone takes 2000 connections, and the usual soft limit is 1024 descriptors. With fewer than it
 * wants a process serves fewer connections at once. */
static int raise_descriptor_limit(const struct conf *c, struct diag *d)
{
	rlim_t wanted = DESCRIPTORS + (rlim_t)c->dns.tcp_connections;
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return ERR_SYSTEM;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_warning("app", "cannot raise the limit of open files: %s", strerror(errno));
	if (limit.rlim_cur >= DESCRIPTORS_MIN)
		return OK;
	diag_error(d, NULL, 0,
		"at most %llu files may be open, and at least %d are needed; raise the limit (ulimit -n, "
		"or LimitNOFILE= of systemd)",
		(unsigned long long)limit.rlim_cur, DESCRIPTORS_MIN);
	return ERR_LIMIT;
}

/* What a person who started it without a configuration wants to know. */
static void explain_local(const struct conf *c)
{
	char dns[ADDRESS_TEXT];
	address_format(&c->dns.listen[0].address, dns);
	printf("This is a local instance for trying out: it listens on loopback only.\n"
	       "\n"
	       "  register   curl -X POST %s/register\n"
	       "  update     curl -X POST %s/update -H 'X-Api-User: USERNAME' -H 'X-Api-Key: PASSWORD' \\\n"
	       "                  -d '{\"subdomain\": \"SUBDOMAIN\", \"txt\": \"43 characters of [A-Za-z0-9_-]\"}'\n"
	       "  look       dig @%s -p %u TXT SUBDOMAIN.%s\n"
	       "\n"
	       "Values and keys are kept in %s. To serve the world, write a configuration:\n"
	       "  acme-delegate config sample > acme-delegate.yaml\n"
	       "  acme-delegate serve -c acme-delegate.yaml\n",
		c->api.url, c->api.url, dns, (unsigned)c->dns.listen[0].port, c->zones[0].name,
		c->store_path);
	fflush(stdout);
}

/* From nothing to running children. The order matters: what can be refused without a trace comes first, then
 * what needs privileges, then they go, then the store is touched, and only then do children read from the
 * network. */
static int start(const char *file, struct diag *d, int *status)
{
	struct settings s = {.conf = NULL, .clock_origin = clock_origin()};
	struct sockets k;
	int lock = -1;
	int rc = sandbox_prepare();
	rc = rc ? rc : app_load(file, d, &s.conf);
	if (rc)
		return rc;
	rc = privileges_check_files(s.conf, d);
	rc = rc ? rc : settings_load_cookies(&s, NULL, d);
	rc = rc ? rc : settings_load_operator(&s, d);
	if (rc)
		goto free_settings;
	log_setup(s.conf->log_level, s.conf->log_format);
	rc = raise_descriptor_limit(s.conf, d);
	rc = rc ? rc : sockets_bind(s.conf, d, &k);
	if (rc)
		goto free_settings;
	rc = privileges_drop(s.conf, d);
	if (rc)
		goto close_sockets;
	rc = store_lock(s.conf, d, &lock);
	if (rc)
		goto close_lock;
	rc = settings_bind_store(&s, true, d);
	if (rc)
		goto close_lock;
	diag_print(d, stderr); /* warnings; errors are printed by the caller */
	announce(&s, &k);
	if (!file)
		explain_local(s.conf);
	*status = supervisor_run(file, &s, &k);
close_lock:
	if (lock >= 0)
		close(lock);
close_sockets:
	sockets_close(&k);
free_settings:
	settings_free(&s);
	return rc;
}

int app_serve(const char *file)
{
	int status = APP_USAGE;
	struct diag *d = diag_new();
	/* Relative to where it was started, also when a reload comes from elsewhere. */
	char *absolute = file ? realpath(file, NULL) : NULL;
	int rc = d ? start(absolute ? absolute : file, d, &status) : ERR_NOMEM;
	if (rc && d)
		diag_print(d, stderr);
	if (rc && (!d || !diag_errors(d)))
		fprintf(stderr, "cannot start: %s\n", error_text(rc));
	free(absolute);
	diag_free(&d);
	return rc ? APP_USAGE : status;
}
