// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "api/render.h"

static void expect_json(const struct ipc_reply *r, const char *json)
{
	char *text;
	assert_int_equal(api_render(r, &text), OK);
	assert_string_equal(text, json);
	free(text);
}

static struct address address_of(const char *text)
{
	struct address a;
	assert_int_equal(address_parse(text, &a), OK);
	return a;
}

/* RFC 3339 section 5.6. */
static void times_are_rfc3339(void **state)
{
	static const struct {
		int64_t when;
		const char *text;
	} times[] = {{0, ""}, {1, "1970-01-01T00:00:00Z"}, {1795507200999, "2026-11-24T08:00:00Z"},
		{253402300799000, "9999-12-31T23:59:59Z"}, {253402300800000, ""}, {INT64_MAX, ""}, {-1, ""}};
	char text[API_TIME_TEXT];
	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		api_time_text(times[i].when, text);
		assert_string_equal(text, times[i].text);
	}
}

static void every_number_has_a_word_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < IPC_STATUSES; i++) {
		assert_string_not_equal(api_outcome_word((enum ipc_status)i), "unknown");
		for (int n = 0; n < i; n++)
			assert_string_not_equal(
				api_outcome_word((enum ipc_status)i), api_outcome_word((enum ipc_status)n));
	}
	for (int i = 1; i < IPC_EVENT_KINDS; i++)
		assert_string_not_equal(api_event_word((enum ipc_event_kind)i), "unknown");
	for (int i = 0; i < IPC_CHANGE_KINDS; i++)
		assert_string_not_equal(api_change_word((enum ipc_change_kind)i), "unknown");
	for (int i = 0; i < IPC_BYS; i++)
		assert_string_not_equal(api_by_word((enum ipc_by)i), "unknown");
	assert_string_equal(api_outcome_word(IPC_STATUSES), "unknown");
	assert_string_equal(api_event_word((enum ipc_event_kind)0), "unknown");
}

static void an_event_is_one_object(void **state)
{
	struct ipc_reply r = {.type = IPC_EVENTS, .count = 1};
	(void)state;
	r.events[0] = (struct ipc_event){.sequence = 7,
		.when = 1795507200000,
		.kind = IPC_EVENT_KEY_ROTATE,
		.outcome = IPC_FORBIDDEN,
		.by = IPC_BY_KEY,
		.times = 3,
		.client = address_of("192.0.2.1"),
		.key = "k",
		.name = "a.example",
		.detail = "\"x\\"};
	expect_json(&r,
		"{\"events\":[{\"sequence\":7,\"when\":\"2026-11-24T08:00:00Z\",\"kind\":\"key_rotate\","
		"\"outcome\":\"forbidden\",\"times\":3,\"by\":\"key\",\"key\":\"k\",\"from\":\"192.0.2.1\","
		"\"uid\":null,\"name\":\"a.example\",\"detail\":\"\\\"x\\\\\"}],\"next\":\"7\"}");
	r.count = 0;
	expect_json(&r, "{\"events\":[],\"next\":null}");
}

/* A name as a client sent it may hold anything. */
static void bytes_that_are_no_utf8_cost_nothing(void **state)
{
	struct ipc_reply r = {.type = IPC_DELEGATE_LIST, .count = 1};
	char *text;
	(void)state;
	strcpy(r.delegates[0].label, "a\xff"
				     "b");
	strcpy(r.delegates[0].zone, "example");
	assert_int_equal(api_render(&r, &text), OK);
	assert_non_null(strstr(text, "\"a?b.example\""));
	free(text);
}

static void a_page_goes_on_while_it_is_full(void **state)
{
	struct ipc_reply r = {.type = IPC_TOKEN_LIST, .count = IPC_TOKENS_MAX};
	char *text;
	(void)state;
	strcpy(r.tokens[IPC_TOKENS_MAX - 1].id, "last");
	assert_int_equal(api_render(&r, &text), OK);
	assert_non_null(strstr(text, "\"next\":\"last\""));
	free(text);
	r.count--;
	assert_int_equal(api_render(&r, &text), OK);
	assert_non_null(strstr(text, "\"next\":null"));
	assert_null(strstr(text, "\"token\":"));
	free(text);
}

static void a_full_delegate_fits(void **state)
{
	struct ipc_reply r = {.type = IPC_DELEGATE_SHOW};
	struct ipc_delegate *d = &r.delegate;
	char *text;
	(void)state;
	d->key_count = IPC_KEYS_MAX;
	d->allow_count = IPC_ALLOW_MAX;
	d->alias_count = IPC_ALIASES_MAX;
	d->value_count = IPC_VALUES_MAX;
	d->change_count = IPC_CHANGES_MAX;
	d->asker_count = IPC_ASKERS_MAX;
	assert_int_equal(api_render(&r, &text), OK);
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_array_size(json_object_get(o, "values")), IPC_VALUES_MAX);
	assert_int_equal(json_array_size(json_object_get(o, "allowfrom")), IPC_ALLOW_MAX);
	assert_int_equal(json_array_size(json_object_get(o, "resolvers")), IPC_ASKERS_MAX);
	json_decref(o);
	free(text);
}

