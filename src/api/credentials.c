// SPDX-License-Identifier: GPL-3.0-or-later
#include <string.h>
#include <strings.h>

#include "api/internal.h"
#include "util/secure.h"
#include "util/text.h"

enum { BASIC_MAX = 160 }; /* urn:uuid:<36>:<40>, and room for the user names of others */

/* 32 hex digits -> the dashed form. */
static int MUST_USE add_dashes(const char *s, char out[static SECURE_UUID_LEN + 1])
{
	return text_format(
		out, SECURE_UUID_LEN + 1, "%.8s-%.4s-%.4s-%.4s-%.12s", s, s + 8, s + 12, s + 16, s + 20);
}

/* acme-dns parses the user with google/uuid, which takes four spellings: plain, {plain}, urn:uuid:plain, and
 * without dashes, all in either case. The keeper knows one. */
int credentials_set_user(struct ipc_request *q, const char *text)
{
	char dashed[SECURE_UUID_LEN + 1];
	uint8_t uuid[16];
	size_t len = strlen(text);
	if (len == 38 && text[0] == '{' && text[37] == '}') {
		text++;
		len -= 2;
	} else if (len == 45 && strncasecmp(text, "urn:uuid:", 9) == 0) {
		text += 9;
		len -= 9;
	} else if (len == 32) {
		if (add_dashes(text, dashed))
			return ERR_FORBIDDEN;
		text = dashed;
		len = SECURE_UUID_LEN;
	}
	if (text_to_uuid(text, len, uuid))
		return ERR_FORBIDDEN;
	text_from_uuid(uuid, q->key_id);
	return OK;
}

static int MUST_USE set_secret(struct ipc_request *q, const char *text)
{
	if (strlen(text) != SECURE_SECRET_LEN || !text_is_base64url(text, SECURE_SECRET_LEN))
		return ERR_FORBIDDEN;
	memcpy(q->secret, text, SECURE_SECRET_LEN + 1);
	return OK;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

/* Base64 in either alphabet, padded or not (Certify sends it unpadded), into a text. */
static int MUST_USE decode_base64(const char *s, char *out, size_t cap)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t len = strlen(s), n = 0;
	for (unsigned pad = 0; pad < 2 && len && s[len - 1] == '='; pad++)
		len--;
	for (size_t i = 0; i < len; i++) {
		int v = base64_value(s[i]);
		if (v < 0)
			return ERR_INVALID;
		bits = bits << 6 | (unsigned)v;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (n + 1 >= cap)
			return ERR_RANGE;
		out[n++] = (char)(bits >> have & 0xff);
	}
	out[n] = 0;
	return memchr(out, 0, n) ? ERR_INVALID : OK;
}

/* RFC 7617: the user ends at the first colon. A UUID in urn form has colons of its own, so the secret, which
 * has none, is taken from the last one. Into `pair`; returns the secret, or NULL. */
static char *split_basic(const char *authorization, char pair[static BASIC_MAX + 1])
{
	if (strncasecmp(authorization, "Basic ", 6) != 0)
		return NULL;
	authorization += 6 + strspn(authorization + 6, " ");
	char *colon = decode_base64(authorization, pair, BASIC_MAX + 1) == OK ? strrchr(pair, ':') : NULL;
	if (!colon)
		return NULL;
	*colon = 0;
	return colon + 1;
}

int credentials_set_basic(struct ipc_request *q, const char *authorization)
{
	char pair[BASIC_MAX + 1] = "";
	int r = ERR_FORBIDDEN;
	const char *secret = split_basic(authorization, pair);
	if (secret)
		r = credentials_set_user(q, pair);
	if (r == OK)
		r = set_secret(q, secret);
	secure_wipe(pair, sizeof pair);
	return r;
}

int credentials_from_headers(const struct http_request *r, struct ipc_request *q)
{
	bool twice;
	const char *user = http_header(r, "X-Api-User", &twice);
	const char *key = user ? http_header(r, "X-Api-Key", &twice) : NULL;
	q->by = IPC_BY_KEY;
	if (!key)
		return ERR_FORBIDDEN;
	int e = credentials_set_user(q, user);
	return e ? e : set_secret(q, key);
}

int credentials_from_any(const struct http_request *r, struct ipc_request *q)
{
	bool twice;
	if (http_header(r, "X-Api-User", &twice) || twice)
		return credentials_from_headers(r, q);
	q->by = IPC_BY_KEY;
	const char *authorization = http_header(r, "Authorization", &twice);
	return authorization ? credentials_set_basic(q, authorization) : ERR_FORBIDDEN;
}

/* ---- bearer tokens ---- */

/* What can be sent on as a token. */
static int MUST_USE set_token(struct ipc_request *q, const char *text)
{
	size_t len = strlen(text);
	if (!len || len > IPC_CREDENTIAL_MAX)
		return ERR_FORBIDDEN;
	memcpy(q->secret, text, len + 1);
	return OK;
}

/* RFC 6750 section 2.1; the scheme in any case (RFC 9110 section 11.1). NULL: something else. */
static const char *bearer(const struct http_request *r)
{
	bool twice;
	const char *s = http_header(r, "Authorization", &twice);
	if (!s || strncasecmp(s, "Bearer ", 7) != 0)
		return NULL;
	return s + 7 + strspn(s + 7, " ");
}

int credentials_from_bearer(const struct http_request *r, struct ipc_request *q)
{
	const char *token = bearer(r);
	q->by = IPC_BY_OPERATOR;
	return token ? set_token(q, token) : ERR_FORBIDDEN;
}

static bool looks_like_token(const char *text)
{
	return strlen(text) == SECURE_SECRET_LEN && text_is_base64url(text, SECURE_SECRET_LEN);
}

/* win-acme sends Basic of nothing, Posh-ACME and Certify send what a proxy in front may want: a password that
 * cannot be a token is none, and where none is needed one that could be is not held against them. */
static void set_maybe(const struct http_request *r, struct ipc_request *q)
{
	char pair[BASIC_MAX + 1] = "";
	bool twice;
	const char *authorization = http_header(r, "Authorization", &twice);
	const char *password = authorization ? split_basic(authorization, pair) : NULL;
	if (password && looks_like_token(password)) {
		memcpy(q->secret, password, SECURE_SECRET_LEN + 1);
		q->flags |= IPC_FLAG_MAYBE;
	}
	secure_wipe(pair, sizeof pair);
}

int credentials_token(const struct context *c, struct ipc_request *q)
{
	bool twice;
	const char *header = http_header(c->request, "X-Registration-Token", &twice);
	const char *token = c->token ? c->token : header;
	if (twice && !c->token)
		return ERR_FORBIDDEN;
	if (token)
		return set_token(q, token);
	token = bearer(c->request);
	if (!token) {
		set_maybe(c->request, q);
		return OK;
	}
	if (!looks_like_token(token))
		q->flags |= IPC_FLAG_MAYBE; /* somebody else's, for a proxy in front perhaps */
	return strlen(token) > IPC_CREDENTIAL_MAX ? OK : *token ? set_token(q, token) : OK;
}
