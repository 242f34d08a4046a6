// SPDX-License-Identifier: GPL-3.0-or-later
/* What "backup" wrote, checked, and put in the place of the store. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/internal.h"
#include "bulk/bulk.h"
#include "util/cursor.h"
#include "util/secure.h"
#include "util/text.h"

enum { BLOCK = 1 << 16, PATH = 4096, OLD_STORES = 100 };

/* A backup being read into a folder of its own. */
struct restoring {
	struct diag *d;
	const char *name; /* of the input */
	int in, stop;
	uint64_t total; /* octets of the input; 0: not known */
	struct progress progress;
	char folder[PATH], image[PATH], lock[PATH];
	uint8_t tail[BACKUP_TRAILER + BLOCK]; /* its last bytes may be the trailer */
	size_t held;
	struct bulk_counts counts;
};

static int refuse(struct restoring *r, const char *why)
{
	diag_error(r->d, r->name, 0, "%s; nothing was changed", why);
	return ERR_INVALID;
}

/* ---- reading ---- */

/* Gives on what cannot be the trailer any more. */
static int pass_on(struct restoring *r, int out, struct secure_hash *h, uint64_t *size)
{
	size_t len = r->held > BACKUP_TRAILER ? r->held - BACKUP_TRAILER : 0;
	int rc = len ? secure_hash_add(h, r->tail, len) : OK;
	rc = rc || !len ? rc : backup_write(out, r->stop, r->tail, len);
	memmove(r->tail, r->tail + len, r->held - len);
	r->held -= len;
	*size += len;
	progress_show(&r->progress, "read", " MiB", *size >> 20, r->total >> 20);
	if (rc && rc != ERR_CLOSED)
		diag_error(r->d, r->folder, 0, "cannot write here: %s; nothing was changed", strerror(errno));
	return rc;
}

static int copy_image(struct restoring *r, int out, struct secure_hash *h, uint64_t *size)
{
	for (int rc;;) {
		if (interrupt_wait(r->stop, r->in, POLLIN))
			return ERR_CLOSED;
		ssize_t n = read(r->in, r->tail + r->held, sizeof r->tail - r->held);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			diag_error(
				r->d, r->name, 0, "cannot read it: %s; nothing was changed", strerror(errno));
			return ERR_SYSTEM;
		}
		if (n == 0)
			return OK;
		r->held += (size_t)n;
		if ((rc = pass_on(r, out, h, size)))
			return rc;
	}
}

static int check_trailer(struct restoring *r, uint64_t size, const uint8_t digest[static SECURE_DIGEST_SIZE])
{
	struct reader t = reader_over(r->tail, r->held);
	const uint8_t *magic = read_bytes(&t, sizeof BACKUP_MAGIC - 1);
	uint32_t format = read_u32(&t);
	uint64_t noted = read_u64(&t);
	const uint8_t *expected = read_bytes(&t, SECURE_DIGEST_SIZE);
	if (!magic || !expected || memcmp(magic, BACKUP_MAGIC, sizeof BACKUP_MAGIC - 1) != 0)
		return refuse(r, "not a backup, or not all of it");
	if (format != BACKUP_FORMAT)
		return refuse(r, "written by a newer version in a format this one does not know, or damaged");
	if (noted != size || !secure_equal(expected, digest, SECURE_DIGEST_SIZE))
		return refuse(r, "damaged: its content is not what was written");
	return OK;
}

