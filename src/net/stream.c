// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/stream.h"

#include <stdlib.h>
#include <string.h>

int stream_next(struct reader *input, const uint8_t **message, size_t *len)
{
	struct reader ahead = *input;
	size_t announced = read_u16(&ahead);
	if (ahead.failed)
		return ERR_AGAIN;
	/* No DNS message is shorter than its header; zero is the one length that is not even a message. */
	if (announced == 0 || announced > STREAM_QUERY_MAX)
		return ERR_INVALID;
	const uint8_t *body = read_bytes(&ahead, announced);
	if (!body)
		return ERR_AGAIN;
	*input = ahead;
	*message = body;
	*len = announced;
	return OK;
}

int backlog_replace(struct backlog *b, const uint8_t *data, size_t len)
{
	uint8_t *copy = NULL;
	if (len) {
		copy = malloc(len);
		if (!copy)
			return ERR_NOMEM;
		memcpy(copy, data, len);
	}
	free(b->data);
	*b = (struct backlog){copy, len};
	return OK;
}

void backlog_clear(struct backlog *b)
{
	free(b->data);
	*b = (struct backlog){0};
}
