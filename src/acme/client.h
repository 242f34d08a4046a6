// SPDX-License-Identifier: GPL-3.0-or-later
/* What the parts of the client share. One thread. Their functions return OK, ERR_CLOSED: told to stop,
 * ERR_NOMEM, or another error, of which client->failure then says what is the matter. */
#pragma once

#include <jansson.h>

#include "acme/acme.h"
#include "acme/book.h"
#include "acme/certificate.h"
#include "acme/documents.h"
#include "acme/jws.h"
#include "acme/transport.h"

/* Why the last thing failed. */
struct failure {
	char text[DOCUMENT_TEXT]; /* a clause for people; printable */
	char type[128];           /* of the CA's problem document, without "urn:ietf:params:acme:error:" */
	int64_t retry_after;      /* what the CA said, milliseconds; -1: nothing */
};

struct client {
	const struct acme_settings *settings;
	const struct acme_hooks *hooks;
	struct acme_times times;
	char name_text[ACME_NAMES][ACME_TEXT];
	const char *names[ACME_NAMES]; /* of the settings: lower case, without a final dot, each once */
	size_t name_count;
	int stop, folder;
	struct transport *transport;
	struct directory directory;
	char nonce[TRANSPORT_NONCE]; /* empty: none at hand */
	struct jws_key *key;
	char account[ACME_URL];
	struct failure failure;
	struct book book;
	struct certificate certificate; /* the one in the folder */
	bool have_certificate;
	char origin[ACME_URL]; /* the directory it came from; empty: not known */
	bool trying;           /* an attempt is under way: the book already counts it as failed */
	struct acme_state state;
};

/* failure.c: notes a failure, returns `code`. */
int client_fail(struct client *c, int code, const char *format, ...) PRINTF(3, 4);
/* The CA has refused `what`. Returns ERR_FORBIDDEN. */
int client_refused(struct client *c, const char *what, const struct response *r) MUST_USE;
bool client_problem(const struct client *c, const char *type) MUST_USE; /* "rateLimited" */
/* Waits before it is looked again at something the CA works on: as long as it said (`retry`, -1: nothing),
 * but not beyond `end` (monotonic). ERR_CLOSED. */
int client_pause(const struct client *c, int64_t retry, int64_t end) MUST_USE;

/* session.c */
struct post {
	const char *url, *what;
	const char *accept;    /* media type that the answer must have; NULL: any */
	const json_t *payload; /* NULL: POST-as-GET (RFC 8555 section 6.3) */
	bool by_key;           /* signed by a key that names no account yet (section 6.2) */
};
int session_directory(struct client *c) MUST_USE; /* reads it anew */
int session_get(struct client *c, const char *url, const char *what, struct response *out) MUST_USE;
/* The answer has a status of success and, if `accept` says so, that type. To be freed when OK. */
int session_post(struct client *c, const struct post *p, struct response *out) MUST_USE;
#define ACME_JSON "application/json"

/* account.c: key and account are there, found or made. */
int account_ready(struct client *c) MUST_USE;

/* account_key.c: c->key, read or made (*fresh). */
int account_key(struct client *c, bool *fresh) MUST_USE;
/* Puts the key aside: the CA has no more use for it. */
int account_key_retire(struct client *c) MUST_USE;

/* authorize.c: proves that the order's names are ours. */
int authorize(struct client *c, const struct order *o) MUST_USE;

/* order.c: a new certificate, from the order to the file in the folder. */
int order_certificate(struct client *c) MUST_USE;

/* download.c: the order's certificate, as it is to be installed; *text is to be freed with file_free(). */
int download(struct client *c, const char *url, const char *key, char **text) MUST_USE;

/* renewal.c: when to renew what is in the folder: book.renew_at, and when to ask again: book.check_at. Asks
 * the CA. */
int renewal_ask(struct client *c) MUST_USE;
/* The same, as far as it is known without asking. */
void renewal_recall(struct client *c);

/* state.c */
/* The certificate in the folder, with its key. ERR_INVALID: cannot be used; errors of file_read(). */
int state_read_certificate(int folder, struct certificate *out, char origin[ACME_URL]) MUST_USE;
/* Brings c->state up to date and tells it. */
void state_report(struct client *c);
