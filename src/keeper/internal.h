// SPDX-License-Identifier: GPL-3.0-or-later
/* The judge: what one request means, within a transaction. No socket, no clock. */
#pragma once

#include "delegate/events.h"
#include "delegate/failures.h"
#include "delegate/limits.h"
#include "delegate/tokens.h"
#include "ipc/ipc.h"
#include "keeper/channels.h"
#include "keeper/collector.h"
#include "keeper/keeper.h"

struct audit;

struct judge_time {
	int64_t wall, mono; /* milliseconds */
	int64_t jump; /* by which the wall clock was set ahead (or, negative, back) since the server started:
			 values live by the time that has passed, everything else by the calendar */
};

struct judge {
	const struct keeper_settings *settings;
	struct limits *limits;
	struct failures *failures;
	struct audit *audit;
	struct store *store;         /* NULL: not open; then neither is the next */
	struct store_snapshot *view; /* released; shows what is durable, not the transaction under way */
	int64_t started;             /* milliseconds since the epoch */
	struct collector collector;
	size_t waiting_bcrypt;                    /* for the report */
	struct keeper_counters *counters, unread; /* unread: where nobody reads them */
	bool health_asked; /* somebody wants to know whether the store can be written */
	bool probe;        /* the last commit that wrote has failed: whether it goes again must be tried */
};

enum judgement {
	JUDGED,       /* the reply is complete */
	JUDGE_VERIFY, /* the secret has first to be compared with a bcrypt digest; without that, the reply */
	JUDGE_HOLD    /* there is nothing to tell yet: ask again later, or send the reply */
};

/* One request before the judge. */
struct hearing {
	struct judge *judge;
	struct store_txn *t;
	const struct ipc_request *r;
	const struct asker *asker;
	struct judge_time now;
	struct ipc_reply *out; /* of what follows `count`, only what was filled in is set */
	enum judgement judgement;
	struct delegate_login login; /* by key, once it is known */
	struct event event;          /* what will be written about it */
};

/* Judges a request. `h` has judge, t, r, asker, now and out, and nothing else. `t` NULL: the store is not
 * open, and everything fails. What the transaction refuses shows in its commit; the caller then turns IPC_OK
 * into IPC_FAILED. After JUDGE_VERIFY login.bcrypt is the digest. */
enum judgement judge_request(struct hearing *h);
/* The secret of a request that was to be verified is wrong. */
void judge_wrong_secret(struct hearing *h);

/* ---- what the judge's files share ---- */

enum ipc_status status_of(int rc);
/* Is it the label of a name with records in the configuration? Empty: no. */
bool label_is_static(const struct hearing *h, uint16_t zone, const char *label);
/* Notes a failed attempt to show a right: the reply is to be held back. */
enum ipc_status refuse_attempt(struct hearing *h, enum ipc_status why);
/* Whose key is it? Anything but IPC_OK ends the hearing. */
enum ipc_status hear_key(struct hearing *h);
/* Who changes values. */
struct delegate_actor actor_of(const struct hearing *h);
/* What is said of it in the audit log. What is too long is cut. */
void event_key(struct hearing *h, const char *key);
void event_detail(struct hearing *h, const char *detail);
void event_name(struct hearing *h, const struct delegate_id *id);

/* names.c */
const struct keeper_zone *zone_by_id(const struct keeper_settings *s, uint16_t id); /* NULL: not configured */
/* In either case, with or without a final dot. NULL: not configured. */
const struct keeper_zone *zone_by_name(const struct keeper_settings *s, const char *name);
/* A full name, in either case, with or without a final dot. False: not right below a zone of ours. */
bool name_parse(const struct keeper_settings *s, const char *name, struct delegate_id *out);
/* May a key of this delegate come with the name that a httpreq client sends along? */
bool name_fits(const struct keeper_settings *s, const char *name, const struct delegate_id *id);
/* Lower-cases into `out`. */
void name_lower(const char *label, char out[static DELEGATE_LABEL_MAX + 1]);

/* The operations. */
enum ipc_status hear_register(struct hearing *h);      /* registration.c */
enum ipc_status hear_delegate_add(struct hearing *h);  /* registration.c */
enum ipc_status hear_change(struct hearing *h);        /* changes.c */
enum ipc_status hear_delegate(struct hearing *h);      /* delegates.c: all that are about one delegate */
enum ipc_status hear_delegate_list(struct hearing *h); /* lists.c */
enum ipc_status hear_token_list(struct hearing *h);    /* lists.c */
enum ipc_status hear_events(struct hearing *h);        /* lists.c */
enum ipc_status hear_token_add(struct hearing *h);     /* operator.c */
enum ipc_status hear_token_revoke(struct hearing *h);  /* operator.c */
enum ipc_status hear_status(struct hearing *h);        /* operator.c */
enum ipc_status hear_challenge(struct hearing *h);     /* challenge.c */

/* Fill in a part of the reply. */
enum ipc_status give_credentials(
	struct hearing *h, const struct delegate_credentials *made, const struct delegate_allow *allow);
void give_token(const struct keeper_settings *s, const struct token *k, struct ipc_token *out);
/* Between the two forms of a list. */
void take_allow(const struct prefix *from, size_t count, struct delegate_allow *out);
/* False: not aliases. */
bool take_aliases(const struct ipc_request *r, struct delegate_aliases *out);
void copy_text(char *out, size_t cap, const char *text);
