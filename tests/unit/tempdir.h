// SPDX-License-Identifier: GPL-3.0-or-later
/* A folder of its own for a test, removed with what is in it. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tempdir {
	char path[64];
};

static inline struct tempdir tempdir_make(void)
{
	struct tempdir t = {"/tmp/acme-delegate-test-XXXXXX"};
	if (!mkdtemp(t.path))
		abort();
	return t;
}

/* Files of one level and of one level of folders, which is all the tests make. */
static inline void tempdir_remove(const char *path)
{
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		char file[512];
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (snprintf(file, sizeof file, "%s/%s", path, e->d_name) >= (int)sizeof file)
			abort();
		if (unlink(file))
			tempdir_remove(file);
	}
	if (d)
		closedir(d);
	rmdir(path);
}
