// SPDX-License-Identifier: GPL-3.0-or-later
/* The configuration loader: any text is refused with a message, or loads and survives being printed and read
 * again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(int condition)
{
	if (!condition)
		abort();
}

static struct conf *load(const char *text, size_t len)
{
	struct diag *d = diag_new();
	struct conf *c = NULL;
	require(d != NULL);
	int err = conf_load_text(text, len, "fuzz", d, &c);
	require(err == (diag_errors(d) ? ERR_INVALID : OK) && !err == !!c);
	diag_free(&d);
	return c;
}

static char *print(const struct conf *c, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);
	require(f != NULL);
	conf_print(c, f);
	require(fclose(f) == 0);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf *c = load((const char *)data, len);
	if (!c)
		return 0;
	size_t once_len, twice_len;
	char *once = print(c, &once_len);
	struct conf *again = load(once, once_len);
	require(again != NULL);
	char *twice = print(again, &twice_len);
	require(strcmp(once, twice) == 0);
	conf_free(&again);
	conf_free(&c);
	free(once);
	free(twice);
	return 0;
}
