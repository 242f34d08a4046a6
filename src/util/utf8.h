// SPDX-License-Identifier: GPL-3.0-or-later
/* Which bytes are text that can be shown as it is. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* How many bytes the first character of a text takes; 0: it is no UTF-8 (RFC 3629), or nothing to be shown: a
 * control character, or one that changes the order or the place of others on a terminal. `s` must be
 * terminated. */
size_t utf8_shown(const char *s);
