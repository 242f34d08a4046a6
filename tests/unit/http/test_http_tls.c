// SPDX-License-Identifier: GPL-3.0-or-later
#include "http/testserver.h"

#include "tempdir.h"
#include "tls/certificate.h"
#include "tls/tls.h"

static struct {
	struct tempdir dir;
	struct tls_context *tls;
} files;

static void name_file(char out[static 128], const char *name)
{
	assert_true(snprintf(out, 128, "%s/%s", files.dir.path, name) < 128);
}

static int make_files(void **state)
{
	time_t now = time(NULL);
	char certificate[128], key[128];
	(void)state;
	files.dir = tempdir_make();
	name_file(certificate, "cert.pem");
	name_file(key, "key.pem");
	make_certificate(certificate, key, now - 3600, now + 3600);
	return tls_context_new(certificate, key, HTTP_PROTOCOL, &files.tls);
}

static int remove_files(void **state)
{
	(void)state;
	tls_context_free(&files.tls);
	tempdir_remove(files.dir.path);
	return 0;
}

/* ---- connections ---- */

static void say_path(void *ctx, struct http_exchange *x, const struct http_request *r)
{
	(void)ctx;
	char body[2048];
	int n = snprintf(body, sizeof body, "%s %s %zu", r->path, r->secure ? "secure" : "open", r->body_len);
	http_respond(x, &(struct http_response){200, "text/plain", body, (size_t)n, NULL, 0, NULL, false});
}

struct tls_client {
	struct testclient tcp;
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
};

static void start_tls(struct testserver *t)
{
	testserver_start(t, (struct http_settings){.tls = files.tls}, say_path, NULL);
}

/* The result of the handshake. */
static int tls_open(struct tls_client *c, struct testserver *t, const char *priorities)
{
	int r = GNUTLS_E_AGAIN;
	testclient_open(&c->tcp, t);
	assert_int_equal(gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&c->credentials), 0);
	assert_int_equal(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials), 0);
	assert_int_equal(gnutls_priority_set_direct(c->session, priorities, NULL), 0);
	gnutls_transport_set_int(c->session, c->tcp.fd);
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && r == GNUTLS_E_AGAIN; i++) {
		r = gnutls_handshake(c->session);
		testserver_turn(t, c->tcp.fd, r == GNUTLS_E_AGAIN ? POLLIN : 0);
	}
	return r;
}

static void tls_close(struct tls_client *c)
{
	gnutls_deinit(c->session);
	gnutls_certificate_free_credentials(c->credentials);
	testclient_close(&c->tcp);
}

static void tls_send_text(struct tls_client *c, const char *text)
{
	assert_int_equal(gnutls_record_send(c->session, text, strlen(text)), strlen(text));
}

static void tls_answer(struct tls_client *c, struct answer *a)
{
	size_t head = 0, total = 0;
	memset(a, 0, sizeof *a);
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && !(total = answer_length(&c->tcp, &head)); i++) {
		testserver_turn(c->tcp.server, c->tcp.fd, POLLIN);
		ssize_t n = gnutls_record_recv(
			c->session, c->tcp.buf + c->tcp.len, sizeof c->tcp.buf - 1 - c->tcp.len);
		assert_true(n >= 0 || n == GNUTLS_E_AGAIN);
		c->tcp.len += n > 0 ? (size_t)n : 0;
		c->tcp.buf[c->tcp.len] = 0;
	}
	assert_int_not_equal(total, 0);
	memcpy(a->head, c->tcp.buf, head);
	memcpy(a->body, c->tcp.buf + head, total - head);
	assert_int_equal(sscanf(a->head, "HTTP/1.1 %d ", &a->status), 1);
	memmove(c->tcp.buf, c->tcp.buf + total, c->tcp.len - total + 1);
	c->tcp.len -= total;
}

