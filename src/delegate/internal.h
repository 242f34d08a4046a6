// SPDX-License-Identifier: GPL-3.0-or-later
/* Keys and records of the store, as bytes.
 *
 *   delegate key  zone id (2) | kind (1) | label        kind 1: the label is a UUID, kept as its 16 bytes
 *   names         flags (1) | count (1) | count x (expiry (8) | text (43))        oldest value first
 *                 and if there were changes:  changes (1) | changes x (when (8) | kind (1) | key tag (4) |
 *                 address (16)), newest first. DNS does not look at these
 *                 flags 1: the delegate was removed; nothing follows but count 0. It stays for ever
 *   delegates     version 2 (1) | created (8) | keys (1) | keys x (key id (16) | retiring (1)) |
 *                 prefixes (1) | prefixes x (address (16) | bits (1)) | aliases (1) | aliases x text
 *                 version 1: without retiring and aliases
 *   keys          version 1 (1) | created (8) | SHA-256 of the secret (32) | delegate key
 *                 version 2 (1) | created (8) | bcrypt digest (60) | delegate key
 *   expiry        earliest expiry of a delegate's values (8) | delegate key -> nothing
 *   evidence, tokens, events: in the files of that name
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

enum {
	NAME_REMOVED = 1, /* flags */
	CHANGE_SIZE = 8 + 1 + DELEGATE_KEY_TAG_SIZE + 16,
	NAME_RECORD_MAX =
		2 + DELEGATE_MAX_VALUES * (8 + DELEGATE_VALUE_LEN) + 1 + DELEGATE_MAX_CHANGES * CHANGE_SIZE
};

/* `history` may be NULL: none. */
int delegate_record_encode(const struct delegate_value_set *set, const struct delegate_history *history,
	uint8_t out[static NAME_RECORD_MAX], size_t *len) MUST_USE;
/* `history` may be NULL: not wanted. ERR_NOTFOUND: of a name that does not exist any more. ERR_STORE: not
 * such a record. */
int delegate_record_decode(const uint8_t *bytes, size_t len, struct delegate_value_set *out,
	struct delegate_history *history) MUST_USE;

/* The key in the expiry table of a delegate whose earliest expiry is `when`. Returns its length. */
size_t delegate_expiry_key(
	int64_t when, const struct delegate_key *key, uint8_t out[static 8 + KEY_MAX]) MUST_USE;
/* INT64_MAX: no values. */
int64_t delegate_earliest(const struct delegate_value_set *set);

enum {
	ACCOUNT_MAX = 1 + 8 + 1 + DELEGATE_MAX_KEYS * (DELEGATE_KEY_ID_SIZE + 1) + 1 +
		      DELEGATE_MAX_PREFIXES * 17 + 1 + DELEGATE_MAX_ALIASES * (1 + DELEGATE_ALIAS_MAX),
	KEY_RECORD_MAX = 1 + 8 + DELEGATE_BCRYPT_LEN + KEY_MAX
};

/* Fields of records. Failures stick to the cursor. */
void delegate_write_allow(struct writer *w, const struct delegate_allow *allow);
void delegate_read_allow(struct reader *r, struct delegate_allow *out);

int delegate_account_encode(const struct delegate *d, uint8_t out[static ACCOUNT_MAX], size_t *len) MUST_USE;
/* Fills creation, allow list, aliases, and of the keys id and retiring. ERR_STORE: not such a record. */
int delegate_account_decode(const uint8_t *bytes, size_t len, struct delegate *out) MUST_USE;
int delegate_key_record_encode(const struct delegate_stored_key *k, const struct delegate_key *owner,
	uint8_t out[static KEY_RECORD_MAX], size_t *len) MUST_USE;
/* Fills creation, kind and digest, and whose key it is. ERR_STORE: not such a record. */
int delegate_key_record_decode(const uint8_t *bytes, size_t len, struct delegate_stored_key *out,
	struct delegate_key *owner) MUST_USE;

/* The account of a delegate, for changes of it. ERR_NOTFOUND: no such delegate. Store errors. */
int delegate_account_load(struct store_txn *t, const struct delegate_key *key, struct delegate *out) MUST_USE;
int delegate_account_save(
	struct store_txn *t, const struct delegate_key *key, const struct delegate *d) MUST_USE;
/* A new key for `out->id`, with a secret. ERR_SYSTEM. */
int delegate_key_draw(
	int64_t now, struct delegate_stored_key *key, struct delegate_credentials *out) MUST_USE;
