// SPDX-License-Identifier: GPL-3.0-or-later
/* Registration tokens: secrets with which delegates may be registered, each with what it allows. The store
 * keeps SHA-256 of the secret, which is also the key of the record; its first 6 bytes, as 12 hexadecimal
 * digits, are the id by which people call it. Rules, no I/O; times in milliseconds since the epoch. */
#pragma once

#include "delegate/delegate.h"

enum { TOKEN_ID_LEN = 12, TOKEN_NOTE_MAX = 100 };

struct token_terms {
	char note[TOKEN_NOTE_MAX + 1];
	uint16_t zone;
	char label[DELEGATE_LABEL_MAX + 1]; /* empty: a random one */
	bool label_is_prefix; /* the label is this and a random UUID, or one asked for that begins so */
	uint32_t quota;       /* registrations; 0: no limit. A fixed label is good for one */
	int64_t expiry;       /* 0: none */
	struct delegate_allow allow; /* every delegate gets this list if it is not empty */
};

struct token {
	char id[TOKEN_ID_LEN + 1];
	int64_t created, used; /* used: last; 0: never */
	uint32_t spent;        /* registrations */
	struct token_terms terms;
};

/* Makes a token; `secret` is told to nobody again. ERR_INVALID: not a label, or not a prefix. ERR_EXISTS: the
 * fixed label is taken or was. Store errors, ERR_SYSTEM. */
int token_add(struct store_txn *t, const struct token_terms *terms, int64_t now,
	char secret[static SECURE_SECRET_LEN + 1], struct token *out) MUST_USE;

enum token_verdict { TOKEN_GOOD, TOKEN_UNKNOWN, TOKEN_EXPIRED, TOKEN_SPENT };
/* May this secret register? *out is filled unless it is TOKEN_UNKNOWN. Store errors. */
int token_judge(struct store_txn *t, const char *secret, int64_t now, enum token_verdict *verdict,
	struct token *out) MUST_USE;
/* Narrows a wish to what the terms allow. ERR_FORBIDDEN: it asks for a label they do not allow. */
int token_apply(const struct token_terms *terms, struct delegate_wish *w) MUST_USE;
/* One registration has been made with it. Store errors. */
int token_spend(struct store_txn *t, const char *secret, int64_t now) MUST_USE;

/* ERR_NOTFOUND: no such token. Store errors. */
int token_revoke(struct store_txn *t, const char *id) MUST_USE;

/* In the order of their ids; as delegate_list(). `after`: an id, or NULL. */
typedef bool token_visit(void *ctx, const struct token *k);
int token_list(struct store_snapshot *v, const char *after, size_t max, token_visit *visit, void *ctx,
	bool *more) MUST_USE;
