// SPDX-License-Identifier: GPL-3.0-or-later
#include "acme/book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acme/files.h"
#include "util/scarce.h"
#include "util/text.h"

static void get_text(const json_t *o, const char *key, char *out, size_t cap)
{
	const char *s = json_string_value(json_object_get(o, key));
	if (!s || text_format(out, cap, "%s", s))
		out[0] = 0;
}

static int64_t get_time(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));
	return v > 0 && v < INT64_MAX / 4 ? (int64_t)v : 0;
}

static void read_attempts(const json_t *o, struct book *b)
{
	get_text(o, "directory", b->directory, sizeof b->directory);
	get_text(o, "order", b->order, sizeof b->order);
	get_text(o, "error", b->error, sizeof b->error);
	b->last_attempt = get_time(o, "last_attempt");
	b->last_success = get_time(o, "last_success");
	b->next_attempt = get_time(o, "next_attempt");
	b->barred = get_time(o, "barred");
	int64_t failures = get_time(o, "failures");
	b->failures = failures > UINT16_MAX ? UINT16_MAX : (uint32_t)failures;
}

static void read_renewal(const json_t *o, struct book *b)
{
	get_text(o, "certificate", b->handle, sizeof b->handle);
	get_text(o, "explanation", b->window.explanation, sizeof b->window.explanation);
	b->window.start = get_time(o, "start");
	b->window.end = get_time(o, "end");
	b->renew_at = get_time(o, "renew_at");
	b->check_at = get_time(o, "check_at");
}

static int read_book(const char *text, size_t len, struct book *out)
{
	json_set_alloc_funcs(scarce_malloc, scarce_free);
	scarce_begin();
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	bool scarce = scarce_end();
	if (scarce || !json_is_object(o)) {
		json_decref(o);
		return scarce ? ERR_NOMEM : ERR_INVALID;
	}
	json_t *accounts = json_object_get(o, "accounts");
	if (json_is_object(accounts)) {
		json_decref(out->accounts);
		out->accounts = json_incref(accounts);
	}
	read_attempts(json_object_get(o, "attempts"), out);
	read_renewal(json_object_get(o, "renewal"), out);
	json_decref(o);
	return OK;
}

int book_load(int folder, struct book *out)
{
	char *text;
	size_t len;
	*out = (struct book){.accounts = json_object()};
	if (!out->accounts)
		return ERR_NOMEM;
	int rc = file_read(folder, ACME_STATE_FILE, &text, &len);
	if (rc)
		return rc == ERR_NOTFOUND ? OK : rc == ERR_RANGE ? ERR_INVALID : rc;
	rc = read_book(text, len, out);
	file_free(&text);
	return rc;
}

void book_free(struct book *b)
{
	json_decref(b->accounts);
	b->accounts = NULL;
}

int book_save(int folder, const struct book *b)
{
	json_t *o = json_pack(
		"{s:O, s:{s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:s}, s:{s:s, s:I, s:I, s:s, s:I, s:I}}",
		"accounts", b->accounts, "attempts", "directory", b->directory, "order", b->order,
		"last_attempt", (json_int_t)b->last_attempt, "last_success", (json_int_t)b->last_success,
		"next_attempt", (json_int_t)b->next_attempt, "barred", (json_int_t)b->barred, "failures",
		(int)b->failures, "error", b->error, "renewal", "certificate", b->handle, "start",
		(json_int_t)b->window.start, "end", (json_int_t)b->window.end, "explanation",
		b->window.explanation, "renew_at", (json_int_t)b->renew_at, "check_at",
		(json_int_t)b->check_at);
	char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	int rc = text ? file_write(folder, ACME_STATE_FILE, text) : ERR_NOMEM;
	int saved = errno;
	free(text);
	json_decref(o);
	errno = saved;
	return rc;
}

void book_account(const struct book *b, const char *directory, const char *key, char *out, size_t cap)
{
	get_text(json_object_get(b->accounts, directory), key, out, cap);
}

void book_identities(const struct book *b, const char *directory, char out[ACME_IDENTITIES][ACME_TEXT])
{
	const json_t *list = json_object_get(json_object_get(b->accounts, directory), "identities"), *v;
	size_t i, n = 0;
	memset(out, 0, (size_t)ACME_IDENTITIES * ACME_TEXT);
	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);
		if (s && *s && n < ACME_IDENTITIES && text_format(out[n], ACME_TEXT, "%s", s) == OK)
			n++;
	}
}

int book_set_account(struct book *b, const char *directory, const char *url, const char *contact,
	const char *terms, char identities[ACME_IDENTITIES][ACME_TEXT])
{
	json_t *list = json_array();
	int r = list ? 0 : -1;
	for (size_t i = 0; !r && i < ACME_IDENTITIES && *identities[i]; i++)
		r = json_array_append_new(list, json_string(identities[i]));
	json_t *o = r ? NULL
		      : json_pack("{s:s, s:s, s:s, s:O}", "url", url, "contact", contact, "terms", terms,
				"identities", list);
	json_decref(list);
	return json_object_set_new(b->accounts, directory, o) ? ERR_NOMEM : OK;
}

void book_state(const struct book *b, const char *directory, struct acme_state *out)
{
	book_account(b, directory, "url", out->account, sizeof out->account);
	book_identities(b, directory, out->identities);
	out->last_attempt = b->last_attempt;
	out->last_success = b->last_success;
	out->next_attempt = b->next_attempt;
	out->failures = b->failures;
	memcpy(out->error, b->error, sizeof out->error);
}
