// SPDX-License-Identifier: GPL-3.0-or-later
/* The domain: delegates, their keys and their values, as rules over store transactions. No socket, no file,
 * no clock: times are parameters, in milliseconds since the epoch.
 *
 * Words: a *delegate* is one name <label>.<zone> and holds *values*, 43-character base64url texts published
 * as TXT, each with an expiry. A *key* (id + secret) may change the values of exactly one delegate. The store
 * keeps SHA-256 of the secret. One thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "util/address.h"
#include "util/hash.h"
#include "util/secure.h"

enum {
	DELEGATE_LABEL_MAX = 63,
	DELEGATE_VALUE_LEN = 43, /* base64url of a SHA-256 digest, RFC 8555 section 8.4 */
	DELEGATE_MAX_VALUES = 32,
	DELEGATE_MAX_PREFIXES = 32, /* entries of an allow list */
	DELEGATE_MAX_KEYS = 2,      /* so that one can take the place of another without a gap */
	DELEGATE_KEY_ID_SIZE = 16   /* a UUID */
};

struct delegate_index; /* delegate/index.h */

/* Which delegate: a zone id from delegate_zone_id() and a lower-case label. */
struct delegate_id {
	uint16_t zone;
	char label[DELEGATE_LABEL_MAX + 1];
};

struct delegate_rules {
	int64_t value_lifetime; /* milliseconds */
	uint32_t max_values;    /* the oldest makes room */
};

struct delegate_allow {
	struct prefix prefixes[DELEGATE_MAX_PREFIXES];
	size_t count; /* 0: every address */
};

struct delegate_value {
	int64_t expiry;
	char text[DELEGATE_VALUE_LEN];
};

struct delegate_value_set {
	size_t count;
	struct delegate_value values[DELEGATE_MAX_VALUES]; /* oldest first, none twice */
};

/* A key as the store knows it. */
struct delegate_stored_key {
	uint8_t id[DELEGATE_KEY_ID_SIZE];
	int64_t created;
	uint8_t digest[SECURE_DIGEST_SIZE]; /* SHA-256 of the secret */
};

/* A whole delegate: for making one, for writing it out and for reading it in again. */
struct delegate {
	struct delegate_id id;
	int64_t created;
	struct delegate_allow allow;
	size_t key_count;
	struct delegate_stored_key keys[DELEGATE_MAX_KEYS];
	struct delegate_value_set values;
};

/* What registration hands out. Wipe it after use. */
struct delegate_credentials {
	struct delegate_id id;
	char key_id[SECURE_UUID_LEN + 1];
	char secret[SECURE_SECRET_LEN + 1];
};

/* The live values of a delegate as TXT RDATA (length byte + text), oldest first; equal values appear once. */
struct delegate_values {
	size_t count;
	uint8_t rdata[DELEGATE_MAX_VALUES][1 + DELEGATE_VALUE_LEN];
};

/* The id of a zone, made on first use and never changed: it is part of every key of the store. `name` is
 * lower-case without the final dot. Store errors. */
int delegate_zone_id(struct store_txn *t, const char *name, uint16_t *out) MUST_USE;

/* The same for who only reads: ERR_NOTFOUND: the store has no such zone. ERR_STORE, ERR_SYSTEM. */
int delegate_zone_find(struct store_snapshot *v, const char *name, uint16_t *out) MUST_USE;

/* Takes one entry of the store; not OK ends the encoding. */
typedef int delegate_emit(void *ctx, enum store_table table, const void *key, size_t key_len,
	const void *value, size_t value_len);

/* Gives emit() the entries of the store that make up a delegate, in the order in which they may be written
 * one by one: its keys (STORE_KEYS), its earliest expiry if it has values (STORE_EXPIRY), its account
 * (STORE_DELEGATES), and last its name (STORE_NAMES), with which it begins to exist. Account and name have
 * the same key. ERR_RANGE: too many of something; whatever emit() returns. */
