// SPDX-License-Identifier: GPL-3.0-or-later
/* What the zones say because of this server's own certificate: where its challenge is (RFC 8555 section 8.4),
 * and which CA may issue it (CAA, RFC 8659). The challenge's values are a delegate's, so they are not here.
 */
#include <string.h>

#include <libknot/descriptor.h>

#include "dns/build.h"
#include "util/cursor.h"
#include "util/text.h"

enum {
	OWN_TTL = 300,       /* seconds: the account changes once, and then its CA is to know soon */
	CAA_VALUE_MAX = 2048 /* octets; an identity and a URL */
};

static const char challenge_label[] = "\x0f_acme-challenge";

/* ---- names ---- */

/* _acme-challenge.<name>; false: it would be too long. */
static bool put_challenge(const uint8_t *name, size_t len, uint8_t out[static DNS_NAME_MAX])
{
	size_t label = sizeof challenge_label - 1;
	if (!len || label + len > DNS_NAME_MAX)
		return false;
	memcpy(out, challenge_label, label);
	memcpy(out + label, name, len);
	return true;
}

static struct dns_zone *zone_of(const struct build *b, const struct conf_zone *c)
{
	for (size_t i = 0; i < b->zones->count; i++)
		if (b->zones->list[i].conf == c)
			return &b->zones->list[i];
	return NULL;
}

static void complain(const struct build *b, const char *what)
{
	diag_error(b->diag, b->file, 0, "api.url: the host %s cannot have a certificate from a CA: %s",
		b->own->host, what);
}

void own_names(struct build *b, const struct conf_zone *first)
{
	const struct dns_own *own = b->own;
	uint8_t host[DNS_NAME_MAX];
	struct dns_zone *home = zone_of(b, own->zone ? own->zone : first);
	if (!own->acme || !home || !own->host)
		return;
	if (!put_challenge(home->name, home->len, b->challenge))
		return; /* zone names are short enough for any label */
	b->home = home;
	size_t len = dns_name_from_text(own->host, host);
	if (!own->zone || !dns_name_order(host, len, home->name, home->len))
		return;
	if (!put_challenge(host, len, b->alias))
		complain(b, "the name is too long");
	else if (build_owner_zone(b, b->alias) != home)
		complain(b, "the name of its challenge is in another zone");
}

static bool has_alias(const struct build *b)
{
	return b->home && b->alias[0];
}

const char *own_refusal(const struct build *b, const struct dns_record *r)
{
	if (!b->home)
		return NULL;
	if (knot_dname_in_bailiwick(r->owner, b->challenge) >= 0)
		return "with api.tls.mode acme this name is the server's own";
	if (!has_alias(b) || !knot_dname_is_equal(r->owner, b->alias))
		return NULL;
	if (r->type == KNOT_RRTYPE_CNAME && knot_dname_is_case_equal(r->rdata, b->challenge))
		return NULL;
	return "with api.tls.mode acme this name must lead to the server's own challenge: leave the record out";
}

/* ---- the challenge ---- */

/* A wildcard does not reach names that exist (RFC 4592 section 2.2.1), and with its challenge the host does.
 */
static bool loses_wildcard(const struct build *b)
{
	struct dns_name n;
	dns_name_split(&n, b->alias);
	for (unsigned i = 1; i + b->home->labels < n.labels; i++) {
		uint8_t wild[DNS_NAME_MAX] = {1, '*'};
		struct dns_name w;
		if (dns_zone_node(b->home, &n, i))
			return false;
		memcpy(wild + 2, n.wire + n.start[i + 1], n.len - n.start[i + 1]);
		dns_name_split(&w, wild);
		if (dns_zone_node(b->home, &w, 0))
			return true;
	}
	return false;
}

static int alias_add(const struct build *b)
{
	struct dns_node *node;
	if (!has_alias(b))
		return OK;
	if (loses_wildcard(b))
		complain(b, "its addresses come from a wildcard; give it records of its own");
	int err = build_name(b->home, b->alias, &node);
	if (err || dns_node_set(node, KNOT_RRTYPE_CNAME))
		return err; /* the operator's, which leads to the same */
	return build_record(node, KNOT_RRTYPE_CNAME, OWN_TTL, b->challenge, knot_dname_size(b->challenge));
}

