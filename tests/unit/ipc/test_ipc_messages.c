// SPDX-License-Identifier: GPL-3.0-or-later
/* Every type of request and reply, as large as messages.h lets it be: it fits, it comes back as it was, and
 * nothing shorter or longer is taken. What a type holds is written down here once more, from messages.h. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/ipc.h"

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

static const unsigned fields_of[IPC_TYPES] = {
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

static const struct ipc_envelope envelope = {0x0102030405060708, 0x1112131415161718};

/* No two fields are filled alike. */
static char letter = 'a';

static void fill(char *text, size_t size)
{
	letter = letter == 'z' ? 'a' : (char)(letter + 1);
	memset(text, letter, size - 1);
	text[size - 1] = 0;
}

static int64_t number(void)
{
	static int64_t n = 1700000000000;
	return n += 12345;
}

static struct address an_address(void)
{
	struct address a;
	for (size_t i = 0; i < sizeof a.bytes; i++)
		a.bytes[i] = (uint8_t)number();
	return a;
}

static size_t fill_allow(struct prefix *allow)
{
	for (size_t i = 0; i < IPC_ALLOW_MAX; i++)
		allow[i] = (struct prefix){an_address(), (uint8_t)(97 + i)}; /* up to 128 */
	return IPC_ALLOW_MAX;
}

static size_t fill_aliases(char aliases[][IPC_NAME_MAX + 1])
{
	for (size_t i = 0; i < IPC_ALIASES_MAX; i++)
		fill(aliases[i], IPC_NAME_MAX + 1);
	return IPC_ALIASES_MAX;
}

static void fill_terms(struct ipc_terms *t)
{
	fill(t->note, sizeof t->note);
	fill(t->zone, sizeof t->zone);
	fill(t->label, sizeof t->label);
	t->label_is_prefix = true;
	t->quota = UINT32_MAX;
	t->expiry = number();
	t->allow_count = fill_allow(t->allow);
}

static void fill_request(struct ipc_request *r, enum ipc_type type)
{
	unsigned fields = fields_of[type];
	memset(r, 0, sizeof *r);
	r->type = type;
	r->by = IPC_BY_OPERATOR;
	r->flags = IPC_FLAGS;
	r->client = an_address();
	fill(r->key_id, sizeof r->key_id);
	fill(r->secret, sizeof r->secret);
	if (fields & NAME)
		fill(r->name, sizeof r->name);
	if (fields & ZONE)
		fill(r->zone, sizeof r->zone);
	if (fields & VALUE)
		fill(r->value, sizeof r->value);
	if (fields & TARGET)
		fill(r->target, sizeof r->target);
	if (fields & AFTER)
		r->after = UINT64_MAX - 1;
	if (fields & LIMIT)
		r->limit = UINT16_MAX - 1;
	if (fields & ALLOW)
		r->allow_count = fill_allow(r->allow);
	if (fields & ALIASES)
		r->alias_count = fill_aliases(r->aliases);
	if (fields & TERMS)
		fill_terms(&r->terms);
	for (size_t i = 0; fields & CHALLENGES && i < IPC_CHALLENGES_MAX; i++)
		fill(r->challenges[r->challenge_count++], sizeof r->challenges[0]);
}

