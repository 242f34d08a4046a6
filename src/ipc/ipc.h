// SPDX-License-Identifier: GPL-3.0-or-later
/* The messages between the keeper and those who ask it: the api process, and on the admin socket the command
 * line.
 *
 * Transport: one SOCK_SEQPACKET connection per asker, so a message is a datagram of at most IPC_MESSAGE_MAX
 * bytes, in order and reliable. A message is: version (1 byte), type (1), epoch (8), id (8), length of the
 * rest (2), then the fields of its type in a fixed order, strings with a length byte (codec.c has the
 * tables). Whatever does not fit exactly is refused.
 *
 * The keeper draws a random `epoch` when it starts and says it in a hello. A request carries the epoch its
 * sender knows; the keeper drops requests of an older epoch without an answer, because the sender, on seeing
 * the new hello, sends everything that is still unanswered again. So after the keeper was killed each pending
 * request is carried out by the new one exactly once (it may have been carried out by the old one too:
 * requests are repeatable, or harmless when they are done twice).
 *
 * One thread per process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/messages.h"
#include "util/error.h"

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
/* Of what follows `count`, only what a reply of that type and status holds is set. */
int ipc_decode_reply(const uint8_t *in, size_t len, struct ipc_envelope *e, struct ipc_reply *r) MUST_USE;
/* Forgets the secrets a reply may hold. */
void ipc_reply_wipe(struct ipc_reply *r);

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
/* True: a keeper is there, and has its store. */
bool ipc_client_greeted(const struct ipc_client *c);
int ipc_client_fd(const struct ipc_client *c);
size_t ipc_client_pending(const struct ipc_client *c);
