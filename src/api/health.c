// SPDX-License-Identifier: GPL-3.0-or-later
/* What the keeper reports of the server's state, as checks: each is in order or not, since when, and in
 * words. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "api/internal.h"
#include "api/render.h"
#include "util/clock.h"
#include "util/secure.h"
#include "util/text.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, EXPIRY_DAYS = 7, LIFETIME_PART = 4 };

const char *const api_confinement_words[API_CONFINEMENTS] = {
	"privileges", "files", "network", "signals", "calls"};

const char *api_process_state_word(enum ipc_process_state state)
{
	static const char *const words[IPC_PROCESS_STATES] = {
		[IPC_PROCESS_RUNS] = "running",
		[IPC_PROCESS_MISSING] = "missing",
		[IPC_PROCESS_STUCK] = "stuck",
		[IPC_PROCESS_NO_ANSWER] = "no_answer",
		[IPC_PROCESS_NO_STORE] = "no_store",
	};
	return state < IPC_PROCESS_STATES ? words[state] : "unknown";
}

/* ---- the checks ---- */

static void PRINTF(2, 3) say(struct api_check *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)!vsnprintf(c->message, sizeof c->message, format, args); /* what is too long is cut */
	va_end(args);
}

static void check_store(const struct ipc_report *r, struct api_check *c)
{
	*c = (struct api_check){.name = "store", .ok = r->store_writable, .since = r->store_since};
	say(c, "%s",
		r->store_writable
			? "the last write succeeded"
			: "the last write failed: updates are refused, values stay served; make room "
			  "on the disk, and see the log");
}

/* A certificate of six days is not to be complained about all its life. */
static int64_t least_time_left(const struct ipc_certificate *c)
{
	int64_t part = (c->not_after - c->not_before) / LIFETIME_PART, days = (int64_t)EXPIRY_DAYS * DAY_MS;
	return part < days ? part : days;
}

static void check_certificate(const struct ipc_certificate *r, int64_t now, struct api_check *c)
{
	const char *advice = r->acme ? "see the last error" : "put a new one in its place and send SIGHUP";
	int64_t left = r->not_after - now, least = least_time_left(r);
	*c = (struct api_check){.name = "certificate", .ok = left > least, .since = r->not_before};
	if (!r->not_after) {
		say(c, "there is none yet; %s", advice);
	} else if (left <= 0) {
		c->since = r->not_after;
		say(c, "it has expired; %s", advice);
	} else if (!c->ok) {
		c->since = r->not_after - least;
		say(c, "it expires in %" PRId64 " h; %s", left / (60 * 60 * 1000), advice);
	} else {
		say(c, "good for %" PRId64 " days", left / DAY_MS);
	}
	size_t len = strlen(c->message);
	if (r->failures && len < sizeof c->message)
		(void)!snprintf(c->message + len, sizeof c->message - len,
			"; %" PRIu32 " failed attempt%s: %s", r->failures, r->failures == 1 ? "" : "s",
			r->error);
}

static void check_process(const struct ipc_process *p, struct api_check *c)
{
	static const char *const words[IPC_PROCESS_STATES] = {
		[IPC_PROCESS_RUNS] = "running",
		[IPC_PROCESS_MISSING] = "it is not there: it ends as soon as it is started, see the log",
		[IPC_PROCESS_STUCK] = "it does nothing any more; if it stays so, end it: it is started again",
		[IPC_PROCESS_NO_ANSWER] = "it gets no right answer for its own zone; restart the server",
		[IPC_PROCESS_NO_STORE] = "it cannot read the store, see the log",
	};
	*c = (struct api_check){.ok = p->state == IPC_PROCESS_RUNS, .since = p->since};
	say(c, "%s", p->state < IPC_PROCESS_STATES ? words[p->state] : "unknown");
	memcpy(c->name, p->name, strnlen(p->name, sizeof c->name - 1));
}

size_t api_checks(const struct ipc_report *r, int64_t now, struct api_check out[static API_CHECKS_MAX])
{
	size_t count = 0;
	check_store(r, &out[count++]);
	if (r->tls)
		check_certificate(&r->certificate, now, &out[count++]);
	for (size_t i = 0; i < r->process_count && i < IPC_PROCESSES_MAX; i++)
		check_process(&r->processes[i], &out[count++]);
	return count;
}

