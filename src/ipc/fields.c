// SPDX-License-Identifier: GPL-3.0-or-later
#include "ipc/fields.h"

#include <string.h>

void write_text(struct writer *w, const char *s)
{
	write_string(w, s, strlen(s));
}

void write_address(struct writer *w, const struct address *a)
{
	write_bytes(w, a->bytes, sizeof a->bytes);
}

void read_address(struct reader *r, struct address *a)
{
	const uint8_t *bytes = read_bytes(r, sizeof a->bytes);
	if (bytes)
		memcpy(a->bytes, bytes, sizeof a->bytes);
}

int64_t read_time(struct reader *r)
{
	return (int64_t)read_u64(r);
}

void write_count(struct writer *w, size_t count, size_t max)
{
	w->failed |= count > max;
	write_u8(w, (uint8_t)count);
}

size_t read_count(struct reader *r, size_t max)
{
	size_t count = read_u8(r);
	r->failed |= count > max;
	return r->failed ? 0 : count;
}

unsigned read_below(struct reader *r, unsigned limit)
{
	unsigned n = read_u8(r);
	r->failed |= n >= limit;
	return r->failed ? 0 : n;
}

bool read_bool(struct reader *r)
{
	return read_below(r, 2) != 0;
}

void write_allow(struct writer *w, const struct prefix *allow, size_t count)
{
	write_count(w, count, IPC_ALLOW_MAX);
	for (size_t i = 0; i < count && !w->failed; i++) {
		write_address(w, &allow[i].base);
		write_u8(w, allow[i].bits);
	}
}

size_t read_allow(struct reader *r, struct prefix *allow)
{
	size_t count = read_count(r, IPC_ALLOW_MAX);
	for (size_t i = 0; i < count; i++) {
		read_address(r, &allow[i].base);
		allow[i].bits = (uint8_t)read_below(r, 129);
	}
	return count;
}

void write_aliases(struct writer *w, const char aliases[][IPC_NAME_MAX + 1], size_t count)
{
	write_count(w, count, IPC_ALIASES_MAX);
	for (size_t i = 0; i < count && !w->failed; i++)
		write_text(w, aliases[i]);
}

size_t read_aliases(struct reader *r, char aliases[][IPC_NAME_MAX + 1])
{
	size_t count = read_count(r, IPC_ALIASES_MAX);
	for (size_t i = 0; i < count; i++)
		read_string(r, aliases[i], IPC_NAME_MAX + 1);
	return count;
}

void write_terms(struct writer *w, const struct ipc_terms *t)
{
	write_text(w, t->note);
	write_text(w, t->zone);
	write_text(w, t->label);
	write_u8(w, t->label_is_prefix);
	write_u32(w, t->quota);
	write_u64(w, (uint64_t)t->expiry);
	write_allow(w, t->allow, t->allow_count);
}

void read_terms(struct reader *r, struct ipc_terms *t)
{
	read_string(r, t->note, sizeof t->note);
	read_string(r, t->zone, sizeof t->zone);
	read_string(r, t->label, sizeof t->label);
	t->label_is_prefix = read_bool(r);
	t->quota = read_u32(r);
	t->expiry = read_time(r);
	t->allow_count = read_allow(r, t->allow);
}
