// SPDX-License-Identifier: GPL-3.0-or-later
/* Tokens, events, evidence, failures. */
#include "delegate/events.h"
#include "delegate/evidence.h"
#include "delegate/failures.h"
#include "delegate/fixture.h"
#include "delegate/tokens.h"

enum { NOW = 1000000 };

/* ---- tokens ---- */

static const char *add(const struct token_terms *terms, struct token *out)
{
	static char secrets[4][SECURE_SECRET_LEN + 1];
	static unsigned next;
	char *secret = secrets[next++ % 4];
	struct store_txn *t = begin();
	assert_int_equal(token_add(t, terms, NOW, secret, out), OK);
	commit(t);
	return secret;
}

static enum token_verdict judge(const char *secret, int64_t now)
{
	struct token k;
	enum token_verdict v;
	struct store_txn *t = begin();
	assert_int_equal(token_judge(t, secret, now, &v, &k), OK);
	commit(t);
	return v;
}

static void spend(const char *secret)
{
	struct store_txn *t = begin();
	assert_int_equal(token_spend(t, secret, NOW + 1), OK);
	commit(t);
}

static void a_token_is_good_until_it_is_not(void **state)
{
	(void)state;
	struct token k;
	struct token_terms terms = {
		.zone = zone, .quota = 2, .expiry = NOW + 1000, .note = "for the web team"};
	const char *secret = add(&terms, &k);
	assert_int_equal(strlen(k.id), TOKEN_ID_LEN);
	assert_int_equal(judge(secret, NOW), TOKEN_GOOD);
	assert_int_equal(judge(secret, NOW + 999), TOKEN_GOOD);
	assert_int_equal(judge(secret, NOW + 1000), TOKEN_EXPIRED);
	assert_int_equal(judge("x", NOW), TOKEN_UNKNOWN);
	assert_int_equal(judge("", NOW), TOKEN_UNKNOWN);
	assert_int_equal(judge(k.id, NOW), TOKEN_UNKNOWN);
	spend(secret);
	assert_int_equal(judge(secret, NOW), TOKEN_GOOD);
	spend(secret);
	assert_int_equal(judge(secret, NOW), TOKEN_SPENT);
	struct store_txn *t = begin();
	assert_int_equal(token_revoke(t, k.id), OK);
	assert_int_equal(token_revoke(t, k.id), ERR_NOTFOUND);
	assert_int_equal(token_revoke(t, ""), ERR_NOTFOUND);
	assert_int_equal(token_revoke(t, "zzzzzzzzzzzz"), ERR_NOTFOUND);
	commit(t);
	assert_int_equal(judge(secret, NOW), TOKEN_UNKNOWN);
}

static void a_fixed_label_is_good_for_one(void **state)
{
	(void)state;
	struct token k;
	const char *secret = add(&(struct token_terms){.zone = zone, .label = "mail"}, &k);
	assert_int_equal(judge(secret, NOW), TOKEN_GOOD);
	spend(secret);
	assert_int_equal(judge(secret, NOW), TOKEN_SPENT);
}

static void terms_are_checked(void **state)
{
	(void)state;
	static const struct {
		const char *label;
		bool prefix;
		int rc;
	} cases[] = {{"", true, ERR_INVALID}, {"-a", false, ERR_INVALID}, {"a-", false, ERR_INVALID},
		{"a-", true, OK}, {"A", true, ERR_INVALID}, {"a.b", true, ERR_INVALID},
		{"-", true, ERR_INVALID}, {"abcdefghijklmnopqrstuvwxyz0", true, OK},
		{"abcdefghijklmnopqrstuvwxyz01", true, ERR_INVALID}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct token_terms terms = {.zone = zone, .label_is_prefix = cases[i].prefix};
		struct token k;
		char secret[SECURE_SECRET_LEN + 1];
		strcpy(terms.label, cases[i].label);
		struct store_txn *t = begin();
		assert_int_equal(token_add(t, &terms, NOW, secret, &k), cases[i].rc);
		commit(t);
	}
}

