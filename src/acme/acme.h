// SPDX-License-Identifier: GPL-3.0-or-later
/* An ACME client (RFC 8555) for one certificate, the API's own. It has a process to itself: it waits inside
 * its functions. libcurl stays in this room. One thread, which is the caller's; libcurl resolves names in
 * threads of its own.
 *
 * Everything it keeps is in one folder that is its own: the account's key and URL, the certificate with its
 * key. Files are replaced by rename, so that a reader finds the old one or the new one, whole. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

enum { ACME_TEXT = 256, ACME_URL = 512, ACME_IDENTITIES = 8, ACME_NAMES = 16 };

/* How long is waited for what, in milliseconds; 0: as it says here. For tests, which have less patience. */
struct acme_times {
	int64_t request;     /* one request and its answer, as a whole: 30 s */
	int64_t poll;        /* between two looks at an order, where the CA does not say: 2 s */
	int64_t wait;        /* for an order or a challenge, in all: 10 min */
	int64_t patience;    /* the longest Retry-After that is waited for in the middle of an order: 1 min */
	int64_t first_retry; /* after the first failure; doubles from there: 1 min */
	int64_t longest_retry; /* 1 day; less for certificates that do not live long */
	int64_t check;         /* the least between two questions when to renew (RFC 9773): 1 min */
};

struct acme_settings {
	const char *directory;       /* URL of the CA's directory (RFC 8555 section 7.1.1) */
	const char *ca_file;         /* PEM: roots by which that URL is trusted; NULL: the system's,
					/etc/ssl/certs/ca-certificates.crt, or else all of that folder */
	const char *contact;         /* mail address for the account; NULL: none */
	const char *eab_key_id;      /* external account binding (section 7.3.4); NULL: none */
	const char *eab_hmac_key;    /* base64url; NULL exactly if eab_key_id is */
	const char *preferred_chain; /* common name of the issuer at the end of the wanted chain; NULL: the
					CA's own choice */
	const char *profile;         /* of certificates, where the CA has several; NULL: the CA's choice */
	const char *const *names;    /* DNS names the certificate is for; no wildcards */
	size_t name_count;           /* 1 to ACME_NAMES */
	const char *folder;          /* exists, belongs to this process, mode 0700 */
	bool fresh; /* somebody has started or reloaded the server: what failed before is tried
		       again soon, as after a first failure, unless the CA forbade it */
	struct acme_times times;
};

/* What others may know. Times are milliseconds since the epoch, 0: never. */
struct acme_state {
	char account[ACME_URL];                      /* URL; empty: there is none yet */
	char identities[ACME_IDENTITIES][ACME_TEXT]; /* names by which the CA knows itself in CAA
							records (section 7.1.1); empty ones at the end */
	int64_t not_before, not_after;               /* of the certificate in the folder; 0: none */
	int64_t last_attempt, last_success, next_attempt;
	uint32_t failures;     /* in a row, since the last success */
	char error[ACME_TEXT]; /* why the last attempt failed, in plain words */
};

/* What the client needs of others. Each is called with `ctx`, from acme_run() only. One that fails because
 * `stop` is readable is no failure. Names are in lower case. */
struct acme_hooks {
	void *ctx;
	/* Publishes exactly these TXT values at _acme-challenge.<name>, none: withdraws what is there.
	 * OK means that every query answered from now on has them. */
	int (*publish)(void *ctx, const char *name, const char *const *values, size_t count);
	/* The account is known and this is who may issue: CAA records can be brought in line before
	 * anything is ordered. OK: they are. */
	int (*permit)(void *ctx, const struct acme_state *state);
	/* There is a new certificate in the folder. */
	void (*renewed)(void *ctx, const struct acme_state *state);
	/* Something in the state has changed. */
	void (*report)(void *ctx, const struct acme_state *state);
};

/* Names of the files in the folder. The account's key is in one more, which is named after the directory. */
#define ACME_STATE_FILE       "state.json"      /* accounts, attempts, when to renew; nothing secret */
#define ACME_CERTIFICATE_FILE "certificate.pem" /* private key, certificate, chain; mode 0600 */

/* Ends every text of a state that another process has written, which may be anything. */
void acme_state_terminate(struct acme_state *s);

/* What the folder says, without asking anybody: for the start. ERR_NOTFOUND: nothing yet, *out is zero;
 * ERR_NOMEM; ERR_SYSTEM: the folder cannot be read. */
int acme_state_load(const char *folder, const char *directory, struct acme_state *out) MUST_USE;

/* Keeps the certificate good until `stop` is readable: orders one if there is none, or if it is for other
 * names; renews it when the CA says so (RFC 9773), or else after two thirds of its lifetime. What fails is
 * logged, reported and tried again, later each time, and never sooner than the CA allows. What goes wrong is
 * remembered in the folder, so that a process that dies over it does not ask again and again. OK: stopped;
 * ERR_NOMEM; ERR_INVALID: the settings; ERR_SYSTEM: the folder cannot be used. What is the matter is logged.
 */
int acme_run(const struct acme_settings *s, const struct acme_hooks *hooks, int stop) MUST_USE;
