// SPDX-License-Identifier: GPL-3.0-or-later
/* Keys, what their owners may change, and the end of a delegate. */
#include "delegate/fixture.h"
#include "delegate/evidence.h"
#include "delegate/internal.h"
#include "delegate/tokens.h"
#include "util/text.h"

enum { NOW = 1000000 };

static const struct delegate_rules rules = {.value_lifetime = 3600000, .max_values = 32};

static int login(const struct delegate_credentials *c, struct delegate_login *out)
{
	struct address client;
	assert_int_equal(address_parse("192.0.2.1", &client), OK);
	struct store_txn *t = begin();
	int rc = delegate_authenticate(t, c->key_id, c->secret, &client, out);
	commit(t);
	return rc;
}

static bool works(const struct delegate_credentials *c)
{
	struct delegate_login l;
	int rc = login(c, &l);
	assert_true(rc == OK || rc == ERR_FORBIDDEN);
	assert_true(rc || strcmp(l.id.label, c->id.label) == 0);
	return !rc;
}

static const uint8_t *key_of(const struct delegate_credentials *c)
{
	static uint8_t ids[4][16];
	static unsigned next;
	uint8_t *out = ids[next++ % 4];
	assert_int_equal(text_to_uuid(c->key_id, strlen(c->key_id), out), OK);
	return out;
}

static int add(const struct delegate_credentials *c, struct delegate_credentials *out)
{
	struct store_txn *t = begin();
	int rc = delegate_key_add(t, &c->id, NOW, out);
	commit(t);
	return rc;
}

static int rotate(const struct delegate_credentials *c, bool at_once, struct delegate_credentials *out)
{
	struct store_txn *t = begin();
	int rc = delegate_key_rotate(t, &c->id, key_of(c), at_once, NOW, out);
	commit(t);
	return rc;
}

static int end_key(const struct delegate_credentials *c, bool last_too)
{
	struct store_txn *t = begin();
	int rc = delegate_key_revoke(t, &c->id, key_of(c), last_too);
	commit(t);
	return rc;
}

static struct delegate whole(const struct delegate_id *id)
{
	struct delegate d;
	struct store_txn *t = begin();
	assert_int_equal(delegate_get(t, id, &d), OK);
	commit(t);
	return d;
}

static uint64_t entries(enum store_table table)
{
	struct store_size size;
	assert_int_equal(store_measure(store, &size), OK);
	return size.entries[table];
}

static void there_are_two_keys_at_most(void **state)
{
	(void)state;
	struct delegate_credentials a = registered(NULL), b, c;
	assert_int_equal(add(&a, &b), OK);
	assert_string_equal(b.id.label, a.id.label);
	assert_string_not_equal(b.key_id, a.key_id);
	assert_true(works(&a) && works(&b));
	assert_int_equal(add(&a, &c), ERR_LIMIT);
	assert_int_equal(rotate(&a, false, &c), ERR_LIMIT);
	assert_true(works(&a) && works(&b));
	assert_int_equal(rotate(&a, true, &c), OK);
	assert_true(!works(&a) && works(&b) && works(&c));
	assert_int_equal(entries(STORE_KEYS), 2);
}

static void a_revoked_key_is_gone(void **state)
{
	(void)state;
	struct delegate_credentials a = registered(NULL), b, other = registered(NULL);
	assert_int_equal(end_key(&a, false), ERR_LIMIT);
	assert_true(works(&a));
	assert_int_equal(add(&a, &b), OK);
	assert_int_equal(end_key(&a, false), OK);
	assert_int_equal(end_key(&a, false), ERR_NOTFOUND);
	assert_true(!works(&a) && works(&b));
	/* Another delegate's key is none of this one's. */
	struct delegate_credentials foreign = b;
	foreign.id = other.id;
	assert_int_equal(end_key(&foreign, true), ERR_NOTFOUND);
	assert_int_equal(rotate(&foreign, true, &a), ERR_NOTFOUND);
	assert_true(works(&b) && works(&other));
	assert_int_equal(end_key(&b, true), OK);
	assert_false(works(&b));
	assert_int_equal(whole(&b.id).key_count, 0);
}

