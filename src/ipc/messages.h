// SPDX-License-Identifier: GPL-3.0-or-later
/* What can be asked of the keeper, and what it says to it. Times are milliseconds since the epoch, 0: never;
 * an address of all zeros: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/address.h"

enum {
	IPC_VERSION = 3,
	IPC_MESSAGE_MAX = 16384,
	IPC_PENDING_MAX = 1024, /* requests one client may have in flight */
	IPC_NAME_MAX = 253,
	IPC_LABEL_MAX = 63,
	IPC_CREDENTIAL_MAX = 64,
	IPC_VALUE_MAX = 64,
	IPC_NOTE_MAX = 100,
	IPC_ALLOW_MAX = 32,
	IPC_ALIASES_MAX = 8,
	IPC_KEYS_MAX = 2,
	IPC_VALUES_MAX = 32,
	IPC_CHANGES_MAX = 4,
	IPC_ASKERS_MAX = 16,
	IPC_PAGE_MAX = 32,      /* entries of a list in one reply */
	IPC_TOKENS_MAX = 12,    /* of tokens, which are larger */
	IPC_CHALLENGES_MAX = 8, /* values of the server's own challenge */
	IPC_PROCESSES_MAX = 64,
	IPC_PROCESS_NAME_MAX = 15,
	IPC_ERROR_MAX = 255
};

/* "name" and so on are the members of struct ipc_request that a type uses besides by, client, key_id and
 * secret; behind the arrow, what an IPC_OK reply holds. */
enum ipc_type {
	IPC_HELLO = 1, /* "which epoch?" -> the epoch, in the envelope; also sent unasked at start */
	IPC_HEALTH,    /* -> nothing */
	IPC_REGISTER,  /* name (the label wanted, or empty), allow, aliases, flags; `secret`: a registration
			  token, or empty -> credentials */
	/* By key only. */
	IPC_UPDATE,  /* name (the label as the client sent it), value -> nothing */
	IPC_PRESENT, /* name (the fqdn as sent, may be empty), value -> nothing */
	IPC_CLEANUP, /* the same */
	/* About one delegate: the key's own, or for the operator the one called `name`. */
	IPC_DELEGATE_SHOW,   /* -> delegate */
	IPC_DELEGATE_REMOVE, /* -> nothing. Its label is never given out again */
	IPC_VALUES_CLEAR,    /* -> nothing */
	IPC_ALLOW_SET,       /* allow, flags -> nothing */
	IPC_ALIASES_SET,     /* aliases -> nothing */
	IPC_KEY_ADD,         /* -> credentials */
	IPC_KEY_ROTATE, /* target (a key id; empty: the asking key, or the only one), flags -> credentials */
	IPC_KEY_REVOKE, /* target, flags -> nothing */
	/* By the operator only. */
	IPC_DELEGATE_ADD,  /* name (the label, or empty), zone (empty: the first), allow, aliases ->
			      credentials */
	IPC_DELEGATE_LIST, /* name (the full name after which to go on, or empty), limit -> delegates */
	IPC_TOKEN_ADD,     /* terms -> token */
	IPC_TOKEN_LIST,    /* target (the token id after which to go on, or empty), limit -> tokens */
	IPC_TOKEN_REVOKE,  /* target (a token id) -> nothing */
	IPC_STATUS,        /* -> report */
	IPC_EVENTS,        /* after, limit, name (of one delegate, or empty), flags -> events */
	/* By the agent only. */
	IPC_CHALLENGE_SET, /* challenges: exactly these values at the server's own challenge name, the
			      reserved delegate _acme-challenge, which is made when it is first asked for;
			      none: withdraws what is there -> nothing */
	IPC_TYPES
};

/* Whose right a request claims. */
enum ipc_by {
	IPC_BY_NOBODY,
	IPC_BY_KEY,      /* key_id and secret */
	IPC_BY_OPERATOR, /* on the admin socket by what the socket is; elsewhere `secret` is the bearer token
			  */
	IPC_BY_AGENT,    /* on the agent's channel, which has this right and no other */
	IPC_BYS
};

enum ipc_flag {
	IPC_FLAG_AT_ONCE = 1, /* KEY_ROTATE: the old key ends now, not at the first use of the new one */
	IPC_FLAG_FORCE = 2,   /* ALLOW_SET: even if it shuts out who asks. KEY_REVOKE: even the last key */
	IPC_FLAG_MAYBE = 4,   /* REGISTER: `secret` may be something else; where no token is needed, a bad one
				 is none */
	IPC_FLAG_WAIT = 8,    /* EVENTS: if there are none, wait for some, 10 s at most */
	IPC_FLAG_NEWEST = 16, /* EVENTS: the last `limit` there are, instead of the first behind `after` */
	IPC_FLAGS = 31
};

