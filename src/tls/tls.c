// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/tls.h"

#include <stdlib.h>
#include <string.h>

#include "tls/internal.h"

/* RFC 9325: TLS 1.3, and 1.2 with forward secrecy and authenticated encryption only. */
static const char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"
				 "-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:-MAC-ALL:+AEAD:"
				 "%SERVER_PRECEDENCE";

/* Certificate and key. GnuTLS lets sessions point to them, so they live until the last of those has ended. */
struct identity {
	gnutls_certificate_credentials_t credentials;
	size_t holders; /* the context whose they are at present, and sessions */
};

struct tls_context {
	struct identity *identity;
	gnutls_priority_t priority;
	const char *protocol;
};

struct tls_session {
	gnutls_session_t gnutls;
	struct identity *identity;
};

static void let_go(struct identity **i)
{
	if (*i && --(*i)->holders == 0) {
		gnutls_certificate_free_credentials((*i)->credentials);
		free(*i);
	}
	*i = NULL;
}

static int identity_new(struct identity **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	(*out)->holders = 1;
	if (gnutls_certificate_allocate_credentials(&(*out)->credentials) == GNUTLS_E_SUCCESS)
		return OK;
	free(*out);
	*out = NULL;
	return ERR_NOMEM;
}

static int identity_of_files(const char *certificate, const char *key, struct identity **out)
{
	int r = identity_new(out);
	if (r == OK && gnutls_certificate_set_x509_key_file(
			       (*out)->credentials, certificate, key, GNUTLS_X509_FMT_PEM) < 0)
		r = ERR_INVALID;
	if (r)
		let_go(out);
	return r;
}

static int identity_of(int fd, struct identity **out)
{
	gnutls_datum_t pem;
	*out = NULL;
	int r = tls_read_open(fd, &pem);
	r = r ? r : identity_new(out);
	if (r == OK &&
		gnutls_certificate_set_x509_key_mem((*out)->credentials, &pem, &pem, GNUTLS_X509_FMT_PEM) < 0)
		r = ERR_INVALID;
	tls_wipe(&pem);
	if (r)
		let_go(out);
	return r;
}

/* Takes over `identity`. */
static int context_new(struct identity *identity, const char *protocol, struct tls_context **out)
{
	struct tls_context *t = calloc(1, sizeof *t);
	if (!t || gnutls_priority_init(&t->priority, priorities, NULL) != GNUTLS_E_SUCCESS) {
		free(t);
		let_go(&identity);
		return ERR_NOMEM;
	}
	t->identity = identity;
	t->protocol = protocol;
	*out = t;
	return OK;
}

int tls_context_new(const char *certificate, const char *key, const char *protocol, struct tls_context **out)
{
	struct identity *identity;
	int r = identity_of_files(certificate, key, &identity);
	return r ? r : context_new(identity, protocol, out);
}

int tls_context_open(int fd, const char *protocol, struct tls_context **out)
{
	struct identity *identity;
	int r = identity_of(fd, &identity);
	return r ? r : context_new(identity, protocol, out);
}

int tls_context_renew(struct tls_context *t, int fd)
{
	struct identity *next;
	int r = identity_of(fd, &next);
	if (r)
		return r;
	let_go(&t->identity);
	t->identity = next;
	return OK;
}

void tls_context_free(struct tls_context **t)
{
	if (!*t)
		return;
	let_go(&(*t)->identity);
	gnutls_priority_deinit((*t)->priority);
	free(*t);
	*t = NULL;
}

/* Mandatory concerns clients that do name protocols (RFC 7301 section 3.2): one of them must be ours. */
static int configure(gnutls_session_t g, const struct tls_context *t, int fd)
{
	unsigned char name[32];
	size_t len = strnlen(t->protocol, sizeof name);
	memcpy(name, t->protocol, len);
	const gnutls_datum_t alpn = {name, (unsigned)len};
	int r = gnutls_priority_set(g, t->priority);
	if (r == GNUTLS_E_SUCCESS)
		r = gnutls_credentials_set(g, GNUTLS_CRD_CERTIFICATE, t->identity->credentials);
	if (r == GNUTLS_E_SUCCESS)
		r = gnutls_alpn_set_protocols(g, &alpn, 1, GNUTLS_ALPN_MANDATORY);
	gnutls_transport_set_int(g, fd);
	gnutls_handshake_set_timeout(g, GNUTLS_INDEFINITE_TIMEOUT); /* the connection has its own deadline */
	return r;
}

int tls_session_new(const struct tls_context *t, int fd, struct tls_session **out)
{
	struct tls_session *s = calloc(1, sizeof *s);
	if (!s)
		return ERR_NOMEM;
	/* No tickets: requests are rare, and a ticket key would be one more secret that outlives a
	 * connection. */
	if (gnutls_init(&s->gnutls, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS) !=
		GNUTLS_E_SUCCESS)
		goto fail_session;
	if (configure(s->gnutls, t, fd) != GNUTLS_E_SUCCESS)
		goto fail_gnutls;
	s->identity = t->identity;
	s->identity->holders++;
	*out = s;
	return OK;
fail_gnutls:
	gnutls_deinit(s->gnutls);
fail_session:
	free(s);
	return ERR_NOMEM;
}

void tls_session_free(struct tls_session **s)
{
	if (!*s)
		return;
	gnutls_deinit((*s)->gnutls);
	let_go(&(*s)->identity);
	free(*s);
	*s = NULL;
}

static bool is_again(ssize_t r)
{
	return r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED;
}

int tls_handshake(struct tls_session *s)
{
	int r;
	do
		r = gnutls_handshake(s->gnutls);
	while (r == GNUTLS_E_WARNING_ALERT_RECEIVED);
	if (r == GNUTLS_E_SUCCESS)
		return OK;
	if (is_again(r))
		return ERR_AGAIN;
	(void)gnutls_alert_send_appropriate(s->gnutls, r); /* so that the client can say why; best effort */
	return ERR_CLOSED;
}

bool tls_wants_write(const struct tls_session *s)
{
	return gnutls_record_get_direction(s->gnutls) == 1;
}

/* Renegotiation (TLS 1.2) arrives as GNUTLS_E_REHANDSHAKE and ends the connection: no client of ours needs
 * it. */
ssize_t tls_receive(struct tls_session *s, void *buf, size_t len)
{
	ssize_t r = gnutls_record_recv(s->gnutls, buf, len);
	if (r > 0)
		return r;
	return is_again(r) ? ERR_AGAIN : ERR_CLOSED;
}

ssize_t tls_send(struct tls_session *s, const void *buf, size_t len)
{
	ssize_t r = gnutls_record_send(s->gnutls, buf, len);
	if (r > 0)
		return r;
	return is_again(r) ? ERR_AGAIN : ERR_CLOSED;
}

void tls_bye(struct tls_session *s)
{
	(void)gnutls_bye(s->gnutls, GNUTLS_SHUT_WR); /* a peer that cannot take it is gone anyway */
}
