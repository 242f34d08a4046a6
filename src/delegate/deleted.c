// SPDX-License-Identifier: GPL-3.0-or-later
/* The mark that a deleted delegate leaves in the table of names. */
#include "delegate/internal.h"

int delegate_encode_deleted(const struct delegate_id *id, delegate_emit *emit, void *ctx)
{
	static const uint8_t mark[] = {NAME_REMOVED, 0};
	struct delegate_key key;
	int rc = delegate_key_of(id, &key);
	return rc ? rc : emit(ctx, STORE_NAMES, key.bytes, key.len, mark, sizeof mark);
}

int delegate_decode_id(const uint8_t *key, size_t key_len, struct delegate_id *out)
{
	return delegate_key_parse(key, key_len, out);
}

bool delegate_is_deleted(const uint8_t *name, size_t name_len)
{
	return name_len > 0 && name[0] & NAME_REMOVED;
}
