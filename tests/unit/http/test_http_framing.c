// SPDX-License-Identifier: GPL-3.0-or-later
/* Requests that two parsers could read differently. Each is sent with a second request behind it; the server
 * must answer once, with a refusal, and close: the second must never be seen. */
#include "http/testserver.h"

#define H      "Host: a\r\n"
#define POST11 "POST / HTTP/1.1\r\n" H
#define GET11  "GET / HTTP/1.1\r\n" H

static const struct refused {
	const char *what, *bytes;
	size_t len;
	int status;
} refused[] = {
#define CASE(what, status, bytes)                                                                            \
	{                                                                                                    \
		what, bytes, sizeof bytes - 1, status                                                        \
	}
	CASE("two equal lengths", 400, POST11 "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
	CASE("two different lengths", 400, POST11 "Content-Length: 0\r\nContent-Length: 6\r\n\r\n"),
	CASE("two lengths, other case", 400, POST11 "Content-Length: 0\r\ncontent-length: 0\r\n\r\n"),
	CASE("length list", 400, POST11 "Content-Length: 0, 0\r\n\r\n"),
	CASE("length with plus", 400, POST11 "Content-Length: +0\r\n\r\n"),
	CASE("length with minus", 400, POST11 "Content-Length: -0\r\n\r\n"),
	CASE("length in hex", 400, POST11 "Content-Length: 0x0\r\n\r\n"),
	CASE("empty length", 400, POST11 "Content-Length:\r\n\r\n"),
	CASE("blank inside length", 400, POST11 "Content-Length: 0 0\r\n\r\n"),
	CASE("length with letters", 400, POST11 "Content-Length: 0a\r\n\r\n"),
	CASE("length in quotes", 400, POST11 "Content-Length: \"0\"\r\n\r\n"),
	CASE("length with fraction", 400, POST11 "Content-Length: 0.0\r\n\r\n"),
	CASE("huge length", 413, POST11 "Content-Length: 18446744073709551616\r\n\r\n"),
	CASE("longer than huge", 413,
		POST11 "Content-Length: 999999999999999999999999999999999999999\r\n\r\n"),
	CASE("length 2^32", 413, POST11 "Content-Length: 4294967296\r\n\r\n"),
	CASE("length with a leading zero", 400, POST11 "Content-Length: 010\r\n\r\n"),
	CASE("two zeros as length", 400, POST11 "Content-Length: 00\r\n\r\n"),
	CASE("length in Unicode digits", 400, POST11 "Content-Length: \xd9\xa0\r\n\r\n"),
	CASE("length with underscore", 400, POST11 "Content_Length: 0\r\n\r\n"),
	CASE("content of a GET", 400, GET11 "Content-Length: 2\r\n\r\nab"),
	CASE("content of a DELETE", 400, "DELETE / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab"),
	CASE("content of a method nobody knows", 400,
		"SPACEJUMP / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab"),
	CASE("encoded content", 415, POST11 "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
	CASE("content that ends itself", 415,
		POST11 "Content-Type: multipart/byteranges; boundary=x\r\n\r\n--x--"),
	CASE("blank before the colon", 400, POST11 "Content-Length : 0\r\n\r\n"),
	CASE("tab before the colon", 400, POST11 "Content-Length\t: 0\r\n\r\n"),
	CASE("chunked", 501, POST11 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	CASE("chunked and length", 501,
		POST11 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	CASE("length and chunked", 501,
		POST11 "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
	CASE("unknown coding", 501, POST11 "Transfer-Encoding: xchunked\r\n\r\n"),
	CASE("identity", 501, POST11 "Transfer-Encoding: identity\r\n\r\n"),
	CASE("empty coding", 501, POST11 "Transfer-Encoding:\r\n\r\n"),
	CASE("coding with tab", 501, POST11 "Transfer-Encoding:\tchunked\r\n\r\n"),
	CASE("coding list", 501, POST11 "Transfer-Encoding: gzip, chunked\r\n\r\n"),
	CASE("coding twice", 501, POST11 "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
	CASE("coding in HTTP/1.0", 501, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	CASE("blank before coding's colon", 400, POST11 "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
	CASE("coding with vertical tab", 400, POST11 "Transfer-Encoding:\vchunked\r\n\r\n"),
	CASE("folded line", 400, GET11 "X: a\r\n b\r\n\r\n"),
	CASE("folded line with tab", 400, GET11 "X: a\r\n\tb\r\n\r\n"),
	CASE("folded length", 400, POST11 "Content-Length:\r\n 0\r\n\r\n"),
	CASE("blank before the first field", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
	CASE("CR in a value", 400, GET11 "X: a\rb\r\n\r\n"),
	CASE("CR hides a length", 400, POST11 "X: a\rContent-Length: 0\r\n\r\n"),
	CASE("CR CR LF", 400, GET11 "X: a\r\r\n\r\n"),
	CASE("CR before the colon", 400, GET11 "X\r: a\r\n\r\n"),
	CASE("LF only", 400, "GET / HTTP/1.1\nHost: a\n\n"),
	CASE("LF after a field", 400, GET11 "X: a\nY: b\r\n\r\n"),
	CASE("LF ends the head", 400, GET11 "\n"),
	CASE("NUL in a value", 400, GET11 "X: a\0b\r\n\r\n"),
	CASE("NUL in a name", 400, GET11 "X\0Y: b\r\n\r\n"),
	CASE("NUL in a length", 400, POST11 "Content-Length: 0\0 5\r\n\r\n"),
	CASE("NUL in the target", 400, "GET /\0x HTTP/1.1\r\n" H "\r\n"),
	CASE("control character", 400, GET11 "X: a\001b\r\n\r\n"),
	CASE("DEL", 400, GET11 "X: a\177b\r\n\r\n"),
	CASE("no colon", 400, GET11 "X\r\n\r\n"),
	CASE("empty name", 400, GET11 ": x\r\n\r\n"),
	CASE("name with blank", 400, GET11 "X Y: x\r\n\r\n"),
	CASE("name with bracket", 400, GET11 "X[]: x\r\n\r\n"),
	CASE("name with obs-text", 400, GET11 "X\xe9: x\r\n\r\n"),
	CASE("name with underscore", 400, GET11 "X_Forwarded_For: 127.0.0.1\r\n\r\n"),
	CASE("name with dot", 400, GET11 "Content.Length: 0\r\n\r\n"),
	CASE("blanks where the head ends", 400, GET11 "X: a\r\n \r\n\r\n"),
	CASE("length as connection option", 400,
		POST11 "Connection: close, Content-Length\r\nContent-Length: 0\r\n\r\n"),
	CASE("key as connection option", 400, GET11 "Connection: X-Api-Key\r\n\r\n"),
	CASE("connection options without comma", 400, GET11 "Connection: close te\r\n\r\n"),
	CASE("expectation twice", 400,
		POST11 "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"),
	CASE("expectation list", 417, POST11 "Expect: 100-continue, x\r\nContent-Length: 0\r\n\r\n"),
	CASE("authorization twice", 400,
		GET11 "Authorization: Basic Og==\r\nauthorization: Basic Og==\r\n\r\n"),
	CASE("no host", 400, "GET / HTTP/1.1\r\n\r\n"),
	CASE("two hosts", 400, GET11 H "\r\n"),
	CASE("two hosts in HTTP/1.0", 400, "GET / HTTP/1.0\r\n" H H "\r\n"),
	CASE("host list", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
	CASE("host with path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
	CASE("host with user", 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
	CASE("host with two ports", 400, "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"),
	CASE("host without name", 400, "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
	CASE("host with port no number", 400, "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
	CASE("host with open bracket", 400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
	CASE("host behind bracket", 400, "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"),
	CASE("host of brackets", 400, "GET / HTTP/1.1\r\nHost: []\r\n\r\n"),
	CASE("HTTP/2.0", 505, "GET / HTTP/2.0\r\n" H "\r\n"),
	CASE("HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	CASE("HTTP/1.2", 505, "GET / HTTP/1.2\r\n" H "\r\n"),
	CASE("HTTP/0.9 with version", 505, "GET / HTTP/0.9\r\n" H "\r\n"),
	CASE("HTTP/0.9", 400, "GET /\r\n\r\n"),
	CASE("version in lower case", 400, "GET / http/1.1\r\n" H "\r\n"),
	CASE("version too long", 400, "GET / HTTP/1.10\r\n" H "\r\n"),
	CASE("version with blank", 400, "GET / HTTP/1.1 \r\n" H "\r\n"),
	CASE("two blanks before the target", 400, "GET  / HTTP/1.1\r\n" H "\r\n"),
	CASE("two blanks before the version", 400, "GET /  HTTP/1.1\r\n" H "\r\n"),
	CASE("tabs", 400, "GET\t/\tHTTP/1.1\r\n" H "\r\n"),
	CASE("blank first", 400, " GET / HTTP/1.1\r\n" H "\r\n"),
	CASE("two empty lines first", 400, "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"),
	CASE("method no token", 400, "G@(T / HTTP/1.1\r\n" H "\r\n"),
	CASE("method too long", 400, "GETGETGETGETGETGET / HTTP/1.1\r\n" H "\r\n"),
	CASE("method in lower case", 400, "get / HTTP/1.1\r\n" H "\r\n"),
	CASE("origin form of CONNECT", 400, "CONNECT / HTTP/1.1\r\n" H "\r\n"),
	CASE("no method", 400, "/ HTTP/1.1\r\n" H "\r\n"),
	CASE("blank in the target", 400, "GET /a b HTTP/1.1\r\n" H "\r\n"),
	CASE("CR in the request line", 400, "GET /\r HTTP/1.1\r\n" H "\r\n"),
	CASE("absolute form", 400, "GET http://a/health HTTP/1.1\r\n" H "\r\n"),
	CASE("authority form", 400, "CONNECT a:443 HTTP/1.1\r\n" H "\r\n"),
	CASE("asterisk form", 400, "OPTIONS * HTTP/1.1\r\n" H "\r\n"),
	CASE("no slash", 400, "GET health HTTP/1.1\r\n" H "\r\n"),
	CASE("fragment", 400, "GET /health#x HTTP/1.1\r\n" H "\r\n"),
	CASE("percent-encoding", 400, "GET /%68ealth HTTP/1.1\r\n" H "\r\n"),
	CASE("encoded NUL", 400, "GET /health%00 HTTP/1.1\r\n" H "\r\n"),
	CASE("dot dot", 400, "GET /x/../health HTTP/1.1\r\n" H "\r\n"),
	CASE("dot", 400, "GET /./health HTTP/1.1\r\n" H "\r\n"),
	CASE("dot dot at the end", 400, "GET /health/.. HTTP/1.1\r\n" H "\r\n"),
	CASE("backslash", 400, "GET /x\\health HTTP/1.1\r\n" H "\r\n"),
	CASE("obs-text in the target", 400, "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n"),
	CASE("quote in the target", 400, "GET /\" HTTP/1.1\r\n" H "\r\n"),
	CASE("unknown expectation", 417, POST11 "Expect: 200-ok\r\nContent-Length: 0\r\n\r\n"),
	CASE("TLS to a plain port", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
	CASE("only junk", 400, "\xff\xfe\x00\x00"),
};

static unsigned handled;

static void count(void *ctx, struct http_exchange *x, const struct http_request *r)
{
	(void)ctx, (void)r;
	handled++;
	http_respond(x, &(struct http_response){.status = 200, .body = "handled", .body_len = 7});
}

static void expect_refusal(struct testserver *t, const struct refused *k)
{
	static const char second[] = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
	static struct testclient c;
	struct answer a;
	char bytes[1024];
	memcpy(bytes, k->bytes, k->len);
	memcpy(bytes + k->len, second, sizeof second);
	handled = 0;
	testclient_open(&c, t);
	testclient_send_bytes(&c, bytes, k->len + sizeof second - 1);
	if (!testclient_answer(&c, &a))
		fail_msg("%s: no answer", k->what);
	if (a.status != k->status || handled)
		fail_msg("%s: status %d instead of %d, handled %u", k->what, a.status, k->status, handled);
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(a.head, "\r\nContent-Type: application/json\r\n"));
	assert_memory_equal(a.body, "{\"error\": \"", 11);
	testclient_expect_closed(&c);
	assert_int_equal(handled, 0);
	testclient_close(&c);
}

static void ambiguous_requests_are_refused_and_closed(void **state)
{
	(void)state;
	struct testserver t;
	testserver_start(&t, (struct http_settings){0}, count, NULL);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		expect_refusal(&t, &refused[i]);
	testserver_stop(&t);
}

/* The other side of strictness: what clients do send must pass. */
static void unusual_but_clear_requests_pass(void **state)
{
	(void)state;
	static const char *const requests[] = {
		"POST / HTTP/1.1\r\nHost: a\r\n\r\n", /* curl -X POST: no length at all */
		"POST / HTTP/1.0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost:\r\n\r\n",
		"POST / HTTP/1.1\r\nhost:a:80\r\ncontent-length:0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\nContent-Length: 0\r\n\r\n",
		"\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n", /* RFC 9112 section 2.2 */
		"POST //x/?a=%41&b=c HTTP/1.1\r\nHost: a\r\nX: \xe9t\xe9 \t\r\n\r\n",
		"POST /..x/x../... HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.0\r\nExpect: something\r\n\r\n",
		/* Perl's LWP, and Java's HttpClient without TLS */
		"POST / HTTP/1.1\r\nTE: deflate,gzip;q=0.3\r\nConnection: TE, close\r\nHost: a\r\n\r\n",
		("POST / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nHost: a_b:8080\r\n"
		 "HTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c\r\n\r\n"),
		"DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection:\r\n\r\n",
	};
	struct testserver t;
	struct answer a;
	testserver_start(&t, (struct http_settings){0}, count, NULL);
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		testserver_ask(&t, requests[i], &a);
		if (a.status != 200)
			fail_msg("%s: %d", requests[i], a.status);
	}
	testserver_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ambiguous_requests_are_refused_and_closed),
		cmocka_unit_test(unusual_but_clear_requests_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
