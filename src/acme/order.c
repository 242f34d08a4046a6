// SPDX-License-Identifier: GPL-3.0-or-later
/* From an order to a certificate (RFC 8555 section 7.4). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acme/client.h"
#include "acme/files.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

static bool has_profile(const struct client *c, const char *name)
{
	for (size_t i = 0; i < DOCUMENT_PROFILES; i++)
		if (strcmp(c->directory.profiles[i], name) == 0)
			return true;
	return false;
}

static int check_profile(struct client *c)
{
	char list[ACME_TEXT] = "";
	const char *wanted = c->settings->profile;
	if (!wanted || has_profile(c, wanted))
		return OK;
	for (size_t i = 0; i < DOCUMENT_PROFILES && *c->directory.profiles[i]; i++) {
		size_t n = strlen(list);
		if (text_format(list + n, sizeof list - n, "%s%s", n ? ", " : "", c->directory.profiles[i]))
			break;
	}
	return client_fail(c, ERR_FORBIDDEN, "the CA has no profile \"%s\"; %s%s", wanted,
		*list ? "it has: " : "it has none", list);
}

static json_t *identifiers(const struct client *c)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < c->name_count; i++) {
		json_t *one = json_pack("{s:s, s:s}", "type", "dns", "value", c->names[i]);
		if (json_array_append_new(list, one)) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

/* RFC 9773 section 5: which certificate the new one is for, if this CA issued that. */
static const char *replaced(const struct client *c)
{
	bool known = c->have_certificate && *c->directory.renewal_info && *c->certificate.id &&
		     strcmp(c->origin, c->settings->directory) == 0;
	return known ? c->certificate.id : NULL;
}

static int read_order(struct client *c, const struct response *r, struct order *o)
{
	int rc = document_order(r->body, r->len, o);
	return rc ? client_fail(c, rc, "the CA sent an order that makes no sense (RFC 8555 section 7.1.3)")
		  : OK;
}

static int post_order(struct client *c, const char *replaces, struct order *o, char url[static ACME_URL])
{
	struct response r;
	json_t *payload = json_pack("{s:o, s:s*, s:s*}", "identifiers", identifiers(c), "profile",
		c->settings->profile, "replaces", replaces);
	if (!payload)
		return ERR_NOMEM;
	const struct post p = {
		.url = c->directory.new_order, .what = "the order", .accept = ACME_JSON, .payload = payload};
	int rc = session_post(c, &p, &r);
	json_decref(payload);
	if (rc)
		return rc;
	rc = *r.location ? read_order(c, &r, o)
			 : client_fail(c, ERR_INVALID, "the CA has not said where the order is");
	memcpy(url, r.location, ACME_URL);
	response_free(&r);
	return rc;
}

/* What the CA thinks of the certificate that is replaced is no reason to have no new one. */
static int new_order(struct client *c, struct order *o, char url[static ACME_URL])
{
	const char *replaces = replaced(c);
	int rc = post_order(c, replaces, o, url);
	if (rc != ERR_FORBIDDEN || !replaces ||
		(!client_problem(c, "alreadyReplaced") && !client_problem(c, "malformed") &&
			!client_problem(c, "unauthorized")))
		return rc;
	log_info("acme", "%s; ordering without saying which certificate is replaced", c->failure.text);
	return post_order(c, NULL, o, url);
}

static int look(struct client *c, const char *url, struct order *o, int64_t *retry)
{
	struct response r;
	const struct post p = {.url = url, .what = "the order", .accept = ACME_JSON};
	int rc = session_post(c, &p, &r);
	if (rc)
		return rc;
	*retry = r.retry_after;
	rc = read_order(c, &r, o);
	response_free(&r);
	return rc;
}

static int failed(struct client *c, const struct order *o)
{
	return client_fail(c, ERR_FORBIDDEN, "the CA has given up the order: %s",
		*o->problem.text ? o->problem.text : "it gives no reason");
}

