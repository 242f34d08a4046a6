// SPDX-License-Identifier: GPL-3.0-or-later
#include <getopt.h>
#include <stdio.h>

#include "app/app.h"
#include "cmd/cmd.h"
#include "cmd/internal.h"

static const char usage[] =
	"Usage: acme-delegate export [-c FILE] [OUTPUT]\n"
	"\n"
	"Writes all delegates of the configuration's zones with their keys and values,\n"
	"one JSON object a line, as \"acme-delegate import\" reads them. Without OUTPUT, or\n"
	"with \"-\", to standard output. The server may be running. Of a key's secret only\n"
	"the SHA-256 digest is known and written.\n"
	"\n"
	"  -c, --config FILE  the configuration, which names the store and the zones" OPTIONS_DEFAULT
	"  -h, --help         this text\n"
	"\n"
	"The last line says how many delegates there are: without it the output is not\n"
	"complete.\n"
	"Exit status: 0 when all is written, 1 when something is not, 2 for a wrong\n"
	"option or configuration.\n";

int cmd_export(int argc, char **argv)
{
	const char *file;
	int status = options_read(argc, argv, usage, &file);
	if (status != OPTIONS_GO_ON)
		return status;
	if (argc - optind > 1) {
		fprintf(stderr, "acme-delegate export: \"%s\" is one argument too many\n", argv[optind + 1]);
		return APP_USAGE;
	}
	return app_export(options_file(file), optind < argc ? argv[optind] : "-");
}
