// SPDX-License-Identifier: GPL-3.0-or-later
/* Names: text and addresses of mail to the wire and back; and zones of any shape, where what the room finds
 * by searching must be what counting all names by hand gives. The first byte chooses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/internal.h"
#include "util/cursor.h"
#include "util/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void expect(bool holds)
{
	if (!holds)
		abort();
}

/* ---- one name ---- */

/* Labels, and the octets of the name; by a walk of its own. */
static unsigned walk(const uint8_t *wire, size_t *len)
{
	unsigned labels = 0;
	size_t at = 0;
	for (; wire[at]; at += 1u + wire[at]) {
		expect(wire[at] < 64);
		labels++;
	}
	*len = at + 1;
	return labels;
}

static void check_wire(const uint8_t *wire, size_t len)
{
	size_t walked;
	struct dns_name n;
	unsigned labels = walk(wire, &walked);
	dns_name_split(&n, wire);
	expect(walked == len && len <= DNS_NAME_MAX && n.labels == labels && n.len == len && n.wire == wire);
	expect(n.start[labels] == len - 1);
	for (unsigned i = 0, at = 0; i < labels; i++) {
		expect(n.start[i] == at);
		for (unsigned k = 1; k <= wire[at]; k++)
			expect(text_lower(wire[at + k]) == wire[at + k]);
		at += 1u + wire[at];
	}
}

static void check_text(const char *text)
{
	uint8_t wire[DNS_NAME_MAX], again[DNS_NAME_MAX];
	knot_dname_txt_storage_t back;
	size_t len = dns_name_from_text(text, wire);
	if (!len)
		return;
	check_wire(wire, len);
	expect(knot_dname_to_str(back, wire, sizeof back));
	expect(dns_name_from_text(back, again) == len && !memcmp(wire, again, len));
}

