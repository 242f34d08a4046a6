// SPDX-License-Identifier: GPL-3.0-or-later
/* What HTTP requests mean: the acme-dns API (/register, /update, /health), httpreq/acmeproxy (/present,
 * /cleanup) and our own (/v1/, described in openapi.json), under every base path. Knows neither packets nor
 * store: it asks the keeper. One file per endpoint family. */
#pragma once

#include "conf/conf.h"
#include "http/http.h"
#include "ipc/ipc.h"
#include "util/error.h"

struct api_settings {
	const char *url; /* for server_url, no trailing slash; base path of the request is appended. NULL:
			    left out */
	const char *const *base_paths;
	size_t base_path_count;
	/* What keeps the server from doing its work, besides what the keeper knows: one of the error codes of
	 * /health. NULL: nothing. `problem` may be NULL, too. */
	const char *(*problem)(void *ctx);
	void *problem_ctx;
};

/* Classes of requests (http_classify), and their names. */
enum api_class {
	API_OTHER, /* no such path, or refused before it was known */
	API_REGISTER,
	API_UPDATE,
	API_HEALTH,
	API_HTTPREQ,
	API_V1,
	API_ADMIN,
	API_CLASSES
};
extern const char *const api_class_names[API_CLASSES];

struct api;

/* `client` must outlive it; the settings are copied. ERR_NOMEM. ERR_RANGE: a base path longer than 255 bytes.
 */
int api_new(const struct api_settings *s, struct ipc_client *client, struct api **out) MUST_USE;
void api_free(struct api **a);

/* The handler for http_start(); ctx is the struct api. */
void api_handle(void *ctx, struct http_exchange *x, const struct http_request *r);

/* Answers what has been held back long enough; `now` is clock_mono_ms(). Returns when to call it again at the
 * latest, INT64_MAX: nothing waits. */
int64_t api_run(struct api *a, int64_t now);
/* Answers all of it now: before http_stop(). */
void api_flush(struct api *a);
