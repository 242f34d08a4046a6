// SPDX-License-Identifier: GPL-3.0-or-later
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "acme/client.h"
#include "acme/dates.h"
#include "acme/schedule.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

/* Clocks are set now and then; it is looked at them at least that often. */
enum { LONGEST_WAIT = 10 * 60 * 1000 };

/* A handle on what is ordered, so that other names are not punished for what these did. */
static int order_handle(const struct client *c, char out[static CERTIFICATE_HANDLE])
{
	const struct acme_settings *s = c->settings;
	struct secure_hash *h;
	uint8_t digest[SECURE_DIGEST_SIZE];
	int rc = secure_hash_new(&h);
	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < c->name_count; i++)
		rc = secure_hash_add(h, c->names[i], strlen(c->names[i]) + 1);
	if (!rc && s->profile)
		rc = secure_hash_add(h, s->profile, strlen(s->profile) + 1);
	if (!rc && s->eab_key_id)
		rc = secure_hash_add(h, s->eab_key_id, strlen(s->eab_key_id));
	secure_hash_end(&h, digest);
	text_hex(digest, CERTIFICATE_HANDLE / 2, out);
	return rc;
}

/* Is the certificate in the folder the one that is wanted? */
static bool is_wanted(const struct client *c)
{
	return c->have_certificate && (!*c->origin || strcmp(c->origin, c->settings->directory) == 0) &&
	       certificate_names(&c->certificate, c->names, c->name_count);
}

/* Of the certificate there is; 0: none that is of use to anybody. */
static int64_t lifetime(const struct client *c)
{
	bool good = is_wanted(c) && c->certificate.not_after > clock_wall_ms();
	return good ? c->certificate.not_after - c->certificate.not_before : 0;
}

static int64_t retry_delay(const struct client *c, uint32_t failures)
{
	uint32_t dice;
	if (secure_random(&dice, sizeof dice))
		dice = UINT32_MAX / 2;
	return schedule_retry(&c->times, failures, lifetime(c), dice);
}

/* The book may be about another CA, another order, or a time when the clock was wrong. */
static int recall(struct client *c)
{
	char order[CERTIFICATE_HANDLE];
	struct book *b = &c->book;
	int64_t now = clock_wall_ms();
	int rc = order_handle(c, order);
	if (rc)
		return rc;
	if (strcmp(b->directory, c->settings->directory) != 0) {
		b->barred = 0;
		b->order[0] = 0;
	}
	if (strcmp(b->order, order) != 0) {
		if (!b->failures)
			b->barred = 0; /* by ourselves, see succeeded() */
		b->failures = 0;
		b->next_attempt = 0;
		b->error[0] = 0;
	}
	int64_t soon = b->last_attempt + retry_delay(c, 1);
	if (c->settings->fresh && soon < b->next_attempt)
		b->next_attempt = soon;
	int64_t ahead = b->last_attempt - now;
	if (ahead > 0) { /* the clock was, then */
		b->last_attempt -= ahead;
		b->next_attempt -= ahead;
		b->barred -= ahead;
	}
	memcpy(b->order, order, sizeof order);
	return text_format(b->directory, sizeof b->directory, "%s", c->settings->directory);
}

static void read_certificate(struct client *c)
{
	int rc = state_read_certificate(c->folder, &c->certificate, c->origin);
	c->have_certificate = rc == OK;
	if (rc && rc != ERR_NOTFOUND)
		log_error("acme", "%s in %s cannot be used (%s); another one is ordered",
			ACME_CERTIFICATE_FILE, c->settings->folder, error_text(rc));
	if (c->have_certificate && !is_wanted(c))
		log_info("acme",
			"the certificate in %s is for other names or from another CA; another one is ordered",
			c->settings->folder);
	if (is_wanted(c))
		renewal_recall(c);
}

