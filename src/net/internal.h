// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of this room share. */
#pragma once

/* Holds some 10 000 queries, a tenth of a second of a busy worker: what arrives while it is off the
 * processor. Debian's default (208 KiB) holds 512, which is 6 ms. Time per query is the same with both
 * (measured). */
enum { UDP_BUFFER = 4 << 20 };

/* Everything the loop waits for begins with one of these; epoll hands its address back. */
enum watch_kind { WATCH_STOP, WATCH_UDP, WATCH_LISTENER, WATCH_CONNECTION, WATCH_OTHER };

struct watch {
	enum watch_kind kind;
	int fd;
};
