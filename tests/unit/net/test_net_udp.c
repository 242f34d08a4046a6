// SPDX-License-Identifier: GPL-3.0-or-later
#include "toy_server.h"

static void ask(int fd, const char *query)
{
	assert_int_equal(send(fd, query, strlen(query), 0), strlen(query));
}

static void expect(int fd, const char *answer)
{
	char got[2048];
	ssize_t n = recv(fd, got, sizeof got, 0);
	assert_int_equal(n, strlen(answer));
	assert_memory_equal(got, answer, strlen(answer));
}

static void round_trip(const char *address)
{
	struct toy t = toy_default();
	t.address = address;
	toy_start(&t);
	int fd = toy_connect(&t.udp, SOCK_DGRAM);
	ask(fd, "hello");
	expect(fd, "hello");
	char who[16];
	snprintf(who, sizeof who, "udp %u", toy_bound(fd).port);
	ask(fd, "W");
	expect(fd, who);
	close(fd);
	toy_stop(&t);
}

static void round_trip_ipv4(void **state)
{
	(void)state;
	round_trip("127.0.0.1");
}

static void round_trip_ipv6(void **state)
{
	(void)state;
	round_trip("::1");
}

/* The source of the answer is checked by the kernel: a connected socket takes no other. */
static void wildcard_answers_from(const char *wildcard, const char *asked)
{
	struct toy t = toy_default();
	t.address = wildcard;
	toy_start(&t);
	struct endpoint to = toy_endpoint(asked, t.udp.port);
	int fd = toy_connect(&to, SOCK_DGRAM);
	ask(fd, "from where");
	expect(fd, "from where");
	close(fd);
	toy_stop(&t);
}

static void answer_comes_from_the_address_asked(void **state)
{
	(void)state;
	wildcard_answers_from("0.0.0.0", "127.0.0.2");
	wildcard_answers_from("0.0.0.0", "127.0.0.1");
	wildcard_answers_from("::", "::1");
}

enum { BURST = 100 };

static void send_burst(int fd, unsigned first)
{
	for (unsigned i = first; i < first + BURST; i++) {
		char query[16];
		snprintf(query, sizeof query, "q%u", i);
		ask(fd, query);
	}
}

static void expect_burst(int fd, unsigned first)
{
	for (unsigned i = first; i < first + BURST; i++) {
		char answer[16];
		snprintf(answer, sizeof answer, "q%u", i);
		expect(fd, answer);
	}
}

/* Bursts longer than one batch, each waiting as a whole when the server looks. */
static void thousand_datagrams(void **state)
{
	(void)state;
	struct toy t = toy_default();
	toy_start(&t);
	int fd = toy_connect(&t.udp, SOCK_DGRAM);
	for (unsigned first = 0; first < 1000; first += BURST) {
		toy_freeze(&t);
		send_burst(fd, first);
		toy_thaw(&t);
		expect_burst(fd, first);
	}
	close(fd);
	toy_stop(&t);
}

static void unanswered_do_not_shift_the_others(void **state)
{
	(void)state;
	struct toy t = toy_default();
	t.address = "0.0.0.0";
	toy_start(&t);
	struct endpoint first = toy_endpoint("127.0.0.1", t.udp.port),
			second = toy_endpoint("127.0.0.2", t.udp.port);
	int a = toy_connect(&first, SOCK_DGRAM), b = toy_connect(&second, SOCK_DGRAM);
	toy_freeze(&t);
	ask(a, "D");
	ask(b, "b1");
	ask(b, "D");
	ask(a, "a1");
	ask(b, "b2");
	toy_thaw(&t);
	expect(a, "a1");
	expect(b, "b1");
	expect(b, "b2");
	close(a);
	close(b);
	toy_stop(&t);
}

/* Longer than the buffer: half a query is no query. */
static void truncated_queries_are_dropped(void **state)
{
	(void)state;
	struct toy t = toy_default();
	toy_start(&t);
	int fd = toy_connect(&t.udp, SOCK_DGRAM);
	char query[1473];
	memset(query, 'x', sizeof query);
	assert_int_equal(send(fd, query, sizeof query, 0), sizeof query);
	ask(fd, "C");
	char before;
	assert_int_equal(recv(fd, &before, 1, 0), 1);
	assert_int_equal(before, 0);
	close(fd);
	toy_stop(&t);
}

