// SPDX-License-Identifier: GPL-3.0-or-later
/* Import and export as a person runs them: configuration, files, privileges, lock, what is said meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/internal.h"
#include "bulk/acmedns.h"
#include "bulk/bulk.h"
#include "util/clock.h"
#include "util/text.h"

enum { BAD_SHOWN = 20 };

_Static_assert((int)APP_IMPORT_MEMORY_MIN == (int)BULK_MEMORY_MIN, "the command line says what is needed");

/* What an import or export keeps open. */
struct transfer {
	struct conf *conf;
	struct diag *d;
	struct store *store;
	struct acmedns *acmedns; /* what is imported from, or NULL */
	struct bulk_zone *zones;
	size_t zone_count;
	const char *name; /* of input or output, for messages */
	int fd, lock, stop;
	bool named; /* not standard input or output */
	struct progress progress;
	uint64_t bad;
};

/* ---- saying ---- */

static void show_progress(void *ctx, enum bulk_phase phase, uint64_t done, uint64_t total)
{
	static const char *const doing[] = {"read", "checked", "written"};
	struct transfer *t = ctx;
	progress_show(&t->progress, doing[phase], "", done, total);
}

static void show_bad(void *ctx, uint64_t line, const char *why)
{
	struct transfer *t = ctx;
	progress_clear(&t->progress);
	t->bad++;
	if (t->bad <= BAD_SHOWN && t->acmedns)
		fprintf(stderr, "%s: row %llu: %s\n", t->name, (unsigned long long)line, why);
	else if (t->bad <= BAD_SHOWN && line)
		fprintf(stderr, "%s:%llu: %s\n", t->name, (unsigned long long)line, why);
	else if (t->bad <= BAD_SHOWN)
		fprintf(stderr, "%s: %s\n", t->conf->store_path, why);
	else if (t->bad == BAD_SHOWN + 1)
		fputs("... more of them are counted, not shown\n", stderr);
}

/* ---- what both need ---- */

static int start_transfer(struct transfer *t, const char *file, const char *name)
{
	*t = (struct transfer){.fd = -1, .lock = -1, .stop = -1, .name = name, .progress = progress_begin()};
	t->d = diag_new();
	int rc = t->d ? app_load(file, t->d, &t->conf) : ERR_NOMEM;
	if (rc)
		return rc;
	t->stop = app_interrupt_open();
	return t->stop < 0 ? ERR_SYSTEM : OK;
}

