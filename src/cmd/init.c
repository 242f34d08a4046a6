// SPDX-License-Identifier: GPL-3.0-or-later
/* A first configuration, by asking: every answer is checked when it is given, and can be given as an option.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/app.h"
#include "cmd/cmd.h"
#include "cmd/init.h"
#include "cmd/internal.h"
#include "util/text.h"

static const char usage[] =
	"Usage: acme-delegate init [OPTION...]\n"
	"\n"
	"Asks for what a server needs, writes its configuration, and says what to set in\n"
	"the DNS and in the firewall. Each answer is checked at once. An answer that is\n"
	"given as an option is not asked for.\n"
	"\n"
	"      --zone ZONE    the zone of the delegates, like auth.example.org\n"
	"      --address ADDRESS\n"
	"                     public address of this server; may be repeated (default:\n"
	"                     the public ones found on this machine)\n"
	"      --nameserver NAME\n"
	"                     name server of the zone; may be repeated. One in the\n"
	"                     zone has the addresses above, or its own:\n"
	"                     NAME=ADDRESS,ADDRESS (default: ns1.ZONE)\n"
	"      --contact MAIL\n"
	"                     of who is responsible (default: hostmaster@ the\n"
	"                     domain above the zone)\n"
	"      --url URL      of the API (default: https://ZONE)\n"
	"      --tls MODE     where the API's certificate comes from: acme, files, proxy\n"
	"                     (default: acme, the server gets it itself and renews it)\n"
	"      --certificate FILE\n"
	"                     with --tls files: certificate and chain, PEM\n"
	"      --key FILE     with --tls files: the private key, PEM\n"
	"      --directory URL\n"
	"                     with --tls acme: of the CA (default: Let's Encrypt)\n"
	"      --acme-contact MAIL\n"
	"                     with --tls acme: address that the CA may write to\n"
	"                     (default: the contact)\n"
	"      --registration MODE\n"
	"                     who may register a delegate: open, token, closed\n"
	"      --output FILE  where to write (default:\n"
	"                     /etc/acme-delegate/acme-delegate.yaml); \"-\" is standard\n"
	"                     output\n"
	"      --force        replace a file that exists\n"
	"  -y, --yes          ask nothing: the default where an option is not given\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit status: 0 when the configuration is written, 1 when it is not, 2 for a\n"
	"wrong option or when the input ended before all was answered.\n";

enum question {
	ZONE,
	ADDRESS,
	NAMESERVER,
	CONTACT,
	URL,
	TLS,
	CERTIFICATE,
	KEY,
	DIRECTORY,
	ACME_CONTACT,
	REGISTRATION,
	QUESTIONS
};

struct dialog {
	struct init_answers answers;
	char given[QUESTIONS][INIT_TEXT];
	const char *output;
	bool force, yes;
};

/* ---- what is proposed: nothing where there is no sensible guess ---- */

static void propose_addresses(const struct init_answers *a, char out[static INIT_TEXT])
{
	struct init_addresses found;
	char text[ADDRESS_TEXT];
	(void)a;
	init_find_addresses(&found);
	for (size_t i = 0; i < found.count; i++) {
		size_t len = strlen(out);
		address_format(&found.all[i], text);
		if (!address_special(&found.all[i]))
			(void)!text_format(out + len, INIT_TEXT - len, "%s%s", len ? " " : "", text);
	}
}

static void propose_server(const struct init_answers *a, char out[static INIT_TEXT])
{
	(void)!text_format(out, INIT_TEXT, "ns1.%s", a->zone);
}

static void propose_contact(const struct init_answers *a, char out[static INIT_TEXT])
{
	/* The domain of the operator: the zone itself takes no mail. */
	(void)!text_format(out, INIT_TEXT, "hostmaster@%s", strchr(a->zone, '.') + 1);
}

static void propose_url(const struct init_answers *a, char out[static INIT_TEXT])
{
	(void)!text_format(out, INIT_TEXT, "https://%s", a->zone);
}

/* ---- what is said before a question ---- */

static void show_addresses(const struct init_answers *a)
{
	struct init_addresses found;
	char text[ADDRESS_TEXT];
	(void)a;
	init_find_addresses(&found);
	for (size_t i = 0; i < found.count; i++) {
		const char *special = address_special(&found.all[i]);
		address_format(&found.all[i], text);
		fprintf(stderr, "  found here: %s, %s\n", text, special ? special : "public");
	}
}

/* ---- the questions ---- */

