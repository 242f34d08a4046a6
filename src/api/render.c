// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/render.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/internal.h"
#include "api/object.h"
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

static json_t *prefix_json(const void *e)
{
	char text[PREFIX_TEXT];
	prefix_format(e, text);
	return json_string(text);
}

static json_t *text_json(const void *e)
{
	return object_text(e);
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
	object_put_text(&o, "username", c->key_id);
	object_put_text(&o, "password", c->secret);
	object_put_full_name(&o, "fulldomain", c->label, c->zone);
	object_put_text(&o, "subdomain", c->label);
	object_put(&o, "allowfrom", ARRAY(c->allow, c->allow_count, prefix_json));
	return object_finish(&o);
}

static json_t *key_json(const void *e)
{
	const struct ipc_key *k = e;
	struct object o = object_new();
	object_put_text(&o, "id", k->id);
	object_put_time(&o, "created", k->created);
	object_put_time(&o, "last_used", k->used);
	object_put_address(&o, "last_used_from", &k->used_from);
	object_put_bool(&o, "retiring", k->retiring);
	object_put_bool(&o, "bcrypt", k->bcrypt);
	return object_finish(&o);
}

static json_t *change_json(const void *e)
{
	const struct ipc_change *c = e;
	struct object o = object_new();
	object_put_time(&o, "when", c->when);
	object_put_text(&o, "kind", api_change_word(c->kind));
	object_put_text(&o, "by", api_by_word(*c->key ? IPC_BY_KEY : IPC_BY_OPERATOR));
	object_put_text_or_null(&o, "key", c->key);
	object_put_address(&o, "from", &c->from);
	return object_finish(&o);
}

static json_t *asker_json(const void *e)
{
	const struct ipc_asker *a = e;
	struct object o = object_new();
	object_put_address(&o, "resolver", &a->resolver);
	object_put_time(&o, "first", a->first);
	object_put_time(&o, "last", a->last);
	object_put_number(&o, "times", a->times);
	return object_finish(&o);
}

static json_t *value_json(const void *e)
{
	const __typeof__(((struct ipc_delegate *)0)->values[0]) *v = e;
	struct object o = object_new();
	object_put_text(&o, "value", v->text);
	object_put_time(&o, "expires", v->expiry);
	return object_finish(&o);
}

static json_t *delegate_json(const struct ipc_delegate *d)
{
	struct object o = object_new();
	object_put_full_name(&o, "name", d->label, d->zone);
	object_put_text(&o, "label", d->label);
	object_put_text(&o, "zone", d->zone);
	object_put_time(&o, "created", d->created);
	object_put(&o, "allowfrom", ARRAY(d->allow, d->allow_count, prefix_json));
	object_put(&o, "aliases", ARRAY(d->aliases, d->alias_count, text_json));
	object_put(&o, "keys", ARRAY(d->keys, d->key_count, key_json));
	object_put(&o, "values", ARRAY(d->values, d->value_count, value_json));
	object_put(&o, "changes", ARRAY(d->changes, d->change_count, change_json));
	object_put(&o, "resolvers", ARRAY(d->askers, d->asker_count, asker_json));
	return object_finish(&o);
}

json_t *render_values(const struct ipc_delegate *d)
{
	struct object o = object_new();
	object_put(&o, "values", ARRAY(d->values, d->value_count, value_json));
	return object_finish(&o);
}

json_t *render_keys(const struct ipc_delegate *d)
{
	struct object o = object_new();
	object_put(&o, "keys", ARRAY(d->keys, d->key_count, key_json));
	return object_finish(&o);
}

static json_t *entry_json(const void *e)
{
	const struct ipc_delegate_entry *d = e;
	struct object o = object_new();
	object_put_full_name(&o, "name", d->label, d->zone);
	object_put_text(&o, "label", d->label);
	object_put_text(&o, "zone", d->zone);
	object_put_time(&o, "created", d->created);
	object_put_time(&o, "changed", d->changed);
	object_put_number(&o, "keys", d->keys);
	object_put_number(&o, "values", d->values);
	return object_finish(&o);
}

static json_t *token_json(const void *e)
{
	const struct ipc_token *t = e;
	struct object o = object_new();
	object_put_text(&o, "id", t->id);
	if (*t->secret)
		object_put_text(&o, "token", t->secret);
	object_put_text(&o, "note", t->terms.note);
	object_put_time(&o, "created", t->created);
	object_put_time(&o, "last_used", t->used);
	object_put_time(&o, "expires", t->terms.expiry);
	object_put_number(&o, "registrations", t->spent);
	object_put(&o, "quota", t->terms.quota ? json_integer(t->terms.quota) : json_null());
	object_put_text(&o, "zone", t->terms.zone);
	object_put_text_or_null(&o, "label", t->terms.label_is_prefix ? "" : t->terms.label);
	object_put_text_or_null(&o, "label_prefix", t->terms.label_is_prefix ? t->terms.label : "");
	object_put(&o, "allowfrom", ARRAY(t->terms.allow, t->terms.allow_count, prefix_json));
	return object_finish(&o);
}

