// SPDX-License-Identifier: GPL-3.0-or-later
/* What the subcommands share. */
#pragma once

enum { OPTIONS_GO_ON = -1 };

/* In a usage text, behind what -c is. */
#define OPTIONS_DEFAULT                                                                                      \
	"\n"                                                                                                 \
	"                     (default: /etc/acme-delegate/acme-delegate.yaml, or else\n"                    \
	"                     the local instance)\n"

/* Reads -c FILE (*file, else NULL) and -h; optind is then at the first argument. OPTIONS_GO_ON, or the exit
 * status: help was shown, or an option is unknown. */
int options_read(int argc, char **argv, const char *usage, const char **file);

/* The configuration to use: the one that was named, or that of the machine if this account can read it; or
 * else NULL, the local instance. */
const char *options_file(const char *named);
