// SPDX-License-Identifier: GPL-3.0-or-later
/* DNS over TLS (RFC 7858): what RFC 7766 asks of a stream holds inside TLS as well, and the handshake has a
 * deadline. GnuTLS is the client. */
#include "tls/certificate.h"

#include "tempdir.h"
#include "toy_server.h"

#include <netinet/tcp.h>

#include "util/cursor.h"

static struct {
	struct tempdir dir;
	char certificate[128], key[128];
} files;

static gnutls_certificate_credentials_t trust_nobody;

static int make_files(void **state)
{
	time_t now = time(NULL);
	(void)state;
	files.dir = tempdir_make();
	assert_true(snprintf(files.certificate, 128, "%s/cert.pem", files.dir.path) < 128);
	assert_true(snprintf(files.key, 128, "%s/key.pem", files.dir.path) < 128);
	make_certificate(files.certificate, files.key, now - 3600, now + 3600);
	return gnutls_certificate_allocate_credentials(&trust_nobody);
}

static int remove_files(void **state)
{
	(void)state;
	gnutls_certificate_free_credentials(trust_nobody);
	tempdir_remove(files.dir.path);
	return 0;
}

static struct toy toy_with_tls(void)
{
	struct toy t = toy_default();
	t.certificate = files.certificate;
	t.key = files.key;
	return t;
}

struct client {
	int fd;
	gnutls_session_t tls;
};

