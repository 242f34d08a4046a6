// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* With its insides, so that a ring can be filled with what no dns process of ours would write. */
#include "delegate/witness.c"

enum { NOW = 1700000000, SECOND = 1000 };

static struct witness *w;
static struct witness_writer *one, *two;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(witness_new(2, &w), OK);
	assert_int_equal(witness_writer_new(w, 0, &one), OK);
	assert_int_equal(witness_writer_new(w, 1, &two), OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	witness_writer_free(&one);
	witness_writer_free(&two);
	witness_free(&w);
	return 0;
}

static struct address resolver(unsigned n)
{
	return (struct address){{[10] = 0xff, [11] = 0xff, 192, 0, (uint8_t)(n >> 8), (uint8_t)n}};
}

static void note(struct witness_writer *writer, uint16_t zone, const char *label, unsigned from, int64_t now)
{
	const struct address client = resolver(from);
	witness_note(writer, zone, (const uint8_t *)label, strlen(label), &client, now);
}

/* The only entry there is. */
static struct witness_entry taken(void)
{
	struct witness_entry e[2];
	assert_int_equal(witness_take(w, e, 2), 1);
	return e[0];
}

static void expect_nothing(void)
{
	struct witness_entry e;
	assert_int_equal(witness_take(w, &e, 1), 0);
}

static void what_is_noted_is_told_once(void **state)
{
	(void)state;
	const struct address from = resolver(7);
	note(one, 3, "A-Label", 7, NOW);
	struct witness_entry e = taken();
	assert_int_equal(e.id.zone, 3);
	assert_string_equal(e.id.label, "a-label"); /* RFC 4343: case means nothing */
	assert_true(address_equal(&e.resolver, &from));
	assert_int_equal(e.when, NOW);
	assert_int_equal(e.times, 1);
	expect_nothing();
}

static void who_asks_again_is_counted_and_told_later(void **state)
{
	(void)state;
	note(one, 3, "label", 7, NOW);
	assert_int_equal(taken().times, 1);
	note(one, 3, "LABEL", 7, NOW + SECOND);
	note(one, 3, "label", 7, NOW + AGAIN_MS - 1);
	expect_nothing();
	note(one, 3, "label", 7, NOW + AGAIN_MS);
	struct witness_entry e = taken();
	assert_int_equal(e.times, 3);
	assert_int_equal(e.when, NOW + AGAIN_MS);
}

