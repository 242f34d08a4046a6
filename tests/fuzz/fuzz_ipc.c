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

static void check_request(const struct ipc_request *r)
{
	require(r->type >= IPC_HELLO && r->type < IPC_TYPES && r->by < IPC_BYS && r->flags <= IPC_FLAGS);
	require(r->allow_count <= IPC_ALLOW_MAX && r->alias_count <= IPC_ALIASES_MAX);
	require(r->terms.allow_count <= IPC_ALLOW_MAX);
	require(memchr(r->secret, 0, sizeof r->secret) && memchr(r->name, 0, sizeof r->name));
}

static void check_reply(const struct ipc_reply *r)
{
	require(r->type >= IPC_HELLO && r->type < IPC_TYPES && r->status < IPC_STATUSES);
	require(r->count <= (r->type == IPC_TOKEN_LIST ? IPC_TOKENS_MAX : IPC_PAGE_MAX));
	for (size_t i = 0; r->type == IPC_STATUS && r->status == IPC_OK && i < IPC_PROCESSES_MAX &&
			   i < r->report.process_count;
		i++)
		require(r->report.processes[i].state < IPC_PROCESS_STATES &&
			memchr(r->report.processes[i].name, 0, sizeof r->report.processes[i].name));
	if (r->type != IPC_DELEGATE_SHOW || r->status != IPC_OK)
		return;
	require(r->delegate.key_count <= IPC_KEYS_MAX && r->delegate.value_count <= IPC_VALUES_MAX);
	require(r->delegate.change_count <= IPC_CHANGES_MAX && r->delegate.asker_count <= IPC_ASKERS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[IPC_MESSAGE_MAX];
	size_t again_len;
	struct ipc_envelope e;
	struct ipc_request request;
	struct ipc_reply reply;
	if (!ipc_decode_request(data, len, &e, &request)) {
		check_request(&request);
		require(!ipc_encode_request(&e, &request, again, sizeof again, &again_len));
		require(again_len == len && memcmp(again, data, len) == 0);
	}
	if (!ipc_decode_reply(data, len, &e, &reply)) {
		check_reply(&reply);
		require(!ipc_encode_reply(&e, &reply, again, sizeof again, &again_len));
		require(again_len == len && memcmp(again, data, len) == 0);
	}
	return 0;
}
