// SPDX-License-Identifier: GPL-3.0-or-later
/* The credentials of a delegate as the file or the settings that a client wants. What stands in them needs no
 * escaping anywhere: key ids, secrets, labels and names are letters, digits, '-', '_' and '.', and a URL with
 * anything that a shell, YAML or PowerShell could take for its own is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "api/render.h"
#include "util/secure.h"
#include "util/text.h"

typedef void writer(FILE *f, const struct format_input *in);

/* ---- the accounts as JSON ---- */

static json_t *full_name(const struct ipc_credentials *c)
{
	char name[IPC_LABEL_MAX + 1 + IPC_NAME_MAX + 1];
	return text_format(name, sizeof name, "%s.%s", c->label, c->zone) ? NULL : json_string(name);
}

/* goacmedns's account, which lego, Traefik, cert-manager, acme-dns-client and Caddy read. */
static json_t *account(const struct format_input *in)
{
	const struct ipc_credentials *c = in->credentials;
	return json_pack("{s:o,s:s,s:s,s:s,s:s}", "fulldomain", full_name(c), "subdomain", c->label,
		"username", c->key_id, "password", c->secret, "server_url", in->server_url);
}

/* acme-dns's answer to /register, which acme-dns-auth.py and certbot-dns-acmedns keep. */
static json_t *registration(const struct format_input *in)
{
	json_t *o = render_credentials(in->credentials);
	if (o && json_object_set_new(o, "server_url", json_string(in->server_url))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* Name -> account. Nothing is written when there is no memory; format_write() sees that. */
static void put_map(
	FILE *f, const struct format_input *in, json_t *one(const struct format_input *in), size_t flags)
{
	json_t *map = json_object();
	bool ok = map != NULL;
	for (size_t i = 0; ok && i < in->domain_count; i++)
		ok = json_object_set_new(map, in->domains[i].name, one(in)) == 0;
	char *text = ok ? json_dumps(map, flags) : NULL;
	json_decref(map);
	if (text) {
		(void)fputs(text, f);
		secure_wipe(text, strlen(text));
	}
	free(text);
}

/* ---- what several say ---- */

static void put_head(FILE *f, const struct format_input *in)
{
	const struct ipc_credentials *c = in->credentials;
	(void)fprintf(f, "# Holds a key: nobody but the client should be able to read it (mode 0600).\n"
			 "# In the DNS of your domain, once:\n");
	if (!in->domain_count)
		(void)fprintf(f, "#   _acme-challenge.<your domain>. CNAME %s.%s.\n", c->label, c->zone);
	for (size_t i = 0; i < in->domain_count; i++)
		(void)fprintf(
			f, "#   _acme-challenge.%s. CNAME %s.%s.\n", in->domains[i].name, c->label, c->zone);
}

/* Every name of the certificate, wildcards as such. */
static void put_names(
	FILE *f, const struct format_input *in, const char *between, const char *before, const char *after)
{
	const char *gap = "";
	for (const struct domain *d = in->domains; d < in->domains + in->domain_count; d++) {
		if (d->plain) {
			(void)fprintf(f, "%s%s%s%s", gap, before, d->name, after);
			gap = between;
		}
		if (d->wildcard) {
			(void)fprintf(f, "%s%s*.%s%s", gap, before, d->name, after);
			gap = between;
		}
	}
}

/* ---- one per client ---- */

static void put_json(FILE *f, const struct format_input *in)
{
	json_t *o = render_credentials(in->credentials);
	if (o && in->server_url && json_object_set_new(o, "server_url", json_string(in->server_url))) {
		json_decref(o);
		return;
	}
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (text) {
		(void)fputs(text, f);
		secure_wipe(text, strlen(text));
	}
	free(text);
}

/* The file of ACME_DNS_STORAGE_PATH. */
static void put_lego(FILE *f, const struct format_input *in)
{
	put_map(f, in, account, JSON_INDENT(2));
}

/* One file for acme-dns-auth.py (STORAGE_PATH) and certbot-dns-acmedns (dns_acmedns_registration_file). */
static void put_certbot(FILE *f, const struct format_input *in)
{
	put_map(f, in, registration, JSON_INDENT(2));
}

static void put_traefik(FILE *f, const struct format_input *in)
{
	put_head(f, in);
	(void)fprintf(f,
		"# In Traefik's static configuration, in the certificate resolver: acme.dnsChallenge.provider: "
		"acme-dns\n# In Traefik's environment:\nACME_DNS_API_BASE=%s\n"
		"ACME_DNS_STORAGE_PATH=/etc/traefik/acme-dns.json\n"
		"# All that follows is that file; it must be readable by Traefik only (mode 0600).\n",
		in->server_url);
	put_map(f, in, account, JSON_INDENT(2));
	(void)fputc('\n', f);
}

static void put_caddy(FILE *f, const struct format_input *in)
{
	const struct ipc_credentials *c = in->credentials;
	put_head(f, in);
	(void)fprintf(f, "# Needs a Caddy built with github.com/caddy-dns/acmedns. In the Caddyfile%s:\n",
		in->domain_count ? "" : ", in the block of your site");
	put_names(f, in, ", ", "", "");
	(void)fputs(in->domain_count ? " {\n" : "", f);
	(void)fprintf(f,
		"tls {\n\tdns acmedns {\n\t\tusername %s\n\t\tpassword %s\n\t\tsubdomain %s\n"
		"\t\tserver_url %s\n\t}\n}\n",
		c->key_id, c->secret, c->label, in->server_url);
	if (in->domain_count)
		(void)fputs("}\n", f);
}

static void put_acme_sh(FILE *f, const struct format_input *in)
{
	const struct ipc_credentials *c = in->credentials;
	put_head(f, in);
	(void)fprintf(f,
		"export ACMEDNS_BASE_URL='%s'\nexport ACMEDNS_USERNAME='%s'\nexport ACMEDNS_PASSWORD='%s'\n"
		"export ACMEDNS_SUBDOMAIN='%s'\n"
		"# acme.sh remembers them with the certificate:\n# acme.sh --issue --dns dns_acmedns ",
		in->server_url, c->key_id, c->secret, c->label);
	put_names(f, in, " ", "-d '", "'");
	(void)fputs(in->domain_count ? "\n" : "-d '<your domain>'\n", f);
}

/* Plugins/AcmeDns.ps1: a registration is subdomain, username, password, fulldomain, under the name of the
 * record. ACMEServer is understood by all versions and always means https; ACMEUri only by newer ones. */
static void put_posh_acme(FILE *f, const struct format_input *in)
{
	const struct ipc_credentials *c = in->credentials;
	bool https = strncmp(in->server_url, "https://", 8) == 0;
	put_head(f, in);
	(void)fprintf(f, "$pArgs = @{\n    %s = '%s'\n    ACMERegistration = @{\n",
		https ? "ACMEServer" : "ACMEUri", in->server_url + (https ? 8 : 0));
	for (size_t i = 0; i < in->domain_count; i++)
		(void)fprintf(f, "        '_acme-challenge.%s' = @('%s', '%s', '%s', '%s.%s')\n",
			in->domains[i].name, c->label, c->key_id, c->secret, c->label, c->zone);
	(void)fputs("    }\n}\nNew-PACertificate ", f);
	put_names(f, in, ", ", "'", "'");
	(void)fputs(" -Plugin AcmeDns -PluginArgs $pArgs\n", f);
}

/* A JSON text has no single quote here, so it is a single-quoted scalar as it is (YAML 1.2 section 7.3.2). */
static void put_cert_manager(FILE *f, const struct format_input *in)
{
	put_head(f, in);
	(void)fputs("apiVersion: v1\nkind: Secret\nmetadata:\n  name: acme-dns\ntype: Opaque\nstringData:\n"
		    "  acmedns.json: '",
		f);
	put_map(f, in, account, JSON_COMPACT);
	(void)fprintf(f,
		"'\n# The Secret belongs into the namespace of the Issuer; for a ClusterIssuer, into cert-manager's own.\n"
		"# In the Issuer or ClusterIssuer:\n# spec:\n#   "
		"acme:\n#     solvers:\n#       - dns01:\n#           acmeDNS:\n#             host: '%s'\n"
		"#             accountSecretRef:\n#               name: acme-dns\n"
		"#               key: acmedns.json\n",
		in->server_url);
}

static void put_httpreq(FILE *f, const struct format_input *in)
{
	const struct ipc_credentials *c = in->credentials;
	put_head(f, in);
	(void)fprintf(f,
		"# lego --dns httpreq, or dnsChallenge.provider: httpreq in Traefik\n"
		"export HTTPREQ_ENDPOINT='%s'\nexport HTTPREQ_USERNAME='%s'\nexport HTTPREQ_PASSWORD='%s'\n",
		in->server_url, c->key_id, c->secret);
}

/* ---- all of them ---- */

static const struct {
	const char *name, *type;
	writer *write;
	bool needs_domain;
} formats[FORMATS] = {
	[FORMAT_JSON] = {"json", "application/json", put_json, false},
	[FORMAT_LEGO] = {"lego", "application/json", put_lego, true},
	[FORMAT_TRAEFIK] = {"traefik", "text/plain; charset=utf-8", put_traefik, true},
	[FORMAT_CADDY] = {"caddy", "text/plain; charset=utf-8", put_caddy, false},
	[FORMAT_CERTBOT] = {"certbot", "application/json", put_certbot, true},
	[FORMAT_ACME_SH] = {"acme.sh", "text/plain; charset=utf-8", put_acme_sh, false},
	[FORMAT_POSH_ACME] = {"posh-acme", "text/plain; charset=utf-8", put_posh_acme, true},
	[FORMAT_CERT_MANAGER] = {"cert-manager", "application/yaml", put_cert_manager, true},
	[FORMAT_HTTPREQ] = {"httpreq", "text/plain; charset=utf-8", put_httpreq, false},
};

int format_find(const char *name, enum format *out)
{
	for (unsigned i = 0; i < FORMATS; i++) {
		if (strcmp(formats[i].name, name) == 0) {
			*out = (enum format)i;
			return OK;
		}
	}
	return ERR_NOTFOUND;
}

bool format_needs_domain(enum format f)
{
	return formats[f].needs_domain;
}

static bool is_plain_url(const char *url)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/[]@%+,=";
	return url && url[strspn(url, chars)] == 0;
}

bool format_works_with(enum format f, const char *url)
{
	return f == FORMAT_JSON || is_plain_url(url);
}

int format_write(enum format format, const struct format_input *in, char **text, const char **type)
{
	size_t len = 0;
	*text = NULL;
	*type = formats[format].type;
	if (!format_works_with(format, in->server_url))
		return ERR_INVALID;
	FILE *f = open_memstream(text, &len);
	if (!f)
		return ERR_NOMEM;
	formats[format].write(f, in);
	if (fclose(f) == 0 && len)
		return OK;
	free(*text);
	*text = NULL;
	return ERR_NOMEM;
}

/* What is named twice, or as a wildcard too, is one domain. False: that is no name. */
static bool add_domain(struct domain *list, size_t *count, char *name)
{
	bool wildcard = strncmp(name, "*.", 2) == 0;
	size_t i = 0;
	if (!fields_clean_domain(name))
		return false;
	while (i < *count && strcmp(list[i].name, name) != 0)
		i++;
	if (i == *count)
		memcpy(list[(*count)++].name, name, strlen(name) + 1);
	*(wildcard ? &list[i].wildcard : &list[i].plain) = true;
	return true;
}

bool api_domain_clean(char *name)
{
	return fields_clean_domain(name);
}

const char api_settings_clients[] =
	"lego, traefik, caddy, certbot, acme.sh, posh-acme, cert-manager, httpreq, json";

int api_settings_for(const char *client, const struct ipc_credentials *k, const char *url,
	const char (*names)[IPC_NAME_MAX + 1], size_t name_count, char **text)
{
	struct domain domains[IPC_ALIASES_MAX] = {{.plain = false}};
	struct format_input in = {k, url, 0, domains};
	enum format format;
	const char *type;
	if (format_find(client, &format))
		return ERR_NOTFOUND;
	if (format_needs_domain(format) && !name_count)
		return ERR_RANGE;
	for (size_t i = 0; i < name_count; i++) {
		char name[IPC_NAME_MAX + 1];
		memcpy(name, names[i], sizeof name);
		if (i == IPC_ALIASES_MAX || !add_domain(domains, &in.domain_count, name))
			return ERR_INVALID;
	}
	if (!format_works_with(format, url))
		return ERR_FORMAT;
	return text ? format_write(format, &in, text, &type) : OK;
}

static const char *read_domains(const struct http_request *r, struct call *c)
{
	char name[IPC_NAME_MAX + 1];
	const char *at = r->query;
	for (size_t asked = 0; query_next(&at, "domain", name, sizeof name); asked++)
		if (asked == DOMAINS_MAX || !add_domain(c->domains, &c->domain_count, name))
			return "bad_domain";
	return NULL;
}

void format_default_domains(struct call *c, const char (*aliases)[IPC_NAME_MAX + 1], size_t count)
{
	if (!c->domains || c->domain_count)
		return;
	for (c->domain_count = 0; c->domain_count < count; c->domain_count++) {
		struct domain *d = &c->domains[c->domain_count];
		memcpy(d->name, aliases[c->domain_count], sizeof d->name);
		d->plain = true;
	}
}

const char *format_read_query(const struct http_request *r, struct call *c)
{
	static const char *const names[] = {"format", "domain", NULL};
	char name[IPC_NAME_MAX + 1];
	enum format format = FORMAT_JSON;
	if (!query_check(r, names))
		return "bad_query";
	if (query_get(r, "format", name, sizeof name) && format_find(name, &format))
		return "unknown_format";
	c->format = format;
	c->domains = calloc(DOMAINS_MAX, sizeof *c->domains);
	return c->domains ? read_domains(r, c) : "out_of_memory";
}

void format_answer(struct call *c, unsigned status, const struct ipc_credentials *k)
{
	const struct format_input in = {k, c->base->server_url, c->domain_count, c->domains};
	enum format format = (enum format)c->format;
	char *text = NULL;
	const char *type, *wrong = NULL;
	if (format_needs_domain(format) && !c->domain_count)
		wrong = "domain_required";
	else if (format_write(format, &in, &text, &type))
		wrong = format_works_with(format, in.server_url) ? "out_of_memory" : "no_url";
	if (wrong) {
		answer_refusal(c->exchange, c->manner, refusal_called(c->manner, wrong), NULL, 0);
		return;
	}
	answer_text(c->exchange, status, type, text);
	secure_wipe(text, strlen(text));
	free(text);
}
