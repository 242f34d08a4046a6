// SPDX-License-Identifier: GPL-3.0-or-later
/* Lines and what stands in them, against doc/data-format.md. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulk/internal.h"

#define ID     "01234567-89ab-4cde-8f01-23456789abcd"
#define ID2    "11234567-89ab-4cde-8f01-23456789abcd"
#define HEX    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY    "{\"id\":\"" ID "\",\"created\":5,\"sha256\":\"" HEX "\"}"
#define KEY2   "{\"id\":\"" ID2 "\",\"created\":6,\"sha256\":\"" HEX "\"}"
#define TEXT1  "1vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
#define TEXT2  "2vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
#define START  "{\"zone\":\"auth.example.org\",\"label\":\"web1\",\"created\":1700000000000"
#define SIMPLE START ",\"keys\":[" KEY "]}"

static const struct bulk_zone zones[] = {{"other.test", 3}, {"auth.example.org", 7}};
static const struct record_rules rules = {zones, 2, 1000, 0};

static int parse(const char *line, struct record *out, char why[BULK_WHY])
{
	return record_parse(line, strlen(line), &rules, out, why);
}

static struct delegate good(const char *line)
{
	static struct record r;
	char why[BULK_WHY];
	int rc = parse(line, &r, why);
	if (rc)
		fail_msg("%s: %s", line, why);
	assert_int_equal(r.kind, RECORD_DELEGATE);
	return r.delegate;
}

static void a_delegate_with_everything(void **state)
{
	(void)state;
	struct delegate d = good(START ",\"allow\":[\"192.0.2.7/24\",\"2001:db8::/32\"],\"keys\":[" KEY
				       "," KEY2 "],\"values\":[{\"value\":\"" TEXT2 "\",\"expiry\":2000},"
				       "{\"value\":\"" TEXT1 "\",\"expiry\":1001}]}");
	assert_int_equal(d.id.zone, 7);
	assert_string_equal(d.id.label, "web1");
	assert_true(d.created == 1700000000000);
	assert_int_equal(d.allow.count, 2);
	assert_int_equal(d.allow.prefixes[0].bits, 96 + 24);
	assert_int_equal(d.allow.prefixes[1].bits, 32);
	assert_int_equal(d.key_count, 2);
	assert_int_equal(d.keys[0].id[1], 0x23);
	assert_true(d.keys[1].created == 6);
	assert_int_equal(d.keys[1].digest[31], 0xff);
	assert_int_equal(d.values.count, 2); /* in the order of the line, which is that of publication */
	assert_memory_equal(d.values.values[0].text, TEXT2, DELEGATE_VALUE_LEN);
	assert_true(d.values.values[1].expiry == 1001);
}

static void what_is_optional(void **state)
{
	(void)state;
	struct delegate d = good(SIMPLE);
	assert_int_equal(d.allow.count, 0);
	assert_int_equal(d.values.count, 0);
	assert_int_equal(good(START ",\"keys\":[]}").key_count, 0);
	assert_int_equal(good(START ",\"allow\":[],\"values\":[],\"keys\":[]}").values.count, 0);
	/* White space and the order of members mean nothing; a line may end as on Windows. */
	assert_int_equal(
		good(" {\"keys\" : [ ], \"created\":0 ,\"label\":\"a\", \"zone\":\"other.test\" } \r")
			.id.zone,
		3);
}

static void expired_values_are_left_out(void **state)
{
	(void)state;
	struct delegate d = good(START ",\"keys\":[],\"values\":[{\"value\":\"" TEXT1 "\",\"expiry\":1000},"
				       "{\"value\":\"" TEXT2 "\",\"expiry\":1001}]}");
	assert_int_equal(d.values.count, 1);
	assert_memory_equal(d.values.values[0].text, TEXT2, DELEGATE_VALUE_LEN);
}

static void what_comes_out_goes_in(void **state)
{
	(void)state;
	static const char *const lines[] = {SIMPLE "\n", START ",\"keys\":[]}\n",
		START
		",\"allow\":[\"192.0.2.0/24\",\"2001:db8::/32\",\"0.0.0.0/0\",\"::/0\",\"::ffff:1.2.3.4/95\"],"
		"\"keys\":[" KEY "," KEY2 "],\"values\":[{\"value\":\"" TEXT2 "\",\"expiry\":2000},"
		"{\"value\":\"" TEXT1 "\",\"expiry\":1001}]}\n"};
	static char out[BULK_LINE_MAX];
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct delegate d = good(lines[i]);
		size_t len;
		assert_int_equal(record_format(&d, "auth.example.org", 1000, out, &len), OK);
		assert_int_equal(len, strlen(lines[i]));
		assert_memory_equal(out, lines[i], len);
	}
	/* What has expired meanwhile does not come out. */
	struct delegate d = good(lines[2]);
	size_t len;
	assert_int_equal(record_format(&d, "auth.example.org", 1001, out, &len), OK);
	out[len] = 0;
	assert_null(strstr(out, TEXT1));
	assert_non_null(strstr(out, TEXT2));
}

