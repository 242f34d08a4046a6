// SPDX-License-Identifier: GPL-3.0-or-later
/* The one list of all keys. Loader, `config print`, the sample file and the manual are made from it. */
#include "conf/internal.h"

#define FIELD(type, member) .offset = offsetof(struct type, member)
#define LIST(type, member, count)                                                                            \
	.list = true, FIELD(type, member), .count_offset = offsetof(struct type, count)
#define TABLE(array, ...)                                                                                    \
	{                                                                                                    \
		.rows = array, .count = sizeof array / sizeof array[0], __VA_ARGS__                          \
	}
#define TABLE_OF(array, type)                                                                                \
	TABLE(array, .size = sizeof(struct type), .line_offset = offsetof(struct type, line))

static const struct row nameserver_rows[] = {
	{.key = "name",
		.kind = KIND_TEXT,
		FIELD(conf_nameserver, name),
		.required = true,
		.sample = "ns1.auth.example.org",
		.prose = "Host name of the name server."},
	{.key = "addresses",
		.kind = KIND_ADDRESS,
		LIST(conf_nameserver, addresses, address_count),
		.max = 16,
		.fallback = "",
		.sample = "198.51.100.1\n2001:db8::1",
		.prose = "Its addresses: needed when the name lies in the zone, refused otherwise."},
};
static const struct table nameserver_table = TABLE_OF(nameserver_rows, conf_nameserver);

/* value_ttl: a value is asked for once per validation; caching it only delays the next one.
 * negative_ttl: clients ask for the delegate before they publish (lego, for its CNAME), and lego 5 and
 * Traefik then wait at most 60 s for recursive resolvers to see the value: anything longer makes the first
 * certificate fail. */
static const struct row zone_rows[] = {
	{.key = "name",
		.kind = KIND_TEXT,
		FIELD(conf_zone, name),
		.required = true,
		.sample = "auth.example.org",
		.prose = "Name of the zone. The zone above must delegate it to the name servers below."},
	{.key = "nameservers",
		.kind = KIND_TABLE,
		.table = &nameserver_table,
		LIST(conf_zone, nameservers, nameserver_count),
		.required = true,
		.min = 1,
		.max = 13,
		.prose = "The zone's name servers (NS records)."},
	{.key = "contact",
		.kind = KIND_TEXT,
		FIELD(conf_zone, contact),
		.sample = "hostmaster@example.org",
		.prose = "Mail address of who is responsible (SOA RNAME). Left out: hostmaster@<zone>."},
	{.key = "records",
		.kind = KIND_RECORD,
		LIST(conf_zone, records, record_count),
		.max = 10000,
		.fallback = "",
		.sample = "@ 3600 A 198.51.100.1\n@ 3600 CAA 0 issue \"letsencrypt.org\"",
		.prose = "Static records: owner (relative to the zone, @ is the zone itself), TTL, type, "
			 "data."},
	{.key = "value_ttl",
		.kind = KIND_SECONDS,
		FIELD(conf_zone, value_ttl),
		.fallback = "1",
		.max = 60,
		.prose = "TTL of challenge values (TXT)."},
	{.key = "negative_ttl",
		.kind = KIND_SECONDS,
		FIELD(conf_zone, negative_ttl),
		.fallback = "5",
		.max = 60,
		.prose = "How long resolvers may remember that there was no value (SOA MINIMUM)."},
	{.key = "value_lifetime",
		.kind = KIND_DURATION,
		FIELD(conf_zone, value_lifetime),
		.fallback = "1h",
		.min = 1,
		.max = 30 * 86400,
		.prose = "After that a value is gone."},
	{.key = "max_values",
		.kind = KIND_NUMBER,
		FIELD(conf_zone, max_values),
		.fallback = "32",
		.min = 2,
		.max = CONF_MAX_VALUES,
		.unit = "values",
		.prose =
			"Live values per delegate; the oldest makes room. A wildcard certificate needs two."},
};
static const struct table zone_table = TABLE_OF(zone_rows, conf_zone);

/* A resolver farm or a CA behind one /24 asks some hundred times in a second at most, and what is above that
 * is only sent to TCP. */
static const struct row rate_limit_rows[] = {
	{.key = "responses_per_second",
		.kind = KIND_NUMBER,
		FIELD(conf, dns.responses_per_second),
		.fallback = "200",
		.max = 1000000,
		.unit = "responses",
		.prose = "Whole answers a network may get in a second; 0 is no limit."},
	{.key = "unlimited",
		.kind = KIND_PREFIX,
		LIST(conf, dns.unlimited, dns.unlimited_count),
		.max = 1000,
		.fallback = "",
		.commented = true,
		.sample = "192.0.2.0/24",
		.prose = "Networks without a limit: resolvers of your own, monitoring."},
};
static const struct table rate_limit_table = TABLE(rate_limit_rows);

