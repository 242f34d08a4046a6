// SPDX-License-Identifier: GPL-3.0-or-later
/* What an answer's header fields say. */
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "acme/dates.h"
#include "acme/transport.h"
#include "util/text.h"

/* RFC 3986 section 5, in the hands of libcurl. Empty when it does not fit, or is no URL. */
static void resolve(const char *base, const char *reference, char out[static ACME_URL])
{
	char *whole = NULL;
	CURLU *u = curl_url();
	out[0] = 0;
	if (u && curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
		curl_url_set(u, CURLUPART_URL, reference, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK &&
		text_format(out, ACME_URL, "%s", whole))
		out[0] = 0;
	curl_free(whole);
	curl_url_cleanup(u);
}

/* RFC 8288 section 3: a rel parameter holds relation types with blanks between. */
static bool is_alternate(const char *parameters, size_t len)
{
	char text[256];
	if (len >= sizeof text)
		return false;
	for (size_t i = 0; i < len; i++)
		text[i] = (char)text_lower((uint8_t)parameters[i]);
	text[len] = 0;
	const char *rel = strstr(text, "rel=");
	if (!rel)
		return false;
	rel += 4;
	bool quoted = *rel == '"';
	size_t n = strcspn(rel += quoted, quoted ? "\"" : "; \t");
	static const char wanted[] = "alternate";
	for (const char *at = rel; at < rel + n;) {
		size_t word = strcspn(at, " \"");
		if (word == sizeof wanted - 1 && at + word <= rel + n && strncmp(at, wanted, word) == 0)
			return true;
		at += word + 1;
	}
	return false;
}

/* Where a link's parameters end: at a comma that is not quoted. */
static const char *link_end(const char *at)
{
	bool quoted = false;
	for (; *at && (quoted || *at != ','); at++)
		if (*at == '"')
			quoted = !quoted;
	return at;
}

static void read_links(struct response *r, const char *base, const char *value)
{
	while ((value = strchr(value, '<'))) {
		const char *close = strchr(++value, '>');
		char url[ACME_URL];
		if (!close)
			return;
		const char *end = link_end(close);
		size_t len = (size_t)(close - value);
		if (len < sizeof url && r->alternate_count < TRANSPORT_LINKS &&
			is_alternate(close + 1, (size_t)(end - close - 1))) {
			memcpy(url, value, len);
			url[len] = 0;
			resolve(base, url, r->alternates[r->alternate_count]);
			r->alternate_count += *r->alternates[r->alternate_count] != 0;
		}
		value = end;
	}
}

static void read_type(struct response *r, const char *value)
{
	size_t n = strcspn(value, "; \t");
	if (n >= sizeof r->type)
		n = 0;
	for (size_t i = 0; i < n; i++)
		r->type[i] = (char)text_lower((uint8_t)value[i]);
	r->type[n] = 0;
}

/* RFC 8555 section 6.5.1: "Clients MUST ignore invalid Replay-Nonce values." */
static void read_nonce(struct response *r, const char *value)
{
	size_t n = strlen(value);
	if (n && n < sizeof r->nonce && text_is_base64url(value, n))
		memcpy(r->nonce, value, n + 1);
}

static void read_field(struct response *r, const char *url, const char *name, const char *value, int64_t now)
{
	int64_t wait;
	if (strcasecmp(name, "content-type") == 0)
		read_type(r, value);
	else if (strcasecmp(name, "location") == 0)
		resolve(url, value, r->location);
	else if (strcasecmp(name, "replay-nonce") == 0)
		read_nonce(r, value);
	else if (strcasecmp(name, "retry-after") == 0 && date_retry_after(value, now, &wait) == OK)
		r->retry_after = wait;
	else if (strcasecmp(name, "link") == 0)
		read_links(r, url, value);
}

void response_header(struct response *r, const char *url, const char *line, size_t len, int64_t now)
{
	char text[2048];
	if (len >= sizeof text || memchr(line, 0, len))
		return; /* no field that is looked at here is that long */
	memcpy(text, line, len);
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	text[len] = 0;
	char *colon = strchr(text, ':');
	if (!colon)
		return;
	*colon++ = 0;
	read_field(r, url, text, colon + strspn(colon, " \t"), now);
}
