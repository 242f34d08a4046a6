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
	DELEGATE_KEY_ID_SIZE = 16,  /* a UUID */
	DELEGATE_MAX_ALIASES = 8,
	DELEGATE_ALIAS_MAX = 253,
	DELEGATE_BCRYPT_LEN = 60, /* "$2a$10$" and so on, in text */
	DELEGATE_MAX_CHANGES = 4,
	DELEGATE_KEY_TAG_SIZE = 4 /* the first bytes of a key id: enough to tell a delegate's keys apart */
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

enum delegate_hash { DELEGATE_SHA256, DELEGATE_BCRYPT };

/* A key as the store knows it. */
struct delegate_stored_key {
	uint8_t id[DELEGATE_KEY_ID_SIZE];
	int64_t created;
	bool retiring; /* it has a successor, the delegate's other key, and ends with that one's first use */
	enum delegate_hash hash;
	uint8_t digest[SECURE_DIGEST_SIZE];   /* SHA-256 of the secret */
	char bcrypt[DELEGATE_BCRYPT_LEN + 1]; /* from acme-dns, until the key is used for the first time */
};

/* The user's own name whose _acme-challenge CNAME leads to the delegate: lower case, no final dot. What is
 * declared here is a note for people and checks; no right depends on it. */
struct delegate_aliases {
	size_t count;
	char names[DELEGATE_MAX_ALIASES][DELEGATE_ALIAS_MAX + 1];
};

enum delegate_change_kind { DELEGATE_PUT, DELEGATE_WITHDRAWN, DELEGATE_CLEARED };

/* Who changed the values last. */
struct delegate_change {
	int64_t when;
	enum delegate_change_kind kind;
	uint8_t key[DELEGATE_KEY_TAG_SIZE]; /* all zero: the operator */
	struct address from;                /* all zero: the admin socket */
};

/* The last changes, and of each key that made one before them its last, as long as there is room. */
struct delegate_history {
	size_t count;
	struct delegate_change changes[DELEGATE_MAX_CHANGES]; /* newest first */
};

