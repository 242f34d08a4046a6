// SPDX-License-Identifier: GPL-3.0-or-later
/* Queries built byte by byte, and answers taken apart without the library that made them. */
#pragma once

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/dns.h"
#include "unit.h"
#include "util/cursor.h"

enum {
	T_A = 1,
	T_NS = 2,
	T_CNAME = 5,
	T_SOA = 6,
	T_TXT = 16,
	T_AAAA = 28,
	T_OPT = 41,
	T_DS = 43,
	T_TSIG = 250,
	T_IXFR = 251,
	T_AXFR = 252,
	T_ANY = 255,
	T_CAA = 257
};
enum { IN = 1, CH = 3, ANY_CLASS = 255 };
enum { O_NSID = 3, O_ECS = 8, O_COOKIE = 10, O_KEEPALIVE = 11, O_PADDING = 12, O_EDE = 15 };
enum {
	F_QR = 0x8000,
	F_AA = 0x0400,
	F_TC = 0x0200,
	F_RD = 0x0100,
	F_RA = 0x0080,
	F_Z = 0x0040,
	F_AD = 0x0020,
	F_CD = 0x0010
};
enum { NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, NOTAUTH = 9, BADVERS = 16, BADCOOKIE = 23 };

struct message {
	struct writer w;
	uint8_t bytes[65536];
};

static inline void message_begin(struct message *m, uint16_t flags, uint16_t questions)
{
	m->w = writer_over(m->bytes, sizeof m->bytes);
	write_u16(&m->w, 0xbeef);
	write_u16(&m->w, flags);
	write_u16(&m->w, questions);
	write_u16(&m->w, 0);
	write_u16(&m->w, 0);
	write_u16(&m->w, 0);
}

/* The count of a section: 0 question ... 3 additional. */
static inline void message_count(struct message *m, unsigned section, uint16_t count)
{
	m->bytes[4 + 2 * section] = (uint8_t)(count >> 8);
	m->bytes[5 + 2 * section] = (uint8_t)count;
}

/* "a.b" -> labels and the root label; a backslash takes the next character as it is, "\0" is a NUL. */
static inline void write_name(struct writer *w, const char *text)
{
	while (*text) {
		uint8_t label[64];
		size_t n = 0;
		for (; *text && *text != '.'; text++) {
			if (*text == '\\')
				label[n++] = *++text == '0' ? 0 : (uint8_t)*text;
			else
				label[n++] = (uint8_t)*text;
			assert_true(n < sizeof label);
		}
		text += *text == '.';
		write_string(w, label, n);
	}
	write_u8(w, 0);
}

static inline void message_question(struct message *m, const char *name, uint16_t type, uint16_t class)
{
	write_name(&m->w, name);
	write_u16(&m->w, type);
	write_u16(&m->w, class);
}

static inline void message_opt(
	struct message *m, uint16_t size, uint32_t ttl, const void *options, size_t len)
{
	write_u8(&m->w, 0);
	write_u16(&m->w, T_OPT);
	write_u16(&m->w, size);
	write_u32(&m->w, ttl);
	write_u16(&m->w, (uint16_t)len);
	write_bytes(&m->w, options, len);
	message_count(m, 3, (uint16_t)(m->bytes[11] + 1));
}

/* An OPT record with one option. */
static inline void message_option(
	struct message *m, uint16_t size, uint16_t code, const void *data, size_t len)
{
	uint8_t option[512];
	struct writer w = writer_over(option, sizeof option);
	size_t total = 0;
	write_u16(&w, code);
	write_u16(&w, (uint16_t)len);
	write_bytes(&w, data, len);
	assert_int_equal(writer_finish(&w, &total), OK);
	message_opt(m, size, 0, option, total);
}

static inline size_t message_len(const struct message *m)
{
	size_t len = 0;
	assert_int_equal(writer_finish(&m->w, &len), OK);
	return len;
}

/* A TSIG record of a key nobody has, RFC 8945 section 4.2. */
static inline void message_tsig(struct message *m)
{
	write_name(&m->w, "Some.Key");
	write_bytes(&m->w, "\0\xfa\0\xff\0\0\0\0", 8);
	write_u16(&m->w, 13 + 8 + 2 + 4 + 6);
	write_name(&m->w, "hmac-sha256");
	write_bytes(&m->w, "\0\0\x65\x43\x21\0\1\x2c", 8); /* time, fudge */
	write_u16(&m->w, 4);
	write_bytes(&m->w, "mac!", 4);
	write_bytes(&m->w, "\xbe\xef\0\0\0\0", 6);
	message_count(m, 3, (uint16_t)(m->bytes[11] + 1));
}

