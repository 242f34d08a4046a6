// SPDX-License-Identifier: GPL-3.0-or-later
#include "acme/documents.h"

#include <jansson.h>
#include <string.h>

#include "acme/dates.h"
#include "util/scarce.h"
#include "util/text.h"

/* *out: NULL unless OK. */
static int load_object(const char *body, size_t len, json_t **out)
{
	*out = NULL;
	if (len > DOCUMENT_MAX)
		return ERR_INVALID;
	json_set_alloc_funcs(scarce_malloc, scarce_free);
	scarce_begin();
	json_t *o = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	bool scarce = scarce_end();
	if (!scarce && json_is_object(o)) {
		*out = o;
		return OK;
	}
	json_decref(o);
	return scarce ? ERR_NOMEM : ERR_INVALID;
}

/* Printable ASCII, so that it can be shown anywhere; what does not fit is left away. */
static void append(char *out, size_t cap, const char *text)
{
	size_t n = strlen(out);
	for (; *text && n + 1 < cap; text++)
		out[n++] = *text >= 0x20 && *text <= 0x7e ? *text : '?';
	out[n] = 0;
}

/* A member that may be missing: *out is empty then. */
static int get_text(const json_t *o, const char *key, char *out, size_t cap)
{
	const json_t *v = json_object_get(o, key);
	out[0] = 0;
	if (!v || json_is_null(v))
		return OK;
	const char *s = json_string_value(v);
	return s && json_string_length(v) < cap ? text_format(out, cap, "%s", s) : ERR_INVALID;
}

static int check_url(const char *url)
{
	for (const char *c = url; *c; c++)
		if (*c <= 0x20 || *c > 0x7e)
			return ERR_INVALID;
	return strncmp(url, "https://", 8) == 0 ? OK : ERR_INVALID;
}

static int get_url(const json_t *o, const char *key, bool needed, char *out)
{
	int rc = get_text(o, key, out, ACME_URL);
	if (rc || (!*out && !needed))
		return rc;
	return check_url(out);
}

static void get_identities(const json_t *meta, struct directory *d)
{
	const json_t *list = json_object_get(meta, "caaIdentities"), *v;
	size_t i, n = 0;
	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);
		if (s && *s && n < ACME_IDENTITIES && json_string_length(v) < ACME_TEXT)
			append(d->identities[n++], ACME_TEXT, s);
	}
}

static void get_profiles(const json_t *meta, struct directory *d)
{
	const char *key;
	json_t *v;
	size_t n = 0;
	json_object_foreach(json_object_get(meta, "profiles"), key, v)
	{
		if (n < DOCUMENT_PROFILES && strlen(key) < sizeof d->profiles[0])
			append(d->profiles[n++], sizeof d->profiles[0], key);
	}
}

int document_directory(const char *body, size_t len, struct directory *out)
{
	*out = (struct directory){0};
	json_t *o;
	int loaded = load_object(body, len, &o);
	const json_t *meta = json_object_get(o, "meta");
	int rc = loaded;
	if (!rc)
		rc = get_url(o, "newNonce", true, out->new_nonce);
	if (!rc)
		rc = get_url(o, "newAccount", true, out->new_account);
	if (!rc)
		rc = get_url(o, "newOrder", true, out->new_order);
	if (!rc)
		rc = get_url(o, "renewalInfo", false, out->renewal_info);
	if (!rc)
		rc = get_text(meta, "termsOfService", out->terms, sizeof out->terms);
	get_identities(meta, out);
	get_profiles(meta, out);
	out->eab_required = json_is_true(json_object_get(meta, "externalAccountRequired"));
	json_decref(o);
	return rc;
}

static void add_text(struct problem *p, const char *before, const char *text, const char *after)
{
	append(p->text, sizeof p->text, before);
	append(p->text, sizeof p->text, text);
	append(p->text, sizeof p->text, after);
}

static const char *text_or(const json_t *o, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s && *s ? s : otherwise;
}

/* Section 6.7.1: what was wrong with which name. */
static void add_subproblems(struct problem *p, const json_t *o)
{
	const json_t *v;
	size_t i;
	json_array_foreach(json_object_get(o, "subproblems"), i, v)
	{
		add_text(p, "; ", text_or(json_object_get(v, "identifier"), "value", "?"), ": ");
		add_text(p, "", text_or(v, "detail", text_or(v, "title", "no reason given")), "");
		add_text(p, " (", text_or(v, "type", "about:blank"), ")");
	}
}

