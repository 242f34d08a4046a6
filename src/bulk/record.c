// SPDX-License-Identifier: GPL-3.0-or-later
/* A line of JSON <-> a delegate. doc/data-format.md describes what stands in it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "bulk/internal.h"
#include "util/scarce.h"
#include "util/text.h"

const char bulk_format_name[] = "acme-delegate";

/* Each step doubles the work of a login; 14 takes a second. What acme-dns writes has cost 10. */
enum { BCRYPT_COST_MIN = 4, BCRYPT_COST_MAX = 14 };

/* 9999-12-31T23:59:59.999Z: a number beyond it is in other units. */
static const int64_t latest = 253402300799999;

/* A line being read. */
struct reading {
	const struct record_rules *rules;
	struct record *out;
	char *why;
	int64_t version; /* of the format */
};

int bulk_complain(char why[static BULK_WHY], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, BULK_WHY, format, args);
	va_end(args);
	for (char *c = why; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return ERR_INVALID;
}

/* ---- members of an object ---- */

/* Something of the object at `into` from the value of a member called `name`. */
typedef int member_read(const json_t *value, const char *name, void *into, struct reading *r);

struct member {
	const char *name;
	bool required;
	member_read *read;
	int64_t since; /* the version of the format that brought it; 0: the first */
};

static const struct member *find_member(
	const struct member *members, size_t count, const char *name, const struct reading *r)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(members[i].name, name) == 0)
			return members[i].since <= r->version ? &members[i] : NULL;
	return NULL;
}

/* Every member must be known, so that what another version has written is not understood by half. */
static int read_object(
	const json_t *object, const struct member *members, size_t count, void *into, struct reading *r)
{
	const char *name;
	json_t *value;
	unsigned seen = 0; /* one bit a member */
	if (!json_is_object(object))
		return bulk_complain(r->why, "not an object");
	json_object_foreach((json_t *)object, name, value)
	{
		const struct member *m = find_member(members, count, name, r);
		if (!m)
			return bulk_complain(r->why, "unknown member \"%.60s\"", name);
		seen |= 1u << (m - members);
		int rc = m->read(value, name, into, r);
		if (rc)
			return rc;
	}
	for (size_t i = 0; i < count; i++)
		if (members[i].required && !(seen & 1u << i))
			return bulk_complain(r->why, "the member \"%s\" is missing", members[i].name);
	return OK;
}

/* NULL after saying that it is not a text. (Texts hold no NUL: jansson refuses \u0000.) */
static const char *read_text(const json_t *value, const char *name, struct reading *r)
{
	if (!json_is_string(value))
		bulk_complain(r->why, "%s: not a text", name);
	return json_string_value(value);
}

static int read_number(const json_t *value, const char *name, int64_t *out, struct reading *r)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return bulk_complain(r->why, "%s: not an integer of 0 or more", name);
	*out = json_integer_value(value);
	return OK;
}

static int read_time(const json_t *value, const char *name, int64_t *out, struct reading *r)
{
	int rc = read_number(value, name, out, r);
	if (!rc && *out > latest)
		return bulk_complain(
			r->why, "%s: later than the year 9999; it is in milliseconds since 1970", name);
	return rc;
}

/* Elements go into an array of `max` of them, of `size` bytes each; *count grows with each. */
static int read_array(const json_t *value, const char *name, size_t max, size_t *count, void *into,
	size_t size, member_read *read, struct reading *r)
{
	if (!json_is_array(value))
		return bulk_complain(r->why, "%s: not an array", name);
	if (json_array_size(value) > max)
		return bulk_complain(r->why, "%s: more than %zu", name, max);
	for (*count = 0; *count < json_array_size(value); ++*count) {
		int rc = read(json_array_get(value, *count), name, (char *)into + *count * size, r);
		if (rc)
			return rc;
	}
	return OK;
}

/* ---- a delegate ---- */

static int read_key_id(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate_stored_key *key = into;
	const char *text = read_text(value, name, r);
	if (!text)
		return ERR_INVALID;
	if (text_to_uuid(text, strlen(text), key->id))
		return bulk_complain(r->why, "keys: the ID \"%.40s\" is not a UUID", text);
	return OK;
}

