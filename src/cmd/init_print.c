// SPDX-License-Identifier: GPL-3.0-or-later
/* What is left to do after "init": in the DNS, in the firewall, at the shell. Records are in presentation
 * format (RFC 1035 section 5.1) and begin at the left edge, because a blank there would mean the owner
 * before. */
#include <string.h>

#include "cmd/init.h"
#include "conf/conf.h"

static void print_addresses(const char *owner, const struct init_addresses *list, FILE *to)
{
	char text[ADDRESS_TEXT];
	for (size_t i = 0; i < list->count; i++) {
		address_format(&list->all[i], text);
		fprintf(to, "%s. 3600 IN %s %s\n", owner, address_is_ipv4(&list->all[i]) ? "A" : "AAAA",
			text);
	}
}

static void print_parent(const struct init_answers *a, FILE *to)
{
	fprintf(to,
		"\nAt the parent: set these records in %s, where it is kept now (your DNS provider). The zone is "
		"not signed: no DS.\n\n",
		strchr(a->zone, '.') + 1);
	for (size_t i = 0; i < a->server_count; i++)
		fprintf(to, "%s. 3600 IN NS %s.\n", a->zone, a->servers[i].name);
	for (size_t i = 0; i < a->server_count; i++)
		print_addresses(a->servers[i].name, init_addresses_of(a, &a->servers[i]), to);
	for (size_t i = 0; i < a->server_count; i++)
		if (!init_in_zone(a, a->servers[i].name))
			fprintf(to, "\n%s lies outside the zone: its own zone must lead to this server.\n",
				a->servers[i].name);
}

static void print_api_name(const struct init_answers *a, FILE *to)
{
	char host[INIT_NAME];
	struct address literal;
	init_url_host(a, host);
	if (init_in_zone(a, host) || !address_parse(host, &literal))
		return;
	fprintf(to, "\nThe name of the API lies outside the zone; where that name is kept, set:\n\n");
	print_addresses(host, &a->addresses, to);
	if (a->tls == INIT_TLS_ACME)
		fprintf(to, "_acme-challenge.%s. 3600 IN CNAME _acme-challenge.%s.\n", host, a->zone);
}

static void print_firewall(const struct init_answers *a, FILE *to)
{
	char host[INIT_NAME];
	unsigned port = init_url_host(a, host);
	fprintf(to, "\nFirewall:\n"
		    "  in   53/udp   from everywhere: DNS\n"
		    "  in   53/tcp   from everywhere: DNS\n");
	fprintf(to, "  in   %u/tcp%s  from everywhere: the API%s\n", port, port < 100 ? " " : "",
		a->tls == INIT_TLS_PROXY ? ", to the proxy" : "");
	if (a->tls == INIT_TLS_ACME)
		fprintf(to,
			"  out  443/tcp  to the CA, and 53/udp, 53/tcp to the resolver of this machine: the "
			"certificate of the API\n");
	else
		fprintf(to, "  out  nothing but answers\n");
}

/* Where the certificate comes from, and what the zone says about who may issue it (RFC 8659, RFC 8657). The
 * records are indented: nobody has to set them. */
static void print_own_certificate(const struct init_answers *a, FILE *to)
{
	bool usual = !*a->directory || strcmp(a->directory, CONF_ACME_DIRECTORY) == 0;
	fprintf(to,
		"\nThe API's certificate: the server gets it from %s and renews it,\nby which you agree to the "
		"terms of service of that CA.\n"
		"The first one cannot come before the records above are set in %s. It is tried again by "
		"itself, later\neach time (soon after a reload); \"acme-delegate status\" says how "
		"it went. Until then clients\nrefuse the API's certificate; DNS works.\n",
		usual ? "Let's Encrypt" : a->directory, strchr(a->zone, '.') + 1);
	fprintf(to,
		"The zone says by itself that only this account may have certificates for it; before there is "
		"one, nobody:\n\n"
		"  %s. 300 IN CAA 0 issue \"%s; accounturi=...; validationmethods=dns-01\"\n"
		"  %s. 300 IN CAA 0 issuewild \";\"\n",
		a->zone, usual ? "letsencrypt.org" : "<the CA's name>", a->zone);
}

static void print_certificate(const struct init_answers *a, const char *file, FILE *to)
{
	char host[INIT_NAME];
	init_url_host(a, host);
	if (a->tls == INIT_TLS_ACME)
		print_own_certificate(a, to);
	else if (init_in_zone(a, host))
		fprintf(to,
			"\nThe API's certificate: the server does not know your CA, so every CA may issue for "
			"%s.\nWith this among the zone's records in %s only yours may:\n\n"
			"  - '@ 300 CAA 0 issue \"letsencrypt.org\"'\n",
			a->zone, file);
}

static void print_commands(const struct init_answers *a, const char *file, FILE *to)
{
	char address[ADDRESS_TEXT];
	address_format(&a->addresses.all[0], address);
	fprintf(to, "\nThen:\n");
	if (strcmp(file, CONF_SYSTEM_FILE) == 0)
		fprintf(to,
			"  systemctl enable --now acme-delegate    or without systemd: acme-delegate serve\n");
	else
		fprintf(to, "  acme-delegate serve -c %s\n", file);
	fprintf(to,
		"  dig +norecurse @%s %s SOA    asks the server itself\n"
		"  dig +trace %s SOA    asks from the root on, through the parent\n"
		"  acme-delegate status\n",
		address, a->zone, a->zone);
	if (strcmp(a->registration, "token") == 0)
		fprintf(to,
			"  acme-delegate token add --note TEXT    for who registers delegates over the API\n");
}

static void print_users(const struct init_answers *a, FILE *to)
{
	fprintf(to,
		"\nFor each domain that gets certificates, a delegate and one CNAME that its owner sets once:\n"
		"  acme-delegate delegate add shop --alias shop.example.com\n\n"
		"_acme-challenge.shop.example.com. 3600 IN CNAME shop.%s.\n",
		a->zone);
}

void init_print_next(const struct init_answers *a, const char *file, FILE *to)
{
	print_parent(a, to);
	print_api_name(a, to);
	print_firewall(a, to);
	print_certificate(a, file, to);
	print_commands(a, file, to);
	print_users(a, to);
}
