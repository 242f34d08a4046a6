// SPDX-License-Identifier: GPL-3.0-or-later
/* Memory for parsers that take a lack of memory for something else. jansson's lexer loses an octet when its
 * buffer cannot grow: the text is then called malformed, or read as another one, or its end is overrun. So
 * while a text is parsed, what malloc() does not have comes out of a reserve, and the result is thrown away.
 * Allocators have no context, so this is one per process; one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* For json_set_alloc_funcs(). What is freed is wiped: texts may hold keys. */
void *scarce_malloc(size_t size);
void scarce_free(void *p); /* also what is of malloc() itself */

void scarce_begin(void);
/* True: an allocation has failed since scarce_begin(), so what was made is to be freed, unread, and nothing
 * else is to be allocated before. */
bool scarce_end(void);
