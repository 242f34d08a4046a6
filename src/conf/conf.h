// SPDX-License-Identifier: GPL-3.0-or-later
/* Configuration: a YAML file -> one immutable struct. The schema table (conf/schema.c) holds name, type,
 * default, range, unit and prose of every key; loader, `config print`, the sample file and the manual come
 * from it. Everything a struct conf points to belongs to it and lives until conf_free(). Any thread may read
 * it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/address.h"
#include "util/diag.h"
#include "util/error.h"
#include "util/log.h"

struct conf_nameserver {
	char *name;                /* absolute name, with or without the final dot, as written */
	struct address *addresses; /* required when the name lies in the zone, refused otherwise */
	size_t address_count;
	unsigned line;
};

struct conf_record {
	char *text; /* presentation format: "@ 3600 A 198.51.100.1"; owner relative to the zone */
	unsigned line;
};

struct conf_zone {
	char *name; /* lower-case, no final dot */
	struct conf_nameserver *nameservers;
	size_t nameserver_count;
	char *contact; /* "hostmaster@example.org"; NULL: hostmaster@<zone> */
	struct conf_record *records;
	size_t record_count;
	uint32_t value_ttl;     /* seconds */
	uint32_t negative_ttl;  /* seconds */
	int64_t value_lifetime; /* milliseconds */
	uint32_t max_values;    /* per delegate, 1..CONF_MAX_VALUES */
	unsigned line;
};

/* Where the admin socket is if the configuration does not say. */
#define CONF_ADMIN_SOCKET "/run/acme-delegate/admin.sock"

/* The configuration of the machine's own server. */
#define CONF_SYSTEM_FOLDER "/etc/acme-delegate"
#define CONF_SYSTEM_FILE   CONF_SYSTEM_FOLDER "/acme-delegate.yaml"

/* The CA of mode acme if the configuration names none: Let's Encrypt, "letsencrypt.org" in CAA records. */
#define CONF_ACME_DIRECTORY "https://acme-v02.api.letsencrypt.org/directory"

enum {
	CONF_MAX_VALUES = 32,
	CONF_MAX_NSID = 128,     /* octets */
	CONF_MAX_IDENTITY = 255, /* octets, of identity and of version */
	CONF_MAX_SOCKET = 107    /* octets, of admin.socket: sun_path holds no more */
};

struct conf_dns {
	struct endpoint *listen;
	size_t listen_count;
	uint32_t workers;            /* 0: one per core */
	struct endpoint *tls_listen; /* DNS over TLS, with the API's certificate; none: not offered */
	size_t tls_listen_count;
	uint32_t tcp_connections;      /* at most, over all workers */
	uint32_t responses_per_second; /* over UDP, to one /24 or /56; 0: no limit */
	struct prefix *unlimited;      /* to these there is no limit */
	size_t unlimited_count;
	char *cookie_secret_file; /* NULL: random secrets */
	char *nsid;               /* RFC 5001; NULL: not told, as the next two */
	char *identity;           /* id.server and hostname.bind in class CH, RFC 4892 */
	char *version;            /* version.server and version.bind */
};

enum conf_tls_mode { CONF_TLS_FILES, CONF_TLS_OFF, CONF_TLS_ACME };

/* Where api.tls.mode acme has the certificate from. Set when that is the mode. */
struct conf_acme {
	char *directory; /* URL, https */
	char *ca_file;   /* absolute path; NULL: the system's roots */
	char *contact;   /* mail address; derived where it is not given; NULL: none can be */
	char *eab_key_id, *eab_hmac_key_file; /* both or none */
	char *preferred_chain, *profile;      /* NULL: the CA's choice */
};

enum conf_registration_mode { CONF_REGISTRATION_OPEN, CONF_REGISTRATION_TOKEN, CONF_REGISTRATION_CLOSED };

struct conf_api {
	struct endpoint *listen;
	size_t listen_count;
	char *url;         /* how clients reach the API, no trailing slash; derived where it is not given */
	char **base_paths; /* each starts with '/' and has no trailing slash, except "/" itself */
	size_t base_path_count;
	enum conf_tls_mode tls_mode;
	char *tls_certificate; /* PEM chain; set when tls_mode is FILES */
	char *tls_key;
	struct conf_acme acme;
	char *host; /* of url, lower-case, no final dot; NULL: an address, not a name */
	const struct conf_zone *host_zone; /* the innermost that holds it; NULL: none */
	struct prefix *trusted_proxies;
	size_t trusted_proxy_count;
	enum conf_registration_mode registration_mode;
	uint32_t registration_per_address_per_hour; /* 0: no limit */
	uint32_t registration_per_day;              /* over all addresses; 0: no limit */
	int64_t failed_login_delay;                 /* milliseconds, at most; 0: none */
};

struct conf_admin {
	char *socket;      /* absolute path, CONF_MAX_SOCKET characters at most; NULL: none */
	bool socket_given; /* false: the default, without which the server starts, too */
	char *group;       /* whose members may use the socket; NULL: none */
	char *token_file;  /* NULL: no administration over HTTPS */
	uint32_t events;   /* how many are kept */
};

struct conf_metrics {
	struct endpoint *listen; /* none: not offered */
	size_t listen_count;
};

struct conf {
	char *file; /* the file it came from, NULL for the built-in local instance */
	char *user; /* account to run as when started as root; NULL: "acme-delegate", or "nobody" where that
		       is missing */
	struct conf_zone *zones;
	size_t zone_count;
	struct conf_dns dns;
	struct conf_api api;
	struct conf_admin admin;
	struct conf_metrics metrics;
	char *store_path;
	enum log_level log_level;
	enum log_format log_format;
};

/* Reads and checks `file`. All problems go into `d`, with file and line; warnings too.
 * ERR_INVALID: at least one error (also: file missing or unreadable), *out is then NULL. ERR_NOMEM. */
int conf_load(const char *file, struct diag *d, struct conf **out) MUST_USE;

/* The same from memory; `name` is shown in place of a file name. For tests and fuzzers. */
int conf_load_text(
	const char *text, size_t len, const char *name, struct diag *d, struct conf **out) MUST_USE;

/* The safe local instance: zone auth.test, loopback only, unprivileged ports (DNS 5353, API plain HTTP 8443),
 * store in acme-delegate under $XDG_STATE_HOME, or ~/.local/state, or for root
 * /var/lib/acme-delegate-local, and beside it the admin socket. Errors as conf_load. */
int conf_local(struct diag *d, struct conf **out) MUST_USE;

void conf_free(struct conf **c); /* accepts NULL inside; sets it to NULL */

/* Writes the configuration in force as YAML, every key with its value: what `config print` shows. Reading the
 * output again gives an equal configuration. */
void conf_print(const struct conf *c, FILE *to);

/* Writes the commented sample configuration made from the schema table. */
void conf_print_sample(FILE *to);

/* Writes the configuration in `text` with the sample's comments around it; what it leaves out stays left out,
 * or has its default. Nothing but single values is checked. Errors as conf_load. */
int conf_print_commented(const char *text, size_t len, struct diag *d, FILE *to) MUST_USE;

/* Writes ASCII text as a YAML scalar, in quotes where it needs them. */
void conf_print_text(const char *text, FILE *to);

/* Writes the manual page of the configuration file, made from the schema table, for man(7). */
void conf_print_manual(FILE *to);
