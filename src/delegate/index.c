// SPDX-License-Identifier: GPL-3.0-or-later
#include <string.h>

#include "delegate/index_tables.h"
#include "util/text.h"

/* ---- reading ---- */

struct hash128 delegate_index_hash(
	const struct delegate_index *x, uint16_t zone, const uint8_t *lower_label, size_t len)
{
	uint8_t name[sizeof zone + DELEGATE_LABEL_MAX];
	memcpy(name, &zone, sizeof zone);
	memcpy(name + sizeof zone, lower_label, len);
	return hash_128(&x->header->key, name, sizeof zone + len);
}

static uint64_t generation_of(const struct delegate_index *x)
{
	return atomic_load_explicit(&x->header->generation, memory_order_acquire);
}

static struct index_levels read_levels(const struct delegate_index *x)
{
	return (struct index_levels){atomic_load_explicit(&x->header->name_bits, memory_order_relaxed),
		atomic_load_explicit(&x->header->value_bits, memory_order_relaxed),
		atomic_load_explicit(&x->header->value_parity, memory_order_relaxed)};
}

void delegate_index_prefetch(const struct delegate_index *x, struct hash128 name)
{
	struct index_levels l = read_levels(x);
	__builtin_prefetch(index_names(x, l.name_bits) + index_place(name.low, l.name_bits) * NAME_SLOTS);
	const char *values = (const char *)(index_values(x, l.value_bits, l.value_parity) +
					    index_place(name.high, l.value_bits) * VALUE_WORDS);
	__builtin_prefetch(values);
	__builtin_prefetch(values + INDEX_LINE);
}

static int find(const struct delegate_index *x, struct hash128 name, int64_t now, struct delegate_values *out)
{
	struct index_levels l = read_levels(x);
	uint64_t slot = index_get_name(x, l.name_bits, name_slot(name));
	out->count = 0;
	if (!slot)
		return ERR_NOTFOUND;
	if (slot & NAME_ASK_STORE)
		return ERR_AGAIN;
	return slot & NAME_HAS_VALUES ? index_get_values(x, &l, name, now, out) : OK;
}

int delegate_index_find(
	const struct delegate_index *x, struct hash128 name, int64_t now, struct delegate_values *out)
{
	uint64_t generation = generation_of(x);
	if (generation & 1)
		return ERR_AGAIN;
	int rc = find(x, name, now, out);
	/* Everything above was read before this, or it does not count. */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&x->header->generation, memory_order_relaxed) == generation ? rc
												: ERR_AGAIN;
}

/* Of a record that does not fit: in place of a value, so that what the store says of it later can be told
 * from what it said then. */
static void digest_of(
	const struct delegate_index *x, const void *record, size_t len, char out[static DELEGATE_VALUE_LEN])
{
	char hex[2 * sizeof(struct hash128) + 1];
	struct hash128 h = hash_128(&x->header->key, record, len);
	text_hex((const uint8_t *)&h, sizeof h, hex);
	memset(out, 0, DELEGATE_VALUE_LEN);
	memcpy(out, hex, sizeof hex);
}

static bool shows(const struct delegate_index *x, uint64_t generation, uint64_t version)
{
	return generation_of(x) == generation && !(generation & 1) &&
	       !__atomic_load_n(&x->header->busy, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&x->header->version, __ATOMIC_ACQUIRE) == version;
}

bool delegate_index_doubts(
	const struct delegate_index *x, struct hash128 name, uint64_t version, const void *record, size_t len)
{
	char digest[DELEGATE_VALUE_LEN];
	struct delegate_values known = {.count = 0};
	uint64_t generation = generation_of(x);
	if (!shows(x, generation, version))
		return false;
	struct index_levels l = read_levels(x);
	uint64_t flags = index_get_name(x, l.name_bits, name_slot(name)) & NAME_FLAGS;
	if (flags != (NAME_ASK_STORE | NAME_HAS_VALUES) || index_get_values(x, &l, name, INT64_MIN, &known) ||
		known.count != 1)
		return false;
	digest_of(x, record, len, digest);
	bool other = memcmp(known.rdata[0] + 1, digest, sizeof digest) != 0;
	atomic_thread_fence(memory_order_acquire);
	return other && shows(x, generation, version);
}

