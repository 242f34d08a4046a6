// SPDX-License-Identifier: GPL-3.0-or-later
#include <string.h>
#include <strings.h>

#include "api/internal.h"
#include "util/scarce.h"

enum { DEPTH_MAX = 16, KEYS_MAX = 64 };

/* jansson recurses; its own limit of 2048 is more than any body of ours needs. Brackets in texts do not
 * count. */
static bool is_shallow(const char *s, size_t len)
{
	unsigned depth = 0;
	bool in_text = false;
	for (size_t i = 0; i < len; i++) {
		if (in_text && s[i] == '\\')
			i++;
		else if (s[i] == '"')
			in_text = !in_text;
		else if (!in_text && (s[i] == '[' || s[i] == '{') && ++depth > DEPTH_MAX)
			return false;
		else if (!in_text && (s[i] == ']' || s[i] == '}') && depth)
			depth--;
	}
	return true;
}

/* How often the key occurs, without case. */
static unsigned occurrences(json_t *object, const char *name)
{
	unsigned n = 0;
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value) n += strcasecmp(key, name) == 0;
	return n;
}

static bool keys_are_unique(json_t *object)
{
	const char *key;
	json_t *value;
	if (json_object_size(object) > KEYS_MAX)
		return false;
	json_object_foreach(object, key, value) if (occurrences(object, key) != 1) return false;
	return true;
}

int body_parse(const char *body, size_t len, json_t **out)
{
	*out = NULL;
	if (!is_shallow(body, len))
		return ERR_INVALID;
	scarce_begin();
	json_t *value =
		json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (scarce_end()) {
		json_decref(value);
		return ERR_NOMEM;
	}
	if (!value)
		return ERR_INVALID;
	if (json_is_object(value) && !keys_are_unique(value)) {
		json_decref(value);
		return ERR_INVALID;
	}
	*out = value;
	return OK;
}

json_t *body_member(const json_t *object, const char *name)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)object, key, value) if (strcasecmp(key, name) == 0) return value;
	return NULL;
}

int body_text(const json_t *object, const char *name, const char **out)
{
	const json_t *member = body_member(object, name);
	*out = "";
	if (!member || json_is_null(member))
		return OK;
	if (!json_is_string(member))
		return ERR_INVALID;
	*out = json_string_value(member);
	return strlen(*out) == json_string_length(member) ? OK : ERR_RANGE;
}