/* The CA's and the parent's resolvers will not find a server there; in a laboratory they might. */
static void warn_addresses(const struct init_answers *a)
{
	char text[ADDRESS_TEXT];
	for (size_t i = 0; i < a->addresses.count; i++) {
		const char *special = address_special(&a->addresses.all[i]);
		address_format(&a->addresses.all[i], text);
		if (special)
			fprintf(stderr, "warning: %s is not reachable from the Internet: %s\n", text,
				special);
	}
	if (a->exact)
		fputs("Another program (systemd-resolved?) has port 53 of another address of this machine, so "
		      "DNS listens on these addresses only.\n",
			stderr);
}

static void warn_path(const char *path)
{
	if (access(path, R_OK))
		fprintf(stderr, "warning: %s: %s; the server does not start without it\n", path,
			strerror(errno));
}

static void warn_certificate(const struct init_answers *a)
{
	warn_path(a->certificate);
}

static void warn_key(const struct init_answers *a)
{
	warn_path(a->key);
}

static const struct {
	const char *option, *prompt, *why;
	init_set *set;
	void (*propose)(const struct init_answers *a, char out[static INIT_TEXT]);
	const char *fallback;
	void (*before)(const struct init_answers *a), (*after)(const struct init_answers *a);
	enum init_tls only; /* asked with this mode of TLS only */
	bool silent;        /* an option for few: never asked */
} questions[QUESTIONS] = {
	[ZONE] = {"zone", "Zone",
		"The zone of the delegates, a name below a domain of yours, like auth.example.org.",
		.set = init_set_zone},
	[ADDRESS] = {"address", "Addresses",
		"Under which public addresses does the Internet reach this server?",
		.set = init_set_addresses, .propose = propose_addresses, .before = show_addresses,
		.after = warn_addresses},
	[NAMESERVER] = {"nameserver", "Name servers",
		"The zone's name servers, as the parent will name them.", .set = init_set_servers,
		.propose = propose_server},
	[CONTACT] = {"contact", "Contact",
		"Mail address of who is responsible; everybody can see it in the DNS.",
		.set = init_set_contact, .propose = propose_contact},
	[URL] = {"url", "URL", "Under which URL do clients reach the API?", .set = init_set_url,
		.propose = propose_url},
	[TLS] = {"tls", "TLS",
		"Where does the API's certificate come from? acme: the server gets it itself. files: from two "
		"files that\nyou keep current. proxy: a proxy on this machine has it, and passes requests on to "
		"127.0.0.1:8080.",
		.set = init_set_tls, .fallback = "acme"},
	[CERTIFICATE] = {"certificate", "Certificate", "File with certificate and chain, PEM.",
		.set = init_set_certificate, .fallback = "/etc/acme-delegate/chain.pem",
		.after = warn_certificate, .only = INIT_TLS_FILES},
	[KEY] = {"key", "Key", "File with the private key, PEM.", .set = init_set_key,
		.fallback = "/etc/acme-delegate/key.pem", .after = warn_key, .only = INIT_TLS_FILES},
	[DIRECTORY] = {"directory", .set = init_set_directory, .only = INIT_TLS_ACME, .silent = true},
	[ACME_CONTACT] = {"acme-contact", .set = init_set_acme_contact, .only = INIT_TLS_ACME,
		.silent = true},
	[REGISTRATION] = {"registration", "Registration",
		"Who may register a delegate? open: everybody, within limits. token: who has a registration "
		"token of yours.\nclosed: nobody; delegates are made with \"acme-delegate delegate add\".",
		.set = init_set_registration, .fallback = "token"},
};

/* One answer is one line of ASCII; everything else has no place in a configuration. */
static bool set(struct dialog *d, enum question q, const char *text, char why[static INIT_TEXT])
{
	for (const char *p = text; *p; p++) {
		if (*p < 0x20 || *p > 0x7e) {
			(void)!text_format(why, INIT_TEXT,
				"only ASCII can be used here; international names have a form that begins with xn--");
			return false;
		}
	}
	const struct init_answers before = d->answers;
	if (questions[q].set(&d->answers, text, why))
		return true;
	d->answers = before;
	return false;
}

/* A line without blanks around it. False: the input has ended. */
static bool read_line(char out[static INIT_TEXT])
{
	char *line = NULL, *from, *end;
	size_t size = 0;
	if (getline(&line, &size, stdin) < 0) {
		free(line);
		return false;
	}
	from = line + strspn(line, " \t");
	for (end = from + strlen(from); end > from && strchr(" \t\r\n", end[-1]); end--)
		;
	*end = 0;
	if (text_format(out, INIT_TEXT, "%s", from))
		out[0] = 0; /* asked again, or the default */
	free(line);
	return true;
}

