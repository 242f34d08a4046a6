// SPDX-License-Identifier: GPL-3.0-or-later
/* Keys and records of the store, as bytes.
 *
 *   delegate key  zone id (2) | kind (1) | label        kind 1: the label is a UUID, kept as its 16 bytes
 *   names         flags (1) | count (1) | count x (expiry (8) | text (43))        oldest value first
 *   delegates     version (1) | created (8) | keys (1) | keys x key id (16) |
 *                 prefixes (1) | prefixes x (address (16) | bits (1))
 *   keys          version (1) | created (8) | digest (32) | delegate key
 *   expiry        earliest expiry of a delegate's values (8) | delegate key -> nothing
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

/* There must be room. */
void delegate_add_value(struct delegate_values *v, const char text[static DELEGATE_VALUE_LEN]);

enum { NAME_RECORD_MAX = 2 + DELEGATE_MAX_VALUES * (8 + DELEGATE_VALUE_LEN) };

int delegate_record_encode(
	const struct delegate_value_set *set, uint8_t out[static NAME_RECORD_MAX], size_t *len) MUST_USE;
/* ERR_NOTFOUND: flags of a name that does not exist any more. ERR_STORE: not such a record. */
int delegate_record_decode(const uint8_t *bytes, size_t len, struct delegate_value_set *out) MUST_USE;

/* The key in the expiry table of a delegate whose earliest expiry is `when`. Returns its length. */
size_t delegate_expiry_key(
	int64_t when, const struct delegate_key *key, uint8_t out[static 8 + KEY_MAX]) MUST_USE;
/* INT64_MAX: no values. */
int64_t delegate_earliest(const struct delegate_value_set *set);

enum {
	ACCOUNT_MAX = 1 + 8 + 1 + DELEGATE_MAX_KEYS * DELEGATE_KEY_ID_SIZE + 1 + DELEGATE_MAX_PREFIXES * 17,
	KEY_RECORD_MAX = 1 + 8 + SECURE_DIGEST_SIZE + KEY_MAX
};

/* Fills creation, allow list and key IDs, not the rest of the keys. ERR_STORE: not such a record. */
int delegate_account_decode(const uint8_t *bytes, size_t len, struct delegate *out) MUST_USE;
/* Fills creation and digest, and whose key it is. ERR_STORE: not such a record. */
int delegate_key_record_decode(const uint8_t *bytes, size_t len, struct delegate_stored_key *out,
	struct delegate_key *owner) MUST_USE;
