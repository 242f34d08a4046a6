// SPDX-License-Identifier: GPL-3.0-or-later
/* A query of any bytes. First byte: bit 0 TCP, bit 1 the store is away. The answer must be a message that
 * libknot reads back, within the limits of its transport. */
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

static struct dns_zones *z;

static struct dns_answerer *answerer(void)
{
	static struct dns_answerer *a;
	static const uint16_t id = 1;
	if (a)
		return a;
	struct diag *d = diag_new();
	if (!d || dns_zones_build(zones, &id, 1, NULL, d, &z) ||
		dns_answerer_new(&(struct dns_settings){.zones = z}, &a))
		abort();
	dns_answerer_set_lookup(a, lookup);
	diag_free(&d);
	return a;
}

static void check(const struct dns_query *q, const uint8_t *out, size_t len)
{
	if (len > (q->tcp ? UINT16_MAX : DNS_UDP_SIZE) || len < DNS_HEADER_SIZE || !(out[2] & 0x80))
		abort();
	if (out[0] != q->wire[0] || out[1] != q->wire[1])
		abort();
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

/* What went the short way is the same, octet for octet, as by the long one. */
static void compare(const struct dns_query *q, const uint8_t *out, size_t len)
{
	static uint8_t other[UINT16_MAX];
	struct dns_plain plain;
	dns_plain_parse(z, q, &plain);
	if (plain.wire && (dns_answer_generally(answerer(), q, true, other, sizeof other) != len ||
				  memcmp(out, other, len) != 0))
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
	bool no_store = data[0] & 2;
	struct delegate_source source = {.ctx = &no_store};
	struct dns_query q = {.wire = wire,
		.len = len - 1,
		.tcp = data[0] & 1,
		.client = {.port = 1024},
		.now = 1,
		.delegates = &source};
	size_t n = dns_answer(answerer(), &q, out, sizeof out);
	if (n)
		check(&q, out, n);
	compare(&q, out, n);
	compare(&q, out, n);
	free(wire);
	return 0;
}
