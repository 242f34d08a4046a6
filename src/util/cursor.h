// SPDX-License-Identifier: GPL-3.0-or-later
/* Bounded cursors over bytes with a sticky error: after the first failure every step is a no-op, and the one
 * check is at the end, in *_finish(), the only way to learn the result. Integers are big-endian. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util/error.h"

struct writer {
	uint8_t *start, *at, *end;
	bool failed;
};

struct reader {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct writer writer_over(void *buf, size_t cap)
{
	uint8_t *b = buf;
	return (struct writer){b, b, b + cap, false};
}

static inline struct reader reader_over(const void *buf, size_t len)
{
	const uint8_t *b = buf;
	return (struct reader){b, b + len, false};
}

/* Room for `len` bytes, or NULL after marking the failure. */
static inline uint8_t *writer_take(struct writer *w, size_t len)
{
	if (w->failed || (size_t)(w->end - w->at) < len) {
		w->failed = true;
		return NULL;
	}
	uint8_t *p = w->at;
	w->at += len;
	return p;
}

static inline void write_bytes(struct writer *w, const void *data, size_t len)
{
	uint8_t *p = writer_take(w, len);
	if (p && len)
		memcpy(p, data, len);
}

static inline void write_uint(struct writer *w, uint64_t v, unsigned size)
{
	uint8_t *p = writer_take(w, size);
	for (unsigned i = 0; p && i < size; i++)
		p[i] = (uint8_t)(v >> (8 * (size - 1 - i)));
}

static inline void write_u8(struct writer *w, uint8_t v)
{
	write_uint(w, v, 1);
}

static inline void write_u16(struct writer *w, uint16_t v)
{
	write_uint(w, v, 2);
}

static inline void write_u32(struct writer *w, uint32_t v)
{
	write_uint(w, v, 4);
}

static inline void write_u64(struct writer *w, uint64_t v)
{
	write_uint(w, v, 8);
}

/* A length byte and the bytes; a string longer than 255 is a failure. */
static inline void write_string(struct writer *w, const void *data, size_t len)
{
	if (len > UINT8_MAX) {
		w->failed = true;
		return;
	}
	write_u8(w, (uint8_t)len);
	write_bytes(w, data, len);
}

/* OK and the number of bytes written, or ERR_RANGE: something did not fit. */
static inline int MUST_USE writer_finish(const struct writer *w, size_t *len)
{
	if (w->failed)
		return ERR_RANGE;
	*len = (size_t)(w->at - w->start);
	return OK;
}

/* `len` bytes of the input, or NULL after marking the failure. The pointer lives as long as the input. */
static inline const uint8_t *read_bytes(struct reader *r, size_t len)
{
	if (r->failed || (size_t)(r->end - r->at) < len) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *p = r->at;
	r->at += len;
	return p;
}

static inline uint64_t read_uint(struct reader *r, unsigned size)
{
	const uint8_t *p = read_bytes(r, size);
	uint64_t v = 0;
	for (unsigned i = 0; p && i < size; i++)
		v = v << 8 | p[i];
	return v;
}

static inline uint8_t read_u8(struct reader *r)
{
	return (uint8_t)read_uint(r, 1);
}

static inline uint16_t read_u16(struct reader *r)
{
	return (uint16_t)read_uint(r, 2);
}

static inline uint32_t read_u32(struct reader *r)
{
	return (uint32_t)read_uint(r, 4);
}

static inline uint64_t read_u64(struct reader *r)
{
	return read_uint(r, 8);
}

/* A length byte and that many bytes, copied with a NUL behind them. A string that does not fit into `out`, or
 * holds a NUL, is a failure. */
static inline void read_string(struct reader *r, char *out, size_t cap)
{
	size_t len = read_u8(r);
	const uint8_t *p = read_bytes(r, len);
	out[0] = 0;
	if (!p || len >= cap || memchr(p, 0, len)) {
		r->failed = true;
		return;
	}
	memcpy(out, p, len);
	out[len] = 0;
}

/* OK when nothing failed and nothing is left over, otherwise ERR_INVALID. */
static inline int MUST_USE reader_finish(const struct reader *r)
{
	return r->failed || r->at != r->end ? ERR_INVALID : OK;
}
