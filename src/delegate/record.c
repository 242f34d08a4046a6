// SPDX-License-Identifier: GPL-3.0-or-later
#include "delegate/internal.h"

#include <string.h>

#include "util/text.h"

enum { KIND_TEXT = 0, KIND_UUID = 1 };

int delegate_key_make(uint16_t zone, const uint8_t *label, size_t label_len, struct delegate_key *out)
{
	char lower[DELEGATE_LABEL_MAX];
	uint8_t uuid[16];
	if (!label_len || label_len > sizeof lower)
		return ERR_RANGE;
	for (size_t i = 0; i < label_len; i++)
		lower[i] = (char)text_lower(label[i]);
	bool packed = !text_to_uuid(lower, label_len, uuid);
	struct writer w = writer_over(out->bytes, sizeof out->bytes);
	write_u16(&w, zone);
	write_u8(&w, packed ? KIND_UUID : KIND_TEXT);
	write_bytes(&w, packed ? (const void *)uuid : lower, packed ? sizeof uuid : label_len);
	return writer_finish(&w, &out->len);
}

int delegate_key_of(const struct delegate_id *id, struct delegate_key *out)
{
	return delegate_key_make(id->zone, (const uint8_t *)id->label, strlen(id->label), out);
}

int delegate_key_parse(const uint8_t *bytes, size_t len, struct delegate_id *out)
{
	struct reader r = reader_over(bytes, len);
	out->zone = read_u16(&r);
	uint8_t kind = read_u8(&r);
	size_t rest = (size_t)(r.end - r.at);
	const uint8_t *label = read_bytes(&r, rest);
	if (reader_finish(&r))
		return ERR_STORE;
	if (kind == KIND_UUID && rest == 16) {
		text_from_uuid(label, out->label);
		return OK;
	}
	if (kind != KIND_TEXT || !rest || rest > DELEGATE_LABEL_MAX || memchr(label, 0, rest))
		return ERR_STORE;
	memcpy(out->label, label, rest);
	out->label[rest] = 0;
	return OK;
}

static void write_history(struct writer *w, const struct delegate_history *h)
{
	if (!h || !h->count)
		return;
	write_u8(w, (uint8_t)h->count);
	for (size_t i = 0; i < h->count; i++) {
		const struct delegate_change *c = &h->changes[i];
		write_u64(w, (uint64_t)c->when);
		write_u8(w, (uint8_t)c->kind);
		write_bytes(w, c->key, sizeof c->key);
		write_bytes(w, c->from.bytes, sizeof c->from.bytes);
	}
}

static void copy_bytes(struct reader *r, void *out, size_t len)
{
	const uint8_t *bytes = read_bytes(r, len);
	if (bytes)
		memcpy(out, bytes, len);
}

static void read_history(struct reader *r, struct delegate_history *h)
{
	h->count = r->at == r->end ? 0 : read_u8(r);
	r->failed |= h->count > DELEGATE_MAX_CHANGES;
	for (size_t i = 0; i < h->count && !r->failed; i++) {
		struct delegate_change *c = &h->changes[i];
		c->when = (int64_t)read_u64(r);
		uint8_t kind = read_u8(r);
		r->failed |= kind > DELEGATE_CLEARED;
		c->kind = (enum delegate_change_kind)kind;
		copy_bytes(r, c->key, sizeof c->key);
		copy_bytes(r, c->from.bytes, sizeof c->from.bytes);
	}
}

int delegate_record_encode(const struct delegate_value_set *set, const struct delegate_history *history,
	uint8_t out[static NAME_RECORD_MAX], size_t *len)
{
	struct writer w = writer_over(out, NAME_RECORD_MAX);
	write_u8(&w, 0);
	write_u8(&w, (uint8_t)set->count);
	for (size_t i = 0; i < set->count; i++) {
		write_u64(&w, (uint64_t)set->values[i].expiry);
		write_bytes(&w, set->values[i].text, DELEGATE_VALUE_LEN);
	}
	write_history(&w, history);
	return writer_finish(&w, len);
}

int delegate_record_decode(
	const uint8_t *bytes, size_t len, struct delegate_value_set *out, struct delegate_history *history)
{
	struct reader r = reader_over(bytes, len);
	uint8_t flags = read_u8(&r);
	out->count = read_u8(&r);
	if (flags)
		return ERR_NOTFOUND;
	if (out->count > DELEGATE_MAX_VALUES)
		return ERR_STORE;
	for (size_t i = 0; i < out->count; i++) {
		out->values[i].expiry = (int64_t)read_u64(&r);
		copy_bytes(&r, out->values[i].text, DELEGATE_VALUE_LEN);
	}
	if (!history) /* for DNS: what follows need not be looked at */
		return r.failed ? ERR_STORE : OK;
	read_history(&r, history);
	return reader_finish(&r) ? ERR_STORE : OK;
}

int64_t delegate_earliest(const struct delegate_value_set *set)
{
	int64_t min = INT64_MAX;
	for (size_t i = 0; i < set->count; i++)
		if (set->values[i].expiry < min)
			min = set->values[i].expiry;
	return min;
}

size_t delegate_expiry_key(int64_t when, const struct delegate_key *key, uint8_t out[static 8 + KEY_MAX])
{
	struct writer w = writer_over(out, 8 + KEY_MAX);
	size_t len = 0;
	write_u64(&w, (uint64_t)when);
	write_bytes(&w, key->bytes, key->len);
	return writer_finish(&w, &len) ? 0 : len;
}
