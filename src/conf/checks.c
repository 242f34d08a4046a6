// SPDX-License-Identifier: GPL-3.0-or-later
/* What one key alone does not show. A part of the file that has a problem already is left alone here. */
#include "conf/internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/text.h"

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters, digits, '-' and '_' in labels of 1..63 (RFC 1035 section 2.3.4), 253 characters in all; a final
 * dot may follow. Wider than a host name (RFC 1123 section 2.1) by the underscore, which zones use. */
bool is_name(const char *s)
{
	size_t label = 0, len = strlen(s);
	if (len && s[len - 1] == '.')
		len--;
	if (len == 0 || len > 253)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '.' ? label == 0 : !is_alnum(s[i]) && s[i] != '-' && s[i] != '_')
			return false;
		label = s[i] == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0;
}

static size_t name_length(const char *s)
{
	size_t len = strlen(s);
	return len && s[len - 1] == '.' ? len - 1 : len;
}

static bool same_name(const char *a, const char *b)
{
	size_t len = name_length(a);
	return len == name_length(b) && strncasecmp(a, b, len) == 0;
}

bool name_in_zone(const char *name, const char *zone)
{
	size_t len = name_length(name), tail = strlen(zone);
	if (len < tail || strncasecmp(name + len - tail, zone, tail) != 0)
		return false;
	return len == tail || name[len - tail - 1] == '.';
}

static void strip(char *s, char c, size_t keep)
{
	for (size_t len = strlen(s); len > keep && s[len - 1] == c; len--)
		s[len - 1] = 0;
}

static bool normalize_zone(struct load *l, size_t i, struct conf_zone *z)
{
	char name[VALUE_TEXT];
	if (!is_name(z->name))
		return problem(l, line_of(l, "zones.%zu.name", i), "zones.name: \"%s\" is not a domain name",
			shown(z->name, name));
	strip(z->name, '.', 1);
	for (char *p = z->name; *p; p++)
		*p = (char)text_lower((uint8_t)*p);
	return true;
}

/* RFC 1034 section 4.2.1: addresses of name servers within the zone are the zone's own business (glue), those
 * of others are not ours to give. */
static bool check_nameserver(
	struct load *l, const struct conf_zone *z, const struct conf_nameserver *n, unsigned line)
{
	char name[VALUE_TEXT];
	shown(n->name, name);
	if (!is_name(n->name))
		return problem(l, line, "zones.nameservers.name: \"%s\" is not a domain name", name);
	if (name_in_zone(n->name, z->name) && !n->address_count)
		return problem(l, line,
			"zones.nameservers: %s lies in the zone %s, so it needs its addresses", name,
			z->name);
	if (!name_in_zone(n->name, z->name) && n->address_count)
		return problem(l, line,
			"zones.nameservers: %s lies outside the zone %s, so its addresses belong to another "
			"zone: "
			"remove them",
			name, z->name);
	return true;
}

static void check_nameservers(struct load *l, size_t zone, const struct conf_zone *z)
{
	char name[VALUE_TEXT];
	for (size_t i = 0; i < z->nameserver_count; i++) {
		const struct conf_nameserver *n = &z->nameservers[i];
		unsigned line = line_of(l, "zones.%zu.nameservers.%zu.name", zone, i);
		if (!check_nameserver(l, z, n, line))
			continue;
		for (size_t j = 0; j < i; j++) {
			if (same_name(n->name, z->nameservers[j].name))
				problem(l, line, "zones.nameservers: %s is listed twice",
					shown(n->name, name));
		}
	}
}

static bool is_contact(const char *s)
{
	const char *at = strchr(s, '@');
	if (!at)
		return is_name(s) && strchr(s, '.');
	for (const char *p = s; p < at; p++) {
		if (!is_alnum(*p) && !strchr(".!#$%&'*+-/=?^_`{|}~", *p)) /* RFC 5322 section 3.2.3, atext */
			return false;
	}
	return at > s && at - s <= 63 && is_name(at + 1); /* the local part becomes one label of the RNAME */
}

static void check_contact(struct load *l, size_t zone, const struct conf_zone *z)
{
	char value[VALUE_TEXT];
	if (z->contact && !is_contact(z->contact))
		problem(l, line_of(l, "zones.%zu.contact", zone),
			"zones.contact: \"%s\" is neither a mail address nor a domain name",
			shown(z->contact, value));
}

static void check_zones(struct load *l, struct conf *c)
{
	for (size_t i = 0; i < c->zone_count; i++) {
		struct conf_zone *z = &c->zones[i];
		if (!sound(l, "zones.%zu", i) || !normalize_zone(l, i, z))
			continue;
		for (size_t j = 0; j < i; j++) {
			if (c->zones[j].name && same_name(c->zones[j].name, z->name)) {
				problem(l, line_of(l, "zones.%zu.name", i), "zones: %s is listed twice",
					z->name);
				break;
			}
		}
		check_nameservers(l, i, z);
		check_contact(l, i, z);
	}
}

