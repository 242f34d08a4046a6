// SPDX-License-Identifier: GPL-3.0-or-later
/* Are the files with the certificate usable? */
#include "app/internal.h"
#include "tls/tls.h"

static int check(void *ctx, struct diag *d, void *reply)
{
	const struct conf_api *api = ctx;
	(void)reply;
	return tls_check_certificate(api->tls_certificate, api->tls_key, d);
}

int settings_check_certificate(const struct conf *c, struct diag *d)
{
	const struct apart apart = {.body = check, .ctx = (void *)&c->api};
	return c->api.tls_mode == CONF_TLS_FILES ? apart_run(&apart, d) : OK;
}
