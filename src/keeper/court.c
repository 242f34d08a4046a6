// SPDX-License-Identifier: GPL-3.0-or-later
#include "keeper/court.h"

#include "keeper/audit.h"
#include "util/clock.h"

int court_open(struct court *c, const struct keeper_settings *s)
{
	c->judge.settings = s;
	c->judge.started = clock_wall_ms();
	c->judge.counters = s->counters ? s->counters : &c->judge.unread;
	c->judge.collector.witness = s->witness;
	int rc = limits_new(s->per_address_per_hour, s->per_day, &c->judge.limits);
	rc = rc ? rc : failures_new(&c->judge.failures);
	rc = rc ? rc : audit_new(s->events_keep, &c->judge.audit);
	return rc ? rc : verifier_new(&c->verifier);
}

void court_close(struct court *c)
{
	verifier_free(&c->verifier, ticket_drop);
	held_drop(&c->held);
	answers_drop(&c->answers);
	audit_free(&c->judge.audit);
	failures_free(&c->judge.failures);
	limits_free(&c->judge.limits);
	ipc_reply_wipe(&c->reply);
}

static void answer(struct court *c, const struct sender *to)
{
	struct keeper_counters *n = c->judge.counters;
	n->refusals[c->reply.status] += c->reply.status != IPC_OK;
	n->slowed += c->reply.delay > 0;
	answers_add(&c->answers, to->channel, &to->envelope, &c->reply);
	ipc_reply_wipe(&c->reply);
}

static struct hearing hearing(struct court *c, struct store_txn *t, struct judge_time now,
	const struct sender *from, const struct ipc_request *r)
{
	return (struct hearing){
		.judge = &c->judge, .t = t, .r = r, .asker = &from->asker, .now = now, .out = &c->reply};
}

/* False: not now; the reply stands. */
static bool verify_first(struct court *c, const struct sender *from, const struct hearing *h)
{
	struct ticket *k = ticket_new(from, h->r);
	if (k && !verifier_ask(c->verifier, h->r->key_id, h->r->secret, h->login.bcrypt, &h->r->client, k))
		return true;
	ticket_free(&k);
	return false;
}

static bool hold(struct court *c, const struct sender *from, const struct hearing *h)
{
	if (held_add(&c->held, from, h->r, audit_last(c->judge.audit), h->now.mono))
		return true;
	h->out->status = IPC_BUSY;
	h->out->retry_after = 1;
	return false;
}

void court_hear(struct court *c, struct store_txn *t, struct judge_time now, const struct sender *from,
	const struct ipc_request *r)
{
	struct hearing h = hearing(c, t, now, from, r);
	enum judgement judgement = judge_request(&h);
	if (judgement == JUDGE_VERIFY && verify_first(c, from, &h))
		return;
	if (judgement == JUDGE_HOLD && hold(c, from, &h))
		return;
	answer(c, from);
}

/* A right one was settled, so the request is judged like any other; if its key has another digest by now, the
 * reply says to come again. */
static void hear_verified(
	struct court *c, struct store_txn *t, struct judge_time now, struct ticket *k, bool right)
{
	struct hearing h = hearing(c, t, now, &k->sender, &k->request);
	if (right)
		judge_request(&h);
	else
		judge_wrong_secret(&h);
	answer(c, &k->sender);
	ticket_free(&k);
}

static void resume_verified(struct court *c, struct store_txn *t, struct judge_time now)
{
	struct verdict v;
	while (ANSWERS_MAX - c->answers.count >= VERIFIER_TICKETS && verifier_collect(c->verifier, &v)) {
		/* What the store refuses shows in the commit. */
		bool settled = t && v.right && !delegate_settle_key(t, v.key_id, v.bcrypt, v.secret);
		(void)settled;
		for (size_t i = 0; i < v.ticket_count; i++)
			hear_verified(c, t, now, v.tickets[i], v.right);
		secure_wipe(&v, sizeof v);
	}
}

static void resume_held(struct court *c, struct store_txn *t, struct judge_time now)
{
	uint64_t last = audit_last(c->judge.audit);
	for (size_t i = 0; i < TICKETS_HELD && !answers_full(&c->answers); i++) {
		struct ticket *k = c->held.at[i];
		if (!k || !held_due(k, last, now.mono))
			continue;
		if (k->deadline <= now.mono)
			k->request.flags &= ~(unsigned)IPC_FLAG_WAIT;
		struct hearing h = hearing(c, t, now, &k->sender, &k->request);
		if (judge_request(&h) == JUDGE_HOLD) {
			k->seen = k->request.after = last;
			continue;
		}
		answer(c, &k->sender);
		ticket_free(&c->held.at[i]);
	}
}

void court_resume(struct court *c, struct store_txn *t, struct judge_time now)
{
	c->judge.waiting_bcrypt = verifier_waiting(c->verifier);
	resume_verified(c, t, now);
	resume_held(c, t, now);
}

bool court_restless(const struct court *c, int64_t mono)
{
	return held_any_due(&c->held, audit_last(c->judge.audit), mono);
}