static int read_key_created(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate_stored_key *key = into;
	return read_time(value, name, &key->created, r);
}

static int read_sha256(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate_stored_key *key = into;
	const char *text = read_text(value, name, r);
	if (!text)
		return ERR_INVALID;
	if (text_from_hex(text, strlen(text), key->digest, sizeof key->digest))
		return bulk_complain(r->why, "keys: sha256 is not 64 hexadecimal digits");
	return OK;
}

/* Is it the form of a bcrypt digest, and is its cost one that may be asked of a server? */
static bool is_bcrypt(const char *text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./";
	if (strlen(text) != DELEGATE_BCRYPT_LEN || memcmp(text, "$2", 2) != 0 || !strchr("aby", text[2]) ||
		text[3] != '$' || text[6] != '$' || strspn(text + 7, alphabet) != DELEGATE_BCRYPT_LEN - 7)
		return false;
	int cost = 10 * (text[4] - '0') + text[5] - '0';
	return text[4] >= '0' && text[4] <= '9' && text[5] >= '0' && text[5] <= '9' &&
	       cost >= BCRYPT_COST_MIN && cost <= BCRYPT_COST_MAX;
}

static int read_bcrypt(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate_stored_key *key = into;
	const char *text = read_text(value, name, r);
	if (!text)
		return ERR_INVALID;
	/* It is not shown: it may be somebody's secret that stands in the wrong place. */
	if (!is_bcrypt(text))
		return bulk_complain(r->why,
			"keys: bcrypt is not \"$2a$\", a cost of %02d to %02d, \"$\" and 53 characters",
			BCRYPT_COST_MIN, BCRYPT_COST_MAX);
	key->hash = DELEGATE_BCRYPT;
	memcpy(key->bcrypt, text, sizeof key->bcrypt);
	return OK;
}

static int read_retiring(const json_t *value, const char *name, void *into, struct reading *r)
{
	if (!json_is_boolean(value))
		return bulk_complain(r->why, "keys: %s is neither true nor false", name);
	((struct delegate_stored_key *)into)->retiring = json_is_true(value);
	return OK;
}

static const struct member key_members[] = {{"id", true, read_key_id, 0},
	{"created", true, read_key_created, 0}, {"sha256", false, read_sha256, 0},
	{"bcrypt", false, read_bcrypt, 2}, {"retiring", false, read_retiring, 2}};

static int read_key(const json_t *value, const char *name, void *into, struct reading *r)
{
	(void)name;
	*(struct delegate_stored_key *)into = (struct delegate_stored_key){.hash = DELEGATE_SHA256};
	int rc = read_object(value, key_members, sizeof key_members / sizeof *key_members, into, r);
	bool sha256 = json_object_get(value, "sha256"), bcrypt = json_object_get(value, "bcrypt");
	if (!rc && !sha256 && !bcrypt)
		return bulk_complain(r->why, "keys: the member \"sha256\" is missing");
	if (!rc && sha256 && bcrypt)
		return bulk_complain(r->why, "keys: both sha256 and bcrypt");
	return rc;
}

static int read_value_text(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate_value *v = into;
	const char *text = read_text(value, name, r);
	if (!text)
		return ERR_INVALID;
	if (!delegate_value_valid(text))
		return bulk_complain(r->why, "values: \"%.50s\" is not 43 characters of base64url", text);
	memcpy(v->text, text, sizeof v->text);
	return OK;
}

static int read_expiry(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate_value *v = into;
	return read_time(value, name, &v->expiry, r);
}

static const struct member value_members[] = {
	{"value", true, read_value_text, 0}, {"expiry", true, read_expiry, 0}};

static int read_value(const json_t *value, const char *name, void *into, struct reading *r)
{
	(void)name;
	return read_object(value, value_members, sizeof value_members / sizeof *value_members, into, r);
}

static int read_prefix(const json_t *value, const char *name, void *into, struct reading *r)
{
	const char *text = read_text(value, name, r);
	if (!text)
		return ERR_INVALID;
	if (prefix_parse(text, strlen(text), into))
		return bulk_complain(r->why, "allow: \"%.60s\" is not a network such as 192.0.2.0/24", text);
	return OK;
}

