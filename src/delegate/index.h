// SPDX-License-Identifier: GPL-3.0-or-later
/* The index: which delegates there are and what their live values are, compact and in memory that all
 * processes share, so that DNS answers with one or two cache misses instead of a walk through a B-tree. It is
 * derived from the store and never written to disk: what it does not know, or is not sure of, the store is
 * asked for.
 *
 * One process writes, the keeper; any number read, at any time, without locks and without waiting. A reader
 * that meets a change in the middle asks the store, too, so whatever happens to the writer, wherever it is
 * killed, readers are only slower for it.
 *
 * Memory: 8 bytes per delegate and 128 per delegate with live values, each in a table that is a quarter to
 * three quarters full; more only while a table grows.
 *
 * Made once by the supervisor and inherited by fork(). One thread per process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delegate/delegate.h"
#include "util/hash.h"

struct delegate_index;

/* Shared memory for an index that is empty and not in service. `limit`: bytes it may use; 0: a quarter of the
 * machine's. ERR_NOMEM, ERR_SYSTEM: the kernel gives none. */
int delegate_index_new(size_t limit, struct delegate_index **out) MUST_USE;
/* Takes it away from this process. Accepts NULL inside; sets it to NULL. */
void delegate_index_free(struct delegate_index **x);
/* In a process that shall only read, before it closes inherited descriptors: from now on it cannot write, not
 * even if somebody else takes it over. ERR_SYSTEM: the index was given up. */
int delegate_index_read_only(struct delegate_index *x) MUST_USE;

/* ---- reading ---- */

struct hash128 delegate_index_hash(
	const struct delegate_index *x, uint16_t zone, const uint8_t *lower_label, size_t len);
/* Brings what delegate_index_find() will look at into the cache. */
void delegate_index_prefetch(const struct delegate_index *x, struct hash128 name);
/* As delegate_lookup(). ERR_AGAIN: ask the store. */
int delegate_index_find(const struct delegate_index *x, struct hash128 name, int64_t now,
	struct delegate_values *out) MUST_USE;

/* True: the store at commit `version` has another record under that name than what it says now (len 0:
 * nothing), so what it says is damaged. Of names that the store is asked for because they have too many
 * values; of others, and whenever it is not sure, false. */
bool delegate_index_doubts(const struct delegate_index *x, struct hash128 name, uint64_t version,
	const void *record, size_t len);

/* ---- writing ---- */

/* True: it holds what the store held at commit `version` and can stay in service. */
bool delegate_index_is_at(const struct delegate_index *x, uint64_t version);
/* Takes it out of service and empties it. */
void delegate_index_reset(struct delegate_index *x);
/* Adds the next delegates of the store, at most `max`. OK: there are more. ERR_NOTFOUND: these were the last,
 * and it is in service. ERR_STORE. ERR_FULL: the limit is reached; it stays out of service until it is reset.
 */
int delegate_index_build(struct delegate_index *x, struct store_snapshot *v, size_t max) MUST_USE;

/* A commit has changed these names of STORE_NAMES: begin before the first refresh, with `v` pinned on that
 * commit; end after the last. Whether it is being built or in service makes no difference. Errors as
 * delegate_index_build(); after one it is out of service. */
void delegate_index_begin(struct delegate_index *x);
int delegate_index_refresh(
	struct delegate_index *x, struct store_snapshot *v, const uint8_t *key, size_t key_len) MUST_USE;
void delegate_index_end(struct delegate_index *x, uint64_t version);

struct delegate_index_state {
	bool in_service;
	uint64_t delegates, bytes;
};
void delegate_index_state(const struct delegate_index *x, struct delegate_index_state *out);
