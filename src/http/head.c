// SPDX-License-Identifier: GPL-3.0-or-later
#include "http/head.h"

#include <string.h>
#include <strings.h>

enum {
	OK_SO_FAR = 0,
	BAD_REQUEST = 400,
	EXPECTATION = 417,
	TOO_LARGE = 431,
	NOT_IMPLEMENTED = 501,
	VERSION = 505
};

/* What is being parsed: the rest of the head, and what was counted on the way. */
struct parser {
	char *buf, *at, *end;
	struct head *head;
	bool http11;
	unsigned hosts, lengths, encodings;
};

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Every byte is a letter, a digit or one of `more`; an empty text is not. */
static bool consists_of(const char *s, const char *more)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!is_alnum((unsigned char)*s) && !strchr(more, *s))
			return false;
	return true;
}

/* RFC 9110 section 5.6.2. No blank is a token character, so a folded line (RFC 9112 section 5.2) and a blank
 * before the colon (section 5.1) fail here. */
static bool is_token(const char *s)
{
	return consists_of(s, "!#$%&'*+-.^_`|~");
}

static bool may_stand_in_head(unsigned char c)
{
	return (c >= 0x20 && c != 0x7f) || c == '\t' || c == '\r' || c == '\n';
}

/* CR and LF come only as a pair: RFC 9112 section 2.2 lets a parser take a bare LF as a line end and demands
 * that a bare CR is not one; parsers differ, so neither is taken. */
enum head_scan head_scan(const char *buf, size_t len, size_t *scanned)
{
	for (size_t i = *scanned; i < len; i++) {
		bool after_cr = i > 0 && buf[i - 1] == '\r';
		if (!may_stand_in_head((unsigned char)buf[i]) || (buf[i] == '\n') != after_cr)
			return HEAD_BAD;
		if (i >= 3 && memcmp(buf + i - 3, "\r\n\r\n", 4) == 0) {
			*scanned = i + 1;
			return HEAD_COMPLETE;
		}
	}
	*scanned = len;
	return HEAD_INCOMPLETE;
}

/* The next line as a text, or NULL at the end of the head. */
static char *take_line(struct parser *p)
{
	char *line = p->at;
	char *lf = memchr(line, '\n', (size_t)(p->end - line));
	if (!lf || lf == line)
		return NULL;
	lf[-1] = 0;
	p->at = lf + 1;
	return line;
}

static uint16_t offset(const struct parser *p, const char *text)
{
	return (uint16_t)(text - p->buf);
}

static char *trim(char *s)
{
	s += strspn(s, " \t");
	size_t len = strlen(s);
	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		s[--len] = 0;
	return s;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static unsigned parse_version(struct parser *p, const char *s)
{
	if (strlen(s) != 8 || strncmp(s, "HTTP/", 5) != 0 || !is_digit(s[5]) || s[6] != '.' ||
		!is_digit(s[7]))
		return BAD_REQUEST;
	if (s[5] != '1' || s[7] > '1')
		return VERSION;
	p->http11 = s[7] == '1';
	return OK_SO_FAR;
}

static bool has_dot_segment(const char *path)
{
	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/')) {
		size_t len = strcspn(s + 1, "/");
		if ((len == 1 && s[1] == '.') || (len == 2 && s[1] == '.' && s[2] == '.'))
			return true;
	}
	return false;
}

/* Origin form only (RFC 9112 section 3.2.1). There is no path of ours that needs percent-encoding, so it is
 * refused rather than decoded: then there is one spelling of a path and no traversal. The absolute form
 * (section 3.2.2) would bring a second authority beside Host. */
static unsigned parse_target(struct parser *p, char *target)
{
	static const char path_chars[] = "-._~!$&'()*+,;=:@/";
	char *query = strchr(target, '?');
	if (query) {
		*query++ = 0;
		if (*query && !consists_of(query, "-._~!$&'()*+,;=:@/?%"))
			return BAD_REQUEST;
		p->head->query = offset(p, query);
	}
	if (target[0] != '/' || !consists_of(target, path_chars) || has_dot_segment(target))
		return BAD_REQUEST;
	p->head->path = offset(p, target);
	return OK_SO_FAR;
}

/* Exactly one space between the parts: RFC 9112 section 3 allows more, but parsers then differ. */
static unsigned parse_request_line(struct parser *p)
{
	char *method = take_line(p);
	char *target = method ? strchr(method, ' ') : NULL;
	char *version = target ? strchr(target + 1, ' ') : NULL;
	if (!version)
		return BAD_REQUEST;
	*target++ = 0;
	*version++ = 0;
	if (!is_token(method) || strlen(method) > HEAD_MAX_METHOD)
		return BAD_REQUEST;
	p->head->method = offset(p, method);
	p->head->is_head = strcmp(method, "HEAD") == 0;
	unsigned status = parse_version(p, version);
	return status ? status : parse_target(p, target);
}

