// SPDX-License-Identifier: GPL-3.0-or-later
/* TCP framing: whatever the pieces a stream arrives in, the same messages come out and the same end. The
 * first byte of the input chooses the pieces. */
#include <stdlib.h>
#include <string.h>

#include "net/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What came out: a running hash, so that order and borders count. */
struct outcome {
	size_t messages, bytes;
	uint64_t hash;
	int code;
};

static void mix(struct outcome *o, const uint8_t *data, size_t len)
{
	o->messages++;
	o->bytes += len;
	o->hash = (o->hash ^ len) * 0x100000001b3;
	for (size_t i = 0; i < len; i++)
		o->hash = (o->hash ^ data[i]) * 0x100000001b3;
}

static void cut_all(struct reader *input, struct outcome *o)
{
	const uint8_t *message;
	size_t len;
	while ((o->code = stream_next(input, &message, &len)) == OK) {
		if (len == 0 || len > STREAM_QUERY_MAX || message + len != input->at)
			abort();
		mix(o, message, len);
	}
}

/* One piece more, the way a connection handles it: what was kept goes in front, what is left is kept. */
static void feed(struct backlog *kept, const uint8_t *piece, size_t len, struct outcome *o)
{
	size_t total = kept->len + len;
	uint8_t *joined = malloc(total ? total : 1);
	if (!joined)
		abort();
	if (kept->len)
		memcpy(joined, kept->data, kept->len);
	memcpy(joined + kept->len, piece, len);
	struct reader input = reader_over(joined, total);
	cut_all(&input, o);
	size_t rest = (size_t)(input.end - input.at);
	if (o->code == ERR_AGAIN && rest >= STREAM_PREFIX + STREAM_QUERY_MAX)
		abort(); /* what is kept is bounded */
	if (backlog_replace(kept, input.at, rest))
		abort();
	free(joined);
}

static struct outcome in_pieces(const uint8_t *data, size_t len, uint8_t seed)
{
	struct outcome o = {.code = ERR_AGAIN};
	struct backlog kept = {0};
	unsigned next = seed;
	for (size_t at = 0; at < len && o.code == ERR_AGAIN;) {
		size_t piece = next % 7 ? next % 7 : 1 + next;
		next = (next * 5 + 1) % 256;
		if (piece > len - at)
			piece = len - at;
		feed(&kept, data + at, piece, &o);
		at += piece;
	}
	backlog_clear(&kept);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	struct outcome whole = {.code = ERR_AGAIN};
	struct reader input = reader_over(data + 1, len - 1);
	cut_all(&input, &whole);
	struct outcome pieces = in_pieces(data + 1, len - 1, data[0]);
	if (whole.messages != pieces.messages || whole.bytes != pieces.bytes || whole.hash != pieces.hash ||
		whole.code != pieces.code)
		abort();
	return 0;
}
