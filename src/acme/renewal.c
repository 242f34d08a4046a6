// SPDX-License-Identifier: GPL-3.0-or-later
/* When the certificate in the folder is to be renewed: what the CA suggests (RFC 9773), or what its lifetime
 * says. */
#include <string.h>

#include "acme/client.h"
#include "acme/dates.h"
#include "acme/schedule.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

static uint32_t roll(void)
{
	uint32_t dice;
	return secure_random(&dice, sizeof dice) ? UINT32_MAX / 2 : dice;
}

static int64_t lifetime(const struct client *c)
{
	return c->certificate.not_after - c->certificate.not_before;
}

static int64_t latest(const struct client *c)
{
	return schedule_latest(c->certificate.not_before, c->certificate.not_after);
}

/* A time once chosen stays, or restarts would shift it. A certificate that the book does not know is the work
 * of a process that died before it could say so. */
void renewal_recall(struct client *c)
{
	struct book *b = &c->book;
	if (strcmp(b->handle, c->certificate.handle) == 0 && b->renew_at > 0 && b->renew_at <= latest(c)) {
		b->check_at = schedule_sane(b->check_at, clock_wall_ms());
		return;
	}
	memcpy(b->handle, c->certificate.handle, sizeof b->handle);
	b->window = (struct window){0};
	b->renew_at = schedule_by_lifetime(c->certificate.not_before, c->certificate.not_after, roll());
	b->check_at = 0;
	b->failures = 0;
	b->error[0] = 0;
}

/* Section 4.3: a time that was chosen stays as long as the window has it. */
static void take(struct client *c, const struct window *w)
{
	struct book *b = &c->book;
	char when[DATE_SHOWN];
	bool same = b->window.start == w->start && b->window.end == w->end;
	bool within = b->window.end && b->renew_at >= w->start && b->renew_at <= w->end;
	if (*w->explanation && strcmp(w->explanation, b->window.explanation) != 0)
		log_warning("acme", "the CA explains its renewal times at %s", w->explanation);
	b->window = *w;
	if (same || within)
		return;
	b->renew_at = schedule_in_window(w, roll());
	if (b->renew_at > latest(c)) {
		log_warning("acme",
			"the CA's advice is to renew the certificate when it is nearly over, or later");
		b->renew_at = latest(c);
	}
	log_info(
		"acme", "by the CA's advice, the certificate is renewed at %s", date_show(b->renew_at, when));
}

/* RFC 9773 section 4.1 */
static int ask(struct client *c, int64_t *retry)
{
	char url[ACME_URL + CERTIFICATE_ID];
	struct window w;
	struct response r;
	const char *base = c->directory.renewal_info;
	const char *slash = base[strlen(base) - 1] == '/' ? "" : "/";
	int rc = text_format(url, sizeof url, "%s%s%s", base, slash, c->certificate.id);
	if (!rc)
		rc = session_get(c, url, "renewal information", &r);
	if (rc) {
		*retry = c->failure.retry_after;
		return rc;
	}
	*retry = r.retry_after;
	rc = document_window(r.body, r.len, &w);
	response_free(&r);
	if (rc)
		return client_fail(
			c, rc, "the CA's renewal information makes no sense (RFC 9773 section 4.2)");
	take(c, &w);
	return OK;
}

/* Does the CA in the settings know this certificate? */
static bool is_known(const struct client *c)
{
	return *c->certificate.id && strcmp(c->origin, c->settings->directory) == 0;
}

int renewal_ask(struct client *c)
{
	int64_t retry = -1;
	int rc = OK;
	if (is_known(c) && !*c->directory.new_order) {
		rc = session_directory(c);
		retry = rc ? c->failure.retry_after : -1;
	}
	if (!rc && is_known(c) && *c->directory.renewal_info)
		rc = ask(c, &retry);
	if (rc == ERR_CLOSED || rc == ERR_NOMEM)
		return rc;
	if (rc) {
		c->directory.new_order[0] = 0; /* it may have another one by then */
		log_warning("acme", "the CA was asked when to renew, and did not say: %s", c->failure.text);
	}
	c->book.check_at = clock_wall_ms() + schedule_check(&c->times, retry, lifetime(c));
	return OK;
}
