// SPDX-License-Identifier: GPL-3.0-or-later
/* The log: one line per event on standard error, as text or as JSON lines. The only global state of the
 * program. Messages are whole sentences or clauses that say what happened and, for errors, what to do. Never
 * log a key, a token or a private key. Bytes from the network are escaped before they are written. Any
 * process; a line is written with one write(2), so lines of several processes do not mix. */
#pragma once

#include "util/error.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Sets what is written from now on. Before the first call: info, text. */
void log_setup(enum log_level level, enum log_format format);

/* Names the process in every line ("supervisor", "dns0", "api", "keeper"). The text is copied (15 bytes at
 * most). */
void log_process(const char *name);

/* `room` is the source folder that speaks. */
void log_event(enum log_level level, const char *room, const char *format, ...) PRINTF(3, 4);

#define log_error(...)   log_event(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_event(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_event(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_event(LOG_LEVEL_DEBUG, __VA_ARGS__)
