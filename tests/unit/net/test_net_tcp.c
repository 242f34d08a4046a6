// SPDX-License-Identifier: GPL-3.0-or-later
#include "toy_server.h"

#include <netinet/tcp.h>
#include <time.h>

#include "util/cursor.h"

static void write_all(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, at + done, len - done, MSG_NOSIGNAL);
		assert_true(n > 0);
		done += (size_t)n;
	}
}

static void append(struct writer *w, const char *message)
{
	write_u16(w, (uint16_t)strlen(message));
	write_bytes(w, message, strlen(message));
}

static void send_written(int fd, const struct writer *w)
{
	size_t len = 0;
	assert_int_equal(writer_finish(w, &len), OK);
	write_all(fd, w->start, len);
}

static void ask(int fd, const char *query)
{
	uint8_t bytes[256];
	struct writer w = writer_over(bytes, sizeof bytes);
	append(&w, query);
	send_written(fd, &w);
}

static void read_all(int fd, void *out, size_t len)
{
	uint8_t *at = out;
	for (size_t done = 0; done < len;) {
		ssize_t n = recv(fd, at + done, len - done, 0);
		assert_true(n > 0);
		done += (size_t)n;
	}
}

static size_t read_message(int fd, uint8_t *out, size_t cap)
{
	uint8_t prefix[2];
	read_all(fd, prefix, 2);
	size_t len = (size_t)prefix[0] << 8 | prefix[1];
	assert_true(len <= cap);
	read_all(fd, out, len);
	return len;
}

static void expect(int fd, const char *answer)
{
	uint8_t got[256];
	size_t len = read_message(fd, got, sizeof got);
	assert_int_equal(len, strlen(answer));
	assert_memory_equal(got, answer, len);
}

static void expect_big(int fd, char filling)
{
	static uint8_t got[BIG_ANSWER];
	assert_int_equal(read_message(fd, got, sizeof got), BIG_ANSWER);
	for (size_t i = 0; i < sizeof got; i++)
		assert_int_equal(got[i], (uint8_t)filling);
}

static void expect_end(int fd)
{
	char byte;
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

static void expect_served(int fd)
{
	ask(fd, "hello");
	expect(fd, "hello");
}

static void round_trip(void **state)
{
	(void)state;
	static const char *const addresses[] = {"127.0.0.1", "::1", "0.0.0.0"};
	for (unsigned i = 0; i < 3; i++) {
		struct toy t = toy_default();
		t.address = addresses[i];
		toy_start(&t);
		struct endpoint to = i == 2 ? toy_endpoint("127.0.0.2", t.tcp.port) : t.tcp;
		int fd = toy_connect(&to, SOCK_STREAM);
		expect_served(fd);
		char who[16];
		snprintf(who, sizeof who, "tcp %u", toy_bound(fd).port);
		ask(fd, "W");
		expect(fd, who);
		ask(fd, "D");
		expect_served(fd);
		close(fd);
		toy_stop(&t);
	}
}

static void write_many(struct writer *w, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char query[64];
		snprintf(query, sizeof query, "%u is a query about as long as most of them", i);
		append(w, query);
	}
}

static void expect_many(int fd, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char answer[64];
		snprintf(answer, sizeof answer, "%u is a query about as long as most of them", i);
		expect(fd, answer);
	}
}

/* RFC 7766 section 6.2.1.1: pipelined queries are all answered. */
static void pipelined_200_in_one_write(void **state)
{
	(void)state;
	static uint8_t bytes[1 << 16];
	struct toy t = toy_default();
	toy_start(&t);
	int fd = toy_connect(&t.tcp, SOCK_STREAM);
	struct writer w = writer_over(bytes, sizeof bytes);
	write_many(&w, 200);
	send_written(fd, &w);
	expect_many(fd, 200);
	close(fd);
	toy_stop(&t);
}

/* RFC 7766 section 8: a length and its message may come in any pieces. */
static void byte_by_byte(void **state)
{
	(void)state;
	uint8_t bytes[1024];
	struct toy t = toy_default();
	toy_start(&t);
	int fd = toy_connect(&t.tcp, SOCK_STREAM), on = 1;
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
	struct writer w = writer_over(bytes, sizeof bytes);
	write_many(&w, 4);
	for (uint8_t *at = w.start; at < w.at; at++)
		write_all(fd, at, 1);
	expect_many(fd, 4);
	close(fd);
	toy_stop(&t);
}