/* The local part is one label, whatever is in it; the domain is a name. */
static void check_mail(const char *mail)
{
	uint8_t wire[DNS_NAME_MAX], domain[DNS_NAME_MAX];
	size_t len = dns_name_from_mail(mail, wire);
	const char *at = strrchr(mail, '@');
	size_t walked;
	if (!len)
		return;
	walk(wire, &walked);
	expect(walked == len);
	if (!at) {
		expect(dns_name_from_text(mail, domain) == len && !memcmp(wire, domain, len));
		return;
	}
	size_t local = (size_t)(at - mail);
	expect(wire[0] == local && !memcmp(wire + 1, mail, local));
	expect(dns_name_from_text(at + 1, domain) == len - 1 - local &&
		!memcmp(wire + 1 + local, domain, len - 1 - local));
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static void check_order(const uint8_t *data, size_t len)
{
	size_t a = len / 3, b = len / 3 + len % 3;
	const uint8_t *x = data, *y = data + a, *w = data + a + b;
	size_t c = len - a - b;
	int xy = dns_name_order(x, a, y, b), yw = dns_name_order(y, b, w, c), xw = dns_name_order(x, a, w, c);
	expect(sign(xy) == -sign(dns_name_order(y, b, x, a)));
	expect((xy == 0) == (a == b && !memcmp(x, y, a)));
	expect(!(xy <= 0 && yw <= 0) || xw <= 0);
	expect(!(xy >= 0 && yw >= 0) || xw >= 0);
}

/* ---- zones ---- */

enum { NAMES = 24, TEXT = 32, RECORD = TEXT + 16 };

/* "a.*.b.t": labels of one character, so that a suffix is a suffix. */
static const char *const zone_names[] = {"t", "a.t", "b.a.t", "c.b.a.t", "a.a.t", "*.t", "b"};
enum { ZONES = sizeof zone_names / sizeof *zone_names };

static bool within(const char *name, const char *above)
{
	size_t len = strlen(name), tail = strlen(above);
	return len >= tail && !strcmp(name + len - tail, above) &&
	       (len == tail || name[len - tail - 1] == '.');
}

struct world {
	unsigned zones; /* bits of zone_names */
	char names[NAMES][TEXT];
	size_t count;
};

/* The deepest zone that a name lies in (strictly below its apex with `strictly`); -1: none. */
static int home(const struct world *w, const char *name, bool strictly)
{
	int best = -1;
	for (int i = 0; i < ZONES; i++) {
		if (!(w->zones >> i & 1) || !within(name, zone_names[i]) ||
			(strictly && !strcmp(name, zone_names[i])))
			continue;
		if (best < 0 || strlen(zone_names[i]) > strlen(zone_names[best]))
			best = i;
	}
	return best;
}

/* A name of a zone exists when it has records, or something below it that belongs to the zone: a name with
 * records, or a zone within the zone. */
static bool exists(const struct world *w, int zone, const char *name)
{
	if (!within(name, zone_names[zone]))
		return false;
	if (!strcmp(name, zone_names[zone]))
		return true;
	for (size_t i = 0; i < w->count; i++)
		if (home(w, w->names[i], false) == zone && within(w->names[i], name))
			return true;
	for (int i = 0; i < ZONES; i++)
		if (w->zones >> i & 1 && home(w, zone_names[i], true) == zone && within(zone_names[i], name))
			return true;
	return false;
}

/* Two bits a label, up to six of them. */
static void read_owner(struct reader *r, char out[static TEXT])
{
	static const char labels[] = "abc*";
	static const char *const ends[] = {"t", "b", "a.t", "x"};
	unsigned bits = read_u16(r), depth = bits & 7;
	size_t len = 0;
	for (unsigned i = 0; i < depth && i < 6; i++) {
		out[len++] = labels[bits >> (4 + 2 * i) & 3];
		out[len++] = '.';
	}
	strcpy(out + len, ends[(bits >> 3 & 1) + (depth == 7 ? 2 : 0)]);
}

static struct dns_zones *build(const struct world *w)
{
	static struct conf_nameserver server = {.name = (char *)"ns.other.test"};
	struct conf_zone zones[ZONES];
	struct conf_record records[ZONES][NAMES];
	char texts[NAMES][RECORD];
	uint16_t ids[ZONES];
	size_t count = 0;
	for (int i = 0; i < ZONES; i++) {
		size_t n = 0;
		if (!(w->zones >> i & 1))
			continue;
		for (size_t k = 0; k < w->count; k++) {
			if (home(w, w->names[k], false) != i)
				continue;
			snprintf(texts[k], sizeof texts[k], "%s. A 192.0.2.1", w->names[k]);
			records[i][n++] = (struct conf_record){texts[k], 1};
		}
		ids[count] = (uint16_t)i;
		zones[count++] = (struct conf_zone){.name = (char *)zone_names[i],
			.nameservers = &server,
			.nameserver_count = 1,
			.records = records[i],
			.record_count = n};
	}
	struct dns_zones *z = NULL;
	struct diag *d = diag_new();
	expect(d && dns_zones_build(zones, ids, count, NULL, d, &z) == OK);
	diag_free(&d);
	return z;
}

static void check_question(const struct world *w, const struct dns_zones *z, const char *name)
{
	uint8_t wire[DNS_NAME_MAX];
	struct dns_name n;
	char star[TEXT + 2];
	expect(dns_name_from_text(name, wire) > 0);
	dns_name_split(&n, wire);
	int zone = home(w, name, false);
	const struct dns_zone *found = dns_zones_find(z, &n, 0), *above = dns_zones_find(z, &n, 1);
	expect(zone < 0 ? !found : found && found->id == zone);
	const char *parent = strchr(name, '.');
	int upper = parent ? home(w, parent + 1, false) : -1;
	expect(upper < 0 ? !above : above && above->id == upper);
	if (!found)
		return;

	const struct dns_node *node = dns_zone_node(found, &n, 0);
	expect((node != NULL) == exists(w, zone, name));
	expect(!node || (node->len == n.len && !memcmp(node->name, wire, n.len)));
	if (node)
		return;
	for (parent = strchr(name, '.') + 1; !exists(w, zone, parent); parent = strchr(parent, '.') + 1)
		;
	const struct dns_node *encloser = dns_zone_encloser(found, &n);
	expect(dns_name_from_text(parent, wire) == encloser->len &&
		!memcmp(wire, encloser->name, encloser->len));
	snprintf(star, sizeof star, "*.%s", parent);
	expect((encloser->wildcard != NULL) == exists(w, zone, star));
}

static void check_zones(const uint8_t *data, size_t len)
{
	struct reader r = reader_over(data, len);
	struct world w = {.zones = read_u8(&r) | 1u};
	char name[TEXT];
	w.count = read_u8(&r) % (NAMES + 1);
	for (size_t i = 0; i < w.count; i++)
		read_owner(&r, w.names[i]);
	if (r.failed)
		return;
	struct dns_zones *z = build(&w);
	for (unsigned i = 0; i < 200 && r.at != r.end && !r.failed; i++) {
		read_owner(&r, name);
		if (!r.failed)
			check_question(&w, z, name);
	}
	dns_zones_free(&z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	if (data[0] % 3 == 0) {
		check_zones(data + 1, len - 1);
	} else if (data[0] % 3 == 1) {
		check_order(data + 1, len - 1);
	} else {
		char *text = malloc(len);
		if (!text)
			return 0;
		memcpy(text, data + 1, len - 1);
		text[len - 1] = 0;
		check_text(text);
		check_mail(text);
		free(text);
	}
	return 0;
}
