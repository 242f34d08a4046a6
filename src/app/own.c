// SPDX-License-Identifier: GPL-3.0-or-later
/* The certificate that the agent gets: from its folder to the processes that use it. It goes by way of a
 * piece of memory that nobody can change any more, as a descriptor: the supervisor hands it on and never
 * reads the key, and those that use it need no file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acme/acme.h"
#include "app/internal.h"
#include "ipc/ipc.h"
#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

enum {
	SELF_SIGNED_DAYS = 7,
	BINDING_MAX = 1024, /* characters of an HMAC key */
	CERTIFICATE_MAX = 1 << 20
};

/* ---- the folder ---- */

int own_path(const struct conf *c, const char *file, char out[static OWN_PATH])
{
	return text_format(out, OWN_PATH, "%s/acme%s%s", c->store_path, *file ? "/" : "", file);
}

/* Who can read it has the API's key, who can write it chooses that key. */
static int check_folder(const char *path, struct diag *d)
{
	struct stat st;
	if (lstat(path, &st)) {
		diag_error(d, path, 0, "cannot be looked at: %s", strerror(errno));
		return ERR_SYSTEM;
	}
	if (!S_ISDIR(st.st_mode))
		diag_error(d, path, 0, "is not a folder; api.tls.mode acme keeps its keys there");
	else if (st.st_uid != geteuid())
		diag_error(d, path, 0, "belongs to another account than the server runs as; use: chown %u %s",
			(unsigned)geteuid(), path);
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		diag_error(d, path, 0, "holds keys and is open to others; use: chmod 700 %s", path);
	else
		return OK;
	return ERR_INVALID;
}

int own_make_folder(const struct conf *c, struct diag *d)
{
	char path[OWN_PATH];
	if (c->api.tls_mode != CONF_TLS_ACME)
		return OK;
	if (own_path(c, "", path))
		return ERR_RANGE;
	if (mkdir(path, 0700) && errno != EEXIST) {
		diag_error(d, path, 0, "cannot create the folder: %s", strerror(errno));
		return ERR_SYSTEM;
	}
	return check_folder(path, d);
}

/* ---- files that the configuration names ---- */

int own_load_binding(const struct conf *c, struct diag *d, char *text, size_t cap)
{
	const char *path = c->api.acme.eab_hmac_key_file;
	size_t len = 0;
	text[0] = 0;
	if (!path)
		return OK;
	int rc = secret_file_read("api.tls.acme.eab_hmac_key_file", path, d, text, cap - 1, &len);
	while (len && strchr(" \t\r\n=", text[len - 1])) /* padding is for other forms of base64 */
		len--;
	text[len] = 0;
	if (rc || (len && text_is_base64url(text, len)))
		return rc;
	diag_error(d, path, 0, "is not one line of base64url, as the CA gives out HMAC keys");
	return ERR_INVALID;
}

int own_check_files(const struct conf *c, struct diag *d)
{
	char binding[BINDING_MAX];
	const char *roots = c->api.acme.ca_file;
	if (c->api.tls_mode != CONF_TLS_ACME)
		return OK;
	int rc = own_load_binding(c, d, binding, sizeof binding);
	secure_wipe(binding, sizeof binding);
	if (!roots || access(roots, R_OK) == 0)
		return rc;
	diag_error(d, roots, 0, "api.tls.acme.ca_file cannot be read: %s", strerror(errno));
	return ERR_SYSTEM;
}

/* The folder is written by a process that talks to the world: whoever reads it has its rights, and no more.
 */
static int enter_agents_place(const struct conf *c)
{
	return sandbox_enter(SANDBOX_AGENT, c->store_path, NULL);
}

/* ---- its state ---- */

struct look {
	const struct conf *conf;
	struct acme_state *state;
};

