// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of the bulk room share. */
#pragma once

#include "bulk/bulk.h"
#include "delegate/delegate.h"

enum {
	BULK_FORMAT_VERSION = 2,
	BULK_LINE_MAX = 64 << 10, /* a delegate with everything it may have takes 5 KB */
	BULK_STEPS = 4096         /* between two looks at what else there is */
};

extern const char bulk_format_name[];

/* Has `stop` become readable? Waits for nothing. */
bool bulk_told_to_stop(int stop);

/* Says in `why` what is wrong with a line; returns ERR_INVALID. Texts of the input may be shown, but for what
 * a terminal might understand. */
int bulk_complain(char why[static BULK_WHY], const char *format, ...) PRINTF(2, 3);

/* ---- lines.c: a file or pipe, line by line ---- */

struct lines;

/* `input` stays the caller's. ERR_NOMEM. */
int lines_new(int input, int stop, struct lines **out) MUST_USE;
void lines_free(struct lines **l);
/* The next line without its newline, valid until the next call. ERR_NOTFOUND: no more. ERR_RANGE: the line is
 * longer than BULK_LINE_MAX and was skipped. ERR_CLOSED: told to stop. ERR_SYSTEM: see errno. */
int lines_next(struct lines *l, const char **line, size_t *len) MUST_USE;
uint64_t lines_number(const struct lines *l); /* of the line given last, from 1 */

/* ---- record.c: one line ---- */

enum record_kind { RECORD_HEADER, RECORD_DELEGATE, RECORD_DELETED, RECORD_END };

struct record {
	enum record_kind kind;
	uint64_t number;          /* header: the version; end: how many delegates */
	uint64_t deleted;         /* end: how many labels of delegates that do not exist any more */
	struct delegate delegate; /* deleted: its id only */
};

struct record_rules {
	const struct bulk_zone *zones;
	size_t zone_count;
	int64_t now;
	int64_t version; /* of the format, from the header; 0: the newest */
};

/* ERR_INVALID: `why` says what is wrong with the line. ERR_NOMEM. */
int record_parse(const char *line, size_t len, const struct record_rules *rules, struct record *out,
	char why[static BULK_WHY]) MUST_USE;

/* The line of a label that is not to be given out again. As record_format(). */
int record_format_deleted(
	const struct delegate_id *id, const char *zone, char out[static BULK_LINE_MAX], size_t *len) MUST_USE;

/* The line of a delegate, newline included, leaving out values that have expired. ERR_STORE: its label is not
 * text. ERR_RANGE: larger than BULK_LINE_MAX, which cannot be. ERR_NOMEM. */
int record_format(const struct delegate *d, const char *zone, int64_t now, char out[static BULK_LINE_MAX],
	size_t *len) MUST_USE;
