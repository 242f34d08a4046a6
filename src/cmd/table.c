// SPDX-License-Identifier: GPL-3.0-or-later
#include "cmd/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/error.h"

enum { GAP = 2, INDENT = 4 };

unsigned table_terminal(void)
{
	struct winsize size;
	return isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) ? size.ws_col : 0;
}

char (*table_row(struct table *t))[TABLE_CELL]
{
	if (t->rows == t->allocated) {
		size_t rows = t->allocated ? 2 * t->allocated : 32;
		char(*cells)[TABLE_CELL] = reallocarray(t->cells, rows * t->columns, sizeof *cells);
		if (!cells) {
			fprintf(stderr, "%s\n", error_text(ERR_NOMEM));
			return NULL;
		}
		t->cells = cells;
		t->allocated = rows;
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

/* Which columns are shown, and which begin a line of their own. */
struct layout {
	unsigned columns;
	int begins[TABLE_COLUMNS];
};

static size_t width_of(const struct table *t, unsigned columns)
{
	size_t width = 0;
	for (unsigned i = 0; i < columns; i++)
		width += t->widths[i] + (i ? GAP : 0);
	return width;
}

static struct layout lay_out(const struct table *t)
{
	struct layout l = {.columns = t->columns};
	if (!t->room)
		return l;
	while (l.columns > t->columns - t->spare && width_of(t, l.columns) > t->room)
		l.columns--;
	size_t at = 0;
	for (unsigned i = 0; i < l.columns; i++) {
		l.begins[i] = i && at + GAP + t->widths[i] > t->room;
		at = l.begins[i] ? INDENT + t->widths[i] : at + (i ? GAP : 0) + t->widths[i];
	}
	return l;
}

static void print_blanks(size_t n, FILE *to)
{
	while (n--)
		fputc(' ', to);
}

/* Blanks are printed only before what follows them. */
static void print_row(const struct table *t, const struct layout *l, const char *const *cells, FILE *to)
{
	size_t missing = 0;
	int broken = 0;
	for (unsigned i = 0; i < l->columns; i++) {
		if (l->begins[i]) {
			broken = 1;
			missing = INDENT;
		}
		size_t len = strlen(cells[i]);
		if (len) {
			if (broken)
				fputc('\n', to);
			broken = 0;
			print_blanks(missing, to);
			print_text(cells[i], to);
			missing = 0;
		}
		missing += t->widths[i] - len + GAP;
	}
	fputc('\n', to);
}

static const char *const *cells_of(const struct table *t, size_t row, const char *out[static TABLE_COLUMNS])
{
	for (unsigned i = 0; i < t->columns; i++)
		out[i] = t->cells[row * t->columns + i];
	return out;
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
	for (size_t r = 0; r < t->rows; r++)
		widen(t, cells_of(t, r, cells));
	const struct layout l = lay_out(t);
	if (!t->headed)
		print_row(t, &l, t->heads, to);
	for (size_t r = 0; r < t->rows; r++)
		print_row(t, &l, cells_of(t, r, cells), to);
	t->headed = 1;
	t->rows = 0;
}

void table_free(struct table *t)
{
	free(t->cells);
	t->cells = NULL;
	t->rows = t->allocated = 0;
}