static void every_request_survives_the_way(void **state)
{
	(void)state;
	static struct ipc_request sent, got;
	for (enum ipc_type type = IPC_HELLO; type < IPC_TYPES; type++) {
		uint8_t wire[IPC_MESSAGE_MAX + 1] = {0}, again[IPC_MESSAGE_MAX];
		size_t len, again_len;
		struct ipc_envelope e;
		fill_request(&sent, type);
		assert_int_equal(ipc_encode_request(&envelope, &sent, wire, IPC_MESSAGE_MAX, &len), OK);
		assert_int_equal(ipc_decode_request(wire, len, &e, &got), OK);
		assert_memory_equal(&e, &envelope, sizeof e);
		assert_memory_equal(&got, &sent, sizeof got);
		assert_int_equal(ipc_encode_request(&e, &got, again, sizeof again, &again_len), OK);
		assert_int_equal(again_len, len);
		assert_memory_equal(again, wire, len);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(ipc_decode_request(wire, cut, &e, &got), ERR_INVALID);
		assert_int_equal(ipc_decode_request(wire, len + 1, &e, &got), ERR_INVALID);
		/* A buffer that is too small by one is noticed, not overrun. */
		assert_int_equal(ipc_encode_request(&envelope, &sent, again, len - 1, &again_len), ERR_RANGE);
		assert_int_equal(ipc_decode_reply(wire, len, &e, &(struct ipc_reply){0}), ERR_INVALID);
	}
}

/* ---- replies ---- */

static void fill_credentials(struct ipc_reply *r)
{
	struct ipc_credentials *c = &r->credentials;
	fill(c->key_id, sizeof c->key_id);
	fill(c->secret, sizeof c->secret);
	fill(c->label, sizeof c->label);
	fill(c->zone, sizeof c->zone);
	c->allow_count = fill_allow(c->allow);
}

static void fill_history(struct ipc_delegate *d)
{
	d->change_count = IPC_CHANGES_MAX;
	for (size_t i = 0; i < IPC_CHANGES_MAX; i++) {
		d->changes[i].when = number();
		d->changes[i].kind = (enum ipc_change_kind)(i % IPC_CHANGE_KINDS);
		d->changes[i].from = an_address();
		fill(d->changes[i].key, sizeof d->changes[i].key);
	}
	d->asker_count = IPC_ASKERS_MAX;
	for (size_t i = 0; i < IPC_ASKERS_MAX; i++) {
		d->askers[i].resolver = an_address();
		d->askers[i].first = number();
		d->askers[i].last = number();
		d->askers[i].times = UINT32_MAX - (uint32_t)i;
	}
}

static void fill_delegate(struct ipc_reply *r)
{
	struct ipc_delegate *d = &r->delegate;
	fill(d->label, sizeof d->label);
	fill(d->zone, sizeof d->zone);
	d->created = number();
	d->key_count = IPC_KEYS_MAX;
	for (size_t i = 0; i < IPC_KEYS_MAX; i++) {
		fill(d->keys[i].id, sizeof d->keys[i].id);
		d->keys[i].created = number();
		d->keys[i].used = number();
		d->keys[i].used_from = an_address();
		d->keys[i].retiring = i == 0;
		d->keys[i].bcrypt = i == 1;
	}
	d->allow_count = fill_allow(d->allow);
	d->alias_count = fill_aliases(d->aliases);
	d->value_count = IPC_VALUES_MAX;
	for (size_t i = 0; i < IPC_VALUES_MAX; i++) {
		fill(d->values[i].text, sizeof d->values[i].text);
		d->values[i].expiry = number();
	}
	fill_history(d);
}

static void fill_delegates(struct ipc_reply *r)
{
	r->count = IPC_PAGE_MAX;
	for (size_t i = 0; i < IPC_PAGE_MAX; i++) {
		struct ipc_delegate_entry *d = &r->delegates[i];
		fill(d->label, sizeof d->label);
		fill(d->zone, sizeof d->zone);
		d->created = number();
		d->changed = number();
		d->keys = (uint8_t)(1 + i);
		d->values = (uint8_t)(100 + i);
	}
}

static void fill_one_token(struct ipc_token *t)
{
	fill(t->id, sizeof t->id);
	fill(t->secret, sizeof t->secret);
	t->created = number();
	t->used = number();
	t->spent = UINT32_MAX;
	fill_terms(&t->terms);
}

static void fill_token(struct ipc_reply *r)
{
	fill_one_token(&r->token);
}

static void fill_tokens(struct ipc_reply *r)
{
	r->count = IPC_TOKENS_MAX;
	for (size_t i = 0; i < IPC_TOKENS_MAX; i++)
		fill_one_token(&r->tokens[i]);
}

