// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/calls.h"
#include "app/landlock.h"
#include "util/log.h"
#include "util/text.h"

/* What name resolution and TLS read, and nothing beside it: the configuration's own files with secrets may
 * well be in /etc, too. A file that is replaced by another is not readable any more; then the agent must be
 * started anew. */
static const char *const agent_reads[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf",
	"/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/hostname", "/etc/localtime",
	"/etc/ld.so.cache", "/etc/gnutls", "/etc/pki", "/etc/ssl/certs", "/etc/ca-certificates", "/usr",
	"/lib", "/lib64", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf",
	"/dev/urandom"};

static int allow_agent(struct landlock_rules *r, const char *store_path, const char *ca_file)
{
	char folder[4096];
	if (text_format(folder, sizeof folder, "%s/acme", store_path))
		return ERR_RANGE;
	int rc = landlock_allow(r, folder, LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_REPLACE);
	for (size_t i = 0; !rc && i < sizeof agent_reads / sizeof *agent_reads; i++)
		rc = landlock_allow(r, agent_reads[i], LANDLOCK_READ);
	return rc || !ca_file ? rc : landlock_allow(r, ca_file, LANDLOCK_READ);
}

/* A reader of the store announces itself in the lock file; the data it may only read. */
static int allow_reading_store(struct landlock_rules *r, const char *store_path)
{
	char lock[4096];
	if (text_format(lock, sizeof lock, "%s/lock.mdb", store_path))
		return ERR_RANGE;
	int rc = landlock_allow(r, store_path, LANDLOCK_READ);
	return rc ? rc : landlock_allow(r, lock, LANDLOCK_READ | LANDLOCK_WRITE);
}

/* It makes the agent's folder, and reads wherever a new configuration, certificate or secret may be. */
static int allow_supervisor(struct landlock_rules *r, const char *store_path, const char *admin_socket)
{
	char folder[4096];
	const char *slash = admin_socket ? strrchr(admin_socket, '/') : NULL;
	int rc = landlock_allow(r, "/", LANDLOCK_READ);
	rc = rc ? rc
		: landlock_allow(r, store_path,
			  LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_REPLACE | LANDLOCK_MAKE_FOLDER);
	if (rc || !slash)
		return rc;
	if (text_format(folder, sizeof folder, "%.*s", (int)(slash - admin_socket + 1), admin_socket))
		return ERR_RANGE;
	return landlock_allow(r, folder, LANDLOCK_REMOVE);
}

struct paths {
	const char *store, *ca_file, *admin_socket;
};

static int allow_files(struct landlock_rules *r, enum sandbox_role role, const struct paths *p)
{
#ifdef CALLS_OF_SANITIZERS /* the leak check looks at its own process there */
	if (landlock_allow(r, "/proc", LANDLOCK_READ))
		return ERR_SYSTEM;
#endif
	switch (role) {
	case SANDBOX_SUPERVISOR:
		return allow_supervisor(r, p->store, p->admin_socket);
	case SANDBOX_KEEPER:
		return landlock_allow(r, p->store, LANDLOCK_READ | LANDLOCK_WRITE);
	case SANDBOX_DNS:
	case SANDBOX_DOT:
		return allow_reading_store(r, p->store);
	case SANDBOX_AGENT:
		return allow_agent(r, p->store, p->ca_file);
	default:
		return OK; /* the api: no file at all */
	}
}

/* Sockets are bound before; only the agent, and so the supervisor before it, connects. */
static int confine_by_landlock(enum sandbox_role role, const struct paths *p)
{
	struct landlock_rules r;
	bool connects = role == SANDBOX_AGENT || role == SANDBOX_SUPERVISOR;
	if (!landlock_version())
		return OK;
	int rc = landlock_begin(connects, &r);
	rc = rc ? rc : allow_files(&r, role, p);
	rc = rc ? rc : landlock_enter(&r);
	landlock_end(&r);
	return rc;
}

