// SPDX-License-Identifier: GPL-3.0-or-later
/* A record: version (1) | created (8) | used (8) | spent (4) | zone (2) | label text | prefix (1) | quota (4)
 * | expiry (8) | allow list | note text. Its key is the SHA-256 of the secret. */
#include "delegate/tokens.h"

#include <string.h>
#include <strings.h>

#include "delegate/internal.h"
#include "util/text.h"

enum {
	VERSION = 1,
	ID_SIZE = TOKEN_ID_LEN / 2,
	RECORD_MAX = 1 + 8 + 8 + 4 + 2 + 1 + DELEGATE_LABEL_MAX + 1 + 4 + 8 + 1 + DELEGATE_MAX_PREFIXES * 17 +
		     1 + TOKEN_NOTE_MAX
};

static int encode(const struct token *k, uint8_t out[static RECORD_MAX], size_t *len)
{
	const struct token_terms *m = &k->terms;
	struct writer w = writer_over(out, RECORD_MAX);
	write_u8(&w, VERSION);
	write_u64(&w, (uint64_t)k->created);
	write_u64(&w, (uint64_t)k->used);
	write_u32(&w, k->spent);
	write_u16(&w, m->zone);
	write_string(&w, m->label, strlen(m->label));
	write_u8(&w, m->label_is_prefix);
	write_u32(&w, m->quota);
	write_u64(&w, (uint64_t)m->expiry);
	delegate_write_allow(&w, &m->allow);
	write_string(&w, m->note, strlen(m->note));
	return writer_finish(&w, len);
}

static int decode(const uint8_t *digest, const uint8_t *bytes, size_t len, struct token *out)
{
	struct reader r = reader_over(bytes, len);
	struct token_terms *m = &out->terms;
	r.failed |= read_u8(&r) != VERSION;
	out->created = (int64_t)read_u64(&r);
	out->used = (int64_t)read_u64(&r);
	out->spent = read_u32(&r);
	m->zone = read_u16(&r);
	read_string(&r, m->label, sizeof m->label);
	m->label_is_prefix = read_u8(&r);
	m->quota = read_u32(&r);
	m->expiry = (int64_t)read_u64(&r);
	delegate_read_allow(&r, &m->allow);
	read_string(&r, m->note, sizeof m->note);
	text_hex(digest, ID_SIZE, out->id);
	return reader_finish(&r) ? ERR_STORE : OK;
}

static int digest_of(const char *secret, uint8_t out[static SECURE_DIGEST_SIZE])
{
	return secure_sha256(secret, strlen(secret), out);
}

static int save(struct store_txn *t, const uint8_t digest[static SECURE_DIGEST_SIZE], const struct token *k)
{
	uint8_t record[RECORD_MAX];
	size_t len;
	int rc = encode(k, record, &len);
	return rc ? rc : store_txn_put(t, STORE_TOKENS, digest, SECURE_DIGEST_SIZE, record, len);
}

/* The token whose digest is at or behind `from`, and has the same first ID_SIZE bytes. ERR_NOTFOUND. */
static int seek(struct store_txn *t, const uint8_t *from, uint8_t digest[static SECURE_DIGEST_SIZE])
{
	uint8_t record[RECORD_MAX];
	size_t len, record_len;
	int rc = store_txn_seek(t, STORE_TOKENS, from, ID_SIZE, digest, SECURE_DIGEST_SIZE, &len, record,
		sizeof record, &record_len);
	return rc ? rc : memcmp(digest, from, ID_SIZE) == 0 ? OK : ERR_NOTFOUND;
}

