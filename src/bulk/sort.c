// SPDX-License-Identifier: GPL-3.0-or-later
#include "bulk/sort.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cursor.h"
#include "util/text.h"

enum {
	FIRST_CHUNK = 64 << 10,   /* grows as needed */
	WRITE_BUFFER = 256 << 10, /* bytes of a chunk on their way to the file */
	RUN_BUFFER_MIN = 16 << 10 /* more than the largest entry */
};

/* An entry is a head, its key, its value. */
struct head {
	uint64_t line;
	uint16_t key_len, value_len;
};

/* What is sorted in the place of an entry: most comparisons end with the first bytes. */
struct item {
	uint64_t prefix;
	size_t offset;
};

/* A sorted chunk in the file, and the part of it in memory. */
struct run {
	off_t at, end; /* what is still to be read from the file */
	off_t start;
	uint8_t *buffer;
	size_t cap, have, used;
	struct sorted entry; /* points into the buffer */
	uint64_t prefix;
};

struct sorter {
	const char *folder;
	size_t limit;
	uint64_t total;
	/* the chunk in memory */
	uint8_t *bytes;
	size_t used, cap;
	struct item *items;
	size_t count, items_cap;
	bool in_order;
	size_t next;
	/* the chunks in the file */
	int fd;
	off_t file_len;
	struct run *runs;
	size_t run_count;
	uint8_t *buffers;
	size_t *heap; /* of runs that have an entry, the smallest first */
	size_t heap_len;
	bool given; /* the smallest was given out and is to be replaced */
};

int sorter_new(const char *folder, size_t memory, struct sorter **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return ERR_NOMEM;
	(*out)->folder = folder;
	(*out)->limit = memory;
	(*out)->fd = -1;
	return OK;
}

static void free_chunk(struct sorter *s)
{
	free(s->bytes);
	free(s->items);
	s->bytes = NULL;
	s->items = NULL;
	s->used = s->cap = s->count = s->items_cap = 0;
}

