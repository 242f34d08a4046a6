// SPDX-License-Identifier: GPL-3.0-or-later
#include "cmd/admin.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/internal.h"
#include "cmd/table.h"
#include "util/clock.h"
#include "util/secure.h"
#include "util/text.h"

/* ---- options ---- */

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"socket", required_argument, NULL, 'S'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"zone", required_argument, NULL, 'z'},
	{"allow", required_argument, NULL, 'a'},
	{"alias", required_argument, NULL, 'A'},
	{"yes", no_argument, NULL, 'y'},
	{"force", no_argument, NULL, 'f'},
	{"at-once", no_argument, NULL, 'o'},
	{"everywhere", no_argument, NULL, 'E'},
	{"none", no_argument, NULL, 'N'},
	{"note", required_argument, NULL, 'n'},
	{"label", required_argument, NULL, 'l'},
	{"prefix", required_argument, NULL, 'p'},
	{"quota", required_argument, NULL, 'q'},
	{"expires", required_argument, NULL, 'e'},
	{"follow", no_argument, NULL, 'F'},
	{"last", required_argument, NULL, 'L'},
	{"name", required_argument, NULL, 'm'},
	{"for", required_argument, NULL, 'C'},
	{NULL, 0, NULL, 0},
};

bool admin_parse_network(const char *text, struct prefix *out)
{
	if (!prefix_parse(text, strlen(text), out))
		return true;
	out->bits = 128;
	return !address_parse(text, &out->base);
}

/* Whole days, hours or minutes from now on. */
static bool parse_duration(const char *text, int64_t now, int64_t *out)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {{'d', 86400000}, {'h', 3600000}, {'m', 60000}};
	char *end;
	if (*text < '1' || *text > '9')
		return false;
	unsigned long n = strtoul(text, &end, 10);
	for (size_t i = 0; n <= 100000 && i < sizeof units / sizeof *units; i++)
		if (end[0] == units[i].unit && !end[1]) {
			*out = now + (int64_t)n * units[i].ms;
			return true;
		}
	return false;
}

bool admin_parse_expiry(const char *text, int64_t now, int64_t *out)
{
	struct tm tm = {.tm_year = 0}, back;
	if (parse_duration(text, now, out))
		return true;
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	if (!end || *end || strlen(text) != 10)
		return false;
	time_t t = timegm(&tm); /* takes a 31st of June for the 1st of July */
	if (t <= 0 || !gmtime_r(&t, &back) || strtol(text + 8, NULL, 10) != back.tm_mday)
		return false;
	*out = (int64_t)t * 1000;
	return true;
}

static bool parse_number(const char *text, uint32_t *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	*out = (uint32_t)n;
	return *text >= '0' && *text <= '9' && !*end && n <= UINT32_MAX;
}

static bool add_alias(struct admin_options *o, const char *text)
{
	if (o->alias_count == IPC_ALIASES_MAX)
		return false;
	o->aliases[o->alias_count++] = text;
	return true;
}

static bool add_network(struct admin_options *o, const char *text)
{
	return o->allow_count < IPC_ALLOW_MAX && admin_parse_network(text, &o->allow[o->allow_count]) &&
	       ++o->allow_count;
}

static bool set_flag(int letter, struct admin_options *o)
{
	o->json |= letter == 'j';
	o->yes |= letter == 'y';
	o->force |= letter == 'f';
	o->at_once |= letter == 'o';
	o->follow |= letter == 'F';
	o->none |= letter == 'E' || letter == 'N';
	return true;
}

/* False: the value is not one. */
static bool set_option(int letter, const char *value, struct admin_options *o)
{
	switch (letter) {
	case 'c':
		return (o->file = value) != NULL;
	case 'S':
		return *(o->socket = value) != 0;
	case 'C':
		return (o->client = value) != NULL;
	case 'z':
		return (o->zone = value) != NULL;
	case 'n':
		return (o->note = value) != NULL;
	case 'l':
		return (o->label = value) != NULL;
	case 'p':
		return (o->prefix = value) != NULL;
	case 'm':
		return (o->name = value) != NULL;
	case 'a':
		return add_network(o, value);
	case 'A':
		return add_alias(o, value);
	case 'q':
		return parse_number(value, &o->quota);
	case 'L':
		return parse_number(value, &o->last);
	case 'e':
		return admin_parse_expiry(value, clock_wall_ms(), &o->expiry) && o->expiry > clock_wall_ms();
	default:
		return set_flag(letter, o);
	}
}

static const char *long_name(int letter)
{
	for (const struct option *l = long_options; l->name; l++)
		if (l->val == letter)
			return l->name;
	return "?";
}

static int usage_error(const char *command)
{
	fprintf(stderr, "\"acme-delegate %s --help\" says more\n", command);
	return APP_USAGE;
}

static int explain_value(const char *command, int letter)
{
	fprintf(stderr, "acme-delegate %s: --%s: \"%s\" will not do%s\n", command, long_name(letter), optarg,
		letter == 'e'   ? "; write 30d, 12h, 45m or a day to come, 2026-12-31"
		: letter == 'a' ? "; write networks as 192.0.2.0/24, at most 32"
		: letter == 'A' ? "; a delegate has at most 8 aliases"
		: letter == 'S' ? ""
				: "; write a number");
	return APP_USAGE;
}

