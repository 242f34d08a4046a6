// SPDX-License-Identifier: GPL-3.0-or-later
/* What a person can ask the binary to do: one function per subcommand, one file each. They get the arguments
 * from the subcommand's name on, print, and return the exit status: 0, 1 (failed) or 2 (wrong usage or
 * configuration). */
#pragma once

int cmd_serve(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_delegate(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_backup(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_store(int argc, char **argv);
