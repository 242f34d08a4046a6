// SPDX-License-Identifier: GPL-3.0-or-later
/* The head of a request: request line and header fields, RFC 9112. Strict on purpose: whatever another parser
 * could read differently is refused, because a disagreement about where a request ends lets one client's
 * bytes become another client's request. Pure functions over bytes; nothing allocates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEAD_MAX_FIELDS = 64, HEAD_MAX_METHOD = 16 };

/* Offsets of NUL-terminated texts in the buffer the head was parsed in; they stay right when the buffer
 * moves. */
struct head_field {
	uint16_t name, value;
};

struct head {
	size_t length;         /* of the head, with the empty line */
	size_t content_length; /* SIZE_MAX when the number is beyond any limit */
	uint16_t method, path;
	uint16_t query; /* 0: none */
	uint16_t field_count;
	bool is_head;          /* the method is HEAD: an answer without body */
	bool keep_alive;       /* what the client asks for: RFC 9112 section 9.3 */
	bool expects_continue; /* RFC 9110 section 10.1.1 */
	struct head_field fields[HEAD_MAX_FIELDS];
};

enum head_scan { HEAD_INCOMPLETE, HEAD_COMPLETE, HEAD_BAD };

/* Looks for the end of the head in buf[0..len), going on at *scanned. Refuses as soon as a byte arrives that
 * no head may hold: NUL and other control characters, CR without LF, LF without CR. HEAD_COMPLETE: *scanned
 * is the length. */
enum head_scan head_scan(const char *buf, size_t len, size_t *scanned);

/* Parses a complete head (len from head_scan, at most UINT16_MAX) and puts NULs between its parts. 0, or the
 * HTTP status to refuse with: 400, 415 (encoded content), 417 (unknown expectation), 431 (too many fields),
 * 501 (transfer coding), 505. is_head is right in any case. */
unsigned head_parse(char *buf, size_t len, struct head *out);

/* The value of the field called `name` (any case), or NULL. *twice: it is there more than once. */
const char *head_field(const struct head *h, const char *buf, const char *name, bool *twice);
