// SPDX-License-Identifier: GPL-3.0-or-later
#include <getopt.h>
#include <stdio.h>

#include "app/app.h"
#include "cmd/cmd.h"
#include "cmd/internal.h"

static const char usage[] =
	"Usage: acme-delegate restore [-c FILE] INPUT\n"
	"\n"
	"Puts what \"acme-delegate backup\" wrote in the place of the store. INPUT \"-\" is\n"
	"standard input. The server must not be running. Digest and every entry are\n"
	"checked first, and if anything is wrong nothing is changed. The store there was\n"
	"is kept beside the new one, as data.mdb.before-restore.\n"
	"\n"
	"  -c, --config FILE  the configuration, which names the store" OPTIONS_DEFAULT
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0 when the store is restored, 1 when it is not, 2 for a wrong\n"
	"option or configuration.\n";

int cmd_restore(int argc, char **argv)
{
	const char *file;
	int status = options_read(argc, argv, usage, &file);
	if (status != OPTIONS_GO_ON)
		return status;
	if (argc - optind != 1) {
		fputs("acme-delegate restore: one INPUT is needed; \"-\" is standard input\n", stderr);
		return APP_USAGE;
	}
	return app_restore(options_file(file), argv[optind]);
}
