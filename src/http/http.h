// SPDX-License-Identifier: GPL-3.0-or-later
/* HTTP/1.1, plain or over TLS: requests in, responses out, at once or later. Runs inside the
 * caller's loop: no threads.
 *
 * The parser is our own and small because libmicrohttpd cannot be made strict enough: even with every guard
 * its interface allows, version 0.9.75 takes folded lines, bare LF, NULs, a CR inside the request line and
 * repeated spaces, and its own refusals are HTML.
 *
 * What the room itself refuses, always with a small JSON body {"error": "..."} and a closed connection:
 * ambiguous framing (anything but at most one exact Content-Length, any Transfer-Encoding (501), not exactly
 * one Host in HTTP/1.1, control characters, CR or LF alone, folded lines, names of other characters than
 * letters, digits and hyphens, connection options that would remove fields, content where it has no meaning
 * or is encoded (415)), other versions than 1.0 and 1.1 (505), targets that are not a plain path
 * (percent-encoding, "..", absolute form), headers over HTTP_MAX_HEADERS bytes (431), bodies over
 * HTTP_MAX_BODY (413). doc/http.md has all of it. Cut without a word: requests not complete
 * HTTP_REQUEST_SECONDS after the connection was made or, on a kept one, after their first byte; answers not
 * taken within the same time.
 *
 * A POST without Content-Length has an empty body. "Expect: 100-continue" works. Connections are kept, except
 * with HTTP/1.0, after a refusal, and from a trusted proxy (one request each). At HTTP_MAX_CONNECTIONS one of
 * the network (/24, /56) with the most makes room for a new one: an idle one, or else the one that has been
 * sending its request longest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/tls.h"
#include "util/address.h"
#include "util/error.h"
#include "util/histogram.h"

enum {
	HTTP_MAX_BODY = 8192,
	HTTP_MAX_HEADERS = 8192,
	HTTP_REQUEST_SECONDS = 10,
	HTTP_IDLE_SECONDS = 30,
	HTTP_MAX_CONNECTIONS = 2000,
	HTTP_CLASSES = 8,  /* of requests, which the handler tells apart */
	HTTP_STATUSES = 18 /* that are counted each; the last: all others */
};

/* What clients ask for by ALPN (RFC 7301): for a tls_context of the caller's. */
#define HTTP_PROTOCOL "http/1.1"

struct http_server;
struct http_exchange; /* one request waiting for its response; valid until http_respond() */

/* Lives until the handler returns. */
struct http_request {
	const char *method;
	const char *path;  /* as sent, without the query, not decoded; starts with '/' */
	const char *query; /* what stands behind '?', not decoded; NULL: there is none */
	const char *body;  /* NUL-terminated for convenience; may hold NULs */
	size_t body_len;
	struct address peer;   /* the other end of the connection */
	struct address client; /* whose request it is: the peer, or what a trusted proxy says */
	bool secure;           /* TLS, or a trusted proxy, or loopback: safe to carry keys */
	const struct http_exchange *exchange; /* for http_header */
};

/* The value of a request header, name compared without case; NULL when absent. A header sent twice: NULL and
 * *twice = true. */
const char *http_header(const struct http_request *r, const char *name, bool *twice);

struct http_response {
	unsigned status;
	const char *content_type; /* NULL: none */
	const char *body;         /* copied, unless it lasts */
	size_t body_len;
	const char *allow;        /* value of Allow, for 405; NULL: none */
	unsigned retry_after;     /* seconds; 0: no Retry-After */
	const char *authenticate; /* value of WWW-Authenticate, for 401; NULL: none */
	bool body_lasts;          /* for as long as the process: many slow readers then cost nothing */
};

/* Called once per complete request. It, or someone later, must call http_respond() exactly once. */
typedef void http_handler(void *ctx, struct http_exchange *x, const struct http_request *r);

/* What a server has done and has. Written by its thread alone; others may read it at any time. */
struct http_counters {
	uint64_t accepted, open, evicted; /* connections; now; closed to make room for others */
	uint64_t starved;                 /* could not be taken: no descriptors, nobody to make room */
	uint64_t tls_failed;              /* handshakes */
	uint64_t responses[HTTP_CLASSES][HTTP_STATUSES];
	struct histogram durations[HTTP_CLASSES]; /* microseconds from the whole request to its response */
};
extern const unsigned http_statuses[HTTP_STATUSES]; /* the last is 0 */

struct http_settings {
	const int *listen; /* listening TCP sockets, stay the caller's */
	size_t listen_count;
	const struct tls_context *tls; /* for HTTP_PROTOCOL; it outlives the server. NULL: plain HTTP */
	const struct prefix *trusted_proxies; /* only these may set X-Forwarded-For; the rightmost untrusted
						 entry counts */
	size_t trusted_proxy_count;
	size_t connections;             /* at most; 0: HTTP_MAX_CONNECTIONS */
	struct http_counters *counters; /* NULL: nobody reads them */
};

/* ERR_NOMEM, ERR_SYSTEM. */
int http_start(
	const struct http_settings *s, http_handler *handler, void *ctx, struct http_server **out) MUST_USE;

/* One epoll descriptor that is readable when there is something to do. */
int http_fd(const struct http_server *s);
/* Does what is to be done; call when readable and at least once a second. `now` is clock_mono_ms(). */
void http_run(struct http_server *s, int64_t now);
/* Stops accepting; what has been started goes on. */
void http_quiesce(struct http_server *s);
/* Connections with a request not yet answered completely, or opened within the last second without one yet.
 */
size_t http_busy(const struct http_server *s);
/* Every exchange must have been answered. Accepts NULL inside; sets it to NULL. */
void http_stop(struct http_server **s);

/* For the counters: of which class the request is, below HTTP_CLASSES. Whatever nobody has said, and what
 * this room refuses, is of class 0. */
void http_classify(struct http_exchange *x, unsigned class);

/* Answers; the exchange is gone afterwards. Never fails: a peer that has left is no error. */
void http_respond(struct http_exchange *x, const struct http_response *r);
