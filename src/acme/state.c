// SPDX-License-Identifier: GPL-3.0-or-later
/* What the folder says, and what others are told. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "acme/client.h"
#include "acme/files.h"
#include "util/log.h"

int state_read_certificate(int folder, struct certificate *out, char origin[ACME_URL])
{
	char *text;
	size_t len;
	*out = (struct certificate){0};
	origin[0] = 0;
	int rc = file_read(folder, ACME_CERTIFICATE_FILE, &text, &len);
	if (rc)
		return rc;
	rc = certificate_read(text, len, out);
	/* The key is in the same file. */
	if (!rc && !certificate_fits(text, len, text))
		rc = ERR_INVALID;
	certificate_origin(text, origin);
	file_free(&text);
	return rc;
}

void state_report(struct client *c)
{
	book_state(&c->book, c->settings->directory, &c->state);
	c->state.not_before = c->have_certificate ? c->certificate.not_before : 0;
	c->state.not_after = c->have_certificate ? c->certificate.not_after : 0;
	if (c->trying) {
		c->state.failures--;
		c->state.next_attempt = c->state.last_attempt;
	}
	c->hooks->report(c->hooks->ctx, &c->state);
}

static int load(int folder, const char *directory, struct acme_state *out)
{
	struct certificate crt;
	struct book book;
	char origin[ACME_URL];
	int rc = book_load(folder, &book);
	if (rc == ERR_SYSTEM || rc == ERR_NOMEM) {
		book_free(&book);
		return rc;
	}
	book_state(&book, directory, out);
	book_free(&book);
	if (state_read_certificate(folder, &crt, origin) == OK) {
		out->not_before = crt.not_before;
		out->not_after = crt.not_after;
	}
	return *out->account || out->not_after || out->last_attempt ? OK : ERR_NOTFOUND;
}

void acme_state_terminate(struct acme_state *s)
{
	s->account[sizeof s->account - 1] = 0;
	s->error[sizeof s->error - 1] = 0;
	for (size_t i = 0; i < ACME_IDENTITIES; i++)
		s->identities[i][ACME_TEXT - 1] = 0;
}

int acme_state_load(const char *folder, const char *directory, struct acme_state *out)
{
	*out = (struct acme_state){0};
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_SYSTEM;
	int rc = load(fd, directory, out);
	(void)close(fd);
	return rc;
}