/* Connected, not shaken hands yet. */
static struct client client_new(const struct toy *t, const char *priorities)
{
	static const gnutls_datum_t dot = {(unsigned char *)(uintptr_t) "dot", 3};
	struct client c = {.fd = toy_connect(&t->tls, SOCK_STREAM)};
	int on = 1;
	assert_int_equal(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
	assert_int_equal(gnutls_init(&c.tls, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL), 0);
	assert_int_equal(gnutls_credentials_set(c.tls, GNUTLS_CRD_CERTIFICATE, trust_nobody), 0);
	assert_int_equal(gnutls_priority_set_direct(c.tls, priorities, NULL), 0);
	assert_int_equal(gnutls_alpn_set_protocols(c.tls, &dot, 1, 0), 0);
	gnutls_transport_set_int(c.tls, c.fd);
	return c;
}

static void shake_hands(struct client *c)
{
	int r;
	do
		r = gnutls_handshake(c->tls);
	while (r < 0 && !gnutls_error_is_fatal(r));
	assert_int_equal(r, GNUTLS_E_SUCCESS);
}

static struct client client_open(const struct toy *t)
{
	struct client c = client_new(t, "NORMAL");
	shake_hands(&c);
	return c;
}

/* Without a word: no close_notify. */
static void client_drop(struct client *c)
{
	gnutls_deinit(c->tls);
	close(c->fd);
}

static void client_reset(struct client *c)
{
	struct linger now = {.l_onoff = 1};
	assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
	client_drop(c);
}

/* One record, as long as it fits. */
static void write_all(struct client *c, const void *data, size_t len)
{
	const uint8_t *at = data;
	for (size_t done = 0; done < len;) {
		ssize_t n = gnutls_record_send(c->tls, at + done, len - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
}

static ssize_t read_some(struct client *c, void *out, size_t len)
{
	ssize_t n;
	do
		n = gnutls_record_recv(c->tls, out, len);
	while (n == GNUTLS_E_INTERRUPTED || (n == GNUTLS_E_AGAIN && errno == EINTR));
	return n;
}

static void read_all(struct client *c, void *out, size_t len)
{
	uint8_t *at = out;
	for (size_t done = 0; done < len;) {
		ssize_t n = read_some(c, at + done, len - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
}

static void append(struct writer *w, const char *message)
{
	write_u16(w, (uint16_t)strlen(message));
	write_bytes(w, message, strlen(message));
}

static void send_written(struct client *c, const struct writer *w)
{
	size_t len = 0;
	assert_int_equal(writer_finish(w, &len), OK);
	write_all(c, w->start, len);
}

static void ask(struct client *c, const char *query)
{
	uint8_t bytes[256];
	struct writer w = writer_over(bytes, sizeof bytes);
	append(&w, query);
	send_written(c, &w);
}

static size_t read_message(struct client *c, uint8_t *out, size_t cap)
{
	uint8_t prefix[2];
	read_all(c, prefix, 2);
	size_t len = (size_t)prefix[0] << 8 | prefix[1];
	assert_true(len <= cap);
	read_all(c, out, len);
	return len;
}

static void expect(struct client *c, const char *answer)
{
	uint8_t got[256];
	size_t len = read_message(c, got, sizeof got);
	assert_int_equal(len, strlen(answer));
	assert_memory_equal(got, answer, len);
}

static void expect_served(struct client *c)
{
	ask(c, "hello");
	expect(c, "hello");
}

/* The server has said close_notify (RFC 8446 section 6.1), so nothing was cut off. */
static void expect_end(struct client *c)
{
	char byte;
	assert_int_equal(read_some(c, &byte, 1), 0);
	client_drop(c);
}

static void write_many(struct writer *w, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char query[64];
		snprintf(query, sizeof query, "%u is a query about as long as most of them", i);
		append(w, query);
	}
}

static void expect_many(struct client *c, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char answer[64];
		snprintf(answer, sizeof answer, "%u is a query about as long as most of them", i);
		expect(c, answer);
	}
}

static void round_trip(void **state)
{
	(void)state;
	static const char *const versions[] = {
		"NORMAL:-VERS-ALL:+VERS-TLS1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.2"};
	static const char *const addresses[] = {"127.0.0.1", "::1"};
	for (unsigned i = 0; i < 4; i++) {
		struct toy t = toy_with_tls();
		char who[16];
		t.address = addresses[i / 2];
		toy_start(&t);
		struct client c = client_new(&t, versions[i % 2]);
		shake_hands(&c);
		expect_served(&c);
		snprintf(who, sizeof who, "tls %u", toy_bound(c.fd).port);
		ask(&c, "W");
		expect(&c, who);
		ask(&c, "D");
		expect_served(&c);
		assert_int_equal(gnutls_bye(c.tls, GNUTLS_SHUT_WR), 0);
		expect_end(&c);
		toy_stop(&t);
	}
}

/* With Nagle's algorithm a client keeps its first query until the end of its handshake is acknowledged. If that is
 * delayed, it takes 40 ms at least each time; a machine that is busy may take long, too, but not always. */
static void the_first_query_need_not_wait(void **state)
{
	(void)state;
	struct toy t = toy_with_tls();
	int64_t best = INT64_MAX;
	toy_start(&t);
	for (unsigned i = 0; i < 200 && best >= 30; i++) {
		struct client c = client_new(&t, "NORMAL");
		int off = 0;
		assert_int_equal(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off), 0);
		shake_hands(&c);
		int64_t before = clock_mono_ms();
		expect_served(&c);
		int64_t lasted = clock_mono_ms() - before;
		best = lasted < best ? lasted : best;
		client_drop(&c);
	}
	assert_true(best < 30);
	toy_stop(&t);
}

/* RFC 7858 section 3.3: queries may be pipelined. 200 of them take one record. */
static void pipelined_200_in_one_record(void **state)
{
	(void)state;
	static uint8_t bytes[1 << 16];
	struct toy t = toy_with_tls();
	toy_start(&t);
	struct client c = client_open(&t);
	struct writer w = writer_over(bytes, sizeof bytes);
	write_many(&w, 200);
	send_written(&c, &w);
	expect_many(&c, 200);
	client_drop(&c);
	toy_stop(&t);
}

/* As many as the protocol lets through in one record, and many records at once. */
static void much_at_once(void **state)
{
	(void)state;
	static uint8_t bytes[1 << 17];
	struct toy t = toy_with_tls();
	toy_start(&t);
	struct client c = client_open(&t);
	struct writer w = writer_over(bytes, sizeof bytes);
	write_many(&w, 1000);
	toy_freeze(&t);
	send_written(&c, &w);
	toy_thaw(&t);
	expect_many(&c, 1000);
	client_drop(&c);
	toy_stop(&t);
}

/* Cut anywhere, each byte a record of its own. */
static void byte_by_byte(void **state)
{
	(void)state;
	uint8_t bytes[1024];
	struct toy t = toy_with_tls();
	toy_start(&t);
	struct client c = client_open(&t);
	struct writer w = writer_over(bytes, sizeof bytes);
	write_many(&w, 4);
	for (uint8_t *at = w.start; at < w.at; at++)
		write_all(&c, at, 1);
	expect_many(&c, 4);
	client_drop(&c);
	toy_stop(&t);
}

/* close_notify ends one direction only (RFC 8446 section 6.1), with or without a FIN behind it. */
static void half_closed_clients_are_answered(void **state)
{
	(void)state;
	static uint8_t bytes[1 << 16];
	struct toy t = toy_with_tls();
	toy_start(&t);
	for (unsigned i = 0; i < 3; i++) {
		struct client c = client_open(&t);
		struct writer w = writer_over(bytes, sizeof bytes);
		write_many(&w, 300);
		write_bytes(&w, "\0\5hal", 5); /* never finished */
		toy_freeze(&t);
		send_written(&c, &w);
		if (i != 1)
			assert_int_equal(gnutls_bye(c.tls, GNUTLS_SHUT_WR), 0);
		if (i != 2)
			assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
		toy_thaw(&t);
		expect_many(&c, 300);
		expect_end(&c);
	}
	toy_stop(&t);
}

static void nonsense_ends_the_connection(void **state)
{
	(void)state;
	static const char *const lengths[] = {"\0\0", "\x10\x01", "\xff\xff"};
	struct toy t = toy_with_tls();
	toy_start(&t);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t bytes[64];
		struct client c = client_open(&t);
		struct writer w = writer_over(bytes, sizeof bytes);
		append(&w, "before");
		write_bytes(&w, lengths[i], 2);
		send_written(&c, &w);
		expect(&c, "before");
		expect_end(&c);
	}
	toy_stop(&t);
}

static void idle_connections_are_closed(void **state)
{
	(void)state;
	struct toy t = toy_with_tls();
	t.settings.tcp_idle = 100;
	toy_start(&t);
	int silent = toy_connect(&t.tls, SOCK_STREAM);
	struct client c = client_open(&t);
	int64_t before = clock_mono_ms();
	expect_served(&c);
	expect_end(&c);
	assert_true(clock_mono_ms() - before >= 100);
	char byte;
	assert_int_equal(recv(silent, &byte, 1, 0), 0);
	assert_true(clock_mono_ms() - before < 5000);
	close(silent);
	toy_stop(&t);
}

/* True when the server has closed or reset; `wait` in milliseconds. */
static bool is_closed(int fd, int wait)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	return poll(&p, 1, wait) > 0;
}

