// SPDX-License-Identifier: GPL-3.0-or-later
#include "ipc/fields.h"

static void write_credentials(struct writer *w, const struct ipc_reply *reply)
{
	const struct ipc_credentials *c = &reply->credentials;
	write_text(w, c->key_id);
	write_text(w, c->secret);
	write_text(w, c->label);
	write_text(w, c->zone);
	write_allow(w, c->allow, c->allow_count);
}

static void read_credentials(struct reader *r, struct ipc_reply *reply)
{
	struct ipc_credentials *c = &reply->credentials;
	read_string(r, c->key_id, sizeof c->key_id);
	read_string(r, c->secret, sizeof c->secret);
	read_string(r, c->label, sizeof c->label);
	read_string(r, c->zone, sizeof c->zone);
	c->allow_count = read_allow(r, c->allow);
}

static void write_key(struct writer *w, const struct ipc_key *k)
{
	write_text(w, k->id);
	write_u64(w, (uint64_t)k->created);
	write_u64(w, (uint64_t)k->used);
	write_address(w, &k->used_from);
	write_u8(w, k->retiring);
	write_u8(w, k->bcrypt);
}

static void read_key(struct reader *r, struct ipc_key *k)
{
	read_string(r, k->id, sizeof k->id);
	k->created = read_time(r);
	k->used = read_time(r);
	read_address(r, &k->used_from);
	k->retiring = read_bool(r);
	k->bcrypt = read_bool(r);
}

static void write_history(struct writer *w, const struct ipc_delegate *d)
{
	write_count(w, d->change_count, IPC_CHANGES_MAX);
	for (size_t i = 0; i < d->change_count && !w->failed; i++) {
		write_u64(w, (uint64_t)d->changes[i].when);
		write_u8(w, (uint8_t)d->changes[i].kind);
		write_address(w, &d->changes[i].from);
		write_text(w, d->changes[i].key);
	}
	write_count(w, d->asker_count, IPC_ASKERS_MAX);
	for (size_t i = 0; i < d->asker_count && !w->failed; i++) {
		write_address(w, &d->askers[i].resolver);
		write_u64(w, (uint64_t)d->askers[i].first);
		write_u64(w, (uint64_t)d->askers[i].last);
		write_u32(w, d->askers[i].times);
	}
}

static void read_history(struct reader *r, struct ipc_delegate *d)
{
	d->change_count = read_count(r, IPC_CHANGES_MAX);
	for (size_t i = 0; i < d->change_count; i++) {
		d->changes[i].when = read_time(r);
		d->changes[i].kind = (enum ipc_change_kind)read_below(r, IPC_CHANGE_KINDS);
		read_address(r, &d->changes[i].from);
		read_string(r, d->changes[i].key, sizeof d->changes[i].key);
	}
	d->asker_count = read_count(r, IPC_ASKERS_MAX);
	for (size_t i = 0; i < d->asker_count; i++) {
		read_address(r, &d->askers[i].resolver);
		d->askers[i].first = read_time(r);
		d->askers[i].last = read_time(r);
		d->askers[i].times = read_u32(r);
	}
}

static void write_delegate(struct writer *w, const struct ipc_reply *reply)
{
	const struct ipc_delegate *d = &reply->delegate;
	write_text(w, d->label);
	write_text(w, d->zone);
	write_u64(w, (uint64_t)d->created);
	write_count(w, d->key_count, IPC_KEYS_MAX);
	for (size_t i = 0; i < d->key_count && !w->failed; i++)
		write_key(w, &d->keys[i]);
	write_allow(w, d->allow, d->allow_count);
	write_aliases(w, d->aliases, d->alias_count);
	write_count(w, d->value_count, IPC_VALUES_MAX);
	for (size_t i = 0; i < d->value_count && !w->failed; i++) {
		write_text(w, d->values[i].text);
		write_u64(w, (uint64_t)d->values[i].expiry);
	}
	write_history(w, d);
}

static void read_delegate(struct reader *r, struct ipc_reply *reply)
{
	struct ipc_delegate *d = &reply->delegate;
	read_string(r, d->label, sizeof d->label);
	read_string(r, d->zone, sizeof d->zone);
	d->created = read_time(r);
	d->key_count = read_count(r, IPC_KEYS_MAX);
	for (size_t i = 0; i < d->key_count; i++)
		read_key(r, &d->keys[i]);
	d->allow_count = read_allow(r, d->allow);
	d->alias_count = read_aliases(r, d->aliases);
	d->value_count = read_count(r, IPC_VALUES_MAX);
	for (size_t i = 0; i < d->value_count; i++) {
		read_string(r, d->values[i].text, sizeof d->values[i].text);
		d->values[i].expiry = read_time(r);
	}
	read_history(r, d);
}

static void write_delegates(struct writer *w, const struct ipc_reply *reply)
{
	write_count(w, reply->count, IPC_PAGE_MAX);
	for (size_t i = 0; i < reply->count && !w->failed; i++) {
		const struct ipc_delegate_entry *d = &reply->delegates[i];
		write_text(w, d->label);
		write_text(w, d->zone);
		write_u64(w, (uint64_t)d->created);
		write_u64(w, (uint64_t)d->changed);
		write_u8(w, d->keys);
		write_u8(w, d->values);
	}
}

