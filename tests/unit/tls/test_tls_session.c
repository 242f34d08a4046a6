// SPDX-License-Identifier: GPL-3.0-or-later
/* A server's session and GnuTLS as its client, at the two ends of a socket pair, in one thread. */
#include "tls/certificate.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tempdir.h"
#include "tls/tls.h"

enum { TURNS = 1000 };

static struct {
	struct tempdir dir;
	char certificate[128], key[128];
} files;

static int make_files(void **state)
{
	time_t now = time(NULL);
	(void)state;
	files.dir = tempdir_make();
	assert_true(snprintf(files.certificate, 128, "%s/cert.pem", files.dir.path) < 128);
	assert_true(snprintf(files.key, 128, "%s/key.pem", files.dir.path) < 128);
	make_certificate(files.certificate, files.key, now - 3600, now + 3600);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	tempdir_remove(files.dir.path);
	return 0;
}

struct pair {
	struct tls_context *context;
	struct tls_session *server;
	gnutls_session_t client;
	gnutls_certificate_credentials_t credentials;
	int fd[2]; /* server's, client's */
};

/* `offered`: what the client asks for by ALPN; NULL: nothing. */
static void open_pair(struct pair *p, const char *priorities, const char *offered)
{
	*p = (struct pair){0};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fd), 0);
	assert_int_equal(tls_context_new(files.certificate, files.key, "dot", &p->context), OK);
	assert_int_equal(tls_session_new(p->context, p->fd[0], &p->server), OK);
	assert_int_equal(gnutls_init(&p->client, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&p->credentials), 0);
	assert_int_equal(gnutls_credentials_set(p->client, GNUTLS_CRD_CERTIFICATE, p->credentials), 0);
	assert_int_equal(gnutls_priority_set_direct(p->client, priorities, NULL), 0);
	if (offered) {
		unsigned char name[32];
		memcpy(name, offered, strlen(offered));
		const gnutls_datum_t alpn = {name, (unsigned)strlen(offered)};
		assert_int_equal(gnutls_alpn_set_protocols(p->client, &alpn, 1, 0), 0);
	}
	gnutls_transport_set_int(p->client, p->fd[1]);
}

static void close_pair(struct pair *p)
{
	gnutls_deinit(p->client);
	gnutls_certificate_free_credentials(p->credentials);
	tls_session_free(&p->server);
	tls_context_free(&p->context);
	close(p->fd[0]);
	close(p->fd[1]);
}

/* Returns what the server says; *client is what the client says. */
static int shake_hands(struct pair *p, int *client)
{
	int server = ERR_AGAIN;
	*client = GNUTLS_E_AGAIN;
	for (unsigned i = 0; i < TURNS && (server == ERR_AGAIN || *client == GNUTLS_E_AGAIN); i++) {
		if (*client == GNUTLS_E_AGAIN || gnutls_error_is_fatal(*client) == 0)
			*client =
				*client == GNUTLS_E_SUCCESS ? GNUTLS_E_SUCCESS : gnutls_handshake(p->client);
		if (server == ERR_AGAIN)
			server = tls_handshake(p->server);
		if (server == ERR_CLOSED && gnutls_error_is_fatal(*client))
			break;
	}
	return server;
}

static void expect_open(struct pair *p)
{
	int client;
	assert_int_equal(shake_hands(p, &client), OK);
	assert_int_equal(client, GNUTLS_E_SUCCESS);
}

static void bytes_go_both_ways(void **state)
{
	(void)state;
	static const char *const versions[] = {
		"NORMAL:-VERS-ALL:+VERS-TLS1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.2"};
	for (unsigned i = 0; i < 2; i++) {
		struct pair p;
		char got[16];
		open_pair(&p, versions[i], "dot");
		expect_open(&p);
		assert_int_equal(tls_receive(p.server, got, sizeof got), ERR_AGAIN);
		assert_int_equal(gnutls_record_send(p.client, "hello", 5), 5);
		assert_int_equal(tls_receive(p.server, got, sizeof got), 5);
		assert_memory_equal(got, "hello", 5);
		assert_int_equal(tls_send(p.server, "world", 5), 5);
		assert_int_equal(gnutls_record_recv(p.client, got, sizeof got), 5);
		assert_memory_equal(got, "world", 5);
		close_pair(&p);
	}
}

/* ---- one certificate takes the place of another ---- */

