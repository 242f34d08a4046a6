// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of the app room share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "app/app.h"
#include "app/board.h"
#include "delegate/index.h"
#include "delegate/witness.h"
#include "dns/dns.h"
#include "keeper/keeper.h"
#include "tls/tls.h"
#include "store/store.h"

/* ---- settings.c: one configuration with everything built from it; replaced as a whole on SIGHUP ---- */

struct settings {
	struct conf *conf;
	struct dns_zones *zones;
	struct keeper_zone *keeper_zones; /* one per configured zone, with the store's ids */
	struct dns_cookie_secrets cookies;
	uint8_t operator_digest[SECURE_DIGEST_SIZE]; /* of the bearer token; all zero: there is none */
	struct acme_state own; /* what the agent's folder said when the zones were built; all zero: nothing */
	int64_t clock_origin; /* of the time by which values live: the same in all processes, until the end */
	bool store_verified;  /* all of it was checked when it was bound */
};

/* certificate.c: Can the API use its certificate, with the rights this process has now? Says in `d` why not.
 * ERR_INVALID, ERR_NOMEM, ERR_SYSTEM. */
int settings_check_certificate(const struct conf *c, struct diag *d) MUST_USE;
/* Opens the store (creating it), assigns zone ids, builds the zones, closes the store. `check`: nobody writes
 * to it, and it is checked before, for as long as a start may take; ERR_STORE, said in `d`: it is damaged. */
int settings_bind_store(struct settings *s, bool check, struct diag *d) MUST_USE;
/* What cannot change without a restart, because it needs privileges or the only lock: ERR_INVALID, said in
 * `d`. */
int settings_check_reload(const struct settings *now, const struct settings *next, struct diag *d) MUST_USE;
void settings_free(struct settings *s); /* accepts the zero state */

/* Builds the zones anew, with what the agent's folder says now. As settings_bind_store(). */
int settings_build_zones(const struct settings *s, const struct acme_state *own, struct diag *d,
	struct dns_zones **out) MUST_USE;

/* What is to be warned of in it. */
void settings_warn_of_ca(const struct conf *c, const struct acme_state *own, struct diag *d);

/* ---- own.c: the folder of the agent, and the certificate in it ---- */

enum { OWN_PATH = 4096, OWN_BINDING = 1024 /* room for the HMAC key of an external account */ };

/* Makes the folder, for the account that this is; with another mode than acme does nothing. ERR_SYSTEM,
 * ERR_INVALID; said in `d`. */
int own_make_folder(const struct conf *c, struct diag *d) MUST_USE;
int own_path(const struct conf *c, const char *file, char out[static OWN_PATH]) MUST_USE;
/* Are the files good that mode acme is told of? Says in `d` why not. ERR_INVALID, ERR_SYSTEM. */
int own_check_files(const struct conf *c, struct diag *d) MUST_USE;
/* The HMAC key of the external account binding; without one an empty text. As secret_file_read(). */
int own_load_binding(const struct conf *c, struct diag *d, char *text, size_t cap) MUST_USE;
/* What the folder says; all zero: nothing. With another mode than acme that is so, too. */
void own_load_state(const struct conf *c, struct acme_state *out);
/* A sealed piece of memory (memfd) with key, certificate and chain, which the caller closes: those in the
 * folder, or ones that are made now and signed by themselves. The first: ERR_NOTFOUND, there is none yet;
 * ERR_INVALID, said in `d`: not good, or not for the API's host. ERR_NOMEM, ERR_SYSTEM. */
int own_open_certificate(const struct conf *c, struct diag *d, int *fd) MUST_USE;
int own_sign_certificate(const struct conf *c, int *fd) MUST_USE;

/* Where a process that speaks TLS has its certificate from in mode acme. */
struct own_certificate {
	int fd;   /* as above; -1: from files */
	int line; /* on which newer ones arrive (SCM_RIGHTS); -1: none do */
};
/* The context of such a process, for whatever mode it is. Errors of tls_context_new(). */
int own_tls_context(const struct conf_api *c, const struct own_certificate *from, const char *protocol,
	struct tls_context **out) MUST_USE;
/* Takes what waits on the line. False: nothing will come any more. */
bool own_take_newer(const struct own_certificate *from, struct tls_context *tls);

/* ---- cookies.c ---- */

/* Reads 32 hexadecimal digits a line, one or two lines. Says in `d` what is wrong: ERR_SYSTEM, ERR_INVALID.
 */