/* A handshake that drips in, whatever arrives in time, has the deadline of one message, from the connection's
 * first moment. */
static void dripping_does_not_stretch_the_handshake(void **state)
{
	(void)state;
	/* A handshake record of 512 bytes with a ClientHello in it. */
	static const uint8_t hello[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03};
	struct toy t = toy_with_tls();
	t.settings.tcp_message = 200;
	toy_start(&t);
	int fd = toy_connect(&t.tls, SOCK_STREAM);
	int64_t before = clock_mono_ms();
	unsigned drops = 0;
	while (!is_closed(fd, 20) && drops < 450) {
		if (send(fd, drops < sizeof hello ? hello + drops : hello, 1, MSG_NOSIGNAL) != 1)
			break;
		drops++;
	}
	int64_t lasted = clock_mono_ms() - before;
	assert_true(lasted >= 150 && lasted < 5000);
	assert_true(drops > 3 && drops < 450);
	close(fd);
	toy_stop(&t);
}

static void dripping_does_not_stretch_a_message(void **state)
{
	(void)state;
	struct toy t = toy_with_tls();
	t.settings.tcp_message = 300;
	toy_start(&t);
	struct client c = client_open(&t);
	expect_served(&c);
	int64_t before = clock_mono_ms();
	write_all(&c, "\x0f\xff", 2);
	unsigned drops = 0;
	while (!is_closed(c.fd, 20) && drops < 500 && gnutls_record_send(c.tls, "x", 1) == 1)
		drops++;
	int64_t lasted = clock_mono_ms() - before;
	assert_true(lasted >= 300 && lasted < 5000);
	assert_true(drops > 3 && drops < 500);
	client_drop(&c);
	toy_stop(&t);
}

/* Not TLS, or TLS we do not speak: the connection ends, the others do not notice. */
static void what_is_no_handshake_is_cut(void **state)
{
	(void)state;
	struct toy t = toy_with_tls();
	toy_start(&t);
	struct client witness = client_open(&t);
	int plain = toy_connect(&t.tls, SOCK_STREAM);
	assert_int_equal(send(plain, "\0\5hello", 7, MSG_NOSIGNAL), 7);
	assert_true(is_closed(plain, PATIENCE));
	close(plain);
	struct client old = client_new(&t, "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT");
	assert_true(gnutls_error_is_fatal(gnutls_handshake(old.tls)));
	client_drop(&old);
	expect_served(&witness);
	client_drop(&witness);
	toy_stop(&t);
}

