// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "differential.h"

static int order(const void *a, const void *b)
{
	const struct known *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int d = memcmp(x->name, y->name, len);
	return d ? d : (x->len > y->len) - (x->len < y->len);
}

static int names_add(struct names *n, char kind, const char *text)
{
	struct known *grown = reallocarray(n->list, n->count + 1, sizeof *grown);
	if (!grown)
		return ERR_NOMEM;
	n->list = grown;
	struct known *k = &grown[n->count];
	if (!kind || (unsigned char)kind > 127 || !knot_dname_from_str(k->name, text, sizeof k->name))
		return ERR_INVALID;
	knot_dname_to_lower(k->name);
	k->kind = (enum kind)kind;
	k->len = knot_dname_size(k->name);
	n->count++;
	return OK;
}

static int names_index(struct names *n)
{
	qsort(n->list, n->count, sizeof *n->list, order);
	for (size_t i = 0; i < n->count; i++) {
		size_t kind = (size_t)n->list[i].kind;
		size_t *grown = reallocarray(n->of_kind[kind], n->count_of[kind] + 1, sizeof *grown);
		if (!grown)
			return ERR_NOMEM;
		n->of_kind[kind] = grown;
		grown[n->count_of[kind]++] = i;
	}
	return OK;
}

int names_read(const char *path, struct names *out)
{
	char kind, text[1100]; /* 255 octets, each written as \DDD */
	int got = 0, err = OK;
	*out = (struct names){0};
	FILE *f = fopen(path, "r");
	if (!f)
		return ERR_SYSTEM;
	while (err == OK && (got = fscanf(f, " %c %1099s", &kind, text)) == 2)
		err = names_add(out, kind, text);
	if (err == OK && (got != EOF || ferror(f) || !out->count))
		err = ERR_INVALID;
	if (fclose(f) && err == OK)
		err = ERR_SYSTEM;
	return err == OK ? names_index(out) : err;
}

void names_free(struct names *n)
{
	for (size_t i = 0; i < sizeof n->of_kind / sizeof *n->of_kind; i++)
		free(n->of_kind[i]);
	free(n->list);
	*n = (struct names){0};
}