int cookies_load(const char *path, struct diag *d, struct dns_cookie_secrets *out) MUST_USE;
/* From the configured file, or else those of `before` (NULL: none), or else random ones. As cookies_load. */
int settings_load_cookies(struct settings *s, const struct settings *before, struct diag *d) MUST_USE;

/* ---- secret_file.c ---- */

/* Reads up to `cap` bytes of a file that others must not be able to read; `key` of the configuration names
 * it. Says in `d` what is wrong: ERR_SYSTEM, ERR_INVALID. */
int secret_file_read(
	const char *key, const char *path, struct diag *d, char *text, size_t cap, size_t *len) MUST_USE;

/* ---- operator.c ---- */

/* The digest of the token in a file. As cookies_load. */
int operator_load(const char *path, struct diag *d, uint8_t digest[static SECURE_DIGEST_SIZE]) MUST_USE;
int settings_load_operator(struct settings *s, struct diag *d) MUST_USE;

struct admin_socket {
	int fd; /* listening; -1: none */
	dev_t device;
	ino_t inode;
};

/* Makes the admin socket for the account to run as, with its folder. One that was not asked for may be
 * missing: that is a warning in the log. Otherwise says in `d` what is wrong. ERR_SYSTEM. */
int operator_bind(const struct conf *c, struct diag *d, struct admin_socket *out) MUST_USE;
/* Removes its file, unless it is another's by now. */
void operator_unlink(const struct conf *c, const struct admin_socket *s);

/* While a reload replaces them, a process and its successor count side by side: the sum over all places never
 * goes back. */
enum { COUNTERS_GENERATIONS = 2 };

/* ---- health.c: are the others there, and do they do their work? Of board readers. ---- */

enum { HEALTH_PATIENCE_MS = 3000 }; /* a process that has not shown itself for that long is missed */

/* A process in service. False: nobody is to be at this place. */
bool health_of_place(const struct board *b, unsigned place, struct ipc_process *out);
/* What keeps the server from doing its work, as an error code of the API; NULL: nothing is known. `board` is
 * a struct board. */
const char *health_problem(void *board);
/* Fills in processes and certificate; those that fail first. */
void health_report(const struct board *b, struct ipc_report *out);
/* Of the API, from files or from the agent. */
void health_certificate(const struct board *b, struct ipc_certificate *out);

/* ---- metrics.c ---- */

/* All numbers in Prometheus's text format 0.0.4, malloc'ed; NULL: no memory. Takes them from the board alone.
 */
char *metrics_render(const struct board *b, size_t *len);
/* Handler for http_start(): GET /metrics, and nothing else. ctx is the struct board. */
void metrics_handle(void *ctx, struct http_exchange *x, const struct http_request *r);

/* ---- sockets.c: every listening socket, bound once ---- */

struct sockets {
	unsigned workers;
	size_t dns_count; /* endpoints of dns.listen */
	int *udp, *tcp;   /* [worker * dns_count + endpoint] */
	int *dot;         /* DNS over TLS: one process, so one socket per endpoint */
	size_t dot_count;
	int *api;
	size_t api_count;
	int *metrics;
	size_t metrics_count;
	struct admin_socket admin;
};

/* What one dns process serves: a worker UDP and TCP, the one called dot TLS. They point into the above. */
struct dns_sockets {
	const int *udp, *tcp;
	size_t count;     /* of each of the two */
	unsigned workers; /* that serve the same endpoints */
	const int *tls;
	size_t tls_count;
	size_t tcp_connections; /* its share of those that all may have */
};
struct dns_sockets sockets_of_worker(const struct sockets *s, const struct conf *c, unsigned index);
struct dns_sockets sockets_of_dot(const struct sockets *s, const struct conf *c);

/* Says in `d` which endpoint cannot be bound and why. */
int sockets_bind(const struct conf *c, struct diag *d, struct sockets *out) MUST_USE;
void sockets_close(struct sockets *s); /* accepts the zero state */
/* How many DNS workers there are to be, on this machine. */
unsigned sockets_workers(const struct conf *c);

/* ---- privileges.c ---- */

/* Certificate and cookie secrets: are they good, and would they be with the rights of the account to run as?
 * What would fail later, in a child or in a reload, shall fail at the start. ERR_INVALID; ERR_NOTFOUND: no
 * such account; ERR_SYSTEM. */
