// SPDX-License-Identifier: GPL-3.0-or-later
/* The messages between the keeper and those who ask it (today the api process).
 *
 * Transport: one SOCK_SEQPACKET socket pair per asking process, so a message is a datagram of at most
 * IPC_MESSAGE_MAX bytes, in order and reliable. A message is: version (1 byte), type (1), epoch (8), id (8),
 * length of the rest (2), then fields in a fixed order, strings with a length byte. Whatever does not fit
 * exactly is refused.
 *
 * The keeper draws a random `epoch` when it starts and says it in a hello. A request carries the epoch its
 * sender knows; the keeper drops requests of an older epoch without an answer, because the sender, on seeing
 * the new hello, sends everything that is still unanswered again. So after the keeper was killed each pending
 * request is carried out by the new one exactly once (it may have been carried out by the old one too:
 * requests are repeatable).
 *
 * One thread per process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/address.h"
#include "util/error.h"

enum {
	IPC_VERSION = 1,
	IPC_MESSAGE_MAX = 4096,
	IPC_PENDING_MAX = 1024, /* requests one client may have in flight */
	IPC_NAME_MAX = 253,
	IPC_CREDENTIAL_MAX = 64,
	IPC_VALUE_MAX = 64,
	IPC_ALLOW_MAX = 32
};

enum ipc_type {
	IPC_HELLO = 1, /* request: "which epoch?"; reply, also sent unasked at start: the epoch */
	IPC_REGISTER,  /* allow -> name, key_id, secret */
	IPC_UPDATE,    /* credentials, name (the label as the client sent it), value -> nothing */
	IPC_PRESENT,   /* credentials, name (the fqdn as sent, may be empty), value -> nothing */
	IPC_CLEANUP,   /* the same */
	IPC_HEALTH     /* -> nothing */
};

enum ipc_status {
	IPC_OK = 0,
	IPC_FORBIDDEN, /* credentials, allow list, or (update) a name that is not the key's delegate */
	IPC_FOREIGN,   /* present, cleanup: good key, but the name lies in one of our zones and is not its
			  delegate */
	IPC_BAD_VALUE, /* good key, but the value is not one */
	IPC_CLOSED,    /* registration is closed */
	IPC_LIMITED,   /* registration limit; retry_after says for how long */
	IPC_FAILED,    /* the store cannot be read or written; nothing was changed */
	IPC_STATUSES
};

struct ipc_request {
	enum ipc_type type;
	struct address client; /* as the api believes it; the keeper judges allow lists and limits by it */
	char key_id[IPC_CREDENTIAL_MAX + 1];
	char secret[IPC_CREDENTIAL_MAX + 1];
	char name[IPC_NAME_MAX + 1];
	char value[IPC_VALUE_MAX + 1];
	struct prefix allow[IPC_ALLOW_MAX];
	size_t allow_count;
};

struct ipc_reply {
	enum ipc_type type; /* of the request */
	enum ipc_status status;
	uint32_t retry_after; /* seconds, for IPC_LIMITED */
	char key_id[IPC_CREDENTIAL_MAX + 1];
	char secret[IPC_CREDENTIAL_MAX + 1];
	char label[IPC_NAME_MAX + 1]; /* <label> */
	char zone[IPC_NAME_MAX + 1];  /* <zone>, no final dot */
};

struct ipc_envelope {
	uint64_t epoch;
	uint64_t id;
};

/* Bytes <-> structs. Encoding: ERR_RANGE (does not fit). Decoding: ERR_INVALID (anything not exactly right).
 */
int ipc_encode_request(const struct ipc_envelope *e, const struct ipc_request *r, uint8_t *out, size_t cap,
	size_t *len) MUST_USE;
int ipc_decode_request(const uint8_t *in, size_t len, struct ipc_envelope *e, struct ipc_request *r) MUST_USE;
int ipc_encode_reply(const struct ipc_envelope *e, const struct ipc_reply *r, uint8_t *out, size_t cap,
	size_t *len) MUST_USE;
int ipc_decode_reply(const uint8_t *in, size_t len, struct ipc_envelope *e, struct ipc_reply *r) MUST_USE;

/* One datagram, without waiting. ERR_AGAIN: would block. ERR_CLOSED: the other side is gone. ERR_SYSTEM.
 * ipc_receive: *len bytes; a datagram longer than IPC_MESSAGE_MAX is ERR_INVALID and gone. */
int ipc_send(int fd, const uint8_t *data, size_t len) MUST_USE;
int ipc_receive(int fd, uint8_t out[static IPC_MESSAGE_MAX], size_t *len) MUST_USE;

/* Hands a socket to the process at the other end of `fd` (SCM_RIGHTS); it stays open here too. Errors of
 * ipc_send. */
int ipc_send_channel(int fd, int channel) MUST_USE;
/* Takes one that was handed over; the caller closes it. ERR_AGAIN: none waits. ERR_INVALID: a message without
 * a socket, which is gone. ERR_CLOSED, ERR_SYSTEM. */
int ipc_receive_channel(int fd, int *channel) MUST_USE;

/* ---- the asking side ---- */

struct ipc_client;

/* Called once for every request that ipc_client_ask() accepted. `reply` is NULL when the keeper did not
 * answer in time, or died more than once over this request: the outcome is then unknown. The reply lives
 * until it returns. */
typedef void ipc_done(void *ctx, const struct ipc_reply *reply);

/* Takes over `fd` (closed by ipc_client_free). Asks for the epoch; requests wait until it is known.
 * ERR_NOMEM, ERR_SYSTEM. */
int ipc_client_new(int fd, struct ipc_client **out) MUST_USE;
/* Ends every pending request with a NULL reply. Accepts NULL inside; sets it to NULL. */
void ipc_client_free(struct ipc_client **c);

/* Sends (or holds until the epoch is known). The request is copied. `now` is clock_mono_ms(). On an error
 * `done` is never called. ERR_LIMIT: IPC_PENDING_MAX in flight. ERR_NOMEM. ERR_SYSTEM. ERR_RANGE. */
int ipc_client_ask(
	struct ipc_client *c, const struct ipc_request *r, int64_t now, ipc_done *done, void *ctx) MUST_USE;

/* Call when the descriptor is readable, and at least once a second: takes replies, ends overdue requests.
 * ERR_CLOSED: the supervisor is gone. */
int ipc_client_run(struct ipc_client *c, int64_t now) MUST_USE;
int ipc_client_fd(const struct ipc_client *c);
size_t ipc_client_pending(const struct ipc_client *c);