/* `letters`: of the options that were given. OPTIONS_GO_ON, or the exit status. */
static int read_options(
	int argc, char **argv, const char *usage, struct admin_options *o, char letters[static 64])
{
	size_t count = 0;
	opterr = 0;
	for (int l; (l = getopt_long(argc, argv, ":c:jh", long_options, NULL)) != -1;) {
		if (l == 'h') {
			fputs(usage, stdout);
			return APP_OK;
		}
		if (l == '?' || l == ':') {
			fprintf(stderr, "acme-delegate %s: \"%s\" %s; ", argv[0], argv[optind - 1],
				l == '?' ? "is not an option here" : "needs a value");
			return usage_error(argv[0]);
		}
		if (!set_option(l, optarg, o))
			return explain_value(argv[0], l);
		if (count < 63 && !strchr("cSj", l))
			letters[count++] = (char)l;
	}
	letters[count] = 0;
	o->operands = argv + optind;
	o->operand_count = argc - optind;
	return OPTIONS_GO_ON;
}

/* ---- the command as a whole ---- */

static const struct admin_action *find_action(
	struct admin_options *o, const struct admin_action *actions, size_t count)
{
	if (count == 1 && !actions->name)
		return actions;
	for (size_t i = 0; o->operand_count && i < count; i++)
		if (strcmp(o->operands[0], actions[i].name) == 0) {
			o->operands++;
			o->operand_count--;
			return &actions[i];
		}
	return NULL;
}

static bool options_fit(const char *command, const struct admin_action *action, const char *letters)
{
	size_t fine = strspn(letters, action->letters);
	if (!letters[fine])
		return true;
	fprintf(stderr, "acme-delegate %s%s%s: there is no --%s here; ", command, action->name ? " " : "",
		action->name ? action->name : "", long_name(letters[fine]));
	return false;
}

static bool operands_fit(
	const char *command, const struct admin_action *action, const struct admin_options *o)
{
	int n = o->operand_count;
	if (action && n >= action->least && (action->most < 0 || n <= action->most))
		return true;
	fprintf(stderr, "acme-delegate %s", command);
	if (action && action->name)
		fprintf(stderr, " %s", action->name);
	if (!action && n)
		fprintf(stderr, ": there is no \"%s\"; ", o->operands[0]);
	else if (!action)
		fputs(": say what to do; ", stderr);
	else if (n < action->least)
		fputs(": something is missing; ", stderr);
	else
		fprintf(stderr, ": \"%s\" is one too many; ", o->operands[action->most]);
	return false;
}

int admin_command(int argc, char **argv, const char *usage, const struct admin_action *actions, size_t count)
{
	struct admin_options o = {.last = 20};
	struct app_admin *a;
	char letters[64];
	int status = read_options(argc, argv, usage, &o, letters);
	if (status != OPTIONS_GO_ON)
		return status;
	const struct admin_action *action = find_action(&o, actions, count);
	if (!operands_fit(argv[0], action, &o) || !options_fit(argv[0], action, letters))
		return usage_error(argv[0]);
	status = app_admin_open(o.socket ? o.file : options_file(o.file), o.socket, &a);
	if (status)
		return status;
	status = action->run(a, &o);
	app_admin_close(&a);
	if (fflush(stdout) || ferror(stdout)) {
		fputs("cannot write the output\n", stderr);
		status = status ? status : APP_FAILED;
	}
	return status;
}

/* ---- asking ---- */

static const char *advice_on_name(enum ipc_type type)
{
	if (type == IPC_ALIASES_SET)
		return "an alias is a host name, like example.com; a name that begins with _ has none";
	if (type == IPC_KEY_ADD || type == IPC_KEY_ROTATE || type == IPC_KEY_REVOKE || type == IPC_ALLOW_SET)
		return "names that begin with _ are nobody's and have no keys; this one is the server's own";
	return "a label has 1 to 63 of a-z, 0-9, - and _, does not begin with - or _, and does not end with -; the "
	       "zone is one of the configuration; an alias is a host name, like example.com";
}

static const char *advice_on_missing(enum ipc_type type)
{
	if (type == IPC_TOKEN_REVOKE)
		return "there is no token of that id; \"acme-delegate token list\" shows them";
	if (type == IPC_KEY_ROTATE || type == IPC_KEY_REVOKE)
		return "there is no such delegate, or it has no such key";
	return "there is no delegate of that name";
}

