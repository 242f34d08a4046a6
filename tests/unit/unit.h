// SPDX-License-Identifier: GPL-3.0-or-later
/* What every unit test includes: cmocka with the headers it wants first. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
