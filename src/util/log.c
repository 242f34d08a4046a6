// SPDX-License-Identifier: GPL-3.0-or-later
#include "util/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/text.h"

enum { LINE_MAX_BYTES = 1024 };

static struct {
	enum log_level level;
	enum log_format format;
	char process[16];
} settings = {LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "main"};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_setup(enum log_level level, enum log_format format)
{
	settings.level = level;
	settings.format = format;
}

void log_process(const char *name)
{
	if (text_format(settings.process, sizeof settings.process, "%s", name))
		return; /* a shortened name is good enough */
}

/* Appends a printable form: control bytes and, for JSON, quotes and backslashes are escaped. Bytes above 126
 * are escaped too, since nobody checked that they are UTF-8. */
static size_t append_escaped(char *out, size_t cap, const char *s, bool json)
{
	size_t n = 0;
	for (; *s && n + 8 < cap; s++) {
		unsigned char c = (unsigned char)*s;
		if (json && (c == '"' || c == '\\'))
			out[n++] = '\\';
		if (c >= 0x20 && c <= 0x7e)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, cap - n, json ? "\\u%04x" : "\\x%02x", c);
	}
	out[n] = 0;
	return n;
}

static void timestamp(char out[static 32])
{
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 32 - n, ".%03ldZ", now.tv_nsec / 1000000);
}

void log_event(enum log_level level, const char *room, const char *format, ...)
{
	if (level > settings.level)
		return;
	char message[LINE_MAX_BYTES / 2], escaped[LINE_MAX_BYTES], when[32], line[LINE_MAX_BYTES + 128];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	bool json = settings.format == LOG_FORMAT_JSON;
	append_escaped(escaped, sizeof escaped, message, json);
	timestamp(when);
	int n = json ? snprintf(line, sizeof line,
			       "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"room\":\"%s\","
			       "\"message\":\"%s\"}\n",
			       when, level_names[level], settings.process, room, escaped)
		     : snprintf(line, sizeof line, "%s %s %s/%s: %s\n", when, level_names[level],
			       settings.process, room, escaped);
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say it */
}
