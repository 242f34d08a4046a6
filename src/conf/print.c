// SPDX-License-Identifier: GPL-3.0-or-later
/* A configuration as YAML, bare or with the schema's prose around it. */
#include "conf/internal.h"

#include <inttypes.h>
#include <string.h>

#include "util/cursor.h"
#include "util/text.h"

enum { COMMENT_WIDTH = 100 };

struct printer {
	FILE *to;
	int indent;
	bool dash;     /* the next key is the first of a list item */
	bool comments; /* with the prose around */
	bool sample;   /* what is written is the sample, not somebody's choice */
};

static bool is_plain(const char *s)
{
	size_t len = strlen(s);
	if (!strcmp(s, "null") || !strcmp(s, "Null") || !strcmp(s, "NULL") || s[len - 1] == ':')
		return false;
	for (size_t i = 0; i < len; i++) {
		bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z');
		bool first = letter || (s[i] >= '0' && s[i] <= '9') || s[i] == '/';
		if (!first && (i == 0 || !strchr("-._@:", s[i])))
			return false;
	}
	return true;
}

/* One character of UTF-8 (libyaml let nothing else in); moves behind it. */
static uint32_t next_character(const char **s)
{
	unsigned char first = (unsigned char)*(*s)++;
	unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
	uint32_t c = more ? first & (0x3fu >> more) : first;
	for (; more && **s; more--)
		c = c << 6 | ((unsigned char)*(*s)++ & 0x3f);
	return c;
}

/* Double quotes with all but ASCII escaped: YAML has its own idea of which characters end a line (1.2.2
 * section 5.4). */
static void print_text(FILE *to, const char *s)
{
	if (*s && is_plain(s)) {
		fputs(s, to);
		return;
	}
	fputc('"', to);
	while (*s) {
		uint32_t c = next_character(&s);
		if (c == '"' || c == '\\')
			fprintf(to, "\\%c", (int)c);
		else if (c < 0x7f)
			fputc((int)c, to);
		else
			fprintf(to, "\\U%08" PRIX32, c);
	}
	fputc('"', to);
}

/* "default 1", "default 0.0.0.0:53, [::]:53", "required"; or nothing. */
static void describe_default(const struct row *r, char out[static VALUE_TEXT])
{
	struct writer w = writer_over(out, VALUE_TEXT - 1);
	const char *text = r->required ? "required" : r->fallback && !r->fallback[0] ? "none" : r->fallback;
	if (text && !r->required)
		write_bytes(&w, "default ", 8);
	for (; text && *text; text++)
		write_bytes(&w, *text == '\n' ? ", " : text, *text == '\n' ? 2 : 1);
	*w.at = 0;
}

void row_describe(const struct row *r, char *out, size_t cap)
{
	char expected[VALUE_TEXT] = "", fallback[VALUE_TEXT];
	if (r->kind != KIND_TABLE)
		kind_describe(r, expected);
	describe_default(r, fallback);
	bool brackets = expected[0] || fallback[0];
	(void)!text_format(out, cap, "%s%s%s%s%s%s%s%s%s", r->prose, brackets ? " (" : "",
		r->list && expected[0] ? "list, each " : "", expected, r->unit ? " " : "",
		r->unit ? r->unit : "", expected[0] && fallback[0] ? "; " : "", fallback,
		brackets ? ")" : "");
}

static void print_comment(const struct printer *p, const struct row *r)
{
	char text[DESCRIPTION_TEXT], *rest = NULL;
	int indent = p->indent - (p->dash ? 2 : 0), column = 0;
	row_describe(r, text, sizeof text);
	if (!p->indent)
		fputc('\n', p->to);
	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		int len = (int)strlen(word);
		if (!column || column + len >= COMMENT_WIDTH) {
			fprintf(p->to, "%s%*s#", column ? "\n" : "", indent, "");
			column = indent + 1;
		}
		column += fprintf(p->to, " %s", word);
	}
	fputc('\n', p->to);
}

static void print_key(struct printer *p, const struct row *r, bool off)
{
	if (p->comments)
		print_comment(p, r);
	int indent = p->indent - (p->dash ? 2 : 0);
	fprintf(p->to, "%*s%s%s%s:", indent, "", p->dash ? "- " : "", off ? "# " : "", r->key);
	p->dash = false;
}

static void print_value(const struct printer *p, const struct row *r, const void *field)
{
	char buf[VALUE_TEXT];
	const char *text = kind_format(r, field, buf);
	if (text)
		print_text(p->to, text);
	else
		fputs("null", p->to);
}

static void print_rows(struct printer *p, const struct table *t, const void *base);

