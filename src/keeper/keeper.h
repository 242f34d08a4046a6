// SPDX-License-Identifier: GPL-3.0-or-later
/* The keeper: the only writer of the store and the only judge. It takes requests from sockets, checks the key
 * of every change itself, commits all waiting changes as one durable transaction and only then replies. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "delegate/delegate.h"
#include "ipc/messages.h"
#include "util/histogram.h"

/* Askers at once: the api, its successor during a reload, and room for more. People on the admin socket have
 * places of their own, so that they never take those. */
enum { KEEPER_CHANNELS = 8, KEEPER_ADMIN_CHANNELS = 16 };

/* The delegate that is the server's own, in the zone that holds the API's host name, or in the first. */
#define KEEPER_CHALLENGE_LABEL "_acme-challenge"

struct keeper_zone {
	const char *name; /* lower-case, no final dot */
	uint16_t id;
	struct delegate_rules rules;
};

/* What keepers have done, one after another, and what the present one has. Written by it alone; others may
 * read it at any time. */
struct keeper_counters {
	/* These only grow. */
	uint64_t registrations, changes;  /* done and durable */
	uint64_t refusals[IPC_STATUSES];  /* by reason */
	uint64_t slowed;                  /* of them, held back so that guessing is slow */
	uint64_t commits_failed;          /* transactions that wrote, and could not */
	uint64_t evidence;                /* queries noted */
	struct histogram commits, groups; /* microseconds of a commit that wrote; requests in it */
	/* These are as it is now. Times are milliseconds since the epoch. */
	int64_t beat; /* clock_mono_ms() of the last turn of its loop */
	int64_t started;
	int64_t writable_since; /* since when `writable` is what it is */
	uint64_t writable;      /* 0: the store cannot be opened, or the last write failed */
	uint64_t index_in_service, index_bytes, waiting_bcrypt;
	uint64_t evidence_lost;
	uint64_t store_bytes, map_bytes, pages_used, pages_free;
	uint64_t delegates, with_values, tokens, events;
	uint64_t reader_lag,
		reader_held_ms; /* commits; since when the oldest held commit is held, at least */
};

struct keeper_settings {
	const char *store_path;       /* NULL: it is damaged, so it is left alone and every request fails */
	struct delegate_index *index; /* follows every commit; NULL: there is none */
	const struct keeper_zone *zones; /* registrations go to the first */
	size_t zone_count;
	enum conf_registration_mode registration_mode;
	uint32_t per_address_per_hour; /* of registrations without a token; 0: no limit */
	uint32_t per_day;
	uint32_t failed_login_delay;                 /* milliseconds, at most */
	uint8_t operator_digest[SECURE_DIGEST_SIZE]; /* SHA-256 of the operator's bearer token; all zero: none
						      */
	uint64_t events_keep;             /* events in the audit log, at most; 0: none is written */
	int64_t clock_origin;             /* of the time by which values live; 0: the wall clock */
	const char *version;              /* for the report; NULL: not said */
	struct keeper_counters *counters; /* NULL: nobody reads them */
	/* Fills in what others than the keeper know; NULL: nobody does. */
	void (*fill_report)(void *ctx, struct ipc_report *report);
	void *report_ctx;
	/* Has the configuration records of that name? It is no delegate's then. NULL: it has none. */
	bool (*is_static)(const void *ctx, uint16_t zone, const char *label);
	const void *static_ctx;
	struct witness *witness; /* rings of the dns processes; NULL: none */
	int admin; /* the listening admin socket (SOCK_SEQPACKET), which stays the caller's; -1: none. Whoever
		      connects is let in if it is root or has our own user id, */
	bool admin_group;    /* and so is everybody else whom the mode of its file lets connect */
	const int *channels; /* sockets of those who ask, IPC_VERSION messages; owned by the keeper from here
				on */
	size_t channel_count;
	const int *agents; /* the same, of the agent: they can set the server's own challenge, and nothing
			      else */
	size_t agent_count;
	/* The zone in which the server's own challenge is; NULL: it has none, and the agent no right. */
	const struct keeper_zone *challenge_zone;
	int control; /* from the supervisor: each message carries the socket of a new asker (SCM_RIGHTS) and
			which kind it is of; -1: none */
	int stop;    /* readable when the keeper shall finish what is waiting and return */
};

/* Runs until `stop` is readable (OK) or the control socket closes (ERR_CLOSED). ERR_NOMEM, ERR_SYSTEM: could
 * not start. While the store cannot be opened every request is answered with IPC_FAILED and opening is tried
 * each second. */
int keeper_run(const struct keeper_settings *s) MUST_USE;