/* Until the order is ready (to be finalized) or valid. */
static int await(struct client *c, const char *url, enum status wanted, struct order *o)
{
	int64_t end = clock_mono_ms() + c->times.wait, retry;
	for (;;) {
		int rc = look(c, url, o, &retry);
		if (rc || o->status == wanted || o->status == STATUS_VALID)
			return rc;
		if (o->status == STATUS_INVALID)
			return failed(c, o);
		if (clock_mono_ms() >= end)
			return client_fail(c, ERR_AGAIN, "the CA has not carried out the order in time");
		rc = client_pause(c, retry, end);
		if (rc)
			return rc;
	}
}

/* Section 7.4: the answer is the order as it is then, perhaps with a word on when to look again. */
static int finalize(struct client *c, const char *url, const char *csr, struct order *o)
{
	struct response r;
	int64_t end = clock_mono_ms() + c->times.wait;
	json_t *payload = json_pack("{s:s}", "csr", csr);
	if (!payload)
		return ERR_NOMEM;
	const struct post p = {
		.url = o->finalize, .what = "to finalize the order", .accept = ACME_JSON, .payload = payload};
	int rc = session_post(c, &p, &r);
	json_decref(payload);
	if (rc)
		return rc;
	int64_t retry = r.retry_after;
	rc = read_order(c, &r, o);
	response_free(&r);
	if (!rc && o->status == STATUS_INVALID)
		rc = failed(c, o);
	if (!rc && o->status == STATUS_PROCESSING)
		rc = client_pause(c, retry, end);
	return rc || o->status == STATUS_VALID ? rc : await(c, url, STATUS_VALID, o);
}

static int issue(struct client *c, const char *url, struct order *o, const char *key, const char *csr)
{
	char *text = NULL;
	int rc = finalize(c, url, csr, o);
	if (!rc)
		rc = download(c, o->certificate, key, &text);
	if (!rc) {
		rc = file_write(c->folder, ACME_CERTIFICATE_FILE, text);
		if (rc)
			rc = client_fail(
				c, rc, ACME_CERTIFICATE_FILE " cannot be written: %s", strerror(errno));
	}
	file_free(&text);
	return rc;
}

static int carry_out(struct client *c, const char *url, struct order *o)
{
	char *key = NULL, *csr = NULL;
	int rc = o->status == STATUS_PENDING ? authorize(c, o) : OK;
	if (!rc && o->status != STATUS_READY)
		rc = await(c, url, STATUS_READY, o);
	/* An order of somebody else's making, or an old one: its certificate is for a key that is not here.
	 */
	if (!rc && o->status != STATUS_READY)
		return client_fail(c, ERR_INVALID, "the CA has carried out the order before it was told to");
	if (!rc) {
		rc = certificate_request(c->names, c->name_count, &key, &csr);
		if (rc == ERR_SYSTEM)
			rc = client_fail(c, rc, "no certificate can be requested for these names");
	}
	if (!rc)
		rc = issue(c, url, o, key, csr);
	file_free(&key);
	free(csr);
	return rc;
}

static int permit(struct client *c)
{
	if (c->hooks->permit(c->hooks->ctx, &c->state) == OK)
		return OK;
	int rc = transport_wait(c->stop, 0);
	return rc ? rc : client_fail(c, ERR_SYSTEM, "the CAA records could not be brought in line");
}

int order_certificate(struct client *c)
{
	char url[ACME_URL];
	struct order *o = calloc(1, sizeof *o);
	int rc = o ? session_directory(c) : ERR_NOMEM;
	if (!rc)
		rc = account_ready(c);
	if (!rc)
		rc = check_profile(c);
	if (!rc)
		rc = permit(c);
	if (!rc)
		rc = new_order(c, o, url);
	if (!rc && o->status == STATUS_INVALID)
		rc = failed(c, o);
	if (!rc)
		rc = carry_out(c, url, o);
	free(o);
	return rc;
}
