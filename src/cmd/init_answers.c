// SPDX-License-Identifier: GPL-3.0-or-later
/* Answers: taken apart, held against the rules that the configuration has, written as a configuration. */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cmd/init.h"
#include "conf/conf.h"
#include "util/text.h"

/* ---- the machine ---- */

static void add_address(struct init_addresses *list, const struct address *a)
{
	for (size_t i = 0; i < list->count; i++)
		if (address_equal(&list->all[i], a))
			return;
	if (list->count < INIT_ADDRESSES)
		list->all[list->count++] = *a;
}

static bool is_of_use(const struct address *a)
{
	const bool link_local =
		a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80; /* RFC 4291 section 2.5.6 */
	return !address_is_loopback(a) && !link_local;
}

void init_find_addresses(struct init_addresses *out)
{
	struct ifaddrs *all = NULL;
	struct endpoint e;
	*out = (struct init_addresses){.count = 0};
	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
			continue;
		if (!address_from_sockaddr(i->ifa_addr, sizeof(struct sockaddr_in6), &e) &&
			is_of_use(&e.address))
			add_address(out, &e.address);
	}
	freeifaddrs(all);
}

/* 0, or errno. */
static int try_bind(const struct address *a, int type)
{
	struct sockaddr_storage sa;
	const struct endpoint e = {*a, 53};
	socklen_t len = endpoint_to_sockaddr(&e, &sa);
	const int on = 1;
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0), code = 0;
	if (fd < 0)
		return errno;
	if (sa.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
		code = errno;
	else if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on))
		code = errno; /* as the server does; connections that have ended are in nobody's way */
	else if (bind(fd, (const struct sockaddr *)&sa, len) || (type == SOCK_STREAM && listen(fd, 1)))
		code = errno;
	close(fd);
	return code;
}

static int try_port(const struct address *a)
{
	int code = try_bind(a, SOCK_DGRAM);
	return code ? code : try_bind(a, SOCK_STREAM);
}

bool init_port_is_shared(const struct init_addresses *a)
{
	struct address any;
	bool taken = false;
	for (size_t i = 0; i < a->count; i++) {
		if (address_parse(address_is_ipv4(&a->all[i]) ? "0.0.0.0" : "::", &any) ||
			try_port(&a->all[i]))
			return false;
		taken |= try_port(&any) == EADDRINUSE;
	}
	return taken;
}

/* ---- names ---- */

bool init_in_zone(const struct init_answers *a, const char *name)
{
	size_t len = strlen(name), tail = strlen(a->zone);
	return len >= tail && strcasecmp(name + len - tail, a->zone) == 0 &&
	       (len == tail || name[len - tail - 1] == '.');
}

const struct init_addresses *init_addresses_of(const struct init_answers *a, const struct init_server *s)
{
	static const struct init_addresses none;
	if (!init_in_zone(a, s->name))
		return &none;
	return s->addresses.count ? &s->addresses : &a->addresses;
}

unsigned init_url_host(const struct init_answers *a, char host[static INIT_NAME])
{
	const char *from = strstr(a->url, "://");
	from = from ? from + 3 : a->url;
	size_t len = from[0] == '[' ? strcspn(from, "]") + 1 : strcspn(from, ":/");
	size_t kept = len < INIT_NAME ? len : INIT_NAME - 1;
	for (size_t i = 0; i < kept; i++)
		host[i] = (char)text_lower((uint8_t)from[i]);
	host[kept] = 0;
	if (from[strnlen(from, len)] == ':')
		return (unsigned)strtoul(from + len + 1, NULL, 10);
	return strncmp(a->url, "http://", 7) == 0 ? 80 : 443;
}

/* ---- the configuration ---- */

static void write_text(FILE *to, const char *before, const char *text)
{
	fputs(before, to);
	conf_print_text(text, to);
	fputc('\n', to);
}

static void write_addresses(FILE *to, const struct init_addresses *list)
{
	char text[ADDRESS_TEXT];
	for (size_t i = 0; i < list->count; i++) {
		address_format(&list->all[i], text);
		write_text(to, "          - ", text);
	}
}

