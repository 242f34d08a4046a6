// SPDX-License-Identifier: GPL-3.0-or-later
/* The kinds of values: text to field and back. */
#include "conf/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

static const struct {
	char letter;
	uint64_t seconds;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

enum { UNIT_COUNT = sizeof units / sizeof units[0] };

/* Digits and nothing else, up to `end`. */
static int parse_digits(const char *text, const char *end, uint64_t *out)
{
	*out = 0;
	if (text == end)
		return ERR_INVALID;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9' || *out > UINT32_MAX)
			return ERR_INVALID;
		*out = *out * 10 + (uint64_t)(*text - '0');
	}
	return OK;
}

/* "90", "90s", "10m", "1h", "30d": seconds. */
static int parse_seconds(const char *text, uint64_t *out)
{
	const char *end = text + strlen(text);
	uint64_t factor = 1;
	for (size_t i = 0; end > text && i < UNIT_COUNT; i++) {
		if (end[-1] != units[i].letter)
			continue;
		factor = units[i].seconds;
		end--;
		break;
	}
	if (parse_digits(text, end, out))
		return ERR_INVALID;
	*out *= factor; /* no overflow: parse_digits() stops below 2^36 */
	return OK;
}

static int parse_number(const struct row *r, const char *text, void *field)
{
	uint64_t v;
	int err = r->kind == KIND_NUMBER ? parse_digits(text, text + strlen(text), &v)
					 : parse_seconds(text, &v);
	if (err || v < r->min || v > r->max)
		return ERR_INVALID;
	if (r->kind == KIND_DURATION)
		*(int64_t *)field = (int64_t)v * 1000;
	else
		*(uint32_t *)field = (uint32_t)v;
	return OK;
}

static int parse_choice(const struct row *r, const char *text, void *field)
{
	for (const struct choice *c = r->choices; c->name; c++) {
		if (strcmp(c->name, text) != 0)
			continue;
		*(unsigned *)field = c->value;
		return OK;
	}
	return ERR_INVALID;
}

static int parse_text(const char *text, char **out)
{
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return ERR_INVALID;
	}
	if (!*text)
		return ERR_INVALID;
	*out = strdup(text);
	return *out ? OK : ERR_NOMEM;
}

/* Bits behind the prefix are cleared, so that equal prefixes look equal. */
static void mask(struct prefix *p)
{
	for (unsigned i = 0; i < sizeof p->base.bytes; i++) {
		unsigned kept = p->bits <= 8 * i ? 0 : p->bits - 8 * i;
		if (kept < 8)
			p->base.bytes[i] &= (uint8_t)(0xff00 >> kept);
	}
}

/* A bare address is the prefix of that one host. */
static int parse_prefix(const char *text, struct prefix *out)
{
	*out = (struct prefix){.bits = 128};
	if (address_parse(text, &out->base) && prefix_parse(text, strlen(text), out))
		return ERR_INVALID;
	mask(out);
	return OK;
}

int kind_parse(const struct row *r, const char *text, unsigned line, void *field)
{
	switch (r->kind) {
	case KIND_TEXT:
		return parse_text(text, field);
	case KIND_RECORD:
		((struct conf_record *)field)->line = line;
		return parse_text(text, &((struct conf_record *)field)->text);
	case KIND_NUMBER:
	case KIND_SECONDS:
	case KIND_DURATION:
		return parse_number(r, text, field);
	case KIND_CHOICE:
		return parse_choice(r, text, field);
	case KIND_ADDRESS:
		return address_parse(text, field);
	case KIND_ENDPOINT:
		return endpoint_parse(text, field);
	case KIND_PREFIX:
		return parse_prefix(text, field);
	case KIND_TABLE:
		break;
	}
	return ERR_INVALID;
}

size_t kind_size(const struct row *r)
{
	switch (r->kind) {
	case KIND_TEXT:
		return sizeof(char *);
	case KIND_RECORD:
		return sizeof(struct conf_record);
	case KIND_NUMBER:
	case KIND_SECONDS:
		return sizeof(uint32_t);
	case KIND_DURATION:
		return sizeof(int64_t);
	case KIND_CHOICE:
		return sizeof(unsigned);
	case KIND_ADDRESS:
		return sizeof(struct address);
	case KIND_ENDPOINT:
		return sizeof(struct endpoint);
	case KIND_PREFIX:
		return sizeof(struct prefix);
	case KIND_TABLE:
		break;
	}
	return r->table->size;
}