/* The old key ends with the first use of the new one, not before. */
static void a_successor_takes_over_when_it_is_used(void **state)
{
	(void)state;
	struct delegate_credentials old = registered(NULL), lost, new;
	struct delegate_login l;
	assert_int_equal(rotate(&old, false, &lost), OK);
	struct delegate d = whole(&old.id);
	assert_int_equal(d.key_count, 2);
	assert_true(d.keys[0].retiring && !d.keys[1].retiring);
	assert_true(works(&old) && works(&old));
	/* The answer was lost: asking again takes the place of what nobody knows. */
	assert_int_equal(rotate(&old, false, &new), OK);
	assert_false(works(&lost));
	assert_true(works(&old));
	assert_int_equal(login(&new, &l), OK);
	assert_true(l.retired_other);
	assert_memory_equal(l.other, key_of(&old), 16);
	assert_false(works(&old));
	assert_int_equal(login(&new, &l), OK);
	assert_false(l.retired_other);
	assert_int_equal(entries(STORE_KEYS), 1);
	assert_int_equal(add(&new, &old), OK); /* there is room again */
}

static void revoking_a_successor_keeps_the_old_key(void **state)
{
	(void)state;
	struct delegate_credentials old = registered(NULL), new, third;
	assert_int_equal(rotate(&old, false, &new), OK);
	assert_int_equal(end_key(&new, false), OK);
	assert_true(works(&old));
	/* It retires for nobody now: a second key is just a second key. */
	assert_int_equal(add(&old, &third), OK);
	assert_true(works(&third) && works(&old));
}

static void a_wrong_use_retires_nothing(void **state)
{
	(void)state;
	struct delegate_credentials old = registered(NULL), new, wrong;
	assert_int_equal(rotate(&old, false, &new), OK);
	wrong = new;
	wrong.secret[0] ^= 1;
	assert_false(works(&wrong));
	struct store_txn *t = begin();
	struct delegate_allow elsewhere = {.count = 1};
	assert_int_equal(prefix_parse("198.51.100.0/24", 15, &elsewhere.prefixes[0]), OK);
	assert_int_equal(delegate_set_allow(t, &old.id, &elsewhere), OK);
	commit(t);
	assert_false(works(&new)); /* from an address that is not allowed */
	t = begin();
	assert_int_equal(delegate_set_allow(t, &old.id, &(struct delegate_allow){.count = 0}), OK);
	commit(t);
	assert_true(works(&old));
}

/* What acme-dns keeps: the digest of another algorithm, until the secret has been seen once. */
static void a_bcrypt_key_is_settled_once(void **state)
{
	(void)state;
	static const char hash[] = "$2a$10$8JEFVNYYhLoBysjAxe2yBuXrkDojBQBkVpXEQgyQyjn43SvJ4vL36";
	struct delegate_credentials c = registered(NULL);
	struct delegate d = whole(&c.id);
	struct delegate_key owner;
	uint8_t record[KEY_RECORD_MAX];
	size_t len;
	d.keys[0].hash = DELEGATE_BCRYPT;
	memcpy(d.keys[0].bcrypt, hash, sizeof d.keys[0].bcrypt);
	struct store_txn *t = begin();
	assert_int_equal(delegate_key_of(&c.id, &owner), OK);
	assert_int_equal(delegate_key_record_encode(&d.keys[0], &owner, record, &len), OK);
	assert_int_equal(store_txn_put(t, STORE_KEYS, d.keys[0].id, 16, record, len), OK);
	commit(t);

	struct delegate_login l;
	assert_int_equal(login(&c, &l), ERR_AGAIN);
	assert_string_equal(l.bcrypt, hash);
	t = begin();
	assert_int_equal(delegate_settle_key(t, c.key_id, "$2a$10$another", c.secret), OK);
	commit(t);
	assert_int_equal(login(&c, &l), ERR_AGAIN); /* it was about another digest */
	t = begin();
	assert_int_equal(delegate_settle_key(t, c.key_id, hash, c.secret), OK);
	commit(t);
	assert_true(works(&c));
	assert_int_equal(whole(&c.id).keys[0].hash, DELEGATE_SHA256);
	t = begin();
	assert_int_equal(delegate_settle_key(t, c.key_id, hash, "x"), OK); /* late: nothing happens */
	commit(t);
	assert_true(works(&c));
}