static void half_closed_clients_are_answered(void **state)
{
	(void)state;
	static uint8_t bytes[1 << 16];
	struct toy t = toy_default();
	toy_start(&t);
	int fd = toy_connect(&t.tcp, SOCK_STREAM);
	struct writer w = writer_over(bytes, sizeof bytes);
	write_many(&w, 300);
	write_bytes(&w, "\0\5hal", 5); /* never finished */
	send_written(fd, &w);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	expect_many(fd, 300);
	expect_end(fd);
	toy_stop(&t);
}

static void nonsense_ends_the_connection(void **state)
{
	(void)state;
	static const char *const lengths[] = {"\0\0", "\x10\x01", "\xff\xff"};
	struct toy t = toy_default();
	toy_start(&t);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t bytes[64];
		int fd = toy_connect(&t.tcp, SOCK_STREAM);
		struct writer w = writer_over(bytes, sizeof bytes);
		append(&w, "before");
		write_bytes(&w, lengths[i], 2);
		send_written(fd, &w);
		expect(fd, "before");
		expect_end(fd);
	}
	toy_stop(&t);
}

static void idle_connections_are_closed(void **state)
{
	(void)state;
	struct toy t = toy_default();
	t.settings.tcp_idle = 100;
	toy_start(&t);
	int silent = toy_connect(&t.tcp, SOCK_STREAM), asking = toy_connect(&t.tcp, SOCK_STREAM);
	int64_t before = clock_mono_ms();
	expect_served(asking);
	expect_end(asking);
	assert_true(clock_mono_ms() - before >= 100);
	expect_end(silent);
	assert_true(clock_mono_ms() - before < 5000);
	toy_stop(&t);
}

/* True when the server has closed; `wait` in milliseconds. */
static bool is_closed(int fd, int wait)
{
	char byte;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, wait) > 0 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* Each byte in time, the message never: the deadline runs from its first byte. */
static void dripping_does_not_stretch_the_deadline(void **state)
{
	(void)state;
	struct toy t = toy_default();
	t.settings.tcp_message = 200;
	toy_start(&t);
	int fd = toy_connect(&t.tcp, SOCK_STREAM);
	expect_served(fd);
	int64_t before = clock_mono_ms();
	write_all(fd, "\x0f\xff", 2);
	unsigned drops = 0;
	while (!is_closed(fd, 20) && drops < 500) {
		if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
			break;
		drops++;
	}
	int64_t lasted = clock_mono_ms() - before;
	assert_true(lasted >= 200 && lasted < 5000);
	assert_true(drops > 3 && drops < 500);
	close(fd);
	toy_stop(&t);
}

/* Many messages, each in time, may last longer than one deadline together. */
static void deadline_is_per_message(void **state)
{
	(void)state;
	struct toy t = toy_default();
	t.settings.tcp_message = 1500;
	toy_start(&t);
	int fd = toy_connect(&t.tcp, SOCK_STREAM);
	write_all(fd, "\0\5he", 4);
	int64_t before = clock_mono_ms();
	while (clock_mono_ms() - before < 2500) {
		assert_false(is_closed(fd, 100));
		write_all(fd, "llo\0\5he", 7); /* ends one, starts one */
		expect(fd, "hello");
	}
	close(fd);
	toy_stop(&t);
}

static void the_one_idle_longest_makes_room(void **state)
{
	(void)state;
	struct toy t = toy_default();
	t.settings.tcp_connections = 12; /* a quarter for one network */
	toy_start(&t);
	int fd[4];
	for (unsigned i = 0; i < 3; i++) {
		fd[i] = toy_connect(&t.tcp, SOCK_STREAM);
		expect_served(fd[i]);
		assert_false(is_closed(fd[0], 5)); /* a clock tick between them */
	}
	expect_served(fd[0]);
	fd[3] = toy_connect(&t.tcp, SOCK_STREAM);
	expect_served(fd[3]);
	expect_end(fd[1]);
	expect_served(fd[0]);
	expect_served(fd[2]);
	expect_served(fd[3]);
	close(fd[0]);
	close(fd[2]);
	close(fd[3]);
	toy_stop(&t);
}

static void a_full_house_still_serves_newcomers(void **state)
{
	(void)state;
	struct toy t = toy_default();
	t.settings.tcp_connections = 8;
	toy_start(&t);
	int fd[100];
	for (unsigned i = 0; i < 100; i++) {
		fd[i] = toy_connect(&t.tcp, SOCK_STREAM);
		if (i % 10 == 0)
			expect_served(fd[i]);
	}
	for (unsigned i = 0; i < 100; i++)
		close(fd[i]);
	toy_stop(&t);
}