static const struct row dns_rows[] = {
	{.key = "listen",
		.kind = KIND_ENDPOINT,
		LIST(conf, dns.listen, dns.listen_count),
		.min = 1,
		.max = 64,
		.fallback = "0.0.0.0:53\n[::]:53",
		.prose = "Where DNS is answered, over UDP and TCP."},
	{.key = "workers",
		.kind = KIND_NUMBER,
		FIELD(conf, dns.workers),
		.fallback = "0",
		.max = 256,
		.unit = "processes",
		.prose = "Processes that answer DNS; 0 is one per core."},
	{.key = "tls_listen",
		.kind = KIND_ENDPOINT,
		LIST(conf, dns.tls_listen, dns.tls_listen_count),
		.max = 64,
		.fallback = "",
		.commented = true,
		.sample = "0.0.0.0:853\n[::]:853",
		.prose = "Where DNS is answered over TLS (RFC 7858), with the certificate of the API."},
	{.key = "tcp_connections",
		.kind = KIND_NUMBER,
		FIELD(conf, dns.tcp_connections),
		.fallback = "4000",
		.min = 16,
		.max = 1000000,
		.unit = "connections",
		.prose = "TCP and TLS connections at once; one network gets at most a quarter of them."},
	{.key = "rate_limit",
		.kind = KIND_TABLE,
		.table = &rate_limit_table,
		.prose = "Against floods with forged senders: over UDP, a network (/24, /56) that asks "
			 "more gets truncated answers and asks again over TCP. Clients with a DNS cookie "
			 "are not limited."},
	{.key = "cookie_secret_file",
		.kind = KIND_TEXT,
		FIELD(conf, dns.cookie_secret_file),
		.commented = true,
		.sample = "/etc/acme-delegate/cookie-secrets",
		.prose = "Secrets of DNS cookies (RFC 9018), for servers that share an address: 32 "
			 "hexadecimal digits a line, the first makes cookies, the others are accepted, "
			 "too. Left out: random."},
	{.key = "nsid",
		.kind = KIND_TEXT,
		FIELD(conf, dns.nsid),
		.commented = true,
		.sample = "ns1",
		.prose = "Name of this server, for those who ask with the NSID option (RFC 5001)."},
	{.key = "identity",
		.kind = KIND_TEXT,
		FIELD(conf, dns.identity),
		.commented = true,
		.sample = "ns1",
		.prose = "Answer to id.server and hostname.bind in class CH. Left out: refused."},
	{.key = "version",
		.kind = KIND_TEXT,
		FIELD(conf, dns.version),
		.commented = true,
		.sample = "acme-delegate",
		.prose = "Answer to version.server and version.bind in class CH. Left out: refused."},
};
static const struct table dns_table = TABLE(dns_rows);

static const struct choice tls_modes[] = {
	{"files", CONF_TLS_FILES},
	{"off", CONF_TLS_OFF},
	{"acme", CONF_TLS_ACME},
	{NULL, 0},
};

static const struct row acme_rows[] = {
	{.key = "directory",
		.kind = KIND_TEXT,
		FIELD(conf, api.acme.directory),
		.fallback = CONF_ACME_DIRECTORY,
		.prose = "URL of the CA's ACME directory (RFC 8555)."},
	{.key = "ca_file",
		.kind = KIND_TEXT,
		FIELD(conf, api.acme.ca_file),
		.commented = true,
		.sample = "/etc/acme-delegate/ca-root.pem",
		.prose = "File with the roots, PEM, by which that URL is trusted. Left out: the system's."},
	{.key = "contact",
		.kind = KIND_TEXT,
		FIELD(conf, api.acme.contact),
		.commented = true,
		.sample = "hostmaster@example.org",
		.prose =
			"Mail address that the CA gets for the account. Left out: the first zone's contact."},
	{.key = "eab_key_id",
		.kind = KIND_TEXT,
		FIELD(conf, api.acme.eab_key_id),
		.commented = true,
		.sample = "kid-1",
		.prose = "For CAs whose customers have an account already (external account binding): the "
			 "key id they gave you."},
	{.key = "eab_hmac_key_file",
		.kind = KIND_TEXT,
		FIELD(conf, api.acme.eab_hmac_key_file),
		.commented = true,
		.sample = "/etc/acme-delegate/eab-hmac-key",
		.prose = "And the file with the HMAC key, one line of base64url."},
	{.key = "preferred_chain",
		.kind = KIND_TEXT,
		FIELD(conf, api.acme.preferred_chain),
		.commented = true,
		.sample = "ISRG Root X1",
		.prose = "Where the CA offers several chains: the issuer's common name at the end of the one "
			 "wanted."},
	{.key = "profile",
		.kind = KIND_TEXT,
		FIELD(conf, api.acme.profile),
		.commented = true,
		.sample = "shortlived",
		.prose = "Where the CA has several kinds of certificates: the one wanted."},
};
static const struct table acme_table = TABLE(acme_rows);

