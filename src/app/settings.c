// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdlib.h>
#include <string.h>

#include "app/internal.h"
#include "util/clock.h"
#include "util/secure.h"

enum {
	CHECK_MS = 15,      /* of a start: what is not checked by then is checked beside serving */
	MIGRATE_MS = 10,    /* the same for bringing an old store up to date */
	MIGRATE_STEP = 500, /* records */
	BIND_SECONDS = 60   /* and then it has come to no end */
};

/* `state`: what is known of the account with the CA. */
static int build_zones(const struct conf *c, const uint16_t *ids, const struct acme_state *state,
	struct diag *d, struct dns_zones **out)
{
	const char *identities[ACME_IDENTITIES];
	struct dns_own own = {.host = c->api.host,
		.zone = c->api.host_zone,
		.acme = c->api.tls_mode == CONF_TLS_ACME,
		.account = state->account,
		.identities = identities};
	while (own.identity_count < ACME_IDENTITIES && *state->identities[own.identity_count]) {
		identities[own.identity_count] = state->identities[own.identity_count];
		own.identity_count++;
	}
	return dns_zones_build_own(c->zones, ids, c->zone_count, &own, c->file, d, out);
}

/* The records of the zones can be checked before there is a store that gives them ids. */
static int check_zones(const struct conf *c, struct diag *d)
{
	uint16_t *ids = calloc(c->zone_count, sizeof *ids);
	struct dns_zones *zones = NULL;
	if (!ids)
		return ERR_NOMEM;
	const struct acme_state nothing = {.account = ""};
	int rc = build_zones(c, ids, &nothing, d, &zones);
	dns_zones_free(&zones);
	free(ids);
	return rc;
}

int app_load(const char *file, struct diag *d, struct conf **out)
{
	int rc = file ? conf_load(file, d, out) : conf_local(d, out);
	if (rc)
		return rc;
	rc = check_zones(*out, d);
	if (rc)
		conf_free(out);
	return rc;
}

static int assign_ids(struct store *store, const struct conf *c, uint16_t *ids)
{
	struct store_txn *t;
	int rc = store_txn_begin(store, &t);
	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < c->zone_count; i++)
		rc = delegate_zone_id(t, c->zones[i].name, &ids[i]);
	int committed = store_txn_commit(&t);
	return rc ? rc : committed;
}

int settings_build_zones(
	const struct settings *s, const struct acme_state *own, struct diag *d, struct dns_zones **out)
{
	const struct conf *c = s->conf;
	uint16_t *ids = calloc(c->zone_count, sizeof *ids);
	if (!ids)
		return ERR_NOMEM;
	for (size_t i = 0; i < c->zone_count; i++)
		ids[i] = s->keeper_zones[i].id;
	int rc = build_zones(c, ids, own, d, out);
	free(ids);
	return rc;
}

/* A directory without caaIdentities (RFC 8555 section 7.1.1), known only when the CA was asked. */
void settings_warn_of_ca(const struct conf *c, const struct acme_state *own, struct diag *d)
{
	if (c->api.tls_mode == CONF_TLS_ACME && *own->account && !*own->identities[0])
		diag_warning(d, c->file, 0,
			"api.tls.acme: the CA's directory has no name for CAA records, so the zone of the API's "
			"host gets none, and every CA may issue certificates for it");
}

/* The same zones were checked before, and what is to be warned of was said then. */
static int build_again(struct settings *s, struct diag *d)
{
	struct diag *unused = diag_new();
	int rc = unused ? settings_build_zones(s, &s->own, unused, &s->zones) : ERR_NOMEM;
	if (rc)
		diag_error(d, s->conf->file, 0, "the zones cannot be built: %s", error_text(rc));
	diag_free(&unused);
	return rc;
}

/* A small store of an older format is brought up to date here; the keeper does the rest of a large one. */
static int migrate(struct store *store)
{
	bool more = true;
	int64_t end = clock_mono_ms() + MIGRATE_MS;
	int rc = OK;
	while (!rc && more && clock_mono_ms() < end)
		rc = store_migrate(store, MIGRATE_STEP, &more);
	return rc == ERR_FULL ? OK : rc; /* a full disk must not keep DNS from starting */
}

struct binding {
	const struct conf *conf;
	bool check;
};

/* The reply: an id for each zone. */
struct bound {
	bool verified;
	uint16_t ids[];
};

