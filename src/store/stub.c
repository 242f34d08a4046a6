// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/internal.h"

int store_copy(struct store *s, int fd)
{
	return store_map_error(mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT));
}
