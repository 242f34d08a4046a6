// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/object.h"

#include "api/render.h"
#include "util/text.h"

struct object object_new(void)
{
	struct object o = {json_object(), false};
	o.failed = !o.json;
	return o;
}

void object_put(struct object *o, const char *name, json_t *value)
{
	if (o->failed)
		json_decref(value);
	else
		o->failed = json_object_set_new(o->json, name, value) != 0;
}

json_t *object_finish(struct object *o)
{
	if (!o->failed)
		return o->json;
	json_decref(o->json);
	return NULL;
}

json_t *object_text(const char *text)
{
	char ascii[IPC_NAME_MAX + 1];
	json_t *value = json_string(text);
	if (value)
		return value;
	if (text_format(ascii, sizeof ascii, "%s", text))
		ascii[0] = 0;
	for (char *c = ascii; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	return json_string(ascii);
}

void object_put_text(struct object *o, const char *name, const char *text)
{
	object_put(o, name, object_text(text));
}

void object_put_text_or_null(struct object *o, const char *name, const char *text)
{
	object_put(o, name, *text ? object_text(text) : json_null());
}

void object_put_number(struct object *o, const char *name, uint64_t n)
{
	object_put(o, name, json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n));
}

void object_put_bool(struct object *o, const char *name, bool b)
{
	object_put(o, name, json_boolean(b));
}

void object_put_time(struct object *o, const char *name, int64_t when)
{
	char text[API_TIME_TEXT];
	api_time_text(when, text);
	object_put_text_or_null(o, name, text);
}

void object_put_address(struct object *o, const char *name, const struct address *a)
{
	char text[ADDRESS_TEXT] = "";
	if (!address_is_none(a))
		address_format(a, text);
	object_put_text_or_null(o, name, text);
}

void object_put_full_name(struct object *o, const char *name, const char *label, const char *zone)
{
	char text[IPC_LABEL_MAX + 1 + IPC_NAME_MAX + 1];
	object_put(o, name, text_format(text, sizeof text, "%s.%s", label, zone) ? NULL : object_text(text));
}

json_t *object_array_of(const void *elements, size_t count, size_t size, object_element *one)
{
	json_t *array = json_array();
	for (size_t i = 0; array && i < count; i++) {
		if (json_array_append_new(array, one((const char *)elements + i * size)) == 0)
			continue;
		json_decref(array);
		array = NULL;
	}
	return array;
}