static int read_zone(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate *d = into;
	const char *text = read_text(value, name, r);
	if (!text)
		return ERR_INVALID;
	for (size_t i = 0; i < r->rules->zone_count; i++)
		if (strcmp(r->rules->zones[i].name, text) == 0) {
			d->id.zone = r->rules->zones[i].id;
			return OK;
		}
	return bulk_complain(r->why, "zone: the configuration has no zone \"%.100s\"", text);
}

static int read_label(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate *d = into;
	const char *text = read_text(value, name, r);
	if (!text)
		return ERR_INVALID;
	if (delegate_label_reserved(text))
		return bulk_complain(
			r->why, "label: \"%.70s\" begins with an underscore; such labels are nobody's", text);
	if (!delegate_label_valid(text))
		return bulk_complain(r->why,
			"label: \"%.70s\" is not 1 to 63 of a-z, 0-9, - and _ with no - at an end", text);
	return text_format(d->id.label, sizeof d->id.label, "%s", text);
}

static int read_created(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate *d = into;
	return read_time(value, name, &d->created, r);
}

static int read_allow(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate_allow *a = &((struct delegate *)into)->allow;
	return read_array(value, name, DELEGATE_MAX_PREFIXES, &a->count, a->prefixes, sizeof a->prefixes[0],
		read_prefix, r);
}

static int read_keys(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate *d = into;
	int rc = read_array(
		value, name, DELEGATE_MAX_KEYS, &d->key_count, d->keys, sizeof d->keys[0], read_key, r);
	size_t retiring = 0;
	for (size_t i = 0; !rc && i < d->key_count; i++) {
		retiring += d->keys[i].retiring;
		if (i && memcmp(d->keys[i].id, d->keys[0].id, DELEGATE_KEY_ID_SIZE) == 0)
			rc = bulk_complain(r->why, "keys: the same ID twice");
	}
	_Static_assert(DELEGATE_MAX_KEYS == 2, "each is compared with the first");
	if (!rc && retiring && d->key_count - retiring != 1)
		rc = bulk_complain(r->why, "keys: one is retiring, and there is not one other that is not");
	return rc;
}

/* Drops what has expired; says so if a text is there twice. */
static int check_values(struct delegate_value_set *set, struct reading *r)
{
	size_t kept = 0;
	for (size_t i = 0; i < set->count; i++) {
		for (size_t j = 0; j < i; j++)
			if (memcmp(set->values[i].text, set->values[j].text, DELEGATE_VALUE_LEN) == 0)
				return bulk_complain(r->why, "values: the same value twice");
	}
	for (size_t i = 0; i < set->count; i++)
		if (set->values[i].expiry > r->rules->now)
			set->values[kept++] = set->values[i];
	set->count = kept;
	return OK;
}

static int read_values(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate_value_set *set = &((struct delegate *)into)->values;
	int rc = read_array(value, name, DELEGATE_MAX_VALUES, &set->count, set->values, sizeof set->values[0],
		read_value, r);
	return rc ? rc : check_values(set, r);
}

static int read_alias(const json_t *value, const char *name, void *into, struct reading *r)
{
	char clean[DELEGATE_ALIAS_MAX + 1];
	const char *text = read_text(value, name, r);
	if (!text)
		return ERR_INVALID;
	if (text_format(clean, sizeof clean, "%s", text) || !delegate_alias_clean(clean) ||
		strcmp(clean, text) != 0)
		return bulk_complain(r->why,
			"aliases: \"%.60s\" is not a host name in lower case without a final dot", text);
	memcpy(into, clean, sizeof clean);
	return OK;
}

static int read_aliases(const json_t *value, const char *name, void *into, struct reading *r)
{
	struct delegate_aliases *a = &((struct delegate *)into)->aliases;
	int rc = read_array(
		value, name, DELEGATE_MAX_ALIASES, &a->count, a->names, sizeof a->names[0], read_alias, r);
	for (size_t i = 1; !rc && i < a->count; i++)
		for (size_t j = 0; !rc && j < i; j++)
			if (strcmp(a->names[i], a->names[j]) == 0)
				rc = bulk_complain(r->why, "aliases: the same name twice");
	return rc;
}

