// SPDX-License-Identifier: GPL-3.0-or-later
/* The bodies and the Authorization value a client may send. The first byte chooses who reads the rest:
 * 'r'egister, 'u'pdate, 'h'ttpreq, 'b'asic, or 'n' for a user name. */
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
	default:
		break;
	}
	free(body);
	return 0;
}