static void fill_events(struct ipc_reply *r)
{
	r->count = IPC_PAGE_MAX;
	for (size_t i = 0; i < IPC_PAGE_MAX; i++) {
		struct ipc_event *e = &r->events[i];
		e->sequence = (uint64_t)number();
		e->when = number();
		e->kind = (enum ipc_event_kind)(i % IPC_EVENT_KINDS);
		e->outcome = (enum ipc_status)(i % IPC_STATUSES);
		e->by = (enum ipc_by)(i % IPC_BYS);
		e->times = UINT32_MAX;
		e->uid = UINT32_MAX - 1;
		e->client = an_address();
		fill(e->key, sizeof e->key);
		fill(e->name, sizeof e->name);
		fill(e->detail, sizeof e->detail);
	}
}

static void fill_report(struct ipc_reply *r)
{
	struct ipc_report *p = &r->report;
	uint64_t *numbers[] = {&p->delegates, &p->index_bytes, &p->store_bytes, &p->registrations,
		&p->changes, &p->refusals, &p->waiting_bcrypt, &p->events_first, &p->events_last, &p->tokens,
		&p->evidence, &p->evidence_lost, &p->queries_udp, &p->queries_tcp, &p->queries_tls,
		&p->queries_dropped, &p->replies_limited};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		*numbers[i] = (uint64_t)number();
	fill(p->version, sizeof p->version);
	p->started = number();
	p->index_in_service = true;
	p->store_writable = true;
	p->tls = true;
	int64_t *times[] = {&p->server_started, &p->server_up, &p->store_since, &p->certificate.not_before,
		&p->certificate.not_after, &p->certificate.last_attempt, &p->certificate.last_success,
		&p->certificate.next_attempt};
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		*times[i] = number();
	p->certificate.acme = true;
	p->certificate.failures = (uint32_t)number();
	fill(p->certificate.error, sizeof p->certificate.error);
	p->process_count = 1000; /* of which the first are there */
	for (size_t i = 0; i < IPC_PROCESSES_MAX; i++) {
		struct ipc_process *c = &p->processes[i];
		fill(c->name, sizeof c->name);
		c->state = (enum ipc_process_state)(i % IPC_PROCESS_STATES);
		c->pid = (uint32_t)number();
		c->restarts = (uint32_t)number();
		c->confinement = (uint32_t)number();
		c->started = number();
		c->up = number();
		c->since = number();
	}
	p->registration = 2;
	p->zone_count = 1000; /* of which the first are named */
	for (size_t i = 0; i < IPC_PAGE_MAX; i++)
		fill(p->zones[i], sizeof p->zones[i]);
}

static void (*const fill_body[IPC_TYPES])(struct ipc_reply *r) = {
	[IPC_REGISTER] = fill_credentials,
	[IPC_DELEGATE_SHOW] = fill_delegate,
	[IPC_KEY_ADD] = fill_credentials,
	[IPC_KEY_ROTATE] = fill_credentials,
	[IPC_DELEGATE_ADD] = fill_credentials,
	[IPC_DELEGATE_LIST] = fill_delegates,
	[IPC_TOKEN_ADD] = fill_token,
	[IPC_TOKEN_LIST] = fill_tokens,
	[IPC_STATUS] = fill_report,
	[IPC_EVENTS] = fill_events,
};