/* Where seccomp is missing, this keeps children from making more of themselves. The keeper and the agent
 * have threads, which count. */
static int limit_processes(enum sandbox_role role)
{
	const struct rlimit none = {0, 0};
	if (role != SANDBOX_DNS && role != SANDBOX_DOT && role != SANDBOX_API)
		return OK;
#ifdef CALLS_OF_SANITIZERS /* the leak check makes a second process */
	(void)none;
	return OK;
#else
	return setrlimit(RLIMIT_NPROC, &none) ? ERR_SYSTEM : OK;
#endif
}

int sandbox_prepare(void)
{
	const struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none))
		return ERR_SYSTEM;
#ifndef CALLS_OF_SANITIZERS /* the leak check attaches to its own process */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return ERR_SYSTEM;
#endif
	return OK;
}

static int enter(enum sandbox_role role, const struct paths *p, const struct board_seat *seat)
{
	const unsigned available = sandbox_available(); /* as long as it can be asked */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return ERR_SYSTEM;
	int rc = sandbox_prepare();
	rc = rc ? rc : limit_processes(role);
	rc = rc ? rc : confine_by_landlock(role, p);
	/* The last, because the calls above are among those that go. */
	if (!rc && calls_can_be_filtered())
		rc = calls_confine(role);
	if (!rc && seat)
		board_confined(seat->board, seat->place, available);
	return rc;
}

int sandbox_enter(enum sandbox_role role, const char *store_path, const struct board_seat *seat)
{
	const struct paths p = {.store = store_path};
	return enter(role, &p, seat);
}

int sandbox_enter_agent(const char *store_path, const char *ca_file, const struct board_seat *seat)
{
	const struct paths p = {.store = store_path, .ca_file = ca_file};
	return enter(SANDBOX_AGENT, &p, seat);
}

int sandbox_enter_supervisor(const char *store_path, const char *admin_socket)
{
	const struct paths p = {.store = store_path, .admin_socket = admin_socket};
	return enter(SANDBOX_SUPERVISOR, &p, NULL);
}

unsigned sandbox_available(void)
{
	unsigned version = landlock_version(), bits = CONFINED_PRIVILEGES;
	if (version >= 1)
		bits |= CONFINED_FILES;
	if (version >= LANDLOCK_WITH_NETWORK)
		bits |= CONFINED_NETWORK;
	if (version >= LANDLOCK_WITH_SCOPES)
		bits |= CONFINED_SIGNALS;
	if (calls_can_be_filtered())
		bits |= CONFINED_CALLS;
	return bits;
}

static const struct {
	unsigned bit;
	const char *by, *missing;
} facilities[] = {
	{CONFINED_PRIVILEGES, "no new privileges", ""},
	{CONFINED_CALLS, "system calls (seccomp)", "system calls (seccomp)"},
	{CONFINED_FILES, "files (Landlock)", "files (Landlock, Linux 5.13)"},
	{CONFINED_NETWORK, "TCP ports", "TCP ports (Landlock, Linux 6.7)"},
	{CONFINED_SIGNALS, "signals and abstract sockets",
		"signals and abstract sockets (Landlock, Linux 6.12)"},
};

static void list(unsigned bits, bool missing, char *out, size_t cap)
{
	size_t len = 0;
	*out = 0;
	for (size_t i = 0; i < sizeof facilities / sizeof *facilities; i++) {
		const char *what = missing ? facilities[i].missing : facilities[i].by;
		if (!(facilities[i].bit & bits))
			continue;
		if (text_format(out + len, cap - len, "%s%s", len ? ", " : "", what))
			return; /* they fit */
		len += strlen(out + len);
	}
}

void sandbox_report(void)
{
	char text[256];
	unsigned have = sandbox_available();
	list(have, false, text, sizeof text);
	log_info("app", "every process is confined by: %s", text);
	list(~have, true, text, sizeof text);
	if (*text)
		log_warning("app", "this kernel, or the container's rules, cannot confine: %s", text);
}
