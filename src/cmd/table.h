// SPDX-License-Identifier: GPL-3.0-or-later
/* A table for people: columns as wide as what is in them, two blanks between, none at the end of a line. On a
 * terminal that is too narrow, the last columns are left out as far as they may be, and of the others, those
 * that do not fit go to further lines, indented. What is printed is made harmless for terminals: control
 * characters become '?'. */
#pragma once

#include <stdio.h>

enum {
	TABLE_COLUMNS = 8,
	TABLE_CELL = 256,
	TABLE_IN_LINE =
		1000 /* rows to gather before they are printed, so that they are in line with each other */
};

struct table {
	unsigned columns;
	unsigned spare; /* so many of the last columns can be done without */
	unsigned room;  /* columns of the terminal; 0: no terminal, or of any width */
	const char *heads[TABLE_COLUMNS];
	size_t widths[TABLE_COLUMNS]; /* they only grow, so that pages of one table stay in line as far as can
					 be */
	size_t rows, allocated;
	char (*cells)[TABLE_CELL]; /* rows x columns */
	int headed;
};

/* Begins a row and returns its cells, empty; NULL: no memory, which is said on standard error. They are good
 * until the next row begins. */
char (*table_row(struct table *t))[TABLE_CELL];
/* Fills a cell; what is too long is cut. */
void table_set(char cell[static TABLE_CELL], const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints the rows, before the first ones the heads, and forgets them. */
void table_print(struct table *t, FILE *to);
void table_free(struct table *t);

/* For `room`: how wide standard output is if it is a terminal, else 0. */
unsigned table_terminal(void);

/* A text from elsewhere on a terminal. */
void print_text(const char *text, FILE *to);