static void read_delegates(struct reader *r, struct ipc_reply *reply)
{
	reply->count = read_count(r, IPC_PAGE_MAX);
	for (size_t i = 0; i < reply->count; i++) {
		struct ipc_delegate_entry *d = &reply->delegates[i];
		read_string(r, d->label, sizeof d->label);
		read_string(r, d->zone, sizeof d->zone);
		d->created = read_time(r);
		d->changed = read_time(r);
		d->keys = read_u8(r);
		d->values = read_u8(r);
	}
}

static void write_one_token(struct writer *w, const struct ipc_token *t)
{
	write_text(w, t->id);
	write_text(w, t->secret);
	write_u64(w, (uint64_t)t->created);
	write_u64(w, (uint64_t)t->used);
	write_u32(w, t->spent);
	write_terms(w, &t->terms);
}

static void read_one_token(struct reader *r, struct ipc_token *t)
{
	read_string(r, t->id, sizeof t->id);
	read_string(r, t->secret, sizeof t->secret);
	t->created = read_time(r);
	t->used = read_time(r);
	t->spent = read_u32(r);
	read_terms(r, &t->terms);
}

static void write_token(struct writer *w, const struct ipc_reply *reply)
{
	write_one_token(w, &reply->token);
}

static void read_token(struct reader *r, struct ipc_reply *reply)
{
	read_one_token(r, &reply->token);
}

static void write_tokens(struct writer *w, const struct ipc_reply *reply)
{
	write_count(w, reply->count, IPC_TOKENS_MAX);
	for (size_t i = 0; i < reply->count && !w->failed; i++)
		write_one_token(w, &reply->tokens[i]);
}

static void read_tokens(struct reader *r, struct ipc_reply *reply)
{
	reply->count = read_count(r, IPC_TOKENS_MAX);
	for (size_t i = 0; i < reply->count; i++)
		read_one_token(r, &reply->tokens[i]);
}

static void write_events(struct writer *w, const struct ipc_reply *reply)
{
	write_count(w, reply->count, IPC_PAGE_MAX);
	for (size_t i = 0; i < reply->count && !w->failed; i++) {
		const struct ipc_event *e = &reply->events[i];
		write_u64(w, e->sequence);
		write_u64(w, (uint64_t)e->when);
		write_u8(w, (uint8_t)e->kind);
		write_u8(w, (uint8_t)e->outcome);
		write_u8(w, (uint8_t)e->by);
		write_u32(w, e->times);
		write_u32(w, e->uid);
		write_address(w, &e->client);
		write_text(w, e->key);
		write_text(w, e->name);
		write_text(w, e->detail);
	}
}

static void read_events(struct reader *r, struct ipc_reply *reply)
{
	reply->count = read_count(r, IPC_PAGE_MAX);
	for (size_t i = 0; i < reply->count; i++) {
		struct ipc_event *e = &reply->events[i];
		e->sequence = read_u64(r);
		e->when = read_time(r);
		e->kind = (enum ipc_event_kind)read_below(r, IPC_EVENT_KINDS);
		e->outcome = (enum ipc_status)read_below(r, IPC_STATUSES);
		e->by = (enum ipc_by)read_below(r, IPC_BYS);
		e->times = read_u32(r);
		e->uid = read_u32(r);
		read_address(r, &e->client);
		read_string(r, e->key, sizeof e->key);
		read_string(r, e->name, sizeof e->name);
		read_string(r, e->detail, sizeof e->detail);
	}
}

/* The numbers of a report, in the order in which they are sent. */
#define REPORT_NUMBERS(X)                                                                                    \
	X(delegates)                                                                                         \
	X(index_bytes)                                                                                       \
	X(store_bytes)                                                                                       \
	X(registrations)                                                                                     \
	X(changes)                                                                                           \
	X(refusals)                                                                                          \
	X(waiting_bcrypt)                                                                                    \
	X(events_first)                                                                                      \
	X(events_last)                                                                                       \
	X(tokens)                                                                                            \
	X(evidence)                                                                                          \
	X(evidence_lost)                                                                                     \
	X(process_count)                                                                                     \
	X(queries_udp)                                                                                       \
	X(queries_tcp)                                                                                       \
	X(queries_tls)                                                                                       \
	X(queries_dropped)                                                                                   \
	X(replies_limited)

static void write_certificate(struct writer *w, const struct ipc_certificate *c)
{
	write_u8(w, c->acme);
	write_u64(w, (uint64_t)c->not_before);
	write_u64(w, (uint64_t)c->not_after);
	write_u64(w, (uint64_t)c->last_attempt);
	write_u64(w, (uint64_t)c->last_success);
	write_u64(w, (uint64_t)c->next_attempt);
	write_u32(w, c->failures);
	write_text(w, c->error);
}

