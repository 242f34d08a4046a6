// SPDX-License-Identifier: GPL-3.0-or-later
/* One answer each: read, and held against the rules of the configuration together with those before it. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/init.h"
#include "conf/conf.h"
#include "util/text.h"

static const char separators[] = " ,\t";

static bool refuse(char why[static INIT_TEXT], const char *format, ...) PRINTF(2, 3);

static bool refuse(char why[static INIT_TEXT], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)!vsnprintf(why, INIT_TEXT, format, args);
	va_end(args);
	return false;
}

/* What `config check` would say, its first line. */
static bool is_sound(const struct init_answers *a, char why[static INIT_TEXT])
{
	char *text = NULL, *said = NULL;
	size_t len = 0, said_len = 0;
	struct conf *c = NULL;
	struct diag *d = diag_new();
	FILE *f = open_memstream(&text, &len), *to = open_memstream(&said, &said_len);
	int rc = ERR_NOMEM;
	if (f)
		init_write(a, f);
	if (f && fclose(f) == 0 && d)
		rc = conf_load_text(text, len, NULL, d, &c);
	if (to && d)
		diag_print(d, to);
	if (to && fclose(to) == 0 && rc)
		refuse(why, "%.*s", (int)strcspn(said, "\n"), *said ? said : error_text(rc));
	conf_free(&c);
	diag_free(&d);
	free(text);
	free(said);
	return !rc;
}

static bool copy(char *to, size_t cap, const char *text, char why[static INIT_TEXT])
{
	return !text_format(to, cap, "%s", text) || refuse(why, "longer than %zu characters", cap - 1);
}

static void strip_dot(char *name)
{
	size_t len = strlen(name);
	if (len > 1 && name[len - 1] == '.')
		name[len - 1] = 0;
}

bool init_set_zone(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	if (!copy(a->zone, sizeof a->zone, text, why))
		return false;
	strip_dot(a->zone);
	for (char *p = a->zone; *p; p++)
		*p = (char)text_lower((uint8_t)*p);
	if (!strchr(a->zone, '.'))
		return refuse(why,
			"\"%s\" has one label only; the zone is a name below a domain of yours, like "
			"auth.example.org",
			a->zone);
	return is_sound(a, why);
}

/* A list of addresses, up to `len` characters. */
static bool read_addresses(
	const char *text, size_t len, struct init_addresses *out, char why[static INIT_TEXT])
{
	char one[ADDRESS_TEXT + 2];
	*out = (struct init_addresses){.count = 0};
	for (const char *end = text + len; text < end;) {
		size_t n = strcspn(text, separators);
		n = n < (size_t)(end - text) ? n : (size_t)(end - text);
		if (n && out->count == INIT_ADDRESSES)
			return refuse(why, "more than %d addresses", INIT_ADDRESSES);
		if (n && (text_format(one, sizeof one, "%.*s", (int)n, text) ||
				 address_parse(one, &out->all[out->count])))
			return refuse(why, "\"%.*s\" is not an IPv4 or IPv6 address", (int)n, text);
		out->count += n > 0;
		text += n + 1;
	}
	return out->count || refuse(why, "no address");
}

bool init_set_addresses(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	if (!read_addresses(text, strlen(text), &a->addresses, why))
		return false;
	a->exact = init_port_is_shared(&a->addresses);
	return is_sound(a, why);
}

/* "ns1.auth.example.org" or "ns2.auth.example.org=192.0.2.1,2001:db8::1" */
static bool read_server(const char *text, size_t len, struct init_server *out, char why[static INIT_TEXT])
{
	const char *equals = memchr(text, '=', len);
	size_t name = equals ? (size_t)(equals - text) : len;
	*out = (struct init_server){.name = ""};
	if (text_format(out->name, sizeof out->name, "%.*s", (int)name, text))
		return refuse(why, "longer than %d characters", INIT_NAME - 1);
	strip_dot(out->name);
	return !equals || read_addresses(equals + 1, len - name - 1, &out->addresses, why);
}

bool init_set_servers(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	a->server_count = 0;
	while (*(text += strspn(text, " \t"))) {
		size_t len = strcspn(text, " \t");
		if (a->server_count == INIT_SERVERS)
			return refuse(why, "more than %d name servers", INIT_SERVERS);
		struct init_server *s = &a->servers[a->server_count++];
		if (!read_server(text, len, s, why))
			return false;
		if (s->addresses.count && !init_in_zone(a, s->name))
			return refuse(why,
				"%s lies outside the zone %s, so its addresses belong to another zone",
				s->name, a->zone);
		text += len;
	}
	return a->server_count ? is_sound(a, why) : refuse(why, "no name server");
}

bool init_set_contact(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	return copy(a->contact, sizeof a->contact, text, why) && is_sound(a, why);
}

bool init_set_url(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	char host[INIT_NAME];
	const char *scheme = strstr(text, "://") ? "" : "https://";
	if (text_format(a->url, sizeof a->url, "%s%s", scheme, text))
		return refuse(why, "longer than %d characters", INIT_TEXT - 1);
	if (strspn(a->url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/[]") !=
		strlen(a->url))
		return refuse(why, "\"%s\" is not a URL with a host, and perhaps a port and a path", text);
	if (strncmp(a->url, "https://", 8) != 0)
		return refuse(why, "keys must not cross the network in clear: the URL begins with https://");
	unsigned port = init_url_host(a, host);
	if (port < 1 || port > 65535)
		return refuse(why, "\"%s\" has no such port", text);
	return is_sound(a, why);
}

bool init_set_tls(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	static const char *const words[] = {
		[INIT_TLS_ACME] = "acme", [INIT_TLS_FILES] = "files", [INIT_TLS_PROXY] = "proxy"};
	for (a->tls = INIT_TLS_ACME; a->tls <= INIT_TLS_PROXY; a->tls++)
		if (strcmp(text, words[a->tls]) == 0)
			return is_sound(a, why);
	a->tls = INIT_TLS_UNANSWERED;
	return refuse(why, "\"%s\" is not one of acme, files, proxy", text);
}

static bool set_path(struct init_answers *a, char *path, const char *text, char why[static INIT_TEXT])
{
	if (text[0] != '/')
		return refuse(why, "\"%s\" is not an absolute path", text);
	return copy(path, INIT_TEXT, text, why) && is_sound(a, why);
}

bool init_set_certificate(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	return set_path(a, a->certificate, text, why);
}

bool init_set_key(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	return set_path(a, a->key, text, why);
}

bool init_set_directory(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	return copy(a->directory, sizeof a->directory, text, why) && is_sound(a, why);
}

bool init_set_acme_contact(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	return copy(a->acme_contact, sizeof a->acme_contact, text, why) && is_sound(a, why);
}

bool init_set_registration(struct init_answers *a, const char *text, char why[static INIT_TEXT])
{
	return copy(a->registration, sizeof a->registration, text, why) &&
	       (strspn(text, "abcdefghijklmnopqrstuvwxyz") == strlen(text) ||
		       refuse(why, "\"%s\" is not one of open, token, closed", text)) &&
	       is_sound(a, why);
}