static int ask(struct dialog *d, enum question q, const char *proposal)
{
	char text[INIT_TEXT], why[INIT_TEXT];
	fprintf(stderr, "\n%s\n", questions[q].why);
	if (questions[q].before)
		questions[q].before(&d->answers);
	for (;;) {
		fprintf(stderr, *proposal ? "%s [%s]: " : "%s%s: ", questions[q].prompt, proposal);
		if (!read_line(text)) {
			fprintf(stderr,
				"\nacme-delegate init: the input ended before all was answered; give answers as "
				"options (here --%s), or --yes to ask nothing\n",
				questions[q].option);
			return APP_USAGE;
		}
		if (!*text && !*proposal)
			continue;
		if (set(d, q, *text ? text : proposal, why))
			return APP_OK;
		fprintf(stderr, "  %s\n", why);
	}
}

static int settle(struct dialog *d, enum question q)
{
	char proposal[INIT_TEXT] = "", why[INIT_TEXT];
	bool other = questions[q].only && questions[q].only != d->answers.tls;
	if (other && *d->given[q]) {
		fprintf(stderr, "acme-delegate init: --%s does not go with this --tls\n",
			questions[q].option);
		return APP_USAGE;
	}
	if (other || (questions[q].silent && !*d->given[q]))
		return APP_OK;
	if (questions[q].propose)
		questions[q].propose(&d->answers, proposal);
	else if (questions[q].fallback)
		(void)!text_format(proposal, sizeof proposal, "%s", questions[q].fallback);
	if (!*d->given[q] && !d->yes)
		return ask(d, q, proposal);
	const char *text = *d->given[q] ? d->given[q] : proposal;
	if (!*text) {
		fprintf(stderr, "acme-delegate init: --%s is missing%s\n", questions[q].option,
			q == ADDRESS ? ": this machine has no public address that could be the default" : "");
		return APP_USAGE;
	}
	if (set(d, q, text, why))
		return APP_OK;
	fprintf(stderr, "acme-delegate init: --%s: %s\n", questions[q].option, why);
	return APP_USAGE;
}

static int settle_all(struct dialog *d)
{
	for (enum question q = 0; q < QUESTIONS; q++) {
		int status = settle(d, q);
		if (status)
			return status;
		if (questions[q].after && (!questions[q].only || questions[q].only == d->answers.tls))
			questions[q].after(&d->answers);
	}
	return APP_OK;
}

/* ---- the file ---- */

static int complain(const char *file, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", file, what, strerror(errno));
	return APP_FAILED;
}

/* `d` may be NULL. */
static void say(const struct diag *d, int rc)
{
	if (d)
		diag_print(d, stderr);
	if (rc && (!d || !diag_errors(d)))
		fprintf(stderr, "acme-delegate init: %s\n", error_text(rc));
}

static int write_configuration(const struct init_answers *a, FILE *to)
{
	char *text = NULL;
	size_t len = 0;
	struct diag *d = diag_new();
	FILE *f = open_memstream(&text, &len);
	int rc = ERR_NOMEM;
	if (f)
		init_write(a, f);
	if (f && !fclose(f) && d)
		rc = conf_print_commented(text, len, d, to);
	say(d, rc);
	diag_free(&d);
	free(text);
	return rc;
}

/* The whole of it, as `config check` would. */
static int check_file(const char *file)
{
	struct conf *c = NULL;
	struct diag *d = diag_new();
	int rc = d ? app_load(file, d, &c) : ERR_NOMEM;
	if (rc)
		say(d, rc);
	diag_free(&d);
	conf_free(&c);
	return rc;
}

/* The account the server runs as reads it at SIGHUP; nobody else needs to. */
static int give_to_server(int fd)
{
	const struct group *g = geteuid() == 0 ? getgrnam("acme-delegate") : NULL;
	if (g && fchown(fd, 0, g->gr_gid))
		return -1;
	return fchmod(fd, g ? 0640 : 0644);
}

/* Only a whole and good file takes the name, and only with --force that of another one. */
static int put_in_place(const struct dialog *d, FILE *to, const char *temporary)
{
	if (write_configuration(&d->answers, to))
		return APP_FAILED;
	if (fflush(to) || fsync(fileno(to)) || give_to_server(fileno(to)))
		return complain(temporary, "cannot be written");
	if (check_file(temporary))
		return APP_FAILED;
	if (d->force ? rename(temporary, d->output) : link(temporary, d->output))
		return complain(d->output, "cannot be written");
	return APP_OK;
}

