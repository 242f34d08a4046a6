// SPDX-License-Identifier: GPL-3.0-or-later
/* The account at the CA (RFC 8555 section 7.3). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acme/client.h"
#include "util/log.h"
#include "util/text.h"

static const char *contact_of(const struct client *c)
{
	return c->settings->contact ? c->settings->contact : "";
}

static json_t *contact_list(const struct client *c)
{
	return *contact_of(c) ? json_pack("[s+]", "mailto:", contact_of(c)) : json_array();
}

/* Section 7.3.4: the CA's customer vouches for the account's key. */
static int bind_external(struct client *c, json_t *payload)
{
	char jwk[JWS_JWK], *jws = NULL;
	if (!c->settings->eab_key_id)
		return c->directory.eab_required
			       ? client_fail(c, ERR_FORBIDDEN,
					 "this CA makes accounts for its customers only: it gives them a key ID and a MAC key for "
					 "external account binding, which have to be configured")
			       : OK;
	json_t *o = json_pack("{s:s, s:s, s:s}", "alg", "HS256", "kid", c->settings->eab_key_id, "url",
		c->directory.new_account);
	char *header = o ? json_dumps(o, JSON_COMPACT) : NULL;
	jws_jwk(c->key, jwk);
	int rc = header ? jws_mac(c->settings->eab_hmac_key, header, jwk, &jws) : ERR_NOMEM;
	json_decref(o);
	free(header);
	if (rc == ERR_INVALID)
		return client_fail(c, rc, "the MAC key for external account binding is no base64url");
	if (!rc && json_object_set_new(payload, "externalAccountBinding", json_loads(jws, 0, NULL)))
		rc = ERR_NOMEM;
	free(jws);
	return rc == ERR_SYSTEM ? client_fail(c, rc, "the MAC key cannot be used") : rc;
}

/* *status: of the account that is now in c->account. */
static int ask(struct client *c, const json_t *payload, enum status *status)
{
	struct response r;
	const struct post p = {.url = c->directory.new_account,
		.what = "the account",
		.accept = ACME_JSON,
		.payload = payload,
		.by_key = true};
	int rc = session_post(c, &p, &r);
	if (rc)
		return rc;
	rc = document_account(r.body, r.len, status);
	if (rc || !*r.location)
		rc = client_fail(
			c, ERR_INVALID, "the CA's answer to the request for an account makes no sense");
	else
		memcpy(c->account, r.location, sizeof c->account);
	response_free(&r);
	return rc;
}

static int create(struct client *c)
{
	enum status status;
	json_t *payload = json_pack("{s:b, s:o}", "termsOfServiceAgreed", 1, "contact", contact_list(c));
	if (!payload)
		return ERR_NOMEM;
	int rc = bind_external(c, payload);
	if (!rc)
		rc = ask(c, payload, &status);
	json_decref(payload);
	if (!rc && status != STATUS_VALID)
		rc = client_fail(c, ERR_FORBIDDEN, "the CA has made an account, but will not let us use it");
	if (!rc)
		log_info("acme", "new account at the CA: %s", c->account);
	return rc;
}

/* Section 7.3.1. ERR_NOTFOUND: the CA does not know the key; ERR_EXISTS: the account is no longer good. */
static int find(struct client *c)
{
	enum status status = STATUS_UNKNOWN;
	json_t *payload = json_pack("{s:b}", "onlyReturnExisting", 1);
	if (!payload)
		return ERR_NOMEM;
	int rc = ask(c, payload, &status);
	json_decref(payload);
	if (rc == ERR_FORBIDDEN && client_problem(c, "accountDoesNotExist"))
		return ERR_NOTFOUND;
	/* Section 7.3.6: what a deactivated account asks for is refused as unauthorized. */
	if (rc == ERR_FORBIDDEN && client_problem(c, "unauthorized"))
		return ERR_EXISTS;
	return !rc && status != STATUS_VALID ? ERR_EXISTS : rc;
}

static int find_or_create(struct client *c)
{
	bool fresh;
	int rc = account_key(c, &fresh);
	if (rc)
		return rc;
	if (fresh)
		return create(c);
	rc = find(c);
	if (rc == ERR_NOTFOUND) {
		log_warning("acme", "the CA does not know our account any more; a new one is made");
		return create(c);
	}
	if (rc != ERR_EXISTS)
		return rc;
	log_warning("acme", "our account at the CA has been deactivated; a new one is made, with a new key");
	rc = account_key_retire(c);
	if (!rc)
		rc = account_key(c, &fresh);
	return rc ? rc : create(c);
}

/* Section 7.3.2: the CA is told when the operator's address has changed. A certificate does not wait for
 * that: `known` stays, and the next order brings it up again. */
static int update_contact(struct client *c, char known[static ACME_TEXT])
{
	struct response r;
	if (strcmp(known, contact_of(c)) == 0)
		return OK;
	json_t *payload = json_pack("{s:o}", "contact", contact_list(c));
	if (!payload)
		return ERR_NOMEM;
	const struct post p = {
		.url = c->account, .what = "a new contact for the account", .payload = payload};
	int rc = session_post(c, &p, &r);
	json_decref(payload);
	if (rc == ERR_FORBIDDEN) {
		log_warning("acme", "%s", c->failure.text);
		return OK;
	}
	if (rc)
		return rc;
	response_free(&r);
	return text_format(known, ACME_TEXT, "%s", contact_of(c));
}

static void show_terms(const struct client *c)
{
	char known[ACME_URL];
	book_account(&c->book, c->settings->directory, "terms", known, sizeof known);
	if (*c->directory.terms && strcmp(known, c->directory.terms) != 0)
		log_info("acme", "using this CA means agreeing to its terms of service: %s",
			c->directory.terms);
}

static int remember(struct client *c, const char *contact)
{
	int rc = book_set_account(&c->book, c->settings->directory, c->account, contact, c->directory.terms,
		c->directory.identities);
	if (rc)
		return rc;
	rc = book_save(c->folder, &c->book);
	if (rc && rc != ERR_NOMEM)
		rc = client_fail(c, rc, ACME_STATE_FILE " cannot be written: %s", strerror(errno));
	return rc;
}

int account_ready(struct client *c)
{
	char before[ACME_URL], contact[ACME_TEXT];
	book_account(&c->book, c->settings->directory, "url", before, sizeof before);
	book_account(&c->book, c->settings->directory, "contact", contact, sizeof contact);
	show_terms(c);
	int rc = find_or_create(c);
	if (!rc && strcmp(before, c->account) == 0)
		rc = update_contact(c, contact);
	else if (!rc)
		rc = text_format(contact, sizeof contact, "%s", contact_of(c));
	if (!rc)
		rc = remember(c, contact);
	if (!rc)
		state_report(c);
	return rc;
}