/* The allow list comes before the work. */
static void a_bcrypt_key_from_elsewhere_is_refused_at_once(void **state)
{
	(void)state;
	struct delegate_allow elsewhere = {.count = 1};
	assert_int_equal(prefix_parse("198.51.100.0/24", 15, &elsewhere.prefixes[0]), OK);
	struct delegate_credentials c = registered(&elsewhere);
	struct delegate d = whole(&c.id);
	struct delegate_key owner;
	uint8_t record[KEY_RECORD_MAX];
	size_t len;
	d.keys[0].hash = DELEGATE_BCRYPT;
	memset(d.keys[0].bcrypt, 'x', DELEGATE_BCRYPT_LEN);
	struct store_txn *t = begin();
	assert_int_equal(delegate_key_of(&c.id, &owner), OK);
	assert_int_equal(delegate_key_record_encode(&d.keys[0], &owner, record, &len), OK);
	assert_int_equal(store_txn_put(t, STORE_KEYS, d.keys[0].id, 16, record, len), OK);
	commit(t);
	struct delegate_login l;
	assert_int_equal(login(&c, &l), ERR_FORBIDDEN);
}

static void put_by(const struct delegate_credentials *c, uint8_t key, int64_t now)
{
	const struct delegate_actor who = {.now = now, .key = {key}};
	struct store_txn *t = begin();
	assert_int_equal(delegate_put(t, &c->id, value(key), &rules, &who), OK);
	commit(t);
}

/* One of two keys is used all the time, the other was used once: that is still known, and when. */
static void the_last_use_of_a_key_is_not_forgotten(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	put_by(&c, 1, NOW);
	for (int64_t i = 1; i <= 20; i++)
		put_by(&c, 2, NOW + i);
	struct delegate d = whole(&c.id);
	assert_int_equal(d.history.count, DELEGATE_MAX_CHANGES);
	for (unsigned i = 0; i + 1 < DELEGATE_MAX_CHANGES; i++)
		assert_int_equal(d.history.changes[i].when, NOW + 20 - i);
	assert_int_equal(d.history.changes[DELEGATE_MAX_CHANGES - 1].when, NOW);
	assert_int_equal(d.history.changes[DELEGATE_MAX_CHANGES - 1].key[0], 1);
	/* As many keys as there is room for (of which all but two have ended): the oldest goes. */
	for (uint8_t key = 3; key < 3 + DELEGATE_MAX_CHANGES; key++)
		put_by(&c, key, NOW + 20 + key);
	d = whole(&c.id);
	for (unsigned i = 0; i < DELEGATE_MAX_CHANGES; i++)
		assert_int_equal(d.history.changes[i].key[0], 2 + DELEGATE_MAX_CHANGES - i);
}

static void the_last_changes_are_known(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	struct delegate_actor who = {.now = NOW};
	assert_int_equal(address_parse("2001:db8::7", &who.from), OK);
	memcpy(who.key, key_of(&c), sizeof who.key);
	assert_int_equal(whole(&c.id).history.count, 0);
	for (unsigned i = 0; i < 6; i++) {
		struct store_txn *t = begin();
		who.now = NOW + i;
		assert_int_equal(delegate_put(t, &c.id, value(i), &rules, &who), OK);
		commit(t);
	}
	struct store_txn *t = begin();
	who.now = NOW + 6;
	assert_int_equal(delegate_withdraw(t, &c.id, value(1), &who), OK);
	who = (struct delegate_actor){.now = NOW + 7};
	assert_int_equal(delegate_clear(t, &c.id, &who), OK);
	commit(t);
	struct delegate d = whole(&c.id);
	assert_int_equal(d.values.count, 0);
	assert_int_equal(d.history.count, DELEGATE_MAX_CHANGES);
	static const enum delegate_change_kind kinds[] = {
		DELEGATE_CLEARED, DELEGATE_WITHDRAWN, DELEGATE_PUT, DELEGATE_PUT};
	for (unsigned i = 0; i < DELEGATE_MAX_CHANGES; i++) {
		assert_int_equal(d.history.changes[i].kind, kinds[i]);
		assert_int_equal(d.history.changes[i].when, NOW + 7 - i);
	}
	assert_memory_equal(d.history.changes[1].key, key_of(&c), DELEGATE_KEY_TAG_SIZE);
	/* Nor does a value that expires take it away. */
	t = begin();
	assert_int_equal(delegate_put(t, &c.id, value(9), &rules, &(struct delegate_actor){.now = NOW}), OK);
	int64_t next;
	assert_int_equal(delegate_sweep(t, NOW + 2 * rules.value_lifetime, 10, &next), OK);
	commit(t);
	d = whole(&c.id);
	assert_int_equal(d.values.count, 0);
	assert_int_equal(d.history.count, DELEGATE_MAX_CHANGES);
}

