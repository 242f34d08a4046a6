// SPDX-License-Identifier: GPL-3.0-or-later
#include "delegate/delegate.h"
#include "delegate/fixture.h"
#include "delegate/limits.h"
#include "util/text.h"

enum { SECOND = 1000, HOUR = 3600 * SECOND };

static const struct delegate_rules rules = {.value_lifetime = HOUR, .max_values = 32};
static int put(const struct delegate_credentials *c, const char *text, int64_t now)
{
	struct store_txn *t = begin();
	int rc = delegate_put(t, &c->id, text, &rules, &(struct delegate_actor){.now = now});
	commit(t);
	return rc;
}

/* The live values by their numbers, as "1 2 3". */
static const char *live(const struct delegate_credentials *c, int64_t now)
{
	static char out[256];
	struct delegate_values v;
	assert_int_equal(store_snapshot_renew(view), OK);
	assert_int_equal(
		delegate_read(view, zone, (const uint8_t *)c->id.label, strlen(c->id.label), now, &v), OK);
	out[0] = 0;
	for (size_t i = 0; i < v.count; i++) {
		assert_int_equal(v.rdata[i][0], DELEGATE_VALUE_LEN);
		size_t n = strlen(out);
		char number[5] = "";
		memcpy(number, v.rdata[i] + 1 + DELEGATE_VALUE_LEN - 4, 4);
		snprintf(out + n, sizeof out - n, "%s%d", n ? " " : "", (int)strtol(number, NULL, 10));
	}
	return out;
}

static void a_zone_keeps_its_id(void **state)
{
	(void)state;
	uint16_t again, other;
	struct store_txn *t = begin();
	assert_int_equal(delegate_zone_id(t, "other.example", &other), OK);
	assert_int_equal(delegate_zone_id(t, "auth.example.org", &again), OK);
	commit(t);
	assert_int_equal(again, zone);
	assert_int_equal(store_snapshot_renew(view), OK);
	assert_int_equal(delegate_zone_find(view, "auth.example.org", &again), OK);
	assert_int_equal(again, zone);
	assert_int_equal(delegate_zone_find(view, "unknown.example", &again), ERR_NOTFOUND);
	assert_int_not_equal(other, zone);
}

static void registration_gives_random_credentials(void **state)
{
	(void)state;
	struct delegate_credentials a = registered(NULL), b = registered(NULL);
	assert_int_equal(strlen(a.id.label), 36);
	assert_int_equal(strlen(a.key_id), 36);
	assert_int_equal(strlen(a.secret), 40);
	assert_string_not_equal(a.id.label, b.id.label);
	assert_string_not_equal(a.key_id, b.key_id);
	assert_string_not_equal(a.secret, b.secret);
	assert_string_equal(live(&a, 0), ""); /* it exists, without a value */
}

static void lookup_is_by_zone_and_label_in_either_case(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	struct delegate_values v;
	uint8_t upper[36], label[64] = {0};
	for (size_t i = 0; i < 36; i++)
		upper[i] = (uint8_t)(c.id.label[i] >= 'a' ? c.id.label[i] - 32 : c.id.label[i]);
	assert_int_equal(store_snapshot_renew(view), OK);
	assert_int_equal(delegate_read(view, zone, upper, 36, 0, &v), OK);
	assert_int_equal(delegate_read(view, (uint16_t)(zone + 1), upper, 36, 0, &v), ERR_NOTFOUND);
	assert_int_equal(delegate_read(view, zone, upper, 35, 0, &v), ERR_NOTFOUND);
	assert_int_equal(delegate_read(view, zone, label, 63, 0, &v), ERR_NOTFOUND);
	assert_int_equal(delegate_read(view, zone, label, 0, 0, &v), ERR_NOTFOUND);
	assert_int_equal(delegate_read(view, zone, label, 64, 0, &v), ERR_NOTFOUND);
}

static void a_lost_snapshot_is_not_a_missing_delegate(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	struct delegate_values v;
	store_snapshot_release(view);
	assert_int_equal(delegate_read(view, zone, (const uint8_t *)c.id.label, 36, 0, &v), ERR_STORE);
}

/* A wildcard and its base name need two at once; a repeated one evicts nothing. */
static void values_are_kept_in_order_and_once(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	assert_int_equal(put(&c, value(1), 0), OK);
	assert_int_equal(put(&c, value(2), 0), OK);
	assert_int_equal(put(&c, value(1), 0), OK);
	assert_string_equal(live(&c, 0), "1 2");
}

