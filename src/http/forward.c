// SPDX-License-Identifier: GPL-3.0-or-later
#include "http/forward.h"

#include <string.h>
#include <strings.h>

bool forward_trusted(const struct prefix *trusted, size_t count, const struct address *a)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_contains(&trusted[i], a))
			return true;
	return false;
}

static bool parse_entry(const char *s, size_t len, struct address *out)
{
	char text[ADDRESS_TEXT + 2];
	while (len && (*s == ' ' || *s == '\t'))
		s++, len--;
	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	if (!len || len >= sizeof text)
		return false;
	memcpy(text, s, len);
	text[len] = 0;
	return address_parse(text, out) == OK;
}

enum walk { WALK_ON, WALK_FOUND, WALK_BAD };

/* One field, from its right end. *client is the entry looked at last. */
static enum walk walk_field(
	const char *value, const struct prefix *trusted, size_t count, struct address *client)
{
	size_t end = strlen(value);
	for (;;) {
		size_t start = end;
		while (start && value[start - 1] != ',')
			start--;
		if (!parse_entry(value + start, end - start, client))
			return WALK_BAD;
		if (!forward_trusted(trusted, count, client))
			return WALK_FOUND;
		if (!start)
			return WALK_ON;
		end = start - 1;
	}
}

struct address forward_client(const struct head *h, const char *buf, const struct prefix *trusted,
	size_t count, const struct address *peer)
{
	struct address client = *peer;
	for (unsigned i = h->field_count; i-- > 0;) {
		if (strcasecmp(buf + h->fields[i].name, "X-Forwarded-For") != 0)
			continue;
		enum walk w = walk_field(buf + h->fields[i].value, trusted, count, &client);
		if (w == WALK_BAD)
			return *peer;
		if (w == WALK_FOUND)
			return client;
	}
	return client;
}