static const struct row tls_rows[] = {
	{.key = "mode",
		.kind = KIND_CHOICE,
		FIELD(conf, api.tls_mode),
		.choices = tls_modes,
		.fallback = "files",
		.prose =
			"files: TLS with the two files below. acme: the server gets a certificate for the host "
			"of url from a CA and renews it; to choose this is to agree to that CA's terms of "
			"service. off: plain HTTP, on loopback or behind a proxy."},
	{.key = "certificate",
		.kind = KIND_TEXT,
		FIELD(conf, api.tls_certificate),
		.sample = "/etc/acme-delegate/chain.pem",
		.prose = "File with the certificate and its chain, PEM. SIGHUP reads it again."},
	{.key = "key",
		.kind = KIND_TEXT,
		FIELD(conf, api.tls_key),
		.sample = "/etc/acme-delegate/key.pem",
		.prose = "File with the private key, PEM."},
	{.key = "acme",
		.kind = KIND_TABLE,
		.table = &acme_table,
		.prose = "With mode acme: where the certificate comes from."},
};
static const struct table tls_table = TABLE(tls_rows);

static const struct choice registration_modes[] = {
	{"open", CONF_REGISTRATION_OPEN},
	{"token", CONF_REGISTRATION_TOKEN},
	{"closed", CONF_REGISTRATION_CLOSED},
	{NULL, 0},
};

static const struct row registration_rows[] = {
	{.key = "mode",
		.kind = KIND_CHOICE,
		FIELD(conf, api.registration_mode),
		.choices = registration_modes,
		.fallback = "open",
		.prose = "Who may register a delegate: everybody, who has a registration token, or nobody."},
	{.key = "per_address_per_hour",
		.kind = KIND_NUMBER,
		FIELD(conf, api.registration_per_address_per_hour),
		.fallback = "20",
		.max = 1000000,
		.unit = "registrations",
		.prose = "Registrations one address may make in an hour; 0 is no limit."},
	{.key = "per_day",
		.kind = KIND_NUMBER,
		FIELD(conf, api.registration_per_day),
		.fallback = "1000",
		.max = 100000000,
		.unit = "registrations",
		.prose = "Registrations in a day, over all addresses; 0 is no limit."},
};
static const struct table registration_table = TABLE(registration_rows);

static const struct row api_rows[] = {
	{.key = "listen",
		.kind = KIND_ENDPOINT,
		LIST(conf, api.listen, api.listen_count),
		.min = 1,
		.max = 64,
		.fallback = "0.0.0.0:443",
		.prose = "Where the HTTP API is offered."},
	{.key = "url",
		.kind = KIND_TEXT,
		FIELD(conf, api.url),
		.sample = "https://auth.example.org",
		.prose = "How clients reach the API; registrations carry it as server_url. Left out: "
			 "https:// and the first "
			 "zone's name, or with tls mode off http:// and the first endpoint of listen."},
	{.key = "base_paths",
		.kind = KIND_TEXT,
		LIST(conf, api.base_paths, api.base_path_count),
		.min = 1,
		.max = 16,
		.fallback = "/\n/api/v1/acme-dns-compat",
		.prose = "Paths below which the API answers, each of them the same."},
	{.key = "tls", .kind = KIND_TABLE, .table = &tls_table, .prose = "The API's own TLS."},
	{.key = "trusted_proxies",
		.kind = KIND_PREFIX,
		LIST(conf, api.trusted_proxies, api.trusted_proxy_count),
		.max = 256,
		.fallback = "",
		.prose = "Only these may say in X-Forwarded-For whom they speak for."},
	{.key = "failed_login_delay",
		.kind = KIND_DURATION,
		FIELD(conf, api.failed_login_delay),
		.fallback = "2s",
		.max = 2,
		.prose =
			"How long at most a refused key is kept waiting for its answer, so that guessing is slow; "
			"a right key never waits. 0s is no delay."},
	{.key = "registration",
		.kind = KIND_TABLE,
		.table = &registration_table,
		.prose = "Who may have a delegate, and how many."},
};
static const struct table api_table = TABLE(api_rows);

