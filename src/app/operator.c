// SPDX-License-Identifier: GPL-3.0-or-later
/* The operator's two ways in: the admin socket, and the bearer token of the HTTP API. */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/internal.h"
#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

enum { TOKEN_MIN = 32, TOKEN_MAX = 64, BACKLOG = 16 };

/* ---- the token ---- */

int operator_load(const char *path, struct diag *d, uint8_t digest[static SECURE_DIGEST_SIZE])
{
	char text[TOKEN_MAX + 3]; /* line ends of either kind, and one byte too many */
	size_t len;
	int rc = secret_file_read("admin.token_file", path, d, text, sizeof text, &len);
	if (!rc && len && text[len - 1] == '\n')
		len--;
	if (!rc && len && text[len - 1] == '\r')
		len--;
	if (!rc && (len < TOKEN_MIN || len > TOKEN_MAX || !text_is_base64url(text, len))) {
		diag_error(d, path, 1,
			"a token is one line of %d to %d characters of A-Z, a-z, 0-9, - and _; make one with: "
			"openssl rand -hex 24",
			TOKEN_MIN, TOKEN_MAX);
		rc = ERR_INVALID;
	}
	rc = rc ? rc : secure_sha256(text, len, digest);
	secure_wipe(text, sizeof text);
	return rc;
}

int settings_load_operator(struct settings *s, struct diag *d)
{
	const char *path = s->conf->admin.token_file;
	memset(s->operator_digest, 0, sizeof s->operator_digest);
	return path ? operator_load(path, d, s->operator_digest) : OK;
}

/* ---- the socket ---- */

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int rc = text_format(a.sun_path, sizeof a.sun_path, "%s", path);
	(void)rc; /* conf has checked its length */
	return a;
}

/* A file of that name: ERR_BUSY: a server listens there. ERR_EXISTS: it is no socket. OK: there is none, or
 * it was left over and is gone now. */
static int clear_way(const struct sockaddr_un *a)
{
	struct stat st;
	if (lstat(a->sun_path, &st))
		return errno == ENOENT ? OK : ERR_SYSTEM;
	if (!S_ISSOCK(st.st_mode))
		return ERR_EXISTS;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_SYSTEM;
	int taken = connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno != ECONNREFUSED;
	close(fd);
	if (taken)
		return ERR_BUSY;
	return unlink(a->sun_path) ? ERR_SYSTEM : OK;
}

/* Whose it is, and whose members may use it. */
static int hand_over(const struct conf *c, const char *path, struct diag *d)
{
	const struct group *g = c->admin.group ? getgrnam(c->admin.group) : NULL;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (c->admin.group && !g) {
		diag_error(d, c->file, 0, "admin.group: there is no group \"%s\"", c->admin.group);
		return ERR_NOTFOUND;
	}
	int rc = privileges_account(c, d, &uid, &gid);
	if (rc)
		return rc;
	gid = g ? g->gr_gid : gid;
	if ((uid != geteuid() || gid != getegid()) && lchown(path, uid, gid))
		return ERR_SYSTEM;
	return chmod(path, g ? 0660 : 0600) ? ERR_SYSTEM : OK;
}

static int bind_at(const struct conf *c, const struct sockaddr_un *a, struct diag *d, int *fd)
{
	int rc = clear_way(a);
	if (rc)
		return rc;
	*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return ERR_SYSTEM;
	mode_t before = umask(0177); /* nobody connects before it is known who may */
	rc = bind(*fd, (const struct sockaddr *)a, sizeof *a) ? ERR_SYSTEM : OK;
	umask(before);
	rc = rc ? rc : hand_over(c, a->sun_path, d);
	return rc || listen(*fd, BACKLOG) == 0 ? rc : ERR_SYSTEM;
}

static const char *reason(int rc)
{
	return rc == ERR_BUSY     ? "another server listens there"
	       : rc == ERR_EXISTS ? "there is a file of that name that is no socket"
				  : strerror(errno);
}

int operator_bind(const struct conf *c, struct diag *d, struct admin_socket *out)
{
	struct stat st;
	size_t before = diag_errors(d);
	*out = (struct admin_socket){.fd = -1};
	if (!c->admin.socket)
		return OK;
	const struct sockaddr_un a = address_of(c->admin.socket);
	int rc = privileges_make_folder_for(c, a.sun_path, d);
	rc = rc ? rc : bind_at(c, &a, d, &out->fd);
	if (!rc && !lstat(a.sun_path, &st)) {
		out->device = st.st_dev;
		out->inode = st.st_ino;
		return OK;
	}
	if (out->fd >= 0)
		close(out->fd);
	out->fd = -1;
	if (!c->admin.socket_given && diag_errors(d) == before) {
		log_warning("app",
			"no admin socket at %s (%s): \"acme-delegate status\" and the like will not work",
			a.sun_path, reason(rc));
		return OK;
	}
	if (diag_errors(d) == before)
		diag_error(d, a.sun_path, 0, "cannot make the admin socket: %s", reason(rc));
	return ERR_SYSTEM;
}

void operator_unlink(const struct conf *c, const struct admin_socket *s)
{
	struct stat st;
	if (s->fd < 0 || lstat(c->admin.socket, &st) || st.st_dev != s->device || st.st_ino != s->inode)
		return; /* somebody else's by now */
	if (unlink(c->admin.socket))
		log_debug("app", "cannot remove the admin socket");
}
