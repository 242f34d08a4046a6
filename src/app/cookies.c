// SPDX-License-Identifier: GPL-3.0-or-later
/* Where the secrets of DNS cookies come from. */
#include <string.h>

#include "app/internal.h"
#include "util/secure.h"
#include "util/text.h"

enum {
	DIGITS = 2 * DNS_COOKIE_SECRET_SIZE,
	FILE_MAX = DNS_COOKIE_SECRETS * (DIGITS + 2) + 1 /* line ends of either kind, and one byte too many */
};

static int take_lines(
	const char *text, size_t len, const char *path, struct diag *d, struct dns_cookie_secrets *out)
{
	const char *at = text, *end = text + len;
	for (unsigned line = 1; at < end; line++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t size = (size_t)((stop ? stop : end) - at);
		if (size && at[size - 1] == '\r')
			size--;
		if (out->count == DNS_COOKIE_SECRETS) {
			diag_error(d, path, line, "there are more than %d secrets", DNS_COOKIE_SECRETS);
			return ERR_INVALID;
		}
		if (text_from_hex(at, size, out->secrets[out->count], DNS_COOKIE_SECRET_SIZE)) {
			diag_error(d, path, line, "a secret is %d hexadecimal digits on a line of its own",
				DIGITS);
			return ERR_INVALID;
		}
		out->count++;
		at = stop ? stop + 1 : end;
	}
	if (out->count)
		return OK;
	diag_error(d, path, 0, "there is no secret in it; make one with: openssl rand -hex %d",
		DNS_COOKIE_SECRET_SIZE);
	return ERR_INVALID;
}

int cookies_load(const char *path, struct diag *d, struct dns_cookie_secrets *out)
{
	char text[FILE_MAX];
	size_t len;
	*out = (struct dns_cookie_secrets){.count = 0};
	int rc = secret_file_read("dns.cookie_secret_file", path, d, text, sizeof text, &len);
	rc = rc ? rc : take_lines(text, len, path, d, out);
	secure_wipe(text, sizeof text);
	if (rc)
		secure_wipe(out, sizeof *out);
	return rc;
}

/* Random ones live as long as the supervisor: workers that are started again, and those after a reload, must
 * know what was given out before. */
int settings_load_cookies(struct settings *s, const struct settings *before, struct diag *d)
{
	if (s->conf->dns.cookie_secret_file)
		return cookies_load(s->conf->dns.cookie_secret_file, d, &s->cookies);
	if (before && !before->conf->dns.cookie_secret_file) {
		s->cookies = before->cookies;
		return OK;
	}
	s->cookies.count = 1;
	return secure_random(s->cookies.secrets[0], sizeof s->cookies.secrets[0]);
}