static void the_largest_delegate_fits_into_a_line(void **state)
{
	(void)state;
	static char out[BULK_LINE_MAX], why[BULK_WHY];
	static struct record back;
	static struct delegate d;
	size_t len;
	memset(&d, 0xff, sizeof d);
	memset(d.id.label, 'x', DELEGATE_LABEL_MAX);
	d.id.label[DELEGATE_LABEL_MAX] = 0;
	d.created = 253402300799999;
	d.allow.count = DELEGATE_MAX_PREFIXES;
	for (size_t i = 0; i < DELEGATE_MAX_PREFIXES; i++)
		d.allow.prefixes[i].bits = 128;
	d.key_count = DELEGATE_MAX_KEYS;
	for (size_t i = 0; i < DELEGATE_MAX_KEYS; i++) {
		d.keys[i].created = 253402300799999;
		d.keys[i].id[0] = (uint8_t)i;
		d.keys[i].hash = DELEGATE_BCRYPT;
		d.keys[i].retiring = i == 0;
		snprintf(d.keys[i].bcrypt, sizeof d.keys[i].bcrypt, "$2a$10$%053d", 0);
	}
	d.history.count = 0;
	d.aliases.count = DELEGATE_MAX_ALIASES;
	for (size_t i = 0; i < DELEGATE_MAX_ALIASES; i++)
		snprintf(d.aliases.names[i], sizeof d.aliases.names[i], "%063zu.%061d.%061d.%061d.x", i, 0, 0,
			0);
	d.values.count = DELEGATE_MAX_VALUES;
	for (size_t i = 0; i < DELEGATE_MAX_VALUES; i++) {
		d.values.values[i].expiry = 253402300799999;
		memset(d.values.values[i].text, (int)('A' + i % 26), DELEGATE_VALUE_LEN);
		d.values.values[i].text[0] = (char)('a' + i / 26);
	}
	assert_int_equal(record_format(&d, "auth.example.org", 0, out, &len), OK);
	assert_in_range(len, 6000, 10000);
	if (record_parse(out, len, &rules, &back, why))
		fail_msg("%s", why);
	assert_int_equal(back.delegate.aliases.count, DELEGATE_MAX_ALIASES);
	assert_int_equal(back.delegate.values.count, DELEGATE_MAX_VALUES);
}

static void header_and_end(void **state)
{
	(void)state;
	static struct record r;
	char why[BULK_WHY];
	assert_int_equal(parse("{\"format\":\"acme-delegate\",\"version\":1}", &r, why), OK);
	assert_int_equal(r.kind, RECORD_HEADER);
	assert_int_equal(r.number, 1);
	/* Of a newer version only the number can be understood. */
	assert_int_equal(parse("{\"format\":\"acme-delegate\",\"version\":9,\"new\":[]}", &r, why), OK);
	assert_int_equal(r.number, 9);
	assert_int_equal(parse("{\"delegates\":18}", &r, why), OK);
	assert_int_equal(r.kind, RECORD_END);
	assert_int_equal(r.number, 18);
	assert_int_equal(
		parse("{\"format\":\"acme-delegate\",\"version\":1,\"new\":[]}", &r, why), ERR_INVALID);
	assert_int_equal(parse("{\"format\":\"acme-dns\",\"version\":1}", &r, why), ERR_INVALID);
	assert_int_equal(parse("{\"format\":\"acme-delegate\"}", &r, why), ERR_INVALID);
	assert_int_equal(parse("{\"delegates\":-1}", &r, why), ERR_INVALID);
}

