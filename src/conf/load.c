// SPDX-License-Identifier: GPL-3.0-or-later
/* The walk over document and schema side by side. It goes on after a problem, so that all are found in one
 * go. */
#include "conf/internal.h"

#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* The field of a row, and the array and length of a list. */
static void *field_of(const struct row *r, void *base)
{
	return (char *)base + r->offset;
}

static void **items_of(const struct row *r, void *base)
{
	return field_of(r, base);
}

static size_t *count_of(const struct row *r, void *base)
{
	return (size_t *)(void *)((char *)base + r->count_offset);
}

static bool out_of_memory(struct load *l)
{
	l->nomem = true;
	return false;
}

/* Marks a node as one to build no further checks on. */
static bool verdict(struct load *l, int node, bool ok)
{
	if (!ok && node)
		l->marks[node] |= MARK_BAD;
	return ok;
}

static size_t path_enter(struct load *l, const char *key)
{
	size_t len = strlen(l->path);
	if (text_format(l->path + len, sizeof l->path - len, "%s%s", len ? "." : "", key))
		l->path[len] = 0; /* not with the keys there are */
	return len;
}

static void path_leave(struct load *l, size_t len)
{
	l->path[len] = 0;
}

static bool load_text(struct load *l, const struct row *r, const char *text, unsigned line, void *field)
{
	char expected[VALUE_TEXT], value[VALUE_TEXT];
	int err = kind_parse(r, text, line, field);
	if (err == OK)
		return true;
	if (err == ERR_NOMEM)
		return out_of_memory(l);
	kind_describe(r, expected);
	shown(text, value);
	if (!expected[0])
		return problem(l, line, "%s: the text is empty or has control characters", l->path);
	return problem(l, line, "%s: \"%s\" is not %s", l->path, value, expected);
}

static bool load_scalar(struct load *l, const struct row *r, int node, void *field)
{
	const yaml_node_t *n = document_node(l, node);
	unsigned line = document_line(l, node);
	char expected[VALUE_TEXT];
	kind_describe(r, expected);
	if (n->type != YAML_SCALAR_NODE)
		return problem(l, line, "%s: expected %s, found a %s", l->path,
			expected[0] ? expected : "a text",
			n->type == YAML_SEQUENCE_NODE ? "list" : "mapping");
	const char *text = (const char *)n->data.scalar.value;
	if (strlen(text) != n->data.scalar.length)
		return problem(l, line, "%s: the value has a NUL character", l->path);
	return load_text(l, r, text, line, field);
}

static bool load_item(struct load *l, const struct row *r, int node, void *field)
{
	bool ok =
		r->kind == KIND_TABLE ? load_table(l, r->table, node, field) : load_scalar(l, r, node, field);
	return verdict(l, node, ok);
}

/* Room for `count` items, all zero, which belongs to `base` from here on. */
static bool new_items(struct load *l, const struct row *r, size_t count, void *base)
{
	if (!count)
		return true;
	*items_of(r, base) = calloc(count, kind_size(r));
	if (!*items_of(r, base))
		return out_of_memory(l);
	*count_of(r, base) = count;
	return true;
}

static void *item_at(const struct row *r, void *base, size_t i)
{
	return (char *)*items_of(r, base) + i * kind_size(r);
}

static bool load_list(struct load *l, const struct row *r, int node, void *base)
{
	const yaml_node_t *n = document_node(l, node);
	bool sequence = n->type == YAML_SEQUENCE_NODE;
	const int *nodes = sequence ? n->data.sequence.items.start : &node;
	size_t count = sequence ? (size_t)(n->data.sequence.items.top - nodes) : 1;
	bool ok = true;
	if (count < r->min || count > r->max)
		return problem(l, document_line(l, node), "%s: has %zu entries, expected %u to %u", l->path,
			count, (unsigned)r->min, (unsigned)r->max);
	if (!new_items(l, r, count, base))
		return false;
	for (size_t i = 0; i < count; i++)
		ok &= load_item(l, r, nodes[i], item_at(r, base, i));
	return ok;
}

static bool default_list(struct load *l, const struct row *r, const char *text, void *base)
{
	char value[VALUE_TEXT];
	bool ok = true;
	size_t count = text[0] != 0;
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		count++;
	if (!new_items(l, r, count, base))
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t len = strcspn(text, "\n");
		if (text_format(value, sizeof value, "%.*s", (int)len, text))
			return problem(l, 0, "%s: the default is too long", l->path);
		ok &= load_text(l, r, value, 0, item_at(r, base, i));
		text += len + (text[len] != 0);
	}
	return ok;
}

static bool load_default(struct load *l, const struct row *r, unsigned line, void *base)
{
	const char *text = l->sample && r->sample ? r->sample : r->fallback;
	if (r->required && !l->sample)
		return problem(l, line, "%s is missing", l->path);
	if (r->kind == KIND_TABLE && r->list)
		return new_items(l, r, 1, base) && load_table(l, r->table, 0, item_at(r, base, 0));
	if (r->kind == KIND_TABLE)
		return load_table(l, r->table, 0, field_of(r, base));
	if (!text)
		return true;
	return r->list ? default_list(l, r, text, base) : load_text(l, r, text, 0, field_of(r, base));
}

