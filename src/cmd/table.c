// SPDX-License-Identifier: GPL-3.0-or-later
#include "cmd/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

char (*table_row(struct table *t))[TABLE_CELL]
{
	if (t->rows == t->room) {
		size_t room = t->room ? 2 * t->room : 32;
		char(*cells)[TABLE_CELL] = reallocarray(t->cells, room * t->columns, sizeof *cells);
		if (!cells)
			return NULL;
		t->cells = cells;
		t->room = room;
	}
	char(*row)[TABLE_CELL] = t->cells + t->rows++ * t->columns;
	for (unsigned i = 0; i < t->columns; i++)
		row[i][0] = 0;
	return row;
}

void table_set(char cell[static TABLE_CELL], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (vsnprintf(cell, TABLE_CELL, format, args) < 0)
		cell[0] = 0;
	va_end(args);
}

void print_text(const char *text, FILE *to)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		fputc(*c < 0x20 || *c == 0x7f ? '?' : *c, to);
}

static void print_row(const struct table *t, const char *const *cells, FILE *to)
{
	unsigned last = t->columns;
	while (last && !*cells[last - 1])
		last--;
	for (unsigned i = 0; i < last; i++) {
		print_text(cells[i], to);
		for (size_t n = strlen(cells[i]); i + 1 < last && n < t->widths[i] + 2; n++)
			fputc(' ', to);
	}
	fputc('\n', to);
}

static void widen(struct table *t, const char *const *cells)
{
	for (unsigned i = 0; i < t->columns; i++)
		if (strlen(cells[i]) > t->widths[i])
			t->widths[i] = strlen(cells[i]);
}

void table_print(struct table *t, FILE *to)
{
	const char *cells[TABLE_COLUMNS];
	widen(t, t->heads);
	for (int printing = 0; printing < 2; printing++) {
		if (printing && !t->headed)
			print_row(t, t->heads, to);
		for (size_t r = 0; r < t->rows; r++) {
			for (unsigned i = 0; i < t->columns; i++)
				cells[i] = t->cells[r * t->columns + i];
			if (printing)
				print_row(t, cells, to);
			else
				widen(t, cells);
		}
	}
	t->headed = 1;
	t->rows = 0;
}

void table_free(struct table *t)
{
	free(t->cells);
	t->cells = NULL;
	t->rows = t->room = 0;
}