enum ipc_status {
	IPC_OK = 0,
	IPC_FORBIDDEN, /* credentials, allow list, no right to ask this, or (update) a name that is not the
			  key's delegate */
	IPC_FOREIGN,   /* present, cleanup: good key, but the name lies in one of our zones and is not its
			  delegate */
	IPC_BAD_VALUE, /* good key, but the value is not one */
	IPC_CLOSED,    /* registration is closed */
	IPC_LIMITED,   /* too many registrations; retry_after says for how long */
	IPC_FAILED,    /* the store cannot be read or written; nothing was changed */
	IPC_BUSY,      /* too much to do at present; retry_after. Nothing was changed */
	IPC_TOKEN_REQUIRED, /* registration needs a token */
	IPC_BAD_TOKEN,      /* there is no such token (any more) */
	IPC_TOKEN_EXPIRED,
	IPC_TOKEN_SPENT, /* its quota is used up */
	IPC_BAD_NAME,    /* not a label that can be given out here, not a zone of ours, or not an alias */
	IPC_NOT_FOUND,   /* no such delegate, key or token */
	IPC_EXISTS,      /* the label is taken, or was: labels are never given out again */
	IPC_TOO_MANY,    /* the delegate has two keys */
	IPC_LAST_KEY,    /* revoking it would leave the delegate without one */
	IPC_SHUTS_OUT,   /* the allow list does not contain who asks */
	IPC_STATUSES
};

/* What a registration token allows. */
struct ipc_terms {
	char note[IPC_NOTE_MAX + 1]; /* what the operator wants to remember */
	char zone[IPC_NAME_MAX + 1]; /* in which its delegates are; empty in a request: the first */
	char label[IPC_LABEL_MAX + 1];
	bool label_is_prefix; /* false: exactly `label`, or if that is empty any */
	uint32_t quota;       /* registrations; 0: no limit */
	int64_t expiry;
	size_t allow_count; /* > 0: every delegate gets this list */
	struct prefix allow[IPC_ALLOW_MAX];
};

struct ipc_request {
	enum ipc_type type;
	enum ipc_by by;
	unsigned flags;        /* of enum ipc_flag */
	struct address client; /* as the api believes it; the keeper judges allow lists and limits by it */
	char key_id[IPC_CREDENTIAL_MAX + 1];
	char secret[IPC_CREDENTIAL_MAX + 1];
	char name[IPC_NAME_MAX + 1];
	char zone[IPC_NAME_MAX + 1];
	char value[IPC_VALUE_MAX + 1];
	char target[IPC_CREDENTIAL_MAX + 1];
	uint64_t after;
	uint16_t limit; /* 0: as many as fit */
	size_t allow_count;
	struct prefix allow[IPC_ALLOW_MAX];
	size_t alias_count;
	char aliases[IPC_ALIASES_MAX][IPC_NAME_MAX + 1];
	struct ipc_terms terms;
	size_t challenge_count;
	char challenges[IPC_CHALLENGES_MAX][IPC_VALUE_MAX + 1];
};

/* A key with its secret, which nobody can be told again. */
struct ipc_credentials {
	char key_id[IPC_CREDENTIAL_MAX + 1];
	char secret[IPC_CREDENTIAL_MAX + 1];
	char label[IPC_LABEL_MAX + 1];
	char zone[IPC_NAME_MAX + 1]; /* no final dot */
	size_t allow_count;
	struct prefix allow[IPC_ALLOW_MAX];
};

struct ipc_key {
	char id[IPC_CREDENTIAL_MAX + 1];
	int64_t created;
	int64_t used; /* last, to change values */
	struct address used_from;
	bool retiring; /* ends with the first use of the other one */
	bool bcrypt;   /* imported from acme-dns and not used since */
};

enum ipc_change_kind { IPC_CHANGE_PUT, IPC_CHANGE_WITHDRAWN, IPC_CHANGE_CLEARED, IPC_CHANGE_KINDS };

struct ipc_change {
	int64_t when;
	enum ipc_change_kind kind;
	struct address from;
	char key[9]; /* the first 8 characters of the key id; empty: the operator */
};

/* A resolver that asked for the delegate while it had values. */
struct ipc_asker {
	struct address resolver;
	int64_t first, last;
	uint32_t times; /* at least */
};

struct ipc_delegate {
	char label[IPC_LABEL_MAX + 1];
	char zone[IPC_NAME_MAX + 1];
	int64_t created;
	size_t key_count;
	struct ipc_key keys[IPC_KEYS_MAX];
	size_t allow_count;
	struct prefix allow[IPC_ALLOW_MAX];
	size_t alias_count;
	char aliases[IPC_ALIASES_MAX][IPC_NAME_MAX + 1];
	size_t value_count;
	struct {
		char text[IPC_VALUE_MAX + 1];
		int64_t expiry;
	} values[IPC_VALUES_MAX];
	size_t change_count;
	struct ipc_change changes[IPC_CHANGES_MAX]; /* newest first */
	size_t asker_count;
	struct ipc_asker askers[IPC_ASKERS_MAX]; /* newest first */
};

struct ipc_delegate_entry {
	char label[IPC_LABEL_MAX + 1];
	char zone[IPC_NAME_MAX + 1];
	int64_t created, changed; /* changed: its values, last */
	uint8_t keys, values;
};

