// SPDX-License-Identifier: GPL-3.0-or-later
#include "http/testserver.h"

/* What the handler saw last, and how it shall answer. */
struct seen {
	unsigned count;
	char method[32], path[256], body[16384];
	size_t body_len;
	struct address client;
	bool secure;
	bool later; /* keep the exchange instead of answering */
	struct http_exchange *kept[8];
	unsigned kept_count;
};

static void respond(struct http_exchange *x, const char *body)
{
	static const char lasting[] = "lasts";
	if (strcmp(body, "/lasting") == 0) {
		http_respond(x, &(struct http_response){.status = 200,
					.body = lasting,
					.body_len = sizeof lasting - 1,
					.body_lasts = true});
		return;
	}
	http_respond(x, &(struct http_response){200, "text/plain", body, strlen(body), NULL, 0, NULL, false});
}

static void record(void *ctx, struct http_exchange *x, const struct http_request *r)
{
	struct seen *s = ctx;
	s->count++;
	snprintf(s->method, sizeof s->method, "%s", r->method);
	snprintf(s->path, sizeof s->path, "%s", r->path);
	assert_int_equal(r->body[r->body_len], 0);
	memcpy(s->body, r->body, r->body_len + 1);
	s->body_len = r->body_len;
	s->client = r->client;
	s->secure = r->secure;
	if (s->later)
		s->kept[s->kept_count++] = x;
	else
		respond(x, s->path);
}

struct fixture {
	struct testserver t;
	struct seen seen;
	struct testclient c;
	struct answer a;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	testserver_start(&f->t, (struct http_settings){0}, record, &f->seen);
	testclient_open(&f->c, &f->t);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	if (f->c.fd >= 0)
		testclient_close(&f->c);
	testserver_stop(&f->t);
	free(f);
	return 0;
}

static void expect_answer(struct fixture *f, int status, const char *body)
{
	assert_true(testclient_answer(&f->c, &f->a));
	assert_int_equal(f->a.status, status);
	assert_string_equal(f->a.body, body);
}

