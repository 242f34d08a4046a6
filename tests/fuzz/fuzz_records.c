// SPDX-License-Identifier: GPL-3.0-or-later
/* Records of the store, which a damaged disk may hand us: whatever is taken must survive being written again.
 * The first byte says which kind it is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "delegate/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(int condition)
{
	if (!condition)
		abort();
}

static void try_name(const uint8_t *data, size_t len)
{
	struct delegate_value_set set, plain;
	struct delegate_history history;
	uint8_t again[NAME_RECORD_MAX];
	size_t again_len;
	if (delegate_record_decode(data, len, &set, &history))
		return;
	require(!delegate_record_decode(data, len, &plain, NULL) && plain.count == set.count);
	require(!delegate_record_encode(&set, &history, again, &again_len));
	/* "No changes" can be written in two ways. */
	require(memcmp(again, data, again_len) == 0 &&
		(again_len == len || (!history.count && len == again_len + 1)));
}

static void try_account(const uint8_t *data, size_t len)
{
	struct delegate d, back;
	uint8_t again[ACCOUNT_MAX];
	size_t again_len;
	if (delegate_account_decode(data, len, &d))
		return;
	require(!delegate_account_encode(&d, again, &again_len));
	require(!delegate_account_decode(again, again_len, &back));
	require(back.key_count == d.key_count && back.allow.count == d.allow.count &&
		back.aliases.count == d.aliases.count && back.created == d.created);
}

static void try_key(const uint8_t *data, size_t len)
{
	struct delegate_stored_key k;
	struct delegate_key owner;
	uint8_t again[KEY_RECORD_MAX];
	size_t again_len;
	if (delegate_key_record_decode(data, len, &k, &owner))
		return;
	require(!delegate_key_record_encode(&k, &owner, again, &again_len));
	require(again_len == len && memcmp(again, data, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	if (data[0] % 3 == 0)
		try_name(data + 1, len - 1);
	else if (data[0] % 3 == 1)
		try_account(data + 1, len - 1);
	else
		try_key(data + 1, len - 1);
	return 0;
}
