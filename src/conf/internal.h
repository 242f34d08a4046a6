// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of this room share: the schema (rows, tables, kinds), one reading in progress, and the
 * document it reads. A new key is a member of struct conf and a row in schema.c; nothing else has to know of
 * it. */
#pragma once

#include <yaml.h>

#include "conf/conf.h"

/* ---- schema.c: which keys there are ---- */

enum kind {
	KIND_TEXT,     /* char * */
	KIND_RECORD,   /* struct conf_record: a text that remembers its line */
	KIND_NUMBER,   /* uint32_t */
	KIND_SECONDS,  /* uint32_t, seconds; written as a number or a duration */
	KIND_DURATION, /* int64_t, milliseconds; written as a duration, range in seconds */
	KIND_CHOICE,   /* an enum */
	KIND_ADDRESS,  /* struct address */
	KIND_ENDPOINT, /* struct endpoint */
	KIND_PREFIX,   /* struct prefix */
	KIND_TABLE     /* a mapping with keys of its own */
};

struct choice {
	const char *name; /* NULL ends the array */
	unsigned value;
};

struct row {
	const char *key, *prose;
	enum kind kind;
	bool list;      /* a sequence of that kind; one alone may stand without the brackets */
	bool required;  /* has no default */
	bool commented; /* optional: the sample shows it behind a '#' */
	size_t offset;  /* of the field in the table's struct; of a list, the field points to the items */
	size_t count_offset; /* of a list: the size_t that holds how many there are */
	const char *
		fallback; /* default, as a person would write it; items of a list are separated by newlines */
	const char *sample; /* what the sample shows, where that is not the default */
	uint64_t min, max;  /* of the value; of a list, of its length */
	const char *unit;
	const struct choice *choices;
	const struct table *table;
};

struct table {
	const struct row *rows;
	size_t count;
	size_t size;        /* of the struct, where the table is the item of a list */
	size_t line_offset; /* of the unsigned that takes the line; 0: there is none */
};

enum { TABLE_MAX_ROWS = 32 };

extern const struct table conf_schema;

/* ---- kind.c: how one value is read and written ---- */

enum { VALUE_TEXT = 128 }; /* room for a value as text, and for what describes a kind */

size_t kind_size(const struct row *r);
/* ERR_INVALID: not of this kind or out of range. ERR_FORBIDDEN: a choice this version does not offer.
 * ERR_NOMEM. */
int kind_parse(const struct row *r, const char *text, unsigned line, void *field) MUST_USE;
/* The text kind_parse() reads back; NULL: not set. Points into `buf` or into the field. */
const char *kind_format(const struct row *r, const void *field, char buf[static VALUE_TEXT]);
/* "a number from 0 to 256": for error messages and for the sample. Empty where any text will do. */
void kind_describe(const struct row *r, char out[static VALUE_TEXT]);
void kind_free(const struct row *r, void *field);

/* ---- yaml.c: text to document, places in it ---- */

enum {
	MARK_BAD = 1,    /* it, or something below it, has a problem already */
	MARK_STRANGE = 2 /* it holds what was not understood */
};

struct load {
	const char *file; /* shown with every problem; may be NULL */
	struct diag *d;
	yaml_document_t doc;
	bool have_doc;
	uint8_t *marks; /* by node: MARK_* */
	bool sample;    /* fill the fields with what the sample shows, not with defaults */
	bool nomem;
	char path[VALUE_TEXT]; /* of the key being read, "api.tls.mode" */
};

/* ERR_INVALID: the diag says why. ERR_NOMEM. */
int document_open(struct load *l, const char *text, size_t len) MUST_USE;
void document_close(struct load *l);

/* Nodes are named by number; 0 is none. */
const yaml_node_t *document_node(struct load *l, int node);
unsigned document_line(struct load *l, int node);

/* Places are written "zones.0.name". The line of the key or item there, or else of what is nearest above it;
 * 0: none. */
unsigned line_of(struct load *l, const char *format, ...) PRINTF(2, 3);
/* False when something there has been complained of, so that a check on top of it would only repeat that. */
bool sound(struct load *l, const char *format, ...) PRINTF(2, 3);

/* An error at this line. Always false, so that one can `return problem(...)`. */
bool problem(struct load *l, unsigned line, const char *format, ...) PRINTF(3, 4);

/* For messages: at most 60 characters, control characters as '?'. */
const char *shown(const char *text, char buf[static VALUE_TEXT]);

/* ---- load.c and checks.c ---- */

/* Fills `base` from a mapping, or with defaults where node is 0. False: there was a problem. */
bool load_table(struct load *l, const struct table *t, int node, void *base);
void free_table(const struct table *t, void *base);

/* Letters, digits, '-' and '_' in labels (RFC 1035 section 2.3.4); a final dot may follow. */
bool is_name(const char *s);
/* At the zone's name or below it; `name` in either case, with or without a final dot. */
bool name_in_zone(const char *name, const char *zone);
/* The host of api.url, which zone holds it, and what mode acme needs. */
void check_acme(struct load *l, struct conf *c);

/* What one key alone does not show. Also brings names and paths into their one form, and derives api.url. */
void conf_checks(struct load *l, struct conf *c);

/* ---- print.c ---- */

enum { DESCRIPTION_TEXT = 1024 };
/* The prose, then in brackets what a value must be like and what it is when left out. */
void row_describe(const struct row *r, char *out, size_t cap);
