// SPDX-License-Identifier: GPL-3.0-or-later
/* Lines of the log, as they arrive on standard error. */
#include "unit.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/log.h"
#include "util/utf8.h"

enum { TEXT_MAX = 1 << 17 };

static char text[TEXT_MAX];
static int kept, file;

/* What is written from here on goes to a file ... */
static void begin(void)
{
	char name[] = "/tmp/acme-delegate-log-XXXXXX";
	fflush(stderr);
	kept = dup(STDERR_FILENO);
	file = mkstemp(name);
	assert_true(kept >= 0 && file >= 0);
	assert_int_equal(unlink(name), 0);
	assert_true(dup2(file, STDERR_FILENO) >= 0);
	log_process("test");
}

/* ... and is in `text` afterwards. */
static const char *end(void)
{
	ssize_t n = pread(file, text, sizeof text - 1, 0);
	assert_true(dup2(kept, STDERR_FILENO) >= 0);
	close(kept);
	close(file);
	assert_true(n >= 0);
	text[n] = 0;
	return text;
}

static size_t count(const char *what)
{
	size_t n = 0;
	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	return 0;
}

static void every_byte_stays_on_its_line(void **state)
{
	(void)state;
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	begin();
	for (int i = 1; i < 256; i += 16) {
		char bytes[17] = "";
		for (int k = 0; k < 16; k++)
			bytes[k] = (char)(i + k < 256 ? i + k : 'x');
		log_info("unit", "[%s]", bytes);
	}
	end();
	assert_int_equal(count("\n"), 16);
	for (const char *c = text; *c; c++)
		assert_true(*c == '\n' || (*c >= 0x20 && *c < 0x7f));
	assert_int_equal(count("\\x0a"), 1); /* LF */
	assert_int_equal(count("\\x1b"), 1); /* what terminals obey */
	assert_int_equal(count("\\\\"), 1); /* the backslash itself */
}

static void text_that_is_utf8_can_be_read(void **state)
{
	(void)state;
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	begin();
	log_info("unit", "%s", "Gr\xc3\xbc\xc3\x9f \xe2\x80\xae \xc2\x85 \xed\xa0\x80 \xc3");
	assert_non_null(
		strstr(end(), ": Gr\xc3\xbc\xc3\x9f \\xe2\\x80\\xae \\xc2\\x85 \\xed\\xa0\\x80 \\xc3\n"));
}

/* RFC 3629 section 3 and 10. */
static void only_utf8_is_shown(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {{"a", 1}, {"\x7f", 0}, {"\x1f", 0}, {"\xc2\xa0", 2}, {"\xc2\x9f", 0}, {"\xc1\xbf", 0},
		{"\xe0\x9f\xbf", 0}, {"\xe0\xa0\x80", 3}, {"\xed\x9f\xbf", 3}, {"\xed\xa0\x80", 0},
		{"\xee\x80\x80", 3}, {"\xef\xbf\xbe", 0}, {"\xf0\x8f\xbf\xbf", 0}, {"\xf0\x90\x80\x80", 4},
		{"\xf4\x8f\xbf\xbd", 4}, {"\xf4\x90\x80\x80", 0}, {"\xf5\x80\x80\x80", 0}, {"\x80", 0},
		{"\xe2\x82", 0}, {"\xf0\x9f\x98", 0}, {"\xf0\x9f\x98\x80", 4}, {"\xe2\x80\x8b", 0}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(utf8_shown(cases[i].bytes), cases[i].len);
}

/* RFC 8259 section 8.1: JSON text is UTF-8; a parser of others' making says whether it is one. */
static void json_lines_are_json_whatever_is_in_them(void **state)
{
	unsigned seed = 1;
	(void)state;
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	for (int round = 0; round < 40; round++) {
		char bytes[700];
		size_t len = round * 17u % sizeof bytes;
		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)(1 + rand_r(&seed) % 255);
		bytes[len] = 0;
		begin();
		log_warning("unit", "%s", bytes);
		json_t *line = json_loads(end(), 0, NULL);
		assert_non_null(line);
		assert_string_equal(json_string_value(json_object_get(line, "level")), "warning");
		assert_string_equal(json_string_value(json_object_get(line, "process")), "test");
		assert_string_equal(json_string_value(json_object_get(line, "room")), "unit");
		assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))), 24);
		assert_non_null(json_object_get(line, "message"));
		assert_int_equal(count("\n"), 1);
		json_decref(line);
	}
}