static void a_token_narrows_a_wish(void **state)
{
	(void)state;
	struct token_terms any = {.zone = 7}, fixed = {.zone = 7, .label = "mail"},
			   prefix = {.zone = 7, .label = "web-", .label_is_prefix = true};
	struct delegate_wish w = {.zone = 1};
	assert_int_equal(token_apply(&any, &w), OK);
	assert_int_equal(w.zone, 7);
	w.label = "mine";
	assert_int_equal(token_apply(&any, &w), ERR_FORBIDDEN);
	assert_int_equal(token_apply(&fixed, &w), ERR_FORBIDDEN);
	assert_int_equal(token_apply(&prefix, &w), ERR_FORBIDDEN);
	w.label = "MAIL";
	assert_int_equal(token_apply(&fixed, &w), OK);
	assert_string_equal(w.label, "mail");
	w = (struct delegate_wish){.label = "web-front"};
	assert_int_equal(token_apply(&prefix, &w), OK);
	assert_string_equal(w.label, "web-front");
	assert_false(w.label_is_prefix);
	w = (struct delegate_wish){.label = NULL};
	assert_int_equal(token_apply(&prefix, &w), OK);
	assert_string_equal(w.label, "web-");
	assert_true(w.label_is_prefix);
	/* A list of the token's replaces what was asked for; none leaves it. */
	w = (struct delegate_wish){.allow.count = 1};
	assert_int_equal(token_apply(&any, &w), OK);
	assert_int_equal(w.allow.count, 1);
	any.allow.count = 2;
	assert_int_equal(token_apply(&any, &w), OK);
	assert_int_equal(w.allow.count, 2);
}

static bool count_token(void *ctx, const struct token *k)
{
	char(*ids)[TOKEN_ID_LEN + 1] = ctx;
	strcpy(*ids, k->id);
	return true;
}

static void tokens_are_listed_once(void **state)
{
	(void)state;
	char last[TOKEN_ID_LEN + 1] = "", before[TOKEN_ID_LEN + 1];
	struct token k;
	for (int i = 0; i < 10; i++)
		add(&(struct token_terms){.zone = zone}, &k);
	assert_int_equal(store_snapshot_renew(view), OK);
	bool more = true;
	int count = 0;
	for (; more && count < 20; count++) {
		strcpy(before, last);
		assert_int_equal(token_list(view, last, 1, count_token, last, &more), OK);
		if (strcmp(before, last) == 0)
			break;
		assert_true(strcmp(before, last) < 0);
	}
	assert_int_equal(count, 10);
}

/* ---- events ---- */

static uint64_t append(uint64_t keep, const char *name)
{
	struct event e = {.when = NOW, .kind = 3, .outcome = 2, .by = 1, .times = 5, .uid = 1000};
	strcpy(e.name, name);
	struct store_txn *t = begin();
	assert_int_equal(events_append(t, &e, keep), OK);
	commit(t);
	return e.sequence;
}

static void range(uint64_t *first, uint64_t *last)
{
	struct store_txn *t = begin();
	assert_int_equal(events_range(t, first, last), OK);
	commit(t);
}

struct numbers {
	size_t count;
	uint64_t numbers[64];
	struct event last;
};

static bool note_event(void *ctx, const struct event *e)
{
	struct numbers *n = ctx;
	assert_true(n->count < 64);
	n->numbers[n->count++] = e->sequence;
	n->last = *e;
	return true;
}

static void events_are_numbered_and_read_back(void **state)
{
	(void)state;
	static struct numbers n;
	uint64_t first, last;
	bool more;
	range(&first, &last);
	assert_true(!first && !last);
	assert_int_equal(append(0, "none are kept"), 0);
	for (uint64_t i = 1; i <= 20; i++)
		assert_int_equal(append(1000, "label.auth.example.org"), i);
	assert_int_equal(store_snapshot_renew(view), OK);
	n.count = 0;
	assert_int_equal(events_list(view, 0, 5, note_event, &n, &more), OK);
	assert_true(more && n.count == 5 && n.numbers[0] == 1);
	n.count = 0;
	assert_int_equal(events_list(view, 18, 50, note_event, &n, &more), OK);
	assert_true(!more && n.count == 2 && n.numbers[0] == 19);
	assert_string_equal(n.last.name, "label.auth.example.org");
	assert_true(n.last.when == NOW && n.last.kind == 3 && n.last.outcome == 2 && n.last.by == 1 &&
		    n.last.times == 5 && n.last.uid == 1000);
	n.count = 0;
	assert_int_equal(events_list(view, 20, 50, note_event, &n, &more), OK);
	assert_true(!more && !n.count);
}

