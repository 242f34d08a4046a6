// SPDX-License-Identifier: GPL-3.0-or-later
/* One HTTPS request at a time, bounded in time and size; redirects are not followed. What a process asks ends
 * when its `stop` descriptor is readable. libcurl is in transport.c only (its dates in dates.c). */
#pragma once

#include "acme/acme.h"

enum { TRANSPORT_MAX = 256 * 1024, TRANSPORT_LINKS = 8, TRANSPORT_NONCE = 256 };

struct transport;

struct request {
	const char *url;
	const char *what;   /* for messages: "the order" */
	const char *accept; /* media type, NULL: any */
	const char *body;   /* a JWS, which is posted; NULL: GET */
	bool head;
};

struct response {
	long status;
	char type[64];                              /* media type, lower case, without parameters */
	char location[ACME_URL];                    /* absolute; empty: none */
	char nonce[TRANSPORT_NONCE];                /* empty: none that is well-formed */
	char alternates[TRANSPORT_LINKS][ACME_URL]; /* links with rel="alternate", absolute */
	size_t alternate_count;
	int64_t retry_after; /* milliseconds from now; -1: not said */
	char *body;          /* NUL-terminated */
	size_t len;
};

/* `ca_file` NULL: the system's roots. ERR_NOMEM. */
int transport_new(const char *ca_file, int64_t request_ms, int stop, struct transport **out) MUST_USE;
void transport_free(struct transport **t); /* accepts NULL inside; sets it to NULL */

/* OK: there is an answer, of whatever status; free it with response_free(). ERR_CLOSED: told to stop;
 * ERR_AGAIN: no whole answer, and `why` says why; ERR_NOMEM. */
int transport_send(struct transport *t, const struct request *q, struct response *out,
	char why[static ACME_TEXT]) MUST_USE;
void response_free(struct response *r);

/* ERR_CLOSED: told to stop before the time was up. */
int transport_wait(int stop, int64_t ms) MUST_USE;

/* One header field as it stands in an answer to a request for `url`; for tests, too. */
void response_header(struct response *r, const char *url, const char *line, size_t len, int64_t now);
