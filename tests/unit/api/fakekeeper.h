// SPDX-License-Identifier: GPL-3.0-or-later
/* The API behind a real http server, asking a keeper that knows exactly one delegate and speaks the real
 * messages. All in one thread: the server's loop turns the other two. */
#pragma once

#include "http/testserver.h"

#include "api/api.h"
#include "ipc/ipc.h"
#include "util/text.h"

#define USER  "eabcdb41-d89f-4580-826f-3e62e9755ef2"
#define KEY   "pbAXVjlIOE01xbut7YnAbkhMQIkcwoHO0ek2j4Q0"
#define LABEL "d420c923-bbd7-4056-ab64-c3ca54c9b3cf"
#define ZONE  "auth.example.org"
#define TXT   "LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM"
#define URL   "https://auth.example.org"

#define JSON_ERROR(word) "{\"error\": \"" word "\"}"

struct fakekeeper {
	struct testserver http;
	struct api *api;
	struct ipc_client *client;
	int fd;                  /* the keeper's end */
	struct ipc_request last; /* the last request but hello */
	unsigned asked;
	enum ipc_status forced;   /* IPC_STATUSES: judge properly */
	uint32_t delay;           /* of refusals */
	bool silent;              /* keep requests unanswered */
	bool pretend_insecure;    /* as if the request had come over plain HTTP from far away */
	struct ipc_envelope kept; /* of the last request while silent */
};

#define OPERATOR_TOKEN "oper_ator-oper_ator-oper_ator-oper_ator1"

static inline enum ipc_status fakekeeper_judge(const struct ipc_request *r)
{
	if (r->type == IPC_REGISTER || r->type == IPC_HEALTH)
		return IPC_OK;
	if (r->by == IPC_BY_OPERATOR)
		return strcmp(r->secret, OPERATOR_TOKEN) == 0 ? IPC_OK : IPC_FORBIDDEN;
	if (r->by != IPC_BY_KEY || r->type >= IPC_DELEGATE_ADD)
		return IPC_FORBIDDEN;
	if (strcmp(r->key_id, USER) != 0 || strcmp(r->secret, KEY) != 0)
		return IPC_FORBIDDEN;
	if (r->type == IPC_UPDATE && strcmp(r->name, LABEL) != 0)
		return IPC_FORBIDDEN;
	if (r->type > IPC_CLEANUP)
		return IPC_OK;
	if (r->type != IPC_UPDATE && strstr(r->name, ZONE) && strncmp(r->name, LABEL ".", sizeof LABEL) != 0)
		return IPC_FOREIGN;
	return strlen(r->value) == 43 && text_is_base64url(r->value, 43) ? IPC_OK : IPC_BAD_VALUE;
}

static inline void fakekeeper_reply(
	struct fakekeeper *k, const struct ipc_envelope *e, const struct ipc_reply *r)
{
	uint8_t bytes[IPC_MESSAGE_MAX];
	size_t len;
	assert_int_equal(ipc_encode_reply(e, r, bytes, sizeof bytes, &len), OK);
	assert_int_equal(ipc_send(k->fd, bytes, len), OK);
}

static inline struct prefix test_prefix(const char *text)
{
	struct prefix p;
	assert_int_equal(prefix_parse(text, strlen(text), &p), OK);
	return p;
}

static inline void fakekeeper_delegate(struct ipc_delegate *d)
{
	strcpy(d->label, LABEL);
	strcpy(d->zone, ZONE);
	d->created = 1763971200000; /* 2025-11-24T08:00:00Z */
	d->key_count = 1;
	strcpy(d->keys[0].id, USER);
	d->keys[0].created = d->created;
	d->allow_count = 1;
	d->allow[0] = test_prefix("192.0.2.0/24");
	d->alias_count = 2;
	strcpy(d->aliases[0], "example.com");
	strcpy(d->aliases[1], "example.net");
	d->value_count = 1;
	strcpy(d->values[0].text, TXT);
	d->values[0].expiry = d->created + 3600000;
	d->change_count = 1;
	d->changes[0] = (struct ipc_change){.when = d->created, .kind = IPC_CHANGE_CLEARED};
	d->asker_count = 1;
	d->askers[0] = (struct ipc_asker){.first = d->created, .last = d->created, .times = 3};
	assert_int_equal(address_parse("2001:db8::53", &d->askers[0].resolver), OK);
}

static inline void fakekeeper_fill(struct ipc_reply *r)
{
	switch (r->type) {
	case IPC_REGISTER:
	case IPC_DELEGATE_ADD:
	case IPC_KEY_ADD:
	case IPC_KEY_ROTATE:
		strcpy(r->credentials.key_id, USER);
		strcpy(r->credentials.secret, KEY);
		strcpy(r->credentials.label, LABEL);
		strcpy(r->credentials.zone, ZONE);
		break;
	case IPC_DELEGATE_SHOW:
		fakekeeper_delegate(&r->delegate);
		break;
	case IPC_DELEGATE_LIST:
		r->count = 2;
		strcpy(r->delegates[0].label, "a");
		strcpy(r->delegates[0].zone, ZONE);
		strcpy(r->delegates[1].label, "b");
		strcpy(r->delegates[1].zone, ZONE);
		break;
	case IPC_TOKEN_ADD:
		strcpy(r->token.id, "0123456789ab");
		strcpy(r->token.secret, KEY);
		break;
	case IPC_TOKEN_LIST:
		r->count = 1;
		strcpy(r->tokens[0].id, "0123456789ab");
		break;
	case IPC_EVENTS:
		r->count = 1;
		r->events[0].sequence = 9;
		r->events[0].kind = IPC_EVENT_UPDATE;
		r->events[0].outcome = IPC_FORBIDDEN;
		r->events[0].by = IPC_BY_KEY;
		break;
	default:
		break;
	}
}

