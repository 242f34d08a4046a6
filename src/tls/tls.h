// SPDX-License-Identifier: GPL-3.0-or-later
/* TLS for a server and its connections, over non-blocking sockets. GnuTLS stays in this room (and in
 * util/secure.c, for its digests). One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/diag.h"
#include "util/error.h"

struct tls_context; /* certificate, key and cipher choice, shared by all connections of a server */
/* Some 11 KiB (GnuTLS 3.7.9), and while a record is under way up to 16 KiB more for each direction. */
struct tls_session;

/* Can these PEM files (chain and key) be used? Says in `d` what is wrong (unreadable, not PEM, key does not
 * match). ERR_INVALID. */
int tls_check_certificate(const char *certificate, const char *key, struct diag *d) MUST_USE;

/* From when until when the first certificate of a PEM file is good, in milliseconds since the epoch.
 * ERR_INVALID: there is none; both are 0. */
int tls_certificate_dates(const char *certificate, int64_t *not_before, int64_t *not_after) MUST_USE;

/* `protocol`: the name by which clients ask for what is spoken inside (ALPN, RFC 7301); it must outlive the
 * context. A client that names only others is refused, so that nobody can lead it here from another service
 * with the same certificate (RFC 9325 section 3.7); one that names none is welcome. ERR_INVALID: the files
 * cannot be used (tls_check_certificate says why). ERR_NOMEM. */
int tls_context_new(
	const char *certificate, const char *key, const char *protocol, struct tls_context **out) MUST_USE;
void tls_context_free(struct tls_context **t); /* accepts NULL inside; sets it to NULL */

/* `fd` stays the caller's and must be non-blocking. ERR_NOMEM. */
int tls_session_new(const struct tls_context *t, int fd, struct tls_session **out) MUST_USE;
void tls_session_free(struct tls_session **s);

/* OK: done. ERR_AGAIN: wait for what tls_wants_write() says. ERR_CLOSED: over. */
int tls_handshake(struct tls_session *s) MUST_USE;
bool tls_wants_write(const struct tls_session *s);

/* Bytes moved (> 0), ERR_AGAIN, or ERR_CLOSED (end, reset, TLS error). After ERR_AGAIN, tls_send must be
 * called with the same bytes again. */
ssize_t tls_receive(struct tls_session *s, void *buf, size_t len) MUST_USE;
ssize_t tls_send(struct tls_session *s, const void *buf, size_t len) MUST_USE;
/* Says that nothing more will be sent; as far as that is possible without waiting. */
void tls_bye(struct tls_session *s);