static void the_oldest_makes_room(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	struct delegate_rules two = {.value_lifetime = HOUR, .max_values = 2};
	struct store_txn *t = begin();
	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(
			delegate_put(t, &c.id, value(i), &two, &(struct delegate_actor){.now = 0}), OK);
	commit(t);
	assert_string_equal(live(&c, 0), "2 3");
	for (unsigned i = 10; i < 60; i++)
		assert_int_equal(put(&c, value(i), 0), OK);
	struct delegate_values v;
	assert_int_equal(store_snapshot_renew(view), OK);
	assert_int_equal(delegate_read(view, zone, (const uint8_t *)c.id.label, 36, 0, &v), OK);
	assert_int_equal(v.count, 32);
}

static void values_expire_and_a_repeat_prolongs(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	assert_int_equal(put(&c, value(1), 0), OK);
	assert_int_equal(put(&c, value(2), 10 * SECOND), OK);
	assert_string_equal(live(&c, HOUR - 1), "1 2");
	assert_string_equal(live(&c, HOUR), "2");
	assert_int_equal(put(&c, value(1), 20 * SECOND), OK);
	assert_string_equal(live(&c, HOUR + 15 * SECOND), "1");
	assert_string_equal(live(&c, HOUR + 20 * SECOND), "");
}

static void what_is_withdrawn_is_gone_and_nothing_else(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	assert_int_equal(put(&c, value(1), 0), OK);
	assert_int_equal(put(&c, value(2), 0), OK);
	struct store_txn *t = begin();
	assert_int_equal(delegate_withdraw(t, &c.id, value(1), &(struct delegate_actor){.now = 0}), OK);
	assert_int_equal(delegate_withdraw(t, &c.id, value(9), &(struct delegate_actor){.now = 0}), OK);
	assert_int_equal(
		delegate_withdraw(t, &c.id, "short", &(struct delegate_actor){.now = 0}), ERR_INVALID);
	commit(t);
	assert_string_equal(live(&c, 0), "2");
}

static void only_values_are_taken(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "short", "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
		"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv=", "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv.",
		"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv "};
	struct delegate_credentials c = registered(NULL);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(put(&c, bad[i], 0), ERR_INVALID);
	/* What the peer's own tests publish: any 43 characters of the alphabet, digest or not. */
	assert_int_equal(put(&c, "___validation_token_received_from_the_ca___", 0), OK);
	struct delegate_credentials unknown = c;
	unknown.id.label[0] = unknown.id.label[0] == 'a' ? 'b' : 'a';
	assert_int_equal(put(&unknown, value(1), 0), ERR_NOTFOUND);
}

static int sweep(int64_t now, unsigned max, int64_t *next)
{
	struct store_txn *t = begin();
	int rc = delegate_sweep(t, now, max, next);
	commit(t);
	return rc;
}

/* Once swept, a value does not come back when the clock is set back. */
static void sweeping_removes_what_has_expired(void **state)
{
	(void)state;
	struct delegate_credentials a = registered(NULL), b = registered(NULL);
	int64_t next;
	assert_int_equal(sweep(0, 100, &next), OK);
	assert_true(next == INT64_MAX);
	assert_int_equal(put(&a, value(1), 0), OK);
	assert_int_equal(put(&a, value(2), 5 * SECOND), OK);
	assert_int_equal(put(&b, value(3), 7 * SECOND), OK);
	assert_int_equal(sweep(HOUR - 1, 100, &next), OK);
	assert_true(next == HOUR);
	assert_int_equal(sweep(HOUR, 100, &next), OK);
	assert_true(next == HOUR + 5 * SECOND);
	assert_string_equal(live(&a, 0), "2");
	assert_int_equal(sweep(2 * HOUR, 1, &next), OK); /* bounded */
	assert_string_equal(live(&a, 0), "");
	assert_string_equal(live(&b, 0), "3");
	assert_int_equal(sweep(2 * HOUR, 100, &next), OK);
	assert_string_equal(live(&b, 0), "");
	assert_true(next == INT64_MAX);
}

