// SPDX-License-Identifier: GPL-3.0-or-later
/* Evidence out of the rings of the dns processes and into the store, bit by bit. One thread. */
#pragma once

#include "delegate/witness.h"

struct collector {
	struct witness *witness; /* NULL: nobody tells */
	uint64_t noted;          /* queries, since the keeper started */
};

/* Once a second, within a transaction that is to be committed: writes nothing if nothing has come. A failure
 * sticks to the transaction. */
void collector_run(struct collector *c, struct store_txn *t);
