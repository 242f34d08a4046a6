// SPDX-License-Identifier: GPL-3.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "cmd/cmd.h"
#include "cmd/internal.h"

static const char usage[] =
	"Usage: acme-delegate import [OPTION...] INPUT\n"
	"       acme-delegate import [OPTION...] acme-dns --sqlite FILE\n"
	"       acme-delegate import [OPTION...] acme-dns --postgres URL\n"
	"\n"
	"Reads delegates with their keys and values, one JSON object a line as\n"
	"\"acme-delegate export\" writes them, into the store of the configuration. INPUT\n"
	"\"-\" is standard input. The server must not be running.\n"
	"\n"
	"  -c, --config FILE    the configuration, which names the store and the zones\n"
	"                       (default: /etc/acme-delegate/acme-delegate.yaml, or\n"
	"                       else the local instance)\n"
	"  -k, --keep-going     leave bad lines out instead of importing nothing because\n"
	"                       of them\n"
	"  -m, --memory MIB     memory to sort in, 8 to 65536 (default 256)\n"
	"  -t, --tmpdir FOLDER  for temporary files (default: the store's folder); they\n"
	"                       take a bit less than the input, and the account the\n"
	"                       server runs as must be able to write there\n"
	"  -n, --dry-run        say what would be imported, and write nothing; the server\n"
	"                       may be running\n"
	"  -h, --help           this text\n"
	"\n"
	"Accounts of acme-dns, with their keys, networks and values, while acme-dns goes\n"
	"on running:\n"
	"      --sqlite FILE    its database file (connection = ... in its config.cfg)\n"
	"      --postgres URL   postgres://USER@HOST:PORT/DATABASE; every account of the\n"
	"                       machine can see a password in it, so set PGPASSWORD or\n"
	"                       write it to ~/.pgpass instead\n"
	"  -z, --zone ZONE      the zone they belong to, if the configuration has several\n"
	"\n"
	"All lines are checked before anything is written; the first 20 that are bad are\n"
	"shown. A delegate that exists stays as it is. An import that was interrupted is\n"
	"completed by running it again.\n"
	"Exit status: 0 when all is imported, 1 when something is not, 2 for a wrong\n"
	"option or configuration.\n";

enum { MIB_MIN = APP_IMPORT_MEMORY_MIN >> 20, MIB_MAX = 65536 };

static int read_memory(const char *text, size_t *out)
{
	char *end;
	unsigned long mib = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || mib < MIB_MIN || mib > MIB_MAX) {
		fprintf(stderr, "acme-delegate import: --memory: \"%s\" is not a number from %d to %d\n",
			text, MIB_MIN, MIB_MAX);
		return APP_USAGE;
	}
	*out = (size_t)mib << 20;
	return OPTIONS_GO_ON;
}

/* OPTIONS_GO_ON or an exit status. */
static int read_option(int o, struct app_import *i)
{
	switch (o) {
	case 'c':
		i->file = optarg;
		return OPTIONS_GO_ON;
	case 'k':
		i->keep_going = true;
		return OPTIONS_GO_ON;
	case 'm':
		return read_memory(optarg, &i->memory);
	case 'n':
		i->dry = true;
		return OPTIONS_GO_ON;
	case 'z':
		i->zone = optarg;
		return OPTIONS_GO_ON;
	case 'S':
		i->sqlite = optarg;
		return OPTIONS_GO_ON;
	case 'P':
		i->postgres = optarg;
		return OPTIONS_GO_ON;
	case 't':
		i->folder = optarg;
		return OPTIONS_GO_ON;
	default:
		fputs(usage, o == 'h' ? stdout : stderr);
		return o == 'h' ? APP_OK : APP_USAGE;
	}
}

/* A file of the name "acme-dns" is read as ./acme-dns. */
static bool choose_input(const char *name, struct app_import *i)
{
	bool acmedns = strcmp(name, "acme-dns") == 0;
	i->input = acmedns ? NULL : name;
	if (acmedns && !i->sqlite == !i->postgres) {
		fputs("acme-delegate import acme-dns: one of --sqlite FILE and --postgres URL is needed\n",
			stderr);
		return false;
	}
	if (!acmedns && (i->sqlite || i->postgres || i->zone)) {
		fputs("acme-delegate import: --sqlite, --postgres and --zone are for \"import acme-dns\"\n",
			stderr);
		return false;
	}
	return true;
}

int cmd_import(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"keep-going", no_argument, NULL, 'k'}, {"memory", required_argument, NULL, 'm'},
		{"tmpdir", required_argument, NULL, 't'}, {"dry-run", no_argument, NULL, 'n'},
		{"zone", required_argument, NULL, 'z'}, {"sqlite", required_argument, NULL, 'S'},
		{"postgres", required_argument, NULL, 'P'}, {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	struct app_import i = {.memory = APP_IMPORT_MEMORY};
	for (int o; (o = getopt_long(argc, argv, "c:km:t:nz:h", options, NULL)) != -1;) {
		int status = read_option(o, &i);
		if (status != OPTIONS_GO_ON)
			return status;
	}
	if (argc - optind != 1) {
		fputs("acme-delegate import: one INPUT is needed; \"-\" is standard input\n", stderr);
		return APP_USAGE;
	}
	if (!choose_input(argv[optind], &i))
		return APP_USAGE;
	i.file = options_file(i.file);
	return app_import(&i);
}