static const struct member delegate_members[] = {
	{"zone", true, read_zone, 0},
	{"label", true, read_label, 0},
	{"created", true, read_created, 0},
	{"allow", false, read_allow, 0},
	{"aliases", false, read_aliases, 2},
	{"keys", true, read_keys, 0},
	{"values", false, read_values, 0},
};

/* ---- a label that is not to be given out again ---- */

static int read_deleted(const json_t *value, const char *name, void *into, struct reading *r)
{
	(void)into;
	return json_is_true(value) ? OK : bulk_complain(r->why, "%s: not true", name);
}

static const struct member deleted_members[] = {
	{"zone", true, read_zone, 0}, {"label", true, read_label, 0}, {"deleted", true, read_deleted, 2}};

/* ---- header and end ---- */

static int read_format(const json_t *value, const char *name, void *into, struct reading *r)
{
	(void)into;
	const char *text = read_text(value, name, r);
	if (text && strcmp(text, bulk_format_name) != 0)
		return bulk_complain(r->why, "format: \"%.40s\" is not \"%s\"", text, bulk_format_name);
	return text ? OK : ERR_INVALID;
}

static int read_count(const json_t *value, const char *name, void *into, struct reading *r)
{
	int64_t n = 0;
	int rc = read_number(value, name, &n, r);
	if (!rc)
		((struct record *)into)->number = (uint64_t)n;
	return rc;
}

static int read_deleted_count(const json_t *value, const char *name, void *into, struct reading *r)
{
	int64_t n = 0;
	int rc = read_number(value, name, &n, r);
	if (!rc)
		((struct record *)into)->deleted = (uint64_t)n;
	return rc;
}

static const struct member header_members[] = {
	{"format", true, read_format, 0}, {"version", true, read_count, 0}};
static const struct member end_members[] = {
	{"delegates", true, read_count, 0}, {"deleted", false, read_deleted_count, 2}};

/* A header of a newer version may have more members: only its version counts then. */
static int read_header(const json_t *object, struct reading *r)
{
	const json_t *version = json_object_get(object, "version");
	const json_t *format = json_object_get(object, "format");
	r->out->kind = RECORD_HEADER;
	if (json_integer_value(version) > BULK_FORMAT_VERSION && !read_format(format, "format", NULL, r))
		return read_count(version, "version", r->out, r);
	return read_object(object, header_members, 2, r->out, r);
}

static int read_record(const json_t *object, struct reading *r)
{
	struct delegate *d = &r->out->delegate;
	if (json_object_get(object, "format"))
		return read_header(object, r);
	if (json_object_get(object, "delegates")) {
		r->out->kind = RECORD_END;
		r->out->deleted = 0;
		return read_object(object, end_members, 2, r->out, r);
	}
	d->allow.count = d->aliases.count = d->key_count = d->values.count = d->history.count = 0;
	d->created = 0;
	if (json_object_get(object, "deleted") && r->version >= 2) {
		r->out->kind = RECORD_DELETED;
		return read_object(
			object, deleted_members, sizeof deleted_members / sizeof *deleted_members, d, r);
	}
	r->out->kind = RECORD_DELEGATE;
	return read_object(
		object, delegate_members, sizeof delegate_members / sizeof *delegate_members, d, r);
}

int record_parse(const char *line, size_t len, const struct record_rules *rules, struct record *out,
	char why[static BULK_WHY])
{
	struct reading r = {rules, out, why, rules->version ? rules->version : BULK_FORMAT_VERSION};
	json_error_t error;
	why[0] = 0;
	if (!len)
		return bulk_complain(why, "an empty line");
	json_set_alloc_funcs(scarce_malloc, scarce_free);
	scarce_begin();
	json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (scarce_end()) {
		json_decref(object);
		return ERR_NOMEM;
	}
	if (!object)
		return bulk_complain(why, "not JSON: %s, at column %d", error.text, error.column);
	int rc = read_record(object, &r);
	json_decref(object);
	return rc;
}
