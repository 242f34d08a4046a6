// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of this room share. */
#pragma once

/* Everything the loop waits for begins with one of these; epoll hands its address back. */
enum watch_kind { WATCH_STOP, WATCH_UDP, WATCH_LISTENER, WATCH_CONNECTION };

struct watch {
	enum watch_kind kind;
	int fd;
};
