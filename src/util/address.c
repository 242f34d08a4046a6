// SPDX-License-Identifier: GPL-3.0-or-later
#include "util/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool address_is_ipv4(const struct address *a)
{
	return memcmp(a->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

bool address_is_loopback(const struct address *a)
{
	static const uint8_t six[16] = {[15] = 1};
	return address_is_ipv4(a) ? a->bytes[12] == 127 : memcmp(a->bytes, six, sizeof six) == 0;
}

bool address_is_none(const struct address *a)
{
	static const struct address none;
	return address_equal(a, &none);
}

bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

struct address address_network(const struct address *a)
{
	size_t kept = address_is_ipv4(a) ? 15 : 7;
	struct address out = *a;
	memset(out.bytes + kept, 0, sizeof out.bytes - kept);
	return out;
}

int address_parse(const char *text, struct address *out)
{
	char plain[ADDRESS_TEXT];
	size_t len = strlen(text);
	bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
	if (text_format(plain, sizeof plain, "%.*s", (int)(bracketed ? len - 2 : len), text + bracketed))
		return ERR_INVALID;
	memcpy(out->bytes, mapped_prefix, sizeof mapped_prefix);
	if (!bracketed && inet_pton(AF_INET, plain, out->bytes + 12) == 1)
		return OK;
	return inet_pton(AF_INET6, plain, out->bytes) == 1 ? OK : ERR_INVALID;
}

void address_format(const struct address *a, char out[static ADDRESS_TEXT])
{
	bool four = address_is_ipv4(a);
	if (!inet_ntop(four ? AF_INET : AF_INET6, a->bytes + (four ? 12 : 0), out, ADDRESS_TEXT))
		out[0] = 0;
}

int address_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct endpoint *out)
{
	if (sa->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in four;
		memcpy(&four, sa, sizeof four);
		memcpy(out->address.bytes, mapped_prefix, sizeof mapped_prefix);
		memcpy(out->address.bytes + 12, &four.sin_addr, 4);
		out->port = ntohs(four.sin_port);
		return OK;
	}
	if (sa->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 six;
		memcpy(&six, sa, sizeof six);
		memcpy(out->address.bytes, &six.sin6_addr, 16);
		out->port = ntohs(six.sin6_port);
		return OK;
	}
	return ERR_INVALID;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (address_is_ipv4(&e->address)) {
		struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(e->port)};
		memcpy(&four.sin_addr, e->address.bytes + 12, 4);
		memcpy(out, &four, sizeof four);
		return sizeof four;
	}
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};
	memcpy(&six.sin6_addr, e->address.bytes, 16);
	memcpy(out, &six, sizeof six);
	return sizeof six;
}

static int parse_number(const char *text, unsigned long max, unsigned long *out)
{
	if (text[0] < '0' || text[0] > '9')
		return ERR_INVALID;
	char *end;
	errno = 0;
	*out = strtoul(text, &end, 10);
	return errno || *end || *out > max ? ERR_INVALID : OK;
}

int endpoint_parse(const char *text, struct endpoint *out)
{
	const char *colon = strrchr(text, ':');
	char host[ADDRESS_TEXT + 2];
	unsigned long port;
	if (!colon || text_format(host, sizeof host, "%.*s", (int)(colon - text), text))
		return ERR_INVALID;
	if (strchr(host, ':') && host[0] != '[') /* "::1:53" could mean anything */
		return ERR_INVALID;
	if (parse_number(colon + 1, UINT16_MAX, &port) || address_parse(host, &out->address))
		return ERR_INVALID;
	out->port = (uint16_t)port;
	return OK;
}

void endpoint_format(const struct endpoint *e, char out[static ENDPOINT_TEXT])
{
	char host[ADDRESS_TEXT];
	address_format(&e->address, host);
	bool four = address_is_ipv4(&e->address);
	snprintf(out, ENDPOINT_TEXT, "%s%s%s:%u", four ? "" : "[", host, four ? "" : "]", (unsigned)e->port);
}

int prefix_parse(const char *text, size_t len, struct prefix *out)
{
	char host[ADDRESS_TEXT + 8];
	if (memchr(text, 0, len) || text_format(host, sizeof host, "%.*s", (int)len, text))
		return ERR_INVALID;
	char *slash = strrchr(host, '/');
	if (!slash)
		return ERR_INVALID;
	*slash = 0;
	size_t host_len = strlen(host);
	if (host_len && host[host_len - 1] == ']' && host[0] != '[')
		return ERR_INVALID;
	unsigned long bits;
	if (address_parse(host, &out->base))
		return ERR_INVALID;
	bool four = !strchr(host, ':');
	if (parse_number(slash + 1, four ? 32 : 128, &bits))
		return ERR_INVALID;
	out->bits = (uint8_t)(four ? bits + 96 : bits);
	return OK;
}

void prefix_format(const struct prefix *p, char out[static PREFIX_TEXT])
{
	char host[ADDRESS_TEXT] = "";
	/* Shorter than /96 it is IPv6, whatever the host bits look like. */
	bool four = address_is_ipv4(&p->base) && p->bits >= 96;
	if (!inet_ntop(four ? AF_INET : AF_INET6, p->base.bytes + (four ? 12 : 0), host, sizeof host))
		host[0] = 0;
	snprintf(out, PREFIX_TEXT, "%s/%d", host, p->bits - (four ? 96 : 0));
}

bool prefix_contains(const struct prefix *p, const struct address *a)
{
	/* A short IPv6 prefix such as ::/0 covers the mapped form, but does not mean IPv4. */
	if (p->bits < 96 && address_is_ipv4(a))
		return false;
	size_t whole = p->bits / 8;
	unsigned rest = p->bits % 8;
	if (memcmp(p->base.bytes, a->bytes, whole) != 0)
		return false;
	return !rest || ((p->base.bytes[whole] ^ a->bytes[whole]) >> (8 - rest)) == 0;
}
