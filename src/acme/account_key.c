// SPDX-License-Identifier: GPL-3.0-or-later
/* The account's key, one for each directory: what one CA knows us by is not for another. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "acme/client.h"
#include "acme/files.h"
#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

enum { KEY_NAME = 64 };

static int key_name(const struct client *c, char out[static KEY_NAME])
{
	uint8_t digest[SECURE_DIGEST_SIZE];
	char hex[17];
	const char *directory = c->settings->directory;
	int rc = secure_sha256(directory, strlen(directory), digest);
	if (rc)
		return rc;
	text_hex(digest, 8, hex);
	return text_format(out, KEY_NAME, "account-%s.pem", hex);
}

static int put_aside(struct client *c, const char *name, const char *suffix)
{
	char other[KEY_NAME + 16];
	int rc = text_format(other, sizeof other, "%s.%s", name, suffix);
	if (!rc && renameat(c->folder, name, c->folder, other))
		rc = client_fail(c, ERR_SYSTEM, "%s cannot be renamed: %s", name, strerror(errno));
	return rc;
}

static int read_key(struct client *c, const char *name)
{
	char *text;
	size_t len;
	int rc = file_read(c->folder, name, &text, &len);
	if (rc == ERR_SYSTEM)
		return client_fail(c, rc, "%s cannot be read: %s", name, strerror(errno));
	if (rc == ERR_NOMEM || rc == ERR_NOTFOUND)
		return rc;
	if (!rc)
		rc = jws_key_import(text, len, &c->key);
	file_free(&text);
	if (rc != ERR_INVALID && rc != ERR_RANGE)
		return rc;
	log_error("acme",
		"%s holds no key that can be used; it is kept as %s.damaged, and a new account is made", name,
		name);
	rc = put_aside(c, name, "damaged");
	return rc ? rc : ERR_NOTFOUND;
}

/* Kept before it is used, so that there is no account that is nobody's. */
static int make_key(struct client *c, const char *name)
{
	char *text = NULL;
	int rc = jws_key_new(&c->key);
	if (!rc)
		rc = jws_key_export(c->key, &text);
	if (rc == ERR_SYSTEM)
		rc = client_fail(c, rc, "no key can be made for the account");
	if (!rc) {
		rc = file_write(c->folder, name, text);
		if (rc)
			rc = client_fail(c, rc, "%s cannot be written: %s", name, strerror(errno));
	}
	file_free(&text);
	if (rc)
		jws_key_free(&c->key);
	return rc;
}

int account_key(struct client *c, bool *fresh)
{
	char name[KEY_NAME];
	*fresh = false;
	if (c->key)
		return OK;
	int rc = key_name(c, name);
	if (rc)
		return client_fail(c, rc, "no name can be made for the account's key");
	rc = read_key(c, name);
	if (rc != ERR_NOTFOUND)
		return rc;
	*fresh = true;
	return make_key(c, name);
}

int account_key_retire(struct client *c)
{
	char name[KEY_NAME];
	int rc = key_name(c, name);
	if (!rc)
		rc = put_aside(c, name, "old");
	jws_key_free(&c->key);
	return rc;
}
