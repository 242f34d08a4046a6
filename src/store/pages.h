// SPDX-License-Identifier: GPL-3.0-or-later
/* The pages of a store's file, read without LMDB, which trusts what it finds there and can die of it.
 * Everything here is bounded by what the file says only after that was checked. The layout is that of LMDB
 * 0.9, data version 1. */
#pragma once

#include "store/internal.h"

enum { PAGES_TREE_LEVELS = 32 };

#define PAGES_NONE ((size_t)-1) /* no such page: the root of an empty tree */

/* What LMDB keeps of a tree. */
struct pages_tree {
	uint32_t pad;
	uint16_t flags, depth;
	size_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

/* One of the two pages that say what the newest commit is. */
struct pages_meta {
	uint32_t magic, version;
	size_t address, map_size;
	struct pages_tree free, main;
	size_t last_page, commit;
};

/* One problem, as half a sentence that starts with what is damaged. */
typedef void pages_complain(void *ctx, const char *text);
/* A record of a tree, in the order of keys. `flags` are LMDB's of the node. Other than OK ends the walk. */
typedef int pages_visit(void *ctx, const MDB_val *key, const MDB_val *value, unsigned flags);

struct pages {
	int fd;
	MDB_env *pin; /* NULL: nothing is pinned */
	MDB_txn *pin_txn;
	size_t size; /* of a page */
	uint64_t file;
	struct pages_meta meta; /* of the newest commit */
	struct pages_meta metas[2];
	uint8_t *seen; /* a bit for each page that something refers to */
	uint8_t *level[PAGES_TREE_LEVELS];
	uint8_t *large; /* a record with pages of its own */
	size_t large_cap;
	uint64_t read;    /* pages, so far */
	int64_t deadline; /* clock_mono_ms(); 0: none */
	unsigned problems;
	pages_complain *complain;
	void *ctx;
};

void pages_problem(struct pages *p, const char *format, ...) PRINTF(2, 3);
/* Reads and checks the two meta pages. Then `size`, `meta` and `seen` are there. ERR_STORE: damaged, and
 * said. ERR_SYSTEM, ERR_NOMEM. */
int pages_open(struct pages *p, const char *file) MUST_USE;
/* Keeps the writer of a store from using pages of the newest commit again, until pages_close(). ERR_STORE,
 * said; ERR_SYSTEM. */
int pages_pin(struct pages *p, const char *folder) MUST_USE;
void pages_close(struct pages *p);

/* Something refers to that page. False: it cannot, or something else does too; said. */
bool pages_refer(struct pages *p, const char *tree, size_t page);
/* Visits all records of a tree. What is damaged is said, and left out. `numbers`: keys are numbers in
 * memory's order. ERR_AGAIN: the deadline has passed. ERR_NOMEM. Whatever visit() returns. */
int pages_walk(struct pages *p, const char *name, const struct pages_tree *t, bool numbers,
	pages_visit *visit, void *ctx) MUST_USE;