static void aliases_are_clean_names(void **state)
{
	(void)state;
	static const struct {
		const char *given, *clean;
	} good[] = {{"example.com", "example.com"}, {"EXAMPLE.com.", "example.com"},
		{"*.example.com", "example.com"}, {"_acme-challenge.example.com.", "example.com"},
		{"a_b.c-d.example", "a_b.c-d.example"}};
	static const char *const bad[] = {"", ".", "com", "a..b", ".a.b", "a b.c", "a.b..", "*.com",
		"ex\xc3\xa4mple.com", "a/b.c", "x.*.y",
		"0123456789012345678901234567890123456789012345678901234567890123.com"};
	char name[DELEGATE_ALIAS_MAX + 1];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		strcpy(name, good[i].given);
		assert_true(delegate_alias_clean(name));
		assert_string_equal(name, good[i].clean);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		strcpy(name, bad[i]);
		assert_false(delegate_alias_clean(name));
	}
}

static void aliases_are_kept(void **state)
{
	(void)state;
	struct delegate_credentials c = registered(NULL);
	struct delegate_aliases a = {.count = 2, .names = {"example.com", "www.example.com"}};
	struct store_txn *t = begin();
	assert_int_equal(delegate_set_aliases(t, &c.id, &a), OK);
	strcpy(a.names[1], "example.com");
	assert_int_equal(delegate_set_aliases(t, &c.id, &a), ERR_INVALID);
	strcpy(a.names[1], "Example.org");
	assert_int_equal(delegate_set_aliases(t, &c.id, &a), ERR_INVALID);
	commit(t);
	struct delegate d = whole(&c.id);
	assert_int_equal(d.aliases.count, 2);
	assert_string_equal(d.aliases.names[1], "www.example.com");
	assert_true(works(&c));
}

/* A record as large as it can be fits, and comes back. */
static void the_largest_account_fits(void **state)
{
	(void)state;
	struct delegate_wish w = {
		.zone = zone, .allow.count = DELEGATE_MAX_PREFIXES, .aliases.count = DELEGATE_MAX_ALIASES};
	for (size_t i = 0; i < DELEGATE_MAX_ALIASES; i++) {
		memset(w.aliases.names[i], 'a', DELEGATE_ALIAS_MAX);
		for (size_t dot = 50; dot < DELEGATE_ALIAS_MAX; dot += 51)
			w.aliases.names[i][dot] = '.';
		w.aliases.names[i][0] = (char)('a' + i);
		w.aliases.names[i][DELEGATE_ALIAS_MAX] = 0;
	}
	struct delegate_credentials c;
	struct store_txn *t = begin();
	assert_int_equal(delegate_register(t, &w, NOW, &c), OK);
	for (unsigned i = 0; i < DELEGATE_MAX_VALUES; i++)
		assert_int_equal(
			delegate_put(t, &c.id, value(i), &rules, &(struct delegate_actor){.now = NOW}), OK);
	commit(t);
	struct delegate d = whole(&c.id);
	assert_int_equal(d.allow.count, DELEGATE_MAX_PREFIXES);
	assert_int_equal(d.aliases.count, DELEGATE_MAX_ALIASES);
	assert_string_equal(d.aliases.names[7], w.aliases.names[7]);
	assert_int_equal(d.values.count, DELEGATE_MAX_VALUES);
}

