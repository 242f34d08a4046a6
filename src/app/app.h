// SPDX-License-Identifier: GPL-3.0-or-later
/* The server as a whole: the only room that knows all rooms. Supervisor, children, privileges, sandbox. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "conf/conf.h"
#include "ipc/messages.h"
#include "util/diag.h"
#include "util/error.h"

/* Exit status of the program. */
enum { APP_OK = 0, APP_FAILED = 1, APP_USAGE = 2 };

/* Loads `file` (NULL: the built-in local instance) and checks all that can be checked without touching
 * anything: syntax, values, zones and their records. Problems go to `d`. ERR_INVALID: see `d`. ERR_NOMEM. */
int app_load(const char *file, struct diag *d, struct conf **out) MUST_USE;

/* Writes a .socket unit of systemd with all sockets that the configuration asks for, and which belongs to
 * acme-delegate.service; `file` (may be NULL) is where the configuration is. */
void app_print_socket_unit(const struct conf *c, const char *file, FILE *to);

/* Runs the server in the foreground until SIGTERM or SIGINT. Problems that keep it from starting are printed
 * on standard error, one line each. Returns the exit status: APP_OK after an orderly stop, APP_USAGE when it
 * could not start, APP_FAILED when it had to give up. In a child process it returns that child's exit status.
 */
int app_serve(const char *file);

struct app_import {
	const char *file;              /* configuration; NULL: the local instance */
	const char *input;             /* "-": standard input; NULL: an acme-dns database: */
	const char *sqlite, *postgres; /* a file or a connection URL, the other one NULL */
	const char *zone;              /* of the configuration; NULL: its only one */
	bool dry;                      /* say what would be imported; the server may be running */
	const char *folder;            /* for temporary files; NULL: the store's */
	size_t memory;                 /* bytes to sort in */
	bool keep_going;               /* import what is good although there are bad lines */
};

enum { APP_IMPORT_MEMORY = 256 << 20, APP_IMPORT_MEMORY_MIN = 8 << 20 };

/* Reads delegates from a file into the store (doc/data-format.md), as the account the server runs as and only
 * while it is not running. Prints what is wrong and a summary on standard error, and progress if that is a
 * terminal. Returns the exit status: APP_FAILED also when bad lines were left out. */
int app_import(const struct app_import *i);

/* Writes all delegates of the store to a file ("-": standard output). The server may be running. Returns the
 * exit status: APP_FAILED also when delegates had to be left out. */
int app_export(const char *file, const char *output);

/* ---- asking a running server ---- */

struct app_admin;

/* Connects to the admin socket: `socket`, or that of the configuration `file`. NULL both: the local instance,
 * or if none runs CONF_ADMIN_SOCKET. Says on standard error what keeps it from that. Returns APP_OK or the
 * exit status. */
int app_admin_open(const char *file, const char *socket, struct app_admin **out);
void app_admin_close(struct app_admin **a); /* accepts NULL inside; sets it to NULL */

/* The configuration; NULL where it is not known: `file` was not given, and it is not the local instance. */
const struct conf *app_admin_conf(const struct app_admin *a);

/* Asks, as the operator, and waits for the reply, also through a restart of the keeper; `q` is wiped. OK:
 * there is a reply, which may be a refusal. ERR_CLOSED: the server has gone, or does not answer. ERR_AGAIN:
 * `stop` (a descriptor, or -1) became readable meanwhile. */
int app_admin_ask(struct app_admin *a, struct ipc_request *q, int stop, struct ipc_reply *out) MUST_USE;

/* ---- backups ---- */

/* Writes the store, while the server may be running, to one file with a digest of it ("-": standard output; a
 * file takes its name when it is whole). Returns the exit status. */
int app_backup(const char *file, const char *output);
/* Checks such a file ("-": standard input) to the last entry, and writes nothing. */
int app_backup_check(const char *input);
/* Checks such a file and then puts it in the place of the store, which is kept beside it. The server must not
 * be running. */
int app_restore(const char *file, const char *input);

/* Reads the whole store, and says all that is damaged of it. The server may be running. Returns the exit
 * status. */
int app_store_check(const char *file);

/* SIGINT and SIGTERM become readable on a descriptor, so that what was begun can be brought to an end; the
 * caller closes it. A file that may not grow is then an error, not a signal. -1: errno says why. */
int app_interrupt_open(void) MUST_USE;
