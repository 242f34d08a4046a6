// SPDX-License-Identifier: GPL-3.0-or-later
/* What the tests of this room share: text in, configuration or the exact list of problems out. */
#pragma once

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

/* The smallest configuration, in six lines; what follows it begins on line 7. */
#define ZONE                                                                                                 \
	"zones:\n"                                                                                           \
	"  - name: auth.test\n"                                                                              \
	"    nameservers: {name: ns1.auth.test, addresses: 127.0.0.1}\n"                                     \
	"dns: {listen: '127.0.0.1:5353'}\n"                                                                  \
	"#\n"                                                                                                \
	"#\n"
#define API "api: {listen: '127.0.0.1:8443', tls: {mode: off}}\n"

static inline char *printed_diag(const struct diag *d)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	assert_non_null(f);
	diag_print(d, f);
	fclose(f);
	return text;
}

/* Loads what must load; `expected` are the warnings. */
static inline struct conf *load_with(const char *text, const char *expected)
{
	struct diag *d = diag_new();
	struct conf *c = NULL;
	int err = conf_load_text(text, strlen(text), "t", d, &c);
	char *problems = printed_diag(d);
	assert_string_equal(problems, expected);
	assert_int_equal(err, OK);
	assert_non_null(c);
	free(problems);
	diag_free(&d);
	return c;
}

static inline struct conf *load(const char *text)
{
	return load_with(text, "");
}

static inline void refuse_bytes(const char *text, size_t len, const char *expected)
{
	struct diag *d = diag_new();
	struct conf *c = (struct conf *)&d; /* must become NULL */
	int err = conf_load_text(text, len, "t", d, &c);
	char *problems = printed_diag(d);
	assert_string_equal(problems, expected);
	assert_int_equal(err, ERR_INVALID);
	assert_null(c);
	free(problems);
	diag_free(&d);
}

/* `expected`: every problem, "t:LINE: text\n" each. */
static inline void refuse(const char *text, const char *expected)
{
	refuse_bytes(text, strlen(text), expected);
}