static void a_long_message_is_cut(void **state)
{
	char bytes[4000];
	(void)state;
	memset(bytes, 'x', sizeof bytes - 1);
	bytes[sizeof bytes - 1] = 0;
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	begin();
	log_info("unit", "%s", bytes);
	memset(bytes, 1, sizeof bytes - 1);
	log_info("unit", "%s!", bytes);
	end();
	assert_int_equal(count("\n"), 2);
	assert_int_equal(count("xxx...\n"), 1);
	assert_true(strlen(text) < 2500);
}

/* ---- the journal ---- */

static void pretend_journal(int shift)
{
	struct stat st;
	char told[64];
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(told, sizeof told, "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino + (unsigned)shift);
	assert_int_equal(setenv("JOURNAL_STREAM", told, 1), 0);
}

/* sd-daemon(3): "<" a priority of syslog(3) ">" in front of each line. */
static void the_journal_gets_priorities(void **state)
{
	(void)state;
	begin();
	pretend_journal(0);
	log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	log_error("unit", "a");
	log_warning("unit", "b");
	log_info("unit", "c");
	log_debug("unit", "d");
	assert_string_equal(end(), "<3>test/unit: a\n<4>test/unit: b\n<6>test/unit: c\n<7>test/unit: d\n");
}

static void the_journal_gets_json_too(void **state)
{
	(void)state;
	begin();
	pretend_journal(0);
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_info("unit", "a");
	assert_string_equal(
		end(), "<6>{\"level\":\"info\",\"process\":\"test\",\"room\":\"unit\",\"message\":\"a\"}\n");
}

/* systemd.exec(5): only if device and inode are those of standard error is it the journal. */
static void another_file_is_not_the_journal(void **state)
{
	static const char *const others[] = {"", "x", "1", "1:", ":1", "1:2x", NULL};
	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		begin();
		if (others[i])
			assert_int_equal(setenv("JOURNAL_STREAM", others[i], 1), 0);
		else
			pretend_journal(1);
		log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
		log_info("unit", "a");
		assert_true(end()[0] == '2');
	}
}

/* ---- floods ---- */

static void a_flood_is_cut_off_and_counted(void **state)
{
	(void)state;
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	begin();
	for (int i = 0; i < 1000; i++)
		log_info("unit", "flood %d", i);
	log_info("unit", "another place");
	log_catch_up(false); /* the window is open still */
	end();
	assert_int_equal(count("flood"), LOG_BURST);
	assert_int_equal(count("another place"), 1);

	begin();
	for (int i = 0; i < 1000; i++)
		log_info("unit", "flood %d", i);
	log_catch_up(true);
	log_catch_up(true);
	end();
	assert_int_equal(count("flood"), LOG_BURST + 1);
	assert_int_equal(count("flood 999 (979 more like this were not written)\n"), 1);
}

static void one_source_does_not_silence_others(void **state)
{
	(void)state;
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	begin();
	for (int i = 0; i < 1000; i++)
		log_event_about(LOG_LEVEL_INFO, "unit", 1, "refused, %s", "one");
	log_event_about(LOG_LEVEL_INFO, "unit", 2, "refused, %s", "two");
	log_catch_up(true);
	end();
	assert_int_equal(count("refused, one\n"), LOG_SOURCE_BURST);
	assert_int_equal(count("refused, one (994 more"), 1);
	assert_int_equal(count("refused, two\n"), 1);
}

static void many_sources_are_a_flood_too(void **state)
{
	(void)state;
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	begin();
	for (unsigned i = 0; i < 5000; i++)
		log_event_about(LOG_LEVEL_INFO, "unit", i, "refused, %u", i);
	log_catch_up(true);
	end();
	assert_int_equal(count("\n"), LOG_SOURCES_BURST + 1);
	assert_int_equal(count("(4949 more like this were not written)\n"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_byte_stays_on_its_line),
		TEST(text_that_is_utf8_can_be_read),
		TEST(only_utf8_is_shown),
		TEST(json_lines_are_json_whatever_is_in_them),
		TEST(a_long_message_is_cut),
		TEST(the_journal_gets_priorities),
		TEST(the_journal_gets_json_too),
		TEST(another_file_is_not_the_journal),
		TEST(a_flood_is_cut_off_and_counted),
		TEST(one_source_does_not_silence_others),
		TEST(many_sources_are_a_flood_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