struct listeners {
	const char *path;
	const struct endpoint *all;
	size_t count;
};

/* Port 0 is another port each time. */
static bool is_among(const struct endpoint *e, const struct endpoint *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (e->port && e->port == all[i].port && address_equal(&e->address, &all[i].address))
			return true;
	return false;
}

/* DNS listens on TCP, too, so no two services can share an endpoint. */
static void check_endpoints(struct load *l, const struct conf *c)
{
	const struct listeners lists[] = {{"dns.listen", c->dns.listen, c->dns.listen_count},
		{"dns.tls_listen", c->dns.tls_listen, c->dns.tls_listen_count},
		{"api.listen", c->api.listen, c->api.listen_count}};
	char text[ENDPOINT_TEXT];
	for (size_t n = 0; n < sizeof lists / sizeof *lists; n++) {
		const struct listeners *own = &lists[n];
		for (size_t i = 0; sound(l, "%s", own->path) && i < own->count; i++) {
			bool twice = is_among(&own->all[i], own->all, i);
			for (size_t m = 0; !twice && m < n; m++)
				twice = sound(l, "%s", lists[m].path) &&
					is_among(&own->all[i], lists[m].all, lists[m].count);
			endpoint_format(&own->all[i], text);
			if (twice)
				problem(l, line_of(l, "%s.%zu", own->path, i), "%s: %s is listed twice",
					own->path, text);
		}
	}
}

/* DNS over TLS has no certificate of its own. */
static void check_tls_listen(struct load *l, const struct conf *c)
{
	if (c->dns.tls_listen_count && c->api.tls_mode == CONF_TLS_OFF && sound(l, "dns.tls_listen") &&
		sound(l, "api.tls"))
		problem(l, line_of(l, "dns.tls_listen"),
			"dns.tls_listen: DNS over TLS uses the certificate of the API, so api.tls must have "
			"mode files with certificate and key, or mode acme");
}

static void check_told(struct load *l, const char *key, const char *text, size_t max)
{
	if (text && strlen(text) > max)
		problem(l, line_of(l, "dns.%s", key), "dns.%s: %zu octets are too long, at most %zu fit", key,
			strlen(text), max);
}

/* What is told about this server: an EDNS option beside an answer that must fit 512 octets, and one
 * character-string of a TXT record (RFC 1035 section 3.3). */
static void check_identity(struct load *l, const struct conf_dns *c)
{
	check_told(l, "nsid", c->nsid, CONF_MAX_NSID);
	check_told(l, "identity", c->identity, CONF_MAX_IDENTITY);
	check_told(l, "version", c->version, CONF_MAX_IDENTITY);
}

/* Plain HTTP carries keys: nobody but this machine or the proxy that does the TLS may be on the way. */
static void check_tls_off(struct load *l, const struct conf_api *a)
{
	char text[ENDPOINT_TEXT];
	if (a->trusted_proxy_count || !sound(l, "api.listen") || !sound(l, "api.trusted_proxies"))
		return;
	for (size_t i = 0; i < a->listen_count; i++) {
		if (address_is_loopback(&a->listen[i].address))
			continue;
		endpoint_format(&a->listen[i], text);
		problem(l, line_of(l, "api.tls.mode"),
			"api.tls.mode: with off, keys would cross the network in clear to %s; use files, or "
			"listen on "
			"127.0.0.1, or name the proxy that does the TLS in api.trusted_proxies",
			text);
		return;
	}
}

/* They name no delegate and no client, but tell how much is asked, and of what version this is. */
static void check_metrics(struct load *l, const struct conf_metrics *m)
{
	char text[ENDPOINT_TEXT];
	for (size_t i = 0; sound(l, "metrics") && i < m->listen_count; i++) {
		if (address_is_loopback(&m->listen[i].address))
			continue;
		endpoint_format(&m->listen[i], text);
		diag_warning(l->d, l->file, line_of(l, "metrics.listen"),
			"metrics.listen: whoever reaches %s can read the metrics; let a firewall keep others away",
			text);
	}
}

static void check_tls(struct load *l, const struct conf_api *a)
{
	if (!sound(l, "api.tls"))
		return;
	unsigned line = line_of(l, "api.tls");
	if (a->tls_mode == CONF_TLS_OFF)
		check_tls_off(l, a);
	else if (a->tls_mode == CONF_TLS_ACME)
		return; /* in acme.c */
	else if (!a->tls_certificate && !a->tls_key)
		problem(l, line, "api.tls: mode files needs certificate and key");
	else if (!a->tls_certificate || !a->tls_key)
		problem(l, line, "api.tls: mode files needs %s", a->tls_key ? "certificate" : "key");
}