static bool move(ssize_t (*one)(int fd, void *data, size_t len), int fd, void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = one(fd, (char *)data + done, len - done);
		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static ssize_t write_some(int fd, void *data, size_t len)
{
	return write(fd, data, len);
}

static int say_state(void *ctx, int to)
{
	const struct look *l = ctx;
	struct acme_state state;
	char path[OWN_PATH];
	int rc = own_path(l->conf, "", path);
	rc = rc ? rc : enter_agents_place(l->conf);
	rc = rc ? rc : acme_state_load(path, l->conf->api.acme.directory, &state);
	if (!rc && !move(write_some, to, &state, sizeof state))
		rc = ERR_SYSTEM;
	return rc;
}

static int take_state(void *ctx, int from)
{
	const struct look *l = ctx;
	return move(read, from, l->state, sizeof *l->state) ? OK : ERR_SYSTEM;
}

static void terminate(struct acme_state *s)
{
	s->account[sizeof s->account - 1] = 0;
	s->error[sizeof s->error - 1] = 0;
	for (size_t i = 0; i < ACME_IDENTITIES; i++)
		s->identities[i][ACME_TEXT - 1] = 0;
}

void own_load_state(const struct conf *c, struct acme_state *out)
{
	struct look l = {c, out};
	memset(out, 0, sizeof *out);
	if (c->api.tls_mode != CONF_TLS_ACME)
		return;
	int rc = apart_run(say_state, take_state, &l, -1);
	if (rc && rc != ERR_NOTFOUND)
		log_error("app", "the state of the agent cannot be read (%s); it counts as none",
			error_text(rc));
	if (rc)
		memset(out, 0, sizeof *out);
	terminate(out);
}

/* ---- its certificate ---- */

struct want {
	const struct conf *conf;
	struct diag *d;
	int memory;
};

/* Where the kernel has no such memory: a file in the folder that has no name. */
static int new_memory(const struct conf *c, int *fd)
{
	char path[OWN_PATH];
	*fd = memfd_create("certificate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0 && !own_path(c, "", path))
		*fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return *fd < 0 ? ERR_SYSTEM : OK;
}

/* A file cannot be sealed; nobody but this process and its children has it. */
static int seal(int fd)
{
	if (fcntl(fd, F_GET_SEALS) < 0)
		return OK;
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) ? ERR_SYSTEM
												: OK;
}

static int copy_file(const char *path, int to)
{
	char buffer[4096];
	size_t all = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_SYSTEM;
	while ((n = read(fd, buffer, sizeof buffer)) > 0 && all < CERTIFICATE_MAX) {
		all += (size_t)n;
		if (!move(write_some, to, buffer, (size_t)n))
			break;
	}
	secure_wipe(buffer, sizeof buffer);
	close(fd);
	return n ? ERR_SYSTEM : OK;
}

/* What is checked is the copy, so that nobody can change it behind. */
static int fetch(void *ctx, int to)
{
	const struct want *w = ctx;
	char path[OWN_PATH];
	struct diag *d = diag_new();
	int rc = d ? own_path(w->conf, ACME_CERTIFICATE_FILE, path) : ERR_NOMEM;
	rc = rc ? rc : enter_agents_place(w->conf);
	rc = rc ? rc : copy_file(path, w->memory);
	rc = rc ? rc : tls_check_open(w->memory, path, w->conf->api.host, d);
	return d && diag_send(d, to) ? ERR_SYSTEM : rc;
}

static int take_diag(void *ctx, int from)
{
	const struct want *w = ctx;
	return diag_receive(w->d, from);
}

static int sign(void *ctx, int to)
{
	const struct want *w = ctx;
	(void)to;
	return tls_self_sign(w->conf->api.host, SELF_SIGNED_DAYS, w->memory);
}

static int make(apart_job *job, apart_take *take, struct want *w, int *fd)
{
	int rc = new_memory(w->conf, &w->memory);
	rc = rc ? rc : apart_run(job, take, w, w->memory);
	rc = rc ? rc : seal(w->memory);
	if (rc && w->memory >= 0)
		close(w->memory);
	*fd = rc ? -1 : w->memory;
	return rc;
}

int own_open_certificate(const struct conf *c, struct diag *d, int *fd)
{
	return make(fetch, take_diag, &(struct want){.conf = c, .d = d}, fd);
}

int own_sign_certificate(const struct conf *c, int *fd)
{
	return make(sign, NULL, &(struct want){.conf = c}, fd);
}

/* ---- those who use it ---- */

int own_tls_context(const struct conf_api *c, const struct own_certificate *from, const char *protocol,
	struct tls_context **out)
{
	if (from->fd >= 0)
		return tls_context_open(from->fd, protocol, out);
	return c->tls_mode == CONF_TLS_FILES ? tls_context_new(c->tls_certificate, c->tls_key, protocol, out)
					     : ERR_INVALID;
}

bool own_take_newer(const struct own_certificate *from, struct tls_context *tls)
{
	int fd, rc;
	uint8_t kind;
	while (!(rc = ipc_receive_channel(from->line, &fd, &kind)) || rc == ERR_INVALID) {
		if (rc)
			continue;
		rc = tls_context_renew(tls, fd);
		close(fd);
		if (rc)
			log_error("app", "a new certificate cannot be used (%s); the old one stays",
				error_text(rc));
		else
			log_info("app", "the new certificate is in use");
	}
	return rc == ERR_AGAIN;
}