static void the_one_idle_longest_makes_room(void **state)
{
	(void)state;
	struct toy t = toy_with_tls();
	t.settings.tcp_connections = 12; /* a quarter for one network */
	toy_start(&t);
	struct client c[4];
	for (unsigned i = 0; i < 3; i++) {
		c[i] = client_open(&t);
		expect_served(&c[i]);
		assert_false(is_closed(c[0].fd, 5)); /* a clock tick between them */
	}
	expect_served(&c[0]);
	c[3] = client_open(&t);
	expect_served(&c[3]);
	expect_end(&c[1]);
	expect_served(&c[0]);
	client_drop(&c[0]);
	client_drop(&c[2]);
	client_drop(&c[3]);
	toy_stop(&t);
}

/* Replies that wait are not lost, and queries behind them neither: 6 MB through a narrow door, then the end.
 */
static void a_slow_reader_gets_everything(void **state)
{
	(void)state;
	static uint8_t got[BIG_ANSWER];
	uint8_t bytes[2048];
	struct toy t = toy_with_tls();
	toy_start(&t);
	struct client c = client_open(&t);
	struct writer w = writer_over(bytes, sizeof bytes);
	for (unsigned i = 0; i < 100; i++)
		append(&w, (char[]){'B', (char)('a' + i % 26), 0});
	send_written(&c, &w);
	assert_int_equal(gnutls_bye(c.tls, GNUTLS_SHUT_WR), 0);
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(read_message(&c, got, sizeof got), BIG_ANSWER);
		for (size_t k = 0; k < sizeof got; k++)
			assert_int_equal(got[k], (uint8_t)('a' + i % 26));
	}
	expect_end(&c);
	toy_stop(&t);
}

/* Who does not read his answers is not read from, and is gone after the deadline. */
static void a_peer_that_does_not_read_is_bounded(void **state)
{
	(void)state;
	static const uint8_t query[2 + 1024] = {0x04, 0x00, 'B', 'x'};
	struct toy t = toy_with_tls();
	t.settings.tcp_message = 1000;
	toy_start(&t);
	struct client c = client_open(&t);
	int64_t before = clock_mono_ms();
	struct pollfd p = {.fd = c.fd, .events = POLLOUT};
	size_t taken = 0;
	while (taken < (16 << 20) && poll(&p, 1, 200) > 0 && !(p.revents & (POLLERR | POLLHUP)) &&
		gnutls_record_send(c.tls, query, sizeof query) > 0)
		taken += sizeof query;
	assert_true(taken < (16 << 20));
	assert_true(is_closed(c.fd, PATIENCE));
	assert_true(clock_mono_ms() - before < 8000);
	client_drop(&c);
	c = client_open(&t);
	expect_served(&c);
	client_drop(&c);
	toy_stop(&t);
}

static void resets_do_no_harm(void **state)
{
	(void)state;
	uint8_t bytes[2048];
	struct toy t = toy_with_tls();
	toy_start(&t);
	struct client witness = client_open(&t);
	for (unsigned i = 0; i < 50; i++) {
		struct client c = client_open(&t);
		struct writer w = writer_over(bytes, sizeof bytes);
		for (unsigned k = 0; k < (i % 3 ? 100 : 0); k++)
			append(&w, "Bx");
		write_bytes(&w, "\0\5he", i % 2 ? 4 : 1);
		send_written(&c, &w);
		if (i % 2)
			client_reset(&c);
		else
			client_drop(&c);
		expect_served(&witness);
	}
	client_drop(&witness);
	toy_stop(&t);
}

static void stop_closes_between_messages(void **state)
{
	(void)state;
	struct toy t = toy_with_tls();
	toy_start(&t);
	struct client idle = client_open(&t), asking = client_open(&t);
	expect_served(&idle);
	expect_served(&asking);
	toy_freeze(&t);
	ask(&asking, "last words");
	toy_ask_to_stop(&t);
	int64_t before = clock_mono_ms();
	toy_thaw(&t);
	expect(&asking, "last words");
	expect_end(&asking);
	expect_end(&idle);
	toy_wait(&t);
	assert_true(clock_mono_ms() - before < 1000);
}

/* In the middle of a handshake, too, the end is not put off for ever. */
static void stop_does_not_wait_for_ever(void **state)
{
	(void)state;
	struct toy t = toy_with_tls();
	toy_start(&t);
	int mute = toy_connect(&t.tls, SOCK_STREAM);
	struct client c = client_open(&t);
	write_all(&c, "\0\5he", 4);
	int64_t before = clock_mono_ms();
	toy_stop(&t);
	assert_true(clock_mono_ms() - before < 4000);
	client_drop(&c);
	close(mute);
}

