// SPDX-License-Identifier: GPL-3.0-or-later
/* Small text helpers. ASCII only, never the locale's idea of a letter. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* Lower-case of an ASCII letter, any other byte unchanged (RFC 4343). */
static inline uint8_t text_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* Every byte is one of [A-Za-z0-9_-], the alphabet of RFC 4648 section 5. */
bool text_is_base64url(const char *s, size_t len);

/* UUIDs: canonical lower-case text form <-> 16 bytes. text_to_uuid accepts either case and exactly 36
 * characters; ERR_INVALID otherwise. */
void text_from_uuid(const uint8_t uuid[static 16], char out[static 37]);
int text_to_uuid(const char *s, size_t len, uint8_t out[static 16]) MUST_USE;

/* Base64url without padding (RFC 4648 section 5) of `len` bytes; `out` holds 4 * ((len + 2) / 3) + 1 at
 * least. */
void text_base64url(const uint8_t *data, size_t len, char *out);

/* Lower-case hexadecimal. text_from_hex takes either case and exactly 2 * len digits; ERR_INVALID otherwise.
 */
void text_hex(const uint8_t *data, size_t len, char *out); /* `out` holds 2 * len + 1 */
int text_from_hex(const char *s, size_t digits, uint8_t *out, size_t len) MUST_USE;

/* snprintf that reports truncation: ERR_RANGE (out then holds a terminated prefix). */
int text_format(char *out, size_t cap, const char *format, ...) PRINTF(3, 4) MUST_USE;
