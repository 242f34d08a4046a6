// SPDX-License-Identifier: GPL-3.0-or-later
/* What an ACME CA sends. The first byte chooses the document: 'd'irectory, 'o'rder, a'u'thorization,
 * 'p'roblem, 'w'indow of renewal, 'a'ccount, 'h'eader field, 'c'ertificates. */
#include <stdlib.h>
#include <string.h>

#include "acme/certificate.h"
#include "acme/dates.h"
#include "acme/documents.h"
#include "acme/transport.h"
#include "util/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What is taken for a URL is asked for with our account's signature. */
static void require_url(const char *url, bool may_be_empty)
{
	require((may_be_empty && !*url) || strncmp(url, "https://", 8) == 0);
	for (; *url; url++)
		require(*url > 0x20 && *url < 0x7f);
}

static void require_printable(const char *text)
{
	for (; *text; text++)
		require(*text >= 0x20 && *text < 0x7f);
}

static void directory(const char *body, size_t len)
{
	struct directory d;
	if (document_directory(body, len, &d))
		return;
	require_url(d.new_nonce, false);
	require_url(d.new_account, false);
	require_url(d.new_order, false);
	require_url(d.renewal_info, true);
	for (size_t i = 0; i < ACME_IDENTITIES; i++)
		require_printable(d.identities[i]);
}

static void order(const char *body, size_t len)
{
	struct order o;
	if (document_order(body, len, &o))
		return;
	require(o.count >= 1 && o.count <= ACME_NAMES);
	for (size_t i = 0; i < o.count; i++)
		require_url(o.authorizations[i], false);
	require_url(o.finalize, false);
	require_url(o.certificate, o.status != STATUS_VALID);
	require_printable(o.problem.text);
}

static void authorization(const char *body, size_t len)
{
	struct authorization a;
	if (document_authorization(body, len, &a))
		return;
	require_url(a.challenge, true);
	require(!*a.challenge || (*a.token && text_is_base64url(a.token, strlen(a.token))));
	require_printable(a.problem.text);
}

static void problem(const char *body, size_t len)
{
	struct problem p;
	if (document_problem(body, len, &p))
		return;
	require_printable(p.type);
	require_printable(p.text);
}

static void window(const char *body, size_t len)
{
	struct window w;
	if (document_window(body, len, &w))
		return;
	require(w.start < w.end);
	require_printable(w.explanation);
}

static void header(const char *body, size_t len)
{
	struct response r = {.retry_after = -1};
	response_header(&r, "https://ca.example/acme/order/1", body, len, INT64_C(1764367200000));
	require(r.retry_after >= -1 && r.retry_after <= DATE_RETRY_LONGEST);
	require(text_is_base64url(r.nonce, strlen(r.nonce)));
	require(r.alternate_count <= TRANSPORT_LINKS);
}

static void certificates(const char *body, size_t len)
{
	struct certificate c;
	char *text;
	if (certificate_read(body, len, &c))
		return;
	require(c.not_after > c.not_before && c.name_count <= ACME_NAMES);
	/* What is installed reads as what was checked. */
	struct certificate again;
	require(certificate_file("https://ca.example/dir", "", body, len, &text) == OK);
	require(certificate_read(text, strlen(text), &again) == OK);
	require(strcmp(c.handle, again.handle) == 0);
	free(text);
}

static void read_body(uint8_t kind, const char *body, size_t len)
{
	enum status s;
	switch (kind) {
	case 'd':
		directory(body, len);
		break;
	case 'o':
		order(body, len);
		break;
	case 'u':
		authorization(body, len);
		break;
	case 'p':
		problem(body, len);
		break;
	case 'w':
		window(body, len);
		break;
	case 'a':
		require(document_account(body, len, &s) != OK || s != STATUS_UNKNOWN);
		break;
	case 'h':
		header(body, len);
		break;
	case 'c':
		certificates(body, len);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	/* A copy of its own, so that a read behind its end is seen. */
	char *body = malloc(len);
	if (!body)
		return 0;
	memcpy(body, data + 1, len - 1);
	body[len - 1] = 0; /* as transport.c ends a body */
	read_body(data[0], body, len - 1);
	free(body);
	return 0;
}