/* The clock was set an hour ahead: the change is dated by it, the value lives by the time that has passed. */
static void a_clock_that_jumps_shortens_no_life(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	struct delegate_actor who = {.now = 3 * HOUR, .jump = HOUR};
	assert_int_equal(put(&c, value(1), HOUR + SECOND), OK);
	struct store_txn *t = begin();
	assert_int_equal(delegate_put(t, &c.id, value(2), &rules, &who), OK);
	commit(t);
	assert_string_equal(live(&c, 2 * HOUR), "1 2");
	assert_string_equal(live(&c, 3 * HOUR - 1), "2");
	assert_string_equal(live(&c, 3 * HOUR), "");
}

static void refreshing_for_ever_leaves_one_expiry_entry(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	uint8_t key[STORE_MAX_KEY];
	size_t len;
	for (int i = 0; i < 100; i++)
		assert_int_equal(put(&c, value(1), i), OK);
	struct store_txn *t = begin();
	assert_int_equal(store_txn_first(t, STORE_EXPIRY, key, sizeof key, &len), OK);
	assert_int_equal(store_txn_delete(t, STORE_EXPIRY, key, len), OK);
	assert_int_equal(store_txn_first(t, STORE_EXPIRY, key, sizeof key, &len), ERR_NOTFOUND);
	store_txn_abort(&t);
}

static int authenticate(const char *key_id, const char *secret, const char *from, struct delegate_id *id)
{
	struct address client;
	assert_int_equal(address_parse(from, &client), OK);
	struct store_txn *t = begin();
	struct delegate_login login;
	int rc = delegate_authenticate(t, key_id, secret, &client, &login);
	*id = login.id;
	commit(t);
	return rc;
}

static void a_key_opens_its_delegate_only(void **state)
{
	(void)state;
	struct delegate_credentials a = registered(NULL), b = registered(NULL);
	struct delegate_id id;
	char wrong[SECURE_SECRET_LEN + 1];
	assert_int_equal(authenticate(a.key_id, a.secret, "192.0.2.1", &id), OK);
	assert_string_equal(id.label, a.id.label);
	assert_int_equal(id.zone, zone);
	assert_int_equal(authenticate(a.key_id, b.secret, "192.0.2.1", &id), ERR_FORBIDDEN);
	assert_int_equal(authenticate(b.key_id, a.secret, "192.0.2.1", &id), ERR_FORBIDDEN);
	assert_int_equal(authenticate(a.id.label, a.secret, "192.0.2.1", &id), ERR_FORBIDDEN);
	assert_int_equal(authenticate("", "", "192.0.2.1", &id), ERR_FORBIDDEN);
	for (size_t i = 0; i < SECURE_SECRET_LEN; i++) { /* every character counts */
		memcpy(wrong, a.secret, sizeof wrong);
		wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
		assert_int_equal(authenticate(a.key_id, wrong, "192.0.2.1", &id), ERR_FORBIDDEN);
		memcpy(wrong, a.secret, sizeof wrong);
		wrong[i] = 0; /* and a prefix is not enough */
		assert_int_equal(authenticate(a.key_id, wrong, "192.0.2.1", &id), ERR_FORBIDDEN);
	}
}

static void an_allow_list_is_held(void **state)
{
	(void)state;
	struct delegate_allow allow = {.count = 2};
	struct delegate_id id;
	assert_int_equal(prefix_parse("192.0.2.0/24", 12, &allow.prefixes[0]), OK);
	assert_int_equal(prefix_parse("2001:db8::/32", 13, &allow.prefixes[1]), OK);
	struct delegate_credentials c = registered(&allow);
	assert_int_equal(authenticate(c.key_id, c.secret, "192.0.2.99", &id), OK);
	assert_int_equal(authenticate(c.key_id, c.secret, "2001:db8::7", &id), OK);
	assert_int_equal(authenticate(c.key_id, c.secret, "198.51.100.1", &id), ERR_FORBIDDEN);
	assert_int_equal(authenticate(c.key_id, c.secret, "::1", &id), ERR_FORBIDDEN);
}

/* ---- whole delegates ---- */

static int put_entry(
	void *ctx, enum store_table table, const void *key, size_t key_len, const void *data, size_t data_len)
{
	return store_txn_put(ctx, table, key, key_len, data, data_len);
}

static int put_only_keys(
	void *ctx, enum store_table table, const void *key, size_t key_len, const void *data, size_t data_len)
{
	return table == STORE_KEYS ? put_entry(ctx, table, key, key_len, data, data_len) : ERR_CLOSED;
}

