// SPDX-License-Identifier: GPL-3.0-or-later
/* A query of any bytes. First byte: what it comes by and to whom, see enum circumstance. The answer must be a
 * message that libknot reads back, within the limits of its transport, and no use for an attack. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct address server_address = {{[10] = 0xff, 0xff, 192, 0, 2, 1}};
static struct conf_nameserver servers[] = {
	{.name = (char *)"ns1.auth.example", .addresses = &server_address, .address_count = 1}};
static struct conf_record records[] = {
	{(char *)"@ A 192.0.2.1", 1},
	{(char *)"@ CAA 0 issue \"letsencrypt.org\"", 2},
	{(char *)"www CNAME @", 3},
	{(char *)"loop CNAME loop", 4},
	{(char *)"a.b A 192.0.2.2", 5},
	{(char *)"*.w TXT w", 6},
	{(char *)"to CNAME x", 7},
};
static const struct conf_zone zones[] = {{.name = (char *)"auth.example",
	.nameservers = servers,
	.nameserver_count = 1,
	.records = records,
	.record_count = sizeof records / sizeof *records,
	.value_ttl = 1,
	.negative_ttl = 5}};

/* The first byte of a label says what the store holds. */
static int lookup(const struct delegate_source *s, const struct delegate_name *n, int64_t now,
	struct delegate_values *out)
{
	const uint8_t *label = n->label;
	(void)now;
	if (n->len < 1 || n->len > DELEGATE_LABEL_MAX)
		abort();
	const bool *no_store = s->ctx;
	if (*no_store || label[0] == 'f')
		return ERR_STORE;
	if (label[0] == 'n')
		return ERR_NOTFOUND;
	out->count = label[0] % (DELEGATE_MAX_VALUES + 1);
	for (size_t i = 0; i < out->count; i++)
		memset(out->rdata[i], DELEGATE_VALUE_LEN, sizeof out->rdata[i]);
	return OK;
}

enum circumstance {
	OVER_TCP = 1,
	NO_STORE = 2,
	OVER_TLS = 4,
	CONFIGURED = 8, /* cookies, NSID, class CH; replies at most four times their queries */
	LIMITED = 16,   /* as that, and the network is over its limit */
	IPV6 = 32,
	PROVEN = 64 /* the first cookie of full length is made good */
};

enum { NOW = 1700000000, GROWTH = 4 };

static const struct dns_cookie_secrets secrets = {.count = 2, .secrets = {"first", "second"}};
static const struct address ipv4 = {{[10] = 0xff, 0xff, 192, 0, 2, 7}},
			    ipv6 = {{0x20, 1, 0xd, 0xb8, [15] = 7}};
static struct dns_zones *z;

static struct dns_answerer *answerer_for(const struct dns_settings *s)
{
	struct dns_answerer *a;
	if (dns_answerer_new(s, &a))
		abort();
	dns_answerer_set_lookup(a, lookup);
	return a;
}

static void flood(struct dns_answerer *a, const struct address *client)
{
	for (unsigned i = 0; i < 2000; i++)
		(void)rrl_over(a->rrl, client, (int64_t)NOW * 1000);
}

static struct dns_answerer *answerer(unsigned circumstances)
{
	static struct dns_answerer *bare, *configured, *limited;
	static const uint16_t id = 1;
	if (!bare) {
		struct diag *d = diag_new();
		if (!d || dns_zones_build(zones, &id, 1, NULL, d, &z))
			abort();
		diag_free(&d);
		struct dns_settings s = {.zones = z};
		bare = answerer_for(&s);
		s = (struct dns_settings){.zones = z,
			.nsid = "a server",
			.identity = "this one",
			.version = "1",
			.cookies = &secrets,
			.growth = GROWTH,
			.tcp_idle = 10000};
		configured = answerer_for(&s);
		s.responses_per_second = 1;
		limited = answerer_for(&s);
		flood(limited, &ipv4);
		flood(limited, &ipv6);
	}
	return circumstances & LIMITED ? limited : circumstances & CONFIGURED ? configured : bare;
}

/* Whoever has a valid cookie: no amount of guessing would make one. */
static bool prove(uint8_t *wire, size_t len, const struct address *client)
{
	struct dns_cookie_keys keys;
	dns_cookie_keys_init(&keys, &secrets);
	for (size_t i = DNS_HEADER_SIZE; i + 4 + DNS_COOKIE_SIZE <= len; i++) {
		if (memcmp(wire + i, "\0\12\0\x18", 4) != 0)
			continue;
		uint8_t cookie[DNS_COOKIE_SIZE];
		(void)dns_cookie_check(&keys, wire + i + 4, DNS_COOKIE_CLIENT_SIZE, client, NOW, cookie);
		memcpy(wire + i + 4, cookie, sizeof cookie);
		return true;
	}
	return false;
}

static void check_message(const uint8_t *out, size_t len)
{
	uint8_t *copy = malloc(len);
	if (!copy)
		abort();
	memcpy(copy, out, len);
	knot_pkt_t *p = knot_pkt_new(copy, (uint16_t)len, NULL);
	if (!p || knot_pkt_parse(p, 0))
		abort();
	knot_pkt_free(p);
	free(copy);
}

static void check(
	const struct dns_query *q, unsigned circumstances, bool proven, const uint8_t *out, size_t len)
{
	if (len > (q->tcp ? UINT16_MAX : DNS_UDP_SIZE) || len < DNS_HEADER_SIZE || !(out[2] & 0x80))
		abort();
	if (out[0] != q->wire[0] || out[1] != q->wire[1])
		abort();
	if (!q->tcp && !proven && circumstances & (CONFIGURED | LIMITED) && len > GROWTH * q->len)
		abort();
	if (!q->tcp && !proven && circumstances & LIMITED && (len > q->len || out[7] || out[9]))
		abort();
	check_message(out, len);
}

/* What went the short way is the same, octet for octet, as by the long one. */
static void compare(struct dns_answerer *a, const struct dns_query *q, const uint8_t *out, size_t len)
{
	static uint8_t other[UINT16_MAX];
	struct dns_plain plain;
	dns_plain_parse(z, q, &plain);
	if (plain.wire && (dns_answer_generally(a, q, q->tcp || !a->rrl, other, sizeof other) != len ||
				  memcmp(out, other, len)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t out[UINT16_MAX];
	if (!len)
		return 0;
	/* Exactly as large as the query, so that the sanitizer sees every read behind its end. */
	uint8_t *wire = malloc(len - 1 + (len == 1));
	if (!wire)
		return 0;
	memcpy(wire, data + 1, len - 1);
	struct dns_answerer *a = answerer(data[0]);
	bool no_store = data[0] & NO_STORE;
	struct delegate_source source = {.ctx = &no_store};
	struct dns_query q = {.wire = wire,
		.len = len - 1,
		.tcp = data[0] & (OVER_TCP | OVER_TLS),
		.tls = data[0] & OVER_TLS,
		.client = {data[0] & IPV6 ? ipv6 : ipv4, 1024},
		.now = (int64_t)NOW * 1000,
		.delegates = &source};
	bool proven = data[0] & PROVEN && prove(wire, q.len, &q.client.address);
	size_t n = dns_answer(a, &q, out, sizeof out);
	if (n) {
		check(&q, data[0], proven, out, n);
		compare(a, &q, out, n);
	}
	free(wire);
	return 0;
}