struct ipc_token {
	char id[IPC_CREDENTIAL_MAX + 1];
	char secret[IPC_CREDENTIAL_MAX + 1]; /* from IPC_TOKEN_ADD only */
	int64_t created, used;               /* used: last */
	uint32_t spent;                      /* registrations */
	struct ipc_terms terms;
};

enum ipc_event_kind {
	IPC_EVENT_REGISTER = 1,
	IPC_EVENT_UPDATE,
	IPC_EVENT_WITHDRAW,
	IPC_EVENT_CLEAR,
	IPC_EVENT_REMOVE,
	IPC_EVENT_KEY_ADD,
	IPC_EVENT_KEY_ROTATE,
	IPC_EVENT_KEY_REVOKE,
	IPC_EVENT_KEY_RETIRED, /* its successor was used for the first time */
	IPC_EVENT_ALLOW,
	IPC_EVENT_ALIASES,
	IPC_EVENT_TOKEN_ADD,
	IPC_EVENT_TOKEN_REVOKE,
	IPC_EVENT_START,     /* of the keeper */
	IPC_EVENT_ACCESS,    /* something was to be read, and refused */
	IPC_EVENT_CHALLENGE, /* the values of the server's own challenge were set, or withdrawn */
	IPC_EVENT_KINDS
};

struct ipc_event {
	uint64_t sequence;
	int64_t when;
	enum ipc_event_kind kind;
	enum ipc_status outcome; /* IPC_OK, or why it was refused */
	enum ipc_by by;
	uint32_t times;        /* refusals of one kind from one network within a short time are one event */
	uint32_t uid;          /* of the operator on the admin socket */
	struct address client; /* none: the admin socket */
	char key[IPC_CREDENTIAL_MAX + 1]; /* id of the key, or of the token */
	char name[IPC_NAME_MAX + 1];      /* the delegate; empty: not known */
	char detail[IPC_NOTE_MAX + 1];    /* the value, the key or token that was changed */
};

enum ipc_process_state {
	IPC_PROCESS_RUNS,
	IPC_PROCESS_MISSING,   /* not there, or just started, for more than three seconds */
	IPC_PROCESS_STUCK,     /* there, and its loop has not turned for more than three seconds */
	IPC_PROCESS_NO_ANSWER, /* a dns process does not get a right answer for its own zone */
	IPC_PROCESS_NO_STORE,  /* a dns process cannot read the store */
	IPC_PROCESS_STATES
};

struct ipc_process {
	char name[IPC_PROCESS_NAME_MAX + 1]; /* "dns0", "keeper" */
	enum ipc_process_state state;
	uint32_t pid;         /* 0: there is none */
	uint32_t restarts;    /* since the server started */
	uint32_t confinement; /* bits of enum confinement (app/board.h) */
	int64_t started;      /* of this one */
	int64_t up;           /* milliseconds that have passed since, whatever was done to the clock */
	int64_t since;        /* when it came into this state */
};

/* Of the API. */
struct ipc_certificate {
	bool acme; /* the server gets it by itself; else the members behind not_after are 0 */
	int64_t not_before, not_after; /* 0: there is none */
	int64_t last_attempt, last_success, next_attempt;
	uint32_t failures; /* in a row */
	char error[IPC_ERROR_MAX + 1];
};

struct ipc_report {
	char version[32];
	int64_t server_started; /* of the supervisor */
	int64_t server_up;      /* milliseconds that have passed since */
	int64_t started;        /* of this keeper */
	uint64_t delegates;
	bool index_in_service;
	uint64_t index_bytes, store_bytes;
	bool store_writable;                                       /* the last commit succeeded */
	int64_t store_since;                                       /* when that came to be so */
	uint8_t registration;                                      /* enum conf_registration_mode */
	uint64_t registrations, changes, refusals, waiting_bcrypt; /* since the server started */
	uint64_t events_first, events_last;                        /* sequence numbers; 0: none */
	uint64_t tokens;
	uint64_t evidence, evidence_lost; /* queries noted, queries for which there was no room */
	uint64_t queries_udp, queries_tcp, queries_tls, queries_dropped, replies_limited;
	bool tls; /* the API needs a certificate */
	struct ipc_certificate certificate;
	uint64_t process_count;                          /* in service; those that fail stand first */
	struct ipc_process processes[IPC_PROCESSES_MAX]; /* the first of them */
	size_t zone_count; /* of the configuration; the first IPC_PAGE_MAX are named */
	char zones[IPC_PAGE_MAX][IPC_NAME_MAX + 1];
};

/* More follow while the page is full; go on behind the last entry. */
struct ipc_reply {
	enum ipc_type type; /* of the request */
	enum ipc_status status;
	uint32_t retry_after; /* seconds, for IPC_LIMITED and IPC_BUSY */
	uint32_t delay;       /* milliseconds to hold this refusal back, so that guessing is slow */
	size_t count;         /* entries of a page */
	union {
		struct ipc_credentials credentials;
		struct ipc_delegate delegate;
		struct ipc_delegate_entry delegates[IPC_PAGE_MAX];
		struct ipc_token token;
		struct ipc_token tokens[IPC_TOKENS_MAX];
		struct ipc_event events[IPC_PAGE_MAX];
		struct ipc_report report;
	};
};