/* Records as stores before have them: version 1 of an account, a name without history. */
static void old_records_are_read(void **state)
{
	(void)state;
	struct delegate_id id = {.zone = zone, .label = "old"};
	struct delegate_key key;
	static const uint8_t name[] = {0, 0};
	uint8_t account[1 + 8 + 1 + 16 + 1] = {[0] = 1, [8] = 7, [9] = 1, [10] = 0xaa};
	uint8_t record[1 + 8 + 32 + KEY_MAX] = {[0] = 1, [8] = 7};
	assert_int_equal(delegate_key_of(&id, &key), OK);
	memcpy(record + 41, key.bytes, key.len);
	struct store_txn *t = begin();
	assert_int_equal(store_txn_put(t, STORE_NAMES, key.bytes, key.len, name, sizeof name), OK);
	assert_int_equal(store_txn_put(t, STORE_DELEGATES, key.bytes, key.len, account, sizeof account), OK);
	assert_int_equal(store_txn_put(t, STORE_KEYS, account + 10, 16, record, 41 + key.len), OK);
	commit(t);
	struct delegate d = whole(&id);
	assert_int_equal(d.created, 7);
	assert_int_equal(d.key_count, 1);
	assert_false(d.keys[0].retiring);
	assert_int_equal(d.aliases.count, 0);
	assert_int_equal(d.history.count, 0);
	struct delegate_aliases aliases = {.count = 1, .names = {"example.com"}};
	t = begin();
	assert_int_equal(delegate_set_aliases(t, &id, &aliases), OK);
	commit(t);
	assert_int_equal(whole(&id).key_count, 1);
	assert_int_equal(whole(&id).aliases.count, 1);
}

static int read_name(const char *label)
{
	struct delegate_values v;
	assert_int_equal(store_snapshot_renew(view), OK);
	return delegate_read(view, zone, (const uint8_t *)label, strlen(label), NOW, &v);
}

static void a_removed_delegate_leaves_only_its_mark(void **state)
{
	(void)state;
	struct delegate_credentials c, again, stays = registered(NULL);
	struct delegate_wish w = {.zone = zone, .label = "mail"};
	struct address resolver;
	assert_int_equal(address_parse("192.0.2.53", &resolver), OK);
	struct store_txn *t = begin();
	assert_int_equal(delegate_register(t, &w, NOW, &c), OK);
	assert_string_equal(c.id.label, "mail");
	assert_int_equal(delegate_put(t, &c.id, value(1), &rules, &(struct delegate_actor){.now = NOW}), OK);
	assert_int_equal(evidence_note(t, &c.id, &resolver, NOW, 1), OK);
	assert_int_equal(delegate_key_add(t, &c.id, NOW, &again), OK);
	commit(t);
	assert_int_equal(entries(STORE_KEYS), 3);
	t = begin();
	assert_int_equal(delegate_remove(t, &c.id), OK);
	assert_int_equal(delegate_remove(t, &c.id), ERR_NOTFOUND);
	commit(t);
	assert_int_equal(read_name("mail"), ERR_NOTFOUND);
	assert_false(works(&c));
	assert_false(works(&again));
	assert_int_equal(entries(STORE_KEYS), 1);
	assert_int_equal(entries(STORE_DELEGATES), 1);
	assert_int_equal(entries(STORE_EXPIRY), 0);
	assert_int_equal(entries(STORE_EVIDENCE), 0);
	assert_int_equal(entries(STORE_NAMES), 2);
	assert_true(works(&stays));
	t = begin();
	struct delegate d;
	struct token k;
	char secret[SECURE_SECRET_LEN + 1];
	const struct delegate_actor who = {.now = NOW};
	assert_int_equal(delegate_register(t, &w, NOW, &again), ERR_EXISTS);
	assert_int_equal(token_add(t, &(struct token_terms){.zone = zone, .label = "mail"}, NOW, secret, &k),
		ERR_EXISTS);
	assert_int_equal(delegate_get(t, &c.id, &d), ERR_NOTFOUND);
	assert_int_equal(delegate_put(t, &c.id, value(2), &rules, &who), ERR_NOTFOUND);
	assert_int_equal(delegate_clear(t, &c.id, &who), ERR_NOTFOUND);
	assert_int_equal(delegate_key_add(t, &c.id, NOW, &again), ERR_NOTFOUND);
	assert_int_equal(delegate_set_allow(t, &c.id, &w.allow), ERR_NOTFOUND);
	assert_int_equal(delegate_set_aliases(t, &c.id, &w.aliases), ERR_NOTFOUND);
	assert_int_equal(evidence_note(t, &c.id, &resolver, NOW, 1), OK);
	commit(t);
	assert_int_equal(entries(STORE_EVIDENCE), 0);
}