/* For texts that always fit: the longest of them is a described range, about 80 characters. */
#define print_into(buf, ...) ((void)!text_format(buf, VALUE_TEXT, __VA_ARGS__))

/* The largest unit that leaves no rest; plain seconds have none. */
static void format_duration(uint64_t seconds, char buf[static VALUE_TEXT])
{
	size_t i = 0;
	while (i < UNIT_COUNT - 1 && (seconds == 0 || seconds % units[i].seconds))
		i++;
	print_into(buf, "%" PRIu64 "%c", seconds / units[i].seconds, units[i].letter);
}

static const char *choice_name(const struct choice *c, unsigned value)
{
	while (c->name && c->value != value)
		c++;
	return c->name;
}

static void format_prefix(const struct prefix *p, char buf[static VALUE_TEXT])
{
	char base[ADDRESS_TEXT];
	address_format(&p->base, base);
	print_into(buf, "%s/%u", base, address_is_ipv4(&p->base) ? p->bits - 96u : p->bits);
}

const char *kind_format(const struct row *r, const void *field, char buf[static VALUE_TEXT])
{
	switch (r->kind) {
	case KIND_TEXT:
		return *(char *const *)field;
	case KIND_RECORD:
		return ((const struct conf_record *)field)->text;
	case KIND_CHOICE:
		return choice_name(r->choices, *(const unsigned *)field);
	case KIND_NUMBER:
	case KIND_SECONDS:
		print_into(buf, "%" PRIu32, *(const uint32_t *)field);
		break;
	case KIND_DURATION:
		format_duration((uint64_t)(*(const int64_t *)field / 1000), buf);
		break;
	case KIND_ADDRESS:
		address_format(field, buf);
		break;
	case KIND_ENDPOINT:
		endpoint_format(field, buf);
		break;
	case KIND_PREFIX:
		format_prefix(field, buf);
		break;
	case KIND_TABLE:
		return NULL;
	}
	return buf;
}

static void describe_choice(const struct row *r, char out[static VALUE_TEXT])
{
	print_into(out, "one of");
	for (const struct choice *c = r->choices; c->name; c++) {
		size_t len = strlen(out);
		(void)!text_format(out + len, VALUE_TEXT - len, "%s %s", c == r->choices ? "" : ",", c->name);
	}
}

static void describe_duration(const struct row *r, char out[static VALUE_TEXT])
{
	char min[VALUE_TEXT], max[VALUE_TEXT];
	format_duration(r->min, min);
	format_duration(r->max, max);
	print_into(out, "a duration from %.20s to %.20s, like 90s, 10m, 1h or 1d", min, max);
}

void kind_describe(const struct row *r, char out[static VALUE_TEXT])
{
	out[0] = 0;
	if (r->kind == KIND_NUMBER)
		print_into(out, "a number from %" PRIu64 " to %" PRIu64, r->min, r->max);
	else if (r->kind == KIND_SECONDS)
		print_into(out, "a number of seconds from %" PRIu64 " to %" PRIu64, r->min, r->max);
	else if (r->kind == KIND_DURATION)
		describe_duration(r, out);
	else if (r->kind == KIND_CHOICE)
		describe_choice(r, out);
	else if (r->kind == KIND_ADDRESS)
		print_into(out, "an IPv4 or IPv6 address");
	else if (r->kind == KIND_ENDPOINT)
		print_into(out, "an address with a port, like 192.0.2.1:53 or [2001:db8::1]:53");
	else if (r->kind == KIND_PREFIX)
		print_into(out, "an address or a prefix, like 192.0.2.1 or 2001:db8::/32");
}

void kind_free(const struct row *r, void *field)
{
	if (r->kind == KIND_TEXT)
		free(*(char **)field);
	else if (r->kind == KIND_RECORD)
		free(((struct conf_record *)field)->text);
}
