// SPDX-License-Identifier: GPL-3.0-or-later
/* The CA's JSON documents, read into bounded structs. Nothing in them is trusted: what does not fit, or is
 * not of the form that the RFC says, is ERR_INVALID. No I/O, no clock. */
#pragma once

#include "acme/acme.h"

enum { DOCUMENT_MAX = 256 * 1024, DOCUMENT_TEXT = 512, DOCUMENT_TOKEN = 256, DOCUMENT_PROFILES = 16 };

/* RFC 8555 section 7.1.1 */
struct directory {
	char new_nonce[ACME_URL], new_account[ACME_URL], new_order[ACME_URL];
	char renewal_info[ACME_URL]; /* RFC 9773 section 4; empty: the CA has none */
	char terms[ACME_URL];        /* of service; empty: none */
	char identities[ACME_IDENTITIES][ACME_TEXT];
	bool eab_required;
	char profiles[DOCUMENT_PROFILES][64]; /* empty ones at the end */
};

/* Problem document (RFC 7807, RFC 8555 section 6.7) */
struct problem {
	char type[128];           /* empty: not given */
	char text[DOCUMENT_TEXT]; /* detail, those of subproblems, and the type; printable ASCII */
};

enum status {
	STATUS_UNKNOWN,
	STATUS_PENDING,
	STATUS_READY,
	STATUS_PROCESSING,
	STATUS_VALID,
	STATUS_INVALID,
	STATUS_DEACTIVATED,
	STATUS_EXPIRED,
	STATUS_REVOKED
};

/* Section 7.1.3 */
struct order {
	enum status status;
	char authorizations[ACME_NAMES][ACME_URL];
	size_t count;
	char finalize[ACME_URL];
	char certificate[ACME_URL]; /* empty: none yet */
	struct problem problem;     /* with STATUS_INVALID, perhaps */
};

/* Section 7.1.4, with its dns-01 challenge (section 8.4) */
struct authorization {
	enum status status;
	char name[ACME_TEXT];     /* lower case */
	char challenge[ACME_URL]; /* empty: no dns-01 among them */
	char token[DOCUMENT_TOKEN];
	struct problem problem; /* of the challenge that failed, perhaps */
};

/* RFC 9773 section 4.2 */
struct window {
	int64_t start, end; /* milliseconds since the epoch */
	char explanation[ACME_URL];
};

int document_directory(const char *body, size_t len, struct directory *out) MUST_USE;
int document_order(const char *body, size_t len, struct order *out) MUST_USE;
int document_authorization(const char *body, size_t len, struct authorization *out) MUST_USE;
int document_problem(const char *body, size_t len, struct problem *out) MUST_USE;
int document_account(const char *body, size_t len, enum status *out) MUST_USE; /* section 7.1.2 */
int document_window(const char *body, size_t len, struct window *out) MUST_USE;