/* A whole delegate: for making one, for writing it out and for reading it in again. */
struct delegate {
	struct delegate_id id;
	int64_t created;
	struct delegate_allow allow;
	struct delegate_aliases aliases;
	size_t key_count;
	struct delegate_stored_key keys[DELEGATE_MAX_KEYS];
	struct delegate_value_set values;
	struct delegate_history history;
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

/* The same for the mark that a deleted delegate leaves, which keeps its label from being given out again: one
 * entry of STORE_NAMES. */
int delegate_encode_deleted(const struct delegate_id *id, delegate_emit *emit, void *ctx) MUST_USE;

/* Whose entry of STORE_NAMES or STORE_DELEGATES has this key. ERR_STORE: nobody's. */
int delegate_decode_id(const uint8_t *key, size_t key_len, struct delegate_id *out) MUST_USE;

/* Is this value of an entry of STORE_NAMES the mark of a deleted delegate? */
bool delegate_is_deleted(const uint8_t *name, size_t name_len);

/* Do the entries of STORE_NAMES, STORE_DELEGATES, STORE_KEYS and STORE_EXPIRY fit together? For an entry as a
 * walk gives it. ERR_NOTFOUND: (key) its delegate does not exist, or does not know it. ERR_STORE: it does not
 * fit. */
int delegate_check_name(struct store_snapshot *v, const uint8_t *key, size_t key_len, const uint8_t *name,
	size_t name_len, struct delegate *out) MUST_USE;
int delegate_check_account(struct store_snapshot *v, const uint8_t *key, size_t key_len,
	const uint8_t *account, size_t len) MUST_USE;
int delegate_check_key(struct store_snapshot *v, const uint8_t *id, size_t id_len, const uint8_t *record,
	size_t len) MUST_USE;
int delegate_check_expiry(const uint8_t *entry, size_t len) MUST_USE;

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

/* What a registration asks for. */
struct delegate_wish {
	uint16_t zone;
	const char *label;    /* NULL or empty: a random UUID */
	bool label_is_prefix; /* `label` is followed by a random UUID: at most DELEGATE_PREFIX_MAX characters
			       */
	struct delegate_allow allow;
	struct delegate_aliases aliases;
};

enum { DELEGATE_PREFIX_MAX = DELEGATE_LABEL_MAX - SECURE_UUID_LEN };

/* Makes a delegate with its first key. ERR_INVALID: not a label, or not an alias. ERR_EXISTS: the label is
 * taken or was. Store errors, ERR_SYSTEM (no random bytes). */
int delegate_register(struct store_txn *t, const struct delegate_wish *w, int64_t now,
	struct delegate_credentials *out) MUST_USE;

/* A key that has shown that it is one. */
struct delegate_login {
	struct delegate_id id;
	uint8_t key[DELEGATE_KEY_ID_SIZE];
	bool retired_other; /* this was the first use of a successor: the key before it has ended, and its id
			       is: */
	uint8_t other[DELEGATE_KEY_ID_SIZE];
	char bcrypt[DELEGATE_BCRYPT_LEN + 1]; /* with ERR_AGAIN */
};

/* Who is this? Checks id and secret in constant time, then the allow list. The first use of a key that
 * succeeds another ends the other.
 * ERR_FORBIDDEN: unknown id, wrong secret or address not allowed: callers cannot and shall not tell which.
 * ERR_AGAIN: the key is known by a bcrypt digest, out->bcrypt, and the address is allowed: compute whether
 * the secret is right, which takes 50 ms, and if so say so with delegate_settle_key() and ask again. Store
 * errors. */
int delegate_authenticate(struct store_txn *t, const char *key_id, const char *secret,
	const struct address *client, struct delegate_login *out) MUST_USE;

/* The secret of a key that was known by its bcrypt digest `bcrypt` has turned out to be right: from now on
 * the store keeps its SHA-256. If the key has another digest by now, nothing is done. Store errors. */
int delegate_settle_key(
	struct store_txn *t, const char *key_id, const char *bcrypt, const char *secret) MUST_USE;

/* Reads a whole delegate; expired values too. ERR_NOTFOUND: there is none (any more). Store errors. */
int delegate_get(struct store_txn *t, const struct delegate_id *id, struct delegate *out) MUST_USE;

/* Adds a key. ERR_LIMIT: there are two. ERR_NOTFOUND: no such delegate. Store errors, ERR_SYSTEM. */
int delegate_key_add(struct store_txn *t, const struct delegate_id *id, int64_t now,
	struct delegate_credentials *out) MUST_USE;
/* Makes a successor of `key`. Until the successor is used for the first time both work, so that an answer
 * that gets lost shuts nobody out: asking again replaces the successor that was never used. `at_once`: `key`
 * ends now. ERR_LIMIT: there is a second key that is not its successor, and not at_once. ERR_NOTFOUND: no
 * such delegate, or not its key. Store errors, ERR_SYSTEM. */
int delegate_key_rotate(struct store_txn *t, const struct delegate_id *id,
	const uint8_t key[static DELEGATE_KEY_ID_SIZE], bool at_once, int64_t now,
	struct delegate_credentials *out) MUST_USE;
/* ERR_NOTFOUND: no such delegate, or not its key. ERR_LIMIT: its last one, and not `last_too`. */
int delegate_key_revoke(struct store_txn *t, const struct delegate_id *id,
	const uint8_t key[static DELEGATE_KEY_ID_SIZE], bool last_too) MUST_USE;

bool delegate_allows(const struct delegate_allow *allow, const struct address *client);
/* ERR_NOTFOUND: no such delegate. Store errors. */
int delegate_set_allow(
	struct store_txn *t, const struct delegate_id *id, const struct delegate_allow *allow) MUST_USE;
/* The same, and ERR_INVALID: not names, or one twice. */
int delegate_set_aliases(
	struct store_txn *t, const struct delegate_id *id, const struct delegate_aliases *aliases) MUST_USE;
/* A host name as an alias can be: two labels at least, of letters, digits, '-' and '_'. Lower-cases in place
 * and takes a final dot and a leading "*." or "_acme-challenge." off. */
bool delegate_alias_clean(char name[static DELEGATE_ALIAS_MAX + 1]);

/* Ends a delegate: its values, keys, account and evidence go, and a mark stays that keeps its label from ever
 * being given out again. ERR_NOTFOUND: there is none. Store errors. */
int delegate_remove(struct store_txn *t, const struct delegate_id *id) MUST_USE;

/* Gives visit() up to `max` delegates in the order of the store, those behind `after` (NULL: from the first);
 * ids of zones that are not configured are the visitor's to skip. False from visit(): stop. *more: there may
 * be others. ERR_STORE. */
typedef bool delegate_visit(void *ctx, const struct delegate *d);
int delegate_list(struct store_snapshot *v, const struct delegate_id *after, size_t max,
	delegate_visit *visit, void *ctx, bool *more) MUST_USE;

/* 1..63 of [a-z0-9_-], without a hyphen at either end: what a delegate's label can look like. */
bool delegate_label_formed(const char *label);
/* Begins with an underscore: such names have a meaning of their own (RFC 8552; _acme-challenge.<zone> proves
 * to a CA who the zone itself is), so nobody gets one, by no way. */
bool delegate_label_reserved(const char *label);
/* What can be given out and imported: formed, and not reserved. */
bool delegate_label_valid(const char *label);

/* A value is exactly 43 characters of [A-Za-z0-9_-]. */
bool delegate_value_valid(const char *value);

/* Who changes values, and when: kept in the delegate's history. */
struct delegate_actor {
	int64_t now;                        /* when it is done, by the calendar */
	int64_t jump;                       /* by which `now` is ahead of the time by which values live */
	uint8_t key[DELEGATE_KEY_TAG_SIZE]; /* all zero: the operator */
	struct address from;
};

/* Publishes a value until now + lifetime. A value that is live already gets the new expiry and stays in its
 * place; otherwise, when max_values are live, the oldest makes room. Values that have expired are dropped on
 * the way. ERR_INVALID: not a value. ERR_NOTFOUND: no such delegate. Store errors. */
int delegate_put(struct store_txn *t, const struct delegate_id *id, const char *value,
	const struct delegate_rules *rules, const struct delegate_actor *who) MUST_USE;

/* Withdraws one value; one that is not there is fine. Errors as delegate_put. */
int delegate_withdraw(struct store_txn *t, const struct delegate_id *id, const char *value,
	const struct delegate_actor *who) MUST_USE;

/* Withdraws all. ERR_NOTFOUND: no such delegate. Store errors. */
int delegate_clear(
	struct store_txn *t, const struct delegate_id *id, const struct delegate_actor *who) MUST_USE;

/* For the server itself: makes `id`, whose label is reserved, exist, without keys and open to nobody.
 * Whatever keys a store of an older version has for it are taken away, and it exists even if it was removed.
 * Store errors. */
int delegate_reserve(struct store_txn *t, const struct delegate_id *id, int64_t now) MUST_USE;
/* Publishes exactly these values until `expiry` (of the time by which values live); none: withdraws what is
 * there. ERR_INVALID: not values, or too many. ERR_NOTFOUND: no such delegate. Store errors. */
int delegate_set_values(struct store_txn *t, const struct delegate_id *id, const char *const *values,
	size_t count, int64_t expiry, const struct delegate_actor *who) MUST_USE;

/* Removes expired values, at most `max` entries. *next: the time of the next expiry, or INT64_MAX. Store
 * errors. */
int delegate_sweep(struct store_txn *t, int64_t now, unsigned max, int64_t *next) MUST_USE;