static void write_servers(const struct init_answers *a, FILE *to)
{
	fputs("    nameservers:\n", to);
	for (size_t i = 0; i < a->server_count; i++) {
		const struct init_addresses *list = init_addresses_of(a, &a->servers[i]);
		write_text(to, "      - name: ", a->servers[i].name);
		if (list->count)
			fputs("        addresses:\n", to);
		write_addresses(to, list);
	}
	char name[INIT_NAME + 4];
	if (!a->server_count && !text_format(name, sizeof name, "ns1.%s", *a->zone ? a->zone : "auth.test")) {
		write_text(to, "      - name: ", name);
		fputs("        addresses: 192.0.2.1\n", to);
	}
}

static bool is_server(const struct init_answers *a, const char *name)
{
	for (size_t i = 0; i < a->server_count; i++)
		if (strcasecmp(a->servers[i].name, name) == 0)
			return true;
	return false;
}

/* The API's own name, unless it lies elsewhere or has its addresses as a name server already. */
static void write_records(const struct init_answers *a, FILE *to)
{
	char host[INIT_NAME], text[ADDRESS_TEXT];
	init_url_host(a, host);
	if (!*a->url || !*a->zone || !init_in_zone(a, host) || is_server(a, host) || !a->addresses.count)
		return;
	size_t own = strlen(host) - strlen(a->zone); /* with the dot between them */
	host[own ? own - 1 : 0] = 0;
	fputs("    records:\n", to);
	for (size_t i = 0; i < a->addresses.count; i++) {
		const struct address *one = &a->addresses.all[i];
		address_format(one, text);
		fprintf(to, "      - \"%s 3600 %s %s\"\n", own ? host : "@",
			address_is_ipv4(one) ? "A" : "AAAA", text);
	}
}

static void write_endpoint(FILE *to, const char *address, unsigned port, size_t *count)
{
	const char *bracket = strchr(address, ':') ? "[" : "";
	fprintf(to, "%s\"%s%s%s:%u\"", (*count)++ ? ", " : "", bracket, address, *bracket ? "]" : "", port);
}

/* All addresses of the families that the server has; or exactly its own. */
static void write_listen(const struct init_answers *a, unsigned port, bool exact, FILE *to)
{
	char text[ADDRESS_TEXT];
	bool four = false, six = false;
	size_t count = 0;
	fputs("  listen: [", to);
	for (size_t i = 0; i < a->addresses.count; i++) {
		bool is_four = address_is_ipv4(&a->addresses.all[i]);
		address_format(&a->addresses.all[i], text);
		if (exact)
			write_endpoint(to, text, port, &count);
		else if (is_four ? !four : !six)
			write_endpoint(to, is_four ? "0.0.0.0" : "::", port, &count);
		four |= is_four;
		six |= !is_four;
	}
	fputs("]\n", to);
}

static void write_tls(const struct init_answers *a, FILE *to)
{
	if (a->tls == INIT_TLS_ACME) {
		fputs("  tls:\n    mode: acme\n", to);
		if (*a->directory || *a->acme_contact)
			fputs("    acme:\n", to);
		if (*a->directory)
			write_text(to, "      directory: ", a->directory);
		if (*a->acme_contact)
			write_text(to, "      contact: ", a->acme_contact);
	} else if (a->tls == INIT_TLS_FILES) {
		fputs("  tls:\n    mode: files\n", to);
		write_text(to, "    certificate: ", *a->certificate ? a->certificate : "/certificate");
		write_text(to, "    key: ", *a->key ? a->key : "/key");
	} else {
		fputs("  tls: {mode: off}\n", to);
	}
}

static void write_api(const struct init_answers *a, FILE *to)
{
	char host[INIT_NAME];
	unsigned port = init_url_host(a, host);
	fputs("api:\n", to);
	if (a->tls == INIT_TLS_ACME || a->tls == INIT_TLS_FILES)
		write_listen(a, port, false, to);
	else
		fputs("  listen: [\"127.0.0.1:8080\"]\n  trusted_proxies: [\"127.0.0.1\"]\n", to);
	if (*a->url)
		write_text(to, "  url: ", a->url);
	write_tls(a, to);
	if (*a->registration)
		fprintf(to, "  registration: {mode: %s}\n", a->registration);
}

void init_write(const struct init_answers *a, FILE *to)
{
	write_text(to, "zones:\n  - name: ", *a->zone ? a->zone : "auth.test");
	write_servers(a, to);
	if (*a->contact)
		write_text(to, "    contact: ", a->contact);
	write_records(a, to);
	if (a->addresses.count) {
		fputs("dns:\n", to);
		write_listen(a, 53, a->exact, to);
	}
	write_api(a, to);
}
