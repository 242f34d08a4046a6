// SPDX-License-Identifier: GPL-3.0-or-later
/* The manual page of the configuration file, for man(7): a frame of prose, and every key of the schema. */
#include "conf/internal.h"

#include <string.h>

#include "util/text.h"
#include "version.h"

/* What roff would take for its own is escaped; a hyphen stays one that can be copied from the page. */
static void print_escaped(FILE *to, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", to);
	for (; *text; text++) {
		switch (*text) {
		case '\\':
			fputs("\\e", to);
			break;
		case '-':
			fputs("\\-", to);
			break;
		case '~':
			fputs("\\(ti", to);
			break;
		case '^':
			fputs("\\(ha", to);
			break;
		case '`':
			fputs("\\(ga", to);
			break;
		case '\'':
			fputs("\\(aq", to);
			break;
		default:
			fputc(*text, to);
		}
	}
}

/* "zones[].name": the brackets say that there may be several. */
static void print_row(FILE *to, const struct row *r, const char *above)
{
	char text[DESCRIPTION_TEXT], path[VALUE_TEXT];
	row_describe(r, text, sizeof text);
	if (text_format(path, sizeof path, "%s%s%s%s", above, *above ? "." : "", r->key,
		    r->kind == KIND_TABLE && r->list ? "[]" : ""))
		return; /* not with the keys there are */
	fputs(".TP\n.B ", to);
	print_escaped(to, path);
	fputc('\n', to);
	print_escaped(to, text);
	fputc('\n', to);
	if (r->kind != KIND_TABLE)
		return;
	for (size_t i = 0; i < r->table->count; i++)
		print_row(to, &r->table->rows[i], path);
}

static const char opening[] =
	".SH NAME\n"
	"acme\\-delegate.conf \\- configuration file of acme\\-delegate\n"
	".SH SYNOPSIS\n"
	".I /etc/acme\\-delegate/acme\\-delegate.yaml\n"
	".SH DESCRIPTION\n"
	"The configuration is one file in YAML 1.1.\n"
	"Keys are written in the nesting that the dots below show; a key followed by [] takes a list of such "
	"groups.\n"
	"Where a list of single values is expected, one value may stand without the brackets.\n"
	"A key that is left out, or has no value, has its default.\n"
	"A key that is not known is an error, with a suggestion.\n"
	".PP\n"
	".B acme\\-delegate init\n"
	"writes a first configuration,\n"
	".B acme\\-delegate config check\n"
	"says everything that is wrong with one, with file and line,\n"
	".B acme\\-delegate config print\n"
	"shows it with all defaults, and\n"
	".B acme\\-delegate config sample\n"
	"prints one with a comment at every key.\n"
	"SIGHUP makes the running server read it again; if it is bad, the one in force stays.\n"
	"Listening addresses, the number of processes, user, admin socket and the path of the store need a "
	"restart.\n"
	".SH KEYS\n";

static const char closing[] =
	".SH EXAMPLES\n"
	"A server for one zone, with certificate files:\n"
	".PP\n"
	".nf\n"
	"zones:\n"
	"  \\- name: auth.example.org\n"
	"    nameservers:\n"
	"      \\- {name: ns1.auth.example.org, addresses: [198.51.100.1]}\n"
	"    records: [\"@ 3600 A 198.51.100.1\"]\n"
	"api:\n"
	"  tls: {certificate: /etc/acme\\-delegate/chain.pem, key: /etc/acme\\-delegate/key.pem}\n"
	".fi\n"
	".SH SEE ALSO\n"
	".BR acme\\-delegate (8)\n";

void conf_print_manual(FILE *to)
{
	fprintf(to,
		".\\\" Made from the table of keys by \"acme-delegate config man\".\n"
		".TH ACME\\-DELEGATE.CONF 5 %s \"acme\\-delegate %s\" \"File Formats\"\n",
		RELEASE_DATE, VERSION);
	fputs(opening, to);
	for (size_t i = 0; i < conf_schema.count; i++)
		print_row(to, &conf_schema.rows[i], "");
	fputs(closing, to);
}
