// SPDX-License-Identifier: GPL-3.0-or-later
/* JSON objects member by member: what fails leaves the object without the member, and object_finish() then
 * gives nothing, so that only that is to be looked at. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/messages.h"

struct object {
	json_t *json;
	bool failed;
};

struct object object_new(void);
/* The object, or NULL when something is missing in it. */
json_t *object_finish(struct object *o);

void object_put(struct object *o, const char *name, json_t *value); /* takes `value` over; NULL: failed */
void object_put_text(struct object *o, const char *name, const char *text);
void object_put_text_or_null(struct object *o, const char *name, const char *text); /* empty: null */
void object_put_number(struct object *o, const char *name, uint64_t n);
void object_put_bool(struct object *o, const char *name, bool b);
void object_put_time(struct object *o, const char *name, int64_t when);               /* RFC 3339; 0: null */
void object_put_address(struct object *o, const char *name, const struct address *a); /* zeros: null */
void object_put_full_name(struct object *o, const char *name, const char *label, const char *zone);

/* What a client sent may be recorded somewhere: bytes that are no UTF-8 become '?', and do not cost the whole
 * answer. */
json_t *object_text(const char *text);

/* An array of what one() makes of each of `count` elements of `size` bytes. NULL: no memory. */
typedef json_t *object_element(const void *e);
json_t *object_array_of(const void *elements, size_t count, size_t size, object_element *one);
#define ARRAY(elements, count, one) object_array_of(elements, count, sizeof *(elements), one)