static void old_events_make_room(void **state)
{
	(void)state;
	uint64_t first, last;
	for (int i = 0; i < 50; i++)
		append(10, "");
	range(&first, &last);
	assert_int_equal(last, 50);
	assert_int_equal(first, 41);
	/* A lower limit takes effect bit by bit, a higher one keeps more. */
	for (int i = 0; i < 5; i++)
		append(3, "");
	range(&first, &last);
	assert_true(last == 55 && first == 53);
	append(10, "");
	range(&first, &last);
	assert_true(last == 56 && first == 53);
	append(1, "");
	append(1, "");
	range(&first, &last);
	assert_true(last == 58 && first == 58);
}

/* ---- evidence ---- */

static struct evidence evidence_of(const struct delegate_id *id)
{
	struct evidence e;
	struct store_txn *t = begin();
	assert_int_equal(evidence_get(t, id, &e), OK);
	commit(t);
	return e;
}

static void note_asker(const struct delegate_id *id, unsigned n, int64_t when, uint32_t times)
{
	struct address a = {{[10] = 0xff, [11] = 0xff, 192, 0, 2, (uint8_t)n}};
	struct store_txn *t = begin();
	assert_int_equal(evidence_note(t, id, &a, when, times), OK);
	commit(t);
}

static void askers_are_known(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	assert_int_equal(evidence_of(&c.id).count, 0);
	for (unsigned i = 0; i < EVIDENCE_ASKERS + 4; i++)
		note_asker(&c.id, i, NOW + i, 1);
	note_asker(&c.id, 10, NOW + 100, 3);
	note_asker(&c.id, 11, NOW + 101, UINT32_MAX);
	struct evidence e = evidence_of(&c.id);
	assert_int_equal(e.count, EVIDENCE_ASKERS);
	assert_int_equal(e.askers[0].resolver.bytes[15], 11);
	assert_int_equal(e.askers[0].times, UINT32_MAX);
	assert_int_equal(e.askers[1].resolver.bytes[15], 10);
	assert_true(e.askers[1].times == 4 && e.askers[1].first == NOW + 10 && e.askers[1].last == NOW + 100);
	for (size_t i = 0; i < e.count; i++)
		assert_true(e.askers[i].resolver.bytes[15] >= 4); /* the first four made room */
}

/* ---- failures ---- */

static void guessing_gets_slow(void **state)
{
	(void)state;
	struct failures *f;
	struct address guesser, neighbour, six, same_site;
	assert_int_equal(address_parse("192.0.2.1", &guesser), OK);
	assert_int_equal(address_parse("192.0.2.2", &neighbour), OK);
	assert_int_equal(address_parse("2001:db8::1", &six), OK);
	assert_int_equal(address_parse("2001:db8:0:ff::1", &same_site), OK);
	assert_int_equal(failures_new(&f), OK);
	uint32_t before = 0;
	for (int i = 0; i < FAILURES_FREE; i++)
		assert_int_equal(failures_note(f, &guesser, NOW), 0);
	for (int i = 0; i < 100; i++) {
		uint32_t delay = failures_note(f, &guesser, NOW);
		assert_true(delay >= before && delay > 0 && delay <= FAILURES_DELAY_MAX);
		before = delay;
	}
	assert_int_equal(before, FAILURES_DELAY_MAX);
	assert_int_equal(failures_note(f, &neighbour, NOW), 0);
	/* Forgiven after some minutes, however many there were. */
	assert_int_equal(failures_note(f, &guesser, NOW + 5 * 60 * 1000), 0);
	/* One IPv6 site is one client: it has more addresses than anybody could remember. */
	for (int i = 0; i < FAILURES_FREE; i++)
		assert_int_equal(failures_note(f, i % 2 ? &six : &same_site, NOW), 0);
	assert_true(failures_note(f, &six, NOW) > 0);
	failures_free(&f);
	failures_free(&f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_token_is_good_until_it_is_not),
		TEST(a_fixed_label_is_good_for_one),
		TEST(terms_are_checked),
		TEST(a_token_narrows_a_wish),
		TEST(tokens_are_listed_once),
		TEST(events_are_numbered_and_read_back),
		TEST(old_events_make_room),
		TEST(askers_are_known),
		TEST(guessing_gets_slow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
