// SPDX-License-Identifier: GPL-3.0-or-later
/* Do the tables fit together? */
#include <string.h>

#include "delegate/internal.h"

static int get(struct store_snapshot *v, enum store_table table, const void *key, size_t key_len,
	uint8_t out[static STORE_MAX_VALUE], size_t *len)
{
	return store_snapshot_get(v, table, key, key_len, out, STORE_MAX_VALUE, len);
}

/* Is a key, of which the account tells, that delegate's own? */
static int check_owner(
	struct store_snapshot *v, const struct delegate_stored_key *k, const uint8_t *key, size_t key_len)
{
	uint8_t record[STORE_MAX_VALUE];
	struct delegate_stored_key unused;
	struct delegate_key owner;
	size_t len;
	int rc = get(v, STORE_KEYS, k->id, sizeof k->id, record, &len);
	rc = rc ? rc : delegate_key_record_decode(record, len, &unused, &owner);
	return rc || owner.len != key_len || memcmp(owner.bytes, key, key_len) != 0 ? ERR_STORE : OK;
}

int delegate_check_name(struct store_snapshot *v, const uint8_t *key, size_t key_len, const uint8_t *name,
	size_t name_len, struct delegate *out)
{
	uint8_t entry[8 + KEY_MAX], unused[STORE_MAX_VALUE];
	struct delegate_key own = {.len = key_len};
	size_t len;
	int rc = delegate_decode_id(key, key_len, &out->id);
	rc = rc ? rc : delegate_decode(v, key, key_len, name, name_len, out);
	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < out->key_count; i++)
		rc = check_owner(v, &out->keys[i], key, key_len);
	if (rc || !out->values.count)
		return rc;
	memcpy(own.bytes, key, key_len); /* delegate_decode() has seen that it is one */
	len = delegate_expiry_key(delegate_earliest(&out->values), &own, entry);
	return get(v, STORE_EXPIRY, entry, len, unused, &len) ? ERR_STORE : OK;
}

int delegate_check_account(
	struct store_snapshot *v, const uint8_t *key, size_t key_len, const uint8_t *account, size_t len)
{
	uint8_t name[STORE_MAX_VALUE];
	struct delegate unused;
	struct delegate_value_set values;
	size_t name_len;
	/* An account without a name would be one of a delegate that does not exist. */
	int rc = get(v, STORE_NAMES, key, key_len, name, &name_len);
	rc = rc ? rc : delegate_record_decode(name, name_len, &values, NULL);
	return rc || delegate_account_decode(account, len, &unused) ? ERR_STORE : OK;
}

int delegate_check_key(
	struct store_snapshot *v, const uint8_t *id, size_t id_len, const uint8_t *record, size_t len)
{
	uint8_t account[STORE_MAX_VALUE];
	struct delegate_stored_key key;
	struct delegate_key owner;
	struct delegate_id unused;
	struct delegate d;
	size_t account_len;
	if (id_len != DELEGATE_KEY_ID_SIZE || delegate_key_record_decode(record, len, &key, &owner) ||
		delegate_key_parse(owner.bytes, owner.len, &unused))
		return ERR_STORE;
	int rc = get(v, STORE_DELEGATES, owner.bytes, owner.len, account, &account_len);
	if (rc)
		return rc;
	rc = delegate_account_decode(account, account_len, &d);
	for (size_t i = 0; !rc && i < d.key_count; i++)
		if (memcmp(d.keys[i].id, id, id_len) == 0)
			return OK;
	return rc ? rc : ERR_NOTFOUND;
}

/* Whether a delegate has values then does not matter: sweeping drops entries of which that is not so, and an
 * import that was interrupted leaves such. */
int delegate_check_expiry(const uint8_t *entry, size_t len)
{
	struct delegate_id unused;
	return len <= 8 ? ERR_STORE : delegate_key_parse(entry + 8, len - 8, &unused);
}
