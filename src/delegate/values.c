// SPDX-License-Identifier: GPL-3.0-or-later
#include <string.h>

#include "delegate/index.h"
#include "delegate/internal.h"
#include "util/text.h"

static const char zone_prefix[] = "zone:";
static const char next_zone_key[] = "next-zone";

static int parse_u16(const uint8_t *bytes, size_t len, uint16_t *out)
{
	struct reader r = reader_over(bytes, len);
	*out = read_u16(&r);
	return reader_finish(&r) ? ERR_STORE : OK;
}

static int read_meta_u16(struct store_txn *t, const void *key, size_t key_len, uint16_t *out)
{
	uint8_t bytes[8];
	size_t len;
	int rc = store_txn_get(t, STORE_META, key, key_len, bytes, sizeof bytes, &len);
	return rc ? rc : parse_u16(bytes, len, out);
}

static int write_meta_u16(struct store_txn *t, const void *key, size_t key_len, uint16_t value)
{
	uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
	return store_txn_put(t, STORE_META, key, key_len, bytes, sizeof bytes);
}

/* Zone names may be longer than a key of the store: their digest serves as the key. */
enum { ZONE_KEY = sizeof zone_prefix - 1 + SECURE_DIGEST_SIZE };

static int zone_key(const char *name, uint8_t out[static ZONE_KEY])
{
	memcpy(out, zone_prefix, sizeof zone_prefix - 1);
	return secure_sha256(name, strlen(name), out + sizeof zone_prefix - 1);
}

int delegate_zone_find(struct store_snapshot *v, const char *name, uint16_t *out)
{
	uint8_t key[ZONE_KEY], bytes[8];
	size_t len;
	int rc = zone_key(name, key);
	rc = rc ? rc : store_snapshot_get(v, STORE_META, key, sizeof key, bytes, sizeof bytes, &len);
	return rc ? rc : parse_u16(bytes, len, out);
}

int delegate_zone_id(struct store_txn *t, const char *name, uint16_t *out)
{
	uint8_t key[ZONE_KEY];
	int rc = zone_key(name, key);
	rc = rc ? rc : read_meta_u16(t, key, sizeof key, out);
	if (rc != ERR_NOTFOUND)
		return rc;
	uint16_t next = 0;
	rc = read_meta_u16(t, next_zone_key, sizeof next_zone_key - 1, &next);
	if (rc && rc != ERR_NOTFOUND)
		return rc;
	if (next == UINT16_MAX)
		return ERR_LIMIT;
	*out = next;
	rc = write_meta_u16(t, next_zone_key, sizeof next_zone_key - 1, (uint16_t)(next + 1));
	return rc ? rc : write_meta_u16(t, key, sizeof key, next);
}

bool delegate_label_reserved(const char *label)
{
	return label[0] == '_';
}

bool delegate_label_valid(const char *label)
{
	return delegate_label_formed(label) && !delegate_label_reserved(label);
}