int delegate_encode(const struct delegate *d, delegate_emit *emit, void *ctx) MUST_USE;

/* Do two entries of STORE_KEYS belong to the same delegate? Also false if either is damaged. */
bool delegate_same_owner(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) MUST_USE;

/* Reads the delegate whose entry in STORE_NAMES is given, as a walk gives it, and the rest from `v`; expired
 * values too. ERR_NOTFOUND: the name does not exist any more. ERR_STORE: damaged; if it is only this one,
 * store_snapshot_broken() says no. */
int delegate_decode(struct store_snapshot *v, const uint8_t *key, size_t key_len, const uint8_t *name,
	size_t name_len, struct delegate *out) MUST_USE;

/* The values of <label>.<zone> that are live at `now`. `label` in either case, 1..63 bytes of anything. OK:
 * the delegate exists (count may be 0). ERR_NOTFOUND: there is no such delegate. ERR_STORE: unknown, say
 * SERVFAIL.
 */
int delegate_read(struct store_snapshot *v, uint16_t zone, const uint8_t *label, size_t label_len,
	int64_t now, struct delegate_values *out) MUST_USE;

/* Where DNS finds delegates: in the index, or else in the store. */
struct delegate_source {
	const struct delegate_index *index; /* NULL: there is none */
	/* The snapshot of the batch in hand, pinned on first use; NULL: the store cannot be read. */
	struct store_snapshot *(*pin)(void *ctx);
	void *ctx;
};

/* A name to be looked up. Making one costs little, and what the look-up will need is on its way from memory
 * then: make those of a whole batch before the first delegate_lookup(). */
struct delegate_name {
	uint16_t zone;
	uint8_t len;
	uint8_t label[DELEGATE_LABEL_MAX]; /* lower case */
	struct hash128 hash;               /* where there is an index */
};

/* `label` in either case, 1..63 bytes of anything. */
void delegate_name_make(const struct delegate_source *s, uint16_t zone, const uint8_t *label, size_t len,
	struct delegate_name *out);
/* As delegate_read(). */
int delegate_lookup(const struct delegate_source *s, const struct delegate_name *n, int64_t now,
	struct delegate_values *out) MUST_USE;

/* Makes a delegate with a random label and its first key. Store errors, ERR_SYSTEM (no random bytes). */
int delegate_register(struct store_txn *t, uint16_t zone, const struct delegate_allow *allow, int64_t now,
	struct delegate_credentials *out) MUST_USE;

/* Who is this? Checks id and secret in constant time, then the allow list.
 * ERR_FORBIDDEN: unknown id, wrong secret or address not allowed: callers cannot and shall not tell which. */
int delegate_authenticate(struct store_txn *t, const char *key_id, const char *secret,
	const struct address *client, struct delegate_id *out) MUST_USE;

/* 1..63 of [a-z0-9_-], without a hyphen at either end: what can be imported. */
bool delegate_label_valid(const char *label);

/* A value is exactly 43 characters of [A-Za-z0-9_-]. */
bool delegate_value_valid(const char *value);

/* Publishes a value until now + lifetime. A value that is live already gets the new expiry and stays in its
 * place; otherwise, when max_values are live, the oldest makes room. Values that have expired are dropped on
 * the way. ERR_INVALID: not a value. ERR_NOTFOUND: no such delegate. Store errors. */
int delegate_put(struct store_txn *t, const struct delegate_id *id, const char *value,
	const struct delegate_rules *rules, int64_t now) MUST_USE;

/* Withdraws one value; one that is not there is fine. Errors as delegate_put. */
int delegate_withdraw(
	struct store_txn *t, const struct delegate_id *id, const char *value, int64_t now) MUST_USE;

/* Removes expired values, at most `max` entries. *next: the time of the next expiry, or INT64_MAX. Store
 * errors. */
int delegate_sweep(struct store_txn *t, int64_t now, unsigned max, int64_t *next) MUST_USE;
