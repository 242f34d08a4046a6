// SPDX-License-Identifier: GPL-3.0-or-later
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "bulk/database.h"

int database_failed(struct database *b, const char *why)
{
	snprintf(b->why, sizeof b->why, "%s", why && *why ? why : "no reason was given");
	size_t len = strlen(b->why);
	while (len && b->why[len - 1] == '\n')
		b->why[--len] = 0;
	for (char *c = b->why; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = *c == '\n' || *c == '\t' ? ' ' : '?';
	return ERR_SYSTEM;
}

void *database_library(const char *file, const char *package, const char *what, struct diag *d)
{
	void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		diag_error(d, NULL, 0, "to read %s the library %s is needed: install the package %s", what,
			file, package);
	return library;
}

int database_function(void *library, const char *name, void *function, struct diag *d)
{
	void *found = dlsym(library, name);
	memcpy(function, &found, sizeof found);
	if (found)
		return OK;
	diag_error(d, NULL, 0, "the library on this machine is too old: it has no %s", name);
	return ERR_SYSTEM;
}