/* The reply meets a closed port, the kernel an ICMP error: service goes on. */
static void client_gone_before_its_answer(void **state)
{
	(void)state;
	struct toy t = toy_default();
	toy_start(&t);
	int fd = toy_connect(&t.udp, SOCK_DGRAM);
	for (unsigned i = 0; i < 3; i++) {
		int gone = toy_connect(&t.udp, SOCK_DGRAM);
		toy_freeze(&t);
		ask(gone, "lost");
		ask(fd, "kept");
		close(gone);
		toy_thaw(&t);
		expect(fd, "kept");
	}
	close(fd);
	toy_stop(&t);
}

/* A datagram with source port 0 can only be made by hand. */
static void source_port_zero_is_dropped(void **state)
{
	(void)state;
	int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
	if (raw < 0)
		skip(); /* takes CAP_NET_RAW */
	struct toy t = toy_default();
	toy_start(&t);
	uint16_t port = htons(t.udp.port), packet[5] = {0, port, htons(10), 0, 0x7878};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(
		sendto(raw, packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to), sizeof packet);
	int fd = toy_connect(&t.udp, SOCK_DGRAM);
	ask(fd, "C");
	char before;
	assert_int_equal(recv(fd, &before, 1, 0), 1);
	assert_int_equal(before, 0);
	close(fd);
	close(raw);
	toy_stop(&t);
}

static void stop_answers_what_has_arrived(void **state)
{
	(void)state;
	struct toy t = toy_default();
	toy_start(&t);
	int fd = toy_connect(&t.udp, SOCK_DGRAM);
	ask(fd, "ready");
	expect(fd, "ready");
	toy_freeze(&t);
	toy_ask_to_stop(&t);
	send_burst(fd, 0);
	toy_thaw(&t);
	toy_wait(&t);
	expect_burst(fd, 0);
	close(fd);
}

static void binding(void **state)
{
	(void)state;
	struct endpoint any = toy_endpoint("127.0.0.1", 0);
	int first, second, mode;
	socklen_t len = sizeof mode;
	assert_int_equal(net_udp_bind(&any, false, &first), OK);
	struct endpoint taken = toy_bound(first);
	assert_int_equal(net_udp_bind(&taken, false, &second), ERR_SYSTEM);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(getsockopt(first, IPPROTO_IP, IP_MTU_DISCOVER, &mode, &len), 0);
	assert_int_equal(mode, IP_PMTUDISC_OMIT);
	close(first);
	assert_int_equal(net_udp_bind(&any, true, &first), OK);
	taken = toy_bound(first);
	assert_int_equal(net_udp_bind(&taken, true, &second), OK);
	close(first);
	close(second);
	struct endpoint elsewhere = toy_endpoint("192.0.2.1", 0);
	assert_int_equal(net_udp_bind(&elsewhere, false, &first), ERR_SYSTEM);
	assert_int_equal(errno, EADDRNOTAVAIL);
}

/* Both families on one port: an IPv6 wildcard must leave IPv4 alone. */
static void wildcards_of_both_families(void **state)
{
	(void)state;
	struct endpoint six = toy_endpoint("::", 0), four;
	int a, b;
	assert_int_equal(net_udp_bind(&six, false, &a), OK);
	four = toy_endpoint("0.0.0.0", toy_bound(a).port);
	assert_int_equal(net_udp_bind(&four, false, &b), OK);
	close(a);
	close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_ipv4),
		cmocka_unit_test(round_trip_ipv6),
		cmocka_unit_test(answer_comes_from_the_address_asked),
		cmocka_unit_test(thousand_datagrams),
		cmocka_unit_test(unanswered_do_not_shift_the_others),
		cmocka_unit_test(truncated_queries_are_dropped),
		cmocka_unit_test(client_gone_before_its_answer),
		cmocka_unit_test(source_port_zero_is_dropped),
		cmocka_unit_test(stop_answers_what_has_arrived),
		cmocka_unit_test(binding),
		cmocka_unit_test(wildcards_of_both_families),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
