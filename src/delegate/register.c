// SPDX-License-Identifier: GPL-3.0-or-later
/* The beginning of a delegate, what its owner may change about it, and its end. */
#include <string.h>

#include "delegate/internal.h"
#include "util/text.h"

static int put(void *ctx, enum store_table table, const void *key, size_t key_len, const void *value,
	size_t value_len)
{
	return store_txn_put(ctx, table, key, key_len, value, value_len);
}

/* OK: the label was never given out. ERR_EXISTS: it was, even if the delegate has been removed since. */
static int check_free(struct store_txn *t, const struct delegate_id *id)
{
	struct delegate_key key;
	uint8_t record[NAME_RECORD_MAX];
	size_t len;
	int rc = delegate_key_of(id, &key);
	rc = rc ? rc : store_txn_get(t, STORE_NAMES, key.bytes, key.len, record, sizeof record, &len);
	return rc == ERR_NOTFOUND ? OK : rc ? rc : ERR_EXISTS;
}

/* `prefix` and a UUID. 122 random bits do not collide; more than one draw only guards against a store to
 * which somebody imported names. */
static int draw_label(struct store_txn *t, const char *prefix, struct delegate_id *id)
{
	int rc = ERR_EXISTS;
	for (int attempt = 0; rc == ERR_EXISTS && attempt < 3; attempt++) {
		uint8_t uuid[16];
		char text[SECURE_UUID_LEN + 1];
		rc = secure_uuid(uuid);
		if (rc)
			return rc;
		text_from_uuid(uuid, text);
		if (text_format(id->label, sizeof id->label, "%s%s", prefix, text) ||
			!delegate_label_valid(id->label))
			return ERR_INVALID;
		rc = check_free(t, id);
	}
	return rc;
}

static int choose_label(struct store_txn *t, const struct delegate_wish *w, struct delegate_id *id)
{
	id->zone = w->zone;
	const char *wanted = w->label ? w->label : "";
	if (!*wanted || w->label_is_prefix)
		return draw_label(t, wanted, id);
	if (text_format(id->label, sizeof id->label, "%s", wanted) || !delegate_label_valid(id->label))
		return ERR_INVALID;
	return check_free(t, id);
}

int delegate_key_draw(int64_t now, struct delegate_stored_key *key, struct delegate_credentials *out)
{
	*key = (struct delegate_stored_key){.created = now, .hash = DELEGATE_SHA256};
	int rc = secure_uuid(key->id);
	rc = rc ? rc : secure_secret(out->secret);
	rc = rc ? rc : secure_sha256(out->secret, strlen(out->secret), key->digest);
	text_from_uuid(key->id, out->key_id);
	return rc;
}

static bool aliases_are_good(const struct delegate_aliases *a)
{
	char name[DELEGATE_ALIAS_MAX + 1];
	if (a->count > DELEGATE_MAX_ALIASES)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		memcpy(name, a->names[i], sizeof name);
		if (!delegate_alias_clean(name) || strcmp(name, a->names[i]) != 0)
			return false;
		for (size_t k = 0; k < i; k++)
			if (strcmp(a->names[k], name) == 0)
				return false;
	}
	return true;
}

int delegate_register(
	struct store_txn *t, const struct delegate_wish *w, int64_t now, struct delegate_credentials *out)
{
	struct delegate d = {.created = now, .allow = w->allow, .aliases = w->aliases, .key_count = 1};
	if (!aliases_are_good(&w->aliases))
		return ERR_INVALID;
	int rc = choose_label(t, w, &out->id);
	rc = rc ? rc : delegate_key_draw(now, &d.keys[0], out);
	if (rc)
		return rc;
	d.id = out->id;
	return delegate_encode(&d, put, t);
}

/* Takes every key and the account's settings from a delegate that exists. */
static int strip(struct store_txn *t, const struct delegate_key *key, struct delegate *d)
{
	int rc = OK;
	if (!d->key_count && !d->allow.count && !d->aliases.count)
		return OK;
	for (size_t i = 0; !rc && i < d->key_count; i++)
		rc = store_txn_delete(t, STORE_KEYS, d->keys[i].id, sizeof d->keys[i].id);
	d->key_count = d->allow.count = d->aliases.count = 0;
	return rc ? rc : delegate_account_save(t, key, d);
}

