// SPDX-License-Identifier: GPL-3.0-or-later
/* Authorizations (RFC 8555 section 7.5), all by dns-01 (section 8.4). */
#include <stdlib.h>
#include <string.h>

#include "acme/client.h"
#include "util/clock.h"
#include "util/log.h"

/* One name that is to be proved. */
struct proof {
	const char *url;
	struct authorization is;
	char value[JWS_THUMBPRINT];
	bool published, proved;
};

struct proofs {
	struct proof all[ACME_NAMES];
	size_t count;
};

static bool is_ours(const struct client *c, const char *name)
{
	for (size_t i = 0; i < c->name_count; i++)
		if (strcmp(c->names[i], name) == 0)
			return true;
	return false;
}

/* `*retry`: what the CA says about looking again. */
static int look(struct client *c, struct proof *p, int64_t *retry)
{
	struct response r;
	const struct post q = {.url = p->url, .what = "an authorization", .accept = ACME_JSON};
	int rc = session_post(c, &q, &r);
	if (rc)
		return rc;
	rc = document_authorization(r.body, r.len, &p->is);
	*retry = r.retry_after;
	response_free(&r);
	if (rc)
		return client_fail(
			c, rc, "the CA sent an authorization that makes no sense (RFC 8555 section 7.1.4)");
	/* A value proves that whoever is at the CA's end may have a certificate for that name. */
	if (!is_ours(c, p->is.name))
		return client_fail(
			c, ERR_INVALID, "the CA wants a proof for %s, which was not asked for", p->is.name);
	p->proved = p->is.status == STATUS_VALID;
	return OK;
}

static int begin(struct client *c, struct proof *p)
{
	int64_t retry;
	int rc = look(c, p, &retry);
	if (rc || p->proved)
		return rc;
	if (p->is.status != STATUS_PENDING)
		return client_fail(c, ERR_FORBIDDEN,
			"the CA will not have %s proved: the authorization has ended", p->is.name);
	if (!*p->is.challenge)
		return client_fail(c, ERR_FORBIDDEN, "the CA offers no dns-01 challenge for %s", p->is.name);
	if (jws_dns_value(c->key, p->is.token, p->value))
		return client_fail(c, ERR_SYSTEM, "the value for %s cannot be computed", p->is.name);
	return OK;
}

/* All values of a name go out together. */
static int publish(struct client *c, struct proofs *all, struct proof *first)
{
	const char *values[ACME_NAMES];
	size_t count = 0;
	for (struct proof *p = all->all; p < all->all + all->count; p++) {
		if (p->proved || strcmp(p->is.name, first->is.name) != 0)
			continue;
		values[count++] = p->value;
		p->published = true;
	}
	if (c->hooks->publish(c->hooks->ctx, first->is.name, values, count) == OK)
		return OK;
	int rc = transport_wait(c->stop, 0);
	return rc ? rc
		  : client_fail(c, ERR_SYSTEM, "the value at _acme-challenge.%s cannot be published",
			    first->is.name);
}

static void withdraw(struct client *c, struct proofs *all)
{
	for (size_t i = 0; i < all->count; i++) {
		if (!all->all[i].published)
			continue;
		const char *name = all->all[i].is.name;
		for (size_t k = i; k < all->count; k++)
			if (strcmp(all->all[k].is.name, name) == 0)
				all->all[k].published = false;
		if (c->hooks->publish(c->hooks->ctx, name, NULL, 0))
			log_warning("acme",
				"the value at _acme-challenge.%s could not be withdrawn; it expires", name);
	}
}

/* Section 7.5.1 */
static int answer(struct client *c, const struct proof *p)
{
	struct response r;
	json_t *empty = json_object();
	if (!empty)
		return ERR_NOMEM;
	const struct post q = {.url = p->is.challenge, .what = "the challenge", .payload = empty};
	int rc = session_post(c, &q, &r);
	json_decref(empty);
	if (!rc)
		response_free(&r);
	return rc;
}

static int await(struct client *c, struct proof *p, int64_t end)
{
	int64_t retry;
	for (;;) {
		int rc = look(c, p, &retry);
		if (rc || p->proved)
			return rc;
		if (p->is.status != STATUS_PENDING)
			return client_fail(c, ERR_FORBIDDEN, "the CA does not accept our proof for %s: %s",
				p->is.name, *p->is.problem.text ? p->is.problem.text : "it gives no reason");
		if (clock_mono_ms() >= end)
			return client_fail(c, ERR_AGAIN, "the CA has not looked at our proof for %s in time",
				p->is.name);
		rc = client_pause(c, retry, end);
		if (rc)
			return rc;
	}
}

static int prove(struct client *c, struct proofs *all)
{
	struct proof *p, *end = all->all + all->count;
	int rc = OK;
	for (p = all->all; !rc && p < end; p++)
		rc = begin(c, p);
	for (p = all->all; !rc && p < end; p++)
		if (!p->proved && !p->published)
			rc = publish(c, all, p);
	bool answered = false;
	for (p = all->all; !rc && p < end; p++)
		if (!p->proved) {
			rc = answer(c, p);
			answered = true;
		}
	int64_t give_up = clock_mono_ms() + c->times.wait;
	if (!rc && answered)
		rc = client_pause(c, -1, give_up);
	for (p = all->all; !rc && p < end; p++)
		if (!p->proved)
			rc = await(c, p, give_up);
	return rc;
}

int authorize(struct client *c, const struct order *o)
{
	struct proofs *all = calloc(1, sizeof *all);
	if (!all)
		return ERR_NOMEM;
	all->count = o->count;
	for (size_t i = 0; i < o->count; i++)
		all->all[i].url = o->authorizations[i];
	int rc = prove(c, all);
	struct failure why = c->failure;
	withdraw(c, all);
	c->failure = why;
	free(all);
	return rc;
}
