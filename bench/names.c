// SPDX-License-Identifier: GPL-3.0-or-later
/* names: makes up delegates for `acme-delegate import`, with one key each, the first LIVE of them with one
 * value; since labels are random these lie everywhere in the store. Writes all to RECORDS as lines of JSON
 * (doc/data-format.md), and those with a value to KNOWN as "label value key-id secret", for the load.
 *
 *   names COUNT LIVE ZONE RECORDS KNOWN */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common.h"
#include "delegate/delegate.h"
#include "util/clock.h"
#include "util/secure.h"
#include "util/text.h"

enum { COUNT_MAX = 1000000000, RANDOM_BUFFER = 64 << 10 };

/* Longer than any run; the server's own rules apply to what it writes itself. */
static const int64_t lifetime = 7 * 24 * 3600 * 1000LL;

/* Random bytes, many at a time: a system call for each name would take most of the time. */
struct source {
	uint8_t bytes[RANDOM_BUFFER];
	size_t used;
};

static int take(struct source *s, void *out, size_t len)
{
	if (s->used + len > sizeof s->bytes) {
		int rc = secure_random(s->bytes, sizeof s->bytes);
		if (rc)
			return rc;
		s->used = 0;
	}
	memcpy(out, s->bytes + s->used, len);
	s->used += len;
	return OK;
}

/* A version 4 UUID, RFC 9562 section 5.4. */
static int make_uuid(struct source *s, char out[static SECURE_UUID_LEN + 1])
{
	uint8_t uuid[16];
	int rc = take(s, uuid, sizeof uuid);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	text_from_uuid(uuid, out);
	return rc;
}

/* Base64url of random bytes: 30 give a secret, 32 a value like the digest an ACME client publishes. */
static int make_text(struct source *s, size_t bytes, char *out)
{
	uint8_t random[SECURE_DIGEST_SIZE];
	int rc = take(s, random, bytes);
	text_base64url(random, bytes, out);
	return rc;
}

static int make_delegate(
	struct source *s, const char *zone, bool live, int64_t now, FILE *records, FILE *known)
{
	char label[SECURE_UUID_LEN + 1], id[SECURE_UUID_LEN + 1], secret[48], value[48], hex[65];
	uint8_t digest[SECURE_DIGEST_SIZE];
	int rc = make_uuid(s, label);
	rc = rc ? rc : make_uuid(s, id);
	rc = rc ? rc : make_text(s, 30, secret);
	rc = rc || !live ? rc : make_text(s, sizeof digest, value);
	rc = rc ? rc : secure_sha256(secret, strlen(secret), digest);
	if (rc)
		return rc;
	text_hex(digest, sizeof digest, hex);
	if (fprintf(records,
		    "{\"zone\":\"%s\",\"label\":\"%s\",\"created\":%lld,\"keys\":[{\"id\":\"%s\",\"created\":%lld,"
		    "\"sha256\":\"%s\"}]",
		    zone, label, (long long)now, id, (long long)now, hex) < 0)
		return ERR_SYSTEM;
	if (live && fprintf(records, ",\"values\":[{\"value\":\"%s\",\"expiry\":%lld}]", value,
			    (long long)(now + lifetime)) < 0)
		return ERR_SYSTEM;
	if (live && fprintf(known, "%s %s %s %s\n", label, value, id, secret) < 0)
		return ERR_SYSTEM;
	return fputs("}\n", records) < 0 ? ERR_SYSTEM : OK;
}

static int make_all(const char *zone, unsigned count, unsigned live, FILE *records, FILE *known)
{
	static struct source s = {.used = RANDOM_BUFFER};
	int64_t now = clock_wall_ms();
	int rc = fputs("{\"format\":\"acme-delegate\",\"version\":1}\n", records) < 0 ? ERR_SYSTEM : OK;
	for (unsigned i = 0; !rc && i < count; i++)
		rc = make_delegate(&s, zone, i < live, now, records, known);
	return !rc && fprintf(records, "{\"delegates\":%u}\n", count) < 0 ? ERR_SYSTEM : rc;
}

int main(int argc, char **argv)
{
	unsigned count, live;
	if (argc != 6 || parse_number(argv[1], 1, COUNT_MAX, &count) ||
		parse_number(argv[2], 0, count, &live)) {
		fputs("usage: names COUNT LIVE ZONE RECORDS KNOWN\n", stderr);
		return 2;
	}
	umask(077); /* secrets */
	FILE *records = fopen(argv[4], "w"), *known = fopen(argv[5], "w");
	int rc = records && known ? make_all(argv[3], count, live, records, known) : ERR_SYSTEM;
	if (records && fclose(records) && !rc)
		rc = ERR_SYSTEM;
	if (known && fclose(known) && !rc)
		rc = ERR_SYSTEM;
	if (rc)
		fprintf(stderr, "names: %s\n", error_text(rc));
	return rc ? 1 : 0;
}
