// SPDX-License-Identifier: GPL-3.0-or-later
/* Which system calls a role may make: seccomp filters. */
#pragma once

#include <stdbool.h>

#include <seccomp.h>

#include "app/internal.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define CALLS_OF_SANITIZERS
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define CALLS_OF_SANITIZERS
#endif

/* The filter of a role for the calling process; the caller releases it. ERR_NOMEM; ERR_SYSTEM: see errno. */
int calls_filter(enum sandbox_role role, scmp_filter_ctx *out) MUST_USE;

/* False: this kernel has no filters. */
bool calls_can_be_filtered(void);

/* Takes everything else away, for good. Wants "no new privileges" set. As calls_filter. */
int calls_confine(enum sandbox_role role) MUST_USE;