/* ---- closing at any moment (the class of NSD's CVE-2026-12245: use after free on early TLS close) ---- */

enum { CLOSES = 10000, AT_ONCE = 24, CLOSES_MS = 10000 };

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* What a client that really shakes hands sends first. */
static size_t record_hello(uint8_t *out, size_t cap)
{
	int fd[2];
	struct client c = {0};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(gnutls_init(&c.tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_credentials_set(c.tls, GNUTLS_CRD_CERTIFICATE, trust_nobody), 0);
	assert_int_equal(gnutls_set_default_priority(c.tls), 0);
	gnutls_transport_set_int(c.tls, fd[0]);
	assert_int_equal(gnutls_handshake(c.tls), GNUTLS_E_AGAIN);
	ssize_t n = recv(fd[1], out, cap, 0);
	assert_true(n > 100);
	gnutls_deinit(c.tls);
	close(fd[0]);
	close(fd[1]);
	return (size_t)n;
}

static void close_somehow(int fd, uint32_t how)
{
	struct linger now = {.l_onoff = 1};
	if (how & 1)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
	if (how & 2)
		(void)!shutdown(fd, how & 4 ? SHUT_WR : SHUT_RD);
	close(fd);
}

/* Goes through the handshake, asks, and leaves in the middle of it: most do not get as far. */
static void leave_a_session(const struct toy *t, uint32_t how)
{
	static const uint8_t queries[4096] = {
		0, 2, 'B', 'x', 0, 2, 'B', 'y', 0, 5, 'h', 'e', 'l', 'l', 'o', 0, 9};
	struct client c = client_open(t);
	if (how & 8)
		(void)gnutls_record_send(c.tls, queries, how & 16 ? 17 : 9);
	if (how & 32)
		(void)gnutls_bye(c.tls, GNUTLS_SHUT_WR);
	gnutls_deinit(c.tls);
	close_somehow(c.fd, how);
}

/* Bounded by number and by time, whichever comes first. */
static void closing_at_any_moment(void **state)
{
	(void)state;
	static uint8_t hello[4096];
	size_t len = record_hello(hello, sizeof hello);
	struct toy t = toy_with_tls();
	t.settings.tcp_connections = 16; /* fewer than come: some are evicted meanwhile */
	toy_start(&t);
	int64_t end = clock_mono_ms() + CLOSES_MS;
	int fd[AT_ONCE];
	uint32_t seed = 20261124;
	unsigned done = 0;
	for (unsigned i = 0; i < AT_ONCE; i++)
		fd[i] = -1;
	for (; done < CLOSES && clock_mono_ms() < end; done++) {
		uint32_t r = next_random(&seed);
		int *slot = &fd[r % AT_ONCE];
		if (*slot >= 0)
			close_somehow(*slot, r >> 8);
		*slot = toy_connect(&t.tls, SOCK_STREAM);
		size_t part = (r >> 16) % 4 == 0 ? 0 : (r >> 16) % 4 == 1 ? len : (r >> 18) % len;
		/* What lies behind the hello is no TLS any more. */
		(void)!send(*slot, hello, part, MSG_NOSIGNAL);
		if (r % 7 == 0)
			(void)!send(*slot, hello, 32, MSG_NOSIGNAL);
		if (done % 16 == 0)
			leave_a_session(&t, next_random(&seed));
	}
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	struct client c = client_open(&t);
	expect_served(&c);
	client_drop(&c);
	toy_stop(&t); /* the child ends with an error if the sanitizer has found one */
	print_message("%u connections closed at random moments\n", done);
	assert_true(done >= 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(the_first_query_need_not_wait),
		cmocka_unit_test(pipelined_200_in_one_record),
		cmocka_unit_test(much_at_once),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(half_closed_clients_are_answered),
		cmocka_unit_test(nonsense_ends_the_connection),
		cmocka_unit_test(idle_connections_are_closed),
		cmocka_unit_test(dripping_does_not_stretch_the_handshake),
		cmocka_unit_test(dripping_does_not_stretch_a_message),
		cmocka_unit_test(what_is_no_handshake_is_cut),
		cmocka_unit_test(the_one_idle_longest_makes_room),
		cmocka_unit_test(a_slow_reader_gets_everything),
		cmocka_unit_test(a_peer_that_does_not_read_is_bounded),
		cmocka_unit_test(resets_do_no_harm),
		cmocka_unit_test(stop_closes_between_messages),
		cmocka_unit_test(stop_does_not_wait_for_ever),
		cmocka_unit_test(closing_at_any_moment),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
