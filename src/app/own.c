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

enum { SELF_SIGNED_DAYS = 7, CERTIFICATE_MAX = 1 << 20 };

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
	char binding[OWN_BINDING];
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

static int look(void *ctx, struct diag *d, void *reply)
{
	const struct conf *c = ctx;
	char path[OWN_PATH];
	(void)d;
	int rc = own_path(c, "", path);
	rc = rc ? rc : enter_agents_place(c);
	return rc ? rc : acme_state_load(path, c->api.acme.directory, reply);
}

void own_load_state(const struct conf *c, struct acme_state *out)
{
	const struct apart apart = {.body = look, .ctx = (void *)c, .reply = out, .reply_len = sizeof *out};
	struct diag *d = diag_new();
	memset(out, 0, sizeof *out);
	int rc = c->api.tls_mode != CONF_TLS_ACME ? ERR_NOTFOUND : d ? apart_run(&apart, d) : ERR_NOMEM;
	diag_free(&d);
	if (rc && rc != ERR_NOTFOUND)
		log_error("app", "the state of the agent cannot be read (%s); it counts as none",
			error_text(rc));
	if (rc)
		memset(out, 0, sizeof *out);
	acme_state_terminate(out);
}

/* ---- its certificate ---- */

struct want {
	const struct conf *conf;
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
		if (write(to, buffer, (size_t)n) != n)
			break; /* it is memory: all or nothing */
	}
	secure_wipe(buffer, sizeof buffer);
	close(fd);
	return n ? ERR_SYSTEM : OK;
}

/* What is checked is the copy, so that nobody can change it behind. */
static int fetch(void *ctx, struct diag *d, void *reply)
{
	const struct want *w = ctx;
	char path[OWN_PATH];
	(void)reply;
	int rc = own_path(w->conf, ACME_CERTIFICATE_FILE, path);
	rc = rc ? rc : enter_agents_place(w->conf);
	rc = rc ? rc : copy_file(path, w->memory);
	return rc ? rc : tls_check_open(w->memory, path, w->conf->api.host, d);
}

static int sign(void *ctx, struct diag *d, void *reply)
{
	const struct want *w = ctx;
	(void)d;
	(void)reply;
	return tls_self_sign(w->conf->api.host, SELF_SIGNED_DAYS, w->memory);
}

static int make(
	int (*body)(void *ctx, struct diag *d, void *reply), const struct conf *c, struct diag *d, int *fd)
{
	struct want w = {.conf = c};
	int rc = new_memory(c, &w.memory);
	const struct apart apart = {.body = body, .ctx = &w, .keep = w.memory};
	rc = rc ? rc : apart_run(&apart, d);
	rc = rc ? rc : seal(w.memory);
	if (rc && w.memory >= 0)
		close(w.memory);
	*fd = rc ? -1 : w.memory;
	return rc;
}

int own_open_certificate(const struct conf *c, struct diag *d, int *fd)
{
	return make(fetch, c, d, fd);
}

int own_sign_certificate(const struct conf *c, int *fd)
{
	struct diag *d = diag_new();
	int rc = d ? make(sign, c, d, fd) : ERR_NOMEM;
	if (!d)
		*fd = -1;
	diag_free(&d);
	return rc;
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
