// SPDX-License-Identifier: GPL-3.0-or-later
/* Whose request it is: the peer's, or that of the client a trusted proxy speaks for. */
#pragma once

#include "http/head.h"
#include "http/http.h"

bool forward_trusted(const struct prefix *trusted, size_t count, const struct address *a);

/* Call only when the peer is a trusted proxy. Several X-Forwarded-For fields count as one list in their order
 * (RFC 9110 section 5.3; haproxy appends a field of its own). From the right, the first entry that is not a
 * trusted proxy is the client; when all are, the leftmost. Without a list, or as soon as an entry on that way
 * is not an address: the peer, so that nothing a client writes can make it pass for somebody else. */
struct address forward_client(const struct head *h, const char *buf, const struct prefix *trusted,
	size_t count, const struct address *peer);