static void bad_lines_say_what_is_wrong(void **state)
{
	(void)state;
#define KEYS     ",\"keys\":[" KEY "]"
#define LONG_63  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define VALUE(t) "{\"value\":\"" t "\",\"expiry\":2000}"
	static const struct {
		const char *line, *why;
	} cases[] = {
		{"", "empty line"},
		{"nonsense", "not JSON"},
		{SIMPLE SIMPLE, "not JSON"},
		{"{\"zone\":\"auth.example.org\"", "not JSON"},
		{"[]", "not an object"},
		{"[" SIMPLE "]", "not an object"},
		{"{}", "\"zone\" is missing"},
		{START "}", "\"keys\" is missing"},
		{START KEYS ",\"bcrypt\":\"$2a$10$x\"}", "unknown member \"bcrypt\""},
		{START KEYS KEYS "}", "duplicate"},
		{START KEYS ",\"a\\u001b[31m\":1}", "unknown member \"a?[31m\""},
		{START KEYS ",\"a\\u0000\":1}", "not JSON"},
		{"{\"zone\":\"auth.example.net\",\"label\":\"a\",\"created\":1" KEYS "}",
			"no zone \"auth.example.net\""},
		{"{\"zone\":\"AUTH.example.org\",\"label\":\"a\",\"created\":1" KEYS "}", "no zone"},
		{"{\"zone\":5,\"label\":\"a\",\"created\":1" KEYS "}", "zone: not a text"},
		{"{\"zone\":\"other.test\",\"label\":\"\",\"created\":1" KEYS "}", "label:"},
		{"{\"zone\":\"other.test\",\"label\":\"_acme-challenge\",\"created\":1" KEYS "}",
			"underscore"},
		{"{\"zone\":\"other.test\",\"label\":\"_\",\"deleted\":true}", "underscore"},
		{"{\"zone\":\"other.test\",\"label\":\"A\",\"created\":1" KEYS "}", "label: \"A\""},
		{"{\"zone\":\"other.test\",\"label\":\"a.b\",\"created\":1" KEYS "}", "label:"},
		{"{\"zone\":\"other.test\",\"label\":\"-a\",\"created\":1" KEYS "}", "label:"},
		{"{\"zone\":\"other.test\",\"label\":\"a-\",\"created\":1" KEYS "}", "label:"},
		{"{\"zone\":\"other.test\",\"label\":\"*\",\"created\":1" KEYS "}", "label:"},
		{"{\"zone\":\"other.test\",\"label\":\"\xc3\xbc\",\"created\":1" KEYS "}", "label: \"??\""},
		{"{\"zone\":\"other.test\",\"label\":\"" LONG_63 "f\",\"created\":1" KEYS "}", "label:"},
		{"{\"zone\":\"other.test\",\"label\":\"a\",\"created\":\"1\"" KEYS "}",
			"created: not an integer"},
		{"{\"zone\":\"other.test\",\"label\":\"a\",\"created\":1.5" KEYS "}",
			"created: not an integer"},
		{"{\"zone\":\"other.test\",\"label\":\"a\",\"created\":-1" KEYS "}",
			"created: not an integer"},
		{"{\"zone\":\"other.test\",\"label\":\"a\",\"created\":253402300800000" KEYS "}",
			"year 9999"},
		{"{\"zone\":\"other.test\",\"label\":\"a\",\"created\":99999999999999999999" KEYS "}",
			"not JSON"},
		{START ",\"keys\":{}}", "keys: not an array"},
		{START ",\"keys\":[" KEY "," KEY2 "," KEY "]}", "keys: more than 2"},
		{START ",\"keys\":[" KEY "," KEY "]}", "the same ID twice"},
		{START ",\"keys\":[1]}", "not an object"},
		{START ",\"keys\":[{\"id\":\"" ID "\",\"created\":1}]}", "\"sha256\" is missing"},
		{START ",\"keys\":[{\"id\":\"x\",\"created\":1,\"sha256\":\"" HEX "\"}]}",
			"\"x\" is not a UUID"},
		{START ",\"keys\":[{\"id\":\"" ID "\",\"created\":1,\"sha256\":\"" HEX "0\"}]}", "64 hex"},
		{START ",\"keys\":[{\"id\":\"" ID "\",\"created\":1,\"sha256\":\"g" HEX "\"}]}", "64 hex"},
		{START ",\"keys\":[{\"id\":\"" ID "\",\"created\":1,\"sha256\":\"" HEX
		       "\",\"secret\":\"s\"}]}",
			"unknown member \"secret\""},
		{START KEYS ",\"allow\":\"192.0.2.0/24\"}", "allow: not an array"},
		{START KEYS ",\"allow\":[\"192.0.2.1\"]}", "allow: \"192.0.2.1\" is not a network"},
		{START KEYS ",\"allow\":[\"192.0.2.0/33\"]}", "allow:"},
		{START KEYS ",\"values\":[" VALUE(TEXT1) "," VALUE(TEXT1) "]}", "the same value twice"},
		{START KEYS ",\"values\":[" VALUE(TEXT1 "v") "]}", "values:"},
		{START KEYS ",\"values\":[" VALUE("short") "]}", "values: \"short\""},
		{START KEYS ",\"values\":[\"" TEXT1 "\"]}", "not an object"},
		{START KEYS ",\"values\":null}", "values: not an array"},
	};
	static struct record r;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char why[BULK_WHY] = "";
		int rc = parse(cases[i].line, &r, why);
		if (rc != ERR_INVALID || !strstr(why, cases[i].why))
			fail_msg("%s\ngave %d, \"%s\", not \"%s\"", cases[i].line, rc, why, cases[i].why);
		for (const char *c = why; *c; c++)
			assert_in_range(*c, ' ', '~');
	}
}

