// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/render.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/internal.h"
#include "conf/conf.h"
#include "util/text.h"

/* ---- words ---- */

static const char *word(const char *const *words, size_t count, unsigned i)
{
	return i < count && words[i] ? words[i] : "unknown";
}
#define WORD(words, i) word(words, sizeof(words) / sizeof *(words), (unsigned)(i))

const char *api_event_word(enum ipc_event_kind kind)
{
	static const char *const words[] = {
		[IPC_EVENT_REGISTER] = "register",
		[IPC_EVENT_UPDATE] = "update",
		[IPC_EVENT_WITHDRAW] = "withdraw",
		[IPC_EVENT_CLEAR] = "clear",
		[IPC_EVENT_REMOVE] = "remove",
		[IPC_EVENT_KEY_ADD] = "key_add",
		[IPC_EVENT_KEY_ROTATE] = "key_rotate",
		[IPC_EVENT_KEY_REVOKE] = "key_revoke",
		[IPC_EVENT_KEY_RETIRED] = "key_retired",
		[IPC_EVENT_ALLOW] = "allowfrom",
		[IPC_EVENT_ALIASES] = "aliases",
		[IPC_EVENT_TOKEN_ADD] = "token_add",
		[IPC_EVENT_TOKEN_REVOKE] = "token_revoke",
		[IPC_EVENT_START] = "start",
		[IPC_EVENT_ACCESS] = "access",
		[IPC_EVENT_CHALLENGE] = "challenge",
	};
	return WORD(words, kind);
}

const char *api_change_word(enum ipc_change_kind kind)
{
	static const char *const words[] = {
		[IPC_CHANGE_PUT] = "put",
		[IPC_CHANGE_WITHDRAWN] = "withdrawn",
		[IPC_CHANGE_CLEARED] = "cleared",
	};
	return WORD(words, kind);
}

const char *api_by_word(enum ipc_by by)
{
	static const char *const words[] = {
		[IPC_BY_NOBODY] = "nobody",
		[IPC_BY_KEY] = "key",
		[IPC_BY_OPERATOR] = "operator",
		[IPC_BY_AGENT] = "agent",
	};
	return WORD(words, by);
}

const char *api_registration_word(unsigned mode)
{
	static const char *const words[] = {
		[CONF_REGISTRATION_OPEN] = "open",
		[CONF_REGISTRATION_CLOSED] = "closed",
		[CONF_REGISTRATION_TOKEN] = "token",
	};
	return WORD(words, mode);
}