static bool read_one(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *data, size_t data_len)
{
	assert_int_equal(delegate_decode(view, key, key_len, data, data_len, ctx), OK);
	return true;
}

/* The only delegate of the store. */
static struct delegate the_one(void)
{
	struct delegate d;
	bool more;
	assert_int_equal(store_snapshot_renew(view), OK);
	assert_int_equal(store_snapshot_walk(view, STORE_NAMES, NULL, 0, 1, read_one, &d, &more), OK);
	return d;
}

static struct delegate an_example(void)
{
	struct delegate d = {.id = {zone, "web-1"}, .created = 5, .key_count = 2, .values.count = 2};
	d.allow.count = 1;
	assert_int_equal(prefix_parse("192.0.2.0/24", 12, &d.allow.prefixes[0]), OK);
	for (uint8_t i = 0; i < 2; i++) {
		char secret[2] = {(char)('a' + i), 0};
		d.keys[i] = (struct delegate_stored_key){.id = {i, 1, 2}, .created = 6 + i};
		assert_int_equal(secure_sha256(secret, 1, d.keys[i].digest), OK);
		d.values.values[i].expiry = HOUR - i;
		memcpy(d.values.values[i].text, value(i + 1), DELEGATE_VALUE_LEN);
	}
	return d;
}

/* Member by member: what is between them means nothing. */
static void expect_same_key(const struct delegate_stored_key *a, const struct delegate_stored_key *b)
{
	assert_memory_equal(a->id, b->id, sizeof a->id);
	assert_int_equal(a->created, b->created);
	assert_int_equal(a->retiring, b->retiring);
	assert_int_equal(a->hash, b->hash);
	assert_memory_equal(a->digest, b->digest, sizeof a->digest);
	assert_string_equal(a->bcrypt, b->bcrypt);
}

static void a_delegate_is_read_as_it_was_written(void **state)
{
	(void)state;
	struct delegate d = an_example();
	struct delegate_id id;
	int64_t next;
	struct store_txn *t = begin();
	assert_int_equal(delegate_encode(&d, put_entry, t), OK);
	commit(t);
	struct delegate back = the_one();
	assert_int_equal(back.id.zone, zone);
	assert_string_equal(back.id.label, "web-1");
	assert_true(back.created == 5);
	assert_int_equal(back.key_count, 2);
	for (size_t i = 0; i < 2; i++)
		expect_same_key(&back.keys[i], &d.keys[i]);
	assert_int_equal(back.allow.count, 1);
	assert_memory_equal(&back.allow.prefixes[0], &d.allow.prefixes[0], sizeof(struct prefix));
	assert_int_equal(back.values.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(back.values.values[i].expiry, d.values.values[i].expiry);
		assert_memory_equal(back.values.values[i].text, d.values.values[i].text, DELEGATE_VALUE_LEN);
	}
	/* It is like any other: its keys open it, its values expire. */
	assert_int_equal(authenticate("00010200-0000-0000-0000-000000000000", "a", "192.0.2.1", &id), OK);
	assert_string_equal(id.label, "web-1");
	assert_int_equal(authenticate("01010200-0000-0000-0000-000000000000", "b", "192.0.2.1", &id), OK);
	assert_int_equal(
		authenticate("01010200-0000-0000-0000-000000000000", "b", "192.0.3.1", &id), ERR_FORBIDDEN);
	assert_int_equal(sweep(HOUR - 1, 10, &next), OK);
	assert_true(next == HOUR);
	assert_int_equal(the_one().values.count, 1);
}

static void what_registration_makes_can_be_read(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	char id[SECURE_UUID_LEN + 1];
	uint8_t digest[SECURE_DIGEST_SIZE];
	assert_int_equal(put(&c, value(1), 0), OK);
	struct delegate d = the_one();
	assert_string_equal(d.id.label, c.id.label);
	assert_int_equal(d.key_count, 1);
	text_from_uuid(d.keys[0].id, id);
	assert_string_equal(id, c.key_id);
	assert_int_equal(secure_sha256(c.secret, strlen(c.secret), digest), OK);
	assert_memory_equal(d.keys[0].digest, digest, sizeof digest);
	assert_int_equal(d.values.count, 1);
}

