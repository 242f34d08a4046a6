// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"

enum {
	MAGIC = (int)0xBEEFC0DE,
	DATA_VERSION = 1,
	META_FLAGS = MDB_INTEGERKEY, /* of the list of free pages; no others are ever written */
	PAGE_BRANCH = 1,
	PAGE_LEAF = 2,
	PAGE_OVERFLOW = 4,
	PAGE_META = 8,
	NODE_LARGE = 1, /* the value has pages of its own */
	META_TRIES = 20,
	PROBLEM = 256,
	CHECK_TIME_EVERY = 64 /* pages */
};

struct page_head {
	size_t number;
	uint16_t pad, flags;
	union {
		struct {
			uint16_t lower, upper;
		};
		uint32_t pages; /* of a large value */
	};
};

struct node_head {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint16_t low, high;
#else
	uint16_t high, low;
#endif
	uint16_t flags, key_len;
};

_Static_assert(
	sizeof(struct page_head) == sizeof(size_t) + 8 && sizeof(struct node_head) == 8, "LMDB's layout");

void pages_problem(struct pages *p, const char *format, ...)
{
	char text[PROBLEM];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	p->problems++;
	p->complain(p->ctx, text);
}

/* ---- the file ---- */

/* False: not there. What is shorter than it should be is damage, what the disk refuses too. */
static bool read_at(struct pages *p, void *out, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(p->fd, (uint8_t *)out + done, len - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	p->read++;
	return true;
}

static bool late(const struct pages *p)
{
	return p->deadline && p->read % CHECK_TIME_EVERY == 0 && clock_mono_ms() > p->deadline;
}

static bool is_size(size_t size)
{
	return size >= 512 && size <= 32768 && !(size & (size - 1));
}

static bool check_meta(struct pages *p, unsigned number, const uint8_t *page, struct pages_meta *out)
{
	struct page_head head;
	memcpy(&head, page, sizeof head);
	memcpy(out, page + sizeof head, sizeof *out);
	const char *what = out->magic != (uint32_t)MAGIC      ? "it is not of a store"
			   : out->version != DATA_VERSION     ? "its version is unknown"
			   : head.number != number            ? "it has the number of another page"
			   : !(head.flags & PAGE_META)        ? "it is of another kind"
			   : !is_size(out->free.pad)          ? "it has no such size of pages"
			   : out->free.flags != META_FLAGS    ? "it has flags that are not ours"
			   : out->main.flags || out->main.pad ? "it has flags that are not ours"
			   : out->address                     ? "it wants a place in memory"
			   : out->commit && (out->commit & 1) != number
				   ? "its commit belongs on the other one"
				   : NULL;
	if (what)
		pages_problem(p, "page %u, one of the two that tell the newest commit, is damaged: %s",
			number, what);
	return !what;
}

/* The commits of the two follow each other: a writer always replaces the older one. */
static bool follow(const struct pages_meta m[2])
{
	return m[0].commit + 1 == m[1].commit || m[1].commit + 1 == m[0].commit ||
	       (!m[0].commit && !m[1].commit);
}

static int read_metas(struct pages *p)
{
	struct pages_meta *m = p->metas;
	struct page_head head;
	uint8_t page[2][sizeof head + sizeof *m];
	for (int tries = 0;; tries++) {
		/* Where the second one is, the first one says. */
		if (!read_at(p, page[0], sizeof page[0], 0)) {
			pages_problem(p, "page 0 cannot be read");
			return ERR_STORE;
		}
		if (!check_meta(p, 0, page[0], &m[0]))
			return ERR_STORE;
		p->size = m[0].free.pad;
		if (!read_at(p, page[1], sizeof page[1], p->size)) {
			pages_problem(p, "page 1 cannot be read");
			return ERR_STORE;
		}
		if (!check_meta(p, 1, page[1], &m[1]))
			return ERR_STORE;
		if (follow(m) || tries == META_TRIES)
			break;
		clock_sleep_us(500); /* somebody may be writing them */
	}
	p->meta = m[m[1].commit > m[0].commit];
	if (!follow(m))
		pages_problem(p, "pages 0 and 1 tell of commits %zu and %zu, which do not follow each other",
			m[0].commit, m[1].commit);
	else if (m[1].free.pad != p->size)
		pages_problem(p, "pages 0 and 1 do not agree on the size of pages");
	else if (p->meta.last_page / 2 > p->file / p->size + 4096 || p->meta.last_page < 1)
		pages_problem(p, "the newest commit, %zu, tells of %zu pages, and the file has %llu",
			p->meta.commit, p->meta.last_page + 1, (unsigned long long)(p->file / p->size));
	return p->problems ? ERR_STORE : OK;
}

static int allocate(struct pages *p)
{
	p->seen = calloc(p->meta.last_page / 8 + 1, 1);
	if (!p->seen)
		return ERR_NOMEM;
	p->seen[0] = 3; /* the meta pages */
	return OK;
}

int pages_open(struct pages *p, const char *file)
{
	struct stat st;
	p->fd = open(file, O_RDONLY | O_CLOEXEC);
	if (p->fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_SYSTEM;
	if (fstat(p->fd, &st))
		return ERR_SYSTEM;
	p->file = (uint64_t)st.st_size;
	int rc = read_metas(p);
	return rc ? rc : allocate(p);
}

/* Of the commit that is pinned. A writer may have made the next one meanwhile, but for two it is quick. */
static bool take_pinned(struct pages *p, size_t commit)
{
	struct pages_meta before = p->metas[commit & 1];
	if (before.commit != commit || read_metas(p) ||
		memcmp(&before, &p->metas[commit & 1], sizeof before) != 0)
		return false;
	p->meta = before;
	return true;
}

int pages_pin(struct pages *p, const char *folder)
{
	size_t first = p->meta.commit;
	int code = mdb_env_create(&p->pin);
	if (code)
		return ERR_NOMEM;
	code = mdb_env_set_mapsize(p->pin, STORE_MAP_SIZE);
	code = code ? code : mdb_env_open(p->pin, folder, MDB_RDONLY | MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (code)
		return code == ENOMEM ? ERR_NOMEM : ERR_SYSTEM;
	for (int tries = 0; tries < META_TRIES; tries++) {
		code = mdb_txn_begin(p->pin, NULL, MDB_RDONLY, &p->pin_txn);
		if (code)
			return ERR_SYSTEM;
		int rc = read_metas(p);
		if (rc)
			return rc;
		if (take_pinned(p, mdb_txn_id(p->pin_txn))) {
			free(p->seen);
			return allocate(p);
		}
		mdb_txn_abort(p->pin_txn);
		p->pin_txn = NULL;
		clock_sleep_us(500);
	}
	if (p->problems)
		return ERR_STORE;
	if (p->meta.commit != first) /* somebody writes, faster than we look */
		return ERR_BUSY;
	pages_problem(p, "the newest commit is not the one that readers of the store are told of");
	return ERR_STORE;
}

void pages_close(struct pages *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->pin_txn)
		mdb_txn_abort(p->pin_txn);
	if (p->pin)
		mdb_env_close(p->pin);
	for (int i = 0; i < PAGES_TREE_LEVELS; i++)
		free(p->level[i]);
	free(p->large);
	free(p->seen);
}

bool pages_refer(struct pages *p, const char *tree, size_t page)
{
	if (page < 2 || page > p->meta.last_page) {
		pages_problem(p, "%s is damaged: it refers to page %zu, which does not exist", tree, page);
		return false;
	}
	uint8_t bit = (uint8_t)(1u << page % 8);
	if (p->seen[page / 8] & bit) {
		pages_problem(p, "%s is damaged: page %zu, which it refers to, is used twice", tree, page);
		return false;
	}
	p->seen[page / 8] |= bit;
	return true;
}

/* ---- trees ---- */

struct walk {
	struct pages *p;
	const char *name;
	const struct pages_tree *tree;
	bool numbers;
	pages_visit *visit;
	void *ctx;
	size_t entries;
	unsigned problems; /* before */
};

struct page {
	size_t number;
	const uint8_t *bytes;
	unsigned count; /* nodes */
	uint16_t lower, upper;
};

static int compare(const struct walk *w, const MDB_val *a, const MDB_val *b)
{
	if (w->numbers) {
		size_t x, y;
		memcpy(&x, a->mv_data, sizeof x);
		memcpy(&y, b->mv_data, sizeof y);
		return (x > y) - (x < y);
	}
	int order = memcmp(a->mv_data, b->mv_data, a->mv_size < b->mv_size ? a->mv_size : b->mv_size);
	return order ? order : (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

static bool misfit(struct walk *w, size_t page, const char *why)
{
	pages_problem(w->p, "page %zu, of %s, is damaged: %s", page, w->name, why);
	return false;
}

static int damaged(struct walk *w, size_t page, const char *why)
{
	return misfit(w, page, why) ? OK : ERR_STORE;
}

static bool read_page(struct walk *w, size_t number, unsigned level, struct page *out)
{
	struct pages *p = w->p;
	struct page_head head;
	uint8_t *bytes = p->level[level];
	if (!pages_refer(p, w->name, number))
		return false;
	if (!read_at(p, bytes, p->size, (uint64_t)number * p->size))
		return misfit(w, number, "it cannot be read");
	memcpy(&head, bytes, sizeof head);
	if (head.number != number)
		return misfit(w, number, "it has the number of another page");
	if (head.flags != (level + 1 == w->tree->depth ? PAGE_LEAF : PAGE_BRANCH))
		return misfit(w, number, "it is of another kind");
	if (head.lower < sizeof head || head.lower > head.upper || head.upper > p->size || head.lower % 2)
		return misfit(w, number, "what it has does not fit on it");
	*out = (struct page){number, bytes, (unsigned)(head.lower - sizeof head) / 2, head.lower, head.upper};
	return out->count ? true : misfit(w, number, "it is empty");
}

/* The node's head, and where its key is. */
static bool read_node(
	struct walk *w, const struct page *page, unsigned i, struct node_head *head, MDB_val *key)
{
	uint16_t at;
	memcpy(&at, page->bytes + sizeof(struct page_head) + 2 * i, sizeof at);
	if (at < page->upper || at % 2 || at + sizeof *head > w->p->size)
		return misfit(w, page->number, "an entry is not on it");
	memcpy(head, page->bytes + at, sizeof *head);
	*key = (MDB_val){head->key_len, (void *)(page->bytes + at + sizeof *head)};
	if (at + sizeof *head + head->key_len > w->p->size ||
		(w->numbers && key->mv_size && key->mv_size != sizeof(size_t)))
		return misfit(w, page->number, "a key does not fit on it");
	return true;
}

/* A value with pages of its own. */
static int read_large(struct walk *w, const struct page *page, const MDB_val *at, size_t len, MDB_val *value)
{
	struct pages *p = w->p;
	struct page_head head;
	size_t number, pages = (sizeof head + len - 1) / p->size + 1;
	memcpy(&number, at->mv_data, sizeof number);
	if (len > p->file)
		return damaged(w, page->number, "a value does not fit into the file");
	for (size_t i = 0; i < pages; i++)
		if (!pages_refer(p, w->name, number + i))
			return ERR_STORE;
	if (sizeof head + len > p->large_cap) {
		uint8_t *larger = realloc(p->large, sizeof head + len);
		if (!larger)
			return ERR_NOMEM;
		p->large = larger;
		p->large_cap = sizeof head + len;
	}
	if (!read_at(p, p->large, sizeof head + len, (uint64_t)number * p->size))
		return damaged(w, number, "it cannot be read");
	memcpy(&head, p->large, sizeof head);
	if (head.number != number || head.flags != PAGE_OVERFLOW || head.pages != pages)
		return damaged(w, number, "it does not hold the value that it should");
	*value = (MDB_val){len, p->large + sizeof head};
	return OK;
}

/* ERR_STORE: said. */
static int read_value(struct walk *w, const struct page *page, const struct node_head *head,
	const MDB_val *key, MDB_val *value)
{
	size_t len = (size_t)head->low | (size_t)head->high << 16;
	bool large = head->flags & NODE_LARGE;
	const uint8_t *at = (const uint8_t *)key->mv_data + key->mv_size;
	*value = (MDB_val){large ? sizeof(size_t) : len, (void *)at};
	if ((size_t)(page->bytes + w->p->size - at) < value->mv_size)
		return damaged(w, page->number, "a value does not fit on it");
	return large ? read_large(w, page, &(MDB_val){sizeof(size_t), (void *)at}, len, value) : OK;
}

static int walk_leaf(struct walk *w, const struct page *page, const MDB_val *low, const MDB_val *high)
{
	struct node_head head;
	MDB_val key, value, last = low ? *low : (MDB_val){0, NULL};
	for (unsigned i = 0; i < page->count; i++) {
		if (!read_node(w, page, i, &head, &key))
			continue;
		/* `low` itself may be the first key. */
		int order = last.mv_data ? compare(w, &last, &key) : -1;
		if (!key.mv_size || order > 0 || (order == 0 && i > 0) ||
			(high && compare(w, &key, high) >= 0)) {
			misfit(w, page->number, "its keys are not in order");
			return OK;
		}
		last = key;
		w->entries++;
		int rc = read_value(w, page, &head, &key, &value);
		rc = rc ? rc : w->visit(w->ctx, &key, &value, head.flags & ~(unsigned)NODE_LARGE);
		if (rc && rc != ERR_STORE)
			return rc;
	}
	return OK;
}

static int walk_page(struct walk *w, size_t number, unsigned level, const MDB_val *low, const MDB_val *high);

/* The first key of a branch counts for nothing: it stands for all that are smaller. */
static int walk_branch(
	struct walk *w, const struct page *page, unsigned level, const MDB_val *low, const MDB_val *high)
{
	struct node_head head;
	MDB_val key, next, last = {0, NULL};
	for (unsigned i = 0; i < page->count; i++) {
		if (!read_node(w, page, i, &head, &key))
			return OK;
		size_t child = (size_t)head.low | (size_t)head.high << 16;
#if SIZE_MAX > UINT32_MAX
		child |= (size_t)head.flags << 32;
#endif
		bool more = i + 1 < page->count;
		if (more && !read_node(w, page, i + 1, &head, &next))
			return OK;
		if (more && (!next.mv_size || (last.mv_data && compare(w, &last, &next) >= 0) ||
				    (low && compare(w, low, &next) >= 0) ||
				    (high && compare(w, &next, high) >= 0))) {
			misfit(w, page->number, "its keys are not in order");
			return OK;
		}
		int rc = walk_page(w, child, level + 1, i ? &last : low, more ? &next : high);
		if (rc)
			return rc;
		last = next;
	}
	return OK;
}

static int walk_page(struct walk *w, size_t number, unsigned level, const MDB_val *low, const MDB_val *high)
{
	struct page page;
	if (late(w->p))
		return ERR_AGAIN;
	if (!read_page(w, number, level, &page))
		return OK;
	return level + 1 == w->tree->depth ? walk_leaf(w, &page, low, high)
					   : walk_branch(w, &page, level, low, high);
}

int pages_walk(struct pages *p, const char *name, const struct pages_tree *t, bool numbers,
	pages_visit *visit, void *ctx)
{
	struct walk w = {p, name, t, numbers, visit, ctx, 0, p->problems};
	if (t->root == PAGES_NONE ? t->depth || t->entries : !t->depth || t->depth > PAGES_TREE_LEVELS) {
		pages_problem(p, "%s is damaged: it has no such depth", name);
		return OK;
	}
	for (unsigned i = 0; i < t->depth; i++)
		if (!p->level[i] && !(p->level[i] = malloc(p->size)))
			return ERR_NOMEM;
	int rc = t->root == PAGES_NONE ? OK : walk_page(&w, t->root, 0, NULL, NULL);
	if (!rc && w.entries != t->entries && p->problems == w.problems)
		pages_problem(p, "%s is damaged: it has %zu entries and should have %zu", name, w.entries,
			t->entries);
	return rc;
}
