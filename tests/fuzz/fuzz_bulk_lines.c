// SPDX-License-Identifier: GPL-3.0-or-later
/* A file to import: its lines, and what stands in them. What was understood must come out and be understood
 * again as the same. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bulk/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct bulk_zone zones[] = {{"auth.example.org", 7}};
static const struct record_rules rules = {zones, 1, 1000, 0};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_delegate(const struct delegate *d)
{
	static char text[BULK_LINE_MAX], again[BULK_LINE_MAX];
	static struct record r;
	char why[BULK_WHY];
	size_t len, again_len;
	require(delegate_label_valid(d->id.label) && d->id.zone == 7);
	require(record_format(d, zones[0].name, rules.now, text, &len) == OK);
	require(record_parse(text, len, &rules, &r, why) == OK && r.kind == RECORD_DELEGATE);
	require(record_format(&r.delegate, zones[0].name, rules.now, again, &again_len) == OK);
	require(again_len == len && memcmp(text, again, len) == 0);
}

static void check_line(const char *line, size_t len)
{
	static struct record r;
	char why[BULK_WHY] = "";
	/* In memory of its own, so that the sanitizer sees a read behind its end. */
	char *exact = malloc(len ? len : 1);
	require(exact != NULL);
	memcpy(exact, line, len);
	int rc = record_parse(exact, len, &rules, &r, why);
	free(exact);
	require(rc == OK || rc == ERR_INVALID);
	require(rc == OK || *why);
	for (const char *c = why; *c; c++)
		require(*c >= ' ' && *c <= '~');
	if (rc == OK && r.kind == RECORD_DELEGATE)
		check_delegate(&r.delegate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct lines *l;
	const char *line;
	size_t line_len;
	int rc, fd = memfd_create("fuzz", MFD_CLOEXEC);
	require(fd >= 0 && pwrite(fd, data, len, 0) == (ssize_t)len);
	require(lines_new(fd, -1, &l) == OK);
	while ((rc = lines_next(l, &line, &line_len)) != ERR_NOTFOUND) {
		require(rc == OK || rc == ERR_RANGE);
		require(lines_number(l) <= len);
		if (rc == OK)
			check_line(line, line_len);
	}
	lines_free(&l);
	close(fd);
	return 0;
}