static int write_file(const struct dialog *d)
{
	char temporary[INIT_TEXT + 16];
	if (strcmp(d->output, CONF_SYSTEM_FILE) == 0 && mkdir(CONF_SYSTEM_FOLDER, 0755) && errno != EEXIST)
		return complain(CONF_SYSTEM_FOLDER, "cannot be made");
	if (text_format(temporary, sizeof temporary, "%s.XXXXXX", d->output)) {
		errno = ENAMETOOLONG;
		return complain(d->output, "cannot be written");
	}
	int fd = mkstemp(temporary);
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
	if (!to)
		return complain(d->output, "cannot be written");
	int status = put_in_place(d, to, temporary);
	if (fclose(to) && !status)
		status = complain(d->output, "cannot be written");
	unlink(temporary); /* after a rename there is none */
	return status;
}

static int finish(const struct dialog *d)
{
	if (strcmp(d->output, "-") == 0) {
		if (write_configuration(&d->answers, stdout) || fflush(stdout))
			return complain("standard output", "cannot be written");
		init_print_next(&d->answers, CONF_SYSTEM_FILE, stderr);
		return APP_OK;
	}
	int status = write_file(d);
	if (status)
		return status;
	printf("\nWritten: %s\n", d->output);
	init_print_next(&d->answers, d->output, stdout);
	return fflush(stdout) ? complain("standard output", "cannot be written") : APP_OK;
}

/* Before anything is asked. */
static int check_output(const struct dialog *d)
{
	if (strcmp(d->output, "-") == 0 || d->force || access(d->output, F_OK))
		return APP_OK;
	fprintf(stderr,
		"acme-delegate init: %s exists; --force replaces it, --output FILE writes another one\n",
		d->output);
	return APP_FAILED;
}

/* ---- options ---- */

enum { OPTION_FIRST = 0x100 }; /* + the question */

static int keep(struct dialog *d, enum question q, const char *text)
{
	size_t len = strlen(d->given[q]);
	bool several = q == ADDRESS || q == NAMESERVER;
	if (*text && (several || !len) &&
		!text_format(d->given[q] + len, INIT_TEXT - len, "%s%s", len ? " " : "", text))
		return OPTIONS_GO_ON;
	fprintf(stderr, "acme-delegate init: --%s: %s\n", questions[q].option,
		!*text            ? "is empty"
		: several || !len ? "is too long"
				  : "stands there twice");
	return APP_USAGE;
}

static int read_option(struct dialog *d, int o)
{
	if (o >= OPTION_FIRST)
		return keep(d, (enum question)(o - OPTION_FIRST), optarg);
	if (o == 'o')
		d->output = optarg;
	else if (o == 'f')
		d->force = true;
	else if (o == 'y')
		d->yes = true;
	else
		fputs(usage, o == 'h' ? stdout : stderr);
	return o == 'h' ? APP_OK : o == '?' ? APP_USAGE : OPTIONS_GO_ON;
}

static int read_options(int argc, char **argv, struct dialog *d)
{
	static const struct option fixed[] = {{"output", required_argument, NULL, 'o'},
		{"force", no_argument, NULL, 'f'}, {"yes", no_argument, NULL, 'y'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct option options[QUESTIONS + sizeof fixed / sizeof *fixed];
	for (int q = 0; q < QUESTIONS; q++)
		options[q] = (struct option){questions[q].option, required_argument, NULL, OPTION_FIRST + q};
	memcpy(options + QUESTIONS, fixed, sizeof fixed);
	for (int o; (o = getopt_long(argc, argv, "yh", options, NULL)) != -1;) {
		int status = read_option(d, o);
		if (status != OPTIONS_GO_ON)
			return status;
	}
	if (optind == argc)
		return OPTIONS_GO_ON;
	fprintf(stderr, "acme-delegate init: \"%s\" is one argument too many\n", argv[optind]);
	return APP_USAGE;
}

int cmd_init(int argc, char **argv)
{
	struct dialog *d = calloc(1, sizeof *d);
	if (!d) {
		fprintf(stderr, "%s\n", error_text(ERR_NOMEM));
		return APP_FAILED;
	}
	d->output = CONF_SYSTEM_FILE;
	int status = read_options(argc, argv, d);
	if (status == OPTIONS_GO_ON) {
		status = check_output(d);
		status = status ? status : settle_all(d);
		status = status ? status : finish(d);
	}
	free(d);
	return status;
}
