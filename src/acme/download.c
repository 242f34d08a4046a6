// SPDX-License-Identifier: GPL-3.0-or-later
/* The certificate of an order, and which of its chains (RFC 8555 section 7.4.2). */
#include <string.h>
#include <strings.h>

#include "acme/client.h"
#include "util/clock.h"
#include "util/log.h"

static int fetch(struct client *c, const char *url, struct response *r, struct certificate *crt)
{
	const struct post p = {
		.url = url, .what = "the certificate", .accept = "application/pem-certificate-chain"};
	int rc = session_post(c, &p, r);
	if (rc)
		return rc;
	rc = certificate_read(r->body, r->len, crt);
	if (!rc)
		return OK;
	response_free(r);
	return rc == ERR_NOMEM ? rc : client_fail(c, rc, "the CA sent a certificate that cannot be used");
}

/* What is not ours, or no good, does not take the place of what is. */
static int check(struct client *c, const struct response *r, const struct certificate *crt, const char *key)
{
	if (!certificate_fits(r->body, r->len, key))
		return client_fail(c, ERR_INVALID, "the CA sent a certificate for another key");
	if (!certificate_names(crt, c->names, c->name_count))
		return client_fail(c, ERR_INVALID, "the CA sent a certificate for other names");
	if (crt->not_after <= clock_wall_ms())
		return client_fail(c, ERR_INVALID,
			"the CA sent a certificate that has expired, or this machine's clock is wrong");
	return OK;
}

static bool is_preferred(const struct client *c, const struct certificate *crt)
{
	const char *wanted = c->settings->preferred_chain;
	return !wanted || strcasecmp(wanted, crt->top_issuer) == 0;
}

/* Replaces *r and *crt by an alternative that is preferred. One that cannot be read or is not ours is passed
 * over. */
static int choose(struct client *c, struct response *r, struct certificate *crt, const char *key)
{
	struct response other;
	struct certificate its;
	for (size_t i = 0; !is_preferred(c, crt) && i < r->alternate_count; i++) {
		int rc = fetch(c, r->alternates[i], &other, &its);
		if (rc == ERR_CLOSED || rc == ERR_NOMEM)
			return rc;
		if (rc)
			continue;
		if (is_preferred(c, &its) && check(c, &other, &its, key) == OK) {
			response_free(r);
			*r = other;
			*crt = its;
			return OK;
		}
		response_free(&other);
	}
	if (!is_preferred(c, crt))
		log_warning("acme",
			"the CA has no chain that ends at \"%s\"; the one it prefers ends at \"%s\"",
			c->settings->preferred_chain, crt->top_issuer);
	return OK;
}

int download(struct client *c, const char *url, const char *key, char **text)
{
	struct response r;
	struct certificate crt;
	*text = NULL;
	int rc = fetch(c, url, &r, &crt);
	if (rc)
		return rc;
	rc = check(c, &r, &crt, key);
	if (!rc)
		rc = choose(c, &r, &crt, key);
	if (!rc)
		rc = certificate_file(c->settings->directory, key, r.body, r.len, text);
	response_free(&r);
	return rc;
}
