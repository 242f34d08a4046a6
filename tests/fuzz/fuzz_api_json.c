// SPDX-License-Identifier: GPL-3.0-or-later
/* The bodies and the Authorization value a client may send. The first byte chooses who reads the rest:
 * 'r'egister, 'u'pdate, 'h'ttpreq, 'b'asic, 'n' for a user name, 'f'ields of
 * /v1/, 'q'uery, 'v'alue, or 'd'omain. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "util/secure.h"
#include "util/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What is sent on must be what the keeper accepts as a message, and an answer must be one JSON value on one
 * line. */
static void check(int result, const struct ipc_request *q, char *text)
{
	uint8_t message[IPC_MESSAGE_MAX];
	struct ipc_envelope e = {1, 1}, e2;
	struct ipc_request copy;
	size_t len;
	require((result == OK) == (text != NULL));
	if (text) {
		json_t *answer = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		require(answer && !strchr(text, '\n'));
		json_decref(answer);
		require(ipc_encode_request(&e, q, message, sizeof message, &len) == OK);
		require(ipc_decode_request(message, len, &e2, &copy) == OK);
		require(strcmp(copy.name, q->name) == 0 && strcmp(copy.value, q->value) == 0);
	}
	free(text);
}

static void read_credentials(bool basic, const char *body)
{
	struct ipc_request q = {0};
	int r = basic ? credentials_set_basic(&q, body) : credentials_set_user(&q, body);
	require(r == OK || r == ERR_FORBIDDEN);
	require(r != OK || strlen(q.key_id) == SECURE_UUID_LEN);
	require(r != OK || !basic || strlen(q.secret) == SECURE_SECRET_LEN);
}

/* Whatever the body says, what is accepted fits into a message and comes out of it again. */
static void read_fields(const char *body, size_t len)
{
	const struct http_request r = {.body = body, .body_len = len};
	uint8_t message[IPC_MESSAGE_MAX];
	struct ipc_envelope e = {1, 1}, e2;
	struct ipc_request q = {.type = IPC_DELEGATE_ADD}, t = {.type = IPC_TOKEN_ADD}, copy;
	json_t *o;
	size_t n;
	if (fields_parse(&r, &o))
		return;
	if (!fields_text(o, "label", q.name, sizeof q.name, "x") &&
		!fields_allow(o, q.allow, &q.allow_count) && !fields_aliases(o, &q)) {
		require(ipc_encode_request(&e, &q, message, sizeof message, &n) == OK);
		require(ipc_decode_request(message, n, &e2, &copy) == OK);
		require(copy.alias_count == q.alias_count && copy.allow_count == q.allow_count);
	}
	if (!fields_terms(o, &t.terms)) {
		require(ipc_encode_request(&e, &t, message, sizeof message, &n) == OK);
		require(ipc_decode_request(message, n, &e2, &copy) == OK);
		require(copy.terms.expiry == t.terms.expiry && copy.terms.quota == t.terms.quota);
	}
	json_decref(o);
}

static void read_query(const char *text)
{
	static const char *const names[] = {"format", "domain", "after", "force", NULL};
	const struct http_request r = {.query = text};
	char out[IPC_NAME_MAX + 1];
	const char *at = text;
	uint64_t n;
	bool fine = query_check(&r, names);
	while (query_next(&at, "domain", out, sizeof out))
		require(!fine || !strpbrk(out, "%'\"$ \n"));
	require(query_number(&r, "after", 99, &n) || n <= 99);
	(void)!query_flag(&r, "force");
}

static void read_value(const char *text)
{
	bool good = strlen(text) == VALUE_LEN && text_is_base64url(text, VALUE_LEN);
	require((fields_value_problem(text) == NULL) == good);
}

/* What is accepted needs no quoting, and is accepted again as it is. */
static void read_domain(const char *text)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	char name[IPC_NAME_MAX + 1];
	if (text_format(name, sizeof name, "%s", text) || !fields_clean_domain(name))
		return;
	require(*name && name[strspn(name, chars)] == 0 && strchr(name, '.'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ipc_request q = {.type = IPC_UPDATE};
	char *text = NULL;
	int result;
	if (!len || len > HTTP_MAX_BODY)
		return 0;
	char *body = malloc(len); /* one byte goes, so there is room for a NUL */
	if (!body)
		return 0;
	memcpy(body, data + 1, len - 1);
	body[len - 1] = 0;
	switch (data[0]) {
	case 'r':
		q.type = IPC_REGISTER;
		result = acmedns_read_register(body, len - 1, &q, &text);
		check(result, &q, text);
		break;
	case 'u':
		result = acmedns_read_update(body, len - 1, &q, &text);
		check(result, &q, text);
		break;
	case 'h':
		q.type = IPC_PRESENT;
		result = httpreq_read(body, len - 1, &q, &text);
		check(result, &q, text);
		break;
	case 'b':
	case 'n':
		read_credentials(data[0] == 'b', body);
		break;
	case 'f':
		read_fields(body, len - 1);
		break;
	case 'q':
		read_query(body);
		break;
	case 'v':
		read_value(body);
		break;
	case 'd':
		read_domain(body);
		break;
	default:
		break;
	}
	free(body);
	return 0;
}
