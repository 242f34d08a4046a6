// SPDX-License-Identifier: GPL-3.0-or-later
/* IP addresses, prefixes and endpoints as plain values. IPv4 is kept as an IPv4-mapped IPv6 address
 * (::ffff:a.b.c.d), so that one form serves everywhere. Any thread; nothing allocates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "util/error.h"

struct address {
	uint8_t bytes[16];
};

struct prefix {
	struct address base;
	uint8_t bits; /* 0..128 over the mapped form: an IPv4 /24 is 120 */
};

struct endpoint {
	struct address address;
	uint16_t port; /* host byte order */
};

enum { ADDRESS_TEXT = 46, ENDPOINT_TEXT = 56, PREFIX_TEXT = 50 }; /* sizes of text buffers, with the NUL */

bool address_is_ipv4(const struct address *a);
bool address_is_loopback(const struct address *a);
bool address_is_none(const struct address *a); /* all zeros, which is nobody's */
/* Why the Internet does not lead to it, in a few words: "private (RFC 1918)". NULL: it does. */
const char *address_special(const struct address *a);
bool address_equal(const struct address *a, const struct address *b);

/* The network an address counts with where limits are per network: all of one /24 or /56 give the same. Less
 * is what a single site gets. */
struct address address_network(const struct address *a);

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]". ERR_INVALID. */
int address_parse(const char *text, struct address *out) MUST_USE;
void address_format(const struct address *a, char out[static ADDRESS_TEXT]);

/* AF_INET and AF_INET6; an IPv4-mapped IPv6 socket address becomes the IPv4 address. ERR_INVALID: other
 * family. */
int address_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct endpoint *out) MUST_USE;
/* An IPv4 address gives AF_INET. Returns the length in use. */
socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out);

/* "192.0.2.1:53", "[::]:53"; the port is required. ERR_INVALID. */
int endpoint_parse(const char *text, struct endpoint *out) MUST_USE;
void endpoint_format(const struct endpoint *e, char out[static ENDPOINT_TEXT]);

/* CIDR notation. Host bits may be set (they are ignored), brackets around an IPv6 address are accepted, a
 * bare address is ERR_INVALID: that is what acme-dns clients rely on (net.ParseCIDR). */
int prefix_parse(const char *text, size_t len, struct prefix *out) MUST_USE;
/* What prefix_parse() reads as the same prefix, host bits included. */
void prefix_format(const struct prefix *p, char out[static PREFIX_TEXT]);
bool prefix_contains(const struct prefix *p, const struct address *a);