static void check_reply(const struct ipc_reply *sent)
{
	static struct ipc_reply got;
	uint8_t wire[IPC_MESSAGE_MAX + 1] = {0}, again[IPC_MESSAGE_MAX];
	size_t len, again_len;
	struct ipc_envelope e;
	memset(&got, 0, sizeof got); /* what a reply does not hold is left as it is */
	assert_int_equal(ipc_encode_reply(&envelope, sent, wire, IPC_MESSAGE_MAX, &len), OK);
	assert_int_equal(ipc_decode_reply(wire, len, &e, &got), OK);
	assert_memory_equal(&e, &envelope, sizeof e);
	assert_memory_equal(&got, sent, sizeof got);
	assert_int_equal(ipc_encode_reply(&e, &got, again, sizeof again, &again_len), OK);
	assert_int_equal(again_len, len);
	assert_memory_equal(again, wire, len);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(ipc_decode_reply(wire, cut, &e, &got), ERR_INVALID);
	assert_int_equal(ipc_decode_reply(wire, len + 1, &e, &got), ERR_INVALID);
	assert_int_equal(ipc_encode_reply(&envelope, sent, again, len - 1, &again_len), ERR_RANGE);
	assert_int_equal(ipc_decode_request(wire, len, &e, &(struct ipc_request){0}), ERR_INVALID);
}

static void every_reply_survives_the_way(void **state)
{
	(void)state;
	static struct ipc_reply sent;
	for (enum ipc_type type = IPC_HELLO; type < IPC_TYPES; type++) {
		memset(&sent, 0, sizeof sent);
		sent.type = type;
		if (fill_body[type])
			fill_body[type](&sent);
		check_reply(&sent);
	}
}

/* A refusal holds why, and nothing of what an OK would. */
static void every_refusal_survives_the_way(void **state)
{
	(void)state;
	static struct ipc_reply sent;
	for (enum ipc_type type = IPC_HELLO; type < IPC_TYPES; type++)
		for (enum ipc_status status = IPC_FORBIDDEN; status < IPC_STATUSES; status++) {
			memset(&sent, 0, sizeof sent);
			sent.type = type;
			sent.status = status;
			sent.retry_after = 3600;
			sent.delay = 2000;
			check_reply(&sent);
		}
}

static void lists_that_are_too_long_are_not_sent(void **state)
{
	(void)state;
	static struct ipc_reply r;
	uint8_t wire[IPC_MESSAGE_MAX];
	size_t len;
	memset(&r, 0, sizeof r);
	r.type = IPC_TOKEN_LIST;
	r.count = IPC_TOKENS_MAX + 1;
	assert_int_equal(ipc_encode_reply(&envelope, &r, wire, sizeof wire, &len), ERR_RANGE);
	r.type = IPC_EVENTS;
	r.count = IPC_PAGE_MAX + 1;
	assert_int_equal(ipc_encode_reply(&envelope, &r, wire, sizeof wire, &len), ERR_RANGE);
	r.type = IPC_DELEGATE_LIST;
	assert_int_equal(ipc_encode_reply(&envelope, &r, wire, sizeof wire, &len), ERR_RANGE);
}

/* Whichever byte changes: it is refused, or it is a message that is written the same way again. */
static void a_changed_byte_is_never_misread(void **state)
{
	(void)state;
	static struct ipc_request request;
	for (enum ipc_type type = IPC_HELLO; type < IPC_TYPES; type++) {
		uint8_t wire[IPC_MESSAGE_MAX], again[IPC_MESSAGE_MAX];
		size_t len, again_len;
		struct ipc_envelope e;
		fill_request(&request, type);
		assert_int_equal(ipc_encode_request(&envelope, &request, wire, sizeof wire, &len), OK);
		for (size_t i = 0; i < len; i++) {
			wire[i] ^= 0xff;
			if (!ipc_decode_request(wire, len, &e, &request)) {
				assert_int_equal(
					ipc_encode_request(&e, &request, again, sizeof again, &again_len),
					OK);
				assert_int_equal(again_len, len);
				assert_memory_equal(again, wire, len);
			}
			wire[i] ^= 0xff;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_survives_the_way),
		cmocka_unit_test(every_reply_survives_the_way),
		cmocka_unit_test(every_refusal_survives_the_way),
		cmocka_unit_test(lists_that_are_too_long_are_not_sent),
		cmocka_unit_test(a_changed_byte_is_never_misread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
