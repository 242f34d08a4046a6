// SPDX-License-Identifier: GPL-3.0-or-later
/* libyaml behind three questions: what is in this text, which node is at this place, on which line. */
#include "conf/internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

enum { DOCUMENT_MAX_DEPTH = 16 }; /* the schema needs 6 */

static unsigned mark_line(const yaml_mark_t *m)
{
	return (unsigned)m->line + 1;
}

static int syntax_problem(struct load *l, const yaml_parser_t *p, const char *text)
{
	/* It does not set the error everywhere it runs out of memory, but there is no other without a text.
	 */
	if (p->error == YAML_MEMORY_ERROR || !p->problem)
		return ERR_NOMEM;
	unsigned line = mark_line(&p->problem_mark);
	if (p->error == YAML_READER_ERROR) { /* knows bytes, not lines */
		line = 1;
		for (size_t i = 0; i < p->problem_offset; i++)
			line += text[i] == '\n';
	}
	problem(l, line, "not valid YAML: %s%s%s", p->problem, p->context ? ", " : "",
		p->context ? p->context : "");
	return ERR_INVALID;
}

struct scan {
	unsigned depth, documents;
};

/* False: what follows is not looked at. Aliases are refused because a few of them can stand for a tree
 * without end. */
static bool scan_event(struct load *l, struct scan *s, const yaml_event_t *e)
{
	unsigned line = mark_line(&e->start_mark);
	if (e->type == YAML_ALIAS_EVENT)
		return problem(l, line, "aliases (*name) are not supported; write the value out");
	if (e->type == YAML_DOCUMENT_START_EVENT && ++s->documents > 1)
		return problem(l, line, "a second YAML document begins here; one file is one configuration");
	if (e->type == YAML_MAPPING_START_EVENT || e->type == YAML_SEQUENCE_START_EVENT) {
		if (++s->depth > DOCUMENT_MAX_DEPTH)
			return problem(l, line, "nested too deeply");
	} else if (e->type == YAML_MAPPING_END_EVENT || e->type == YAML_SEQUENCE_END_EVENT) {
		s->depth--;
	}
	return true;
}

/* Looks at the whole text once, before a tree is built of it. */
static int scan_text(struct load *l, const char *text, size_t len)
{
	yaml_parser_t p;
	struct scan s = {0, 0};
	int result = OK;
	if (!yaml_parser_initialize(&p))
		return ERR_NOMEM;
	yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
	for (bool end = false; !end && !result;) {
		yaml_event_t e;
		if (!yaml_parser_parse(&p, &e)) {
			result = syntax_problem(l, &p, text);
			break;
		}
		end = e.type == YAML_STREAM_END_EVENT;
		result = scan_event(l, &s, &e) ? OK : ERR_INVALID;
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&p);
	return result;
}

static int load_document(struct load *l, const char *text, size_t len)
{
	yaml_parser_t p;
	if (!yaml_parser_initialize(&p))
		return ERR_NOMEM;
	yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
	l->have_doc = yaml_parser_load(&p, &l->doc) != 0;
	int result = l->have_doc ? OK : syntax_problem(l, &p, text);
	yaml_parser_delete(&p);
	return result;
}

int document_open(struct load *l, const char *text, size_t len)
{
	int err = scan_text(l, text, len);
	if (!err)
		err = load_document(l, text, len);
	if (err)
		return err;
	l->marks = calloc((size_t)(l->doc.nodes.top - l->doc.nodes.start) + 1, sizeof *l->marks);
	return l->marks ? OK : ERR_NOMEM;
}

void document_close(struct load *l)
{
	if (l->have_doc)
		yaml_document_delete(&l->doc);
	l->have_doc = false;
	free(l->marks);
	l->marks = NULL;
}

const yaml_node_t *document_node(struct load *l, int node)
{
	return node ? yaml_document_get_node(&l->doc, node) : NULL;
}

unsigned document_line(struct load *l, int node)
{
	const yaml_node_t *n = document_node(l, node);
	return n ? mark_line(&n->start_mark) : 0;
}

struct place {
	int node;
	unsigned line;
	bool found;
};

static bool step_mapping(struct load *l, const yaml_node_t *n, const char *key, struct place *p)
{
	for (const yaml_node_pair_t *i = n->data.mapping.pairs.start; i < n->data.mapping.pairs.top; i++) {
		const yaml_node_t *k = document_node(l, i->key);
		if (k->type != YAML_SCALAR_NODE || strcmp((const char *)k->data.scalar.value, key) != 0)
			continue;
		*p = (struct place){i->value, document_line(l, i->key), true};
		return true;
	}
	return false;
}

static bool step(struct load *l, const char *segment, struct place *p)
{
	const yaml_node_t *n = document_node(l, p->node);
	bool number = segment[0] >= '0' && segment[0] <= '9';
	if (n && n->type == YAML_MAPPING_NODE && !number)
		return step_mapping(l, n, segment, p);
	if (!n || !number)
		return false;
	if (n->type != YAML_SEQUENCE_NODE)
		return strcmp(segment, "0") == 0; /* one item alone, without a sequence around it */
	size_t index = strtoul(segment, NULL, 10);
	if (index >= (size_t)(n->data.sequence.items.top - n->data.sequence.items.start))
		return false;
	p->node = n->data.sequence.items.start[index];
	p->line = document_line(l, p->node);
	return true;
}

PRINTF(2, 0) static struct place find(struct load *l, const char *format, va_list args)
{
	char path[VALUE_TEXT], *rest = NULL;
	struct place p = {.node = l->doc.nodes.top > l->doc.nodes.start, .found = true};
	if (vsnprintf(path, sizeof path, format, args) < 0)
		return (struct place){0};
	for (char *s = strtok_r(path, ".", &rest); s && p.found; s = strtok_r(NULL, ".", &rest))
		p.found = step(l, s, &p);
	return p;
}

unsigned line_of(struct load *l, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct place p = find(l, format, args);
	va_end(args);
	return p.line;
}

/* What is missing is sound, unless something beside it was not understood: that may have been meant to be it.
 */
bool sound(struct load *l, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct place p = find(l, format, args);
	va_end(args);
	return !p.node || !(l->marks[p.node] & (p.found ? MARK_BAD : MARK_STRANGE));
}

bool problem(struct load *l, unsigned line, const char *format, ...)
{
	char text[1024]; /* the longest lists the keys of a table */
	va_list args;
	va_start(args, format);
	if (vsnprintf(text, sizeof text, format, args) < 0)
		text[0] = 0;
	va_end(args);
	diag_error(l->d, l->file, line, "%s", text);
	return false;
}

const char *shown(const char *text, char buf[static VALUE_TEXT])
{
	bool cut = text_format(buf, 60, "%s", text) != OK;
	for (char *p = buf; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	if (cut)
		memcpy(buf + strlen(buf), "...", sizeof "...");
	return buf;
}
