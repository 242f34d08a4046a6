// SPDX-License-Identifier: GPL-3.0-or-later
/* What the subcommands share. */
#pragma once

enum { OPTIONS_GO_ON = -1 };

/* Reads -c FILE (*file, else NULL) and -h; optind is then at the first argument. OPTIONS_GO_ON, or the exit
 * status: help was shown, or an option is unknown. */
int options_read(int argc, char **argv, const char *usage, const char **file);
