// SPDX-License-Identifier: GPL-3.0-or-later
/* Signed requests with nonces (RFC 8555 section 6). */
#include <stdlib.h>
#include <string.h>

#include "acme/client.h"
#include "util/log.h"
#include "util/text.h"

/* Every refusal brings a new nonce, so even a CA that refuses half of them is passed. */
enum { NONCE_TRIES = 10, BUSY_TRIES = 3 };

static int send_request(struct client *c, const struct request *q, struct response *out)
{
	char why[ACME_TEXT];
	int rc = transport_send(c->transport, q, out, why);
	if (rc == ERR_AGAIN)
		return client_fail(c, rc, "the CA gave no answer to the request for %s: %s", q->what, why);
	if (rc)
		return rc;
	if (*out->nonce)
		memcpy(c->nonce, out->nonce, sizeof c->nonce);
	return OK;
}

static bool is_success(const struct response *r)
{
	return r->status >= 200 && r->status < 300;
}

/* RFC 8555 section 6.6, RFC 9110 section 15.6.4: asked to come back in a moment. */
static bool is_busy(const struct client *c, const struct response *r)
{
	return (r->status == 429 || r->status == 503) && r->retry_after >= 0 &&
	       r->retry_after <= c->times.patience;
}

static int check_type(struct client *c, const char *what, const char *wanted, struct response *r)
{
	if (!wanted || strcmp(r->type, wanted) == 0)
		return OK;
	int rc = client_fail(c, ERR_INVALID, "the CA sent %s as %s, which should be %s", what,
		*r->type ? r->type : "something without a type", wanted);
	response_free(r);
	return rc;
}

static int conclude(struct client *c, const char *what, const char *wanted, struct response *r)
{
	if (is_success(r))
		return check_type(c, what, wanted, r);
	int rc = client_refused(c, what, r);
	response_free(r);
	return rc;
}

int session_get(struct client *c, const char *url, const char *what, struct response *out)
{
	const struct request q = {.url = url, .what = what, .accept = ACME_JSON};
	for (unsigned tries = 1;; tries++) {
		int rc = send_request(c, &q, out);
		if (rc)
			return rc;
		if (!is_busy(c, out) || tries == BUSY_TRIES)
			return conclude(c, what, ACME_JSON, out);
		int64_t wait = out->retry_after;
		response_free(out);
		rc = transport_wait(c->stop, wait);
		if (rc)
			return rc;
	}
}

int session_directory(struct client *c)
{
	struct response r;
	const char *url = c->settings->directory;
	int rc = session_get(c, url, "its directory", &r);
	if (rc)
		return rc;
	rc = document_directory(r.body, r.len, &c->directory);
	response_free(&r);
	if (rc)
		return client_fail(c, rc, "%s is no directory of an ACME CA (RFC 8555 section 7.1.1)", url);
	return OK;
}

static int need_nonce(struct client *c)
{
	struct response r;
	if (*c->nonce)
		return OK;
	const struct request q = {.url = c->directory.new_nonce, .what = "a nonce", .head = true};
	int rc = send_request(c, &q, &r);
	if (rc)
		return rc;
	rc = *c->nonce ? OK : client_refused(c, q.what, &r);
	response_free(&r);
	return rc;
}

/* RFC 8555 section 6.2: the account's URL, or the key itself where there is none yet. */
static json_t *make_header(const struct client *c, const struct post *p)
{
	char jwk[JWS_JWK];
	if (!p->by_key)
		return json_pack("{s:s, s:s, s:s, s:s}", "alg", "ES256", "kid", c->account, "nonce", c->nonce,
			"url", p->url);
	jws_jwk(c->key, jwk);
	return json_pack("{s:s, s:o, s:s, s:s}", "alg", "ES256", "jwk", json_loads(jwk, 0, NULL), "nonce",
		c->nonce, "url", p->url);
}

static int sign(struct client *c, const struct post *p, char **body)
{
	*body = NULL;
	json_t *o = make_header(c, p);
	char *header = o ? json_dumps(o, JSON_COMPACT) : NULL;
	char *payload = p->payload ? json_dumps(p->payload, JSON_COMPACT) : strdup("");
	int rc = header && payload ? jws_sign(c->key, header, payload, body) : ERR_NOMEM;
	json_decref(o);
	free(header);
	free(payload);
	c->nonce[0] = 0; /* used up */
	return rc == ERR_SYSTEM ? client_fail(c, rc, "the account's key cannot sign") : rc;
}

static int post_once(struct client *c, const struct post *p, struct response *out)
{
	char *body;
	int rc = need_nonce(c);
	if (!rc)
		rc = sign(c, p, &body);
	if (rc)
		return rc;
	const struct request q = {.url = p->url, .what = p->what, .accept = p->accept, .body = body};
	rc = send_request(c, &q, out);
	free(body);
	return rc;
}

/* RFC 8555 section 6.5: "the client SHOULD retry the request after getting a new nonce". */
static bool has_bad_nonce(const struct response *r)
{
	struct problem p;
	return r->status == 400 && document_problem(r->body, r->len, &p) == OK &&
	       strcmp(p.type, "urn:ietf:params:acme:error:badNonce") == 0;
}

int session_post(struct client *c, const struct post *p, struct response *out)
{
	unsigned nonces = 0, busy = 0;
	for (;;) {
		int rc = post_once(c, p, out);
		if (rc)
			return rc;
		int64_t wait = 0;
		if (is_busy(c, out) && ++busy < BUSY_TRIES)
			wait = out->retry_after;
		else if (!has_bad_nonce(out) || ++nonces == NONCE_TRIES)
			return conclude(c, p->what, p->accept, out);
		response_free(out);
		rc = transport_wait(c->stop, wait);
		if (rc)
			return rc;
	}
}
