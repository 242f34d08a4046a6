// SPDX-License-Identifier: GPL-3.0-or-later
/* The bodies of /v1/: one JSON object or nothing, keys in any case, what is not known is ignored. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/internal.h"
#include "util/text.h"

const char *fields_parse(const struct http_request *r, json_t **out)
{
	*out = NULL;
	if (!r->body_len)
		return NULL;
	int e = body_parse(r->body, r->body_len, out);
	if (e)
		return e == ERR_NOMEM ? "out_of_memory" : "malformed_body";
	if (json_is_object(*out))
		return NULL;
	bool nothing = json_is_null(*out);
	json_decref(*out);
	*out = NULL;
	return nothing ? NULL : "malformed_body";
}

static json_t *member(const json_t *o, const char *name)
{
	json_t *m = o ? body_member(o, name) : NULL;
	return json_is_null(m) ? NULL : m;
}

const char *fields_text(const json_t *o, const char *name, char *out, size_t cap, const char *code)
{
	const char *text;
	if (!member(o, name))
		return NULL;
	return body_text(o, name, &text) || text_format(out, cap, "%s", text) ? code : NULL;
}

const char *fields_allow(const json_t *o, struct prefix *allow, size_t *count)
{
	static const char code[] = "bad_allowfrom";
	const json_t *list = member(o, "allowfrom"), *entry;
	size_t i;
	*count = 0;
	if (!list)
		return NULL;
	if (!json_is_array(list) || json_array_size(list) > IPC_ALLOW_MAX)
		return code;
	json_array_foreach(list, i, entry)
	{
		const char *text = json_string_value(entry);
		if (!text || prefix_parse(text, json_string_length(entry), &allow[i]))
			return code;
		*count = i + 1;
	}
	return NULL;
}

static bool is_label(const char *s, size_t len)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
	return len && len <= IPC_LABEL_MAX && strspn(s, chars) >= len && s[0] != '-' && s[len - 1] != '-';
}

static void drop_front(char *name, const char *prefix)
{
	size_t len = strlen(prefix);
	if (strncmp(name, prefix, len) == 0)
		memmove(name, name + len, strlen(name + len) + 1);
}

/* RFC 1123 section 2.1, and the underscore that is found in the wild. */
bool fields_clean_domain(char *name)
{
	size_t len = strlen(name), labels = 0;
	for (char *c = name; *c; c++)
		*c = (char)text_lower((uint8_t)*c);
	if (len && name[len - 1] == '.')
		name[len - 1] = 0;
	drop_front(name, "*.");
	drop_front(name, "_acme-challenge.");
	if (strlen(name) > IPC_NAME_MAX)
		return false;
	for (const char *s = name; labels < IPC_NAME_MAX; labels++) {
		size_t n = strcspn(s, ".");
		if (!is_label(s, n))
			return false;
		s += n;
		if (!*s++)
			break;
	}
	return labels > 0;
}

const char *fields_aliases(const json_t *o, struct ipc_request *q)
{
	static const char code[] = "bad_alias";
	const json_t *list = member(o, "aliases"), *entry;
	size_t i;
	q->alias_count = 0;
	if (!list)
		return NULL;
	if (!json_is_array(list) || json_array_size(list) > IPC_ALIASES_MAX)
		return code;
	json_array_foreach(list, i, entry)
	{
		const char *text = json_string_value(entry);
		char *alias = q->aliases[i];
		if (!text || strlen(text) != json_string_length(entry) ||
			text_format(alias, sizeof q->aliases[i], "%s", text) || !fields_clean_domain(alias))
			return code;
		q->alias_count = i + 1;
	}
	return NULL;
}

const char *fields_flag(const json_t *o, const char *name, unsigned flag, unsigned *flags)
{
	const json_t *m = member(o, name);
	if (m && !json_is_boolean(m))
		return "bad_field";
	if (json_is_true(m))
		*flags |= flag;
	return NULL;
}

