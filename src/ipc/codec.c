// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages: a header, and what requests.c and replies.c make of the rest. */
#include <string.h>

#include "ipc/fields.h"
#include "util/secure.h"

enum { HEADER = 1 + 1 + 8 + 8 + 2, REPLY_BIT = 0x80 };

static void write_header(struct writer *w, uint8_t type, const struct ipc_envelope *e)
{
	write_u8(w, IPC_VERSION);
	write_u8(w, type);
	write_u64(w, e->epoch);
	write_u64(w, e->id);
	write_u16(w, 0); /* the length, once it is known */
}

static int finish(struct writer *w, size_t *len)
{
	int rc = writer_finish(w, len);
	if (rc)
		return rc;
	struct writer at = writer_over(w->start + HEADER - 2, 2);
	write_u16(&at, (uint16_t)(*len - HEADER));
	return OK;
}

/* Reads the header; a length that is not exactly the rest is a failure. */
static uint8_t read_header(struct reader *r, struct ipc_envelope *e)
{
	if (read_u8(r) != IPC_VERSION)
		r->failed = true;
	uint8_t type = read_u8(r);
	e->epoch = read_u64(r);
	e->id = read_u64(r);
	if (read_u16(r) != (size_t)(r->end - r->at))
		r->failed = true;
	return type;
}

static bool type_exists(unsigned type)
{
	return type >= IPC_HELLO && type < IPC_TYPES;
}

int ipc_encode_request(
	const struct ipc_envelope *e, const struct ipc_request *r, uint8_t *out, size_t cap, size_t *len)
{
	struct writer w = writer_over(out, cap);
	if (!type_exists(r->type))
		return ERR_RANGE;
	write_header(&w, (uint8_t)r->type, e);
	write_request(&w, r);
	return finish(&w, len);
}

int ipc_decode_request(const uint8_t *data, size_t len, struct ipc_envelope *e, struct ipc_request *r)
{
	struct reader in = reader_over(data, len);
	memset(r, 0, sizeof *r);
	unsigned type = read_header(&in, e);
	if (!type_exists(type))
		return ERR_INVALID;
	r->type = (enum ipc_type)type;
	read_request(&in, r);
	return reader_finish(&in);
}

int ipc_encode_reply(
	const struct ipc_envelope *e, const struct ipc_reply *r, uint8_t *out, size_t cap, size_t *len)
{
	struct writer w = writer_over(out, cap);
	if (!type_exists(r->type))
		return ERR_RANGE;
	write_header(&w, (uint8_t)(r->type | REPLY_BIT), e);
	write_reply(&w, r);
	return finish(&w, len);
}

int ipc_decode_reply(const uint8_t *data, size_t len, struct ipc_envelope *e, struct ipc_reply *r)
{
	struct reader in = reader_over(data, len);
	memset(r, 0, offsetof(struct ipc_reply, credentials)); /* of the rest, what the reply has is read */
	unsigned type = read_header(&in, e);
	if (!(type & REPLY_BIT) || !type_exists(type & ~(unsigned)REPLY_BIT))
		return ERR_INVALID;
	r->type = (enum ipc_type)(type & ~(unsigned)REPLY_BIT);
	read_reply(&in, r);
	return reader_finish(&in);
}

void ipc_reply_wipe(struct ipc_reply *r)
{
	_Static_assert(
		offsetof(struct ipc_reply, token) == offsetof(struct ipc_reply, credentials), "a union");
	secure_wipe(r, offsetof(struct ipc_reply, credentials) + sizeof r->token + sizeof r->credentials);
}
