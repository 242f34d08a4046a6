// SPDX-License-Identifier: GPL-3.0-or-later
#include <string.h>

#include "ipc/ipc.h"
#include "util/cursor.h"

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

static void write_text(struct writer *w, const char *s)
{
	write_string(w, s, strlen(s));
}

static bool has_credentials(enum ipc_type type)
{
	return type == IPC_UPDATE || type == IPC_PRESENT || type == IPC_CLEANUP;
}

int ipc_encode_request(
	const struct ipc_envelope *e, const struct ipc_request *r, uint8_t *out, size_t cap, size_t *len)
{
	struct writer w = writer_over(out, cap);
	write_header(&w, (uint8_t)r->type, e);
	write_bytes(&w, r->client.bytes, sizeof r->client.bytes);
	if (has_credentials(r->type)) {
		write_text(&w, r->key_id);
		write_text(&w, r->secret);
		write_text(&w, r->name);
		write_text(&w, r->value);
	}
	if (r->type == IPC_REGISTER) {
		if (r->allow_count > IPC_ALLOW_MAX)
			return ERR_RANGE;
		write_u8(&w, (uint8_t)r->allow_count);
		for (size_t i = 0; i < r->allow_count; i++) {
			write_bytes(&w, r->allow[i].base.bytes, 16);
			write_u8(&w, r->allow[i].bits);
		}
	}
	return finish(&w, len);
}

static void read_allow(struct reader *in, struct ipc_request *r)
{
	r->allow_count = read_u8(in);
	if (r->allow_count > IPC_ALLOW_MAX) {
		in->failed = true;
		return;
	}
	for (size_t i = 0; i < r->allow_count; i++) {
		const uint8_t *base = read_bytes(in, 16);
		if (base)
			memcpy(r->allow[i].base.bytes, base, 16);
		r->allow[i].bits = read_u8(in);
		if (r->allow[i].bits > 128)
			in->failed = true;
	}
}

int ipc_decode_request(const uint8_t *data, size_t len, struct ipc_envelope *e, struct ipc_request *r)
{
	struct reader in = reader_over(data, len);
	memset(r, 0, sizeof *r);
	uint8_t type = read_header(&in, e);
	if (type < IPC_HELLO || type > IPC_HEALTH)
		return ERR_INVALID;
	r->type = (enum ipc_type)type;
	const uint8_t *client = read_bytes(&in, sizeof r->client.bytes);
	if (client)
		memcpy(r->client.bytes, client, sizeof r->client.bytes);
	if (has_credentials(r->type)) {
		read_string(&in, r->key_id, sizeof r->key_id);
		read_string(&in, r->secret, sizeof r->secret);
		read_string(&in, r->name, sizeof r->name);
		read_string(&in, r->value, sizeof r->value);
	}
	if (r->type == IPC_REGISTER)
		read_allow(&in, r);
	return reader_finish(&in);
}

int ipc_encode_reply(
	const struct ipc_envelope *e, const struct ipc_reply *r, uint8_t *out, size_t cap, size_t *len)
{
	struct writer w = writer_over(out, cap);
	write_header(&w, (uint8_t)(r->type | REPLY_BIT), e);
	write_u8(&w, (uint8_t)r->status);
	write_u32(&w, r->retry_after);
	if (r->type == IPC_REGISTER && r->status == IPC_OK) {
		write_text(&w, r->key_id);
		write_text(&w, r->secret);
		write_text(&w, r->label);
		write_text(&w, r->zone);
	}
	return finish(&w, len);
}

int ipc_decode_reply(const uint8_t *data, size_t len, struct ipc_envelope *e, struct ipc_reply *r)
{
	struct reader in = reader_over(data, len);
	memset(r, 0, sizeof *r);
	uint8_t type = read_header(&in, e);
	if (type < (IPC_HELLO | REPLY_BIT) || type > (IPC_HEALTH | REPLY_BIT))
		return ERR_INVALID;
	r->type = (enum ipc_type)(type & ~REPLY_BIT);
	uint8_t status = read_u8(&in);
	if (status >= IPC_STATUSES)
		return ERR_INVALID;
	r->status = (enum ipc_status)status;
	r->retry_after = read_u32(&in);
	if (r->type == IPC_REGISTER && r->status == IPC_OK) {
		read_string(&in, r->key_id, sizeof r->key_id);
		read_string(&in, r->secret, sizeof r->secret);
		read_string(&in, r->label, sizeof r->label);
		read_string(&in, r->zone, sizeof r->zone);
	}
	return reader_finish(&in);
}
