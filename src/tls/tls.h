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

/* The same for one open file with key, certificate and chain, called `name`. A certificate that is not for
 * `host` (NULL: does not matter) cannot be used either. */
int tls_check_open(int fd, const char *name, const char *host, struct diag *d) MUST_USE;

/* Writes a new key (ECDSA, P-256) and a certificate for `host` that it has signed itself, good for `days`,
 * into an empty file. Clients will not trust it. ERR_NOMEM, ERR_SYSTEM. */
int tls_self_sign(const char *host, unsigned days, int fd) MUST_USE;

/* From when until when the first certificate of a PEM file is good, in milliseconds since the epoch.
 * ERR_INVALID: there is none; both are 0. */
int tls_certificate_dates(const char *certificate, int64_t *not_before, int64_t *not_after) MUST_USE;

/* `protocol`: the name by which clients ask for what is spoken inside (ALPN, RFC 7301); it must outlive the
 * context. A client that names only others is refused, so that nobody can lead it here from another service
 * with the same certificate (RFC 9325 section 3.7); one that names none is welcome. ERR_INVALID: the files
 * cannot be used (tls_check_certificate says why). ERR_NOMEM. */
int tls_context_new(
	const char *certificate, const char *key, const char *protocol, struct tls_context **out) MUST_USE;
/* The same from an open file that holds key, certificate and chain; it is read from its start, whoever else
 * reads it. ERR_INVALID, ERR_NOMEM, ERR_SYSTEM. */
int tls_context_open(int fd, const char *protocol, struct tls_context **out) MUST_USE;
/* Handshakes that begin from now on use what this file holds; sessions that are there keep what they have,
 * for as long as they live. Errors as above: nothing has changed. */
int tls_context_renew(struct tls_context *t, int fd) MUST_USE;
/* Sessions may outlive it. Accepts NULL inside; sets it to NULL. */
void tls_context_free(struct tls_context **t);

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
