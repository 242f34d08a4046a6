// SPDX-License-Identifier: GPL-3.0-or-later
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/internal.h"
#include "util/clock.h"

enum { PROGRESS_MS = 1000 };

const char *progress_number(uint64_t n, char out[static PROGRESS_NUMBER])
{
	char *at = out + PROGRESS_NUMBER - 1;
	*at = 0;
	for (unsigned digits = 0; digits == 0 || n; digits++, n /= 10) {
		if (digits && digits % 3 == 0)
			*--at = ' ';
		*--at = (char)('0' + n % 10);
	}
	return at;
}

struct progress progress_begin(void)
{
	return (struct progress){.terminal = isatty(STDERR_FILENO), .started = clock_mono_ms()};
}

void progress_show(struct progress *p, const char *doing, const char *unit, uint64_t done, uint64_t total)
{
	char a[PROGRESS_NUMBER], b[PROGRESS_NUMBER];
	if (!p->terminal)
		return;
	int64_t now = clock_mono_ms();
	if (now - (p->shown ? p->shown : p->started) < PROGRESS_MS)
		return;
	p->shown = now;
	fprintf(stderr, "\r\033[K%s%s%s%s %s", progress_number(done, a), total ? " of " : "",
		total ? progress_number(total, b) : "", unit, doing);
	fflush(stderr);
}

void progress_clear(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = 0;
}

long long progress_seconds(const struct progress *p)
{
	return (long long)(clock_mono_ms() - p->started + 500) / 1000;
}

int app_interrupt_open(void)
{
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &stop, NULL) || signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return -1;
	return signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
}

int interrupt_wait(int stop, int fd, short events)
{
	struct pollfd p[] = {{.fd = fd, .events = events}, {.fd = stop, .events = POLLIN}};
	int n = poll(p, 2, -1);
	return n > 0 && p[1].revents ? ERR_CLOSED : OK; /* whatever else happened, reading or writing tells */
}
