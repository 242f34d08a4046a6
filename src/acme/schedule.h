// SPDX-License-Identifier: GPL-3.0-or-later
/* When to renew, and when to try again. Arithmetic only: the time and the dice (32 random bits) come from
 * outside. Milliseconds. */
#pragma once

#include "acme/acme.h"
#include "acme/documents.h"

/* The times to use: what is not set is as acme.h says. */
struct acme_times schedule_times(const struct acme_times *set);

/* Without the CA's word: after two thirds of the lifetime, or up to a fiftieth of it sooner, so that not all
 * come at once. */
int64_t schedule_by_lifetime(int64_t not_before, int64_t not_after, uint32_t dice);

/* Whatever the CA says: later than that, too little time is left for failures. */
int64_t schedule_latest(int64_t not_before, int64_t not_after);

/* RFC 9773 section 4.2: any moment of the window, each as likely. */
int64_t schedule_in_window(const struct window *w, uint32_t dice);

/* How long to wait for the next question when to renew; `said`: the CA's Retry-After, -1: none. */
int64_t schedule_check(const struct acme_times *t, int64_t said, int64_t lifetime);

/* How long to wait after so many failures in a row (1 or more). `lifetime` of the certificate there is, 0:
 * none. Doubles, with up to a quarter more or less, until a fortieth of the lifetime, at most longest_retry:
 * of the third that is left, one attempt in thirteen has to succeed. Without a certificate: an hour. */
int64_t schedule_retry(const struct acme_times *t, uint32_t failures, int64_t lifetime, uint32_t dice);

/* How long at least until the next order after one that went well: a CA that always says "at once" must not
 * be asked for ever. A twentieth of the lifetime, at most six hours. */
int64_t schedule_gap(const struct acme_times *t, int64_t lifetime);

/* A time read from a file, as far as it can be meant: not further from `now` than anything ever is. The clock
 * may have been wrong when it was written. */
int64_t schedule_sane(int64_t next, int64_t now);
