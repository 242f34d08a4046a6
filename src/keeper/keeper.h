// SPDX-License-Identifier: GPL-3.0-or-later
/* The keeper: the only writer of the store and the only judge. It takes requests from sockets, checks the key
 * of every change itself, commits all waiting changes as one durable transaction and only then replies. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "delegate/delegate.h"

/* Askers at once: the api, its successor during a reload, and room for more. */
enum { KEEPER_CHANNELS = 8 };

struct keeper_zone {
	const char *name; /* lower-case, no final dot */
	uint16_t id;
	struct delegate_rules rules;
};

struct keeper_settings {
	const char *store_path;
	struct delegate_index *index;    /* follows every commit; NULL: there is none */
	const struct keeper_zone *zones; /* registrations go to the first */
	size_t zone_count;
	enum conf_registration_mode registration_mode;
	uint32_t per_address_per_hour; /* 0: no limit */
	uint32_t per_day;
	const int *channels; /* sockets of those who ask, IPC_VERSION messages; owned by the keeper from here
				on */
	size_t channel_count;
	int control; /* from the supervisor: each message carries the socket of a new asker (SCM_RIGHTS); -1:
			none */
	int stop;    /* readable when the keeper shall finish what is waiting and return */
};

/* Runs until `stop` is readable (OK) or the control socket closes (ERR_CLOSED). ERR_NOMEM, ERR_SYSTEM: could
 * not start. While the store cannot be opened every request is answered with IPC_FAILED and opening is tried
 * each second. */
int keeper_run(const struct keeper_settings *s) MUST_USE;