int privileges_check_files(const struct conf *c, struct diag *d) MUST_USE;

/* Creates the store's folder for the account to run as, becomes that account for good and drops every
 * capability. Says in `d` what is wrong. */
int privileges_drop(const struct conf *c, struct diag *d) MUST_USE;

/* Who that account is; who we are if we do not change it. ERR_NOTFOUND, said in `d`. */
int privileges_account(const struct conf *c, struct diag *d, uid_t *uid, gid_t *gid) MUST_USE;
/* Creates the folder that `file` is in, for that account. ERR_SYSTEM, said in `d`. */
int privileges_make_folder_for(const struct conf *c, const char *file, struct diag *d) MUST_USE;

/* The same for who only reads the store: creates no folder. */
int privileges_drop_to_read(const struct conf *c, struct diag *d) MUST_USE;

/* ---- lock.c ---- */

/* One writer per store: the server, or an import. The lock belongs to the open file, which every child
 * inherits until it closes it, and goes with the last of them. *fd: the locked file, or -1. ERR_BUSY, said in
 * `d`; ERR_SYSTEM.
 */
int store_lock(const struct conf *c, struct diag *d, int *fd) MUST_USE;

/* ---- apart.c: work in a process of its own ---- */

struct apart {
	/* Runs in the process; what it writes to `reply` (may be NULL), says in `d` and returns is what the
	 * caller gets. */
	int (*body)(void *ctx, struct diag *d, void *reply);
	void *ctx, *reply;
	size_t reply_len;
	unsigned seconds;  /* it is ended after so many; 0: never */
	const char *store; /* path of the one it reads; NULL: none */
	int keep;          /* a descriptor that the body needs; 0: none but the standard ones */
};
/* At the beginning of such a process: it ends with `parent`, and after so many seconds (0: never). False: the
 * parent has ended already. */
bool apart_begin(unsigned seconds, pid_t parent) MUST_USE;
/* What the body returns; ERR_STORE, said in `d`: it read the store and died, or came to no end. ERR_SYSTEM.
 */
int apart_run(const struct apart *a, struct diag *d) MUST_USE;

/* ---- damage.c: a damaged store ---- */

extern const char damage_advice[]; /* what to do */
/* Says that the store must be damaged, because who reads it dies of that signal. */
void damage_killed(struct diag *d, const char *path, int signal_number);

/* Looks for damage. ERR_STORE: there is some, said in `d`. *complete: all was looked at; for at most
 * `patience` milliseconds (0: always). `live`: as in store_check(). */
int damage_look(const char *path, bool live, int64_t patience, struct diag *d, bool *complete) MUST_USE;

enum { DAMAGE_CHECK_SECONDS = 600, DAMAGE_CHECK_EVERY_MS = 3600 * 1000 };
enum { DAMAGE_NONE, DAMAGE_FOUND, DAMAGE_UNKNOWN }; /* exit status of a check */

/* What the supervisor knows of it. */
struct damage {
	bool verified; /* all was in order once: so what the index says was */
	bool damaged;
	pid_t pid; /* of the check that runs; 0: none */
	int fd;    /* on which it tells what it has found */
	int64_t began;
	int64_t due;        /* when to check (again); 0: never */
	int64_t not_before; /* a death asks for no check before that */
};

/* Starts a check. In the check's process it does not return. */
void damage_begin(struct damage *g, const struct settings *s);
/* Did somebody end as one who met damage? */
bool damage_is_sign(int status) MUST_USE;
void damage_suspect(struct damage *g, int64_t now);
/* The check has ended. True: `damaged` has changed, so others must be told. */
bool damage_ended(struct damage *g, const struct settings *s, int status) MUST_USE;

/* ---- sandbox.c ---- */

enum sandbox_role {
	SANDBOX_SUPERVISOR,
	SANDBOX_KEEPER,
	SANDBOX_DNS,
	SANDBOX_API,
	SANDBOX_AGENT,
	SANDBOX_DOT /* a dns process that holds the TLS key */
};

/* Before anything secret is read: this process leaves no core dump and cannot be traced by its peers. A
 * change of account lifts that; sandbox_enter() does it again. */
int sandbox_prepare(void) MUST_USE;