static json_t *event_json(const void *e)
{
	const struct ipc_event *v = e;
	struct object o = object_new();
	object_put_number(&o, "sequence", v->sequence);
	object_put_time(&o, "when", v->when);
	object_put_text(&o, "kind", api_event_word(v->kind));
	object_put_text(&o, "outcome", api_outcome_word(v->outcome));
	object_put_number(&o, "times", v->times);
	object_put_text(&o, "by", api_by_word(v->by));
	object_put_text_or_null(&o, "key", v->key);
	object_put_address(&o, "from", &v->client);
	/* Over HTTPS the operator is no account of this machine. */
	object_put(&o, "uid",
		v->by == IPC_BY_OPERATOR && address_is_none(&v->client) ? json_integer(v->uid) : json_null());
	object_put_text_or_null(&o, "name", v->name);
	object_put_text_or_null(&o, "detail", v->detail);
	return object_finish(&o);
}

static json_t *queries_json(const struct ipc_report *r)
{
	struct object o = object_new();
	object_put_number(&o, "udp", r->queries_udp);
	object_put_number(&o, "tcp", r->queries_tcp);
	object_put_number(&o, "tls", r->queries_tls);
	object_put_number(&o, "dropped", r->queries_dropped);
	object_put_number(&o, "replies_limited", r->replies_limited);
	object_put_number(&o, "noted", r->evidence);
	object_put_number(&o, "not_noted", r->evidence_lost);
	return object_finish(&o);
}

static json_t *requests_json(const struct ipc_report *r)
{
	struct object o = object_new();
	object_put_number(&o, "registrations", r->registrations);
	object_put_number(&o, "changes", r->changes);
	object_put_number(&o, "refusals", r->refusals);
	object_put_number(&o, "waiting_bcrypt", r->waiting_bcrypt);
	return object_finish(&o);
}

static json_t *store_json(const struct ipc_report *r)
{
	struct object o = object_new();
	object_put_bool(&o, "writable", r->store_writable);
	object_put_number(&o, "bytes", r->store_bytes);
	object_put_bool(&o, "index_in_service", r->index_in_service);
	object_put_number(&o, "index_bytes", r->index_bytes);
	object_put_number(&o, "events_first", r->events_first);
	object_put_number(&o, "events_last", r->events_last);
	return object_finish(&o);
}

static json_t *report_json(const struct ipc_report *r)
{
	struct object o = object_new();
	size_t named = r->zone_count < IPC_PAGE_MAX ? r->zone_count : IPC_PAGE_MAX, failing;
	size_t listed = r->process_count < IPC_PROCESSES_MAX ? r->process_count : IPC_PROCESSES_MAX;
	object_put_text(&o, "version", r->version);
	object_put_time(&o, "started", r->started);
	object_put_time(&o, "server_started", r->server_started);
	object_put(&o, "health", render_health(r, &failing));
	object_put(&o, "certificate", render_certificate(r));
	object_put(&o, "processes", ARRAY(r->processes, listed, render_process));
	object_put_number(&o, "delegates", r->delegates);
	object_put_number(&o, "tokens", r->tokens);
	object_put_text(&o, "registration", api_registration_word(r->registration));
	object_put(&o, "zones", ARRAY(r->zones, named, text_json));
	object_put_number(&o, "zone_count", r->zone_count);
	object_put(&o, "store", store_json(r));
	object_put(&o, "requests", requests_json(r));
	object_put(&o, "queries", queries_json(r));
	return object_finish(&o);
}

/* ---- lists ---- */

static bool is_full(const struct ipc_reply *r, unsigned limit, size_t most)
{
	return r->count > 0 && r->count >= (limit && limit < most ? limit : most);
}

static json_t *delegates_json(const struct ipc_reply *r, unsigned limit)
{
	struct object o = object_new();
	object_put(&o, "delegates", ARRAY(r->delegates, r->count, entry_json));
	if (is_full(r, limit, IPC_PAGE_MAX))
		object_put_full_name(
			&o, "next", r->delegates[r->count - 1].label, r->delegates[r->count - 1].zone);
	else
		object_put(&o, "next", json_null());
	return object_finish(&o);
}

static json_t *tokens_json(const struct ipc_reply *r, unsigned limit)
{
	struct object o = object_new();
	bool full = is_full(r, limit, IPC_TOKENS_MAX);
	object_put(&o, "tokens", ARRAY(r->tokens, r->count, token_json));
	object_put_text_or_null(&o, "next", full ? r->tokens[r->count - 1].id : "");
	return object_finish(&o);
}

static json_t *events_json(const struct ipc_reply *r)
{
	struct object o = object_new();
	object_put(&o, "events", ARRAY(r->events, r->count, event_json));
	object_put(&o, "next",
		r->count ? json_sprintf("%" PRIu64, r->events[r->count - 1].sequence) : json_null());
	return object_finish(&o);
}

static json_t *nothing_json(void)
{
	struct object o = object_new();
	object_put_text(&o, "status", "ok");
	return object_finish(&o);
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