static const struct row store_rows[] = {
	{.key = "path",
		.kind = KIND_TEXT,
		FIELD(conf, store_path),
		.fallback = "/var/lib/acme-delegate",
		.prose = "Folder of the store, an absolute path."},
};
static const struct table store_table = TABLE(store_rows);

static const struct row admin_rows[] = {
	{.key = "socket",
		.kind = KIND_TEXT,
		FIELD(conf, admin.socket),
		.commented = true,
		.sample = "/run/acme-delegate/admin.sock",
		.prose = "Where the subcommands reach the running server, an absolute path. Left out: "
			 "/run/acme-delegate/admin.sock, and if it cannot be made there the server starts "
			 "without it."},
	{.key = "group",
		.kind = KIND_TEXT,
		FIELD(conf, admin.group),
		.commented = true,
		.sample = "acme-admin",
		.prose = "Group whose members may use the socket. Left out: only root and the account the "
			 "server runs as."},
	{.key = "token_file",
		.kind = KIND_TEXT,
		FIELD(conf, admin.token_file),
		.commented = true,
		.sample = "/etc/acme-delegate/admin-token",
		.prose = "File with the bearer token for administration over HTTPS: one line of 32 to 64 "
			 "characters of [A-Za-z0-9_-]. Left out: only the socket. SIGHUP reads it again."},
	{.key = "events",
		.kind = KIND_NUMBER,
		FIELD(conf, admin.events),
		.fallback = "100000",
		.max = 10000000,
		.unit = "events",
		.prose = "How many events (who changed what) are kept; 0 is none."},
};
static const struct table admin_table = TABLE(admin_rows);

static const struct choice log_levels[] = {
	{"error", LOG_LEVEL_ERROR},
	{"warning", LOG_LEVEL_WARNING},
	{"info", LOG_LEVEL_INFO},
	{"debug", LOG_LEVEL_DEBUG},
	{NULL, 0},
};

static const struct choice log_formats[] = {
	{"text", LOG_FORMAT_TEXT},
	{"json", LOG_FORMAT_JSON},
	{NULL, 0},
};

static const struct row log_rows[] = {
	{.key = "level",
		.kind = KIND_CHOICE,
		FIELD(conf, log_level),
		.choices = log_levels,
		.fallback = "info",
		.prose = "The least important event that is still written."},
	{.key = "format",
		.kind = KIND_CHOICE,
		FIELD(conf, log_format),
		.choices = log_formats,
		.fallback = "text",
		.prose = "One event is one line on standard error."},
};
static const struct table log_table = TABLE(log_rows);

static const struct row metrics_rows[] = {
	{.key = "listen",
		.kind = KIND_ENDPOINT,
		LIST(conf, metrics.listen, metrics.listen_count),
		.max = 16,
		.fallback = "",
		.commented = true,
		.sample = "127.0.0.1:9153",
		.prose = "Where GET /metrics is answered for Prometheus, over plain HTTP and for "
			 "everybody: on loopback, or in a network of your own. Left out: nowhere."},
};
static const struct table metrics_table = TABLE(metrics_rows);

/* Members of nested tables lie in struct conf itself, so their rows count from its start and their own offset
 * is 0. */
static const struct row root_rows[] = {
	{.key = "zones",
		.kind = KIND_TABLE,
		.table = &zone_table,
		LIST(conf, zones, zone_count),
		.required = true,
		.min = 1,
		.max = 1000,
		.prose = "The zones this server answers for, at least one."},
	{.key = "dns", .kind = KIND_TABLE, .table = &dns_table, .prose = "The DNS side."},
	{.key = "api", .kind = KIND_TABLE, .table = &api_table, .prose = "The side of the clients."},
	{.key = "store", .kind = KIND_TABLE, .table = &store_table, .prose = "Delegates, keys and values."},
	{.key = "user",
		.kind = KIND_TEXT,
		FIELD(conf, user),
		.commented = true,
		.sample = "acme-delegate",
		.prose = "Account to run as when started as root. Left out: acme-delegate, or nobody where "
			 "that is missing."},
	{.key = "log", .kind = KIND_TABLE, .table = &log_table, .prose = "The log."},
	{.key = "admin", .kind = KIND_TABLE, .table = &admin_table, .prose = "Administration."},
	{.key = "metrics", .kind = KIND_TABLE, .table = &metrics_table, .prose = "Numbers for monitoring."},
};

_Static_assert(
	sizeof zone_rows / sizeof zone_rows[0] <= TABLE_MAX_ROWS, "load_table() keeps one bit per row");
_Static_assert(
	sizeof root_rows / sizeof root_rows[0] <= TABLE_MAX_ROWS, "load_table() keeps one bit per row");

const struct table conf_schema = TABLE(root_rows);
