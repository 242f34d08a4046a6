// SPDX-License-Identifier: GPL-3.0-or-later
/* Are the files with the certificate usable? */
#include "app/internal.h"
#include "tls/tls.h"

struct question {
	const struct conf_api *api;
	struct diag *d;
};

static int check(void *ctx, int to)
{
	const struct question *q = ctx;
	struct diag *d = diag_new();
	int rc = d ? tls_check_certificate(q->api->tls_certificate, q->api->tls_key, d) : ERR_NOMEM;
	return d && diag_send(d, to) ? ERR_SYSTEM : rc;
}

static int take(void *ctx, int from)
{
	return diag_receive(((struct question *)ctx)->d, from);
}

int settings_check_certificate(const struct conf *c, struct diag *d)
{
	struct question q = {&c->api, d};
	return c->api.tls_mode == CONF_TLS_FILES ? apart_run(check, take, &q, -1) : OK;
}