void sorter_free(struct sorter **handle)
{
	struct sorter *s = *handle;
	*handle = NULL;
	if (!s)
		return;
	free_chunk(s);
	free(s->runs);
	free(s->buffers);
	free(s->heap);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

uint64_t sorter_count(const struct sorter *s)
{
	return s->total;
}

static uint64_t prefix_of(const uint8_t *key, size_t len)
{
	uint8_t first[8] = {0};
	memcpy(first, key, len < sizeof first ? len : sizeof first);
	struct reader r = reader_over(first, sizeof first);
	return read_u64(&r);
}

static struct sorted entry_at(const uint8_t *at)
{
	struct head h;
	memcpy(&h, at, sizeof h);
	at += sizeof h;
	return (struct sorted){at, at + h.key_len, h.key_len, h.value_len, h.line};
}

static size_t size_of(const struct sorted *e)
{
	return sizeof(struct head) + e->key_len + e->value_len;
}

/* Of two entries whose prefixes are equal. */
static int compare_entries(const struct sorted *a, const struct sorted *b)
{
	size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	int order = memcmp(a->key, b->key, len);
	if (!order)
		order = (a->key_len > b->key_len) - (a->key_len < b->key_len);
	return order ? order : (a->line > b->line) - (a->line < b->line);
}

static int compare_items(const void *a, const void *b, void *bytes)
{
	const struct item *one = a, *other = b;
	if (one->prefix != other->prefix)
		return one->prefix < other->prefix ? -1 : 1;
	struct sorted x = entry_at((const uint8_t *)bytes + one->offset);
	struct sorted y = entry_at((const uint8_t *)bytes + other->offset);
	return compare_entries(&x, &y);
}

static void sort_chunk(struct sorter *s)
{
	if (!s->in_order && s->count)
		qsort_r(s->items, s->count, sizeof *s->items, compare_items, s->bytes);
	s->in_order = true;
}

/* ---- writing chunks ---- */

static int write_error(void)
{
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_FULL : ERR_SYSTEM;
}

static int open_file(struct sorter *s)
{
	char path[4096];
	if (s->fd >= 0)
		return OK;
	if (text_format(path, sizeof path, "%s/acme-delegate-sort-XXXXXX", s->folder)) {
		errno = ENAMETOOLONG;
		return ERR_SYSTEM;
	}
	s->fd = mkostemp(path, O_CLOEXEC);
	if (s->fd < 0)
		return write_error();
	(void)!unlink(path); /* a name that stays is untidy, not wrong */
	return OK;
}

static int write_all(struct sorter *s, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = pwrite(s->fd, bytes, len, s->file_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return write_error();
		bytes += n;
		len -= (size_t)n;
		s->file_len += n;
	}
	return OK;
}

static int write_items(struct sorter *s, uint8_t *buffer)
{
	size_t filled = 0;
	for (size_t i = 0; i < s->count; i++) {
		struct sorted e = entry_at(s->bytes + s->items[i].offset);
		if (filled + size_of(&e) > WRITE_BUFFER) {
			int rc = write_all(s, buffer, filled);
			if (rc)
				return rc;
			filled = 0;
		}
		memcpy(buffer + filled, e.key - sizeof(struct head), size_of(&e));
		filled += size_of(&e);
	}
	return write_all(s, buffer, filled);
}

/* Writes the chunk in memory as one more run. */
static int spill(struct sorter *s)
{
	int rc = open_file(s);
	struct run *runs = realloc(s->runs, (s->run_count + 1) * sizeof *runs);
	uint8_t *buffer = malloc(WRITE_BUFFER);
	if (runs)
		s->runs = runs;
	if (!rc && (!runs || !buffer))
		rc = ERR_NOMEM;
	if (!rc) {
		sort_chunk(s);
		off_t start = s->file_len;
		rc = write_items(s, buffer);
		s->runs[s->run_count++] = (struct run){.start = start, .end = s->file_len};
	}
	free(buffer);
	s->used = s->count = 0;
	return rc;
}

/* ---- adding ---- */

/* Doubles an array until it has room for `need` elements. */
static int grow(void **array, size_t *cap, size_t need, size_t size)
{
	size_t wanted = *cap ? *cap : FIRST_CHUNK / size;
	while (wanted < need)
		wanted *= 2;
	if (wanted == *cap)
		return OK;
	void *larger = realloc(*array, wanted * size);
	if (!larger)
		return ERR_NOMEM;
	*array = larger;
	*cap = wanted;
	return OK;
}

/* What the chunk takes with one more entry; sorting takes the items twice. */
static size_t memory_with(const struct sorter *s, size_t entry)
{
	return s->used + entry + (s->count + 1) * 2 * sizeof(struct item);
}

int sorter_add(
	struct sorter *s, const void *key, size_t key_len, const void *value, size_t value_len, uint64_t line)
{
	size_t size = sizeof(struct head) + key_len + value_len;
	if (!key_len || key_len > SORTER_KEY_MAX || value_len > SORTER_VALUE_MAX)
		return ERR_RANGE;
	int rc = s->count && memory_with(s, size) > s->limit ? spill(s) : OK;
	rc = rc ? rc : grow((void **)&s->bytes, &s->cap, s->used + size, 1);
	rc = rc ? rc : grow((void **)&s->items, &s->items_cap, s->count + 1, sizeof *s->items);
	if (rc)
		return rc;
	struct head h = {.line = line, .key_len = (uint16_t)key_len, .value_len = (uint16_t)value_len};
	uint8_t *at = s->bytes + s->used;
	memcpy(at, &h, sizeof h);
	memcpy(at + sizeof h, key, key_len);
	memcpy(at + sizeof h + key_len, value, value_len);
	s->items[s->count++] = (struct item){prefix_of(key, key_len), s->used};
	s->used += size;
	s->total++;
	s->in_order = false;
	return OK;
}

/* ---- merging ---- */

/* Moves what is left to the front of the buffer and reads on behind it. */
static int refill(struct sorter *s, struct run *r)
{
	memmove(r->buffer, r->buffer + r->used, r->have - r->used);
	r->have -= r->used;
	r->used = 0;
	while (r->have < r->cap && r->at < r->end) {
		size_t room = r->cap - r->have;
		size_t len = (off_t)room < r->end - r->at ? room : (size_t)(r->end - r->at);
		ssize_t n = pread(s->fd, r->buffer + r->have, len, r->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : EIO; /* shorter than we wrote it */
			return ERR_SYSTEM;
		}
		r->have += (size_t)n;
		r->at += n;
	}
	return OK;
}

/* Is the next entry in the buffer as a whole? */
static bool is_complete(const struct run *r)
{
	size_t have = r->have - r->used;
	if (have < sizeof(struct head))
		return false;
	struct sorted e = entry_at(r->buffer + r->used);
	return size_of(&e) <= have;
}

/* Makes the next entry of a run its current one. ERR_NOTFOUND: it has no more. */
static int run_next(struct sorter *s, struct run *r)
{
	int rc = is_complete(r) ? OK : refill(s, r);
	if (rc)
		return rc;
	if (!is_complete(r))
		return ERR_NOTFOUND;
	r->entry = entry_at(r->buffer + r->used);
	r->prefix = prefix_of(r->entry.key, r->entry.key_len);
	r->used += size_of(&r->entry);
	return OK;
}

static bool comes_first(const struct sorter *s, size_t a, size_t b)
{
	const struct run *x = &s->runs[a], *y = &s->runs[b];
	if (x->prefix != y->prefix)
		return x->prefix < y->prefix;
	return compare_entries(&x->entry, &y->entry) < 0;
}

static void sift_down(struct sorter *s, size_t i)
{
	for (;;) {
		size_t least = i;
		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < s->heap_len; child++)
			if (comes_first(s, s->heap[child], s->heap[least]))
				least = child;
		if (least == i)
			return;
		size_t other = s->heap[i];
		s->heap[i] = s->heap[least];
		s->heap[least] = other;
		i = least;
	}
}

