// SPDX-License-Identifier: GPL-3.0-or-later
/* A TCP connection's bytes without the connection: cutting messages out of what was read (RFC 1035
 * section 4.2.2: two bytes of length, then the message) and keeping bytes from one event to the next. No
 * socket, no clock. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/cursor.h"
#include "util/error.h"

enum {
	STREAM_PREFIX = 2,
	/* A query is a question, an OPT record and perhaps a TSIG; an update of one delegate is hardly
	 * longer. Whoever announces more is not talking DNS to us, and 64 KiB for each of thousands of
	 * connections would be his gain. */
	STREAM_QUERY_MAX = 4096,
	STREAM_ANSWER_MAX = UINT16_MAX,
};

/* Cuts the next message off `input`. OK: `message` lies in the input, `input` stands behind it. ERR_AGAIN: it
 * is not complete; `input` is unchanged. ERR_INVALID: a length of zero or above STREAM_QUERY_MAX; nothing
 * behind it can be told apart, so the connection must end. */
int stream_next(struct reader *input, const uint8_t **message, size_t *len) MUST_USE;

/* Bytes that outlive an event: a started message, or replies the peer has not taken. An empty one owns no
 * memory, so an idle connection costs none. Zero-initialized. */
struct backlog {
	uint8_t *data;
	size_t len;
};

/* Keeps a copy of `data` instead of what was there; `data` may be a part of that. ERR_NOMEM: nothing changed.
 */
int backlog_replace(struct backlog *b, const uint8_t *data, size_t len) MUST_USE;
void backlog_clear(struct backlog *b);