static bool load_row(struct load *l, const struct row *r, int node, void *base)
{
	bool ok = r->list ? load_list(l, r, node, base) : load_item(l, r, node, field_of(r, base));
	return verdict(l, node, ok);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

enum { WORD_MAX = 32 };

/* How many letters must be inserted, deleted, replaced or swapped with the next to make one word the other.
 */
static size_t distance(const char *a, const char *b)
{
	size_t cost[WORD_MAX + 1][WORD_MAX + 1], height = strlen(a), width = strlen(b);
	if (height > WORD_MAX || width > WORD_MAX)
		return SIZE_MAX;
	for (size_t i = 0; i <= height; i++) {
		for (size_t j = 0; j <= width; j++) {
			if (i == 0 || j == 0) {
				cost[i][j] = i + j;
				continue;
			}
			cost[i][j] = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			cost[i][j] = least(cost[i][j], least(cost[i - 1][j], cost[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
		}
	}
	return cost[height][width];
}

/* The row that was probably meant, or t->count: at most every third letter is wrong. */
static size_t nearest_row(const struct table *t, const char *key)
{
	size_t nearest = t->count, limit = strlen(key) / 3 + 2;
	for (size_t i = 0; i < t->count; i++) {
		size_t d = distance(key, t->rows[i].key);
		if (d < limit) {
			limit = d;
			nearest = i;
		}
	}
	return nearest;
}

struct seen {
	uint32_t keys, values; /* one bit per row: the key stood there; it had a value */
	bool strange;          /* there was a key of no row */
};

static bool unknown_key(struct load *l, const struct table *t, const char *key, unsigned line, struct seen *s)
{
	char value[VALUE_TEXT], keys[2 * VALUE_TEXT] = "";
	const char *in = l->path[0] ? " in " : "";
	size_t meant = nearest_row(t, key);
	shown(key, value);
	s->strange = true;
	if (meant < t->count) {
		s->values |= UINT32_C(1) << meant; /* so that it is not called missing as well */
		return problem(l, line, "unknown key \"%s\"%s%s; did you mean \"%s\"?", value, in, l->path,
			t->rows[meant].key);
	}
	for (size_t i = 0; i < t->count; i++) {
		size_t len = strlen(keys);
		(void)!text_format(keys + len, sizeof keys - len, "%s%s", i ? ", " : "", t->rows[i].key);
	}
	return problem(l, line, "unknown key \"%s\"%s%s; known are %s", value, in, l->path, keys);
}

/* A key without a value ("contact:") counts as left out. */
static bool is_null(const yaml_node_t *n)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	if (n->type != YAML_SCALAR_NODE || n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcmp((const char *)n->data.scalar.value, words[i]) == 0)
			return true;
	}
	return false;
}

static bool load_pair(
	struct load *l, const struct table *t, const yaml_node_pair_t *pair, struct seen *s, void *base)
{
	const yaml_node_t *k = document_node(l, pair->key);
	unsigned line = document_line(l, pair->key);
	size_t i = 0;
	if (k->type != YAML_SCALAR_NODE ||
		strlen((const char *)k->data.scalar.value) != k->data.scalar.length)
		return problem(l, line, "a key must be a plain word");
	const char *key = (const char *)k->data.scalar.value;
	while (i < t->count && strcmp(t->rows[i].key, key) != 0)
		i++;
	if (i == t->count)
		return unknown_key(l, t, key, line, s);
	size_t mark = path_enter(l, key);
	bool ok = true;
	if (s->keys & UINT32_C(1) << i) {
		ok = problem(l, line, "%s stands here a second time", l->path);
	} else if (!is_null(document_node(l, pair->value))) {
		s->values |= UINT32_C(1) << i;
		ok = load_row(l, &t->rows[i], pair->value, base);
	}
	s->keys |= UINT32_C(1) << i;
	path_leave(l, mark);
	return ok;
}

static bool load_defaults(
	struct load *l, const struct table *t, const struct seen *s, unsigned line, void *base)
{
	bool ok = true;
	for (size_t i = 0; i < t->count; i++) {
		if (s->values & UINT32_C(1) << i)
			continue;
		size_t mark = path_enter(l, t->rows[i].key);
		ok &= load_default(l, &t->rows[i], line, base);
		path_leave(l, mark);
	}
	return ok;
}

static bool load_pairs(
	struct load *l, const struct table *t, const yaml_node_t *n, struct seen *s, void *base)
{
	bool ok = true;
	for (const yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++)
		ok &= load_pair(l, t, p, s, base);
	return ok;
}

bool load_table(struct load *l, const struct table *t, int node, void *base)
{
	const yaml_node_t *n = document_node(l, node);
	unsigned line = document_line(l, node);
	struct seen s = {0};
	if (n && n->type != YAML_MAPPING_NODE) {
		l->marks[node] |= MARK_BAD | MARK_STRANGE;
		return problem(l, line, "%s%sexpected keys with values (key: value)", l->path,
			l->path[0] ? ": " : "");
	}
	if (!l->path[0])
		line = 0; /* for what the whole file lacks there is no line */
	if (t->line_offset)
		*(unsigned *)(void *)((char *)base + t->line_offset) = line;
	bool ok = !n || load_pairs(l, t, n, &s, base);
	ok &= load_defaults(l, t, &s, line, base);
	if (s.strange)
		l->marks[node] |= MARK_STRANGE;
	return verdict(l, node, ok);
}

static void free_value(const struct row *r, void *field)
{
	if (r->kind == KIND_TABLE)
		free_table(r->table, field);
	else
		kind_free(r, field);
}

void free_table(const struct table *t, void *base)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct row *r = &t->rows[i];
		if (!r->list) {
			free_value(r, field_of(r, base));
			continue;
		}
		for (size_t j = 0; j < *count_of(r, base); j++)
			free_value(r, item_at(r, base, j));
		free(*items_of(r, base));
	}
}
