// SPDX-License-Identifier: GPL-3.0-or-later
#include <getopt.h>
#include <stdio.h>

#include "app/app.h"
#include "cmd/cmd.h"
#include "cmd/internal.h"

static const char usage[] =
	"Usage: acme-delegate serve [-c FILE]\n"
	"\n"
	"Runs the server in the foreground. Where there is no configuration it runs a\n"
	"local instance for trying out: the zone auth.test, on loopback addresses and\n"
	"unprivileged ports only.\n"
	"\n"
	"  -c, --config FILE  the configuration (default:\n"
	"                     /etc/acme-delegate/acme-delegate.yaml if that can be read);\n"
	"                     \"acme-delegate init\" writes one\n"
	"  -h, --help         this text\n"
	"\n"
	"SIGTERM and SIGINT finish what is under way and stop; SIGHUP reads configuration\n"
	"and certificate again.\n";

int cmd_serve(int argc, char **argv)
{
	const char *file;
	int status = options_read(argc, argv, usage, &file);
	if (status != OPTIONS_GO_ON)
		return status;
	if (optind < argc) {
		fprintf(stderr,
			"acme-delegate serve: \"%s\" is one argument too many; the configuration goes after -c\n",
			argv[optind]);
		return APP_USAGE;
	}
	return app_serve(options_file(file));
}