/* Digits only: no sign, no blank, no list of equal numbers (RFC 9110 section 8.6 would allow one to merge
 * it). */
static bool parse_length(const char *s, size_t *out)
{
	size_t n = 0;
	if (!*s)
		return false;
	for (; *s; s++) {
		if (!is_digit(*s))
			return false;
		n = n > 1000000000 ? SIZE_MAX / 16 : n * 10 + (size_t)(*s - '0');
	}
	*out = n >= SIZE_MAX / 16 ? SIZE_MAX : n;
	return true;
}

/* "close" and "keep-alive" among the options of a Connection field, RFC 9110 section 7.6.1. */
static void apply_connection(struct head *h, const char *s)
{
	while (*s) {
		s += strspn(s, " \t,");
		size_t len = strcspn(s, " \t,");
		if (len == 5 && strncasecmp(s, "close", 5) == 0)
			h->keep_alive = false;
		s += len;
	}
}

static unsigned apply_field(struct parser *p, const char *name, const char *value)
{
	if (strcasecmp(name, "Host") == 0) {
		p->hosts++;
		return *value && !consists_of(value, "-._~:[]") ? BAD_REQUEST : OK_SO_FAR;
	}
	if (strcasecmp(name, "Content-Length") == 0) {
		p->lengths++;
		return parse_length(value, &p->head->content_length) ? OK_SO_FAR : BAD_REQUEST;
	}
	if (strcasecmp(name, "Transfer-Encoding") == 0)
		p->encodings++;
	if (strcasecmp(name, "Connection") == 0)
		apply_connection(p->head, value);
	/* RFC 9110 section 10.1.1: an HTTP/1.0 expectation is ignored, an unknown one may be answered with
	 * 417. */
	if (strcasecmp(name, "Expect") == 0 && p->http11) {
		p->head->expects_continue = strcasecmp(value, "100-continue") == 0;
		return p->head->expects_continue ? OK_SO_FAR : EXPECTATION;
	}
	return OK_SO_FAR;
}

static unsigned parse_field(struct parser *p, char *line)
{
	char *colon = strchr(line, ':');
	if (!colon)
		return BAD_REQUEST;
	*colon = 0;
	if (!is_token(line))
		return BAD_REQUEST;
	if (p->head->field_count == HEAD_MAX_FIELDS)
		return TOO_LARGE;
	const char *value = trim(colon + 1);
	p->head->fields[p->head->field_count++] = (struct head_field){offset(p, line), offset(p, value)};
	return apply_field(p, line, value);
}

static unsigned parse_fields(struct parser *p)
{
	for (char *line = take_line(p); line; line = take_line(p)) {
		if (!*line)
			return p->at == p->end ? OK_SO_FAR : BAD_REQUEST;
		unsigned status = parse_field(p, line);
		if (status)
			return status;
	}
	return BAD_REQUEST;
}

/* No known client sends a transfer coding, and Content-Length beside one is the classic way to make two
 * parsers disagree (RFC 9112 section 6.3), so any coding is refused. One Host: RFC 9112 section 3.2. */
static unsigned check_framing(const struct parser *p)
{
	if (p->encodings)
		return NOT_IMPLEMENTED;
	if (p->lengths > 1 || p->hosts > 1 || (p->http11 && p->hosts == 0))
		return BAD_REQUEST;
	return OK_SO_FAR;
}

unsigned head_parse(char *buf, size_t len, struct head *out)
{
	memset(out, 0, sizeof *out);
	if (len > UINT16_MAX)
		return TOO_LARGE;
	struct parser p = {.buf = buf, .at = buf, .end = buf + len, .head = out};
	out->length = len;
	unsigned status = parse_request_line(&p);
	out->keep_alive = p.http11; /* HTTP/1.0 is closed after one answer, whatever it asks for */
	if (!status)
		status = parse_fields(&p);
	return status ? status : check_framing(&p);
}

const char *head_field(const struct head *h, const char *buf, const char *name, bool *twice)
{
	const char *found = NULL;
	*twice = false;
	for (unsigned i = 0; i < h->field_count; i++) {
		if (strcasecmp(buf + h->fields[i].name, name) != 0)
			continue;
		*twice = found != NULL;
		found = buf + h->fields[i].value;
		if (*twice)
			return NULL;
	}
	return found;
}
