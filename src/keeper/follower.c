// SPDX-License-Identifier: GPL-3.0-or-later
#include "keeper/follower.h"

#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/log.h"

enum {
	CHANGES_MAX =
		1024, /* names one transaction of the keeper changes; with more the index is filled anew */
	SLICE = 4096  /* delegates: some milliseconds, for which requests wait */
};

struct change {
	uint8_t key[STORE_MAX_KEY];
	size_t len;
};

struct follower {
	struct delegate_index *index;
	struct store_snapshot *view; /* NULL: no store is open */
	bool filling, off, too_many;
	int64_t since; /* when filling began */
	size_t count;  /* changes of the transaction under way */
	struct change changes[CHANGES_MAX];
};

static void note(void *ctx, const uint8_t *key, size_t len)
{
	struct follower *f = ctx;
	f->too_many |= f->count == CHANGES_MAX;
	if (f->too_many)
		return;
	struct change *c = &f->changes[f->count++];
	memcpy(c->key, key, len);
	c->len = len;
}

int follower_new(struct delegate_index *x, struct follower **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	(*out)->index = x;
	return OK;
}

void follower_free(struct follower **f)
{
	if (!*f)
		return;
	store_snapshot_free(&(*f)->view);
	free(*f);
	*f = NULL;
}

static void start_filling(struct follower *f)
{
	f->filling = true;
	f->since = clock_mono_ms();
	delegate_index_reset(f->index);
}

/* The index is out of service: DNS asks the store, which is slower and just as right. */
static void give_up(struct follower *f, int why)
{
	if (why == ERR_FULL)
		log_warning("keeper",
			"the index would take more than a quarter of the memory; DNS reads the store");
	else
		log_warning("keeper", "the index cannot be filled: %s; DNS reads the store", error_text(why));
	f->filling = false;
	f->off = true;
	delegate_index_reset(f->index);
}

void follower_open(struct follower *f, struct store *s)
{
	if (!f->index)
		return;
	f->count = 0;
	f->too_many = false;
	int rc = store_snapshot_new(s, &f->view);
	rc = rc ? rc : store_snapshot_renew(f->view);
	if (rc) { /* whoever writes next meets the same */
		store_snapshot_free(&f->view);
		return;
	}
	store_watch_writes(s, STORE_NAMES, note, f);
	if (!delegate_index_is_at(f->index, store_snapshot_version(f->view)))
		start_filling(f);
	store_snapshot_release(f->view);
}

/* The changes of a commit, one by one. False: the index could not take them. */
static bool take_over(struct follower *f, uint64_t version)
{
	int rc = OK;
	delegate_index_begin(f->index);
	for (size_t i = 0; !rc && i < f->count; i++)
		rc = delegate_index_refresh(f->index, f->view, f->changes[i].key, f->changes[i].len);
	if (rc)
		give_up(f, rc);
	else
		delegate_index_end(f->index, version);
	return !rc;
}

void follower_commit(struct follower *f, bool committed)
{
	if (f->view && !f->off && committed && !store_snapshot_renew(f->view)) {
		uint64_t version = store_snapshot_version(f->view);
		if (f->too_many)
			start_filling(f);
		else if (f->filling || delegate_index_is_at(f->index, version - 1))
			take_over(f, version);
		else if (!delegate_index_is_at(f->index, version))
			start_filling(f); /* somebody else has written to the store */
		store_snapshot_release(f->view);
	}
	f->count = 0;
	f->too_many = false;
}

bool follower_work(struct follower *f)
{
	if (!f->view || !f->filling || store_snapshot_renew(f->view))
		return false;
	int rc = delegate_index_build(f->index, f->view, SLICE);
	store_snapshot_release(f->view);
	if (rc == OK)
		return true;
	f->filling = false;
	if (rc != ERR_NOTFOUND) {
		give_up(f, rc);
		return false;
	}
	struct delegate_index_state is;
	delegate_index_state(f->index, &is);
	log_info("keeper", "the index holds %llu delegates in %llu MiB, after %lld ms",
		(unsigned long long)is.delegates, (unsigned long long)(is.bytes >> 20),
		(long long)(clock_mono_ms() - f->since));
	return false;
}
