// SPDX-License-Identifier: GPL-3.0-or-later
/* What the client remembers, in state.json: accounts by directory, the attempts, when to renew. Times are
 * milliseconds since the epoch, 0: never. Nothing in it is secret; without it, everything is found again. */
#pragma once

#include <jansson.h>

#include "acme/acme.h"
#include "acme/certificate.h"
#include "acme/documents.h"

struct book {
	json_t *accounts;               /* by directory URL; those of other CAs are kept as they are */
	char directory[ACME_URL];       /* what the attempts were made at, */
	char order[CERTIFICATE_HANDLE]; /* and for what */
	int64_t last_attempt, last_success, next_attempt;
	int64_t barred; /* no order before that: the CA's word, or after a success ours */
	uint32_t failures;
	char error[ACME_TEXT];
	char handle[CERTIFICATE_HANDLE]; /* the certificate that the rest is about */
	struct window window;            /* the CA's word, 0: none */
	int64_t renew_at, check_at;
};

/* An empty book if there is none. ERR_INVALID: damaged, the book is empty, too; ERR_NOMEM; ERR_SYSTEM
 * (errno). */
int book_load(int folder, struct book *out) MUST_USE;
void book_free(struct book *b);
int book_save(int folder, const struct book *b) MUST_USE; /* errors of file_write, ERR_NOMEM */

/* A text about the account at that directory; empty if it is not known. */
void book_account(const struct book *b, const char *directory, const char *key, char *out, size_t cap);
void book_identities(const struct book *b, const char *directory, char out[ACME_IDENTITIES][ACME_TEXT]);
/* Replaces what is known of it. ERR_NOMEM. */
int book_set_account(struct book *b, const char *directory, const char *url, const char *contact,
	const char *terms, char identities[ACME_IDENTITIES][ACME_TEXT]) MUST_USE;

/* Fills what others may know of it. */
void book_state(const struct book *b, const char *directory, struct acme_state *out);
