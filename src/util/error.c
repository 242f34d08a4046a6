// SPDX-License-Identifier: GPL-3.0-or-later
#include "util/error.h"

const char *error_text(int code)
{
	switch (code) {
	case OK:
		return "no error";
#define X(name, value, text)                                                                                 \
	case name:                                                                                           \
		return text;
		ERROR_MAP(X)
#undef X
	default:
		return "unknown error";
	}
}