static void a_request_is_handed_over_and_answered(void **state)
{
	struct fixture *f = *state;
	testclient_send(&f->c, "POST /a/b?q=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
	expect_answer(f, 200, "/a/b");
	assert_string_equal(f->seen.method, "POST");
	assert_string_equal(f->seen.body, "hello");
	assert_int_equal(f->seen.body_len, 5);
	assert_true(f->seen.secure); /* loopback */
	assert_true(address_is_loopback(&f->seen.client));
}

static void a_body_that_lasts_follows_its_head(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 2; i++) { /* the connection goes on as after any other */
		testclient_send(&f->c, "GET /lasting HTTP/1.1\r\nHost: x\r\n\r\n");
		expect_answer(f, 200, "lasts");
		testclient_send(&f->c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		expect_answer(f, 200, "/");
	}
}

static void every_answer_has_the_safe_fields(void **state)
{
	struct fixture *f = *state;
	testclient_send(&f->c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_answer(f, 200, "/");
	assert_memory_equal(f->a.head, "HTTP/1.1 200 OK\r\nDate: ", 23);
	assert_non_null(strstr(f->a.head, " GMT\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n"));
	assert_non_null(strstr(f->a.head, "\r\nCache-Control: no-store\r\n"));
	assert_non_null(strstr(f->a.head, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(f->a.head, "\r\nConnection: keep-alive\r\n"));
	assert_null(strstr(f->a.head, "Server:"));
}

static void head_gets_no_body(void **state)
{
	struct fixture *f = *state;
	testclient_send(&f->c, "HEAD /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && !f->c.closed; i++) {
		testserver_turn(&f->t, f->c.fd, POLLIN);
		testclient_receive(&f->c);
	}
	assert_non_null(strstr(f->c.buf, "Content-Length: 4\r\n"));
	assert_string_equal(f->c.buf + f->c.len - 4, "\r\n\r\n");
}

/* RFC 9110 section 9.3.2, also for a refusal; what was asked before on the connection does not count. */
static void a_refusal_of_head_has_no_body(void **state)
{
	struct fixture *f = *state;
	testclient_send(&f->c, "HEAD /abc HTTP/1.1\r\nHost: x\r\nX_Y: z\r\n\r\n");
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && !f->c.closed; i++) {
		testserver_turn(&f->t, f->c.fd, POLLIN);
		testclient_receive(&f->c);
	}
	assert_memory_equal(f->c.buf, "HTTP/1.1 400 ", 13);
	assert_string_equal(f->c.buf + f->c.len - 4, "\r\n\r\n");
	testclient_close(&f->c);
	testclient_open(&f->c, &f->t);
	testclient_send(&f->c, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
	while (!strstr(f->c.buf, "\r\n\r\n")) {
		testserver_turn(&f->t, f->c.fd, POLLIN);
		testclient_receive(&f->c);
		assert_false(f->c.closed);
	}
	f->c.len = 0;
	testclient_send_bytes(&f->c, "\0", 1);
	expect_answer(f, 400, "{\"error\": \"bad_request\"}");
}

static void a_connection_is_kept(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 100; i++) {
		testclient_send(&f->c, "POST /k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb");
		expect_answer(f, 200, "/k");
	}
	assert_int_equal(f->seen.count, 100);
	assert_int_equal(http_busy(f->t.http), 0);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	struct fixture *f = *state;
	testclient_send(&f->c,
		"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
		"POST /3 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n");
	expect_answer(f, 200, "/1");
	expect_answer(f, 200, "/2");
	testclient_send(&f->c, "c");
	expect_answer(f, 200, "/3");
	assert_string_equal(f->seen.body, "c");
}

/* More at once than one connection's turns: nothing may be forgotten. */
static void many_pipelined_requests_are_all_answered(void **state)
{
	struct fixture *f = *state;
	char many[16000] = "";
	size_t len = 0;
	for (int i = 0; i < 400; i++)
		len += (size_t)snprintf(
			many + len, sizeof many - len, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
	testclient_send(&f->c, many);
	for (int i = 0; i < 400; i++) {
		char path[16];
		snprintf(path, sizeof path, "/%d", i);
		expect_answer(f, 200, path);
	}
}

static void http_1_0_and_close_end_the_connection(void **state)
{
	struct fixture *f = *state;
	testclient_send(&f->c, "GET /old HTTP/1.0\r\n\r\n");
	expect_answer(f, 200, "/old");
	testclient_expect_closed(&f->c);
	testclient_close(&f->c);
	testclient_open(&f->c, &f->t);
	testclient_send(&f->c, "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	expect_answer(f, 200, "/c");
	testclient_expect_closed(&f->c);
}

/* Rule 3: curl -X POST without data sends no Content-Length. */
static void post_without_length_is_an_empty_body(void **state)
{
	struct fixture *f = *state;
	testclient_send(
		&f->c, "POST /register HTTP/1.1\r\nHost: x\r\nUser-Agent: acme.sh\r\nAccept: */*\r\n\r\n");
	expect_answer(f, 200, "/register");
	assert_int_equal(f->seen.body_len, 0);
}

/* Windows PowerShell waits for the 100 before it sends the body. */
static void expect_continue_is_answered(void **state)
{
	struct fixture *f = *state;
	static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
	testclient_send(
		&f->c, "POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n");
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && f->c.len < sizeof go - 1; i++) {
		testserver_turn(&f->t, f->c.fd, POLLIN);
		testclient_receive(&f->c);
	}
	assert_string_equal(f->c.buf, go);
	f->c.len = 0;
	testclient_send(&f->c, "abc");
	expect_answer(f, 200, "/e");
	assert_string_equal(f->seen.body, "abc");
}

static void a_body_that_came_along_needs_no_continue(void **state)
{
	struct fixture *f = *state;
	testclient_send(
		&f->c, "POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
	expect_answer(f, 200, "/e");
}

static void headers_too_large_are_431(void **state)
{
	struct fixture *f = *state;
	char big[HTTP_MAX_HEADERS + 1];
	memset(big, 'a', sizeof big - 1);
	big[sizeof big - 1] = 0;
	testclient_send(&f->c, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
	testclient_send(&f->c, big);
	expect_answer(f, 431, "{\"error\": \"headers_too_large\"}");
	testclient_expect_closed(&f->c);
	assert_int_equal(f->seen.count, 0);
}

static void headers_of_just_the_limit_pass(void **state)
{
	struct fixture *f = *state;
	char text[HTTP_MAX_HEADERS + 1];
	int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
	memset(text + n, 'a', (size_t)(HTTP_MAX_HEADERS - n));
	memcpy(text + HTTP_MAX_HEADERS - 4, "\r\n\r\n", 5);
	testclient_send(&f->c, text);
	expect_answer(f, 200, "/");
}

/* The client is in the middle of sending: it must still get to read the answer. */
static void a_body_too_large_is_413_and_readable(void **state)
{
	struct fixture *f = *state;
	static char big[1 << 18];
	memset(big, 'a', sizeof big - 1);
	testclient_send(&f->c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 262143\r\n\r\n");
	testclient_send(&f->c, big);
	expect_answer(f, 413, "{\"error\": \"body_too_large\"}");
	assert_int_equal(f->seen.count, 0);
}

static void a_body_of_just_the_limit_passes(void **state)
{
	struct fixture *f = *state;
	char head[64], body[HTTP_MAX_BODY + 1];
	memset(body, 'b', HTTP_MAX_BODY);
	body[HTTP_MAX_BODY] = 0;
	snprintf(
		head, sizeof head, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", HTTP_MAX_BODY);
	testclient_send(&f->c, head);
	testclient_send(&f->c, body);
	expect_answer(f, 200, "/");
	assert_string_equal(f->seen.body, body);
}

static void a_byte_at_a_time_is_understood(void **state)
{
	struct fixture *f = *state;
	const char text[] = "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
	for (size_t i = 0; i < sizeof text - 1; i++)
		testclient_send_bytes(&f->c, text + i, 1);
	expect_answer(f, 200, "/slow");
}

/* Slow loris: each byte arrives in time, the request as a whole does not. */
static void a_dripping_request_is_cut_at_the_deadline(void **state)
{
	struct fixture *f = *state;
	testclient_send(&f->c, "GET / HTTP/1.1\r\nX: ");
	for (int second = 0; second < HTTP_REQUEST_SECONDS - 1; second++) {
		f->t.now += 1000;
		testclient_send(&f->c, "a");
	}
	testclient_receive(&f->c);
	assert_false(f->c.closed);
	f->t.now += 1001;
	testclient_expect_closed(&f->c);
	assert_int_equal(f->seen.count, 0);
}

static void a_dripping_body_is_cut_too(void **state)
{
	struct fixture *f = *state;
	testclient_send(&f->c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_answer(f, 200, "/");
	f->t.now += 20 * 1000; /* idle, but not for too long */
	testclient_send(&f->c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na");
	assert_int_equal(http_busy(f->t.http), 1);
	f->t.now += (HTTP_REQUEST_SECONDS - 1) * 1000;
	testclient_send(&f->c, "b");
	f->t.now += 1001;
	testclient_expect_closed(&f->c);
	assert_int_equal(f->seen.count, 1);
}

static void silent_and_idle_connections_are_closed(void **state)
{
	struct fixture *f = *state;
	testserver_turns(&f->t, 2);
	f->t.now += HTTP_REQUEST_SECONDS * 1000;
	testclient_expect_closed(&f->c);
	testclient_close(&f->c);
	testclient_open(&f->c, &f->t);
	testclient_send(&f->c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_answer(f, 200, "/");
	f->t.now += HTTP_IDLE_SECONDS * 1000;
	testclient_expect_closed(&f->c);
}

static void an_answer_may_come_later(void **state)
{
	struct fixture *f = *state;
	f->seen.later = true;
	testclient_send(&f->c, "POST /l HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\naGET /m "
			       "HTTP/1.1\r\nHost: x\r\n\r\n");
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && !f->seen.kept_count; i++)
		testserver_turn(&f->t, -1, 0);
	assert_int_equal(f->seen.count, 1); /* the second waits its turn */
	assert_int_equal(http_busy(f->t.http), 1);
	f->t.now += 1000 * 1000; /* who answers has its own deadline */
	testserver_turns(&f->t, 2);
	f->seen.later = false;
	respond(f->seen.kept[0], "late");
	expect_answer(f, 200, "late");
	expect_answer(f, 200, "/m");
	assert_int_equal(http_busy(f->t.http), 0);
}

static void a_client_that_left_is_no_error(void **state)
{
	struct fixture *f = *state;
	struct linger hard = {1, 0};
	f->seen.later = true;
	for (unsigned i = 0; i < 2; i++) {
		testclient_send(&f->c, "GET /gone HTTP/1.1\r\nHost: x\r\n\r\n");
		while (f->seen.kept_count == i)
			testserver_turn(&f->t, -1, 0);
		if (i) /* a reset, which the server sees at once */
			assert_int_equal(setsockopt(f->c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
		testclient_close(&f->c);
		testserver_turns(&f->t, 3);
		respond(f->seen.kept[i], "nobody hears this");
		testserver_turns(&f->t, 3);
		testclient_open(&f->c, &f->t);
	}
	f->seen.later = false;
	testclient_send(&f->c, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_answer(f, 200, "/next");
}

/* printf ... | nc: the client shuts its side before the answer is there. */
static void a_half_closed_client_gets_its_answer(void **state)
{
	struct fixture *f = *state;
	f->seen.later = true;
	testclient_send(&f->c, "GET /h HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(shutdown(f->c.fd, SHUT_WR), 0);
	while (!f->seen.kept_count)
		testserver_turn(&f->t, -1, 0);
	testserver_turns(&f->t, 3);
	respond(f->seen.kept[0], "answer");
	expect_answer(f, 200, "answer");
	testclient_expect_closed(&f->c);
}

static void quiesce_finishes_what_was_started(void **state)
{
	struct fixture *f = *state;
	struct testclient idle, late;
	testclient_open(&idle, &f->t);
	testclient_send(&idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(testclient_answer(&idle, &f->a));
	testclient_send(&f->c, "POST /q HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na");
	http_quiesce(f->t.http);
	assert_int_equal(http_busy(f->t.http), 1);
	testclient_expect_closed(&idle);
	testclient_open(&late, &f->t); /* the kernel takes it; another process may serve it */
	testclient_send(&f->c, "b");
	expect_answer(f, 200, "/q");
	assert_non_null(strstr(f->a.head, "\r\nConnection: close\r\n"));
	testclient_expect_closed(&f->c);
	f->t.now += 1000;
	testserver_turns(&f->t, 2);
	assert_int_equal(http_busy(f->t.http), 0);
	assert_false(late.closed);
	testclient_close(&idle);
	testclient_close(&late);
}

static void a_trusted_proxy_speaks_for_its_client_once(void **state)
{
	(void)state;
	struct prefix loopback;
	struct fixture *f = calloc(1, sizeof *f);
	struct address wanted;
	assert_non_null(f);
	assert_int_equal(prefix_parse("127.0.0.0/8", 11, &loopback), OK);
	assert_int_equal(address_parse("203.0.113.5", &wanted), OK);
	testserver_start(&f->t,
		(struct http_settings){.trusted_proxies = &loopback, .trusted_proxy_count = 1}, record,
		&f->seen);
	testclient_open(&f->c, &f->t);
	testclient_send(&f->c, "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1, 203.0.113.5\r\n\r\n"
			       "GET /second HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_answer(f, 200, "/");
	assert_true(address_equal(&f->seen.client, &wanted));
	assert_true(f->seen.secure);
	testclient_expect_closed(&f->c); /* never a second request over a proxy's connection */
	assert_int_equal(f->seen.count, 1);
	testclient_close(&f->c);
	testserver_stop(&f->t);
	free(f);
}

/* Security goal G18: who is not trusted speaks for himself. */
static void an_untrusted_peer_cannot_forward(void **state)
{
	struct fixture *f = *state;
	testclient_send(&f->c, "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
	expect_answer(f, 200, "/");
	assert_true(address_is_loopback(&f->seen.client));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_handed_over_and_answered),
		TEST(a_body_that_lasts_follows_its_head),
		TEST(every_answer_has_the_safe_fields),
		TEST(head_gets_no_body),
		TEST(a_refusal_of_head_has_no_body),
		TEST(a_connection_is_kept),
		TEST(pipelined_requests_are_answered_in_order),
		TEST(many_pipelined_requests_are_all_answered),
		TEST(http_1_0_and_close_end_the_connection),
		TEST(post_without_length_is_an_empty_body),
		TEST(expect_continue_is_answered),
		TEST(a_body_that_came_along_needs_no_continue),
		TEST(headers_too_large_are_431),
		TEST(headers_of_just_the_limit_pass),
		TEST(a_body_too_large_is_413_and_readable),
		TEST(a_body_of_just_the_limit_passes),
		TEST(a_byte_at_a_time_is_understood),
		TEST(a_dripping_request_is_cut_at_the_deadline),
		TEST(a_dripping_body_is_cut_too),
		TEST(silent_and_idle_connections_are_closed),
		TEST(an_answer_may_come_later),
		TEST(a_client_that_left_is_no_error),
		TEST(a_half_closed_client_gets_its_answer),
		TEST(quiesce_finishes_what_was_started),
		cmocka_unit_test(a_trusted_proxy_speaks_for_its_client_once),
		TEST(an_untrusted_peer_cannot_forward),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
