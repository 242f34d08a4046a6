// SPDX-License-Identifier: GPL-3.0-or-later
/* What api.tls.mode acme needs, and the host name that the API's certificate is for. */
#include <stdlib.h>
#include <string.h>

#include "conf/internal.h"
#include "util/text.h"

/* ---- the host ---- */

/* A host name as a CA certifies it (RFC 1123 section 2.1): two labels at least, of letters, digits and
 * hyphens, and the last one no number, or it would be an address. */
static bool is_host(const char *s)
{
	const char *last = strrchr(s, '.');
	if (!is_name(s) || !last || strchr(s, '_'))
		return false;
	return strspn(last + 1, "0123456789") < strlen(last + 1);
}

/* The host between "://" and port or path. NULL: no memory. */
static char *host_of(const char *url)
{
	const char *start = strstr(url, "://");
	start = start ? start + 3 : url;
	size_t len = *start == '[' ? strcspn(start, "]/") : strcspn(start, ":/");
	char *host = strndup(start, len);
	for (char *p = host; p && *p; p++)
		*p = (char)text_lower((uint8_t)*p);
	if (host && len && host[len - 1] == '.')
		host[len - 1] = 0;
	return host;
}

static const struct conf_zone *innermost(const struct conf *c, const char *host)
{
	const struct conf_zone *found = NULL;
	for (size_t i = 0; i < c->zone_count; i++) {
		const struct conf_zone *z = &c->zones[i];
		if (z->name && name_in_zone(host, z->name) &&
			(!found || strlen(z->name) > strlen(found->name)))
			found = z;
	}
	return found;
}

static void find_host(struct load *l, struct conf *c)
{
	if (!c->api.url)
		return; /* that is a problem of its own */
	char *host = host_of(c->api.url);
	l->nomem |= !host;
	if (!host || !is_host(host)) {
		free(host);
		return;
	}
	c->api.host = host;
	c->api.host_zone = innermost(c, host);
}

/* ---- mode acme ---- */

static void check_host(struct load *l, const struct conf *c)
{
	char value[VALUE_TEXT];
	unsigned line = line_of(l, "api.url");
	const char *zone = c->zones[0].name;
	if (strncmp(c->api.url, "https://", 8) != 0)
		problem(l, line, "api.url: \"%s\" must be https:// with api.tls.mode acme",
			shown(c->api.url, value));
	else if (!c->api.host)
		problem(l, line,
			"api.url: \"%s\" must have a host name, not an address, with api.tls.mode acme: that "
			"name is what the certificate is for",
			shown(c->api.url, value));
	else if (!c->api.host_zone && zone)
		diag_warning(l->d, l->file, line,
			"api.url: %s lies in none of the zones; to get its certificate the server needs this "
			"record in the zone that holds it: _acme-challenge.%s. CNAME _acme-challenge.%s.",
			c->api.host, c->api.host, zone);
}

static void check_directory(struct load *l, const char *url)
{
	char value[VALUE_TEXT];
	if (strncmp(url, "https://", 8) != 0 || !url[8] || strpbrk(url, " \t\r\n\""))
		problem(l, line_of(l, "api.tls.acme.directory"),
			"api.tls.acme.directory: \"%s\" is not an https:// URL", shown(url, value));
}

static bool is_mail(const char *s)
{
	const char *at = strchr(s, '@');
	return at && at > s && !strpbrk(s, " ,?&%\"<>\\") && is_name(at + 1);
}

/* The first zone's contact, as a mail address: SOA records have it as a name, too (RFC 1035 section 3.3.13).
 */
static char *contact_of(const struct conf_zone *z)
{
	char *out = NULL;
	if (!z->contact)
		return asprintf(&out, "hostmaster@%s", z->name) < 0 ? NULL : out;
	out = strdup(z->contact);
	char *dot = out && !strchr(out, '@') ? strchr(out, '.') : NULL;
	if (dot)
		*dot = '@';
	return out;
}

static void check_contact(struct load *l, struct conf *c)
{
	char value[VALUE_TEXT];
	struct conf_acme *a = &c->api.acme;
	if (!a->contact && sound(l, "zones.0") && c->zones[0].name) {
		a->contact = contact_of(&c->zones[0]);
		l->nomem |= !a->contact;
	} else if (a->contact && !is_mail(a->contact)) {
		problem(l, line_of(l, "api.tls.acme.contact"),
			"api.tls.acme.contact: \"%s\" is not a mail address", shown(a->contact, value));
	}
}

static void check_binding(struct load *l, const struct conf_acme *a)
{
	unsigned line = line_of(l, "api.tls.acme");
	if (!a->eab_key_id == !a->eab_hmac_key_file)
		return;
	problem(l, line, "api.tls.acme: %s needs %s beside it; the CA gives out both",
		a->eab_key_id ? "eab_key_id" : "eab_hmac_key_file",
		a->eab_key_id ? "eab_hmac_key_file" : "eab_key_id");
}

static void check_path(struct load *l, const char *key, const char *path)
{
	char value[VALUE_TEXT];
	if (path && path[0] != '/')
		problem(l, line_of(l, "api.tls.acme.%s", key),
			"api.tls.acme.%s: \"%s\" is not an absolute path", key, shown(path, value));
}

void check_acme(struct load *l, struct conf *c)
{
	struct conf_acme *a = &c->api.acme;
	find_host(l, c);
	if (c->api.tls_mode != CONF_TLS_ACME || !sound(l, "api.tls") || !c->zone_count)
		return;
	if (c->api.url && sound(l, "api.url"))
		check_host(l, c);
	if (a->directory)
		check_directory(l, a->directory);
	check_contact(l, c);
	check_binding(l, a);
	check_path(l, "ca_file", a->ca_file);
	check_path(l, "eab_hmac_key_file", a->eab_hmac_key_file);
}