/* RFC 3339 section 5.6. */
void api_time_text(int64_t when, char out[static API_TIME_TEXT])
{
	time_t seconds = (time_t)(when / 1000);
	struct tm tm;
	out[0] = 0;
	if (when > 0 && gmtime_r(&seconds, &tm) && tm.tm_year <= 9999 - 1900)
		(void)!strftime(out, API_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* ---- parts ---- */

/* Each takes `value` over. What fails leaves the object without the member; finish() then gives nothing. */
struct object {
	json_t *json;
	bool failed;
};

static struct object object_new(void)
{
	struct object o = {json_object(), false};
	o.failed = !o.json;
	return o;
}

static void put(struct object *o, const char *name, json_t *value)
{
	if (o->failed)
		json_decref(value);
	else
		o->failed = json_object_set_new(o->json, name, value) != 0;
}

/* The object, or NULL when something is missing in it. */
static json_t *finish(struct object *o)
{
	if (!o->failed)
		return o->json;
	json_decref(o->json);
	return NULL;
}

/* What a client sent may be recorded somewhere: bytes that are no UTF-8 must not cost the whole answer. */
static json_t *text_value(const char *text)
{
	char ascii[IPC_NAME_MAX + 1];
	json_t *value = json_string(text);
	if (value)
		return value;
	if (text_format(ascii, sizeof ascii, "%s", text))
		ascii[0] = 0;
	for (char *c = ascii; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	return json_string(ascii);
}

static void put_text(struct object *o, const char *name, const char *text)
{
	put(o, name, text_value(text));
}

static void put_text_or_null(struct object *o, const char *name, const char *text)
{
	put(o, name, *text ? text_value(text) : json_null());
}

static void put_number(struct object *o, const char *name, uint64_t n)
{
	put(o, name, json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n));
}

static void put_bool(struct object *o, const char *name, bool b)
{
	put(o, name, json_boolean(b));
}

static void put_time(struct object *o, const char *name, int64_t when)
{
	char text[API_TIME_TEXT];
	api_time_text(when, text);
	put_text_or_null(o, name, text);
}

static bool no_address(const struct address *a)
{
	static const struct address none;
	return address_equal(a, &none);
}

static void put_address(struct object *o, const char *name, const struct address *a)
{
	char text[ADDRESS_TEXT] = "";
	if (!no_address(a))
		address_format(a, text);
	put_text_or_null(o, name, text);
}

static void put_full_name(struct object *o, const char *name, const char *label, const char *zone)
{
	char text[IPC_LABEL_MAX + 1 + IPC_NAME_MAX + 1];
	put(o, name, text_format(text, sizeof text, "%s.%s", label, zone) ? NULL : text_value(text));
}

/* An array of what one() makes of each of `count` elements of `size` bytes. */
typedef json_t *element(const void *e);

static json_t *array_of(const void *elements, size_t count, size_t size, element *one)
{
	json_t *array = json_array();
	for (size_t i = 0; array && i < count; i++) {
		if (json_array_append_new(array, one((const char *)elements + i * size)) == 0)
			continue;
		json_decref(array);
		array = NULL;
	}
	return array;
}
#define ARRAY(elements, count, one) array_of(elements, count, sizeof *(elements), one)

static json_t *prefix_json(const void *e)
{
	char text[PREFIX_TEXT];
	prefix_format(e, text);
	return json_string(text);
}

static json_t *text_json(const void *e)
{
	return text_value(e);
}

json_t *render_allow(const struct prefix *allow, size_t count)
{
	return ARRAY(allow, count, prefix_json);
}

/* ---- bodies ---- */

/* The members of acme-dns's answer to /register, in its order. */
json_t *render_credentials(const struct ipc_credentials *c)
{
	struct object o = object_new();
	put_text(&o, "username", c->key_id);
	put_text(&o, "password", c->secret);
	put_full_name(&o, "fulldomain", c->label, c->zone);
	put_text(&o, "subdomain", c->label);
	put(&o, "allowfrom", ARRAY(c->allow, c->allow_count, prefix_json));
	return finish(&o);
}

static json_t *key_json(const void *e)
{
	const struct ipc_key *k = e;
	struct object o = object_new();
	put_text(&o, "id", k->id);
	put_time(&o, "created", k->created);
	put_time(&o, "last_used", k->used);
	put_address(&o, "last_used_from", &k->used_from);
	put_bool(&o, "retiring", k->retiring);
	put_bool(&o, "bcrypt", k->bcrypt);
	return finish(&o);
}

static json_t *change_json(const void *e)
{
	const struct ipc_change *c = e;
	struct object o = object_new();
	put_time(&o, "when", c->when);
	put_text(&o, "kind", api_change_word(c->kind));
	put_text(&o, "by", api_by_word(*c->key ? IPC_BY_KEY : IPC_BY_OPERATOR));
	put_text_or_null(&o, "key", c->key);
	put_address(&o, "from", &c->from);
	return finish(&o);
}

static json_t *asker_json(const void *e)
{
	const struct ipc_asker *a = e;
	struct object o = object_new();
	put_address(&o, "resolver", &a->resolver);
	put_time(&o, "first", a->first);
	put_time(&o, "last", a->last);
	put_number(&o, "times", a->times);
	return finish(&o);
}

static json_t *value_json(const void *e)
{
	const __typeof__(((struct ipc_delegate *)0)->values[0]) *v = e;
	struct object o = object_new();
	put_text(&o, "value", v->text);
	put_time(&o, "expires", v->expiry);
	return finish(&o);
}

static json_t *delegate_json(const struct ipc_delegate *d)
{
	struct object o = object_new();
	put_full_name(&o, "name", d->label, d->zone);
	put_text(&o, "label", d->label);
	put_text(&o, "zone", d->zone);
	put_time(&o, "created", d->created);
	put(&o, "allowfrom", ARRAY(d->allow, d->allow_count, prefix_json));
	put(&o, "aliases", ARRAY(d->aliases, d->alias_count, text_json));
	put(&o, "keys", ARRAY(d->keys, d->key_count, key_json));
	put(&o, "values", ARRAY(d->values, d->value_count, value_json));
	put(&o, "changes", ARRAY(d->changes, d->change_count, change_json));
	put(&o, "resolvers", ARRAY(d->askers, d->asker_count, asker_json));
	return finish(&o);
}

json_t *render_values(const struct ipc_delegate *d)
{
	struct object o = object_new();
	put(&o, "values", ARRAY(d->values, d->value_count, value_json));
	return finish(&o);
}

json_t *render_keys(const struct ipc_delegate *d)
{
	struct object o = object_new();
	put(&o, "keys", ARRAY(d->keys, d->key_count, key_json));
	return finish(&o);
}

static json_t *entry_json(const void *e)
{
	const struct ipc_delegate_entry *d = e;
	struct object o = object_new();
	put_full_name(&o, "name", d->label, d->zone);
	put_text(&o, "label", d->label);
	put_text(&o, "zone", d->zone);
	put_time(&o, "created", d->created);
	put_time(&o, "changed", d->changed);
	put_number(&o, "keys", d->keys);
	put_number(&o, "values", d->values);
	return finish(&o);
}

static json_t *token_json(const void *e)
{
	const struct ipc_token *t = e;
	struct object o = object_new();
	put_text(&o, "id", t->id);
	if (*t->secret)
		put_text(&o, "token", t->secret);
	put_text(&o, "note", t->terms.note);
	put_time(&o, "created", t->created);
	put_time(&o, "last_used", t->used);
	put_time(&o, "expires", t->terms.expiry);
	put_number(&o, "registrations", t->spent);
	put(&o, "quota", t->terms.quota ? json_integer(t->terms.quota) : json_null());
	put_text(&o, "zone", t->terms.zone);
	put_text_or_null(&o, "label", t->terms.label_is_prefix ? "" : t->terms.label);
	put_text_or_null(&o, "label_prefix", t->terms.label_is_prefix ? t->terms.label : "");
	put(&o, "allowfrom", ARRAY(t->terms.allow, t->terms.allow_count, prefix_json));
	return finish(&o);
}

static json_t *event_json(const void *e)
{
	const struct ipc_event *v = e;
	struct object o = object_new();
	put_number(&o, "sequence", v->sequence);
	put_time(&o, "when", v->when);
	put_text(&o, "kind", api_event_word(v->kind));
	put_text(&o, "outcome", api_outcome_word(v->outcome));
	put_number(&o, "times", v->times);
	put_text(&o, "by", api_by_word(v->by));
	put_text_or_null(&o, "key", v->key);
	put_address(&o, "from", &v->client);
	/* Over HTTPS the operator is no account of this machine. */
	put(&o, "uid",
		v->by == IPC_BY_OPERATOR && no_address(&v->client) ? json_integer(v->uid) : json_null());
	put_text_or_null(&o, "name", v->name);
	put_text_or_null(&o, "detail", v->detail);
	return finish(&o);
}

static json_t *queries_json(const struct ipc_report *r)
{
	struct object o = object_new();
	put_number(&o, "udp", r->queries_udp);
	put_number(&o, "tcp", r->queries_tcp);
	put_number(&o, "tls", r->queries_tls);
	put_number(&o, "dropped", r->queries_dropped);
	put_number(&o, "replies_limited", r->replies_limited);
	put_number(&o, "noted", r->evidence);
	put_number(&o, "not_noted", r->evidence_lost);
	return finish(&o);
}

static json_t *requests_json(const struct ipc_report *r)
{
	struct object o = object_new();
	put_number(&o, "registrations", r->registrations);
	put_number(&o, "changes", r->changes);
	put_number(&o, "refusals", r->refusals);
	put_number(&o, "waiting_bcrypt", r->waiting_bcrypt);
	return finish(&o);
}

static json_t *store_json(const struct ipc_report *r)
{
	struct object o = object_new();
	put_bool(&o, "writable", r->store_writable);
	put_number(&o, "bytes", r->store_bytes);
	put_bool(&o, "index_in_service", r->index_in_service);
	put_number(&o, "index_bytes", r->index_bytes);
	put_number(&o, "events_first", r->events_first);
	put_number(&o, "events_last", r->events_last);
	return finish(&o);
}

static json_t *report_json(const struct ipc_report *r)
{
	struct object o = object_new();
	size_t named = r->zone_count < IPC_PAGE_MAX ? r->zone_count : IPC_PAGE_MAX, failing;
	size_t listed = r->process_count < IPC_PROCESSES_MAX ? r->process_count : IPC_PROCESSES_MAX;
	put_text(&o, "version", r->version);
	put_time(&o, "started", r->started);
	put_time(&o, "server_started", r->server_started);
	put(&o, "health", render_health(r, &failing));
	put(&o, "certificate", render_certificate(r));
	put(&o, "processes", ARRAY(r->processes, listed, render_process));
	put_number(&o, "delegates", r->delegates);
	put_number(&o, "tokens", r->tokens);
	put_text(&o, "registration", api_registration_word(r->registration));
	put(&o, "zones", ARRAY(r->zones, named, text_json));
	put_number(&o, "zone_count", r->zone_count);
	put(&o, "store", store_json(r));
	put(&o, "requests", requests_json(r));
	put(&o, "queries", queries_json(r));
	return finish(&o);
}

/* ---- lists ---- */

static bool is_full(const struct ipc_reply *r, unsigned limit, size_t most)
{
	return r->count > 0 && r->count >= (limit && limit < most ? limit : most);
}

static json_t *delegates_json(const struct ipc_reply *r, unsigned limit)
{
	struct object o = object_new();
	put(&o, "delegates", ARRAY(r->delegates, r->count, entry_json));
	if (is_full(r, limit, IPC_PAGE_MAX))
		put_full_name(&o, "next", r->delegates[r->count - 1].label, r->delegates[r->count - 1].zone);
	else
		put(&o, "next", json_null());
	return finish(&o);
}

static json_t *tokens_json(const struct ipc_reply *r, unsigned limit)
{
	struct object o = object_new();
	bool full = is_full(r, limit, IPC_TOKENS_MAX);
	put(&o, "tokens", ARRAY(r->tokens, r->count, token_json));
	put_text_or_null(&o, "next", full ? r->tokens[r->count - 1].id : "");
	return finish(&o);
}

static json_t *events_json(const struct ipc_reply *r)
{
	struct object o = object_new();
	put(&o, "events", ARRAY(r->events, r->count, event_json));
	put(&o, "next", r->count ? json_sprintf("%" PRIu64, r->events[r->count - 1].sequence) : json_null());
	return finish(&o);
}

static json_t *nothing_json(void)
{
	struct object o = object_new();
	put_text(&o, "status", "ok");
	return finish(&o);
}

json_t *render_reply(const struct ipc_reply *r, unsigned limit)
{
	switch (r->type) {
	case IPC_REGISTER:
	case IPC_DELEGATE_ADD:
	case IPC_KEY_ADD:
	case IPC_KEY_ROTATE:
		return render_credentials(&r->credentials);
	case IPC_DELEGATE_SHOW:
		return delegate_json(&r->delegate);
	case IPC_DELEGATE_LIST:
		return delegates_json(r, limit);
	case IPC_TOKEN_ADD:
		return token_json(&r->token);
	case IPC_TOKEN_LIST:
		return tokens_json(r, limit);
	case IPC_STATUS:
		return report_json(&r->report);
	case IPC_EVENTS:
		return events_json(r);
	default:
		return nothing_json();
	}
}

int api_render_page(const struct ipc_reply *r, unsigned limit, char **json)
{
	json_t *object = render_reply(r, limit);
	*json = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return *json ? OK : ERR_NOMEM;
}

int api_render(const struct ipc_reply *r, char **json)
{
	return api_render_page(r, 0, json);
}

int api_render_entry(const struct ipc_reply *r, size_t i, char **json)
{
	json_t *object = r->type == IPC_DELEGATE_LIST ? entry_json(&r->delegates[i])
			 : r->type == IPC_TOKEN_LIST  ? token_json(&r->tokens[i])
						      : event_json(&r->events[i]);
	*json = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return *json ? OK : ERR_NOMEM;
}
