// SPDX-License-Identifier: GPL-3.0-or-later
/* The query of a request. Nothing of ours needs percent-encoding, so nothing is decoded: what would need it
 * is refused, as in the path. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"

bool query_next(const char **at, const char *name, char *out, size_t cap)
{
	size_t name_len = strlen(name);
	while (*at && **at) {
		const char *p = *at;
		size_t len = strcspn(p, "&");
		*at = p + len + (p[len] == '&');
		size_t key = strcspn(p, "=&");
		if (key != name_len || memcmp(p, name, key) != 0)
			continue;
		const char *value = p + key + (p[key] == '=');
		size_t n = (size_t)(p + len - value);
		if (n >= cap)
			n = cap - 1; /* query_check() has refused it */
		memcpy(out, value, n);
		out[n] = 0;
		return true;
	}
	return false;
}

bool query_get(const struct http_request *r, const char *name, char *out, size_t cap)
{
	const char *at = r->query;
	*out = 0;
	return query_next(&at, name, out, cap);
}

static bool is_known(const char *key, size_t len, const char *const *names)
{
	for (; *names; names++)
		if (strlen(*names) == len && memcmp(*names, key, len) == 0)
			return true;
	return false;
}

static bool is_plain(const char *s, size_t len)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~,*";
	return strspn(s, chars) >= len;
}

bool query_check(const struct http_request *r, const char *const *names)
{
	for (const char *p = r->query; p && *p;) {
		size_t len = strcspn(p, "&"), key = strcspn(p, "=&");
		const char *value = p + key + (p[key] == '=');
		size_t value_len = (size_t)(p + len - value);
		if (!is_known(p, key, names) || value_len > IPC_NAME_MAX || !is_plain(value, value_len))
			return false;
		p += len + (p[len] == '&');
	}
	return true;
}

int query_number(const struct http_request *r, const char *name, uint64_t max, uint64_t *out)
{
	char text[IPC_NAME_MAX + 1];
	uint64_t n = 0;
	if (!query_get(r, name, text, sizeof text))
		return ERR_NOTFOUND;
	if (!*text || strlen(text) > 19)
		return ERR_INVALID;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9')
			return ERR_INVALID;
		n = n * 10 + (uint64_t)(*c - '0');
	}
	if (n > max)
		return ERR_INVALID;
	*out = n;
	return OK;
}

bool query_flag(const struct http_request *r, const char *name)
{
	char text[IPC_NAME_MAX + 1];
	return query_get(r, name, text, sizeof text) &&
	       (!*text || strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
}