/* RFC 3339 section 5.6, in UTC and without a fraction. */
static const char *read_expiry(const json_t *o, int64_t *out)
{
	char text[32] = "";
	struct tm tm = {0};
	const char *wrong = fields_text(o, "expires", text, sizeof text, "bad_field");
	if (wrong || !*text)
		return wrong;
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t when = end && !*end ? timegm(&tm) : 0;
	*out = (int64_t)when * 1000;
	return when > 0 ? NULL : "bad_field";
}

static const char *read_quota(const json_t *o, uint32_t *out)
{
	const json_t *m = member(o, "quota");
	if (!m)
		return NULL;
	if (!json_is_integer(m) || json_integer_value(m) < 0 || json_integer_value(m) > UINT32_MAX)
		return "bad_field";
	*out = (uint32_t)json_integer_value(m);
	return NULL;
}

/* "label" is fixed, "label_prefix" is followed by a random part: not both. */
static const char *read_label(const json_t *o, struct ipc_terms *t)
{
	char prefix[IPC_LABEL_MAX + 1] = "";
	const char *wrong = fields_text(o, "label", t->label, sizeof t->label, "bad_name");
	if (!wrong)
		wrong = fields_text(o, "label_prefix", prefix, sizeof prefix, "bad_name");
	if (wrong || !*prefix)
		return wrong;
	if (*t->label)
		return "bad_field";
	memcpy(t->label, prefix, sizeof t->label);
	t->label_is_prefix = true;
	return NULL;
}

const char *fields_terms(const json_t *o, struct ipc_terms *t)
{
	const char *wrong = fields_text(o, "note", t->note, sizeof t->note, "bad_field");
	if (!wrong)
		wrong = fields_text(o, "zone", t->zone, sizeof t->zone, "bad_name");
	if (!wrong)
		wrong = read_label(o, t);
	if (!wrong)
		wrong = read_quota(o, &t->quota);
	if (!wrong)
		wrong = read_expiry(o, &t->expiry);
	return wrong ? wrong : fields_allow(o, t->allow, &t->allow_count);
}

/* ---- values ---- */

static const struct refusal key_authorization = {400, "bad_value",
	"This looks like the key authorization itself: publish the base64url of its SHA-256 digest."};
static const struct refusal plain_base64 = {400, "bad_value",
	"This is plain base64: use base64url, with '-' for '+' and '_' for '/', and no padding."};
static const struct refusal padded = {400, "bad_value",
	"Leave the padding off: base64url of a SHA-256 digest is 43 characters without any '='."};
static const struct refusal hexadecimal = {
	400, "bad_value", "This is the digest in hexadecimal: send its 32 bytes as base64url."};
static const struct refusal quoted = {400, "bad_value", "Leave the quotation marks off."};
static const struct refusal empty = {400, "bad_value",
	"Send {\"value\": \"...\"} with the 43 characters of the base64url SHA-256 digest."};
static const struct refusal too_short = {
	400, "bad_value", "This is too short: base64url of a SHA-256 digest is exactly 43 characters."};
static const struct refusal too_long = {
	400, "bad_value", "This is too long: base64url of a SHA-256 digest is exactly 43 characters."};
static const struct refusal other_characters = {400, "bad_value",
	"There are characters in this that base64url does not have: only letters, digits, '-' and '_'."};

static bool is_hex(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdefABCDEF") == 64;
}

/* RFC 8555 section 8.4 (the digest) and 8.1 (the key authorization: token, dot, thumbprint). */
const struct refusal *fields_value_problem(const char *value)
{
	size_t len = strlen(value);
	if (len == VALUE_LEN && text_is_base64url(value, len))
		return NULL;
	if (!len)
		return &empty;
	if (value[0] == '"')
		return &quoted;
	if (len > VALUE_LEN && strchr(value, '.') && strlen(strrchr(value, '.') + 1) == VALUE_LEN)
		return &key_authorization;
	if (is_hex(value))
		return &hexadecimal;
	if (strpbrk(value, "+/"))
		return &plain_base64;
	if (value[len - 1] == '=')
		return &padded;
	if (!text_is_base64url(value, len))
		return &other_characters;
	return len < VALUE_LEN ? &too_short : &too_long;
}
