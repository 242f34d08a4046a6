// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cap-ng.h>

#include "app/internal.h"
#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

static const char default_user[] = "acme-delegate";
static const char fallback_user[] = "nobody";

static const struct passwd *find_user(const struct conf *c, struct diag *d)
{
	const struct passwd *p = getpwnam(c->user ? c->user : default_user);
	if (!p && !c->user)
		p = getpwnam(fallback_user);
	if (!p)
		diag_error(d, c->file, 0,
			"there is no account \"%s\" to run as; create it or set the key \"user\"",
			c->user ? c->user : default_user);
	return p;
}

static int check_cookies(const struct conf *c, struct diag *d)
{
	struct dns_cookie_secrets unused;
	int rc = c->dns.cookie_secret_file ? cookies_load(c->dns.cookie_secret_file, d, &unused) : OK;
	secure_wipe(&unused, sizeof unused);
	return rc;
}

static int check_token(const struct conf *c, struct diag *d)
{
	uint8_t unused[SECURE_DIGEST_SIZE];
	return c->admin.token_file ? operator_load(c->admin.token_file, d, unused) : OK;
}

/* Checks the files with the rights of the account to run as, and comes back. */
static int check_as(const struct passwd *p, const struct conf *c, struct diag *d)
{
	if (setgroups(0, NULL) || setegid(p->pw_gid) || seteuid(p->pw_uid)) {
		diag_error(d, NULL, 0, "cannot become the account \"%s\": %s", p->pw_name, strerror(errno));
		return ERR_SYSTEM;
	}
	struct diag *unused = diag_new(); /* said in other words below */
	int rc = unused ? settings_check_certificate(c, unused) : ERR_NOMEM;
	int cookies = unused ? check_cookies(c, unused) : ERR_NOMEM;
	int token = unused ? check_token(c, unused) : ERR_NOMEM;
	diag_free(&unused);
	if (seteuid(0) || setegid(0))
		return ERR_SYSTEM;
	if (rc)
		diag_error(d, c->file, 0,
			"api.tls: the account \"%s\", as which the server runs, cannot read certificate or key; "
			"give it access to both, also to those that renewals write",
			p->pw_name);
	if (cookies)
		diag_error(d, c->file, 0,
			"dns.cookie_secret_file: the account \"%s\", as which the server runs, cannot read it, "
			"and could not when it is told to reload; give it to that account's group, mode 640",
			p->pw_name);
	if (token)
		diag_error(d, c->file, 0,
			"admin.token_file: the account \"%s\", as which the server runs, cannot read it, and could "
			"not when it is told to reload; give it to that account's group, mode 640",
			p->pw_name);
	return rc ? rc : cookies ? cookies : token;
}

int privileges_check_files(const struct conf *c, struct diag *d)
{
	int rc = settings_check_certificate(c, d);
	rc = rc ? rc : check_cookies(c, d);
	rc = rc ? rc : check_token(c, d);
	if (rc || geteuid() != 0)
		return rc;
	const struct passwd *p = find_user(c, d);
	return p ? check_as(p, c, d) : ERR_NOTFOUND;
}

/* Creates the folders above a path, as mkdir -p does. */
static int make_parents(const char *path, struct diag *d)
{
	char part[4096];
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		if (text_format(part, sizeof part, "%.*s", (int)(slash - path), path))
			return ERR_RANGE;
		if (mkdir(part, 0755) && errno != EEXIST) {
			diag_error(d, part, 0, "cannot create the folder: %s", strerror(errno));
			return ERR_SYSTEM;
		}
	}
	return OK;
}

/* A new folder goes to the account that will use it; one that is there is left as it is. */
static int make_folder(const char *path, uid_t uid, gid_t gid, mode_t mode, struct diag *d)
{
	if (mkdir(path, mode)) {
		if (errno == EEXIST)
			return OK;
	} else if ((uid == geteuid() && gid == getegid()) || !chown(path, uid, gid)) {
		return OK;
	}
	diag_error(d, path, 0, "cannot create the folder: %s", strerror(errno));
	return ERR_SYSTEM;
}

static int become(const struct passwd *p, struct diag *d)
{
	capng_clear(CAPNG_SELECT_BOTH);
	/* Also for root: without capabilities it is an ordinary account, though one that owns the system's
	 * files. */
	int rc = p->pw_uid ? capng_change_id((int)p->pw_uid, (int)p->pw_gid,
				     CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING)
			   : capng_apply(CAPNG_SELECT_BOTH);
	if (rc) {
		diag_error(d, NULL, 0, "cannot become the account \"%s\" (libcap-ng says %d, %s)", p->pw_name,
			rc, strerror(errno));
		return ERR_SYSTEM;
	}
	if (!p->pw_uid)
		log_warning(
			"app", "running as root, as the configuration asks; an account of its own is safer");
	return OK;
}

/* Started without root, perhaps with CAP_NET_BIND_SERVICE from a service manager: that has served its
 * purpose. */
static int drop_capabilities(struct diag *d)
{
	/* Who has none needs no call for it, which a service manager may have forbidden. */
	if (capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE)
		return OK;
	capng_clear(CAPNG_SELECT_CAPS);
	if (!capng_apply(CAPNG_SELECT_CAPS))
		return OK;
	diag_error(d, NULL, 0, "cannot drop capabilities: %s", strerror(errno));
	return ERR_SYSTEM;
}

/* Started as root: which account to become. */
static const struct passwd *choose_user(const struct conf *c, struct diag *d)
{
	const struct passwd *p = find_user(c, d);
	if (p && !c->user && strcmp(p->pw_name, fallback_user) == 0)
		log_warning("app",
			"running as \"%s\", because there is no account \"%s\"; create one with: "
			"useradd --system --no-create-home --shell /usr/sbin/nologin %s",
			fallback_user, default_user, default_user);
	return p;
}

int privileges_account(const struct conf *c, struct diag *d, uid_t *uid, gid_t *gid)
{
	*uid = geteuid();
	*gid = getegid();
	if (*uid != 0)
		return OK;
	const struct passwd *p = find_user(c, d);
	if (!p)
		return ERR_NOTFOUND;
	*uid = p->pw_uid;
	*gid = p->pw_gid;
	return OK;
}

int privileges_make_folder_for(const struct conf *c, const char *file, struct diag *d)
{
	char folder[4096];
	uid_t uid;
	gid_t gid;
	const char *slash = strrchr(file, '/');
	if (!slash || slash == file)
		return OK;
	if (text_format(folder, sizeof folder, "%.*s", (int)(slash - file), file))
		return ERR_RANGE;
	struct stat st;
	if (!stat(folder, &st))
		return OK;
	int rc = privileges_account(c, d, &uid, &gid);
	rc = rc ? rc : make_parents(folder, d);
	return rc ? rc : make_folder(folder, uid, gid, 0755, d);
}

int privileges_drop(const struct conf *c, struct diag *d)
{
	int rc = make_parents(c->store_path, d);
	if (rc)
		return rc;
	if (geteuid() != 0) {
		rc = make_folder(c->store_path, geteuid(), getegid(), 0700, d);
		return rc ? rc : drop_capabilities(d);
	}
	const struct passwd *p = choose_user(c, d);
	if (!p)
		return ERR_NOTFOUND;
	rc = make_folder(c->store_path, p->pw_uid, p->pw_gid, 0700, d);
	return rc ? rc : become(p, d);
}

int privileges_drop_to_read(const struct conf *c, struct diag *d)
{
	if (geteuid() != 0)
		return drop_capabilities(d);
	const struct passwd *p = choose_user(c, d);
	return p ? become(p, d) : ERR_NOTFOUND;
}