static void save(struct client *c)
{
	int rc = book_save(c->folder, &c->book);
	if (rc)
		log_error("acme", "%s/%s cannot be written: %s", c->settings->folder, ACME_STATE_FILE,
			rc == ERR_NOMEM ? error_text(rc) : strerror(errno));
}

/* When the next order is due. */
static int64_t due_at(const struct client *c)
{
	const struct book *b = &c->book;
	int64_t now = clock_wall_ms(), due = is_wanted(c) ? b->renew_at : 0;
	int64_t next = b->failures ? schedule_sane(b->next_attempt, now) : 0,
		barred = schedule_sane(b->barred, now);
	due = next > due ? next : due;
	return barred > due ? barred : due;
}

/* An attempt counts as failed until it has succeeded: whatever kills us in it finds the next one put off. */
static int begin(struct client *c)
{
	struct book *b = &c->book;
	b->last_attempt = clock_wall_ms();
	b->failures++;
	b->next_attempt = b->last_attempt + retry_delay(c, b->failures);
	int rc = book_save(c->folder, b);
	return rc && rc != ERR_NOMEM ? client_fail(c, rc, "%s/%s cannot be written: %s", c->settings->folder,
					       ACME_STATE_FILE, strerror(errno))
				     : rc;
}

static void succeeded(struct client *c)
{
	struct book *b = &c->book;
	char when[DATE_SHOWN], then[DATE_SHOWN];
	b->failures = 0;
	b->error[0] = 0;
	b->last_success = clock_wall_ms();
	read_certificate(c);
	b->barred = b->last_success + schedule_gap(&c->times, lifetime(c));
	b->next_attempt = b->renew_at;
	save(c);
	log_info("acme", "new certificate for %s%s, good until %s, to be renewed at %s", c->names[0],
		c->name_count > 1 ? " and others" : "", date_show(c->certificate.not_after, when),
		date_show(b->renew_at, then));
	state_report(c);
	c->hooks->renewed(c->hooks->ctx, &c->state);
}

static void failed(struct client *c, int code)
{
	struct book *b = &c->book;
	char when[DATE_SHOWN];
	int64_t now = clock_wall_ms();
	if (!*c->failure.text)
		(void)client_fail(c, code, "%s", error_text(code));
	b->next_attempt = now + retry_delay(c, b->failures);
	if (c->failure.retry_after >= 0)
		b->barred = now + c->failure.retry_after;
	if (b->barred > b->next_attempt)
		b->next_attempt = b->barred;
	if (text_format(b->error, sizeof b->error, "%s", c->failure.text))
		memcpy(b->error + sizeof b->error - 4, "...", 4);
	save(c);
	log_error("acme", "no certificate for %s: %s; next attempt at %s", c->names[0], c->failure.text,
		date_show(b->next_attempt, when));
	state_report(c);
}

/* Told to stop: nobody's failure. */
static void interrupted(struct client *c, const struct book *before)
{
	c->book.failures = before->failures;
	c->book.next_attempt = before->next_attempt;
	save(c);
	state_report(c);
}

/* Connections live no longer than what they are made for; each time the roots are read anew. */
static int with_transport(struct client *c, int (*work)(struct client *c))
{
	int rc = transport_new(c->settings->ca_file, c->times.request, c->stop, &c->transport);
	if (!rc)
		rc = work(c);
	transport_free(&c->transport);
	return rc;
}

static int order(struct client *c)
{
	int rc = begin(c);
	if (rc)
		return rc;
	c->trying = true;
	state_report(c);
	rc = with_transport(c, order_certificate);
	c->trying = false;
	return rc;
}

static int attempt(struct client *c)
{
	const struct book before = c->book;
	log_info("acme", "ordering a certificate for %s%s from %s", c->names[0],
		c->name_count > 1 ? " and others" : "", c->settings->directory);
	(void)client_fail(c, OK, "%s", "");
	int rc = order(c);
	if (rc == ERR_NOMEM)
		return rc;
	if (rc == ERR_CLOSED)
		interrupted(c, &before);
	else if (rc)
		failed(c, rc);
	else
		succeeded(c);
	return rc == ERR_CLOSED ? rc : OK;
}

