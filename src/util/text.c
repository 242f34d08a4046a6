// SPDX-License-Identifier: GPL-3.0-or-later
#include "util/text.h"

#include <stdarg.h>
#include <stdio.h>

bool text_is_base64url(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
	}
	return true;
}

/* Where the dashes stand in 8-4-4-4-12. */
static bool dash_at(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

static const char hex[] = "0123456789abcdef";

void text_from_uuid(const uint8_t uuid[static 16], char out[static 37])
{
	size_t n = 0;
	for (size_t i = 0; i < 16; i++) {
		if (dash_at(n))
			out[n++] = '-';
		out[n++] = hex[uuid[i] >> 4];
		out[n++] = hex[uuid[i] & 15];
	}
	out[n] = 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)text_lower((uint8_t)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void text_hex(const uint8_t *data, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++) {
		*out++ = hex[data[i] >> 4];
		*out++ = hex[data[i] & 15];
	}
	*out = 0;
}

int text_from_hex(const char *s, size_t digits, uint8_t *out, size_t len)
{
	if (digits != 2 * len)
		return ERR_INVALID;
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(s[2 * i]), low = hex_value(s[2 * i + 1]);
		if (high < 0 || low < 0)
			return ERR_INVALID;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return OK;
}

int text_to_uuid(const char *s, size_t len, uint8_t out[static 16])
{
	if (len != 36)
		return ERR_INVALID;
	size_t nibble = 0;
	for (size_t i = 0; i < len; i++) {
		if (dash_at(i)) {
			if (s[i] != '-')
				return ERR_INVALID;
			continue;
		}
		int v = hex_value(s[i]);
		if (v < 0)
			return ERR_INVALID;
		out[nibble / 2] = (uint8_t)(nibble % 2 ? out[nibble / 2] | v : v << 4);
		nibble++;
	}
	return OK;
}

void text_base64url(const uint8_t *data, size_t len, char *out)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	unsigned have = 0;
	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | data[i];
		for (have += 8; have >= 6; have -= 6)
			*out++ = alphabet[bits >> (have - 6) & 63];
	}
	if (have)
		*out++ = alphabet[bits << (6 - have) & 63];
	*out = 0;
}

int text_format(char *out, size_t cap, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(out, cap, format, args);
	va_end(args);
	return n < 0 || (size_t)n >= cap ? ERR_RANGE : OK;
}
