// SPDX-License-Identifier: GPL-3.0-or-later
/* From the rings of the dns processes into what is shown of a delegate. */
#include "keeper/lab.h"

#include "delegate/witness.h"
#include "util/clock.h"

static struct witness *witness;
static struct witness_writer *writer;

static int setup_witness(void **state)
{
	setup(state);
	assert_int_equal(witness_new(2, &witness), OK);
	assert_int_equal(witness_writer_new(witness, 1, &writer), OK);
	settings.witness = witness;
	start_keeper();
	return 0;
}

static int teardown_witness(void **state)
{
	witness_writer_free(&writer);
	witness_free(&witness);
	return teardown(state);
}

static struct address resolver(uint8_t n)
{
	return (struct address){{[10] = 0xff, [11] = 0xff, 198, 51, 100, n}};
}

static void note(const char *label, uint16_t zone, uint8_t from)
{
	const struct address client = resolver(from);
	witness_note(writer, zone, (const uint8_t *)label, strlen(label), &client, clock_wall_ms());
}

static struct ipc_report report(int fd)
{
	struct ipc_request r = by_operator(IPC_STATUS);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	return last.report;
}

/* The keeper looks into the rings once a second. */
static void await_evidence(int fd, uint64_t noted)
{
	int64_t deadline = clock_mono_ms() + PATIENCE_MS;
	while (report(fd).evidence < noted)
		assert_true(clock_mono_ms() < deadline);
}

static void who_asked_is_shown_newest_first(void **state)
{
	(void)state;
	int fd = admin();
	struct ipc_credentials c = do_register(), other = do_register();
	int64_t begin = clock_wall_ms();
	note(c.label, zones[0].id, 1);
	await_evidence(fd, 1);
	note(c.label, zones[0].id, 2);
	await_evidence(fd, 2);
	struct ipc_delegate d = show(fd, &c);
	const struct address first = resolver(1), second = resolver(2);
	assert_int_equal(d.asker_count, 2);
	assert_true(address_equal(&d.askers[0].resolver, &second));
	assert_true(address_equal(&d.askers[1].resolver, &first));
	assert_in_range(d.askers[1].first, begin, clock_wall_ms());
	assert_int_equal(d.askers[1].first, d.askers[1].last);
	assert_int_equal(d.askers[1].times, 1);
	assert_int_equal(show(fd, &other).asker_count, 0);
	/* The owner sees the same. */
	struct ipc_request r = by_key(IPC_DELEGATE_SHOW, &c);
	assert_int_equal(ask(&r), IPC_OK);
	assert_int_equal(last.delegate.asker_count, 2);
	close(fd);
}

static void it_survives_the_keeper(void **state)
{
	(void)state;
	int fd = admin();
	struct ipc_credentials c = do_register();
	note(c.label, zones[0].id, 1);
	await_evidence(fd, 1);
	close(fd);
	kill_keeper();
	note(c.label, zones[0].id, 2); /* waits in the ring */
	start_keeper();
	fd = admin();
	await_evidence(fd, 1);
	assert_int_equal(show(fd, &c).asker_count, 2);
	close(fd);
}

static void of_what_there_is_not_nothing_is_kept(void **state)
{
	(void)state;
	int fd = admin();
	struct ipc_credentials c = do_register();
	note("nobody", zones[0].id, 1);
	note(c.label, zones[1].id, 1);
	note(c.label, 4711, 1);
	note(c.label, zones[0].id, 3);
	await_evidence(fd, 1);
	assert_int_equal(show(fd, &c).asker_count, 1);
	struct ipc_request r = by_operator(IPC_DELEGATE_REMOVE);
	name_of(&c, r.name);
	assert_int_equal(ask_at(fd, &r), IPC_OK);
	uint64_t before = report(fd).evidence;
	struct ipc_credentials other = do_register();
	note(c.label, zones[0].id, 4); /* of a deleted delegate */
	note(other.label, zones[0].id, 4);
	await_evidence(fd, before + 1);
	assert_int_equal(show(fd, &other).asker_count, 1);
	close(fd);
}

static void what_finds_no_room_is_counted(void **state)
{
	(void)state;
	int fd = admin();
	struct ipc_credentials c = do_register();
	char label[16];
	kill(keeper, SIGSTOP); /* nobody empties the ring */
	note(c.label, zones[0].id, 1);
	for (int i = 0; i < 2000; i++) {
		snprintf(label, sizeof label, "x%d", i);
		note(label, zones[0].id, 1);
	}
	kill(keeper, SIGCONT);
	await_evidence(fd, 1);
	struct ipc_report p = report(fd);
	assert_in_range(p.evidence_lost, 1, 2000);
	assert_int_equal(show(fd, &c).asker_count, 1);
	close(fd);
}

#define EVIDENCE_TEST(f) cmocka_unit_test_setup_teardown(f, setup_witness, teardown_witness)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVIDENCE_TEST(who_asked_is_shown_newest_first),
		EVIDENCE_TEST(it_survives_the_keeper),
		EVIDENCE_TEST(of_what_there_is_not_nothing_is_kept),
		EVIDENCE_TEST(what_finds_no_room_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
