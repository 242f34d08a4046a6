// SPDX-License-Identifier: GPL-3.0-or-later
#include "tls/certificate.h"

#include <string.h>

#include "tempdir.h"
#include "tls/tls.h"

static struct {
	struct tempdir dir;
	char certificate[128], key[128], other_certificate[128], other_key[128], old_certificate[128],
		old_key[128];
	char junk[128], missing[128];
} files;

static void name_file(char out[static 128], const char *name)
{
	assert_true(snprintf(out, 128, "%s/%s", files.dir.path, name) < 128);
}

static int make_files(void **state)
{
	time_t now = time(NULL);
	(void)state;
	files.dir = tempdir_make();
	name_file(files.certificate, "cert.pem");
	name_file(files.key, "key.pem");
	name_file(files.other_certificate, "other.pem");
	name_file(files.other_key, "otherkey.pem");
	name_file(files.old_certificate, "old.pem");
	name_file(files.old_key, "oldkey.pem");
	name_file(files.junk, "junk.pem");
	name_file(files.missing, "missing.pem");
	make_certificate(files.certificate, files.key, now - 3600, now + 3600);
	make_certificate(files.other_certificate, files.other_key, now - 3600, now + 3600);
	make_certificate(files.old_certificate, files.old_key, now - 7200, now - 3600);
	write_file(files.junk, "no certificate\n", 15);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	tempdir_remove(files.dir.path);
	return 0;
}

static void expect_verdict(const char *certificate, const char *key, int result, const char *says)
{
	char *text = NULL;
	size_t len;
	struct diag *d = diag_new();
	FILE *f = open_memstream(&text, &len);
	assert_non_null(d);
	assert_non_null(f);
	assert_int_equal(tls_check_certificate(certificate, key, d), result);
	assert_int_equal(diag_errors(d) > 0, result != OK);
	diag_print(d, f);
	fclose(f);
	if (!strstr(text, says) || (!*says && *text))
		fail_msg("\"%s\" does not say \"%s\"", text, says);
	free(text);
	diag_free(&d);
}

static void a_certificate_is_checked(void **state)
{
	(void)state;
	expect_verdict(files.certificate, files.key, OK, "");
	expect_verdict(files.old_certificate, files.old_key, OK, "warning: the certificate has expired");
	expect_verdict(files.missing, files.key, ERR_INVALID,
		"missing.pem: cannot be read: No such file or directory");
	expect_verdict(
		files.certificate, files.missing, ERR_INVALID, "missing.pem: cannot be read: No such file");
	expect_verdict(files.junk, files.key, ERR_INVALID, "junk.pem: holds no usable PEM certificate");
	expect_verdict(files.certificate, files.junk, ERR_INVALID,
		"junk.pem: holds no usable unencrypted PEM private key");
	expect_verdict(files.certificate, files.certificate, ERR_INVALID, "private key");
	expect_verdict(files.certificate, files.other_key, ERR_INVALID,
		"the private key does not belong to the certificate");
	expect_verdict(files.dir.path, files.key, ERR_INVALID, "not a regular file");
}

static void both_files_are_complained_about_at_once(void **state)
{
	(void)state;
	expect_verdict(files.junk, files.missing, ERR_INVALID, "junk.pem");
	expect_verdict(files.junk, files.missing, ERR_INVALID, "missing.pem");
}

static void unusable_files_make_no_context(void **state)
{
	(void)state;
	struct tls_context *t = NULL;
	assert_int_equal(tls_context_new(files.junk, files.key, "dot", &t), ERR_INVALID);
	assert_int_equal(tls_context_new(files.certificate, files.missing, "dot", &t), ERR_INVALID);
	assert_int_equal(tls_context_new(files.certificate, files.other_key, "dot", &t), ERR_INVALID);
	assert_null(t);
}

static void dates_are_told(void **state)
{
	int64_t before, after, now = (int64_t)time(NULL) * 1000;
	(void)state;
	assert_int_equal(tls_certificate_dates(files.certificate, &before, &after), OK);
	assert_int_equal(after - before, 7200 * 1000);
	assert_true(before < now && now < after);
	assert_int_equal(tls_certificate_dates(files.old_certificate, &before, &after), OK);
	assert_true(after < now);
	assert_int_equal(tls_certificate_dates(files.junk, &before, &after), ERR_INVALID);
	assert_int_equal(after, 0);
	assert_int_equal(tls_certificate_dates(files.missing, &before, &after), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_is_checked),
		cmocka_unit_test(dates_are_told),
		cmocka_unit_test(both_files_are_complained_about_at_once),
		cmocka_unit_test(unusable_files_make_no_context),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