/* What an import that was interrupted leaves: keys without their delegate. They are like unknown ones. */
static void a_key_without_its_delegate_opens_nothing(void **state)
{
	(void)state;
	struct delegate d = an_example();
	struct delegate_id id;
	struct store_txn *t = begin();
	assert_int_equal(delegate_encode(&d, put_only_keys, t), ERR_CLOSED);
	commit(t);
	assert_int_equal(
		authenticate("00010200-0000-0000-0000-000000000000", "a", "192.0.2.1", &id), ERR_FORBIDDEN);
}

static void too_many_of_something_is_refused(void **state)
{
	(void)state;
	struct store_txn *t = begin();
	struct delegate keys = an_example(), prefixes = keys, values = keys;
	keys.key_count = DELEGATE_MAX_KEYS + 1;
	prefixes.allow.count = DELEGATE_MAX_PREFIXES + 1;
	values.values.count = DELEGATE_MAX_VALUES + 1;
	assert_int_equal(delegate_encode(&keys, put_entry, t), ERR_RANGE);
	assert_int_equal(delegate_encode(&prefixes, put_entry, t), ERR_RANGE);
	assert_int_equal(delegate_encode(&values, put_entry, t), ERR_RANGE);
	commit(t);
}

static int take(struct limits *l, const char *from, int64_t now, uint32_t *wait)
{
	struct address client;
	assert_int_equal(address_parse(from, &client), OK);
	return limits_take(l, &client, now, wait);
}

static void limits_are_per_address_and_per_day(void **state)
{
	(void)state;
	struct limits *l;
	uint32_t wait;
	assert_int_equal(limits_new(2, 5, &l), OK);
	assert_int_equal(take(l, "192.0.2.1", 1, &wait), OK);
	assert_int_equal(take(l, "192.0.2.1", 1, &wait), OK);
	assert_int_equal(take(l, "192.0.2.1", 1, &wait), ERR_LIMIT);
	assert_int_equal(wait, 1800); /* two an hour: the next one comes back after half of it */
	assert_int_equal(take(l, "192.0.2.2", 1, &wait), OK);
	assert_int_equal(take(l, "192.0.2.1", 1 + HOUR / 2, &wait), OK);
	assert_int_equal(take(l, "192.0.2.1", 1 + HOUR / 2, &wait), ERR_LIMIT);
	/* A household with IPv6 has a /56. */
	assert_int_equal(take(l, "2001:db8:0:ff00::1", 1 + HOUR / 2, &wait), OK);
	/* The day's five are spent, whoever asks; one comes back after a fifth of a day. */
	assert_int_equal(take(l, "198.51.100.7", 1 + HOUR / 2, &wait), ERR_LIMIT);
	assert_in_range(wait, 4 * 3600, 5 * 3600);
	assert_int_equal(take(l, "198.51.100.7", 1 + 5 * HOUR, &wait), OK);
	limits_free(&l);
	assert_int_equal(limits_new(1, 0, &l), OK);
	assert_int_equal(take(l, "2001:db8:0:1::1", 1, &wait), OK);
	assert_int_equal(take(l, "2001:db8:0:fe::9", 1, &wait), ERR_LIMIT);
	assert_int_equal(take(l, "2001:db8:0:100::1", 1, &wait), OK);
	limits_free(&l);
	assert_int_equal(limits_new(0, 0, &l), OK); /* none */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(take(l, "192.0.2.1", 1, &wait), OK);
	limits_free(&l);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_zone_keeps_its_id),
		TEST(registration_gives_random_credentials),
		TEST(lookup_is_by_zone_and_label_in_either_case),
		TEST(a_lost_snapshot_is_not_a_missing_delegate),
		TEST(values_are_kept_in_order_and_once),
		TEST(the_oldest_makes_room),
		TEST(values_expire_and_a_repeat_prolongs),
		TEST(what_is_withdrawn_is_gone_and_nothing_else),
		TEST(only_values_are_taken),
		TEST(sweeping_removes_what_has_expired),
		TEST(a_clock_that_jumps_shortens_no_life),
		TEST(refreshing_for_ever_leaves_one_expiry_entry),
		TEST(a_key_opens_its_delegate_only),
		TEST(an_allow_list_is_held),
		TEST(a_delegate_is_read_as_it_was_written),
		TEST(what_registration_makes_can_be_read),
		TEST(a_key_without_its_delegate_opens_nothing),
		TEST(too_many_of_something_is_refused),
		cmocka_unit_test(limits_are_per_address_and_per_day),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
