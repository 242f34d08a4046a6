// SPDX-License-Identifier: GPL-3.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "cmd/cmd.h"
#include "cmd/internal.h"

static const char usage[] = "Usage: acme-delegate config check [[-c] FILE]\n"
			    "       acme-delegate config print [[-c] FILE]\n"
			    "       acme-delegate config sockets [[-c] FILE]\n"
			    "       acme-delegate config sample\n"
			    "       acme-delegate config man\n"
			    "\n"
			    "  check    says everything that is wrong with a configuration\n"
			    "  print    the configuration in force, defaults included\n"
			    "  sockets  a .socket unit for systemd, with the addresses of a configuration;\n"
			    "           the package makes it with each \"systemctl daemon-reload\"\n"
			    "  sample   a commented configuration to start from\n"
			    "  man      the manual page of the configuration file\n"
			    "\n"
			    "  -c, --config FILE  the configuration (default:\n"
			    "                     /etc/acme-delegate/acme-delegate.yaml, or else, for\n"
			    "                     \"print\", the local instance)\n"
			    "  -h, --help         this text\n"
			    "\n"
			    "Exit status: 0 when the configuration is good, 2 when it is not.\n";

/* Loads and reports; *out is NULL when it is bad. */
static int load(const char *file, struct conf **out)
{
	struct diag *d = diag_new();
	int rc = d ? app_load(file, d, out) : ERR_NOMEM;
	if (d)
		diag_print(d, stderr);
	if (rc && (!d || !diag_errors(d)))
		fprintf(stderr, "%s: %s\n", file ? file : "configuration", error_text(rc));
	diag_free(&d);
	return rc;
}

static int check(const char *file)
{
	struct conf *c = NULL;
	if (!file) {
		fputs("acme-delegate config: there is no " CONF_SYSTEM_FILE
		      " that can be read; name a file\n",
			stderr);
		return APP_USAGE;
	}
	int rc = load(file, &c);
	if (!rc)
		printf("%s: the configuration is good (%zu zone%s)\n", file, c->zone_count,
			c->zone_count == 1 ? "" : "s");
	conf_free(&c);
	return rc ? APP_USAGE : APP_OK;
}

static int print(const char *file)
{
	struct conf *c = NULL;
	int rc = load(file, &c);
	if (!rc)
		conf_print(c, stdout);
	conf_free(&c);
	return rc ? APP_USAGE : APP_OK;
}

static int sockets(const char *file)
{
	struct conf *c = NULL;
	int rc = load(file, &c);
	if (!rc)
		app_print_socket_unit(c, file, stdout);
	conf_free(&c);
	return rc || fflush(stdout) ? APP_USAGE : APP_OK;
}

int cmd_config(int argc, char **argv)
{
	const char *file;
	int status = options_read(argc, argv, usage, &file);
	if (status != OPTIONS_GO_ON)
		return status;
	const char *what = optind < argc ? argv[optind++] : "";
	if (!file && optind < argc)
		file = argv[optind++];
	if (optind == argc && strcmp(what, "check") == 0)
		return check(options_file(file));
	if (optind == argc && strcmp(what, "print") == 0)
		return print(options_file(file));
	if (optind == argc && strcmp(what, "sockets") == 0)
		return sockets(options_file(file));
	if (optind == argc && !file && strcmp(what, "sample") == 0) {
		conf_print_sample(stdout);
		return APP_OK;
	}
	if (optind == argc && !file && strcmp(what, "man") == 0) {
		conf_print_manual(stdout);
		return APP_OK;
	}
	fputs(usage, stderr);
	return APP_USAGE;
}
