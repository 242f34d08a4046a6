// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "acme/client.h"
#include "util/clock.h"
#include "util/text.h"

enum { HOUR_MS = 3600 * 1000 };

static const char urn[] = "urn:ietf:params:acme:error:";

int client_fail(struct client *c, int code, const char *format, ...)
{
	va_list args;
	c->failure = (struct failure){.retry_after = -1};
	va_start(args, format);
	vsnprintf(c->failure.text, sizeof c->failure.text, format, args);
	va_end(args);
	/* Parts of it come from others, and it goes to places that want plain text. */
	for (char *at = c->failure.text; *at; at++)
		if (*at < 0x20 || *at > 0x7e)
			*at = '?';
	return code;
}

static void keep_type(struct client *c, const char *type)
{
	size_t n = strncmp(type, urn, sizeof urn - 1) == 0 ? sizeof urn - 1 : 0;
	if (text_format(c->failure.type, sizeof c->failure.type, "%s", type + n))
		c->failure.type[0] = 0;
}

int client_refused(struct client *c, const char *what, const struct response *r)
{
	struct problem p;
	/* Some CAs do not give it the type of RFC 7807. */
	if (!r->body || document_problem(r->body, r->len, &p) || !*p.type) {
		(void)client_fail(
			c, 0, "the CA answered the request for %s with status %ld", what, r->status);
	} else {
		(void)client_fail(c, 0, "the CA refused %s: %s", what, p.text);
		keep_type(c, p.type);
	}
	c->failure.retry_after = r->retry_after;
	/* RFC 8555 section 6.6 lets the CA leave the time out; its limits are by the hour or longer. */
	if (r->retry_after < 0 && (r->status == 429 || client_problem(c, "rateLimited")))
		c->failure.retry_after = HOUR_MS;
	return ERR_FORBIDDEN;
}

bool client_problem(const struct client *c, const char *type)
{
	return strcmp(c->failure.type, type) == 0;
}

int client_pause(const struct client *c, int64_t retry, int64_t end)
{
	int64_t wait = retry > c->times.poll ? retry : c->times.poll;
	int64_t left = end - clock_mono_ms();
	return transport_wait(c->stop, wait < left ? wait : left);
}
