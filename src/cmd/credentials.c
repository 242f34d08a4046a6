// SPDX-License-Identifier: GPL-3.0-or-later
/* A new key on its way to its owner. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/admin.h"
#include "cmd/table.h"
#include "util/secure.h"
#include "util/text.h"

/* As registrations carry it: with the first of the paths below which the API answers, unless it answers at
 * the root. */
const char *admin_api_url(const struct app_admin *a, char out[static ADMIN_URL])
{
	const struct conf *conf = app_admin_conf(a);
	const char *path = NULL;
	if (!conf || !conf->api.url)
		return NULL;
	for (size_t i = 0; i < conf->api.base_path_count; i++) {
		const char *p = conf->api.base_paths[i];
		bool root = !p[strspn(p, "/")];
		path = root ? "" : path ? path : p;
	}
	if (text_format(out, ADMIN_URL, "%s%s", conf->api.url, path ? path : ""))
		return NULL;
	for (size_t len = strlen(out); len && out[len - 1] == '/'; len--)
		out[len - 1] = 0;
	return out;
}

static bool explain(int rc, const struct admin_options *o)
{
	switch (rc) {
	case OK:
		return true;
	case ERR_NOTFOUND:
		fprintf(stderr, "--for: no client \"%s\" is known; there are %s\n", o->client,
			api_settings_clients);
		return false;
	case ERR_RANGE:
		fprintf(stderr,
			"--for %s: its settings name the domain, and the delegate has no alias; \"delegate add\" takes "
			"--alias, and \"delegate alias\" notes one later\n",
			o->client);
		return false;
	case ERR_INVALID:
		fputs("an alias is a host name, like example.com\n", stderr);
		return false;
	case ERR_FORMAT:
		fprintf(stderr,
			"--for %s: its settings name the API; name the configuration with -c FILE, and in it an api.url "
			"without blanks and quotes\n",
			o->client);
		return false;
	default:
		fprintf(stderr, "%s\n", error_text(rc));
		return false;
	}
}

bool admin_check_settings(
	const struct app_admin *a, const struct admin_options *o, const struct ipc_request *q)
{
	static const struct ipc_credentials none;
	char url[ADMIN_URL];
	if (!o->client)
		return true;
	return explain(
		api_settings_for(o->client, &none, admin_api_url(a, url), q->aliases, q->alias_count, NULL),
		o);
}

/* Of --json: with the URL, as from the API. */
static int print_settings(struct app_admin *a, const struct admin_options *o, const struct ipc_credentials *c,
	struct ipc_request *aliases)
{
	char *text, url[ADMIN_URL];
	int rc = api_settings_for(o->json ? "json" : o->client, c, admin_api_url(a, url), aliases->aliases,
		aliases->alias_count, &text);
	if (!explain(rc, o))
		return APP_FAILED;
	size_t len = strlen(text);
	fputs(text, stdout);
	if (len && text[len - 1] != '\n')
		putchar('\n');
	secure_wipe(text, len);
	free(text);
	return APP_OK;
}

static void print_cnames(const struct ipc_credentials *c, const struct ipc_request *aliases)
{
	printf("To be set once, in the DNS of the domain:\n");
	if (!aliases->alias_count)
		printf("  _acme-challenge.<domain>. CNAME %s.%s.\n", c->label, c->zone);
	for (size_t i = 0; i < aliases->alias_count; i++) {
		printf("  _acme-challenge.");
		print_text(aliases->aliases[i], stdout);
		printf(". CNAME %s.%s.\n", c->label, c->zone);
	}
	putchar('\n');
}

static void print_for_people(
	struct app_admin *a, const struct ipc_reply *r, const struct ipc_request *aliases)
{
	const struct ipc_credentials *c = &r->credentials;
	char buffer[ADMIN_URL];
	const char *url = admin_api_url(a, buffer),
		   *domain = aliases->alias_count ? aliases->aliases[0] : "example.com";
	printf("delegate  %s.%s\nkey id    %s\nsecret    %s\n", c->label, c->zone, c->key_id, c->secret);
	if (url)
		printf("API       %s\n", url);
	printf("\nThe secret is not shown again: the server keeps its digest only.\n\n");
	if (r->type == IPC_DELEGATE_ADD)
		print_cnames(c, aliases);
	if (!url)
		return;
	printf("Settings of a client, ready to use; curl asks for the secret. Formats:\n%s\n"
	       "  curl -u %s \\\n    '%s/v1/credentials?format=lego&domain=",
		api_settings_clients, c->key_id, url);
	print_text(domain, stdout);
	printf("'\n");
}

/* As they are kept: who types "*.example.com" needs the same record. */
static void clean_names(struct ipc_request *aliases)
{
	for (size_t i = 0; i < aliases->alias_count; i++)
		(void)!api_domain_clean(aliases->aliases[i]);
}

int admin_print_credentials(struct app_admin *a, const struct admin_options *o, const struct ipc_reply *r,
	struct ipc_request *aliases, const char *hint)
{
	if (o->json || o->client)
		return print_settings(a, o, &r->credentials, aliases);
	clean_names(aliases);
	print_for_people(a, r, aliases);
	if (hint)
		printf("\n%s\n", hint);
	return APP_OK;
}
