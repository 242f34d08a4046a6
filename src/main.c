// SPDX-License-Identifier: GPL-3.0-or-later
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "version.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{"serve", cmd_serve, "run the server"},
	{"init", cmd_init, "write a first configuration, by asking"},
	{"config", cmd_config, "check, print or start a configuration"},
	{"status", cmd_status, "how the running server is"},
	{"events", cmd_events, "what was asked of it, by whom, and how it ended"},
	{"delegate", cmd_delegate, "add, list, show, change and remove delegates"},
	{"key", cmd_key, "add, rotate and revoke keys"},
	{"token", cmd_token, "add, list and revoke registration tokens"},
	{"import", cmd_import, "read delegates from a file into the store"},
	{"backup", cmd_backup, "write the whole store to a file, or check such a file"},
	{"restore", cmd_restore, "put such a file in the place of the store"},
	{"store", cmd_store, "check the whole store for damage"},
	{"export", cmd_export, "write the delegates of the store to a file"},
};

static void help(FILE *to)
{
	fputs("acme-delegate answers ACME DNS-01 challenges on behalf of other domains.\n"
	      "\n"
	      "Usage: acme-delegate COMMAND [OPTION...]\n"
	      "\n",
		to);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\n"
	      "  --help     this text; \"acme-delegate COMMAND --help\" says more\n"
	      "  --version  the version\n",
		to);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (strcmp(name, "--version") == 0) {
		puts("acme-delegate " VERSION);
		return 0;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		help(stdout);
		return 0;
	}
	if (*name)
		fprintf(stderr, "acme-delegate: there is no command \"%s\"\n\n", name);
	help(stderr);
	return 2;
}
