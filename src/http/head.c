// SPDX-License-Identifier: GPL-3.0-or-later
#include "http/head.h"

#include <string.h>
#include <strings.h>

enum {
	OK_SO_FAR = 0,
	BAD_REQUEST = 400,
	MEDIA_TYPE = 415,
	EXPECTATION = 417,
	TOO_LARGE = 431,
	NOT_IMPLEMENTED = 501,
	VERSION = 505
};

/* What is being parsed: the rest of the head, and what was counted on the way. */
struct parser {
	char *buf, *at, *end;
	struct head *head;
	bool http11, has_coding;
	unsigned seen; /* which of the fields that may stand only once; bits are places in `known` */
};

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* How many bytes at the start are letters, digits or one of `more`. */
static size_t span(const char *s, const char *more)
{
	size_t len = 0;
	while (s[len] && (is_alnum((unsigned char)s[len]) || strchr(more, s[len])))
		len++;
	return len;
}

/* Every byte is; an empty text is not. */
static bool consists_of(const char *s, const char *more)
{
	return *s && !s[span(s, more)];
}

/* RFC 9110 section 5.6.2 has more characters in a token. Gateways map some of them to others, so that
 * Content_Length becomes Content-Length behind them (section 17.10): no name has them here. A folded line
 * (RFC 9112 section 5.2) and a blank before the colon (section 5.1) fail here, too. */
static bool is_field_name(const char *s)
{
	return consists_of(s, "-");
}

/* RFC 9110 section 9.1: methods are compared with their case, and all that exist have capital letters. Who
 * takes "head" for HEAD expects an answer without a body. */
static bool is_method(const char *s)
{
	size_t len = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
	return len && !s[len] && len <= HEAD_MAX_METHOD;
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
	/* A CONNECT has another target (RFC 9112 section 3.2.3), and a proxy that lets it pass would take all
	 * that follows for a tunnel's bytes. */
	if (!is_method(method) || strcmp(method, "CONNECT") == 0)
		return BAD_REQUEST;
	p->head->method = offset(p, method);
	p->head->is_head = strcmp(method, "HEAD") == 0;
	unsigned status = parse_version(p, version);
	return status ? status : parse_target(p, target);
}

/* Digits only: no sign, no blank, no list of equal numbers (RFC 9110 section 8.6 would allow one to merge
 * it), no leading zero, which some take for octal. */
