// SPDX-License-Identifier: GPL-3.0-or-later
/* What ACME clients ask for by key: values come and go. */
#include <string.h>

#include "keeper/internal.h"

static enum ipc_status change_status(int rc)
{
	/* A key is known and its delegate is not: an import that was interrupted. */
	if (rc == ERR_NOTFOUND)
		return IPC_FORBIDDEN;
	return rc == ERR_INVALID ? IPC_BAD_VALUE : status_of(rc);
}

enum ipc_status hear_change(struct hearing *h)
{
	const struct ipc_request *r = h->r;
	enum ipc_status status = hear_key(h);
	if (status)
		return status;
	const struct delegate_id *id = &h->login.id;
	/* acme-dns answers as if the key were wrong, and compares byte for byte. */
	if (r->type == IPC_UPDATE && strcmp(r->name, id->label) != 0)
		return IPC_FORBIDDEN;
	if (r->type != IPC_UPDATE && !name_fits(h->judge->settings, r->name, id))
		return IPC_FOREIGN;
	if (delegate_value_valid(r->value))
		event_detail(h, r->value);
	const struct delegate_rules *rules = &zone_by_id(h->judge->settings, id->zone)->rules;
	const struct delegate_actor who = actor_of(h);
	return change_status(r->type == IPC_CLEANUP ? delegate_withdraw(h->t, id, r->value, &who)
						    : delegate_put(h->t, id, r->value, rules, &who));
}
