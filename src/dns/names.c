// SPDX-License-Identifier: GPL-3.0-or-later
#include "dns/internal.h"

#include "util/cursor.h"
#include "util/text.h"

void dns_name_split(struct dns_name *n, const uint8_t *wire)
{
	n->wire = wire;
	n->labels = 0;
	size_t at = 0;
	while (wire[at] && n->labels < DNS_LABELS_MAX) {
		n->start[n->labels++] = (uint8_t)at;
		at += 1u + wire[at];
	}
	n->start[n->labels] = (uint8_t)at;
	n->len = at + 1;
}

int dns_name_order(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a, b, a_len);
}

size_t dns_name_from_text(const char *text, uint8_t out[static DNS_NAME_MAX])
{
	if (!text[0] || !knot_dname_from_str(out, text, DNS_NAME_MAX))
		return 0;
	knot_dname_to_lower(out);
	return knot_dname_size(out);
}

size_t dns_name_from_mail(const char *mail, uint8_t out[static DNS_NAME_MAX])
{
	const char *at = strrchr(mail, '@');
	uint8_t domain[DNS_NAME_MAX];
	if (!at && strchr(mail, '.')) /* the form in which SOA records are written by hand */
		return dns_name_from_text(mail, out);
	if (!at || at == mail || at - mail > 63)
		return 0;
	size_t domain_len = dns_name_from_text(at + 1, domain);
	if (domain_len <= 1)
		return 0;

	/* The local part is one label, dots and all. */
	struct writer w = writer_over(out, DNS_NAME_MAX);
	write_string(&w, mail, (size_t)(at - mail));
	write_bytes(&w, domain, domain_len);
	size_t len;
	return writer_finish(&w, &len) == OK ? len : 0;
}