/* Loads the configuration and opens the file (NULL: none), while there are still the rights to. */
static int open_transfer(struct transfer *t, const char *file, const char *path, int flags)
{
	if (!path)
		return start_transfer(t, file, "acme-dns");
	bool standard = strcmp(path, "-") == 0, reading = flags == O_RDONLY;
	int rc = start_transfer(t, file, standard ? (reading ? "standard input" : "standard output") : path);
	if (rc)
		return rc;
	t->named = !standard;
	t->fd = standard ? dup(reading ? STDIN_FILENO : STDOUT_FILENO) : open(path, flags | O_CLOEXEC, 0600);
	if (t->fd >= 0)
		return OK;
	diag_error(t->d, t->name, 0, "cannot open it: %s", strerror(errno));
	return ERR_SYSTEM;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Says what went wrong if that was not said yet. Returns the exit status. */
static int close_transfer(struct transfer *t, int rc, const char *what)
{
	progress_clear(&t->progress);
	store_close(&t->store);
	acmedns_close(&t->acmedns);
	close_fd(&t->fd);
	close_fd(&t->lock);
	close_fd(&t->stop);
	free(t->zones);
	if (t->d)
		diag_print(t->d, stderr);
	if (rc && (!t->d || !diag_errors(t->d)))
		fprintf(stderr, "%s: %s\n", what, error_text(rc));
	int status = !rc ? APP_OK : t->conf ? APP_FAILED : APP_USAGE;
	conf_free(&t->conf);
	diag_free(&t->d);
	return status;
}

/* ---- import ---- */

/* Gives the zones their ids as a start of the server does, and opens the store. */
static int open_for_import(struct transfer *t)
{
	struct settings s = {.conf = t->conf};
	int rc = privileges_drop(t->conf, t->d);
	rc = rc ? rc : store_lock(t->conf, t->d, &t->lock);
	rc = rc ? rc : settings_bind_store(&s, true, t->d);
	t->zones = rc ? NULL : calloc(t->conf->zone_count, sizeof *t->zones);
	if (!rc && !t->zones)
		rc = ERR_NOMEM;
	for (; !rc && t->zone_count < t->conf->zone_count; t->zone_count++)
		t->zones[t->zone_count] = (struct bulk_zone){
			t->conf->zones[t->zone_count].name, s.keeper_zones[t->zone_count].id};
	s.conf = NULL; /* stays ours */
	settings_free(&s);
	return rc ? rc : store_open(t->conf->store_path, STORE_WRITE, t->d, &t->store);
}

/* For a dry run: what is there is read, and what is not there is not made. */
static int open_for_dry_run(struct transfer *t)
{
	int rc = privileges_drop_to_read(t->conf, t->d);
	if (rc)
		return rc;
	struct diag *unused = diag_new(); /* that there is no store yet is no error here */
	rc = unused ? store_open(t->conf->store_path, STORE_READ, unused, &t->store) : ERR_NOMEM;
	if (unused && rc && rc != ERR_NOTFOUND)
		diag_print(unused, stderr);
	diag_free(&unused);
	if (rc && rc != ERR_NOTFOUND)
		return rc;
	t->zones = calloc(t->conf->zone_count, sizeof *t->zones);
	rc = t->zones ? OK : ERR_NOMEM;
	struct store_snapshot *v = NULL;
	if (!rc && t->store)
		rc = store_snapshot_new(t->store, &v);
	rc = rc || !v ? rc : store_snapshot_renew(v);
	for (; !rc && t->zone_count < t->conf->zone_count; t->zone_count++) {
		struct bulk_zone *z = &t->zones[t->zone_count];
		/* A number that no zone of the store has: they are given out from below. */
		*z = (struct bulk_zone){
			t->conf->zones[t->zone_count].name, (uint16_t)(UINT16_MAX - t->zone_count)};
		rc = v ? delegate_zone_find(v, z->name, &z->id) : OK;
		rc = rc == ERR_NOTFOUND ? OK : rc;
	}
	store_snapshot_free(&v);
	return rc;
}

/* Which zone of the configuration acme-dns's accounts go to; NULL: not said, or not there. */
static const struct conf_zone *find_zone(struct transfer *t, const char *name)
{
	const struct conf *c = t->conf;
	for (size_t i = 0; name && i < c->zone_count; i++)
		if (strcmp(c->zones[i].name, name) == 0)
			return &c->zones[i];
	if (!name && c->zone_count == 1)
		return &c->zones[0];
	if (name)
		diag_error(t->d, c->file, 0, "the configuration has no zone \"%s\"", name);
	else
		diag_error(
			t->d, c->file, 0, "there are several zones; say with --zone which one acme-dns has");
	return NULL;
}

/* Opens the database while there are still the rights to. */
static int open_acmedns(struct transfer *t, const struct app_import *i, struct acmedns_settings *settings)
{
	const struct conf_zone *z = find_zone(t, i->zone);
	if (!z)
		return ERR_INVALID;
	t->name = i->sqlite ? i->sqlite : "PostgreSQL";
	*settings = (struct acmedns_settings){z->name, clock_wall_ms(), clock_wall_ms() + z->value_lifetime};
	return acmedns_open(i->sqlite, i->postgres, t->d, &t->acmedns);
}

static void explain_import(struct transfer *t, int rc, const struct bulk_import_result *n, const char *folder)
{
	const char *store = t->conf->store_path;
	const char *left = n->writing ? "what was imported stays, and the same import run again completes it"
				      : "nothing was imported";
	char bad[PROGRESS_NUMBER];
	if (rc == ERR_INVALID && t->acmedns)
		diag_error(t->d, t->name, 0,
			"%s bad row%s, so nothing was imported; correct them in acme-dns's database, or leave "
			"them out with --keep-going",
			progress_number(n->bad, bad), n->bad == 1 ? "" : "s");
	else if (rc == ERR_INVALID)
		diag_error(t->d, t->name, 0,
			"%s bad line%s, so nothing was imported; correct them, or leave them out with --keep-going",
			progress_number(n->bad, bad), n->bad == 1 ? "" : "s");
	else if (rc == ERR_FORMAT)
		diag_error(t->d, t->name, 1,
			"written by a newer version in a format this one does not know; %s", left);
	else if (rc == ERR_CLOSED)
		diag_error(t->d, NULL, 0, "interrupted; %s", left);
	else if (rc == ERR_FULL && n->writing)
		diag_error(t->d, store, 0, "the disk is full or refuses writes; %s", left);
	else if (rc == ERR_FULL)
		diag_error(t->d, folder, 0,
			"no room for temporary files, %s; make room, or name another folder with --tmpdir",
			left);
	else if (rc == ERR_SYSTEM && n->unreadable && t->acmedns)
		diag_error(t->d, t->name, 0, "cannot read it: %s; %s", acmedns_error(t->acmedns), left);
	else if (rc == ERR_SYSTEM && n->unreadable)
		diag_error(t->d, t->name, 0, "cannot read it: %s; %s", strerror(errno), left);
	else if (rc == ERR_SYSTEM)
		diag_error(t->d, folder, 0, "cannot use temporary files here: %s; %s", strerror(errno), left);
	else if (rc)
		diag_error(t->d, store, 0, "%s; %s", error_text(rc), left);
}

/* "imported 3 delegates, 2 already there, 0 bad lines, 1 s", and what is seldom only where it is not 0. */
static void summarize_import(struct transfer *t, const struct bulk_import_result *n, bool dry)
{
	char a[PROGRESS_NUMBER], b[PROGRESS_NUMBER], c[PROGRESS_NUMBER], d[PROGRESS_NUMBER],
		e[PROGRESS_NUMBER];
	progress_clear(&t->progress);
	fprintf(stderr, "%s %s delegate%s", dry ? "would import" : "imported",
		progress_number(n->imported, a), n->imported == 1 ? "" : "s");
	if (n->deleted)
		fprintf(stderr, " and %s deleted label%s", progress_number(n->deleted, d),
			n->deleted == 1 ? "" : "s");
	fprintf(stderr, ", %s already there", progress_number(n->there, b));
	if (n->gone)
		fprintf(stderr, ", %s deleted here and left so", progress_number(n->gone, e));
	fprintf(stderr, ", %s bad %s%s, %lld s\n", progress_number(n->bad, c), t->acmedns ? "row" : "line",
		n->bad == 1 ? "" : "s", progress_seconds(&t->progress));
}

static int import_lines(struct transfer *t, const struct app_import *i,
	const struct acmedns_settings *acmedns, struct bulk_import_result *n)
{
	struct bulk_source source;
	if (t->acmedns)
		source = acmedns_source(t->acmedns, acmedns);
	const struct bulk_import_settings settings = {
		.input = t->fd,
		.source = t->acmedns ? &source : NULL,
		.dry = i->dry,
		.zones = t->zones,
		.zone_count = t->zone_count,
		.folder = i->folder ? i->folder
			  : i->dry  ? "/var/tmp"
				    : t->conf->store_path,
		.memory = i->memory,
		.keep_going = i->keep_going,
		.now = clock_wall_ms(),
		.stop = t->stop,
		.watcher = {t, show_progress, show_bad},
	};
	int rc = bulk_import(t->store, &settings, n);
	explain_import(t, rc, n, settings.folder);
	if (n->writing || (i->dry && !rc))
		summarize_import(t, n, i->dry);
	return rc;
}

int app_import(const struct app_import *i)
{
	struct transfer t;
	struct acmedns_settings acmedns = {.zone = NULL};
	struct bulk_import_result n = {.bad = 0};
	int rc = open_transfer(&t, i->file, i->input, O_RDONLY);
	if (!rc && !i->input)
		rc = open_acmedns(&t, i, &acmedns);
	rc = rc ? rc : i->dry ? open_for_dry_run(&t) : open_for_import(&t);
	rc = rc ? rc : import_lines(&t, i, &acmedns, &n);
	int status = close_transfer(&t, rc, "cannot import");
	return status ? status : n.bad ? APP_FAILED : APP_OK;
}

/* ---- export ---- */

/* The zones of the configuration that have an id; the others have no delegates. */
static int find_zones(struct transfer *t)
{
	struct store_snapshot *v;
	t->zones = calloc(t->conf->zone_count, sizeof *t->zones);
	if (!t->zones)
		return ERR_NOMEM;
	int rc = store_snapshot_new(t->store, &v);
	if (rc)
		return rc;
	rc = store_snapshot_renew(v);
	for (size_t i = 0; !rc && i < t->conf->zone_count; i++) {
		struct bulk_zone *z = &t->zones[t->zone_count];
		z->name = t->conf->zones[i].name;
		rc = delegate_zone_find(v, z->name, &z->id);
		t->zone_count += !rc;
		rc = rc == ERR_NOTFOUND ? OK : rc;
	}
	store_snapshot_free(&v);
	return rc;
}

static int open_for_export(struct transfer *t)
{
	int rc = privileges_drop_to_read(t->conf, t->d);
	rc = rc ? rc : store_open(t->conf->store_path, STORE_READ, t->d, &t->store);
	rc = rc ? rc : find_zones(t);
	/* Only now: what was in the file is not lost to a store that cannot be opened. */
	if (!rc && t->named && ftruncate(t->fd, 0) && errno != EINVAL) {
		diag_error(t->d, t->name, 0, "cannot write it: %s", strerror(errno));
		rc = ERR_SYSTEM;
	}
	return rc;
}

/* A copy that is to outlive the store is worth waiting for the disk. Pipes have none. */
static int finish_output(struct transfer *t)
{
	return fdatasync(t->fd) && errno != EINVAL && errno != EROFS ? ERR_SYSTEM : OK;
}

static void explain_export(struct transfer *t, int rc, const struct bulk_export_result *n)
{
	char a[PROGRESS_NUMBER];
	if (rc == ERR_CLOSED)
		diag_error(t->d, t->name, 0, "interrupted; what was written is not complete");
	else if (rc == ERR_SYSTEM)
		diag_error(t->d, t->name, 0, "cannot write it: %s", strerror(errno));
	else if (rc)
		diag_error(t->d, t->conf->store_path, 0, "%s", error_text(rc));
	if (!rc && n->nameless)
		diag_error(t->d, t->conf->store_path, 0,
			"%s delegate%s left out: the configuration does not name the zone",
			progress_number(n->nameless, a), n->nameless == 1 ? " was" : "s were");
	if (!rc && n->damaged)
		diag_error(t->d, t->conf->store_path, 0, "%s damaged record%s left out",
			progress_number(n->damaged, a), n->damaged == 1 ? " was" : "s were");
}

static void summarize_export(struct transfer *t, const struct bulk_export_result *n)
{
	char a[PROGRESS_NUMBER], b[PROGRESS_NUMBER];
	fprintf(stderr, "exported %s delegate%s", progress_number(n->exported, a),
		n->exported == 1 ? "" : "s");
	if (n->deleted)
		fprintf(stderr, " and %s deleted label%s", progress_number(n->deleted, b),
			n->deleted == 1 ? "" : "s");
	fprintf(stderr, ", %lld s\n", progress_seconds(&t->progress));
}

int app_export(const char *file, const char *output)
{
	struct transfer t;
	struct bulk_export_result n = {.exported = 0};
	int rc = open_transfer(&t, file, output, O_WRONLY | O_CREAT);
	rc = rc ? rc : open_for_export(&t);
	if (!rc) {
		const struct bulk_export_settings settings = {
			.output = t.fd,
			.zones = t.zones,
			.zone_count = t.zone_count,
			.now = clock_wall_ms(),
			.stop = t.stop,
			.watcher = {&t, show_progress, show_bad},
		};
		rc = bulk_export(t.store, &settings, &n);
		rc = rc ? rc : finish_output(&t);
		progress_clear(&t.progress);
		explain_export(&t, rc, &n);
		if (!rc)
			summarize_export(&t, &n);
	}
	int status = close_transfer(&t, rc, "cannot export");
	return status ? status : n.nameless || n.damaged ? APP_FAILED : APP_OK;
}
