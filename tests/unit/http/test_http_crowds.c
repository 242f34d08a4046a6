// SPDX-License-Identifier: GPL-3.0-or-later
/* Who makes room when there are as many connections as there can be. */
#include "http/testserver.h"

#include <sys/resource.h>

struct fixture {
	struct testserver t;
	struct testclient c;
	struct answer a;
};

static void say_path(void *ctx, struct http_exchange *x, const struct http_request *r)
{
	(void)ctx;
	http_respond(x, &(struct http_response){.status = 200, .body = r->path, .body_len = strlen(r->path)});
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	testserver_start(&f->t, (struct http_settings){0}, say_path, NULL);
	testclient_open(&f->c, &f->t);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
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

/* Both ends of every connection are in this process. False: there cannot be that many. */
static bool MUST_USE allow_descriptors(void)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return limit.rlim_max >= 2 * HTTP_MAX_CONNECTIONS + 100;
}

/* Fills the server up from 127.0.0.1. */
static void crowd_open(struct fixture *f, int *fds, size_t count, const char *sends)
{
	static struct testclient one;
	for (size_t i = 0; i < count; i++) {
		testclient_open(&one, &f->t);
		assert_int_equal(send(one.fd, sends, strlen(sends), MSG_NOSIGNAL), strlen(sends));
		fds[i] = one.fd;
		if (i % 32 == 0)
			testserver_turn(&f->t, -1, 0);
	}
	testserver_turns(&f->t, 5);
}

/* One network holds all but one connection and goes on opening more; the one of another network is slower
 * than all of them, and stays. */
static void a_crowd_pushes_out_its_own(void **state)
{
	struct fixture *f = *state;
	static int fds[HTTP_MAX_CONNECTIONS - 1], more[500];
	static struct testclient other;
	if (!allow_descriptors())
		skip();
	testclient_close(&f->c);
	testclient_open_from(&other, &f->t, 0x7f000901);
	testclient_send(&other, "POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na");
	testserver_turns(&f->t, 2);
	crowd_open(f, fds, sizeof fds / sizeof *fds, "GET");
	f->t.now++;
	crowd_open(f, more, sizeof more / sizeof *more, "GET");
	testclient_send(&other, "b");
	assert_true(testclient_answer(&other, &f->a));
	assert_string_equal(f->a.body, "/other");
	testclient_close(&other);
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		close(fds[i]);
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		close(more[i]);
	testclient_open(&f->c, &f->t);
}

static void answer_at_length(void *ctx, struct http_exchange *x, const struct http_request *r)
{
	static char lasting[8 << 20];
	(void)r, (void)ctx;
	http_respond(
		x, &(struct http_response){
			   .status = 200, .body = lasting, .body_len = sizeof lasting, .body_lasts = true});
}

/* Nobody takes the answers, and everybody has asked: the newcomer is served nevertheless. */
static void who_does_not_read_makes_room(void **state)
{
	(void)state;
	struct fixture *f = calloc(1, sizeof *f);
	static int fds[HTTP_MAX_CONNECTIONS];
	static struct testclient one;
	assert_non_null(f);
	if (!allow_descriptors())
		skip();
	testserver_start(&f->t, (struct http_settings){0}, answer_at_length, NULL);
	crowd_open(f, fds, sizeof fds / sizeof *fds, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	testclient_open_from(&one, &f->t, 0x7f000901);
	testclient_send(&one, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && !one.len; i++) {
		testserver_turn(&f->t, one.fd, POLLIN);
		testclient_receive(&one);
	}
	assert_memory_equal(one.buf, "HTTP/1.1 200 ", 13);
	testclient_close(&one);
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		close(fds[i]);
	testserver_stop(&f->t);
	free(f);
}

/* At the limit the idle one goes, then the slowest one, never the newcomer. */
static void the_idle_and_the_slow_make_room(void **state)
{
	struct fixture *f = *state;
	static int fds[HTTP_MAX_CONNECTIONS - 1];
	static struct testclient more;
	if (!allow_descriptors())
		skip();
	testclient_send(&f->c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_answer(f, 200, "/");
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
		testclient_open(&more, &f->t);
		fds[i] = more.fd;
		if (i % 32 == 0)
			testserver_turn(&f->t, -1, 0);
	}
	testserver_turns(&f->t, 5);
	testclient_receive(&f->c);
	assert_false(f->c.closed);
	testclient_open(&more, &f->t);
	testclient_send(&more, "GET /more HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(testclient_answer(&more, &f->a));
	assert_int_equal(f->a.status, 200);
	testclient_expect_closed(&f->c);
	testclient_close(&more);
	for (int i = 0; i < 3; i++) { /* now everybody else is silent */
		static struct testclient one;
		testclient_open(&more, &f->t);
		testclient_open(&one, &f->t);
		testclient_send(&one, "GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
		assert_true(testclient_answer(&one, &f->a));
		assert_int_equal(f->a.status, 200);
		testclient_close(&one);
		testclient_close(&more);
	}
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		close(fds[i]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_idle_and_the_slow_make_room),
		TEST(a_crowd_pushes_out_its_own),
		cmocka_unit_test(who_does_not_read_makes_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