static void read_certificate(struct reader *r, struct ipc_certificate *c)
{
	c->acme = read_bool(r);
	c->not_before = read_time(r);
	c->not_after = read_time(r);
	c->last_attempt = read_time(r);
	c->last_success = read_time(r);
	c->next_attempt = read_time(r);
	c->failures = read_u32(r);
	read_string(r, c->error, sizeof c->error);
}

static size_t listed_processes(const struct ipc_report *p)
{
	return p->process_count < IPC_PROCESSES_MAX ? (size_t)p->process_count : IPC_PROCESSES_MAX;
}

static void write_processes(struct writer *w, const struct ipc_report *p)
{
	for (size_t i = 0; i < listed_processes(p); i++) {
		const struct ipc_process *c = &p->processes[i];
		write_text(w, c->name);
		write_u8(w, (uint8_t)c->state);
		write_u32(w, c->pid);
		write_u32(w, c->restarts);
		write_u32(w, c->confinement);
		write_u64(w, (uint64_t)c->started);
		write_u64(w, (uint64_t)c->up);
		write_u64(w, (uint64_t)c->since);
	}
}

static void read_processes(struct reader *r, struct ipc_report *p)
{
	for (size_t i = 0; i < listed_processes(p) && !r->failed; i++) {
		struct ipc_process *c = &p->processes[i];
		read_string(r, c->name, sizeof c->name);
		c->state = (enum ipc_process_state)read_below(r, IPC_PROCESS_STATES);
		c->pid = read_u32(r);
		c->restarts = read_u32(r);
		c->confinement = read_u32(r);
		c->started = read_time(r);
		c->up = read_time(r);
		c->since = read_time(r);
	}
}

static void write_report(struct writer *w, const struct ipc_reply *reply)
{
	const struct ipc_report *p = &reply->report;
	write_text(w, p->version);
	write_u64(w, (uint64_t)p->started);
	write_u64(w, (uint64_t)p->server_started);
	write_u64(w, (uint64_t)p->server_up);
	write_u8(w, p->index_in_service);
	write_u8(w, p->store_writable);
	write_u64(w, (uint64_t)p->store_since);
	write_u8(w, p->tls);
	write_u8(w, p->registration);
#define X(member) write_u64(w, p->member);
	REPORT_NUMBERS(X)
#undef X
	write_certificate(w, &p->certificate);
	write_processes(w, p);
	write_u32(w, (uint32_t)p->zone_count);
	for (size_t i = 0; i < p->zone_count && i < IPC_PAGE_MAX; i++)
		write_text(w, p->zones[i]);
}

static void read_report(struct reader *r, struct ipc_reply *reply)
{
	struct ipc_report *p = &reply->report;
	read_string(r, p->version, sizeof p->version);
	p->started = read_time(r);
	p->server_started = read_time(r);
	p->server_up = read_time(r);
	p->index_in_service = read_bool(r);
	p->store_writable = read_bool(r);
	p->store_since = read_time(r);
	p->tls = read_bool(r);
	p->registration = read_u8(r);
#define X(member) p->member = read_u64(r);
	REPORT_NUMBERS(X)
#undef X
	read_certificate(r, &p->certificate);
	read_processes(r, p);
	p->zone_count = read_u32(r);
	for (size_t i = 0; i < p->zone_count && i < IPC_PAGE_MAX; i++)
		read_string(r, p->zones[i], sizeof p->zones[i]);
}

/* What an IPC_OK reply holds. */
static const struct {
	void (*write)(struct writer *w, const struct ipc_reply *reply);
	void (*read)(struct reader *r, struct ipc_reply *reply);
} bodies[IPC_TYPES] = {
	[IPC_REGISTER] = {write_credentials, read_credentials},
	[IPC_DELEGATE_SHOW] = {write_delegate, read_delegate},
	[IPC_KEY_ADD] = {write_credentials, read_credentials},
	[IPC_KEY_ROTATE] = {write_credentials, read_credentials},
	[IPC_DELEGATE_ADD] = {write_credentials, read_credentials},
	[IPC_DELEGATE_LIST] = {write_delegates, read_delegates},
	[IPC_TOKEN_ADD] = {write_token, read_token},
	[IPC_TOKEN_LIST] = {write_tokens, read_tokens},
	[IPC_STATUS] = {write_report, read_report},
	[IPC_EVENTS] = {write_events, read_events},
};

void write_reply(struct writer *w, const struct ipc_reply *r)
{
	write_u8(w, (uint8_t)r->status);
	write_u32(w, r->retry_after);
	write_u32(w, r->delay);
	if (r->status == IPC_OK && bodies[r->type].write)
		bodies[r->type].write(w, r);
}

void read_reply(struct reader *in, struct ipc_reply *r)
{
	r->status = (enum ipc_status)read_below(in, IPC_STATUSES);
	r->retry_after = read_u32(in);
	r->delay = read_u32(in);
	if (r->status == IPC_OK && bodies[r->type].read)
		bodies[r->type].read(in, r);
}
