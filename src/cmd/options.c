// SPDX-License-Identifier: GPL-3.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "app/app.h"
#include "cmd/internal.h"

int options_read(int argc, char **argv, const char *usage, const char **file)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	*file = NULL;
	for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		if (o == 'c') {
			*file = optarg;
		} else {
			fputs(usage, o == 'h' ? stdout : stderr);
			return o == 'h' ? APP_OK : APP_USAGE;
		}
	}
	return OPTIONS_GO_ON;
}

const char *options_file(const char *named)
{
	return named ? named : access(CONF_SYSTEM_FILE, R_OK) ? NULL : CONF_SYSTEM_FILE;
}
