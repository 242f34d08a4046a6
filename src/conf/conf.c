// SPDX-License-Identifier: GPL-3.0-or-later
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/internal.h"
#include "util/text.h"

enum { CONF_MAX_SIZE = 1 << 20 }; /* bytes of a configuration file */

void conf_free(struct conf **c)
{
	if (!*c)
		return;
	free_table(&conf_schema, *c);
	free((*c)->file);
	free((*c)->api.host);
	free(*c);
	*c = NULL;
}

static int fill(struct load *l, const char *text, size_t len, struct conf *c)
{
	int err = document_open(l, text, len);
	if (err)
		return err;
	const yaml_node_t *root = yaml_document_get_root_node(&l->doc); /* NULL: nothing but comments */
	load_table(l, &conf_schema, root ? 1 : 0, c);
	if (!l->nomem)
		conf_checks(l, c);
	if (l->nomem)
		return ERR_NOMEM;
	return diag_errors(l->d) ? ERR_INVALID : OK;
}

int conf_load_text(const char *text, size_t len, const char *name, struct diag *d, struct conf **out)
{
	*out = NULL;
	if (len > CONF_MAX_SIZE) {
		diag_error(d, name, 0, "larger than %d bytes, surely not a configuration", CONF_MAX_SIZE);
		return ERR_INVALID;
	}
	struct load l = {.file = name, .d = d};
	struct conf *c = calloc(1, sizeof *c);
	int result = ERR_NOMEM;
	if (!c)
		return result;
	if (name && !(c->file = strdup(name)))
		goto fail;
	result = fill(&l, text, len, c);
	document_close(&l);
	if (result)
		goto fail;
	*out = c;
	return OK;
fail:
	conf_free(&c);
	return result;
}

/* At most `cap` bytes; ERR_SYSTEM: see errno. */
static int read_all(const char *file, char *buf, size_t cap, size_t *len)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), result = OK;
	if (fd < 0)
		return ERR_SYSTEM;
	*len = 0;
	for (ssize_t n = 1; n > 0 && *len < cap;) {
		n = read(fd, buf + *len, cap - *len);
		if (n > 0)
			*len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			result = ERR_SYSTEM;
	}
	int saved = errno;
	close(fd);
	errno = saved;
	return result;
}

int conf_load(const char *file, struct diag *d, struct conf **out)
{
	size_t cap = CONF_MAX_SIZE + 1, len; /* the one more is how we learn that a file is too large */
	char *text = malloc(cap);
	int result = ERR_INVALID;
	*out = NULL;
	if (!text)
		return ERR_NOMEM;
	if (read_all(file, text, cap, &len))
		diag_error(d, file, 0, "cannot be read: %s", strerror(errno));
	else
		result = conf_load_text(text, len, file, d, out);
	free(text);
	return result;
}

static const char local_text[] = "zones:\n"
				 "  - name: auth.test\n"
				 "    nameservers:\n"
				 "      - {name: ns1.auth.test, addresses: 127.0.0.1}\n"
				 "    contact: hostmaster@auth.test\n"
				 "dns:\n"
				 "  listen: ['127.0.0.1:5353', '[::1]:5353']\n"
				 "api:\n"
				 "  listen: 127.0.0.1:8443\n"
				 "  tls: {mode: off}\n";

/* XDG Base Directory Specification 0.8: a relative path is to be ignored. NULL: out of memory. */
/* Where the local instance keeps its store. Root has a home too, but what root starts does not run as root,
 * and would not get into a home that is closed to others. ERR_NOTFOUND: nowhere. */
static int local_store(char **out)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	*out = NULL;
	int n;
	if (xdg && xdg[0] == '/')
		n = asprintf(out, "%s/acme-delegate", xdg);
	else if (geteuid() == 0)
		n = asprintf(out, "/var/lib/acme-delegate-local");
	else if (home && home[0] == '/')
		n = asprintf(out, "%s/.local/state/acme-delegate", home);
	else
		return ERR_NOTFOUND;
	return n < 0 ? ERR_NOMEM : OK;
}

/* Puts the local instance's files into its own folder. A path that is too long for a socket is no reason not
 * to start. Takes over `path`. */
static int settle_local(struct conf *c, char *path, struct diag *d)
{
	free(c->store_path);
	c->store_path = path;
	free(c->admin.socket);
	if (asprintf(&c->admin.socket, "%s/admin.sock", path) < 0) {
		c->admin.socket = NULL;
		return ERR_NOMEM;
	}
	if (strlen(c->admin.socket) > CONF_MAX_SOCKET) {
		diag_warning(d, NULL, 0, "no admin socket: the path %s is too long for one", c->admin.socket);
		free(c->admin.socket);
		c->admin.socket = NULL;
	}
	return OK;
}

int conf_local(struct diag *d, struct conf **out)
{
	char *path;
	struct conf *c;
	*out = NULL;
	int err = local_store(&path);
	if (err == ERR_NOTFOUND) {
		diag_error(d, NULL, 0,
			"no place for the store: neither XDG_STATE_HOME nor HOME is an absolute path");
		return ERR_INVALID;
	}
	if (err)
		return err;
	err = conf_load_text(local_text, sizeof local_text - 1, NULL, d, &c);
	if (err) {
		free(path);
		return err;
	}
	err = settle_local(c, path, d);
	if (err)
		conf_free(&c);
	*out = c;
	return err;
}
