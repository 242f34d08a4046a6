// SPDX-License-Identifier: GPL-3.0-or-later
/* The head of a request, and the client address a proxy may write into it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/forward.h"
#include "http/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Options that a proxy in front could have acted upon; anything else names a field. */
static void check_options(const char *value)
{
	static const char known[] = "close,keep-alive,upgrade,te,http2-settings,";
	char lower[32];
	while (*value) {
		value += strspn(value, " \t,");
		size_t len = strcspn(value, " \t,");
		require(len < sizeof lower - 1);
		for (size_t i = 0; i < len; i++)
			lower[i] = (char)tolower((unsigned char)value[i]);
		memcpy(lower + len, ",", 2);
		require(!len || strstr(known, lower));
		value += len;
	}
}

static void check_fields(const struct head *h, const char *buf)
{
	for (unsigned i = 0; i < h->field_count; i++) {
		const char *name = buf + h->fields[i].name;
		require(*name && !name[strspn(name,
					 "-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")]);
		if (strcasecmp(name, "Connection") == 0)
			check_options(buf + h->fields[i].value);
	}
}

static void check_method(const struct head *h, const char *buf)
{
	const char *method = buf + h->method;
	require(*method && !method[strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-")] &&
		strcmp(method, "CONNECT") != 0);
	require(h->is_head == (strcmp(method, "HEAD") == 0));
	require(!h->content_length || method[0] == 'P');
}

/* What an accepted head promises to those behind the parser. */
static void check_head(const struct head *h, const char *buf)
{
	const char *path = buf + h->path;
	bool twice;
	require(path[0] == '/' && !strchr(path, '%') && !strchr(path, ' ') && !strchr(path, '?'));
	require(!strstr(path, "/../") && strlen(buf + h->method) <= HEAD_MAX_METHOD);
	require(h->field_count <= HEAD_MAX_FIELDS);
	require(!head_field(h, buf, "Transfer-Encoding", &twice) && !twice);
	const char *length = head_field(h, buf, "Content-Length", &twice);
	require(!twice && (!length || (*length && !length[strspn(length, "0123456789")])));
	check_method(h, buf);
	check_fields(h, buf);
	(void)head_field(h, buf, "Host", &twice);
	require(!twice);
}

static void check_client(const struct head *h, const char *buf)
{
	struct prefix trusted = {{{0}}, 0};
	struct address peer = {{[15] = 1}};
	(void)forward_client(h, buf, &trusted, 0, &peer);
	struct address all = forward_client(h, buf, &trusted, 1, &peer);
	(void)all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t scanned = 0, bytewise = 0;
	struct head h;
	char *buf = calloc(len ? len : 1, 1);
	if (!buf)
		return 0;
	if (len)
		memcpy(buf, data, len);
	enum head_scan s = head_scan(buf, len, &scanned), b = HEAD_INCOMPLETE;
	for (size_t i = 1; i <= len && b == HEAD_INCOMPLETE; i++)
		b = head_scan(buf, i, &bytewise);
	require(s == b && (s != HEAD_COMPLETE || scanned == bytewise));
	if (s == HEAD_COMPLETE && head_parse(buf, scanned, &h) == 0) {
		check_head(&h, buf);
		check_client(&h, buf);
	}
	free(buf);
	return 0;
}