static bool parse_length(const char *s, size_t *out)
{
	size_t n = 0;
	if (!*s || (*s == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (!is_digit(*s))
			return false;
		n = n > 1000000000 ? SIZE_MAX / 16 : n * 10 + (size_t)(*s - '0');
	}
	*out = n >= SIZE_MAX / 16 ? SIZE_MAX : n;
	return true;
}

/* ---- fields with a meaning here; each gets its trimmed value ---- */

static unsigned take_length(struct parser *p, const char *value)
{
	return parse_length(value, &p->head->content_length) ? OK_SO_FAR : BAD_REQUEST;
}

static unsigned take_coding(struct parser *p, const char *value)
{
	(void)value;
	p->has_coding = true;
	return OK_SO_FAR;
}

/* Of the name or the address a Host begins with, RFC 3986 section 3.2.2 without what no name has. 0: none. */
static size_t host_length(const char *s)
{
	if (*s != '[')
		return span(s, "-._~");
	size_t len = 1 + strspn(s + 1, "0123456789abcdefABCDEF:.");
	return len > 1 && s[len] == ']' ? len + 1 : 0;
}

static bool is_port_or_nothing(const char *s)
{
	size_t digits = *s == ':' ? strspn(s + 1, "0123456789") : 0;
	return !*s || (*s == ':' && digits <= 5 && !s[1 + digits]);
}

/* RFC 9112 section 3.2 lets it be empty. */
static unsigned take_host(struct parser *p, const char *value)
{
	size_t len = host_length(value);
	(void)p;
	return !*value || (len && is_port_or_nothing(value + len)) ? OK_SO_FAR : BAD_REQUEST;
}

/* The options clients do send. */
static bool is_connection_option(const char *s, size_t len)
{
	static const char *const options[] = {"close", "keep-alive", "upgrade", "te", "http2-settings"};
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (strlen(options[i]) == len && strncasecmp(s, options[i], len) == 0)
			return true;
	return len == 0; /* RFC 9110 section 5.6.1.2: an empty element counts for nothing */
}

/* RFC 9110 section 7.6.1: whoever forwards the request removes each field that is named here. A name that
 * belongs to the request itself (Content-Length, X-Api-Key, X-Forwarded-For) makes two requests of one. */
static unsigned take_connection(struct parser *p, const char *value)
{
	for (;;) {
		value += strspn(value, " \t");
		size_t len = strcspn(value, " \t,");
		if (!is_connection_option(value, len))
			return BAD_REQUEST;
		if (len == 5 && strncasecmp(value, "close", 5) == 0)
			p->head->keep_alive = false;
		value += len;
		value += strspn(value, " \t");
		if (!*value)
			return OK_SO_FAR;
		if (*value++ != ',')
			return BAD_REQUEST;
	}
}

/* RFC 9110 section 10.1.1: an HTTP/1.0 expectation is ignored, an unknown one may be answered with 417. */
static unsigned take_expectation(struct parser *p, const char *value)
{
	if (!p->http11)
		return OK_SO_FAR;
	p->head->expects_continue = strcasecmp(value, "100-continue") == 0;
	return p->head->expects_continue ? OK_SO_FAR : EXPECTATION;
}

/* RFC 9110 section 8.4: what is encoded says one thing to who decodes it and another to who does not. */
static unsigned take_encoding(struct parser *p, const char *value)
{
	(void)p;
	return !*value || strcasecmp(value, "identity") == 0 ? OK_SO_FAR : MEDIA_TYPE;
}

/* RFC 2616 section 4.4 let a body of this type say itself where it ends; since RFC 7230 none does. */
static unsigned take_type(struct parser *p, const char *value)
{
	static const char delimits_itself[] = "multipart/byteranges";
	(void)p;
	return strncasecmp(value, delimits_itself, sizeof delimits_itself - 1) == 0 ? MEDIA_TYPE : OK_SO_FAR;
}

static unsigned take_any(struct parser *p, const char *value)
{
	(void)p, (void)value;
	return OK_SO_FAR;
}

enum { HOST, FIRST_LIST = 6 }; /* places in `known`; those before FIRST_LIST may stand only once */

static const struct known {
	const char *name;
	unsigned (*take)(struct parser *, const char *value);
} known[] = {
	[HOST] = {"Host", take_host},
	{"Content-Length", take_length},
	{"Expect", take_expectation},
	{"Authorization", take_any},
	{"Content-Encoding", take_encoding},
	{"Content-Type", take_type},
	[FIRST_LIST] = {"Transfer-Encoding", take_coding},
	{"Connection", take_connection},
};

/* RFC 9110 section 5.3: a field whose value is no list stands once. */
static unsigned apply_field(struct parser *p, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcasecmp(name, known[i].name) != 0)
			continue;
		if (i < FIRST_LIST && p->seen & 1u << i)
			return BAD_REQUEST;
		p->seen |= 1u << i;
		return known[i].take(p, value);
	}
	return OK_SO_FAR;
}

static unsigned parse_field(struct parser *p, char *line)
{
	char *colon = strchr(line, ':');
	if (!colon)
		return BAD_REQUEST;
	*colon = 0;
	if (!is_field_name(line))
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

/* RFC 9110 sections 9.3.1, 9.3.2, 9.3.5 and 9.3.8: content has no meaning, or is forbidden, with the others;
 * and there are servers that leave it standing as the start of the next request. */
static bool may_have_content(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

/* No known client sends a transfer coding, and Content-Length beside one is the classic way to make two
 * parsers disagree (RFC 9112 section 6.3), so any coding is refused. One Host: RFC 9112 section 3.2. */
static unsigned check_framing(const struct parser *p)
{
	const struct head *h = p->head;
	if (p->has_coding)
		return NOT_IMPLEMENTED;
	if (p->http11 && !(p->seen & 1u << HOST))
		return BAD_REQUEST;
	return h->content_length && !may_have_content(p->buf + h->method) ? BAD_REQUEST : OK_SO_FAR;
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
