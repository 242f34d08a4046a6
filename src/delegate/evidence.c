// SPDX-License-Identifier: GPL-3.0-or-later
/* A record: version (1) | count (1) | count x (resolver (16) | first (8) | last (8) | times (4)), newest
 * first. */
#include "delegate/evidence.h"

#include <string.h>

#include "delegate/internal.h"

enum { VERSION = 1, RECORD_MAX = 2 + EVIDENCE_ASKERS * (16 + 8 + 8 + 4) };

static int encode(const struct evidence *e, uint8_t out[static RECORD_MAX], size_t *len)
{
	struct writer w = writer_over(out, RECORD_MAX);
	write_u8(&w, VERSION);
	write_u8(&w, (uint8_t)e->count);
	for (size_t i = 0; i < e->count; i++) {
		write_bytes(&w, e->askers[i].resolver.bytes, 16);
		write_u64(&w, (uint64_t)e->askers[i].first);
		write_u64(&w, (uint64_t)e->askers[i].last);
		write_u32(&w, e->askers[i].times);
	}
	return writer_finish(&w, len);
}

static int decode(const uint8_t *bytes, size_t len, struct evidence *out)
{
	struct reader r = reader_over(bytes, len);
	r.failed |= read_u8(&r) != VERSION;
	out->count = read_u8(&r);
	r.failed |= out->count > EVIDENCE_ASKERS;
	for (size_t i = 0; i < out->count && !r.failed; i++) {
		const uint8_t *resolver = read_bytes(&r, 16);
		if (resolver)
			memcpy(out->askers[i].resolver.bytes, resolver, 16);
		out->askers[i].first = (int64_t)read_u64(&r);
		out->askers[i].last = (int64_t)read_u64(&r);
		out->askers[i].times = read_u32(&r);
	}
	return reader_finish(&r) ? ERR_STORE : OK;
}

/* What is damaged is begun anew: it is worth less than what comes now. */
static int load(struct store_txn *t, const struct delegate_key *key, struct evidence *out)
{
	uint8_t record[RECORD_MAX];
	size_t len;
	int rc = store_txn_get(t, STORE_EVIDENCE, key->bytes, key->len, record, sizeof record, &len);
	if (!rc && decode(record, len, out) == OK)
		return OK;
	out->count = 0;
	return rc == ERR_NOTFOUND || rc == ERR_RANGE ? OK : rc;
}

/* The place of the resolver, or of the one that makes room for it. */
static size_t place_of(struct evidence *e, const struct address *resolver, int64_t when)
{
	size_t i = 0;
	while (i < e->count && !address_equal(&e->askers[i].resolver, resolver))
		i++;
	if (i < e->count)
		return i;
	if (e->count < EVIDENCE_ASKERS)
		e->count++;
	e->askers[e->count - 1] = (struct evidence_asker){.resolver = *resolver, .first = when};
	return e->count - 1;
}

static bool exists(struct store_txn *t, const struct delegate_key *key)
{
	uint8_t record[NAME_RECORD_MAX];
	size_t len;
	struct delegate_value_set set;
	return !store_txn_get(t, STORE_NAMES, key->bytes, key->len, record, sizeof record, &len) &&
	       !delegate_record_decode(record, len, &set, NULL);
}

int evidence_note(struct store_txn *t, const struct delegate_id *id, const struct address *resolver,
	int64_t when, uint32_t times)
{
	struct delegate_key key;
	struct evidence e;
	uint8_t record[RECORD_MAX];
	size_t len;
	if (delegate_key_of(id, &key) || !exists(t, &key))
		return OK; /* if it is the transaction that failed, its commit says so */
	int rc = load(t, &key, &e);
	if (rc)
		return rc;
	size_t i = place_of(&e, resolver, when);
	struct evidence_asker asker = e.askers[i];
	asker.last = when;
	asker.times = times > UINT32_MAX - asker.times ? UINT32_MAX : asker.times + times;
	memmove(&e.askers[1], &e.askers[0], i * sizeof e.askers[0]);
	e.askers[0] = asker;
	rc = encode(&e, record, &len);
	return rc ? rc : store_txn_put(t, STORE_EVIDENCE, key.bytes, key.len, record, len);
}

int evidence_get(struct store_txn *t, const struct delegate_id *id, struct evidence *out)
{
	struct delegate_key key;
	out->count = 0;
	return delegate_key_of(id, &key) ? OK : load(t, &key, out);
}
