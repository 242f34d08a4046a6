// SPDX-License-Identifier: GPL-3.0-or-later
/* Errors. Every function that can fail returns an int: OK (0) or one of the negative codes below; what a code
 * means in a particular room is written at the function that returns it. Results must be looked at
 * (MUST_USE). Any thread; nothing here allocates. */
#pragma once

#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

#define ERROR_MAP(X)                                                                                         \
	X(ERR_NOMEM, -1, "out of memory")                                                                    \
	X(ERR_INVALID, -2, "malformed input")                                                                \
	X(ERR_RANGE, -3, "value too long or out of range")                                                   \
	X(ERR_NOTFOUND, -4, "not found")                                                                     \
	X(ERR_EXISTS, -5, "exists already")                                                                  \
	X(ERR_FORBIDDEN, -6, "not allowed")                                                                  \
	X(ERR_LIMIT, -7, "limit reached")                                                                    \
	X(ERR_STORE, -8, "the store cannot be read or written")                                              \
	X(ERR_FULL, -9, "the disk is full or refuses writes")                                                \
	X(ERR_FORMAT, -10, "the store has a format this version does not know")                              \
	X(ERR_BUSY, -11, "in use by another process")                                                        \
	X(ERR_SYSTEM, -12, "system call failed")                                                             \
	X(ERR_CLOSED, -13, "the other side has closed")                                                      \
	X(ERR_AGAIN, -14, "try again later")                                                                 \
	X(ERR_DAMAGED, -15, "a record of the store is damaged; \"acme-delegate store check\" says which")

enum error {
	OK = 0,
#define X(name, value, text) name = (value),
	ERROR_MAP(X)
#undef X
};

/* A short text for a code; never NULL. Static storage. */
const char *error_text(int code);