static void others_are_not_mistaken_for_him(void **state)
{
	(void)state;
	struct witness_entry e[8];
	note(one, 3, "label", 7, NOW);
	note(one, 3, "label", 8, NOW);
	note(one, 4, "label", 7, NOW);
	note(one, 3, "label2", 7, NOW);
	assert_int_equal(witness_take(w, e, 8), 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(e[i].times, 1);
}

static void a_clock_that_is_set_back_silences_nobody(void **state)
{
	(void)state;
	note(one, 3, "label", 7, NOW + 1000000);
	(void)taken();
	note(one, 3, "label", 7, NOW);
	assert_int_equal(taken().when, NOW);
}

static void a_full_ring_counts_what_it_cannot_take(void **state)
{
	(void)state;
	static struct witness_entry e[SLOTS];
	for (unsigned i = 0; i < SLOTS + 5; i++)
		note(one, 3, "label", i, NOW);
	assert_int_equal(witness_lost(w), 5);
	assert_int_equal(witness_take(w, e, 10), 10); /* the oldest first */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(e[i].resolver.bytes[15], i);
	assert_int_equal(witness_take(w, e, SLOTS), SLOTS - 10);
	expect_nothing();
	note(one, 3, "label", SLOTS, NOW); /* was lost before, so this is its first time */
	assert_int_equal(taken().times, 1);
	assert_int_equal(witness_lost(w), 5);
}

static void the_numbers_may_wrap_around(void **state)
{
	(void)state;
	struct ring *r = &w->rings[0];
	atomic_store(&r->head, UINT32_MAX - 2);
	atomic_store(&r->tail, UINT32_MAX - 2);
	for (unsigned i = 0; i < 3 * SLOTS; i++) {
		note(one, 3, "label", i, NOW);
		assert_int_equal(taken().resolver.bytes[15], (uint8_t)i);
	}
	assert_int_equal(witness_lost(w), 0);
}

static void every_process_has_a_ring_of_its_own(void **state)
{
	(void)state;
	struct witness_entry e[4];
	struct witness_writer *third;
	assert_int_equal(witness_writer_new(w, 2, &third), ERR_RANGE);
	note(one, 3, "label", 7, NOW);
	note(two, 3, "label", 7, NOW);
	assert_int_equal(witness_take(w, e, 4), 2);
}

static void labels_that_no_delegate_has_are_not_told(void **state)
{
	(void)state;
	uint8_t label[DELEGATE_LABEL_MAX + 1];
	const struct address client = resolver(1);
	memset(label, 'a', sizeof label);
	witness_note(one, 3, label, sizeof label, &client, NOW); /* longer than any */
	witness_note(one, 3, (const uint8_t *)"a\0b", 3, &client, NOW);
	witness_note(one, 3, (const uint8_t *)"a.b", 3, &client, NOW);
	expect_nothing();
	witness_note(one, 3, label, DELEGATE_LABEL_MAX, &client, NOW);
	assert_int_equal(strlen(taken().id.label), DELEGATE_LABEL_MAX);
}

/* A dns process that was taken over may write anything, head and tail included. */
static void garbage_in_a_ring_is_harmless(void **state)
{
	(void)state;
	static struct witness_entry e[SLOTS];
	for (int round = 0; round < 500; round++) {
		assert_int_equal(secure_random(&w->rings[0], sizeof w->rings[0]), OK);
		for (int i = 0; i < SLOTS; i += 3) { /* nearly good, so that more is looked at */
			struct pair *p = &w->rings[0].slots[i].pair;
			p->len %= DELEGATE_LABEL_MAX + 2;
			p->zone &= UINT16_MAX;
			w->rings[0].slots[i].when &= INT64_MAX;
			memset(p->label, 'a', (size_t)i % sizeof p->label);
		}
		atomic_store(&w->rings[0].head, atomic_load(&w->rings[0].tail) + (uint32_t)round * 3);
		size_t n = witness_take(w, e, SLOTS);
		assert_true(n <= SLOTS);
		for (size_t i = 0; i < n; i++) {
			assert_true(delegate_label_valid(e[i].id.label));
			assert_true(e[i].times > 0 && e[i].when >= 0);
		}
		note(two, 3, "label", (unsigned)round, NOW); /* the other ring is heard all the same */
		assert_int_equal(witness_take(w, e, SLOTS), 1);
	}
}

enum { MANY = 200000 };

static void write_many(void)
{
	char label[16];
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(label, sizeof label, "d%u", i);
		note(one, 3, label, i, NOW + i);
	}
}

/* From one process to another while both are busy: what arrives is whole, in order, and nothing goes missing
 * uncounted. */
static void entries_cross_between_processes_whole(void **state)
{
	(void)state;
	static struct witness_entry e[100];
	size_t got = 0;
	int64_t last = -1;
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		write_many();
		_exit(0);
	}
	for (bool ended = false;;) {
		size_t n = witness_take(w, e, 100);
		for (size_t i = 0; i < n; i++, got++) {
			unsigned number = (unsigned)(e[i].when - NOW);
			const struct address from = resolver(number);
			char label[16];
			snprintf(label, sizeof label, "d%u", number);
			assert_string_equal(e[i].id.label, label);
			assert_true(address_equal(&e[i].resolver, &from));
			assert_true(e[i].when > last);
			last = e[i].when;
		}
		if (!n && ended)
			break;
		int status;
		if (!ended && waitpid(child, &status, WNOHANG) == child) {
			assert_int_equal(status, 0);
			ended = true;
		}
	}
	assert_true(got >= SLOTS);
	assert_int_equal(got + witness_lost(w), MANY);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_noted_is_told_once),
		TEST(who_asks_again_is_counted_and_told_later),
		TEST(others_are_not_mistaken_for_him),
		TEST(a_clock_that_is_set_back_silences_nobody),
		TEST(a_full_ring_counts_what_it_cannot_take),
		TEST(the_numbers_may_wrap_around),
		TEST(every_process_has_a_ring_of_its_own),
		TEST(labels_that_no_delegate_has_are_not_told),
		TEST(garbage_in_a_ring_is_harmless),
		TEST(entries_cross_between_processes_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