static const char *advice(enum ipc_status status, enum ipc_type type)
{
	switch (status) {
	case IPC_FORBIDDEN:
		return "this connection may not administer the server";
	case IPC_FAILED:
		return "the store cannot be read or written; the server's log says why";
	case IPC_BUSY:
		return "the server has too much to do; try again";
	case IPC_BAD_NAME:
		return advice_on_name(type);
	case IPC_NOT_FOUND:
		return advice_on_missing(type);
	case IPC_EXISTS:
		return "the label is taken, by a delegate or by a record of the configuration, or was: labels are "
		       "never given out again";
	case IPC_TOO_MANY:
		return type == IPC_KEY_ROTATE
			       ? "the delegate has two keys; say which one, and --at-once to end it now, or revoke one "
				 "first"
			       : "the delegate has two keys; revoke one first";
	case IPC_LAST_KEY:
		return "it is the delegate's last key, without which nobody can change its values; add another first, or "
		       "say --force";
	default:
		return api_outcome_word(status);
	}
}

int admin_ask(struct app_admin *a, struct ipc_request *q, struct ipc_reply *out)
{
	enum ipc_type type = q->type; /* asking wipes the request */
	int rc = app_admin_ask(a, q, -1, out);
	if (rc) {
		fprintf(stderr,
			"no answer from the server (%s); \"acme-delegate status\" and its log say how it is\n",
			error_text(rc));
		return APP_FAILED;
	}
	if (out->status == IPC_OK)
		return APP_OK;
	fprintf(stderr, "%s\n", advice(out->status, type));
	return APP_FAILED;
}

/* `rc`: of what has rendered it, which takes `json` over. */
static int print_rendered(int rc, char *json)
{
	if (rc) {
		fprintf(stderr, "%s\n", error_text(rc));
		return APP_FAILED;
	}
	puts(json);
	secure_wipe(json, strlen(json));
	free(json);
	return APP_OK;
}

int admin_print_json(const struct ipc_reply *r)
{
	char *json = NULL;
	int rc = api_render(r, &json);
	return print_rendered(rc, json);
}

int admin_print_entry(const struct ipc_reply *r, size_t i)
{
	char *json = NULL;
	int rc = api_render_entry(r, i, &json);
	return print_rendered(rc, json);
}

int admin_do(struct app_admin *a, const struct admin_options *o, struct ipc_request *q, const char *done)
{
	struct ipc_reply reply;
	int status = admin_ask(a, q, &reply);
	if (status)
		return status;
	if (o->json)
		return admin_print_json(&reply);
	puts(done);
	return APP_OK;
}

/* ---- names and lists ---- */

bool admin_full_name(struct app_admin *a, const char *given, char out[static IPC_NAME_MAX + 1])
{
	struct ipc_request q = {.type = IPC_STATUS};
	struct ipc_reply reply;
	if (strchr(given, '.')) {
		if (!text_format(out, IPC_NAME_MAX + 1, "%s", given))
			return true;
		fprintf(stderr, "\"%.40s...\" is too long for a name\n", given);
		return false;
	}
	if (admin_ask(a, &q, &reply))
		return false;
	if (reply.report.zone_count == 1 &&
		!text_format(out, IPC_NAME_MAX + 1, "%s.%s", given, reply.report.zones[0]))
		return true;
	fprintf(stderr, "\"%s\" alone will not do, for there are several zones; write the full name\n",
		given);
	return false;
}

bool admin_lists(const struct admin_options *o, struct ipc_request *q)
{
	q->allow_count = o->allow_count;
	memcpy(q->allow, o->allow, o->allow_count * sizeof o->allow[0]);
	for (; q->alias_count < o->alias_count; q->alias_count++)
		if (text_format(q->aliases[q->alias_count], sizeof q->aliases[0], "%s",
			    o->aliases[q->alias_count])) {
			fprintf(stderr, "\"%.40s...\" is too long for a name\n", o->aliases[q->alias_count]);
			return false;
		}
	return true;
}

/* ---- showing ---- */

const char *admin_time(int64_t when, char out[static ADMIN_TIME])
{
	time_t t = (time_t)(when / 1000);
	struct tm tm;
	if (when <= 0 || !gmtime_r(&t, &tm) || !strftime(out, ADMIN_TIME, "%Y-%m-%d %H:%M:%S", &tm))
		return "-";
	return out;
}

const char *admin_date(int64_t when, char out[static ADMIN_TIME])
{
	if (*admin_time(when, out) == '-')
		return "-";
	out[10] = 0;
	return out;
}

const char *admin_span(int64_t ms, char out[static ADMIN_SPAN])
{
	int64_t seconds = ms > 0 ? ms / 1000 : 0, minutes = seconds / 60, hours = minutes / 60;
	int rc;
	if (hours >= 24)
		rc = text_format(out, ADMIN_SPAN, "%" PRId64 " d %" PRId64 " h", hours / 24, hours % 24);
	else if (hours)
		rc = text_format(out, ADMIN_SPAN, "%" PRId64 " h %" PRId64 " min", hours, minutes % 60);
	else if (minutes)
		rc = text_format(out, ADMIN_SPAN, "%" PRId64 " min", minutes);
	else
		rc = text_format(out, ADMIN_SPAN, "%" PRId64 " s", seconds);
	return rc ? "-" : out;
}

const char *admin_plural(uint64_t n, const char *one, char out[static 48])
{
	int rc = text_format(out, 48, "%" PRIu64 " %s%s", n, one, n == 1 ? "" : "s");
	(void)rc; /* a shortened word is good enough */
	return out;
}