/* Takes away for good what a child of that role does not need: new privileges, core dumps and debuggers; by
 * Landlock all files but (keeper) the store's folder, (dns, dot) reading it, (agent) its folder below it and
 * what name resolution and TLS read; TCP ports; signals to others; and by seccomp all system calls but its
 * own. Of this, what the kernel does not have is left out; sandbox_report() says so. What was taken is
 * written at `seat` (NULL: nowhere). ERR_SYSTEM: see errno. */
int sandbox_enter(enum sandbox_role role, const char *store_path, const struct board_seat *seat) MUST_USE;
/* The agent's, which reads the CA's certificates in `ca_file`, too (NULL: the system's only). */
int sandbox_enter_agent(const char *store_path, const char *ca_file, const struct board_seat *seat) MUST_USE;
/* The supervisor's: reads everything the account may, for a reload; writes the store; removes
 * `admin_socket` (NULL: there is none). Its children inherit this and take away more. */
int sandbox_enter_supervisor(const char *store_path, const char *admin_socket) MUST_USE;

/* What this kernel can take away: bits of enum confinement. */
unsigned sandbox_available(void);
/* Says in the log what is confined, and what is not: one line each at most. */
void sandbox_report(void);

/* ---- the bodies of the children; each returns when `stop` is readable ---- */

/* What a dns process shares with others. Any of them may be NULL. */
struct dns_memory {
	const struct delegate_index *index;
	struct witness *witness;
	unsigned ring;      /* its own */
	bool store_damaged; /* leave it alone: what the index does not know, nobody knows */
};
int dns_process_run(const struct settings *s, const struct board_seat *seat, const struct dns_sockets *k,
	const struct dns_memory *m, const struct own_certificate *own, int stop) MUST_USE;
struct keeper_inheritance {
	struct delegate_index *index; /* NULL: none */
	struct witness *witness;      /* NULL: none */
	int admin;                    /* listening socket; -1: none */
	const int *channels;
	size_t channel_count;
	const int *agents; /* the same, of the agent */
	size_t agent_count;
	int control;
	bool store_damaged; /* leave it alone: every request fails */
};
int keeper_process_run(const struct settings *s, const struct board_seat *seat,
	const struct keeper_inheritance *in, int stop) MUST_USE;
int api_process_run(const struct settings *s, const struct board_seat *seat, const struct sockets *k,
	int channel, const struct own_certificate *own, int stop) MUST_USE;
/* agent.c. `fresh`: somebody has started or reloaded the server, it was not just the agent that ended.
 * `line`: to the supervisor, on which it says: */
enum agent_word { AGENT_PERMIT = 1, AGENT_RENEWED, AGENT_DONE, AGENT_FAILED };
int agent_process_run(const struct settings *s, const struct board_seat *seat, int channel, int line,
	bool fresh, int stop) MUST_USE;

/* ---- supervisor.c ---- */

/* Starts the children, keeps them running, reloads on SIGHUP, returns after SIGTERM or SIGINT. Takes over
 * `s`. Returns the exit status of this process, which may be a child. */
int supervisor_run(const char *file, struct settings *s, const struct sockets *k);

/* ---- restore.c: files that "backup" wrote ---- */

/* An image of the store (data.mdb), and behind it what says that it is whole: the text BACKUP_MAGIC, the
 * format (4), the size of the image (8) and its SHA-256 (32). Integers are big-endian. */
#define BACKUP_MAGIC "acme-delegate-backup"
enum { BACKUP_FORMAT = 1, BACKUP_TRAILER = 20 + 4 + 8 + 32 };

/* Writes all of it. ERR_FULL; ERR_SYSTEM: see errno. */
int backup_write(int fd, int stop, const void *data, size_t len) MUST_USE;

/* ---- long work that a person waits for (progress.c) ---- */

struct progress {
	bool terminal; /* standard error is one, so somebody may be watching */
	int64_t started, shown;
};

enum { PROGRESS_NUMBER = 32 };

struct progress progress_begin(void);
/* Once a second at most, and only on a terminal: "1 234 of 5 678 checked"; total 0: not known; `unit` is
 * empty or " MiB". */
void progress_show(struct progress *p, const char *doing, const char *unit, uint64_t done, uint64_t total);
void progress_clear(struct progress *p); /* before anything else is said */
long long progress_seconds(const struct progress *p);
const char *progress_number(uint64_t n, char out[static PROGRESS_NUMBER]); /* "9 999 998" */

/* Waits until `fd` can be read or written. ERR_CLOSED: `stop` became readable (-1: never). */
int interrupt_wait(int stop, int fd, short events) MUST_USE;
