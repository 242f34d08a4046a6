// SPDX-License-Identifier: GPL-3.0-or-later
/* IANA's registries of special-purpose addresses (RFC 6890), as far as the Internet does not lead there. */
#include "util/address.h"

#include <string.h>

static const struct {
	const char *prefix, *what;
} ranges[] = {
	{"0.0.0.0/8", "not an address of one machine (RFC 1122)"},
	{"10.0.0.0/8", "private (RFC 1918)"},
	{"100.64.0.0/10", "behind the provider's translation (RFC 6598)"},
	{"127.0.0.0/8", "loopback"},
	{"169.254.0.0/16", "link-local (RFC 3927)"},
	{"172.16.0.0/12", "private (RFC 1918)"},
	{"192.0.0.0/24", "reserved for protocols (RFC 6890)"},
	{"192.0.2.0/24", "for documentation (RFC 5737)"},
	{"192.168.0.0/16", "private (RFC 1918)"},
	{"198.18.0.0/15", "for benchmarks (RFC 2544)"},
	{"198.51.100.0/24", "for documentation (RFC 5737)"},
	{"203.0.113.0/24", "for documentation (RFC 5737)"},
	{"224.0.0.0/4", "multicast (RFC 5771)"},
	{"240.0.0.0/4", "reserved (RFC 1112)"},
	{"::/128", "not an address of one machine (RFC 4291)"},
	{"::1/128", "loopback"},
	{"2001:db8::/32", "for documentation (RFC 3849)"},
	{"2002::/16", "6to4, which is no longer in use (RFC 7526)"},
	{"3fff::/20", "for documentation (RFC 9637)"},
	{"fc00::/7", "unique local (RFC 4193)"},
	{"fe80::/10", "link-local (RFC 4291)"},
	{"ff00::/8", "multicast (RFC 4291)"},
};

static bool is_within(const char *prefix, const struct address *a)
{
	struct prefix p;
	return !prefix_parse(prefix, strlen(prefix), &p) && prefix_contains(&p, a);
}

const char *address_special(const struct address *a)
{
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (is_within(ranges[i].prefix, a))
			return ranges[i].what;
	/* What IANA has not handed out to anybody for use on the Internet (RFC 4291 section 2.4). */
	return address_is_ipv4(a) || is_within("2000::/3", a) ? NULL : "not in use on the Internet";
}