size_t api_checks_failing(const struct api_check *checks, size_t count)
{
	size_t failing = 0;
	for (size_t i = 0; i < count; i++)
		failing += !checks[i].ok;
	return failing;
}

/* ---- JSON; each takes references over, and NULL in the middle gives NULL in the end ---- */

static json_t *time_json(int64_t when)
{
	char text[API_TIME_TEXT];
	api_time_text(when, text);
	return *text ? json_string(text) : json_null();
}

/* Of others' making: what is no UTF-8 becomes question marks. */
static json_t *safe_text(const char *text)
{
	char ascii[512];
	json_t *value = json_string(text);
	if (value)
		return value;
	if (text_format(ascii, sizeof ascii, "%s", text))
		ascii[sizeof ascii - 1] = 0;
	for (char *c = ascii; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	return json_string(ascii);
}

static json_t *check_json(const struct api_check *c)
{
	return json_pack("{s:o,s:s,s:o,s:o}", "name", safe_text(c->name), "state", c->ok ? "ok" : "failing",
		"since", time_json(c->since), "message", safe_text(c->message));
}

/* {"status": ..., "checks": [...]}; *failing: how many are not in order. */
json_t *render_health(const struct ipc_report *r, size_t *failing)
{
	struct api_check checks[API_CHECKS_MAX];
	size_t count = api_checks(r, clock_wall_ms(), checks);
	json_t *list = json_array();
	bool good = list != NULL;
	for (size_t i = 0; good && i < count; i++)
		good = json_array_append_new(list, check_json(&checks[i])) == 0;
	*failing = api_checks_failing(checks, count);
	if (good)
		return json_pack("{s:s,s:o}", "status", *failing ? "failing" : "ok", "checks", list);
	json_decref(list);
	return NULL;
}

json_t *render_certificate(const struct ipc_report *r)
{
	const struct ipc_certificate *c = &r->certificate;
	if (!r->tls)
		return json_null();
	return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:I,s:o}", "from", c->acme ? "acme" : "files",
		"not_before", time_json(c->not_before), "not_after", time_json(c->not_after), "last_attempt",
		time_json(c->last_attempt), "last_success", time_json(c->last_success), "next_attempt",
		time_json(c->next_attempt), "failures", (json_int_t)c->failures, "error",
		*c->error ? safe_text(c->error) : json_null());
}

static json_t *confinement_json(uint32_t bits)
{
	json_t *list = json_array();
	bool good = list != NULL;
	for (unsigned i = 0; good && i < API_CONFINEMENTS; i++)
		if (bits & 1u << i)
			good = json_array_append_new(list, json_string(api_confinement_words[i])) == 0;
	if (good)
		return list;
	json_decref(list);
	return NULL;
}

json_t *render_process(const void *process)
{
	const struct ipc_process *p = process;
	return json_pack("{s:o,s:s,s:o,s:o,s:o,s:I,s:o}", "name", safe_text(p->name), "state",
		api_process_state_word(p->state), "since", time_json(p->since), "pid",
		p->pid ? json_integer(p->pid) : json_null(), "started", time_json(p->started), "restarts",
		(json_int_t)p->restarts, "confined", confinement_json(p->confinement));
}

/* ---- GET /v1/health ---- */

static int add_refusal(json_t *object, const struct refusal *f)
{
	return json_object_set_new(object, "error", json_string(f->code)) ||
	       json_object_set_new(object, "detail", json_string(f->detail));
}

static void healthy_or_not(struct call *c, const struct ipc_reply *reply)
{
	size_t failing = 0;
	const struct refusal *f = refusal_called(c->manner, "unhealthy");
	json_t *object = render_health(&reply->report, &failing);
	if (object && failing && add_refusal(object, f)) {
		json_decref(object);
		object = NULL;
	}
	answer_object(c->exchange, failing ? f->status : 200, object);
}

void operator_health(const struct context *c)
{
	struct ipc_request q = {.client = c->request->client};
	if (credentials_from_bearer(c->request, &q))
		answer_error(c, "forbidden");
	else
		ask_about(c, &q, IPC_STATUS, healthy_or_not);
	secure_wipe(&q, sizeof q);
}
