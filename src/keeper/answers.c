// SPDX-License-Identifier: GPL-3.0-or-later
#include "keeper/answers.h"

#include <stdlib.h>
#include <string.h>

#include "util/secure.h"

void answers_add(
	struct answers *a, struct channel_ref to, const struct ipc_envelope *e, const struct ipc_reply *r)
{
	uint8_t message[IPC_MESSAGE_MAX];
	struct answer *n = &a->at[a->count++];
	*n = (struct answer){.to = to, .envelope = *e, .type = r->type, .status = r->status};
	if (ipc_encode_reply(e, r, message, sizeof message, &n->len))
		return;
	n->bytes = malloc(n->len);
	if (n->bytes)
		memcpy(n->bytes, message, n->len);
	secure_wipe(message, n->len);
}

static void send_failed(struct channels *c, const struct answer *n)
{
	uint8_t message[64];
	size_t len;
	struct ipc_reply failed;
	memset(&failed, 0, offsetof(struct ipc_reply, credentials));
	failed.type = n->type;
	failed.status = IPC_FAILED;
	if (!ipc_encode_reply(&n->envelope, &failed, message, sizeof message, &len))
		channels_send(c, n->to, message, len);
}

static void forget(struct answer *n)
{
	if (n->bytes)
		secure_wipe(n->bytes, n->len);
	free(n->bytes);
	n->bytes = NULL;
}

void answers_send(struct answers *a, struct channels *c, bool durable)
{
	for (size_t i = 0; i < a->count; i++) {
		struct answer *n = &a->at[i];
		bool undone = !durable && n->status == IPC_OK && n->type != IPC_HELLO;
		if (undone || !n->bytes)
			send_failed(c, n);
		else
			channels_send(c, n->to, n->bytes, n->len);
		forget(n);
	}
	a->count = 0;
}

void answers_drop(struct answers *a)
{
	for (size_t i = 0; i < a->count; i++)
		forget(&a->at[i]);
	a->count = 0;
}