static void what_has_no_body_is_ok(void **state)
{
	(void)state;
	expect_json(&(struct ipc_reply){.type = IPC_KEY_REVOKE}, "{\"status\":\"ok\"}");
}

static void a_report_is_an_object(void **state)
{
	struct ipc_reply r = {.type = IPC_STATUS};
	char *text;
	(void)state;
	r.report.zone_count = 1;
	strcpy(r.report.zones[0], "auth.example");
	r.report.store_writable = true;
	assert_int_equal(api_render(&r, &text), OK);
	assert_non_null(strstr(text, "\"zones\":[\"auth.example\"]"));
	assert_non_null(strstr(text, "\"store\":{\"writable\":true"));
	assert_non_null(strstr(text, "\"registration\":\"open\""));
	free(text);
}

/* ---- is all well? ---- */

enum { HOUR = 3600 * 1000, DAY = 24 * HOUR };

static struct api_check checks[API_CHECKS_MAX];

static const struct api_check *check_of(const struct ipc_report *r, int64_t now, const char *name)
{
	size_t count = api_checks(r, now, checks);
	for (size_t i = 0; i < count; i++)
		if (strcmp(checks[i].name, name) == 0)
			return &checks[i];
	return NULL;
}

/* Seven days, or a quarter of a life that is shorter. */
static void a_certificate_is_complained_about_in_time(void **state)
{
	static const struct {
		int64_t life, left;
		bool ok;
		const char *says;
	} cases[] = {{90 * (int64_t)DAY, 8 * DAY, true, "good for 8 days"},
		{90 * (int64_t)DAY, 6 * DAY, false, "expires in 144 h"},
		{160 * (int64_t)HOUR, 41 * HOUR, true, "good for 1 days"},
		{160 * (int64_t)HOUR, 39 * HOUR, false, "expires in 39 h"},
		{90 * (int64_t)DAY, 0, false, "has expired"},
		{90 * (int64_t)DAY, -DAY, false, "has expired"}};
	struct ipc_report r = {.tls = true, .store_writable = true};
	int64_t now = 1795507200000;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		r.certificate.not_after = now + cases[i].left;
		r.certificate.not_before = r.certificate.not_after - cases[i].life;
		const struct api_check *c = check_of(&r, now, "certificate");
		assert_int_equal(c->ok, cases[i].ok);
		assert_non_null(strstr(c->message, cases[i].says));
	}
	r.certificate.not_after = 0;
	assert_false(check_of(&r, now, "certificate")->ok);
	r.tls = false;
	assert_null(check_of(&r, now, "certificate"));
}

static void the_last_acme_error_is_told(void **state)
{
	struct ipc_report r = {.tls = true, .store_writable = true};
	int64_t now = 1795507200000;
	char *text;
	struct ipc_reply reply = {.type = IPC_STATUS};
	(void)state;
	r.certificate = (struct ipc_certificate){.acme = true,
		.not_before = now - 30 * (int64_t)DAY,
		.not_after = now + 60 * (int64_t)DAY,
		.failures = 2,
		.error = "no route to the CA \xff"};
	const struct api_check *c = check_of(&r, now, "certificate");
	assert_true(c->ok); /* there is time */
	assert_non_null(strstr(c->message, "2 failed attempts: no route"));
	reply.report = r;
	assert_int_equal(api_render(&reply, &text), OK);
	assert_non_null(strstr(text, "\"from\":\"acme\""));
	assert_non_null(strstr(text, "\"error\":\"no route to the CA ?\""));
	free(text);
}

static void every_state_of_a_process_is_told(void **state)
{
	struct ipc_report r = {.store_writable = true, .process_count = IPC_PROCESS_STATES};
	(void)state;
	for (size_t i = 0; i < IPC_PROCESS_STATES; i++) {
		r.processes[i].state = (enum ipc_process_state)i;
		strcpy(r.processes[i].name, "dns0");
		assert_string_not_equal(api_process_state_word((enum ipc_process_state)i), "unknown");
	}
	size_t count = api_checks(&r, 1, checks);
	assert_int_equal(count, 1 + IPC_PROCESS_STATES);
	assert_int_equal(api_checks_failing(checks, count), IPC_PROCESS_STATES - 1);
	r.store_writable = false;
	count = api_checks(&r, 1, checks);
	assert_int_equal(api_checks_failing(checks, count), IPC_PROCESS_STATES);
	r.process_count = 1000; /* of which the first are there */
	assert_int_equal(api_checks(&r, 1, checks), 1 + IPC_PROCESSES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_rfc3339),
		cmocka_unit_test(every_number_has_a_word_of_its_own),
		cmocka_unit_test(an_event_is_one_object),
		cmocka_unit_test(bytes_that_are_no_utf8_cost_nothing),
		cmocka_unit_test(a_page_goes_on_while_it_is_full),
		cmocka_unit_test(a_full_delegate_fits),
		cmocka_unit_test(what_has_no_body_is_ok),
		cmocka_unit_test(a_report_is_an_object),
		cmocka_unit_test(a_certificate_is_complained_about_in_time),
		cmocka_unit_test(the_last_acme_error_is_told),
		cmocka_unit_test(every_state_of_a_process_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