/* Names of name servers and of other zones are names, too. */
static void check_challenge(const struct build *b)
{
	struct dns_name n;
	if (!b->home)
		return;
	dns_name_split(&n, b->challenge);
	if (dns_zone_node(b->home, &n, 0) || build_owner_zone(b, b->challenge) != b->home)
		diag_error(b->diag, b->file, b->home->conf->line,
			"zone %s: with api.tls.mode acme the name _acme-challenge in it is the server's own",
			b->home->conf->name);
}

/* ---- CAA ---- */

static int caa_add(struct dns_zone *z, const char *tag, const char *value)
{
	uint8_t rdata[2 + 16 + CAA_VALUE_MAX];
	struct writer w = writer_over(rdata, sizeof rdata);
	struct dns_node *apex;
	size_t len;
	write_u8(&w, 0); /* not critical */
	write_string(&w, tag, strlen(tag));
	write_bytes(&w, value, strlen(value));
	int err = writer_finish(&w, &len);
	err = err ? err : build_name(z, z->name, &apex);
	return err ? err : build_record(apex, KNOT_RRTYPE_CAA, OWN_TTL, rdata, len);
}

static int allow_nobody(struct dns_zone *z)
{
	return caa_add(z, "issue", ";");
}

/* An issuer's domain name (RFC 8659 section 4.2): the CA's directory is input like any other. */
static bool is_identity(const char *s)
{
	size_t len = strlen(s);
	return len && len <= 253 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == len;
}

/* What can stand as a parameter's value (RFC 8659 section 4.2). */
static bool is_parameter(const char *s)
{
	for (; *s; s++)
		if (*s < 0x21 || *s > 0x7e || *s == ';')
			return false;
	return true;
}

static int allow_account(const struct build *b, struct dns_zone *z, size_t *added)
{
	const struct dns_own *own = b->own;
	char value[CAA_VALUE_MAX];
	int err = OK;
	for (size_t i = 0; i < own->identity_count && !err; i++) {
		if (!is_identity(own->identities[i]))
			continue;
		err = text_format(value, sizeof value, "%s; accounturi=%s; validationmethods=dns-01",
			own->identities[i], own->account);
		err = err ? err : caa_add(z, "issue", value);
		*added += !err;
	}
	return err;
}

/* The zone with the challenge. Before there is an account nobody needs to issue; a CA that has no name in CAA
 * records, or an account whose URL does not fit into one, cannot be allowed by one. */
static int home_add(const struct build *b, struct dns_zone *z)
{
	size_t added = 0;
	if (!b->own->account || !*b->own->account)
		return allow_nobody(z);
	int err = is_parameter(b->own->account) ? allow_account(b, z, &added) : OK;
	return added && !err ? caa_add(z, "issuewild", ";") : err;
}

/* Somebody else gets the host's certificate, from a CA that is not known here. */
static bool must_stay_open(const struct build *b, const struct dns_zone *z)
{
	uint8_t host[DNS_NAME_MAX];
	return !b->own->acme && b->own->host && dns_name_from_text(b->own->host, host) &&
	       knot_dname_in_bailiwick(host, z->name) >= 0;
}

static int caa_of_zone(const struct build *b, struct dns_zone *z)
{
	struct dns_node *apex;
	int err = build_name(z, z->name, &apex);
	if (err || dns_node_set(apex, KNOT_RRTYPE_CAA))
		return err;
	if (z == b->home)
		return home_add(b, z);
	if (!must_stay_open(b, z))
		return allow_nobody(z);
	/* Beside errors it would only be in the way: the record may be one of those that are wrong. */
	if (z->conf == b->own->zone && !diag_errors(b->diag))
		diag_warning(b->diag, b->file, z->conf->line,
			"zone %s holds the API's host and has no CAA record, so every CA may issue certificates "
			"for it; add to its records, with the name of your CA: '@ 300 CAA 0 issue "
			"\"letsencrypt.org\"'",
			z->conf->name);
	return OK;
}

int own_records(const struct build *b)
{
	check_challenge(b);
	int err = alias_add(b);
	for (size_t i = 0; i < b->zones->count && !err; i++)
		err = caa_of_zone(b, &b->zones->list[i]);
	return err;
}