static void requests_over(const char *priorities)
{
	static struct tls_client c;
	struct testserver t;
	struct answer a;
	memset(&c, 0, sizeof c);
	start_tls(&t);
	assert_int_equal(tls_open(&c, &t, priorities), GNUTLS_E_SUCCESS);
	for (int i = 0; i < 3; i++) {
		tls_send_text(&c, "POST /tls HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
		tls_answer(&c, &a);
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body, "/tls secure 2");
	}
	/* Two in one record: the second waits inside the TLS library, where epoll does not see it. */
	tls_send_text(&c, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
	tls_answer(&c, &a);
	assert_string_equal(a.body, "/1 secure 0");
	tls_answer(&c, &a);
	assert_string_equal(a.body, "/2 secure 0");
	tls_send_text(&c, "GET /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	tls_answer(&c, &a);
	assert_int_equal(a.status, 501);
	tls_close(&c);
	testserver_turns(&t, 2);
	testserver_stop(&t);
}

static void requests_over_tls_1_3(void **state)
{
	(void)state;
	requests_over("NORMAL:-VERS-ALL:+VERS-TLS1.3");
}

static void requests_over_tls_1_2(void **state)
{
	(void)state;
	requests_over("NORMAL:-VERS-ALL:+VERS-TLS1.2");
}

/* More in one record than a connection may do in one turn. */
static void much_at_once_is_answered(void **state)
{
	(void)state;
	static struct tls_client c;
	struct testserver t;
	struct answer a;
	char many[16000] = "";
	size_t len = 0;
	memset(&c, 0, sizeof c);
	for (int i = 0; i < 400; i++)
		len += (size_t)snprintf(
			many + len, sizeof many - len, "GET /%03d HTTP/1.1\r\nHost: x\r\n\r\n", i);
	start_tls(&t);
	assert_int_equal(tls_open(&c, &t, "NORMAL"), GNUTLS_E_SUCCESS);
	tls_send_text(&c, many);
	for (int i = 0; i < 400; i++) {
		tls_answer(&c, &a);
		assert_int_equal(atoi(a.body + 1), i);
	}
	tls_close(&c);
	testserver_stop(&t);
}

/* curl offers h2 first. */
static void http_1_1_is_chosen(void **state)
{
	(void)state;
	static struct tls_client c;
	struct testserver t;
	gnutls_datum_t chosen, offered[2] = {{(unsigned char *)"h2", 2}, {(unsigned char *)"http/1.1", 8}};
	memset(&c, 0, sizeof c);
	start_tls(&t);
	testclient_open(&c.tcp, &t);
	assert_int_equal(gnutls_init(&c.session, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&c.credentials), 0);
	assert_int_equal(gnutls_credentials_set(c.session, GNUTLS_CRD_CERTIFICATE, c.credentials), 0);
	assert_int_equal(gnutls_set_default_priority(c.session), 0);
	assert_int_equal(gnutls_alpn_set_protocols(c.session, offered, 2, 0), 0);
	gnutls_transport_set_int(c.session, c.tcp.fd);
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && gnutls_handshake(c.session) == GNUTLS_E_AGAIN; i++)
		testserver_turn(&t, c.tcp.fd, POLLIN);
	assert_int_equal(gnutls_alpn_get_selected_protocol(c.session, &chosen), 0);
	assert_int_equal(chosen.size, 8);
	tls_close(&c);
	testserver_stop(&t);
}

static void a_handshake_that_stalls_is_cut(void **state)
{
	(void)state;
	static struct testclient c;
	struct testserver t;
	start_tls(&t);
	testclient_open(&c, &t);
	testclient_send_bytes(&c, "\x16\x03\x01\x02\x00\x01", 6);
	t.now += HTTP_REQUEST_SECONDS * 1000;
	testclient_expect_closed(&c);
	testclient_close(&c);
	testserver_stop(&t);
}

static void plain_http_to_a_tls_port_is_cut(void **state)
{
	(void)state;
	static struct testclient c;
	struct testserver t;
	start_tls(&t);
	testclient_open(&c, &t);
	testclient_send(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && !c.closed; i++) {
		testserver_turn(&t, c.fd, POLLIN);
		testclient_receive(&c);
	}
	assert_true(c.closed);
	assert_null(strstr(c.buf, "200"));
	testclient_close(&c);
	testserver_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_over_tls_1_3),
		cmocka_unit_test(requests_over_tls_1_2),
		cmocka_unit_test(much_at_once_is_answered),
		cmocka_unit_test(http_1_1_is_chosen),
		cmocka_unit_test(a_handshake_that_stalls_is_cut),
		cmocka_unit_test(plain_http_to_a_tls_port_is_cut),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