/* Sends queries that ask for big answers until no more are taken; returns the bytes that were. */
static size_t stuff(int fd)
{
	static uint8_t query[2 + 4096] = {0x10, 0x00, 'B', 'x'};
	size_t total = 0;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	while (total < (64 << 20) && poll(&p, 1, 200) > 0 && !(p.revents & (POLLERR | POLLHUP))) {
		size_t at = total % sizeof query;
		ssize_t n = send(fd, query + at, sizeof query - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			total += (size_t)n;
		else if (errno != EAGAIN)
			break;
	}
	return total;
}

/* Who does not read his answers is not read from, and is gone after the deadline. */
static void a_peer_that_does_not_read_is_bounded(void **state)
{
	(void)state;
	struct toy t = toy_default();
	t.settings.tcp_message = 1000;
	toy_start(&t);
	int fd = toy_connect(&t.tcp, SOCK_STREAM);
	assert_true(
		stuff(fd) < (16 << 20)); /* what the kernel's buffers hold, 15 times less than the answers */
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	int64_t before = clock_mono_ms();
	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_true(clock_mono_ms() - before < 5000);
	close(fd);
	int other = toy_connect(&t.tcp, SOCK_STREAM);
	expect_served(other);
	close(other);
	toy_stop(&t);
}

/* Takes a little all the time, and never all: the deadline runs from the first byte that had to wait. */
static void reading_in_drips_does_not_stretch_the_deadline(void **state)
{
	(void)state;
	struct toy t = toy_default();
	t.settings.tcp_message = 1000;
	toy_start(&t);
	int fd = toy_connect(&t.tcp, SOCK_STREAM), small = 8192;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
	int64_t before = clock_mono_ms();
	stuff(fd);
	struct pollfd closed = {.fd = fd, .events = POLLRDHUP};
	while (poll(&closed, 1, 20) == 0 && clock_mono_ms() - before < 6000) {
		char drip[1024];
		if (recv(fd, drip, sizeof drip, MSG_DONTWAIT) == 0)
			break;
	}
	int64_t lasted = clock_mono_ms() - before;
	assert_true(lasted >= 900 && lasted < 6000);
	close(fd);
	toy_stop(&t);
}

static void write_big(struct writer *w, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		append(w, (char[]){'B', (char)('a' + i % 26), 0});
}

/* Replies that wait are not lost, and queries behind them neither: 12 MB through a narrow door, then the end.
 */
static void a_slow_reader_gets_everything(void **state)
{
	(void)state;
	uint8_t bytes[2048];
	struct toy t = toy_default();
	toy_start(&t);
	int fd = toy_connect(&t.tcp, SOCK_STREAM);
	struct writer w = writer_over(bytes, sizeof bytes);
	write_big(&w, 200);
	send_written(fd, &w);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	for (unsigned i = 0; i < 200; i++)
		expect_big(fd, (char)('a' + i % 26));
	expect_end(fd);
	toy_stop(&t);
}

static void reset(int fd)
{
	struct linger now = {.l_onoff = 1};
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
	close(fd);
}

static void resets_do_no_harm(void **state)
{
	(void)state;
	uint8_t bytes[2048];
	struct toy t = toy_default();
	toy_start(&t);
	int witness = toy_connect(&t.tcp, SOCK_STREAM);
	for (unsigned i = 0; i < 50; i++) {
		int fd = toy_connect(&t.tcp, SOCK_STREAM);
		struct writer w = writer_over(bytes, sizeof bytes);
		write_big(&w, i % 3 ? 100 : 0);
		write_bytes(&w, "\0\5he", i % 2 ? 4 : 1);
		send_written(fd, &w);
		if (i % 2)
			reset(fd);
		else
			close(fd);
		expect_served(witness);
	}
	close(witness);
	toy_stop(&t);
}

/* Fewer descriptors than connections allowed: the oldest make room all the same. */
static void out_of_descriptors(void **state)
{
	(void)state;
	struct toy t = toy_default();
	t.spare_files = 5;
	t.settings.tcp_idle = 10 * PATIENCE;
	toy_start(&t);
	int fd[20];
	for (unsigned i = 0; i < 20; i++) {
		fd[i] = toy_connect(&t.tcp, SOCK_STREAM);
		expect_served(fd[i]);
	}
	for (unsigned i = 0; i < 20; i++)
		close(fd[i]);
	toy_stop(&t);
}

static int64_t cpu_ms(clockid_t clock)
{
	struct timespec used;
	assert_int_equal(clock_gettime(clock, &used), 0);
	return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* Not even one connection can be accepted: the listener must not keep the processor busy. */
static void no_descriptor_at_all_does_not_spin(void **state)
{
	(void)state;
	struct toy t = toy_default();
	t.spare_files = 1; /* epoll's */
	toy_start(&t);
	clockid_t cpu;
	assert_int_equal(clock_getcpuclockid(t.pid, &cpu), 0);
	int udp = toy_connect(&t.udp, SOCK_DGRAM), fd = toy_connect(&t.tcp, SOCK_STREAM);
	char byte;
	assert_int_equal(send(udp, "u", 1, 0), 1);
	assert_int_equal(recv(udp, &byte, 1, 0), 1);
	int64_t before = cpu_ms(cpu);
	assert_false(is_closed(fd, 500));
	assert_true(cpu_ms(cpu) - before < 100);
	assert_int_equal(send(udp, "u", 1, 0), 1);
	assert_int_equal(recv(udp, &byte, 1, 0), 1);
	close(udp);
	close(fd);
	toy_stop(&t);
}

static void stop_closes_between_messages(void **state)
{
	(void)state;
	struct toy t = toy_default();
	toy_start(&t);
	int idle = toy_connect(&t.tcp, SOCK_STREAM), asking = toy_connect(&t.tcp, SOCK_STREAM);
	expect_served(idle);
	expect_served(asking);
	toy_freeze(&t);
	int late = toy_connect(&t.tcp, SOCK_STREAM); /* in the listener's queue only */
	ask(late, "late");
	ask(asking, "last words");
	toy_ask_to_stop(&t);
	int64_t before = clock_mono_ms();
	toy_thaw(&t);
	expect(asking, "last words");
	expect_end(asking);
	expect(late, "late");
	expect_end(late);
	expect_end(idle);
	toy_wait(&t);
	assert_true(clock_mono_ms() - before < 1000);
}

static void stop_finishes_what_is_under_way(void **state)
{
	(void)state;
	uint8_t bytes[2048];
	struct toy t = toy_default();
	toy_start(&t);
	int reading = toy_connect(&t.tcp, SOCK_STREAM), writing = toy_connect(&t.tcp, SOCK_STREAM);
	expect_served(reading);
	expect_served(writing);
	write_all(writing, "\0\5he", 4);
	struct writer w = writer_over(bytes, sizeof bytes);
	write_big(&w, 100); /* 6 MB: more than the kernel holds */
	send_written(reading, &w);
	toy_ask_to_stop(&t);
	for (unsigned i = 0; i < 100; i++)
		expect_big(reading, (char)('a' + i % 26));
	expect_end(reading);
	write_all(writing, "llo", 3);
	expect(writing, "hello");
	expect_end(writing);
	toy_wait(&t);
}

static void stop_does_not_wait_for_ever(void **state)
{
	(void)state;
	struct toy t = toy_default();
	toy_start(&t);
	int deaf = toy_connect(&t.tcp, SOCK_STREAM), mute = toy_connect(&t.tcp, SOCK_STREAM);
	expect_served(mute);
	write_all(mute, "\0\5he", 4);
	assert_true(stuff(deaf) > 0);
	int64_t before = clock_mono_ms();
	toy_stop(&t);
	int64_t lasted = clock_mono_ms() - before;
	assert_true(lasted >= 900 && lasted < 4000);
	close(deaf);
	close(mute);
}

static void binding(void **state)
{
	(void)state;
	struct endpoint any = toy_endpoint("127.0.0.1", 0);
	int first, second;
	assert_int_equal(net_tcp_listen(&any, false, &first), OK);
	struct endpoint taken = toy_bound(first);
	assert_int_equal(net_tcp_listen(&taken, false, &second), ERR_SYSTEM);
	assert_int_equal(errno, EADDRINUSE);
	close(first);
	assert_int_equal(net_tcp_listen(&any, true, &first), OK);
	taken = toy_bound(first);
	assert_int_equal(net_tcp_listen(&taken, true, &second), OK);
	close(first);
	close(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(pipelined_200_in_one_write),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(half_closed_clients_are_answered),
		cmocka_unit_test(nonsense_ends_the_connection),
		cmocka_unit_test(idle_connections_are_closed),
		cmocka_unit_test(dripping_does_not_stretch_the_deadline),
		cmocka_unit_test(deadline_is_per_message),
		cmocka_unit_test(the_one_idle_longest_makes_room),
		cmocka_unit_test(a_full_house_still_serves_newcomers),
		cmocka_unit_test(a_peer_that_does_not_read_is_bounded),
		cmocka_unit_test(reading_in_drips_does_not_stretch_the_deadline),
		cmocka_unit_test(a_slow_reader_gets_everything),
		cmocka_unit_test(resets_do_no_harm),
		cmocka_unit_test(out_of_descriptors),
		cmocka_unit_test(no_descriptor_at_all_does_not_spin),
		cmocka_unit_test(stop_closes_between_messages),
		cmocka_unit_test(stop_finishes_what_is_under_way),
		cmocka_unit_test(stop_does_not_wait_for_ever),
		cmocka_unit_test(binding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
