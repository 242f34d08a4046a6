// SPDX-License-Identifier: GPL-3.0-or-later
#include "util/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/text.h"
#include "util/utf8.h"

enum {
	ESCAPED_MAX = 2 * LOG_MESSAGE_MAX, /* what escapes blow up further is cut, too */
	PLACES = 128,                      /* of the first half are places, of the other half sources */
	LAST_MAX = 160                     /* of the message that stands for those left out */
};

/* How much one place in the program has said, all in all or about one source. */
struct voice {
	const char *format; /* NULL: free */
	uint64_t source;
	int64_t since;
	unsigned written, left_out;
	enum log_level level;
	const char *room;
	char last[LAST_MAX];
};

static struct {
	enum log_level level;
	enum log_format format;
	bool journal;
	char process[16];
	atomic_flag busy; /* somebody counts; whoever meets that just writes */
	struct voice voices[PLACES];
} settings = {.level = LOG_LEVEL_INFO, .process = "main", .busy = ATOMIC_FLAG_INIT};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int priorities[] = {3, 4, 6, 7}; /* syslog(3) */

/* systemd tells which file standard error was, as device:inode; it may have been redirected since. */
bool log_is_journal(void)
{
	const char *told = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;
	char rest;
	if (!told || sscanf(told, "%llu:%llu%c", &device, &inode, &rest) != 2 || fstat(STDERR_FILENO, &st))
		return false;
	return st.st_dev == device && st.st_ino == inode;
}

void log_setup(enum log_level level, enum log_format format)
{
	settings.level = level;
	settings.format = format;
	settings.journal = log_is_journal();
}

void log_process(const char *name)
{
	memset(settings.voices, 0, sizeof settings.voices); /* what the parent has left out it says itself */
	if (text_format(settings.process, sizeof settings.process, "%s", name))
		return; /* a shortened name is good enough */
}

/* ---- a line ---- */

static size_t escape(char *out, uint8_t byte, bool json)
{
	int n;
	if (byte == '"' || byte == '\\')
		n = snprintf(out, 8, "\\%c", byte);
	else
		n = snprintf(out, 8, json ? "\\u%04x" : "\\x%02x", byte);
	return n > 0 ? (size_t)n : 0;
}

/* In JSON a byte that is no text stands as the character of that number, because JSON has nothing else. */
static void append_escaped(char *out, size_t cap, const char *s, bool json)
{
	size_t n = 0;
	while (*s && n + 8 < cap) {
		bool special = *s == '\\' || (json && *s == '"');
		size_t len = special ? 0 : utf8_shown(s);
		if (!len) {
			n += escape(out + n, (uint8_t)*s++, json);
			continue;
		}
		memcpy(out + n, s, len);
		n += len;
		s += len;
	}
	out[n] = 0;
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

static int format_json(char *line, size_t cap, enum log_level level, const char *room, const char *message)
{
	char when[32], time[48] = "";
	timestamp(when);
	if (!settings.journal)
		snprintf(time, sizeof time, "\"time\":\"%s\",", when);
	return snprintf(line, cap,
		"{%s\"level\":\"%s\",\"process\":\"%s\",\"room\":\"%s\",\"message\":\"%s\"}\n", time,
		level_names[level], settings.process, room, message);
}

static int format_text(char *line, size_t cap, enum log_level level, const char *room, const char *message)
{
	char when[32];
	timestamp(when);
	if (settings.journal)
		return snprintf(line, cap, "%s/%s: %s\n", settings.process, room, message);
	return snprintf(
		line, cap, "%s %s %s/%s: %s\n", when, level_names[level], settings.process, room, message);
}

static void write_line(enum log_level level, const char *room, const char *message)
{
	char escaped[ESCAPED_MAX], line[ESCAPED_MAX + 160];
	size_t start = 0;
	bool json = settings.format == LOG_FORMAT_JSON;
	append_escaped(escaped, sizeof escaped, message, json);
	if (settings.journal)
		start = (size_t)snprintf(line, sizeof line, "<%d>", priorities[level]);
	int n = (json ? format_json : format_text)(line + start, sizeof line - start, level, room, escaped);
	if (n > 0 && write(STDERR_FILENO, line, start + (size_t)n) < 0)
		return; /* nowhere left to say it */
}

/* ---- floods ---- */

/* The last message that was left out stands for all of them. */
static void tell_of_left_out(struct voice *v)
{
	char message[LAST_MAX + 64];
	if (v->left_out > 1)
		snprintf(message, sizeof message, "%s (%u more like this were not written)", v->last,
			v->left_out - 1);
	else
		snprintf(message, sizeof message, "%s", v->last);
	if (v->left_out)
		write_line(v->level, v->room, message);
	*v = (struct voice){.format = NULL};
}

static void catch_up(int64_t now, bool all)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct voice *v = &settings.voices[i];
		if (v->format && (all || now - v->since >= LOG_WINDOW_MS))
			tell_of_left_out(v);
	}
}