static int check_terms(struct store_txn *t, const struct token_terms *m)
{
	struct delegate_id id = {.zone = m->zone};
	struct delegate_key key;
	uint8_t record[NAME_RECORD_MAX];
	size_t len;
	if (!*m->label)
		return m->label_is_prefix ? ERR_INVALID : OK;
	memcpy(id.label, m->label, sizeof id.label);
	if (m->label_is_prefix) /* a hyphen at its end is fine, for more follows */
		return strlen(m->label) <= DELEGATE_PREFIX_MAX && m->label[0] != '-' &&
				       !delegate_label_reserved(m->label) &&
				       text_is_base64url(m->label, strlen(m->label)) &&
				       strcspn(m->label, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(m->label)
			       ? OK
			       : ERR_INVALID;
	if (!delegate_label_valid(m->label) || delegate_key_of(&id, &key))
		return ERR_INVALID;
	int rc = store_txn_get(t, STORE_NAMES, key.bytes, key.len, record, sizeof record, &len);
	return rc == ERR_NOTFOUND ? OK : rc ? rc : ERR_EXISTS;
}

int token_add(struct store_txn *t, const struct token_terms *terms, int64_t now,
	char secret[static SECURE_SECRET_LEN + 1], struct token *out)
{
	uint8_t digest[SECURE_DIGEST_SIZE], other[SECURE_DIGEST_SIZE];
	*out = (struct token){.created = now, .terms = *terms};
	int rc = check_terms(t, terms);
	rc = rc ? rc : secure_secret(secret);
	rc = rc ? rc : digest_of(secret, digest);
	if (rc)
		return rc;
	text_hex(digest, ID_SIZE, out->id);
	rc = seek(t, digest, other);
	return rc == ERR_NOTFOUND ? save(t, digest, out)
	       : rc               ? rc
				  : ERR_EXISTS; /* not in the life of a universe */
}

static int load(
	struct store_txn *t, const char *secret, uint8_t digest[static SECURE_DIGEST_SIZE], struct token *out)
{
	uint8_t record[RECORD_MAX];
	size_t len;
	int rc = digest_of(secret, digest);
	rc = rc ? rc
		: store_txn_get(t, STORE_TOKENS, digest, SECURE_DIGEST_SIZE, record, sizeof record, &len);
	return rc ? rc : decode(digest, record, len, out);
}

/* How many registrations it is good for; 0: any number. */
static uint32_t quota_of(const struct token_terms *m)
{
	return *m->label && !m->label_is_prefix ? 1 : m->quota;
}

int token_judge(
	struct store_txn *t, const char *secret, int64_t now, enum token_verdict *verdict, struct token *out)
{
	uint8_t digest[SECURE_DIGEST_SIZE];
	*verdict = TOKEN_UNKNOWN;
	int rc = load(t, secret, digest, out);
	if (rc)
		return rc == ERR_NOTFOUND ? OK : rc;
	uint32_t quota = quota_of(&out->terms);
	*verdict = out->terms.expiry && out->terms.expiry <= now ? TOKEN_EXPIRED
		   : quota && out->spent >= quota                ? TOKEN_SPENT
								 : TOKEN_GOOD;
	return OK;
}

int token_apply(const struct token_terms *m, struct delegate_wish *w)
{
	bool asked = w->label && *w->label, prefix = m->label_is_prefix;
	if (asked && !*m->label)
		return ERR_FORBIDDEN;
	if (asked && prefix && strncasecmp(w->label, m->label, strlen(m->label)) != 0)
		return ERR_FORBIDDEN;
	if (asked && !prefix && strcasecmp(w->label, m->label) != 0)
		return ERR_FORBIDDEN;
	if (!asked || !prefix) {
		w->label = m->label;
		w->label_is_prefix = prefix;
	}
	w->zone = m->zone;
	if (m->allow.count)
		w->allow = m->allow;
	return OK;
}

int token_spend(struct store_txn *t, const char *secret, int64_t now)
{
	uint8_t digest[SECURE_DIGEST_SIZE];
	struct token k;
	int rc = load(t, secret, digest, &k);
	if (rc)
		return rc;
	k.spent += k.spent < UINT32_MAX;
	k.used = now;
	return save(t, digest, &k);
}

int token_revoke(struct store_txn *t, const char *id)
{
	uint8_t prefix[ID_SIZE], digest[SECURE_DIGEST_SIZE];
	if (text_from_hex(id, strlen(id), prefix, ID_SIZE))
		return ERR_NOTFOUND;
	int rc = seek(t, prefix, digest);
	return rc ? rc : store_txn_delete(t, STORE_TOKENS, digest, sizeof digest);
}

struct listing {
	token_visit *visit;
	void *ctx;
	struct token token;
};

static bool visit_token(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *record, size_t len)
{
	struct listing *l = ctx;
	if (key_len != SECURE_DIGEST_SIZE || decode(key, record, len, &l->token))
		return true; /* damaged: not a token */
	return l->visit(l->ctx, &l->token);
}

int token_list(
	struct store_snapshot *v, const char *after, size_t max, token_visit *visit, void *ctx, bool *more)
{
	struct listing l = {.visit = visit, .ctx = ctx};
	uint8_t from[SECURE_DIGEST_SIZE];
	size_t len = 0;
	*more = false;
	if (after && *after) {
		if (text_from_hex(after, strlen(after), from, ID_SIZE))
			return OK; /* behind no token there is none */
		memset(from + ID_SIZE, 0xff, sizeof from - ID_SIZE);
		len = sizeof from;
	}
	return store_snapshot_walk(v, STORE_TOKENS, from, len, max, visit_token, &l, more);
}