int delegate_reserve(struct store_txn *t, const struct delegate_id *id, int64_t now)
{
	struct delegate_key key;
	struct delegate d;
	int rc = delegate_key_of(id, &key);
	rc = rc ? rc : delegate_get(t, id, &d);
	if (rc != ERR_NOTFOUND)
		return rc ? rc : strip(t, &key, &d);
	d = (struct delegate){.id = *id, .created = now};
	return delegate_encode(&d, put, t);
}

/* ---- what the owner may change ---- */

bool delegate_allows(const struct delegate_allow *allow, const struct address *client)
{
	bool allowed = !allow->count;
	for (size_t i = 0; i < allow->count; i++)
		allowed |= prefix_contains(&allow->prefixes[i], client);
	return allowed;
}

int delegate_set_allow(struct store_txn *t, const struct delegate_id *id, const struct delegate_allow *allow)
{
	struct delegate_key key;
	struct delegate d;
	int rc = delegate_key_of(id, &key) ? ERR_NOTFOUND : delegate_account_load(t, &key, &d);
	if (rc)
		return rc;
	d.allow = *allow;
	return delegate_account_save(t, &key, &d);
}

int delegate_set_aliases(
	struct store_txn *t, const struct delegate_id *id, const struct delegate_aliases *aliases)
{
	struct delegate_key key;
	struct delegate d;
	if (!aliases_are_good(aliases))
		return ERR_INVALID;
	int rc = delegate_key_of(id, &key) ? ERR_NOTFOUND : delegate_account_load(t, &key, &d);
	if (rc)
		return rc;
	d.aliases = *aliases;
	return delegate_account_save(t, &key, &d);
}

static void skip_prefix(char *name, const char *prefix)
{
	size_t len = strlen(prefix);
	if (strncmp(name, prefix, len) == 0)
		memmove(name, name + len, strlen(name + len) + 1);
}

/* Labels of 1 to 63 of [a-z0-9_-], separated by single dots. */
static bool labels_are_good(const char *name)
{
	size_t labels = 0;
	for (;; name++) {
		size_t len = strcspn(name, ".");
		if (!len || len > DELEGATE_LABEL_MAX || !text_is_base64url(name, len))
			return false;
		labels++;
		name += len;
		if (!*name)
			return labels >= 2;
	}
}

bool delegate_alias_clean(char name[static DELEGATE_ALIAS_MAX + 1])
{
	size_t len = strnlen(name, DELEGATE_ALIAS_MAX + 1);
	if (!len || len > DELEGATE_ALIAS_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		name[i] = (char)text_lower((uint8_t)name[i]);
	if (name[len - 1] == '.')
		name[len - 1] = 0;
	skip_prefix(name, "_acme-challenge.");
	skip_prefix(name, "*.");
	return labels_are_good(name);
}

/* ---- the end ---- */

/* The entries that a delegate's own records name. */
static int delete_entries(struct store_txn *t, const struct delegate_key *key, const struct delegate *d)
{
	uint8_t entry[8 + KEY_MAX];
	int64_t when = delegate_earliest(&d->values);
	int rc = OK;
	for (size_t i = 0; !rc && i < d->key_count; i++)
		rc = store_txn_delete(t, STORE_KEYS, d->keys[i].id, sizeof d->keys[i].id);
	if (!rc && when != INT64_MAX)
		rc = store_txn_delete(t, STORE_EXPIRY, entry, delegate_expiry_key(when, key, entry));
	rc = rc ? rc : store_txn_delete(t, STORE_EVIDENCE, key->bytes, key->len);
	return rc ? rc : store_txn_delete(t, STORE_DELEGATES, key->bytes, key->len);
}

int delegate_remove(struct store_txn *t, const struct delegate_id *id)
{
	static const uint8_t removed[] = {NAME_REMOVED, 0};
	struct delegate_key key;
	struct delegate d;
	int rc = delegate_get(t, id, &d);
	rc = rc ? rc : delegate_key_of(id, &key);
	rc = rc ? rc : delete_entries(t, &key, &d);
	return rc ? rc : store_txn_put(t, STORE_NAMES, key.bytes, key.len, removed, sizeof removed);
}