void log_catch_up(bool all)
{
	if (atomic_flag_test_and_set(&settings.busy))
		return;
	catch_up(clock_mono_ms(), all);
	atomic_flag_clear(&settings.busy);
}

/* NULL: all are taken. */
static struct voice *find_voice(const char *format, const uint64_t *source, int64_t now)
{
	size_t first = source ? PLACES / 2 : 0;
	struct voice *vacant = NULL;
	for (size_t i = first; i < first + PLACES / 2; i++) {
		struct voice *v = &settings.voices[i];
		if (v->format == format && v->source == (source ? *source : 0))
			return v;
		if (!v->format)
			vacant = v;
	}
	if (vacant)
		*vacant = (struct voice){.format = format, .source = source ? *source : 0, .since = now};
	return vacant;
}

static bool has_said_enough(const struct voice *v, unsigned most)
{
	return v && v->written >= most;
}

static void leave_out(struct voice *v, enum log_level level, const char *room, const char *message)
{
	v->left_out++;
	v->level = level;
	v->room = room;
	size_t len = strnlen(message, sizeof v->last - 1);
	memcpy(v->last, message, len);
	v->last[len] = 0;
}

/* May it be written? If not, it is counted: for its source, or else for the place. */
static bool admit(enum log_level level, const char *room, const char *format, const uint64_t *source,
	const char *message)
{
	int64_t now = clock_mono_ms();
	catch_up(now, false);
	struct voice *place = find_voice(format, NULL, now),
		     *one = source ? find_voice(format, source, now) : NULL;
	if (has_said_enough(one, LOG_SOURCE_BURST)) {
		leave_out(one, level, room, message);
		return false;
	}
	if (has_said_enough(place, source ? LOG_SOURCES_BURST : LOG_BURST)) {
		leave_out(place, level, room, message);
		return false;
	}
	if (place)
		place->written++;
	if (one)
		one->written++;
	return true;
}

static void PRINTF(3, 0)
	say(enum log_level level, const char *room, const char *format, const uint64_t *source, va_list args)
{
	char message[LOG_MESSAGE_MAX + 4];
	int n = vsnprintf(message, LOG_MESSAGE_MAX + 1, format, args);
	if (n > LOG_MESSAGE_MAX)
		memcpy(message + LOG_MESSAGE_MAX, "...", 4);
	bool counting = !atomic_flag_test_and_set(&settings.busy);
	if (!counting || admit(level, room, format, source, message))
		write_line(level, room, message);
	if (counting)
		atomic_flag_clear(&settings.busy);
}

void log_event(enum log_level level, const char *room, const char *format, ...)
{
	if (level > settings.level)
		return;
	va_list args;
	va_start(args, format);
	say(level, room, format, NULL, args);
	va_end(args);
}

void log_event_about(enum log_level level, const char *room, uint64_t source, const char *format, ...)
{
	if (level > settings.level)
		return;
	va_list args;
	va_start(args, format);
	say(level, room, format, &source, args);
	va_end(args);
}
