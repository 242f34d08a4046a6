// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of this room share. */
#pragma once

#include <gnutls/gnutls.h>

#include "tls/tls.h"

enum { TLS_FILE_MAX = 1 << 20 };

/* Reads a file of less than TLS_FILE_MAX bytes from its start, without moving its offset, which other
 * processes may share. out->data is to be freed with tls_wipe() in every case. ERR_INVALID: it is larger.
 * ERR_NOMEM; ERR_SYSTEM: see errno. */
int tls_read_open(int fd, gnutls_datum_t *out) MUST_USE;
/* Forgets what was read. */
void tls_wipe(gnutls_datum_t *f);