static bool is_base_path(const char *s)
{
	if (s[0] != '/' || strstr(s, "//"))
		return false;
	for (const char *p = s; *p; p++) {
		if (!is_alnum(*p) && !strchr("/-._~", *p)) /* RFC 3986 section 2.3, unreserved */
			return false;
		if (p[0] == '/' && p[1] == '.' && strspn(p + 1, ".") <= 2 &&
			strchr("/", p[1 + strspn(p + 1, ".")]))
			return false; /* "." or "..", which clients resolve before they send (section 5.2.4)
				       */
	}
	return true;
}

static void check_base_paths(struct load *l, struct conf_api *a)
{
	char value[VALUE_TEXT];
	for (size_t i = 0; sound(l, "api.base_paths") && i < a->base_path_count; i++) {
		unsigned line = line_of(l, "api.base_paths.%zu", i);
		strip(a->base_paths[i], '/', 1);
		shown(a->base_paths[i], value);
		if (!is_base_path(a->base_paths[i]))
			problem(l, line,
				"api.base_paths: \"%s\" must start with / and have letters, digits and -._~ "
				"between "
				"single slashes, no . or .. alone",
				value);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(a->base_paths[i], a->base_paths[j]) == 0)
				problem(l, line, "api.base_paths: \"%s\" is listed twice", value);
		}
	}
}

/* Clients append the path themselves, so there is no query and no fragment. */
static bool is_url(const char *s)
{
	size_t scheme = strncmp(s, "https://", 8) == 0 ? 8 : strncmp(s, "http://", 7) == 0 ? 7 : 0;
	if (!scheme || !(is_alnum(s[scheme]) || s[scheme] == '['))
		return false;
	for (const char *p = s + scheme; *p; p++) {
		if (!is_alnum(*p) && !strchr("/-._~:[]", *p))
			return false;
	}
	return true;
}

static void derive_url(struct load *l, struct conf *c)
{
	char text[ENDPOINT_TEXT];
	bool off = c->api.tls_mode == CONF_TLS_OFF;
	if (off ? !c->api.listen_count : !c->zone_count || !c->zones[0].name)
		return; /* that is a problem of its own */
	if (off)
		endpoint_format(&c->api.listen[0], text);
	if (asprintf(&c->api.url, "%s%s", off ? "http://" : "https://", off ? text : c->zones[0].name) < 0) {
		c->api.url = NULL;
		l->nomem = true;
	}
}

static void check_url(struct load *l, struct conf *c)
{
	char value[VALUE_TEXT];
	if (!c->api.url) {
		derive_url(l, c);
		return;
	}
	const char *host = strstr(c->api.url, "://");
	if (host)
		strip(c->api.url, '/', (size_t)(host + 3 - c->api.url));
	if (!is_url(c->api.url))
		problem(l, line_of(l, "api.url"),
			"api.url: \"%s\" must be http:// or https:// with a host, and perhaps a port and a "
			"path",
			shown(c->api.url, value));
}

static void check_store(struct load *l, const struct conf *c)
{
	char value[VALUE_TEXT];
	if (c->store_path && c->store_path[0] != '/')
		problem(l, line_of(l, "store.path"), "store.path: \"%s\" is not an absolute path",
			shown(c->store_path, value));
}

static void check_absolute(struct load *l, const char *key, const char *path)
{
	char value[VALUE_TEXT];
	if (path && path[0] != '/')
		problem(l, line_of(l, "admin.%s", key), "admin.%s: \"%s\" is not an absolute path", key,
			shown(path, value));
}

static void check_admin(struct load *l, struct conf_admin *a)
{
	a->socket_given = a->socket != NULL;
	if (!a->socket && !(a->socket = strdup(CONF_ADMIN_SOCKET))) {
		l->nomem = true;
		return;
	}
	check_absolute(l, "socket", a->socket);
	check_absolute(l, "token_file", a->token_file);
	if (strlen(a->socket) > CONF_MAX_SOCKET)
		problem(l, line_of(l, "admin.socket"),
			"admin.socket: %zu octets are too long, a socket's path has at most %d",
			strlen(a->socket), CONF_MAX_SOCKET);
}

void conf_checks(struct load *l, struct conf *c)
{
	check_zones(l, c);
	check_endpoints(l, c);
	check_identity(l, &c->dns);
	check_metrics(l, &c->metrics);
	check_tls(l, &c->api);
	check_tls_listen(l, c);
	check_base_paths(l, &c->api);
	check_url(l, c);
	check_acme(l, c);
	check_store(l, c);
	check_admin(l, &c->admin);
}