/* ---- lines ---- */

/* What comes out of a pipe into which `text` was written, each line in brackets, "!" for one that is too
 * long. */
static const char *read_all(const char *text, size_t len)
{
	static char out[4096];
	size_t n = 0, line_len;
	const char *line;
	struct lines *l;
	FILE *f = tmpfile();
	assert_int_equal(fwrite(text, 1, len, f), len);
	rewind(f);
	assert_int_equal(lines_new(fileno(f), -1, &l), OK);
	int rc;
	while ((rc = lines_next(l, &line, &line_len)) != ERR_NOTFOUND) {
		assert_true(rc == OK || rc == ERR_RANGE);
		n += (size_t)snprintf(out + n, sizeof out - n, rc ? "!" : "[%.*s%s]",
			(int)(line_len < 8 ? line_len : 8), line, line_len < 8 ? "" : "...");
	}
	lines_free(&l);
	fclose(f);
	out[n] = 0;
	return out;
}

static void lines_are_as_written(void **state)
{
	(void)state;
	assert_string_equal(read_all("", 0), "");
	assert_string_equal(read_all("\n", 1), "[]");
	assert_string_equal(read_all("a", 1), "[a]");
	assert_string_equal(read_all("a\n", 2), "[a]");
	assert_string_equal(read_all("a\n\nb\r\n", 6), "[a][][b\r]");
	assert_string_equal(read_all("a\nb", 3), "[a][b]");
}

static void lines_have_a_longest(void **state)
{
	(void)state;
	enum { MANY = 10 * BULK_LINE_MAX };
	char *text = malloc(MANY);
	memset(text, 'x', MANY);
	assert_string_equal(read_all(text, BULK_LINE_MAX), "[xxxxxxxx...]");
	assert_string_equal(read_all(text, BULK_LINE_MAX + 1), "!");
	assert_string_equal(read_all(text, MANY), "!");
	text[BULK_LINE_MAX] = '\n';
	text[2 * BULK_LINE_MAX + 2] = '\n';
	text[MANY - 2] = '\n';
	text[MANY - 1] = 'a';
	assert_string_equal(read_all(text, MANY), "[xxxxxxxx...]!![a]");
	free(text);
}

static void the_word_to_stop_is_heard_while_waiting(void **state)
{
	(void)state;
	int in[2], stop[2];
	struct lines *l;
	const char *line;
	size_t len;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(stop), 0);
	assert_int_equal(lines_new(in[0], stop[0], &l), OK);
	assert_int_equal(write(in[1], "one\ntw", 6), 6);
	assert_int_equal(lines_next(l, &line, &len), OK);
	assert_int_equal(len, 3);
	assert_false(bulk_told_to_stop(stop[0]));
	assert_int_equal(write(stop[1], "x", 1), 1);
	assert_true(bulk_told_to_stop(stop[0]));
	assert_int_equal(lines_next(l, &line, &len), ERR_CLOSED);
	lines_free(&l);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(stop[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_delegate_with_everything),
		cmocka_unit_test(what_is_optional),
		cmocka_unit_test(expired_values_are_left_out),
		cmocka_unit_test(what_comes_out_goes_in),
		cmocka_unit_test(the_largest_delegate_fits_into_a_line),
		cmocka_unit_test(header_and_end),
		cmocka_unit_test(bad_lines_say_what_is_wrong),
		cmocka_unit_test(lines_are_as_written),
		cmocka_unit_test(lines_have_a_longest),
		cmocka_unit_test(the_word_to_stop_is_heard_while_waiting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
