// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages between processes: whatever is taken must survive being written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(int condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[IPC_MESSAGE_MAX];
	size_t again_len;
	struct ipc_envelope e;
	struct ipc_request request;
	struct ipc_reply reply;
	if (!ipc_decode_request(data, len, &e, &request)) {
		require(request.allow_count <= IPC_ALLOW_MAX);
		require(!ipc_encode_request(&e, &request, again, sizeof again, &again_len));
		require(again_len == len && memcmp(again, data, len) == 0);
	}
	if (!ipc_decode_reply(data, len, &e, &reply)) {
		require(reply.status < IPC_STATUSES);
		require(!ipc_encode_reply(&e, &reply, again, sizeof again, &again_len));
		require(again_len == len && memcmp(again, data, len) == 0);
	}
	return 0;
}
