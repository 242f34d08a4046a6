// SPDX-License-Identifier: GPL-3.0-or-later
#include "ipc/fields.h"

enum {
	NAME = 1,
	ZONE = 2,
	VALUE = 4,
	TARGET = 8,
	AFTER = 16,
	LIMIT = 32,
	ALLOW = 64,
	ALIASES = 128,
	TERMS = 256,
	CHALLENGES = 512
};

/* Besides who asks, which all have. */
static const unsigned request_fields[IPC_TYPES] = {
	[IPC_REGISTER] = NAME | ALLOW | ALIASES,
	[IPC_UPDATE] = NAME | VALUE,
	[IPC_PRESENT] = NAME | VALUE,
	[IPC_CLEANUP] = NAME | VALUE,
	[IPC_DELEGATE_SHOW] = NAME,
	[IPC_DELEGATE_REMOVE] = NAME,
	[IPC_VALUES_CLEAR] = NAME,
	[IPC_ALLOW_SET] = NAME | ALLOW,
	[IPC_ALIASES_SET] = NAME | ALIASES,
	[IPC_KEY_ADD] = NAME,
	[IPC_KEY_ROTATE] = NAME | TARGET,
	[IPC_KEY_REVOKE] = NAME | TARGET,
	[IPC_DELEGATE_ADD] = NAME | ZONE | ALLOW | ALIASES,
	[IPC_DELEGATE_LIST] = NAME | LIMIT,
	[IPC_TOKEN_ADD] = TERMS,
	[IPC_TOKEN_LIST] = TARGET | LIMIT,
	[IPC_TOKEN_REVOKE] = TARGET,
	[IPC_EVENTS] = NAME | AFTER | LIMIT,
	[IPC_CHALLENGE_SET] = CHALLENGES,
};

static void write_challenges(struct writer *w, const struct ipc_request *r)
{
	write_count(w, r->challenge_count, IPC_CHALLENGES_MAX);
	for (size_t i = 0; i < r->challenge_count && i < IPC_CHALLENGES_MAX; i++)
		write_text(w, r->challenges[i]);
}

static void read_challenges(struct reader *in, struct ipc_request *r)
{
	r->challenge_count = read_count(in, IPC_CHALLENGES_MAX);
	for (size_t i = 0; i < r->challenge_count; i++)
		read_string(in, r->challenges[i], sizeof r->challenges[i]);
}

void write_request(struct writer *w, const struct ipc_request *r)
{
	unsigned fields = request_fields[r->type];
	write_u8(w, (uint8_t)r->by);
	write_u8(w, (uint8_t)r->flags);
	write_address(w, &r->client);
	write_text(w, r->key_id);
	write_text(w, r->secret);
	if (fields & NAME)
		write_text(w, r->name);
	if (fields & ZONE)
		write_text(w, r->zone);
	if (fields & VALUE)
		write_text(w, r->value);
	if (fields & TARGET)
		write_text(w, r->target);
	if (fields & AFTER)
		write_u64(w, r->after);
	if (fields & LIMIT)
		write_u16(w, r->limit);
	if (fields & ALLOW)
		write_allow(w, r->allow, r->allow_count);
	if (fields & ALIASES)
		write_aliases(w, r->aliases, r->alias_count);
	if (fields & TERMS)
		write_terms(w, &r->terms);
	if (fields & CHALLENGES)
		write_challenges(w, r);
}

void read_request(struct reader *in, struct ipc_request *r)
{
	unsigned fields = request_fields[r->type];
	r->by = (enum ipc_by)read_below(in, IPC_BYS);
	r->flags = read_below(in, IPC_FLAGS + 1);
	read_address(in, &r->client);
	read_string(in, r->key_id, sizeof r->key_id);
	read_string(in, r->secret, sizeof r->secret);
	if (fields & NAME)
		read_string(in, r->name, sizeof r->name);
	if (fields & ZONE)
		read_string(in, r->zone, sizeof r->zone);
	if (fields & VALUE)
		read_string(in, r->value, sizeof r->value);
	if (fields & TARGET)
		read_string(in, r->target, sizeof r->target);
	if (fields & AFTER)
		r->after = read_u64(in);
	if (fields & LIMIT)
		r->limit = read_u16(in);
	if (fields & ALLOW)
		r->allow_count = read_allow(in, r->allow);
	if (fields & ALIASES)
		r->alias_count = read_aliases(in, r->aliases);
	if (fields & TERMS)
		read_terms(in, &r->terms);
	if (fields & CHALLENGES)
		read_challenges(in, r);
}