/* In a process of its own: an open store must not be inherited, and a damaged one can kill. */
static int bind_zones(void *ctx, struct diag *d, void *reply)
{
	const struct binding *b = ctx;
	const struct conf *c = b->conf;
	struct bound *out = reply;
	struct store *store = NULL;
	int rc = b->check ? damage_look(c->store_path, false, CHECK_MS, d, &out->verified) : OK;
	rc = rc ? rc : store_open(c->store_path, STORE_WRITE, d, &store);
	if (rc)
		return rc;
	rc = assign_ids(store, c, out->ids);
	rc = rc || !b->check ? rc : migrate(store);
	if (rc == ERR_STORE || rc == ERR_DAMAGED)
		diag_error(
			d, c->store_path, 0, "the store is damaged: %s; %s", error_text(rc), damage_advice);
	else if (rc)
		diag_error(d, c->store_path, 0, "cannot write to the store: %s", error_text(rc));
	store_close(&store);
	return rc;
}

int settings_bind_store(struct settings *s, bool check, struct diag *d)
{
	const struct conf *c = s->conf;
	struct binding binding = {c, check};
	size_t size = sizeof(struct bound) + c->zone_count * sizeof(uint16_t);
	struct bound *bound = calloc(1, size);
	const struct apart apart = {.body = bind_zones,
		.ctx = &binding,
		.reply = bound,
		.reply_len = size,
		.seconds = BIND_SECONDS,
		.store = c->store_path};
	s->keeper_zones = calloc(c->zone_count, sizeof *s->keeper_zones);
	int rc = bound && s->keeper_zones ? OK : ERR_NOMEM;
	rc = rc ? rc : apart_run(&apart, d);
	for (size_t i = 0; !rc && i < c->zone_count; i++)
		s->keeper_zones[i] = (struct keeper_zone){c->zones[i].name, bound->ids[i],
			{c->zones[i].value_lifetime, c->zones[i].max_values}};
	s->store_verified = !rc && bound->verified;
	free(bound);
	rc = rc ? rc : own_make_folder(c, d);
	if (!rc)
		own_load_state(c, &s->own);
	settings_warn_of_ca(c, &s->own, d);
	rc = rc ? rc : build_again(s, d);
	return rc;
}

static bool same_endpoints(const struct endpoint *a, size_t a_count, const struct endpoint *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (a[i].port != b[i].port || !address_equal(&a[i].address, &b[i].address))
			return false;
	return true;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

int settings_check_reload(const struct settings *now, const struct settings *next, struct diag *d)
{
	const struct conf *a = now->conf, *b = next->conf;
	size_t before = diag_errors(d);
	if (!same_endpoints(a->dns.listen, a->dns.listen_count, b->dns.listen, b->dns.listen_count))
		diag_error(d, b->file, 0, "dns.listen has changed; that needs a restart");
	if (!same_endpoints(
		    a->dns.tls_listen, a->dns.tls_listen_count, b->dns.tls_listen, b->dns.tls_listen_count))
		diag_error(d, b->file, 0, "dns.tls_listen has changed; that needs a restart");
	if (a->dns.workers != b->dns.workers)
		diag_error(d, b->file, 0, "dns.workers has changed; that needs a restart");
	if (!same_endpoints(a->api.listen, a->api.listen_count, b->api.listen, b->api.listen_count))
		diag_error(d, b->file, 0, "api.listen has changed; that needs a restart");
	if (!same_endpoints(
		    a->metrics.listen, a->metrics.listen_count, b->metrics.listen, b->metrics.listen_count))
		diag_error(d, b->file, 0, "metrics.listen has changed; that needs a restart");
	if (!same_text(a->store_path, b->store_path))
		diag_error(d, b->file, 0, "store.path has changed; that needs a restart");
	if (!same_text(a->user, b->user))
		diag_error(d, b->file, 0, "user has changed; that needs a restart");
	if (!same_text(a->admin.socket, b->admin.socket) || !same_text(a->admin.group, b->admin.group))
		diag_error(d, b->file, 0, "admin.socket or admin.group has changed; that needs a restart");
	return diag_errors(d) > before ? ERR_INVALID : OK;
}

void settings_free(struct settings *s)
{
	secure_wipe(&s->cookies, sizeof s->cookies);
	secure_wipe(s->operator_digest, sizeof s->operator_digest);
	dns_zones_free(&s->zones);
	free(s->keeper_zones);
	s->keeper_zones = NULL;
	conf_free(&s->conf);
}
