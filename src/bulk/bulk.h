// SPDX-License-Identifier: GPL-3.0-or-later
/* All delegates out of a store and into one, as lines of JSON: doc/data-format.md describes them. Both
 * stream: what is held in memory does not grow with the number of delegates, but for one bit a line while
 * importing. One thread. Nothing here prints. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/* A zone of the configuration. */
struct bulk_zone {
	const char *name; /* lower-case, no final dot */
	uint16_t id;      /* in the store */
};

enum { BULK_WHY = 320 }; /* a sentence about a line */

struct bulk_why {
	char name[BULK_WHY / 2];
	char reason[BULK_WHY];
};

enum bulk_phase { BULK_READING, BULK_CHECKING, BULK_WRITING };

/* Who is told how it goes. Any of the functions may be NULL. */
struct bulk_watcher {
	void *ctx;
	/* Now and then. `done` of `total` steps of this phase; total 0: not known. Reading counts lines,
	 * checking and writing entries of the store. */
	void (*progress)(void *ctx, enum bulk_phase phase, uint64_t done, uint64_t total);
	/* A line that cannot be imported, or (line 0) a delegate that cannot be exported. `why` is one line
	 * of printable ASCII. Not in the order of the lines. */
	void (*bad)(void *ctx, uint64_t line, const char *why);
};

/* Where lines come from that are not in a file. */
struct bulk_source {
	void *ctx;
	/* The next line, as doc/data-format.md describes a delegate in the newest version, valid until the
	 * next call. ERR_NOTFOUND: no more. ERR_INVALID: there is none for what is next, why->reason says
	 * why. Other errors end the import. `name` says in either case what is next. */
	int (*next)(void *ctx, const char **line, size_t *len, struct bulk_why *why);
};

struct bulk_import_settings {
	int input;                        /* a file or a pipe, read to its end */
	const struct bulk_source *source; /* instead of it; NULL: there is none */
	bool dry;                         /* check everything and write nothing */
	const struct bulk_zone *zones;
	size_t zone_count;
	const char *folder; /* for temporary files, which need about as much room as the input, or less */
	size_t memory;      /* bytes to sort in, at least BULK_MEMORY_MIN */
	bool keep_going;    /* import what is good although there are bad lines */
	int64_t now;        /* milliseconds since the epoch: values that have expired are left out */
	int stop;           /* ends the import when it becomes readable; -1: none */
	struct bulk_watcher watcher;
};

enum { BULK_MEMORY_MIN = 8 << 20 };

struct bulk_import_result {
	uint64_t lines;    /* that describe a delegate or a deleted label, good or bad */
	uint64_t imported; /* delegates durable in the store; of a dry run: that would be */
	uint64_t deleted;  /* the same of deleted labels */
	uint64_t there;    /* in the store already, and left as they are */
	uint64_t gone;     /* deleted from the store, which no import undoes */
	uint64_t bad;      /* reported to watcher.bad() */
	bool writing;      /* it came to writing into the store */
	bool unreadable;   /* ERR_SYSTEM is about the input, not about temporary files */
};

/* Reads all lines, checks them, and only then writes. Nobody else may write to the store (NULL, for a dry run
 * only: there is none). `out` is filled
 * whatever is returned, and says what is in the store for good. An import that ended early can be repeated:
 * it goes on where it was.
 *
 * OK: every line that is not bad is in the store. ERR_INVALID: there are bad lines and keep_going is off, so
 * nothing was written. ERR_FORMAT: a newer version of the format, nothing was written. ERR_CLOSED: told to
 * stop. ERR_SYSTEM: the input cannot be read, or the temporary files: errno says why. ERR_FULL: no room in
 * the store if out->writing, else for temporary files. ERR_STORE, ERR_NOMEM. */
int bulk_import(struct store *s, const struct bulk_import_settings *settings,
	struct bulk_import_result *out) MUST_USE;

struct bulk_export_settings {
	int output;
	const struct bulk_zone *zones; /* those with an ID in the store */
	size_t zone_count;
	int64_t now; /* milliseconds since the epoch: values that have expired are left out */
	int stop;    /* ends the export when it becomes readable; -1: none */
	struct bulk_watcher watcher;
};

struct bulk_export_result {
	uint64_t exported;
	uint64_t deleted;  /* labels of delegates that do not exist any more, written too */
	uint64_t nameless; /* in zones that are not among those given: left out */
	uint64_t damaged;  /* records that cannot be read: left out */
};

/* Writes all delegates, in the order of their keys. The store may be in use: each line is of one commit, and
 * the snapshot is renewed every thousand delegates, so that the writer can use old pages again. What exists
 * from beginning to end is written exactly once.
 *
 * OK: written to the last line, perhaps not all (see `out`). ERR_CLOSED: told to stop. ERR_SYSTEM: the output
 * cannot be written, errno says why. ERR_STORE, ERR_NOMEM. */
int bulk_export(struct store *s, const struct bulk_export_settings *settings,
	struct bulk_export_result *out) MUST_USE;

/* ---- a whole store, checked ---- */

struct bulk_counts {
	uint64_t delegates, deleted, keys, values, tokens, events;
	uint64_t
		unowned; /* keys of delegates that do not exist: an import that was interrupted leaves them */
};

/* Does everything in the store fit together? Each name has its account, each account its keys, each delegate
 * with values its entry among those to be swept; tokens, events and evidence can be read. The first thing
 * that does not fit is said in `why`: ERR_STORE. Nobody may write meanwhile. ERR_CLOSED: `stop` became
 * readable. ERR_NOMEM. */
int bulk_check(struct store *s, int stop, const struct bulk_watcher *watcher, struct bulk_counts *out,
	char why[static BULK_WHY]) MUST_USE;
