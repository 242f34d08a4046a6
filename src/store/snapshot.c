// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

struct store_snapshot {
	struct store *store;
	MDB_txn *txn;
	bool pinned, broken;
};

int store_snapshot_new(struct store *s, struct store_snapshot **out)
{
	*out = NULL;
	struct store_snapshot *v = calloc(1, sizeof *v);
	if (!v)
		return ERR_NOMEM;
	v->store = s;
	int code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &v->txn);
	if (code) {
		free(v);
		return code == ENOMEM ? ERR_NOMEM : ERR_STORE;
	}
	mdb_txn_reset(v->txn);
	*out = v;
	return OK;
}

void store_snapshot_free(struct store_snapshot **v)
{
	if (!*v)
		return;
	mdb_txn_abort((*v)->txn);
	free(*v);
	*v = NULL;
}

int store_snapshot_renew(struct store_snapshot *v)
{
	store_snapshot_release(v);
	if (STORE_GUARD()) {
		v->broken = true;
		return ERR_STORE;
	}
	v->pinned = mdb_txn_renew(v->txn) == 0;
	store_guard_end();
	v->broken |= !v->pinned;
	return v->pinned ? OK : ERR_STORE;
}

void store_snapshot_release(struct store_snapshot *v)
{
	if (v->pinned)
		mdb_txn_reset(v->txn);
	v->pinned = false;
}

bool store_snapshot_broken(const struct store_snapshot *v)
{
	return v->broken;
}

int store_snapshot_get(struct store_snapshot *v, enum store_table table, const void *key, size_t key_len,
	void *out, size_t cap, size_t *len)
{
	if (!v->pinned)
		return ERR_STORE;
	if (STORE_GUARD()) {
		v->broken = true;
		return ERR_STORE;
	}
	MDB_val k = {key_len, (void *)key}, value = {0, NULL};
	int code = mdb_get(v->txn, v->store->tables[table], &k, &value);
	int rc = code == 0 ? OK : code == MDB_NOTFOUND ? ERR_NOTFOUND : ERR_STORE;
	if (!rc && value.mv_size > cap)
		rc = ERR_RANGE;
	if (!rc) {
		memcpy(out, value.mv_data, value.mv_size);
		*len = value.mv_size;
	}
	store_guard_end();
	v->broken |= rc == ERR_STORE;
	return rc;
}