/* An open file with key and certificate in one, as the agent keeps them. */
static int one_file(void)
{
	int fd = memfd_create("certificate", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(tls_self_sign("new.example", 7, fd), OK);
	return fd;
}

/* Shakes hands anew with this context, and sees which certificate the client is shown. */
static bool shows(const struct tls_context *t, const char *host)
{
	struct pair p;
	open_pair(&p, "NORMAL", "dot");
	tls_session_free(&p.server);
	assert_int_equal(tls_session_new(t, p.fd[0], &p.server), OK);
	expect_open(&p);
	unsigned count;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(p.client, &count);
	gnutls_x509_crt_t c;
	assert_int_equal(gnutls_x509_crt_init(&c), 0);
	assert_int_equal(gnutls_x509_crt_import(c, &chain[0], GNUTLS_X509_FMT_DER), 0);
	bool is = gnutls_x509_crt_check_hostname(c, host);
	gnutls_x509_crt_deinit(c);
	close_pair(&p);
	return is;
}

static void sessions_keep_what_they_began_with(void **state)
{
	(void)state;
	struct pair p, half;
	char got[16];
	int fd = one_file();
	open_pair(&p, "NORMAL", "dot");
	expect_open(&p);
	open_pair(&half, "NORMAL", "dot"); /* one whose handshake is under way */
	tls_session_free(&half.server);
	assert_int_equal(tls_session_new(p.context, half.fd[0], &half.server), OK);
	assert_int_equal(gnutls_handshake(half.client), GNUTLS_E_AGAIN);
	assert_true(shows(p.context, "localhost"));
	for (int i = 0; i < 3; i++) { /* the second time it takes the place of itself */
		assert_int_equal(tls_context_renew(p.context, fd), OK);
		assert_true(shows(p.context, "new.example"));
		assert_int_equal(gnutls_record_send(p.client, "hello", 5), 5);
		assert_int_equal(tls_receive(p.server, got, sizeof got), 5);
		assert_int_equal(tls_send(p.server, "world", 5), 5);
		assert_int_equal(gnutls_record_recv(p.client, got, sizeof got), 5);
	}
	expect_open(&half);
	tls_context_free(&p.context); /* sessions outlive it */
	assert_int_equal(tls_send(p.server, "world", 5), 5);
	assert_int_equal(gnutls_record_recv(p.client, got, sizeof got), 5);
	close_pair(&p);
	close_pair(&half);
	close(fd);
}

static void a_bad_file_changes_nothing(void **state)
{
	(void)state;
	struct tls_context *t = NULL, *other = NULL;
	int fd = one_file(), empty = memfd_create("empty", MFD_CLOEXEC), pipes[2];
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(tls_context_open(fd, "dot", &t), OK);
	assert_int_equal(tls_context_renew(t, empty), ERR_INVALID);
	assert_int_equal(tls_context_renew(t, pipes[0]), ERR_SYSTEM);
	assert_int_equal(tls_context_renew(t, -1), ERR_SYSTEM);
	assert_int_equal(write(empty, "-----BEGIN CERTIFICATE-----\n", 28), 28);
	assert_int_equal(tls_context_renew(t, empty), ERR_INVALID);
	assert_int_equal(tls_context_open(empty, "dot", &other), ERR_INVALID);
	assert_null(other);
	assert_true(shows(t, "new.example"));
	tls_context_free(&t);
	close(fd);
	close(empty);
	close(pipes[0]);
	close(pipes[1]);
}

static void an_open_file_is_checked_for_its_host(void **state)
{
	(void)state;
	struct diag *d = diag_new();
	int fd = one_file();
	assert_int_equal(tls_check_open(fd, "it", "new.example", d), OK);
	assert_int_equal(tls_check_open(fd, "it", NULL, d), OK);
	assert_int_equal(diag_errors(d), 0);
	assert_int_equal(tls_check_open(fd, "it", "old.example", d), ERR_INVALID);
	assert_int_equal(diag_errors(d), 1);
	assert_int_equal(ftruncate(fd, 150), 0); /* half a key */
	assert_int_equal(tls_check_open(fd, "it", "new.example", d), ERR_INVALID);
	close(fd);
	diag_free(&d);
}

/* RFC 9325: nothing below 1.2, no static RSA, no CBC. */
static void weak_tls_is_refused(void **state)
{
	(void)state;
	static const char *const weak[] = {
		"NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT",
		"NORMAL:-VERS-ALL:+VERS-TLS1.0:%COMPAT",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+AES-256-CBC",
	};
	for (size_t i = 0; i < sizeof weak / sizeof *weak; i++) {
		struct pair p;
		int client;
		open_pair(&p, weak[i], NULL);
		assert_int_equal(shake_hands(&p, &client), ERR_CLOSED);
		assert_true(gnutls_error_is_fatal(client));
		close_pair(&p);
	}
}

/* RFC 7301 section 3.2: what both know is chosen; a client that offers only what the server does not speak is
 * refused with no_application_protocol. RFC 7858 knows no ALPN: a client without it is served. */
static void the_protocol_is_agreed_on(void **state)
{
	(void)state;
	struct pair p;
	gnutls_datum_t chosen;
	int client;
	open_pair(&p, "NORMAL", "dot");
	expect_open(&p);
	assert_int_equal(gnutls_alpn_get_selected_protocol(p.client, &chosen), 0);
	assert_int_equal(chosen.size, 3);
	assert_memory_equal(chosen.data, "dot", 3);
	close_pair(&p);

	open_pair(&p, "NORMAL", NULL);
	expect_open(&p);
	assert_int_equal(
		gnutls_alpn_get_selected_protocol(p.client, &chosen), GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE);
	close_pair(&p);

	open_pair(&p, "NORMAL", "h2");
	assert_int_equal(shake_hands(&p, &client), ERR_CLOSED);
	assert_int_equal(client, GNUTLS_E_FATAL_ALERT_RECEIVED);
	assert_int_equal(gnutls_alert_get(p.client), GNUTLS_A_NO_APPLICATION_PROTOCOL);
	close_pair(&p);
}

/* RFC 8446 section 6.1: close_notify tells a complete stream from one that was cut off. */
static void an_end_is_said(void **state)
{
	(void)state;
	struct pair p;
	char byte;
	open_pair(&p, "NORMAL", "dot");
	expect_open(&p);
	tls_bye(p.server);
	assert_int_equal(shutdown(p.fd[0], SHUT_WR), 0);
	assert_int_equal(gnutls_record_recv(p.client, &byte, 1), 0);
	/* Each direction ends on its own: the client's is still open. */
	assert_int_equal(gnutls_record_send(p.client, "x", 1), 1);
	assert_int_equal(tls_receive(p.server, &byte, 1), 1);
	assert_int_equal(gnutls_bye(p.client, GNUTLS_SHUT_WR), 0);
	assert_int_equal(tls_receive(p.server, &byte, 1), ERR_CLOSED);
	close_pair(&p);
}

/* A record that did not fit is sent on with the same bytes, and none is lost or sent twice. */
static void a_full_socket_is_continued(void **state)
{
	(void)state;
	enum { TOTAL = 4 << 20 };
	static uint8_t sent[TOTAL], got[TOTAL];
	struct pair p;
	size_t out = 0, in = 0;
	bool was_full = false;
	for (size_t i = 0; i < TOTAL; i++)
		sent[i] = (uint8_t)(i * 31 + (i >> 13));
	open_pair(&p, "NORMAL", "dot");
	expect_open(&p);
	for (unsigned turn = 0; turn < 100000 && in < TOTAL; turn++) {
		ssize_t n = out < TOTAL ? tls_send(p.server, sent + out, TOTAL - out) : ERR_AGAIN;
		if (n > 0) {
			out += (size_t)n;
			continue;
		}
		assert_int_equal(n, ERR_AGAIN);
		was_full |= out < TOTAL;
		n = gnutls_record_recv(p.client, got + in, TOTAL - in);
		assert_true(n > 0 || n == GNUTLS_E_AGAIN);
		in += n > 0 ? (size_t)n : 0;
	}
	assert_true(was_full);
	assert_int_equal(in, TOTAL);
	assert_memory_equal(got, sent, TOTAL);
	close_pair(&p);
}

static void nonsense_is_no_handshake(void **state)
{
	(void)state;
	struct pair p;
	open_pair(&p, "NORMAL", NULL);
	assert_int_equal(write(p.fd[1], "\0\x1d\x12\x34\1\0\0\1\0\0\0\0\0\0", 14), 14);
	assert_int_equal(tls_handshake(p.server), ERR_CLOSED);
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_both_ways),
		cmocka_unit_test(sessions_keep_what_they_began_with),
		cmocka_unit_test(a_bad_file_changes_nothing),
		cmocka_unit_test(an_open_file_is_checked_for_its_host),
		cmocka_unit_test(weak_tls_is_refused),
		cmocka_unit_test(the_protocol_is_agreed_on),
		cmocka_unit_test(an_end_is_said),
		cmocka_unit_test(a_full_socket_is_continued),
		cmocka_unit_test(nonsense_is_no_handshake),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
