// SPDX-License-Identifier: GPL-3.0-or-later
#include "util/diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"

struct entry {
	char *text;
	bool warning;
	struct entry *next;
};

struct diag {
	struct entry *first, **last;
	size_t errors;
	bool lost; /* there was something to say, and no memory for it */
};

/* Instead of what was lost, so that nobody fails without a word. */
static const char lost[] = "out of memory, also for what else there is to say; free some and try again";

struct diag *diag_new(void)
{
	struct diag *d = calloc(1, sizeof *d);
	if (d)
		d->last = &d->first;
	return d;
}

void diag_free(struct diag **d)
{
	if (!*d)
		return;
	for (struct entry *e = (*d)->first, *next; e; e = next) {
		next = e->next;
		free(e->text);
		free(e);
	}
	free(*d);
	*d = NULL;
}

/* "FILE:LINE: warning: text"; NULL: out of memory. */
static PRINTF(4, 0) char *compose(
	const char *file, unsigned line, bool warning, const char *format, va_list args)
{
	char *text = NULL, *whole = NULL;
	if (vasprintf(&text, format, args) < 0)
		return NULL;
	const char *kind = warning ? "warning: " : "";
	int n = file && line ? asprintf(&whole, "%s:%u: %s%s", file, line, kind, text)
		: file       ? asprintf(&whole, "%s: %s%s", file, kind, text)
			     : asprintf(&whole, "%s%s", kind, text);
	free(text);
	return n < 0 ? NULL : whole;
}

/* Takes `text` over; NULL: there was no memory for it. */
static void append(struct diag *d, bool warning, char *text)
{
	if (!warning)
		d->errors++;
	struct entry *e = calloc(1, sizeof *e);
	if (!e || !text) {
		free(e);
		free(text);
		d->errors += warning; /* a lost warning must not pass as success */
		d->lost = true;
		return;
	}
	*e = (struct entry){text, warning, NULL};
	*d->last = e;
	d->last = &e->next;
}

static PRINTF(5, 0) void add(
	struct diag *d, bool warning, const char *file, unsigned line, const char *format, va_list args)
{
	append(d, warning, compose(file, line, warning, format, args));
}

void diag_error(struct diag *d, const char *file, unsigned line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(d, false, file, line, format, args);
	va_end(args);
}

void diag_warning(struct diag *d, const char *file, unsigned line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(d, true, file, line, format, args);
	va_end(args);
}

size_t diag_errors(const struct diag *d)
{
	return d->errors;
}

/* Each entry is its kind, its text and a NUL. */
int diag_send(const struct diag *d, int fd)
{
	for (const struct entry *e = d->first; e; e = e->next)
		if (dprintf(fd, "%c%s%c", e->warning ? 'w' : 'e', e->text, 0) < 0)
			return ERR_SYSTEM;
	return d->lost && dprintf(fd, "e%s%c", lost, 0) < 0 ? ERR_SYSTEM : OK;
}

int diag_receive(struct diag *d, int fd)
{
	char *text = NULL;
	size_t size = 0;
	int own = dup(fd);
	FILE *from = own < 0 ? NULL : fdopen(own, "r");
	if (!from) {
		if (own >= 0)
			close(own);
		return ERR_SYSTEM;
	}
	while (getdelim(&text, &size, 0, from) > 1)
		append(d, text[0] == 'w', strdup(text + 1));
	int rc = feof(from) ? OK : ERR_SYSTEM; /* no memory for a line leaves no error in the stream */
	free(text);
	return fclose(from) ? ERR_SYSTEM : rc;
}

void diag_print(const struct diag *d, FILE *to)
{
	bool journal = to == stderr && log_is_journal();
	for (const struct entry *e = d->first; e; e = e->next)
		fprintf(to, "%s%s\n", !journal ? "" : e->warning ? "<4>" : "<3>", e->text);
	if (d->lost)
		fprintf(to, "%s%s\n", journal ? "<3>" : "", lost);
}

void diag_log(const struct diag *d, const char *room)
{
	for (const struct entry *e = d->first; e; e = e->next)
		log_event(e->warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, room, "%s", e->text);
	if (d->lost)
		log_event(LOG_LEVEL_ERROR, room, "%s", lost);
}