struct record {
	unsigned section; /* 1 answer, 2 authority, 3 additional */
	char owner[1024];
	uint16_t type, class;
	uint32_t ttl;
	uint16_t len;
	const uint8_t *rdata;
};

struct reply {
	const uint8_t *bytes;
	size_t len;
	uint16_t id, flags;
	uint8_t rcode;
	uint16_t counts[4];
	size_t question_len;
	struct record records[512];
	size_t record_count;
	const struct record *opt;
};

/* A name at `at`, with pointers, as text in the case it has on the wire; the offset behind it. */
static inline size_t reply_name(const struct reply *r, size_t at, char out[static 1024])
{
	size_t end = 0, n = 0;
	for (unsigned steps = 0;; steps++) {
		assert_true(steps < 200 && at < r->len);
		uint8_t c = r->bytes[at];
		if ((c & 0xc0) == 0xc0) {
			size_t to = (size_t)(c & 0x3f) << 8 | r->bytes[at + 1];
			end = end ? end : at + 2;
			assert_true(to < at);
			at = to;
			continue;
		}
		assert_true(c < 64);
		at += 1u + c;
		if (!c)
			break;
		n += (size_t)snprintf(out + n, 1024 - n, "%s%.*s", n ? "." : "", c, r->bytes + at - c);
		assert_true(n < 1024);
	}
	out[n] = 0;
	return end ? end : at;
}

static inline void reply_record(struct reply *r, unsigned section, size_t *at)
{
	assert_true(r->record_count < sizeof r->records / sizeof *r->records);
	struct record *x = &r->records[r->record_count++];
	x->section = section;
	*at = reply_name(r, *at, x->owner);
	assert_true(*at + 10 <= r->len);
	struct reader in = reader_over(r->bytes + *at, 10);
	x->type = read_u16(&in);
	x->class = read_u16(&in);
	x->ttl = read_u32(&in);
	x->len = read_u16(&in);
	x->rdata = r->bytes + *at + 10;
	*at += 10u + x->len;
	assert_true(*at <= r->len);
	if (x->type == T_OPT) {
		assert_null(r->opt);
		r->opt = x;
	}
}

/* Every byte must belong to something. */
static inline void reply_parse(struct reply *r, const uint8_t *bytes, size_t len)
{
	memset(r, 0, sizeof *r);
	r->bytes = bytes;
	r->len = len;
	assert_true(len >= 12);
	struct reader in = reader_over(bytes, 12);
	r->id = read_u16(&in);
	uint16_t flags = read_u16(&in);
	r->flags = flags & 0xfff0;
	r->rcode = flags & 15;
	for (unsigned i = 0; i < 4; i++)
		r->counts[i] = read_u16(&in);
	size_t at = 12;
	char name[1024];
	for (unsigned i = 0; i < r->counts[0]; i++)
		at = reply_name(r, at, name) + 4;
	r->question_len = at - 12;
	for (unsigned section = 1; section < 4; section++) {
		for (unsigned i = 0; i < r->counts[section]; i++)
			reply_record(r, section, &at);
	}
	assert_int_equal(at, len);
}

static inline const struct record *reply_find(const struct reply *r, unsigned section, uint16_t type)
{
	for (size_t i = 0; i < r->record_count; i++) {
		if (r->records[i].section == section && r->records[i].type == type)
			return &r->records[i];
	}
	return NULL;
}

static inline unsigned reply_rcode(const struct reply *r)
{
	return r->rcode | (r->opt ? r->opt->ttl >> 24 << 4 : 0);
}

/* The data of an option of the reply, NULL: it is not there. Each may be there once. */
static inline const uint8_t *reply_option(const struct reply *r, uint16_t code, size_t *len)
{
	const uint8_t *found = NULL;
	*len = 0;
	if (!r->opt)
		return NULL;
	struct reader in = reader_over(r->opt->rdata, r->opt->len);
	while (!in.failed && in.at != in.end) {
		uint16_t have = read_u16(&in);
		size_t size = read_u16(&in);
		const uint8_t *data = read_bytes(&in, size);
		if (have != code)
			continue;
		assert_null(found);
		found = data;
		*len = size;
	}
	assert_int_equal(reader_finish(&in), OK);
	return found;
}

/* The extended error of the reply (RFC 8914), -1: none. */
static inline int reply_ede(const struct reply *r)
{
	size_t len;
	const uint8_t *data = reply_option(r, 15, &len);
	if (!data)
		return -1;
	assert_int_equal(len, 2);
	return data[0] << 8 | data[1];
}
