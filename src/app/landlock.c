// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights that came after the first version, for headers older than the kernel. */
enum {
	ACCESS_V1 = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	ACCESS_REFER = 1 << 13,
	ACCESS_TRUNCATE = 1 << 14,
	ACCESS_DEVICE_IOCTL = 1 << 15,
	NET_BIND = 1 << 0,
	NET_CONNECT = 1 << 1,
	SCOPE_ABSTRACT_SOCKETS = 1 << 0,
	SCOPE_SIGNALS = 1 << 1,
	OF_FILES = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE
};

/* Of the newest version known here; an older kernel takes the beginning. */
struct attributes {
	uint64_t files, network, scopes;
};

unsigned landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return version < 1 ? 0 : (unsigned)version;
}

static uint64_t file_rights(unsigned version)
{
	uint64_t rights = ACCESS_V1;
	if (version >= 2)
		rights |= ACCESS_REFER;
	if (version >= 3)
		rights |= ACCESS_TRUNCATE;
	if (version >= 5)
		rights |= ACCESS_DEVICE_IOCTL;
	return rights;
}

int landlock_begin(bool connects, struct landlock_rules *out)
{
	unsigned version = landlock_version();
	struct attributes a = {.files = file_rights(version)};
	size_t size = sizeof a.files;
	if (version >= LANDLOCK_WITH_NETWORK) {
		a.network = NET_BIND | (connects ? 0 : NET_CONNECT);
		size += sizeof a.network;
	}
	if (version >= LANDLOCK_WITH_SCOPES) {
		a.scopes = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
		size += sizeof a.scopes;
	}
	out->files = a.files;
	out->fd = (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);
	return out->fd < 0 ? ERR_SYSTEM : OK;
}

static uint64_t rights_of(unsigned access)
{
	uint64_t rights = 0;
	if (access & LANDLOCK_READ)
		rights |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	if (access & LANDLOCK_WRITE)
		rights |= LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | ACCESS_TRUNCATE;
	if (access & (LANDLOCK_REMOVE | LANDLOCK_REPLACE))
		rights |= LANDLOCK_ACCESS_FS_REMOVE_FILE;
	if (access & LANDLOCK_REPLACE)
		rights |= ACCESS_REFER;
	if (access & LANDLOCK_MAKE_FOLDER)
		rights |= LANDLOCK_ACCESS_FS_MAKE_DIR;
	return rights;
}

int landlock_allow(const struct landlock_rules *r, const char *path, unsigned access)
{
	struct stat st;
	struct landlock_path_beneath_attr rule = {.allowed_access = rights_of(access) & r->files};
	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == EACCES ? OK : ERR_SYSTEM;
	long rc = fstat(rule.parent_fd, &st);
	if (!rc && !S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_FILES;
	if (!rc)
		rc = syscall(SYS_landlock_add_rule, r->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	int code = errno;
	close(rule.parent_fd);
	errno = code;
	return rc ? ERR_SYSTEM : OK;
}

int landlock_enter(const struct landlock_rules *r)
{
	return syscall(SYS_landlock_restrict_self, r->fd, 0) ? ERR_SYSTEM : OK;
}

void landlock_end(struct landlock_rules *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}