static inline void fakekeeper_answer(struct fakekeeper *k, const struct ipc_envelope *e)
{
	struct ipc_reply r = {.type = k->last.type, .retry_after = 77};
	r.status = k->forced == IPC_STATUSES ? fakekeeper_judge(&k->last) : k->forced;
	if (r.status == IPC_OK)
		fakekeeper_fill(&r);
	else
		r.delay = k->delay;
	fakekeeper_reply(k, e, &r);
}

static inline void fakekeeper_turn(void *ctx)
{
	struct fakekeeper *k = ctx;
	uint8_t bytes[IPC_MESSAGE_MAX];
	size_t len;
	assert_int_equal(ipc_client_run(k->client, clock_mono_ms()), OK);
	while (ipc_receive(k->fd, bytes, &len) == OK) {
		struct ipc_envelope e;
		struct ipc_request r;
		assert_int_equal(ipc_decode_request(bytes, len, &e, &r), OK);
		if (r.type == IPC_HELLO) {
			fakekeeper_reply(k, &(struct ipc_envelope){.epoch = 42},
				&(struct ipc_reply){.type = IPC_HELLO});
			continue;
		}
		k->last = r;
		k->kept = e;
		k->asked++;
		if (!k->silent)
			fakekeeper_answer(k, &e);
	}
	assert_int_equal(ipc_client_run(k->client, clock_mono_ms()), OK);
}

static inline void fakekeeper_handle(void *ctx, struct http_exchange *x, const struct http_request *r)
{
	struct fakekeeper *k = ctx;
	struct http_request copy = *r;
	if (k->pretend_insecure)
		copy.secure = false;
	api_handle(k->api, x, &copy);
}

static inline int fakekeeper_start(void **state)
{
	static const char *const bases[] = {"/", "/api/v1/acme-dns-compat", "/x/y"};
	const struct api_settings s = {URL, bases, 3, NULL, NULL};
	struct fakekeeper *k = calloc(1, sizeof *k);
	int pair[2];
	assert_non_null(k);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(ipc_client_new(pair[0], &k->client), OK);
	k->fd = pair[1];
	k->forced = IPC_STATUSES;
	assert_int_equal(api_new(&s, k->client, &k->api), OK);
	testserver_start(&k->http, (struct http_settings){0}, fakekeeper_handle, k);
	k->http.other = fakekeeper_turn;
	k->http.other_ctx = k;
	*state = k;
	return 0;
}

static inline int fakekeeper_stop(void **state)
{
	struct fakekeeper *k = *state;
	ipc_client_free(&k->client); /* first: it ends what is still asked, which answers the exchanges */
	api_flush(k->api);
	testserver_stop(&k->http);
	api_free(&k->api);
	close(k->fd);
	free(k);
	return 0;
}

/* Sends head + "Content-Length" + body (body NULL: no such field) and waits for the answer. */
static inline void fakekeeper_ask(struct fakekeeper *k, const char *head, const char *body, struct answer *a)
{
	static char request[32768];
	int n = body ? snprintf(request, sizeof request, "%sContent-Length: %zu\r\n\r\n%s", head,
			       strlen(body), body)
		     : snprintf(request, sizeof request, "%s\r\n", head);
	assert_true(n > 0 && n < (int)sizeof request);
	testserver_ask(&k->http, request, a);
}

static inline void expect(struct fakekeeper *k, const char *what, const char *head, const char *body,
	int status, const char *answer)
{
	struct answer a;
	fakekeeper_ask(k, head, body, &a);
	if (a.status != status || strcmp(a.body, answer) != 0)
		fail_msg("%s: %d %s instead of %d %s", what, a.status, a.body, status, answer);
}

#define POST(path)  "POST " path " HTTP/1.1\r\nHost: auth.example.org\r\n"
#define KEYS        "X-Api-User: " USER "\r\nX-Api-Key: " KEY "\r\n"
#define UPDATE_BODY "{\"subdomain\":\"" LABEL "\",\"txt\":\"" TXT "\"}"
#define UPDATED     "{\"txt\": \"" TXT "\"}"
#define REGISTERED(allow, base)                                                                              \
	"{\"username\":\"" USER "\",\"password\":\"" KEY "\",\"fulldomain\":\"" LABEL "." ZONE               \
	"\",\"subdomain\":\"" LABEL "\",\"allowfrom\":" allow ",\"server_url\":\"" URL base "\"}"

/* A good update that has reached the keeper, which does not reply to it. */
static inline void update_without_reply(struct fakekeeper *k, struct testclient *c)
{
	char request[1024];
	snprintf(request, sizeof request, POST("/update") KEYS "Content-Length: %zu\r\n\r\n%s",
		strlen(UPDATE_BODY), UPDATE_BODY);
	k->silent = true;
	testclient_open(c, &k->http);
	testclient_send(c, request);
	for (unsigned i = 0; i < TURNS_BEFORE_GIVING_UP && !k->asked; i++)
		testserver_turn(&k->http, -1, 0);
}