static void read_problem(const json_t *o, struct problem *p)
{
	*p = (struct problem){0};
	if (!json_is_object(o))
		return;
	append(p->type, sizeof p->type, text_or(o, "type", ""));
	add_text(p, "", text_or(o, "detail", text_or(o, "title", "no reason given")), "");
	if (*p->type)
		add_text(p, " (", p->type, ")");
	/* RFC 8555 section 7.3.3: where a person has to go, for new terms of service. */
	if (strcmp(p->type, "urn:ietf:params:acme:error:userActionRequired") == 0)
		add_text(p, "; see ", text_or(o, "instance", "the CA's pages"), "");
	add_subproblems(p, o);
}

int document_problem(const char *body, size_t len, struct problem *out)
{
	*out = (struct problem){0};
	json_t *o;
	int loaded = load_object(body, len, &o);
	read_problem(o, out);
	json_decref(o);
	return loaded;
}

static enum status read_status(const json_t *o)
{
	static const char *const names[] = {"", "pending", "ready", "processing", "valid", "invalid",
		"deactivated", "expired", "revoked"};
	const char *s = text_or(o, "status", "");
	for (size_t i = 1; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(s, names[i]) == 0)
			return (enum status)i;
	return STATUS_UNKNOWN;
}

static int read_authorizations(const json_t *o, struct order *out)
{
	const json_t *list = json_object_get(o, "authorizations"), *v;
	size_t i;
	if (json_array_size(list) < 1 || json_array_size(list) > ACME_NAMES)
		return ERR_INVALID;
	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);
		if (!s || text_format(out->authorizations[i], ACME_URL, "%s", s) || check_url(s))
			return ERR_INVALID;
	}
	out->count = json_array_size(list);
	return OK;
}

int document_order(const char *body, size_t len, struct order *out)
{
	*out = (struct order){0};
	json_t *o;
	int loaded = load_object(body, len, &o);
	out->status = read_status(o);
	int rc = out->status == STATUS_UNKNOWN ? ERR_INVALID : read_authorizations(o, out);
	if (!rc)
		rc = get_url(o, "finalize", true, out->finalize);
	if (!rc)
		rc = get_url(o, "certificate", out->status == STATUS_VALID, out->certificate);
	read_problem(json_object_get(o, "error"), &out->problem);
	json_decref(o);
	return loaded ? loaded : rc;
}

/* Section 8.1: "It MUST NOT contain any characters outside the base64url alphabet". */
static int read_challenge(const json_t *v, struct authorization *out)
{
	if (get_url(v, "url", true, out->challenge) || get_text(v, "token", out->token, sizeof out->token))
		return ERR_INVALID;
	return *out->token && text_is_base64url(out->token, strlen(out->token)) ? OK : ERR_INVALID;
}

static int read_challenges(const json_t *o, struct authorization *out)
{
	const json_t *v;
	size_t i;
	json_array_foreach(json_object_get(o, "challenges"), i, v)
	{
		if (json_object_get(v, "error"))
			read_problem(json_object_get(v, "error"), &out->problem);
		if (!*out->challenge && strcmp(text_or(v, "type", ""), "dns-01") == 0 &&
			read_challenge(v, out))
			return ERR_INVALID;
	}
	return OK;
}

int document_authorization(const char *body, size_t len, struct authorization *out)
{
	*out = (struct authorization){0};
	json_t *o;
	int loaded = load_object(body, len, &o);
	const json_t *identifier = json_object_get(o, "identifier");
	out->status = read_status(o);
	int rc = out->status == STATUS_UNKNOWN ? ERR_INVALID : OK;
	if (!rc)
		rc = get_text(identifier, "value", out->name, sizeof out->name);
	for (char *c = out->name; *c; c++)
		*c = (char)text_lower((uint8_t)*c);
	/* We order no wildcards, and prove nothing we did not ask for. */
	if (strcmp(text_or(identifier, "type", ""), "dns") != 0 ||
		json_is_true(json_object_get(o, "wildcard")))
		rc = ERR_INVALID;
	if (!rc)
		rc = read_challenges(o, out);
	json_decref(o);
	return loaded ? loaded : rc;
}

int document_account(const char *body, size_t len, enum status *out)
{
	json_t *o;
	int loaded = load_object(body, len, &o);
	*out = read_status(o);
	json_decref(o);
	return loaded ? loaded : *out == STATUS_UNKNOWN ? ERR_INVALID : OK;
}

int document_window(const char *body, size_t len, struct window *out)
{
	*out = (struct window){0};
	json_t *o;
	int loaded = load_object(body, len, &o);
	const json_t *w = json_object_get(o, "suggestedWindow");
	int rc = date_rfc3339(text_or(w, "start", ""), &out->start);
	if (!rc)
		rc = date_rfc3339(text_or(w, "end", ""), &out->end);
	append(out->explanation, sizeof out->explanation, text_or(o, "explanationURL", ""));
	json_decref(o);
	/* RFC 9773 section 4.2: an end that is no later than the start is as good as no answer. */
	return loaded ? loaded : !rc && out->end <= out->start ? ERR_INVALID : rc;
}
