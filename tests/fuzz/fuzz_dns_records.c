// SPDX-License-Identifier: GPL-3.0-or-later
/* A static record of any text, and an answer with it. Lines beginning with '=' give zone, name server and
 * contact. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { PARTS = 4 };

static struct store_snapshot *no_store(void *ctx)
{
	(void)ctx;
	return NULL;
}

/* Asks for any type at the owner of the record, found again by parsing it. */
static void ask(const struct dns_zones *z, const char *record)
{
	static uint8_t out[UINT16_MAX];
	uint8_t query[DNS_HEADER_SIZE + DNS_NAME_MAX + 4] = {[5] = 1};
	struct dns_scanner *s = dns_scanner_new();
	struct dns_record *r = malloc(sizeof *r);
	struct dns_answerer *a = NULL;
	const char *why = NULL;
	knot_dname_txt_storage_t origin;
	if (!s || !r || !z->count || !knot_dname_to_str(origin, z->list[0].name, sizeof origin))
		abort();
	if (dns_record_parse(s, origin, record, r, &why) == OK &&
		dns_answerer_new(&(struct dns_settings){.zones = z}, &a) == OK) {
		memcpy(query + DNS_HEADER_SIZE, r->owner, r->owner_len);
		uint8_t tail[4] = {(uint8_t)(r->type >> 8), (uint8_t)r->type, 0, 1};
		memcpy(query + DNS_HEADER_SIZE + r->owner_len, tail, 4);
		static const struct delegate_source none = {.pin = no_store};
		struct dns_query q = {.wire = query,
			.delegates = &none,
			.len = DNS_HEADER_SIZE + r->owner_len + 4,
			.tcp = true,
			.client = {.port = 1024}};
		size_t n = dns_answer(a, &q, out, sizeof out);
		/* What was accepted is served: an answer, or TC for what no message can carry. */
		if (n < DNS_HEADER_SIZE || (out[3] & 15) || (!out[6] && !out[7] && !(out[2] & 2)))
			abort();
	}
	dns_answerer_free(&a);
	dns_scanner_free(&s);
	free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct address address = {{[10] = 0xff, 0xff, 192, 0, 2, 1}};
	static const uint16_t id = 1;
	char *text = malloc(len + 1), *parts[PARTS] = {0}, *at = text;
	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = 0;
	for (unsigned i = 1; i < PARTS && *at == '='; i++) {
		char *end = at + strcspn(at, "\n");
		parts[i] = at + 1;
		at = *end ? end + 1 : end;
		*end = 0;
	}
	struct conf_record record = {at, 1};
	struct conf_nameserver server = {.name = parts[2] ? parts[2] : (char *)"ns.other.test"};
	struct conf_zone zone = {.name = parts[1] ? parts[1] : (char *)"auth.example",
		.nameservers = &server,
		.nameserver_count = 1,
		.contact = parts[3],
		.records = &record,
		.record_count = 1};
	if (parts[2] && strstr(parts[2], zone.name)) {
		server.addresses = &address;
		server.address_count = 1;
	}
	struct diag *d = diag_new();
	struct dns_zones *z = NULL;
	if (d && dns_zones_build(&zone, &id, 1, "fuzz", d, &z) == OK)
		ask(z, at);
	dns_zones_free(&z);
	diag_free(&d);
	free(text);
	return 0;
}
