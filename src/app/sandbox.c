// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/internal.h"
#include "util/log.h"
#include "util/text.h"

/* Rights that came after the first version, for headers older than the kernel. */
enum {
	ACCESS_V1 = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	ACCESS_REFER = 1 << 13,    /* version 2 */
	ACCESS_TRUNCATE = 1 << 14, /* version 3 */
	READING = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	WRITING = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | ACCESS_TRUNCATE
};

static uint64_t handled_by(long version)
{
	uint64_t handled = ACCESS_V1;
	if (version >= 2)
		handled |= ACCESS_REFER;
	if (version >= 3)
		handled |= ACCESS_TRUNCATE;
	return handled;
}

/* Allows `access` on a file or below a folder; what does not exist needs no rule. */
static int allow(int rules, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access};
	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT ? OK : ERR_SYSTEM;
	long rc = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
	return rc ? ERR_SYSTEM : OK;
}

/* Its own folder, and what name resolution and TLS read. */
static int add_agent_rules(int rules, uint64_t handled, const char *store_path)
{
	static const char *const system[] = {"/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve"};
	char folder[4096];
	if (text_format(folder, sizeof folder, "%s/acme", store_path))
		return ERR_RANGE;
	int rc = allow(rules, folder, (READING | WRITING | LANDLOCK_ACCESS_FS_REMOVE_FILE) & handled);
	for (size_t i = 0; !rc && i < sizeof system / sizeof *system; i++)
		rc = allow(rules, system[i], READING);
	return rc;
}

static int add_rules(int rules, uint64_t handled, enum sandbox_role role, const char *store_path)
{
	char lock[4096];
#ifdef __SANITIZE_ADDRESS__ /* the leak check looks at its own process there */
	if (allow(rules, "/proc", READING))
		return ERR_SYSTEM;
#endif
	if (role == SANDBOX_API)
		return OK; /* no file at all */
	if (role == SANDBOX_AGENT)
		return add_agent_rules(rules, handled, store_path);
	if (role == SANDBOX_KEEPER)
		return allow(rules, store_path, (READING | WRITING) & handled);
	/* A reader of the store announces itself in the lock file; the data it may only read. */
	if (text_format(lock, sizeof lock, "%s/lock.mdb", store_path))
		return ERR_RANGE;
	int rc = allow(rules, store_path, READING);
	return rc ? rc : allow(rules, lock, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
}

static int confine_files(enum sandbox_role role, const char *store_path)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1) {
		log_debug("app", "this kernel has no Landlock: access to files is not confined");
		return OK;
	}
	struct landlock_ruleset_attr attr = {.handled_access_fs = handled_by(version)};
	int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (rules < 0)
		return ERR_SYSTEM;
	int rc = add_rules(rules, attr.handled_access_fs, role, store_path);
	if (!rc && syscall(SYS_landlock_restrict_self, rules, 0))
		rc = ERR_SYSTEM;
	close(rules);
	return rc;
}

int sandbox_enter(enum sandbox_role role, const char *store_path, const struct board_seat *seat)
{
	const struct rlimit none = {0, 0};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || setrlimit(RLIMIT_CORE, &none))
		return ERR_SYSTEM;
#ifndef __SANITIZE_ADDRESS__ /* the leak check attaches to its own process */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return ERR_SYSTEM;
#endif
	int rc = role == SANDBOX_SUPERVISOR ? OK : confine_files(role, store_path);
	if (!rc && seat)
		board_confined(seat->board, seat->place, CONFINED_PRIVILEGES);
	return rc;
}
