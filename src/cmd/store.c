// SPDX-License-Identifier: GPL-3.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "cmd/cmd.h"
#include "cmd/internal.h"

static const char usage[] =
	"Usage: acme-delegate store check [-c FILE]\n"
	"\n"
	"Reads the whole store and says what of it is damaged: every page, every record and\n"
	"its checksum, and whether they fit together. Changes nothing. The server may be\n"
	"running.\n"
	"\n"
	"  -c, --config FILE  the configuration, which names the store\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0 when the store is in order, 1 when it is damaged or cannot be read,\n"
	"2 for a wrong option or configuration.\n";

int cmd_store(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *file = NULL;
	for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		if (o != 'c') {
			fputs(usage, o == 'h' ? stdout : stderr);
			return o == 'h' ? APP_OK : APP_USAGE;
		}
		file = optarg;
	}
	if (argc - optind != 1 || strcmp(argv[optind], "check") != 0) {
		fputs(usage, stderr);
		return APP_USAGE;
	}
	return app_store_check(file);
}
