// SPDX-License-Identifier: GPL-3.0-or-later
/* How the store is inside, for whoever watches it. */
#include <stdio.h>
#include <string.h>

#include "store/internal.h"

enum { FREE_RECORDS_MAX = 10000 }; /* of the list of free pages; longer ones are not read to their end */

/* LMDB tells its reader table as text: process, thread, and the commit that is held, or "-". */
static int take_reader(const char *line, void *ctx)
{
	struct store_state *s = ctx;
	int pid;
	unsigned long long thread, commit;
	if (sscanf(line, "%d %llx %llu", &pid, &thread, &commit) == 3 &&
		(!s->oldest_held || commit < s->oldest_held))
		s->oldest_held = commit;
	return 0;
}

/* Table 0 of LMDB: commit -> the pages it set free, behind their number. */
static int count_free(MDB_txn *txn, uint64_t *pages)
{
	MDB_cursor *c;
	MDB_val key, data;
	size_t count;
	int code = mdb_cursor_open(txn, 0, &c);
	if (code)
		return code;
	for (int i = 0; i < FREE_RECORDS_MAX && !(code = mdb_cursor_get(c, &key, &data, MDB_NEXT)); i++) {
		if (data.mv_size < sizeof count) {
			code = MDB_CORRUPTED;
			break;
		}
		memcpy(&count, data.mv_data, sizeof count);
		*pages += count;
	}
	mdb_cursor_close(c);
	return code == MDB_NOTFOUND ? 0 : code;
}

static int inspect(struct store *s, MDB_txn *txn, struct store_state *out)
{
	MDB_envinfo info;
	MDB_stat stat;
	int code = mdb_env_info(s->env, &info);
	code = code ? code : mdb_env_stat(s->env, &stat);
	code = code ? code : count_free(txn, &out->pages_free);
	if (code)
		return code;
	out->page_bytes = stat.ms_psize;
	out->pages = info.me_last_pgno + 1;
	out->map_bytes = info.me_mapsize;
	out->newest = info.me_last_txnid;
	return mdb_reader_list(s->env, take_reader, out) < 0 ? MDB_CORRUPTED : 0;
}

int store_inspect(struct store *s, struct store_state *out)
{
	MDB_txn *txn = NULL;
	*out = (struct store_state){.newest = 0};
	if (STORE_GUARD())
		return ERR_STORE;
	int code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	code = code ? code : inspect(s, txn, out);
	store_guard_end();
	mdb_txn_abort(txn);
	/* This very look is no reader that matters, and neither is one at the newest commit. */
	if (!out->oldest_held || out->oldest_held > out->newest)
		out->oldest_held = out->newest;
	return code ? ERR_STORE : OK;
}
