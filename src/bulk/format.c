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
		bool bcrypt = k->hash == DELEGATE_BCRYPT;
		text_from_uuid(k->id, id);
		text_hex(k->digest, sizeof k->digest, digest);
		json_t *key = json_pack("{s:s, s:I, s:s}", "id", id, "created", (json_int_t)k->created,
			bcrypt ? "bcrypt" : "sha256", bcrypt ? k->bcrypt : digest);
		if (key && k->retiring && json_object_set_new(key, "retiring", json_true())) {
			json_decref(key);
			key = NULL;
		}
		if (json_array_append_new(array, key)) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *format_aliases(const struct delegate_aliases *a)
{
	json_t *array = json_array();
	for (size_t i = 0; i < a->count; i++)
		if (json_array_append_new(array, json_string(a->names[i]))) {
			json_decref(array);
			return NULL;
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

static int put_line(const json_t *object, char out[static BULK_LINE_MAX], size_t *len)
{
	*len = json_dumpb(object, out, BULK_LINE_MAX - 1, JSON_COMPACT);
	if (!*len || *len >= BULK_LINE_MAX)
		return *len ? ERR_RANGE : ERR_NOMEM;
	out[(*len)++] = '\n';
	return OK;
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
			   put_array(object, "aliases", format_aliases(&d->aliases), false) ||
			   put_array(object, "keys", format_keys(d), true) ||
			   put_array(object, "values", format_values(&d->values, now), false)))
		rc = ERR_NOMEM;
	rc = rc ? rc : put_line(object, out, len);
	json_decref(object);
	return rc;
}

int record_format_deleted(
	const struct delegate_id *id, const char *zone, char out[static BULK_LINE_MAX], size_t *len)
{
	json_t *label = json_string(id->label);
	if (!label)
		return ERR_STORE;
	json_t *object = json_pack("{s:s, s:o, s:b}", "zone", zone, "label", label, "deleted", 1);
	int rc = object ? put_line(object, out, len) : ERR_NOMEM;
	json_decref(object);
	return rc;
}