/* ---- writing ---- */

bool delegate_index_is_at(const struct delegate_index *x, uint64_t version)
{
	return !(generation_of(x) & 1) && !x->header->busy && x->header->version == version;
}

static void take_out_of_service(struct delegate_index *x)
{
	index_unlock(x, index_lock(x) | 1);
}

/* Takes over one record as the store has it. ERR_FULL. */
static int put(
	struct delegate_index *x, const uint8_t *key, size_t key_len, const uint8_t *record, size_t len)
{
	static const struct delegate_value_set none = {.count = 0};
	struct delegate_id id;
	struct delegate_value_set *set = &x->scratch;
	if (delegate_key_parse(key, key_len, &id))
		return OK; /* no name that anybody could ask for */
	int rc = index_make_room(x);
	if (rc)
		return rc;
	struct hash128 name = delegate_index_hash(x, id.zone, (const uint8_t *)id.label, strlen(id.label));
	rc = delegate_record_decode(record, len, set, NULL);
	if (rc == ERR_NOTFOUND && !index_has_name(x, name_slot(name)))
		return OK;
	if (!rc && set->count > INDEX_VALUES) {
		set->count = 1;
		set->values[0].expiry = INT64_MAX;
		digest_of(x, record, len, set->values[0].text);
		index_put_values(x, name, set);
		index_put_name(x, name_slot(name), NAME_ASK_STORE | NAME_HAS_VALUES);
	} else if (rc) {
		index_put_name(x, name_slot(name), NAME_ASK_STORE);
		index_put_values(x, name, &none);
	} else if (!set->count) {
		index_put_name(x, name_slot(name), 0);
		index_put_values(x, name, &none);
	} else { /* in this order: a name with the flag has its values */
		index_put_values(x, name, set);
		index_put_name(x, name_slot(name), NAME_HAS_VALUES);
	}
	return OK;
}

struct build {
	struct delegate_index *x;
	int rc;
};

static bool build_one(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *record, size_t len)
{
	struct build *b = ctx;
	if (key_len > sizeof b->x->built.bytes) {
		b->rc = ERR_STORE;
		return false;
	}
	b->rc = put(b->x, key, key_len, record, len);
	memcpy(b->x->built.bytes, key, key_len);
	b->x->built.len = key_len;
	return !b->rc;
}

int delegate_index_build(struct delegate_index *x, struct store_snapshot *v, size_t max)
{
	struct build b = {x, OK};
	struct delegate_key from = x->built;
	bool more;
	int rc = store_snapshot_walk(v, STORE_NAMES, from.bytes, from.len, max, build_one, &b, &more);
	rc = rc ? rc : b.rc;
	if (rc || more)
		return rc;
	/* Everything is in, and every commit since the build began was taken over. */
	x->header->version = store_snapshot_version(v);
	index_unlock(x, (index_lock(x) | 1) + 1);
	return ERR_NOTFOUND;
}

void delegate_index_begin(struct delegate_index *x)
{
	x->header->busy = true;
	atomic_thread_fence(memory_order_seq_cst);
}

int delegate_index_refresh(
	struct delegate_index *x, struct store_snapshot *v, const uint8_t *key, size_t key_len)
{
	uint8_t record[NAME_RECORD_MAX] = {1}; /* flags of a name that does not exist (any more) */
	size_t len = 2;
	int rc = store_snapshot_get(v, STORE_NAMES, key, key_len, record, sizeof record, &len);
	if (!rc || rc == ERR_NOTFOUND)
		rc = put(x, key, key_len, record, len);
	if (rc)
		take_out_of_service(x);
	return rc;
}

void delegate_index_end(struct delegate_index *x, uint64_t version)
{
	x->header->version = version;
	atomic_thread_fence(memory_order_seq_cst);
	x->header->busy = false;
}
