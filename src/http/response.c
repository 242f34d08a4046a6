// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/internal.h"
#include "util/clock.h"
#include "util/secure.h"
#include "util/text.h"

enum { HEAD_ROOM = 512 };

static const struct status {
	unsigned code;
	const char *reason;
	const char *refusal; /* body when this room refuses */
} statuses[] = {
	{200, "OK", ""},
	{201, "Created", ""},
	{400, "Bad Request", "{\"error\": \"bad_request\"}"},
	{401, "Unauthorized", ""},
	{403, "Forbidden", ""},
	{404, "Not Found", ""},
	{405, "Method Not Allowed", ""},
	{409, "Conflict", ""},
	{413, "Content Too Large", "{\"error\": \"body_too_large\"}"},
	{415, "Unsupported Media Type", "{\"error\": \"unsupported_media_type\"}"},
	{417, "Expectation Failed", "{\"error\": \"unknown_expectation\"}"},
	{429, "Too Many Requests", ""},
	{431, "Request Header Fields Too Large", "{\"error\": \"headers_too_large\"}"},
	{500, "Internal Server Error", ""},
	{501, "Not Implemented", "{\"error\": \"transfer_encoding_not_supported\"}"},
	{503, "Service Unavailable", ""},
	{505, "HTTP Version Not Supported", "{\"error\": \"http_version_not_supported\"}"},
};

const unsigned http_statuses[HTTP_STATUSES] = {
	200, 201, 400, 401, 403, 404, 405, 409, 413, 415, 417, 429, 431, 500, 501, 503, 505};

_Static_assert(sizeof statuses / sizeof *statuses == HTTP_STATUSES - 1, "every status is counted");

void response_count(struct connection *c, unsigned status)
{
	unsigned i = 0;
	while (http_statuses[i] && http_statuses[i] != status)
		i++;
	c->server->counters->responses[c->exchange.class][i]++;
}

static const struct status *find_status(unsigned code)
{
	static const struct status other = {
		0, "Other", ""}; /* the reason has no meaning: RFC 9112 section 4 */
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		if (statuses[i].code == code)
			return &statuses[i];
	return &other;
}

struct http_response response_refusal(unsigned status)
{
	const char *body = find_status(status)->refusal;
	return (struct http_response){
		.status = status,
		.content_type = "application/json",
		.body = body,
		.body_len = strlen(body),
	};
}

/* Text behind text; stays within cap by the sticky failure. */
struct text {
	char *at, *end;
	bool failed;
};

static void PRINTF(2, 3) put(struct text *t, const char *format, ...)
{
	size_t room = (size_t)(t->end - t->at);
	va_list args;
	if (t->failed)
		return;
	va_start(args, format);
	int n = vsnprintf(t->at, room, format, args);
	va_end(args);
	t->failed = n < 0 || (size_t)n >= room;
	if (!t->failed)
		t->at += n;
}

/* IMF-fixdate, RFC 9110 section 5.6.7; a server with a clock sends Date (section 6.6.1). */
static void put_date(struct text *t)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;
	if (!gmtime_r(&now, &tm))
		return;
	put(t, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n", days + 3 * tm.tm_wday, tm.tm_mday,
		months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void put_head(struct text *t, const struct http_response *r, bool keep_alive)
{
	put(t, "HTTP/1.1 %u %s\r\n", r->status, find_status(r->status)->reason);
	put_date(t);
	if (r->content_type)
		put(t, "Content-Type: %s\r\n", r->content_type);
	put(t, "Content-Length: %zu\r\n", r->body_len);
	put(t, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
	if (r->allow)
		put(t, "Allow: %s\r\n", r->allow);
	if (r->authenticate)
		put(t, "WWW-Authenticate: %s\r\n", r->authenticate);
	if (r->retry_after)
		put(t, "Retry-After: %u\r\n", r->retry_after);
	put(t, "Connection: %s\r\n\r\n", keep_alive ? "keep-alive" : "close");
}

/* HEAD gets the same head and no body: RFC 9110 section 9.3.2. */
void response_format(struct connection *c, const struct http_response *r, bool keep_alive, bool head_only)
{
	response_wipe(c);
	size_t copied = r->body_lasts || head_only ? 0 : r->body_len;
	char *out = malloc(HEAD_ROOM + copied);
	if (!out)
		return;
	struct text t = {out, out + HEAD_ROOM, false};
	put_head(&t, r, keep_alive);
	if (t.failed) {
		free(out);
		return;
	}
	if (copied) {
		memcpy(t.at, r->body, copied);
		t.at += copied;
	}
	c->tail = r->body;
	c->tail_len = r->body_lasts && !head_only ? r->body_len : 0;
	c->out = out;
	c->out_len = (size_t)(t.at - out);
}

/* An answer may carry a key. */
void response_wipe(struct connection *c)
{
	if (c->out)
		secure_wipe(c->out, c->out_len);
	free(c->out);
	c->out = NULL;
	c->tail = NULL;
	c->out_len = c->out_at = c->tail_len = 0;
}