/* Divides the memory of the chunk among the runs. */
static int make_buffers(struct sorter *s)
{
	if (s->buffers)
		return OK;
	free_chunk(s);
	size_t each = s->limit / s->run_count;
	if (each < RUN_BUFFER_MIN)
		each = RUN_BUFFER_MIN;
	s->buffers = malloc(each * s->run_count);
	s->heap = calloc(s->run_count, sizeof *s->heap);
	if (!s->buffers || !s->heap)
		return ERR_NOMEM;
	for (size_t i = 0; i < s->run_count; i++) {
		s->runs[i].buffer = s->buffers + i * each;
		s->runs[i].cap = each;
	}
	return OK;
}

static int begin_merge(struct sorter *s)
{
	int rc = s->count ? spill(s) : OK;
	rc = rc ? rc : make_buffers(s);
	s->heap_len = 0;
	s->given = false;
	for (size_t i = 0; !rc && i < s->run_count; i++) {
		struct run *r = &s->runs[i];
		r->at = r->start;
		r->have = r->used = 0;
		rc = run_next(s, r);
		if (!rc)
			s->heap[s->heap_len++] = i;
		else if (rc == ERR_NOTFOUND)
			rc = OK;
	}
	for (size_t i = s->heap_len; i-- > 0;)
		sift_down(s, i);
	return rc;
}

int sorter_begin(struct sorter *s)
{
	if (s->run_count)
		return begin_merge(s);
	sort_chunk(s);
	s->next = 0;
	return OK;
}

static int next_merged(struct sorter *s, struct sorted *out)
{
	if (s->given) {
		int rc = run_next(s, &s->runs[s->heap[0]]);
		if (rc && rc != ERR_NOTFOUND)
			return rc;
		if (rc)
			s->heap[0] = s->heap[--s->heap_len];
		sift_down(s, 0);
	}
	s->given = s->heap_len > 0;
	if (!s->given)
		return ERR_NOTFOUND;
	*out = s->runs[s->heap[0]].entry;
	return OK;
}

int sorter_next(struct sorter *s, struct sorted *out)
{
	if (s->run_count)
		return next_merged(s, out);
	if (s->next == s->count)
		return ERR_NOTFOUND;
	*out = entry_at(s->bytes + s->items[s->next++].offset);
	return OK;
}