static void labels_can_be_chosen(void **state)
{
	(void)state;
	struct delegate_credentials c;
	struct delegate_wish w = {.zone = zone, .label = "web-", .label_is_prefix = true};
	struct store_txn *t = begin();
	assert_int_equal(delegate_register(t, &w, NOW, &c), OK);
	assert_int_equal(strlen(c.id.label), 4 + SECURE_UUID_LEN);
	assert_memory_equal(c.id.label, "web-", 4);
	static const char *const bad[] = {"-a", "a-", "a.b", "A", "a b", "*",
		"0123456789012345678901234567890123456789012345678901234567890123"};
	w.label_is_prefix = false;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		w.label = bad[i];
		assert_int_equal(delegate_register(t, &w, NOW, &c), ERR_INVALID);
	}
	w.label = "web-front";
	assert_int_equal(delegate_register(t, &w, NOW, &c), OK);
	assert_int_equal(delegate_register(t, &w, NOW, &c), ERR_EXISTS);
	w.zone = (uint16_t)(zone + 1); /* another zone, another name */
	assert_int_equal(delegate_register(t, &w, NOW, &c), OK);
	commit(t);
}

struct seen {
	size_t count;
	char labels[64][DELEGATE_LABEL_MAX + 1];
};

static bool see(void *ctx, const struct delegate *d)
{
	struct seen *s = ctx;
	assert_true(s->count < 64);
	strcpy(s->labels[s->count++], d->id.label);
	return true;
}

static void a_list_has_everybody_once(void **state)
{
	(void)state;
	static struct seen s;
	struct delegate_credentials made[30];
	s.count = 0;
	for (size_t i = 0; i < 30; i++)
		made[i] = registered(NULL);
	struct store_txn *t = begin();
	assert_int_equal(delegate_remove(t, &made[7].id), OK);
	commit(t);
	assert_int_equal(store_snapshot_renew(view), OK);
	struct delegate_id after = {.zone = zone};
	bool more = true;
	for (int pages = 0; more && pages < 20; pages++) {
		if (s.count)
			strcpy(after.label, s.labels[s.count - 1]);
		assert_int_equal(delegate_list(view, s.count ? &after : NULL, 7, see, &s, &more), OK);
	}
	assert_false(more);
	assert_int_equal(s.count, 29);
	for (size_t i = 0; i < 30; i++) {
		size_t times = 0;
		for (size_t k = 0; k < s.count; k++)
			times += strcmp(s.labels[k], made[i].id.label) == 0;
		assert_int_equal(times, i != 7);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(there_are_two_keys_at_most),
		TEST(a_revoked_key_is_gone),
		TEST(a_successor_takes_over_when_it_is_used),
		TEST(revoking_a_successor_keeps_the_old_key),
		TEST(a_wrong_use_retires_nothing),
		TEST(a_bcrypt_key_is_settled_once),
		TEST(a_bcrypt_key_from_elsewhere_is_refused_at_once),
		TEST(the_last_use_of_a_key_is_not_forgotten),
		TEST(the_last_changes_are_known),
		TEST(aliases_are_clean_names),
		TEST(aliases_are_kept),
		TEST(the_largest_account_fits),
		TEST(old_records_are_read),
		TEST(a_removed_delegate_leaves_only_its_mark),
		TEST(labels_can_be_chosen),
		TEST(a_list_has_everybody_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