static int ask_when(struct client *c)
{
	int rc = with_transport(c, renewal_ask);
	if (rc)
		return rc;
	if (!c->book.failures)
		c->book.next_attempt = c->book.renew_at;
	save(c);
	state_report(c);
	return OK;
}

/* One step: waits for what is due next, and does it. */
static int step(struct client *c)
{
	int64_t now = clock_wall_ms(), due = due_at(c);
	if (due <= now)
		return attempt(c);
	if (is_wanted(c) && c->book.check_at <= now)
		return ask_when(c);
	int64_t next = is_wanted(c) && c->book.check_at < due ? c->book.check_at : due;
	int64_t wait = next - now;
	return transport_wait(c->stop, wait < LONGEST_WAIT ? wait : LONGEST_WAIT);
}

static int run(struct client *c)
{
	int rc = recall(c);
	if (rc)
		return rc;
	read_certificate(c);
	state_report(c);
	rc = transport_wait(c->stop, 0);
	while (!rc)
		rc = step(c);
	return rc == ERR_CLOSED ? OK : rc;
}

static bool take_name(struct client *c, const char *name)
{
	char *text = c->name_text[c->name_count];
	size_t len = strlen(name);
	if (len && name[len - 1] == '.')
		len--;
	if (!len || len >= ACME_TEXT)
		return false;
	for (size_t i = 0; i < len; i++)
		text[i] = (char)text_lower((uint8_t)name[i]);
	text[len] = 0;
	for (size_t i = 0; i < c->name_count; i++)
		if (strcmp(c->names[i], text) == 0)
			return true;
	c->names[c->name_count++] = text;
	return true;
}

static int take_settings(struct client *c)
{
	const struct acme_settings *s = c->settings;
	const char *wrong = NULL;
	if (strncmp(s->directory, "https://", 8) != 0 || strlen(s->directory) >= ACME_URL)
		wrong = "the directory is no https URL";
	else if (!s->name_count || s->name_count > ACME_NAMES)
		wrong = "a certificate is for 1 to 16 names";
	else if (!s->eab_key_id != !s->eab_hmac_key)
		wrong = "external account binding needs both a key ID and a MAC key";
	else if (s->contact && strlen(s->contact) >= ACME_TEXT)
		wrong = "the contact is too long";
	for (size_t i = 0; !wrong && i < s->name_count; i++)
		if (!take_name(c, s->names[i]))
			wrong = "a name is empty or too long";
	if (wrong)
		log_error("acme", "no certificate can be ordered: %s", wrong);
	return wrong ? ERR_INVALID : OK;
}

static int open_folder(const struct acme_settings *s, struct client *c)
{
	c->folder = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = c->folder < 0 ? ERR_SYSTEM : book_load(c->folder, &c->book);
	if (rc == ERR_SYSTEM)
		log_error("acme", "the folder %s cannot be used: %s", s->folder, strerror(errno));
	if (rc != ERR_INVALID)
		return rc;
	log_error("acme", "%s/%s is damaged; it is written anew", s->folder, ACME_STATE_FILE);
	return OK;
}

static int run_in_folder(struct client *c)
{
	int rc = open_folder(c->settings, c);
	if (!rc)
		rc = run(c);
	jws_key_free(&c->key);
	book_free(&c->book);
	if (c->folder >= 0)
		(void)close(c->folder);
	return rc;
}

int acme_run(const struct acme_settings *s, const struct acme_hooks *hooks, int stop)
{
	struct client c = {.settings = s,
		.hooks = hooks,
		.times = schedule_times(&s->times),
		.stop = stop,
		.folder = -1};
	int rc = take_settings(&c);
	if (rc)
		return rc;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ERR_NOMEM;
	rc = run_in_folder(&c);
	curl_global_cleanup();
	return rc;
}
