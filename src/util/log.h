// SPDX-License-Identifier: GPL-3.0-or-later
/* The log: one line per event on standard error, as text or as JSON lines. The only global state of the
 * program. Messages are whole sentences or clauses that say what happened and, for errors, what to do. Never
 * log a key, a token or a private key. Any process; a line is written with one write(2), so lines of several
 * processes do not mix.
 *
 * Whatever a message holds, a line is a line: control characters, invisible ones and bytes that are no UTF-8
 * are escaped, a backslash too, and what is longer than LOG_MESSAGE_MAX bytes is cut ("..."). If standard
 * error is the journal of systemd (JOURNAL_STREAM, see systemd.exec(5)), a line begins with its priority
 * (sd-daemon(3)) and has no time of its own.
 *
 * A flood is cut off: of the messages of one place in the program LOG_BURST are written in LOG_WINDOW_MS, and
 * what was left out is said with a count when the window ends. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum {
	LOG_MESSAGE_MAX = 500,
	LOG_WINDOW_MS = 10 * 1000,
	LOG_BURST = 20,        /* lines of one place */
	LOG_SOURCE_BURST = 5,  /* of one place about one source */
	LOG_SOURCES_BURST = 50 /* of one place about all sources */
};

/* Sets what is written from now on, and looks whether standard error is the journal. Before the first call:
 * info, text, not the journal. */
void log_setup(enum log_level level, enum log_format format);

/* Whether standard error is the journal now. */
bool log_is_journal(void);

/* Names the process in every line ("supervisor", "dns0", "api", "keeper"), and begins to count anew. The text
 * is copied (15 bytes at most). */
void log_process(const char *name);

/* `room` is the source folder that speaks; `format` is a literal, which also tells the places apart. */
void log_event(enum log_level level, const char *room, const char *format, ...) PRINTF(3, 4);
/* The same about somebody outside, of whom there may be many: `source` tells them apart. */
void log_event_about(enum log_level level, const char *room, uint64_t source, const char *format, ...)
	PRINTF(4, 5);

/* Says what was left out, where its time has come; with `all`, at the end of a process, all of it. To be
 * called about once a second. */
void log_catch_up(bool all);

#define log_error(...)   log_event(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_event(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_event(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_event(LOG_LEVEL_DEBUG, __VA_ARGS__)