/* The image becomes r->image. */
static int read_image(struct restoring *r)
{
	uint8_t digest[SECURE_DIGEST_SIZE];
	struct secure_hash *h = NULL;
	uint64_t size = 0;
	int out = open(r->image, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc = out < 0 ? ERR_SYSTEM : secure_hash_new(&h);
	if (rc)
		diag_error(r->d, r->folder, 0, "cannot write here: %s", strerror(errno));
	rc = rc ? rc : copy_image(r, out, h, &size);
	secure_hash_end(&h, digest);
	rc = rc ? rc : check_trailer(r, size, digest);
	if (!rc && fsync(out)) {
		diag_error(r->d, r->folder, 0, "cannot write here: %s; nothing was changed", strerror(errno));
		rc = ERR_SYSTEM;
	}
	if (out >= 0)
		close(out);
	return rc;
}

static void show_checked(void *ctx, enum bulk_phase phase, uint64_t done, uint64_t total)
{
	struct restoring *r = ctx;
	(void)phase;
	progress_show(&r->progress, "entries checked", "", done, total);
}

static void note_damage(void *ctx, const char *what)
{
	char *first = ctx;
	if (!*first && text_format(first, BULK_WHY, "%s", what))
		memset(first, 0, BULK_WHY);
}

/* Its pages and records, before LMDB reads it, which trusts them. */
static int check_pages(struct restoring *r)
{
	char why[BULK_WHY] = "";
	struct store_checked found;
	const struct store_check check = {.path = r->folder, .complain = note_damage, .ctx = why};
	int rc = store_check(&check, &found);
	if (rc == ERR_NOTFOUND)
		return refuse(r, "there is no store in it");
	/* Of a newer version: who opens it says so. */
	return rc == ERR_STORE ? refuse(r, why) : rc == ERR_FORMAT ? OK : rc;
}

static int check_image(struct restoring *r)
{
	const struct bulk_watcher watcher = {.ctx = r, .progress = show_checked};
	char why[BULK_WHY];
	struct store *s = NULL;
	int rc = check_pages(r);
	rc = rc ? rc : store_open(r->folder, STORE_READ, r->d, &s);
	if (rc)
		return rc;
	rc = bulk_check(s, r->stop, &watcher, &r->counts, why);
	if (rc == ERR_STORE || rc == ERR_DAMAGED)
		rc = refuse(r, why);
	store_close(&s);
	return rc;
}

/* ---- the folder ---- */

static int make_folder(struct restoring *r, const char *above)
{
	int rc = text_format(r->folder, sizeof r->folder, "%s/restore.XXXXXX", above);
	if (!rc && !mkdtemp(r->folder)) {
		diag_error(r->d, above, 0, "cannot make a folder here: %s", strerror(errno));
		r->folder[0] = 0;
		rc = ERR_SYSTEM;
	}
	rc = rc ? rc : text_format(r->image, sizeof r->image, "%s/data.mdb", r->folder);
	return rc ? rc : text_format(r->lock, sizeof r->lock, "%s/lock.mdb", r->folder);
}

static void remove_folder(const struct restoring *r)
{
	if (!*r->folder)
		return;
	unlink(r->image);
	unlink(r->lock);
	rmdir(r->folder);
}

/* Reads and checks all of it, in a folder within `above`. */
static int take_in(struct restoring *r, const char *above)
{
	int rc = make_folder(r, above);
	rc = rc ? rc : read_image(r);
	return rc ? rc : check_image(r);
}

static int open_input(struct restoring *r, const char *input)
{
	bool standard = strcmp(input, "-") == 0;
	struct stat st;
	*r = (struct restoring){.d = diag_new(),
		.name = standard ? "standard input" : input,
		.stop = app_interrupt_open(),
		.progress = progress_begin()};
	r->in = standard ? dup(STDIN_FILENO) : open(input, O_RDONLY | O_CLOEXEC);
	if (!r->d)
		return ERR_NOMEM;
	if (r->in < 0)
		diag_error(r->d, r->name, 0, "cannot open it: %s", strerror(errno));
	else if (!fstat(r->in, &st) && S_ISREG(st.st_mode))
		r->total = (uint64_t)st.st_size;
	return r->in < 0 || r->stop < 0 ? ERR_SYSTEM : OK;
}

static void close_input(struct restoring *r, int rc, const char *what)
{
	progress_clear(&r->progress);
	remove_folder(r);
	if (rc == ERR_CLOSED && r->d)
		diag_error(r->d, r->name, 0, "interrupted; nothing was changed");
	if (r->in >= 0)
		close(r->in);
	if (r->stop >= 0)
		close(r->stop);
	if (r->d)
		diag_print(r->d, stderr);
	if (rc && (!r->d || !diag_errors(r->d)))
		fprintf(stderr, "%s: %s\n", what, error_text(rc));
	diag_free(&r->d);
}

static void summarize(const struct restoring *r, const char *what)
{
	const struct bulk_counts *n = &r->counts;
	fprintf(stderr,
		"%s: %llu delegates, %llu keys, %llu values, %llu deleted labels, %llu tokens, %llu events\n",
		what, (unsigned long long)n->delegates, (unsigned long long)n->keys,
		(unsigned long long)n->values, (unsigned long long)n->deleted, (unsigned long long)n->tokens,
		(unsigned long long)n->events);
}

/* ---- putting it in its place ---- */

/* A second name for the store there was, if there was one; no name of before is taken. */
static int keep_old(struct restoring *r, const char *store, char kept[static PATH])
{
	char old[PATH];
	int rc = text_format(old, sizeof old, "%s/data.mdb", store);
	for (int i = 1; !rc && i < OLD_STORES; i++) {
		rc = i == 1 ? text_format(kept, PATH, "%s.before-restore", old)
			    : text_format(kept, PATH, "%s.before-restore.%d", old, i);
		if (!rc && !link(old, kept))
			return OK;
		if (!rc && errno == ENOENT) {
			kept[0] = 0;
			return OK;
		}
		if (errno != EEXIST)
			break;
	}
	diag_error(
		r->d, store, 0, "cannot keep the store there is: %s; nothing was changed", strerror(errno));
	return ERR_SYSTEM;
}

/* The store's file is there at every moment, the old one or the new one. LMDB's lock file is about readers of
 * the old one; who still reads that keeps both. */
static int replace(struct restoring *r, const char *store)
{
	char kept[PATH] = "", place[PATH], lock[PATH];
	int rc = text_format(place, sizeof place, "%s/data.mdb", store);
	rc = rc ? rc : text_format(lock, sizeof lock, "%s/lock.mdb", store);
	rc = rc ? rc : keep_old(r, store, kept);
	if (rc)
		return rc;
	if ((unlink(lock) && errno != ENOENT) || rename(r->image, place)) {
		diag_error(r->d, store, 0, "cannot put the store in its place: %s", strerror(errno));
		return ERR_SYSTEM;
	}
	int fd = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		diag_error(r->d, store, 0, "restored, but perhaps not on the disk yet: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	if (*kept)
		fprintf(stderr, "the store there was is now %s\n", kept);
	return OK;
}

int app_restore(const char *file, const char *input)
{
	static struct restoring r;
	struct conf *c = NULL;
	int lock = -1, rc = open_input(&r, input);
	rc = rc ? rc : app_load(file, r.d, &c);
	rc = rc ? rc : privileges_drop(c, r.d);
	rc = rc ? rc : store_lock(c, r.d, &lock);
	rc = rc ? rc : take_in(&r, c->store_path);
	rc = rc ? rc : replace(&r, c->store_path);
	progress_clear(&r.progress);
	if (!rc)
		summarize(&r, "restored");
	bool loaded = c != NULL || (r.d && r.in < 0);
	close_input(&r, rc, "cannot restore");
	if (lock >= 0)
		close(lock);
	conf_free(&c);
	return !rc ? APP_OK : loaded ? APP_FAILED : APP_USAGE;
}

int app_backup_check(const char *input)
{
	static struct restoring r;
	const char *above = getenv("TMPDIR");
	int rc = open_input(&r, input);
	rc = rc ? rc : take_in(&r, above && *above ? above : "/var/tmp");
	progress_clear(&r.progress);
	if (!rc)
		summarize(&r, "in order");
	close_input(&r, rc, "cannot check it");
	return rc ? APP_FAILED : APP_OK;
}