static void print_tables(struct printer *p, const struct row *r, const char *items, size_t count)
{
	fputc('\n', p->to);
	p->indent += 4;
	for (size_t i = 0; i < count; i++) {
		p->dash = true;
		print_rows(p, r->table, items + i * r->table->size);
	}
	p->indent -= 4;
}

/* Records are long: one per line. Other lists are short: one line for all. */
static void print_list(struct printer *p, const struct row *r, const void *base)
{
	const char *items = *(const char *const *)(const void *)((const char *)base + r->offset);
	size_t count = *(const size_t *)(const void *)((const char *)base + r->count_offset);
	bool lines = r->kind == KIND_RECORD && count;
	if (r->kind == KIND_TABLE) {
		print_tables(p, r, items, count);
		return;
	}
	fputs(lines ? "" : " [", p->to);
	for (size_t i = 0; i < count; i++) {
		if (lines)
			fprintf(p->to, "\n%*s- ", p->indent + 2, "");
		else
			fputs(i ? ", " : "", p->to);
		print_value(p, r, items + i * kind_size(r));
	}
	fputs(lines ? "\n" : "]\n", p->to);
}

static bool is_set(const struct row *r, const void *base)
{
	char buf[VALUE_TEXT];
	const char *field = (const char *)base + r->offset;
	if (r->list)
		return *(const size_t *)(const void *)((const char *)base + r->count_offset) > 0;
	return r->kind == KIND_TABLE || kind_format(r, field, buf);
}

/* A line that says how it would look, for a key that is left out. */
static void print_example(const struct printer *p, const struct row *r)
{
	char item[VALUE_TEXT];
	fputs(r->list ? " [" : " ", p->to);
	for (const char *text = r->sample; *text;) {
		size_t len = strcspn(text, "\n");
		if (!text_format(item, sizeof item, "%.*s", (int)len, text))
			print_text(p->to, item);
		text += len + (text[len] != 0);
		fputs(*text ? ", " : "", p->to);
	}
	fputs(r->list ? "]\n" : "\n", p->to);
}

static void print_row(struct printer *p, const struct row *r, const void *base)
{
	bool example = p->comments && !p->sample && r->sample && !is_set(r, base);
	print_key(p, r, example || (p->sample && r->commented));
	if (example) {
		print_example(p, r);
	} else if (r->list) {
		print_list(p, r, base);
	} else if (r->kind == KIND_TABLE) {
		fputc('\n', p->to);
		p->indent += 2;
		print_rows(p, r->table, (const char *)base + r->offset);
		p->indent -= 2;
	} else {
		fputc(' ', p->to);
		print_value(p, r, (const char *)base + r->offset);
		fputc('\n', p->to);
	}
}

static void print_rows(struct printer *p, const struct table *t, const void *base)
{
	for (size_t i = 0; i < t->count; i++)
		print_row(p, &t->rows[i], base);
}

void conf_print(const struct conf *c, FILE *to)
{
	struct printer p = {.to = to};
	print_rows(&p, &conf_schema, c);
}

static const char heading[] =
	"# Configuration of acme-delegate. Every key is here; what has a default may be left out.\n"
	"# Check changes with: acme-delegate config check -c FILE\n";

void conf_print_sample(FILE *to)
{
	struct printer p = {.to = to, .comments = true, .sample = true};
	struct load l = {.d = diag_new(), .sample = true};
	struct conf c = {0};
	if (l.d && load_table(&l, &conf_schema, 0, &c)) {
		fputs(heading, to);
		print_rows(&p, &conf_schema, &c);
	} else {
		fprintf(to, "# %s\n",
			error_text(ERR_NOMEM)); /* the schema's own values are sound, a unit test says so */
	}
	free_table(&conf_schema, &c);
	diag_free(&l.d);
}

/* Without the checks, which fill in what was left out: it is to stay left out. */
int conf_print_commented(const char *text, size_t len, struct diag *d, FILE *to)
{
	struct printer p = {.to = to, .comments = true};
	struct load l = {.d = d};
	struct conf c = {0};
	int rc = document_open(&l, text, len);
	if (!rc && !load_table(&l, &conf_schema, yaml_document_get_root_node(&l.doc) ? 1 : 0, &c))
		rc = l.nomem ? ERR_NOMEM : ERR_INVALID;
	if (!rc) {
		fputs(heading, to);
		print_rows(&p, &conf_schema, &c);
	}
	free_table(&conf_schema, &c);
	document_close(&l);
	return rc;
}

void conf_print_text(const char *text, FILE *to)
{
	print_text(to, text);
}
