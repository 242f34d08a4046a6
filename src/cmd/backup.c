// SPDX-License-Identifier: GPL-3.0-or-later
#include <getopt.h>
#include <stdio.h>

#include "app/app.h"
#include "cmd/cmd.h"
#include "cmd/internal.h"

static const char usage[] =
	"Usage: acme-delegate backup [-c FILE] OUTPUT\n"
	"       acme-delegate backup --check INPUT\n"
	"\n"
	"Writes the whole store of one moment to a file: delegates, keys, values, deleted\n"
	"labels, tokens, evidence and events. \"-\" is standard output or input. The server\n"
	"may be running. \"acme-delegate restore\" reads it.\n"
	"\n"
	"  -c, --config FILE  the configuration, which names the store" OPTIONS_DEFAULT
	"      --check INPUT  read such a file and check its digest and every entry in\n"
	"                     it; needs room for a copy in $TMPDIR (default /var/tmp)\n"
	"  -h, --help         this text\n"
	"\n"
	"OUTPUT has its name only when it is whole and on the disk; a file of that name\n"
	"is replaced then.\n"
	"Exit status: 0 when all is well, 1 when something is not, 2 for a wrong option\n"
	"or configuration.\n";

int cmd_backup(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"check", required_argument, NULL, 'C'}, {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	const char *file = NULL, *check = NULL;
	for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		if (o == 'c') {
			file = optarg;
		} else if (o == 'C') {
			check = optarg;
		} else {
			fputs(usage, o == 'h' ? stdout : stderr);
			return o == 'h' ? APP_OK : APP_USAGE;
		}
	}
	if (argc - optind != (check ? 0 : 1)) {
		fputs("acme-delegate backup: one OUTPUT is needed, or --check INPUT\n", stderr);
		return APP_USAGE;
	}
	return check ? app_backup_check(check) : app_backup(options_file(file), argv[optind]);
}
