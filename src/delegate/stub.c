// SPDX-License-Identifier: GPL-3.0-or-later
#include "delegate/delegate.h"

bool delegate_alias_clean(char name[static DELEGATE_ALIAS_MAX + 1])
{
	return *name;
}
