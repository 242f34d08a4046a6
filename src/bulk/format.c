// SPDX-License-Identifier: GPL-3.0-or-later
/* A delegate as a line of JSON. */
#include <jansson.h>

#include "bulk/internal.h"
#include "util/text.h"

/* The arrays below are NULL when memory runs out, and taking over a NULL fails like every step after it. */

static json_t *format_prefixes(const struct delegate_allow *a)
{
	json_t *array = json_array();
	for (size_t i = 0; i < a->count; i++) {
		char text[PREFIX_TEXT];
		prefix_format(&a->prefixes[i], text);
		if (json_array_append_new(array, json_string(text))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *format_keys(const struct delegate *d)
{
	json_t *array = json_array();
	for (size_t i = 0; i < d->key_count; i++) {
		const struct delegate_stored_key *k = &d->keys[i];
		char id[SECURE_UUID_LEN + 1], digest[2 * SECURE_DIGEST_SIZE + 1];
		text_from_uuid(k->id, id);
		text_hex(k->digest, sizeof k->digest, digest);
		json_t *key = json_pack(
			"{s:s, s:I, s:s}", "id", id, "created", (json_int_t)k->created, "sha256", digest);
		if (json_array_append_new(array, key)) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *format_values(const struct delegate_value_set *set, int64_t now)
{
	json_t *array = json_array();
	for (size_t i = 0; i < set->count; i++) {
		const struct delegate_value *v = &set->values[i];
		if (v->expiry <= now)
			continue;
		json_t *value = json_pack("{s:s%, s:I}", "value", v->text, (size_t)DELEGATE_VALUE_LEN,
			"expiry", (json_int_t)v->expiry);
		if (json_array_append_new(array, value)) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* Takes over the array; an empty one is left out. */
static int put_array(json_t *object, const char *name, json_t *array, bool even_empty)
{
	if (array && !even_empty && !json_array_size(array)) {
		json_decref(array);
		return 0;
	}
	return json_object_set_new(object, name, array);
}

int record_format(
	const struct delegate *d, const char *zone, int64_t now, char out[static BULK_LINE_MAX], size_t *len)
{
	json_t *label = json_string(d->id.label);
	if (!label)
		return ERR_STORE;
	json_t *object =
		json_pack("{s:s, s:o, s:I}", "zone", zone, "label", label, "created", (json_int_t)d->created);
	int rc = object ? OK : ERR_NOMEM;
	if (!rc && (put_array(object, "allow", format_prefixes(&d->allow), false) ||
			   put_array(object, "keys", format_keys(d), true) ||
			   put_array(object, "values", format_values(&d->values, now), false)))
		rc = ERR_NOMEM;
	if (!rc) {
		*len = json_dumpb(object, out, BULK_LINE_MAX - 1, JSON_COMPACT);
		rc = !*len ? ERR_NOMEM : *len >= BULK_LINE_MAX ? ERR_RANGE : OK;
	}
	if (!rc)
		out[(*len)++] = '\n';
	json_decref(object);
	return rc;
}
