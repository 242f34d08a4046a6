// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "util/secure.h"
#include "util/text.h"

void answer_text(struct http_exchange *x, unsigned status, const char *type, const char *text)
{
	http_respond(x, &(struct http_response){
				.status = status,
				.content_type = type,
				.body = text,
				.body_len = strlen(text),
			});
}

void answer_json(struct http_exchange *x, unsigned status, const char *json)
{
	answer_text(x, status, "application/json", json);
}

void answer_object(struct http_exchange *x, unsigned status, json_t *object)
{
	char *json = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (!json) {
		answer_refusal(x, MANNER_KEY, refusal_called(MANNER_KEY, "out_of_memory"), NULL, 0);
		return;
	}
	answer_json(x, status, json);
	secure_wipe(json, strlen(json));
	free(json);
}

/* RFC 9110 section 11.6.1: a 401 names a scheme. acme-dns never does, and a browser-like client of its would
 * only be confused. */
static const char *challenge(enum manner m, unsigned status)
{
	static const char *const schemes[] = {
		[MANNER_ACMEDNS] = NULL,
		[MANNER_KEY] = "Basic realm=\"acme-delegate\", charset=\"UTF-8\"",
		[MANNER_OPERATOR] = "Bearer realm=\"acme-delegate\"",
	};
	return status == 401 ? schemes[m] : NULL;
}

static char *refusal_json(const struct refusal *f)
{
	json_t *object = json_pack("{s:s,s:s}", "error", f->code, "detail", f->detail);
	char *json = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return json;
}

void answer_refusal(struct http_exchange *x, enum manner m, const struct refusal *f, const char *allow,
	unsigned retry_after)
{
	char plain[96];
	if (text_format(plain, sizeof plain, "{\"error\": \"%s\"}", f->code))
		plain[0] = 0;
	char *full = m != MANNER_ACMEDNS && f->detail ? refusal_json(f) : NULL;
	const char *body = full ? full : plain;
	http_respond(x, &(struct http_response){
				.status = f->status,
				.content_type = "application/json",
				.body = body,
				.body_len = strlen(body),
				.allow = allow,
				.retry_after = retry_after,
				.authenticate = challenge(m, f->status),
			});
	free(full);
}

void answer_error(const struct context *c, const char *code)
{
	answer_refusal(c->exchange, c->manner, refusal_called(c->manner, code), NULL, 0);
}