bool delegate_label_formed(const char *label)
{
	size_t len = strlen(label);
	if (!len || len > DELEGATE_LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (text_lower((uint8_t)label[i]) != (uint8_t)label[i])
			return false;
	return text_is_base64url(label, len);
}

bool delegate_value_valid(const char *value)
{
	return strlen(value) == DELEGATE_VALUE_LEN && text_is_base64url(value, DELEGATE_VALUE_LEN);
}

void delegate_add_value(struct delegate_values *v, const char text[static DELEGATE_VALUE_LEN])
{
	uint8_t *rdata = v->rdata[v->count++];
	rdata[0] = DELEGATE_VALUE_LEN;
	memcpy(rdata + 1, text, DELEGATE_VALUE_LEN);
}

/* `record` is what the store has; *len 0: nothing. */
static int read_record(struct store_snapshot *v, uint16_t zone, const uint8_t *label, size_t label_len,
	int64_t now, struct delegate_values *out, uint8_t record[static NAME_RECORD_MAX], size_t *len)
{
	struct delegate_key key;
	struct delegate_value_set set;
	out->count = *len = 0;
	if (delegate_key_make(zone, label, label_len, &key))
		return ERR_NOTFOUND;
	int rc = store_snapshot_get(v, STORE_NAMES, key.bytes, key.len, record, NAME_RECORD_MAX, len);
	if (!rc)
		rc = delegate_record_decode(record, *len, &set, NULL);
	if (rc)
		return rc == ERR_NOTFOUND ? rc : ERR_STORE;
	for (size_t i = 0; i < set.count; i++)
		if (set.values[i].expiry > now)
			delegate_add_value(out, set.values[i].text);
	return OK;
}

int delegate_read(struct store_snapshot *v, uint16_t zone, const uint8_t *label, size_t label_len,
	int64_t now, struct delegate_values *out)
{
	uint8_t record[NAME_RECORD_MAX];
	size_t len;
	return read_record(v, zone, label, label_len, now, out, record, &len);
}

void delegate_name_make(const struct delegate_source *s, uint16_t zone, const uint8_t *label, size_t len,
	struct delegate_name *out)
{
	out->zone = zone;
	out->len = (uint8_t)(len < sizeof out->label ? len : sizeof out->label);
	for (size_t i = 0; i < out->len; i++)
		out->label[i] = text_lower(label[i]);
	if (!s->index)
		return;
	out->hash = delegate_index_hash(s->index, zone, out->label, out->len);
	delegate_index_prefetch(s->index, out->hash);
}

int delegate_lookup(const struct delegate_source *s, const struct delegate_name *n, int64_t now,
	struct delegate_values *out)
{
	int rc = s->index ? delegate_index_find(s->index, n->hash, now, out) : ERR_AGAIN;
	if (rc != ERR_AGAIN)
		return rc;
	struct store_snapshot *v = s->pin(s->ctx);
	if (!v)
		return ERR_STORE;
	uint8_t record[NAME_RECORD_MAX];
	size_t len;
	rc = read_record(v, n->zone, n->label, n->len, now, out, record, &len);
	/* Of an older commit, or misled: damage that no checksum of a record shows. */
	if ((!rc || rc == ERR_NOTFOUND) && s->index &&
		delegate_index_doubts(s->index, n->hash, store_snapshot_version(v), record, len)) {
		out->count = 0;
		return ERR_STORE;
	}
	return rc;
}

/* A delegate whose values are about to change. */
struct change {
	struct delegate_key key;
	struct delegate_value_set set;
	struct delegate_history history;
	int64_t was; /* the expiry under which the store knows it */
};

static int load(struct store_txn *t, struct change *c)
{
	uint8_t record[NAME_RECORD_MAX];
	size_t len;
	int rc = store_txn_get(t, STORE_NAMES, c->key.bytes, c->key.len, record, sizeof record, &len);
	rc = rc ? rc : delegate_record_decode(record, len, &c->set, &c->history);
	if (!rc)
		c->was = delegate_earliest(&c->set);
	return rc;
}

/* Writes the set and moves the delegate's one entry in the expiry table to the set's earliest expiry. */
static int save(struct store_txn *t, const struct change *c)
{
	uint8_t record[NAME_RECORD_MAX], entry[8 + KEY_MAX];
	size_t len;
	int64_t is = delegate_earliest(&c->set);
	int rc = delegate_record_encode(&c->set, &c->history, record, &len);
	if (rc)
		return rc;
	rc = store_txn_put(t, STORE_NAMES, c->key.bytes, c->key.len, record, len);
	if (!rc && c->was != is && c->was != INT64_MAX)
		rc = store_txn_delete(t, STORE_EXPIRY, entry, delegate_expiry_key(c->was, &c->key, entry));
	if (!rc && c->was != is && is != INT64_MAX)
		rc = store_txn_put(t, STORE_EXPIRY, entry, delegate_expiry_key(is, &c->key, entry), "", 0);
	return rc;
}

static void remove_at(struct delegate_value_set *set, size_t i)
{
	set->count--;
	memmove(&set->values[i], &set->values[i + 1], (set->count - i) * sizeof set->values[0]);
}

static void remove_expired(struct delegate_value_set *set, int64_t now)
{
	for (size_t i = set->count; i-- > 0;)
		if (set->values[i].expiry <= now)
			remove_at(set, i);
}

static struct delegate_value *find(struct delegate_value_set *set, const char *text)
{
	for (size_t i = 0; i < set->count; i++)
		if (memcmp(set->values[i].text, text, DELEGATE_VALUE_LEN) == 0)
			return &set->values[i];
	return NULL;
}

/* The place of the oldest change whose key has made a later one, too: so the last use of a key stays known,
 * however often the other one is used. If each was made by another key, the oldest. */
static size_t expendable(const struct delegate_history *h)
{
	for (size_t i = h->count; i-- > 1;)
		for (size_t later = 0; later < i; later++)
			if (memcmp(h->changes[i].key, h->changes[later].key, DELEGATE_KEY_TAG_SIZE) == 0)
				return i;
	return h->count - 1;
}

static void note_change(
	struct delegate_history *h, enum delegate_change_kind kind, const struct delegate_actor *who)
{
	struct delegate_change c = {.when = who->now, .kind = kind, .from = who->from};
	memcpy(c.key, who->key, sizeof c.key);
	size_t place = h->count < DELEGATE_MAX_CHANGES ? h->count++ : expendable(h);
	memmove(&h->changes[1], &h->changes[0], place * sizeof h->changes[0]);
	h->changes[0] = c;
}

/* What has expired is dropped, and who makes the change is noted. Errors of delegate_clear(). */
static int begin_change(struct store_txn *t, const struct delegate_id *id, enum delegate_change_kind kind,
	const struct delegate_actor *who, struct change *out)
{
	if (delegate_key_of(id, &out->key))
		return ERR_NOTFOUND;
	int rc = load(t, out);
	if (rc)
		return rc;
	remove_expired(&out->set, who->now - who->jump);
	note_change(&out->history, kind, who);
	return OK;
}

int delegate_put(struct store_txn *t, const struct delegate_id *id, const char *value,
	const struct delegate_rules *rules, const struct delegate_actor *who)
{
	struct change c;
	int rc = delegate_value_valid(value) ? begin_change(t, id, DELEGATE_PUT, who, &c) : ERR_INVALID;
	if (rc)
		return rc;
	struct delegate_value *slot = find(&c.set, value);
	if (!slot) {
		size_t max =
			rules->max_values < DELEGATE_MAX_VALUES ? rules->max_values : DELEGATE_MAX_VALUES;
		while (c.set.count && c.set.count >= max)
			remove_at(&c.set, 0);
		slot = &c.set.values[c.set.count++];
		memcpy(slot->text, value, DELEGATE_VALUE_LEN);
	}
	slot->expiry = who->now - who->jump + rules->value_lifetime;
	return save(t, &c);
}

int delegate_withdraw(struct store_txn *t, const struct delegate_id *id, const char *value,
	const struct delegate_actor *who)
{
	struct change c;
	int rc = delegate_value_valid(value) ? begin_change(t, id, DELEGATE_WITHDRAWN, who, &c) : ERR_INVALID;
	if (rc)
		return rc;
	struct delegate_value *slot = find(&c.set, value);
	if (slot)
		remove_at(&c.set, (size_t)(slot - c.set.values));
	return save(t, &c);
}

int delegate_clear(struct store_txn *t, const struct delegate_id *id, const struct delegate_actor *who)
{
	struct change c;
	int rc = begin_change(t, id, DELEGATE_CLEARED, who, &c);
	if (rc)
		return rc;
	c.set.count = 0;
	return save(t, &c);
}

int delegate_set_values(struct store_txn *t, const struct delegate_id *id, const char *const *values,
	size_t count, int64_t expiry, const struct delegate_actor *who)
{
	struct change c;
	if (count > DELEGATE_MAX_VALUES)
		return ERR_INVALID;
	for (size_t i = 0; i < count; i++)
		if (!delegate_value_valid(values[i]))
			return ERR_INVALID;
	int rc = begin_change(t, id, count ? DELEGATE_PUT : DELEGATE_CLEARED, who, &c);
	if (rc)
		return rc;
	c.set.count = 0;
	for (size_t i = 0; i < count; i++) {
		if (find(&c.set, values[i]))
			continue;
		struct delegate_value *slot = &c.set.values[c.set.count++];
		memcpy(slot->text, values[i], DELEGATE_VALUE_LEN);
		slot->expiry = expiry;
	}
	return save(t, &c);
}

/* Drops what has expired of the delegate that a due entry of the expiry table names. */
static int sweep_entry(struct store_txn *t, const uint8_t *entry, size_t len, int64_t when, int64_t now)
{
	struct change c;
	if (len <= 8 || len - 8 > sizeof c.key.bytes)
		return store_txn_delete(t, STORE_EXPIRY, entry, len);
	c.key.len = len - 8;
	memcpy(c.key.bytes, entry + 8, c.key.len);
	/* A delegate that is gone, or one damaged record, must not stop the sweep of all others. (If it is
	 * the transaction that failed, the deletion does nothing and the commit says so.) */
	if (load(t, &c))
		return store_txn_delete(t, STORE_EXPIRY, entry, len);
	c.was = when;
	remove_expired(&c.set, now);
	return save(t, &c);
}

int delegate_sweep(struct store_txn *t, int64_t now, unsigned max, int64_t *next)
{
	*next = INT64_MAX;
	for (unsigned i = 0; i < max; i++) {
		uint8_t entry[8 + KEY_MAX];
		size_t len;
		int rc = store_txn_first(t, STORE_EXPIRY, entry, sizeof entry, &len);
		if (rc == ERR_NOTFOUND)
			*next = INT64_MAX;
		if (rc)
			return rc == ERR_NOTFOUND ? OK : rc;
		struct reader r = reader_over(entry, len);
		int64_t when = (int64_t)read_u64(&r);
		*next = when;
		if (when > now)
			return OK;
		rc = sweep_entry(t, entry, len, when, now);
		if (rc)
			return rc;
	}
	return OK;
}
