// SPDX-License-Identifier: GPL-3.0-or-later
/* Fields that requests and replies share, and the two halves of the codec. A field's writer and its reader
 * mirror one another; failures stick to the cursor. */
#pragma once

#include "ipc/ipc.h"
#include "util/cursor.h"

void write_text(struct writer *w, const char *s);
void write_address(struct writer *w, const struct address *a);
void read_address(struct reader *r, struct address *a);
int64_t read_time(struct reader *r);
/* A count above `max` is a failure. After one read_count() is 0, so that loops over it end. */
void write_count(struct writer *w, size_t count, size_t max);
size_t read_count(struct reader *r, size_t max);
/* A byte that is not below `limit` is a failure, and 0. */
unsigned read_below(struct reader *r, unsigned limit);
bool read_bool(struct reader *r);
void write_allow(struct writer *w, const struct prefix *allow, size_t count);
size_t read_allow(struct reader *r, struct prefix *allow);
void write_aliases(struct writer *w, const char aliases[][IPC_NAME_MAX + 1], size_t count);
size_t read_aliases(struct reader *r, char aliases[][IPC_NAME_MAX + 1]);
void write_terms(struct writer *w, const struct ipc_terms *t);
void read_terms(struct reader *r, struct ipc_terms *t);

/* Behind the type: requests.c and replies.c. */
void write_request(struct writer *w, const struct ipc_request *r);
void read_request(struct reader *in, struct ipc_request *r);
void write_reply(struct writer *w, const struct ipc_reply *r);
void read_reply(struct reader *in, struct ipc_reply *r);
