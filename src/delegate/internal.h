// SPDX-License-Identifier: GPL-3.0-or-later
/* Keys and records of the store, as bytes.
 *
 *   delegate key  zone id (2) | kind (1) | label        kind 1: the label is a UUID, kept as its 16 bytes
 *   names         flags (1) | count (1) | count x (expiry (8) | text (43))        oldest value first
 *   delegates     version (1) | created (8) | keys (1) | keys x key id (16) | prefixes (1) | prefixes x (16 +
 * 1) keys          version (1) | created (8) | digest (32) | delegate key expiry        earliest expiry of a
 * delegate's values (8) | delegate key -> nothing
 */
#pragma once

#include "delegate/delegate.h"
#include "util/cursor.h"

enum { KEY_MAX = 3 + DELEGATE_LABEL_MAX };

struct delegate_key {
	uint8_t bytes[KEY_MAX];
	size_t len;
};

/* ERR_RANGE: a label of 0 or more than 63 bytes. Lower-cases. */
int delegate_key_make(
	uint16_t zone, const uint8_t *label, size_t label_len, struct delegate_key *out) MUST_USE;
int delegate_key_of(const struct delegate_id *id, struct delegate_key *out) MUST_USE;
/* ERR_STORE: not such a key. */
int delegate_key_parse(const uint8_t *bytes, size_t len, struct delegate_id *out) MUST_USE;

struct value {
	int64_t expiry;
	char text[DELEGATE_VALUE_LEN];
};

struct value_set {
	size_t count;
	struct value values[DELEGATE_MAX_VALUES];
};

/* There must be room. */
void delegate_add_value(struct delegate_values *v, const char text[static DELEGATE_VALUE_LEN]);

enum { NAME_RECORD_MAX = 2 + DELEGATE_MAX_VALUES * (8 + DELEGATE_VALUE_LEN) };

int delegate_record_encode(
	const struct value_set *set, uint8_t out[static NAME_RECORD_MAX], size_t *len) MUST_USE;
/* ERR_NOTFOUND: flags of a name that does not exist any more. ERR_STORE: not such a record. */
int delegate_record_decode(const uint8_t *bytes, size_t len, struct value_set *out) MUST_USE;
