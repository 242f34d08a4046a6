// SPDX-License-Identifier: GPL-3.0-or-later
/* load: makes delegates with one value each, straight into a store that no server has open, and writes one
 * "label value key-id secret" a line to FILE.
 *
 *   load STORE ZONE COUNT FILE */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common.h"
#include "delegate/delegate.h"
#include "store/store.h"
#include "util/clock.h"
#include "util/diag.h"
#include "util/secure.h"
#include "util/text.h"

enum { PER_TRANSACTION = 10000, COUNT_MAX = 100000000 };

/* Long enough for any run; the server's own rules apply to what it writes itself. */
static const struct delegate_rules rules = {
	.value_lifetime = 24 * 3600 * 1000, .max_values = DELEGATE_MAX_VALUES};

/* What an ACME client would publish: the digest of something random. */
static int random_value(char out[static DELEGATE_VALUE_LEN + 2])
{
	uint8_t bytes[SECURE_DIGEST_SIZE];
	int r = secure_random(bytes, sizeof bytes);
	if (r == OK)
		text_base64url(bytes, sizeof bytes, out);
	return r;
}

static int add_delegate(struct store_txn *t, uint16_t zone, FILE *to)
{
	static const struct delegate_allow everyone = {.count = 0};
	struct delegate_credentials c;
	char value[DELEGATE_VALUE_LEN + 2];
	int64_t now = clock_wall_ms();

	int r = random_value(value);
	if (r == OK)
		r = delegate_register(t, zone, &everyone, now, &c);
	if (r == OK)
		r = delegate_put(t, &c.id, value, &rules, now);
	if (r == OK && fprintf(to, "%s %s %s %s\n", c.id.label, value, c.key_id, c.secret) < 0)
		r = ERR_SYSTEM;
	secure_wipe(&c, sizeof c);
	return r;
}

static int add_some(struct store *s, const char *zone_name, unsigned count, FILE *to)
{
	struct store_txn *t;
	uint16_t zone;
	int r = store_txn_begin(s, &t);
	if (r != OK)
		return r;
	r = delegate_zone_id(t, zone_name, &zone);
	for (unsigned i = 0; r == OK && i < count; i++)
		r = add_delegate(t, zone, to);
	if (r == OK)
		return store_txn_commit(&t);
	store_txn_abort(&t);
	return r;
}

static int load(const char *path, const char *zone, unsigned count, FILE *to, struct diag *why)
{
	struct store *s;
	int r = store_open(path, STORE_WRITE, why, &s);
	if (r != OK)
		return r;
	for (unsigned done = 0; r == OK && done < count; done += PER_TRANSACTION)
		r = add_some(s, zone, count - done < PER_TRANSACTION ? count - done : PER_TRANSACTION, to);
	store_close(&s);
	return r;
}

int main(int argc, char **argv)
{
	unsigned count;
	if (argc != 5 || parse_number(argv[3], 1, COUNT_MAX, &count) != OK) {
		fputs("usage: load STORE ZONE COUNT FILE\n", stderr);
		return 2;
	}
	umask(077); /* the file holds secrets */
	FILE *to = fopen(argv[4], "w");
	struct diag *why = diag_new();
	int r = !why ? ERR_NOMEM : !to ? ERR_SYSTEM : load(argv[1], argv[2], count, to, why);
	if (to && fclose(to) && r == OK)
		r = ERR_SYSTEM;
	if (why)
		diag_print(why, stderr);
	diag_free(&why);
	if (r != OK)
		fprintf(stderr, "load: %s\n", error_text(r));
	return r == OK ? 0 : 1;
}
