// SPDX-License-Identifier: GPL-3.0-or-later
/* The file with the secrets of DNS cookies, and who has which secret after a reload. */
#include "unit.h"

#include <stdio.h>
#include <sys/stat.h>

#include "app/internal.h"
#include "tempdir.h"

#define FIRST  "e5e973e5a6b2a43f48e7dc849e37bfcf"
#define SECOND "445536BCD2513298075A5D379663C962"

static struct tempdir dir;
static char path[200];

static int setup(void **state)
{
	(void)state;
	dir = tempdir_make();
	snprintf(path, sizeof path, "%s/secrets", dir.path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tempdir_remove(dir.path);
	return 0;
}

static void put(const char *text, size_t len, mode_t mode)
{
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static struct dns_cookie_secrets load(const char *text)
{
	struct dns_cookie_secrets s;
	struct diag *d = diag_new();
	put(text, strlen(text), 0640);
	assert_int_equal(cookies_load(path, d, &s), OK);
	assert_int_equal(diag_errors(d), 0);
	diag_free(&d);
	return s;
}

/* Refused with this text, behind the file's name. */
static void refuse(const char *file, int error, const char *text)
{
	char printed[1024] = "", expected[512];
	struct dns_cookie_secrets s;
	struct diag *d = diag_new();
	assert_int_equal(cookies_load(file, d, &s), error);
	assert_int_equal(s.count, 0);
	FILE *f = fmemopen(printed, sizeof printed, "w");
	assert_non_null(f);
	diag_print(d, f);
	fclose(f);
	diag_free(&d);
	snprintf(expected, sizeof expected, "%s:%s", file, text);
	if (strncmp(printed, expected, strlen(expected)) != 0)
		fail_msg("expected \"%s\", got \"%s\"", expected, printed);
}

static void one_or_two_secrets(void **state)
{
	(void)state;
	static const char *const one[] = {FIRST, FIRST "\n", FIRST "\r\n"};
	static const char *const two[] = {
		FIRST "\n" SECOND, FIRST "\n" SECOND "\n", FIRST "\r\n" SECOND "\r\n"};
	for (size_t i = 0; i < 3; i++) {
		struct dns_cookie_secrets s = load(one[i]);
		assert_int_equal(s.count, 1);
		assert_memory_equal(
			s.secrets[0], "\xe5\xe9\x73\xe5\xa6\xb2\xa4\x3f\x48\xe7\xdc\x84\x9e\x37\xbf\xcf", 16);
		s = load(two[i]);
		assert_int_equal(s.count, 2);
		assert_memory_equal(
			s.secrets[1], "\x44\x55\x36\xbc\xd2\x51\x32\x98\x07\x5a\x5d\x37\x96\x63\xc9\x62", 16);
	}
}

static void bad_lines_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", " there is no secret in it"},
		{"\n", "1: a secret is 32 hexadecimal digits"},
		{"e5e973e5a6b2a43f48e7dc849e37bfc\n", "1: a secret is 32 hexadecimal digits"},
		{FIRST "0\n", "1: a secret is 32 hexadecimal digits"},
		{" " FIRST "\n", "1: a secret is 32 hexadecimal digits"},
		{FIRST " \n", "1: a secret is 32 hexadecimal digits"},
		{FIRST "\n\n", "2: a secret is 32 hexadecimal digits"},
		{FIRST "\nx5e973e5a6b2a43f48e7dc849e37bfcf\n", "2: a secret is 32 hexadecimal digits"},
		{FIRST "\n" SECOND "\n" FIRST, "3: there are more than 2 secrets"},
		{FIRST "\r\n" SECOND "\r\n" FIRST, "3: there are more than 2 secrets"},
		{FIRST "\n" SECOND "\n\n", "3: there are more than 2 secrets"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put(cases[i].text, strlen(cases[i].text), 0600);
		refuse(path, ERR_INVALID, cases[i].why);
	}
	put("e5e973e5a6b2a43f\0e7dc849e37bfcf0\n", 33, 0600);
	refuse(path, ERR_INVALID, "1: a secret is 32 hexadecimal digits");
}

static void bad_files_are_named(void **state)
{
	(void)state;
	refuse(path, ERR_SYSTEM, " dns.cookie_secret_file cannot be read: No such file");
	refuse(dir.path, ERR_INVALID, " dns.cookie_secret_file is not a file");
	static const mode_t modes[] = {0644, 0604, 0602, 0666};
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		put(FIRST, strlen(FIRST), modes[i]);
		refuse(path, ERR_INVALID, " dns.cookie_secret_file is open to everybody");
	}
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* does not wait for a writer */
	refuse(path, ERR_INVALID, " dns.cookie_secret_file is not a file");
}

static void random_ones_live_on(void **state)
{
	(void)state;
	struct conf conf = {.file = NULL};
	struct settings first = {.conf = &conf}, next = {.conf = &conf}, other = {.conf = &conf};
	struct diag *d = diag_new();
	assert_int_equal(settings_load_cookies(&first, NULL, d), OK);
	assert_int_equal(first.cookies.count, 1);
	assert_int_equal(settings_load_cookies(&next, &first, d), OK);
	assert_memory_equal(&next.cookies, &first.cookies, sizeof first.cookies);
	assert_int_equal(settings_load_cookies(&other, NULL, d), OK);
	assert_memory_not_equal(&other.cookies, &first.cookies, sizeof first.cookies);

	put(FIRST "\n" SECOND, strlen(FIRST "\n" SECOND), 0600);
	conf.dns.cookie_secret_file = path;
	assert_int_equal(settings_load_cookies(&next, &first, d), OK);
	assert_int_equal(next.cookies.count, 2);
	assert_int_equal(remove(path), 0);
	assert_int_equal(settings_load_cookies(&next, &first, d), ERR_SYSTEM);
	diag_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_or_two_secrets, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_lines_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_files_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(random_ones_live_on, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
