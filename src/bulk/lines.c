// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulk/internal.h"

enum { BUFFER = 4 * BULK_LINE_MAX };

struct lines {
	int input, stop;
	bool end; /* of the input */
	uint64_t number;
	size_t at, have; /* what of the buffer is still to be given, and what is filled */
	char buffer[BUFFER];
};

bool bulk_told_to_stop(int stop)
{
	struct pollfd p = {.fd = stop, .events = POLLIN};
	return stop >= 0 && poll(&p, 1, 0) > 0;
}

int lines_new(int input, int stop, struct lines **out)
{
	*out = malloc(sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	(*out)->input = input;
	(*out)->stop = stop;
	(*out)->end = false;
	(*out)->number = 0;
	(*out)->at = (*out)->have = 0;
	return OK;
}

void lines_free(struct lines **l)
{
	free(*l);
	*l = NULL;
}

uint64_t lines_number(const struct lines *l)
{
	return l->number;
}

/* Waits for input, or for the word to stop, which may come while nothing is written into a pipe. */
static int wait_for_input(const struct lines *l)
{
	struct pollfd p[] = {{.fd = l->input, .events = POLLIN}, {.fd = l->stop, .events = POLLIN}};
	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return ERR_SYSTEM;
	return p[1].revents ? ERR_CLOSED : OK;
}

/* Reads on behind what is in the buffer, which has room. */
static int read_on(struct lines *l)
{
	ssize_t n;
	do {
		int rc = wait_for_input(l);
		if (rc)
			return rc;
		n = read(l->input, l->buffer + l->have, sizeof l->buffer - l->have);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return ERR_SYSTEM;
	l->have += (size_t)n;
	l->end = n == 0;
	return OK;
}

/* Makes room at the end of the buffer. */
static void shift(struct lines *l)
{
	memmove(l->buffer, l->buffer + l->at, l->have - l->at);
	l->have -= l->at;
	l->at = 0;
}

/* Leaves out the rest of a line that is too long. */
static int skip_line(struct lines *l)
{
	for (;;) {
		const char *newline = memchr(l->buffer + l->at, '\n', l->have - l->at);
		l->at = newline ? (size_t)(newline - l->buffer) + 1 : l->have;
		if (newline || l->end)
			return ERR_RANGE;
		shift(l);
		int rc = read_on(l);
		if (rc)
			return rc;
	}
}

int lines_next(struct lines *l, const char **line, size_t *len)
{
	size_t searched = 0;
	l->number++;
	for (;;) {
		const char *from = l->buffer + l->at;
		const char *newline = memchr(from + searched, '\n', l->have - l->at - searched);
		searched = l->have - l->at;
		*line = from;
		*len = newline ? (size_t)(newline - from) : searched;
		if (*len > BULK_LINE_MAX)
			return skip_line(l);
		if (newline || (l->end && *len)) {
			l->at += *len + (newline != NULL);
			return OK;
		}
		if (l->end)
			return ERR_NOTFOUND;
		shift(l);
		int rc = read_on(l);
		if (rc)
			return rc;
	}
}
