// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnutls/abstract.h>

#include "acme/jws.h"

struct jws_key {
	gnutls_privkey_t key;
	char x[45], y[45]; /* base64url */
};
