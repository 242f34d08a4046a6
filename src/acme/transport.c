// SPDX-License-Identifier: GPL-3.0-or-later
#include "acme/transport.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/text.h"
#include "version.h"

/* libcurl's default is the folder it is in: hundreds of files for each connection. */
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

enum { HEADERS_MAX = 64 * 1024 };

struct transport {
	CURL *easy;
	CURLM *multi;
	int stop;
	char error[CURL_ERROR_SIZE];
};

/* What the callbacks of one transfer write to. */
struct transfer {
	const struct request *request;
	struct response *response;
	size_t room, header_bytes;
	const char *problem; /* why a callback ended it */
	bool nomem;
};

static bool make_room(struct transfer *x, size_t need)
{
	if (need <= x->room)
		return true;
	size_t room = 2 * need;
	char *body = realloc(x->response->body, room);
	if (!body) {
		x->nomem = true;
		return false;
	}
	x->response->body = body;
	x->room = room;
	return true;
}

static size_t on_body(char *data, size_t one, size_t len, void *ctx)
{
	struct transfer *x = ctx;
	struct response *r = x->response;
	(void)one;
	if (len > TRANSPORT_MAX - r->len) {
		x->problem = "its answer is larger than 256 KiB";
		return CURL_WRITEFUNC_ERROR;
	}
	if (!make_room(x, r->len + len + 1))
		return CURL_WRITEFUNC_ERROR;
	memcpy(r->body + r->len, data, len);
	r->len += len;
	r->body[r->len] = 0;
	return len;
}

static size_t on_header(char *data, size_t one, size_t len, void *ctx)
{
	struct transfer *x = ctx;
	(void)one;
	x->header_bytes += len;
	if (x->header_bytes > HEADERS_MAX) {
		x->problem = "the header of its answer is larger than 64 KiB";
		return CURL_WRITEFUNC_ERROR;
	}
	/* An answer of the informational kind (1xx) came before this one. */
	if (len > 5 && memcmp(data, "HTTP/", 5) == 0) {
		char *body = x->response->body;
		*x->response = (struct response){.retry_after = -1, .body = body, .len = x->response->len};
	}
	response_header(x->response, x->request->url, data, len, clock_wall_ms());
	return len;
}

/* What holds for every request. False: libcurl has no memory, or was built without HTTPS. */
static bool set_up(CURL *e, const char *ca_file, int64_t request_ms, char *error)
{
	long ms = (long)request_ms;
	CURLcode r = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https");
	r |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	r |= curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, ms);
	r |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, ms);
	r |= curl_easy_setopt(
		e, CURLOPT_QUICK_EXIT, 1L); /* a resolver that does not answer must not hold us */
	r |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	r |= curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	r |= curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	r |= curl_easy_setopt(e, CURLOPT_USERAGENT, "acme-delegate/" VERSION);
	r |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, error);
	r |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	r |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	if (!ca_file && access(SYSTEM_ROOTS, R_OK) == 0)
		ca_file = SYSTEM_ROOTS;
	if (ca_file) {
		r |= curl_easy_setopt(e, CURLOPT_CAINFO, ca_file);
		r |= curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
	return r == CURLE_OK;
}

int transport_new(const char *ca_file, int64_t request_ms, int stop, struct transport **out)
{
	struct transport *t = *out = calloc(1, sizeof *t);
	if (!t)
		return ERR_NOMEM;
	t->stop = stop;
	t->easy = curl_easy_init();
	t->multi = curl_multi_init();
	if (t->easy && t->multi && set_up(t->easy, ca_file, request_ms, t->error))
		return OK;
	transport_free(out);
	return ERR_NOMEM;
}

void transport_free(struct transport **t)
{
	if (!*t)
		return;
	curl_easy_cleanup((*t)->easy);
	curl_multi_cleanup((*t)->multi);
	free(*t);
	*t = NULL;
}

void response_free(struct response *r)
{
	free(r->body);
	r->body = NULL;
	r->len = 0;
}

int transport_wait(int stop, int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;
	struct pollfd p = {.fd = stop, .events = POLLIN};
	for (;;) {
		int64_t left = end - clock_mono_ms();
		int n = poll(&p, 1, left <= 0 ? 0 : left > 3600000 ? 3600000 : (int)left);
		if (n > 0)
			return ERR_CLOSED;
		if (left <= 0)
			return OK;
	}
}

/* Moves the transfer until it has ended. *result is libcurl's word on how. */
static int drive(struct transport *t, CURLcode *result)
{
	struct curl_waitfd stop = {.fd = t->stop, .events = CURL_WAIT_POLLIN};
	for (;;) {
		int running, left;
		CURLMcode m = curl_multi_perform(t->multi, &running);
		const CURLMsg *done = curl_multi_info_read(t->multi, &left);
		if (done && done->msg == CURLMSG_DONE) {
			*result = done->data.result;
			return OK;
		}
		if (m == CURLM_OK)
			m = curl_multi_poll(t->multi, &stop, 1, 1000, NULL);
		if (m != CURLM_OK)
			return ERR_NOMEM;
		if (stop.revents)
			return ERR_CLOSED;
	}
}

static struct curl_slist *header_lines(const struct request *q)
{
	char accept[128];
	/* RFC 8555 section 6.2 */
	struct curl_slist *list =
		curl_slist_append(NULL, q->body ? "Content-Type: application/jose+json" : "Expect:");
	if (!list || !q->accept || text_format(accept, sizeof accept, "Accept: %s", q->accept))
		return list;
	struct curl_slist *longer = curl_slist_append(list, accept);
	if (!longer)
		curl_slist_free_all(list);
	return longer;
}

static bool prepare(CURL *e, const struct request *q, struct curl_slist *lines, struct transfer *x)
{
	CURLcode r = curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	if (q->body) {
		r |= curl_easy_setopt(e, CURLOPT_POST, 1L);
		r |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)strlen(q->body));
		r |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body);
	}
	r |= curl_easy_setopt(e, CURLOPT_NOBODY, q->head ? 1L : 0L);
	r |= curl_easy_setopt(e, CURLOPT_URL, q->url);
	r |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, lines);
	r |= curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
	r |= curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
	return r == CURLE_OK;
}

static int conclude(
	struct transport *t, const struct transfer *x, CURLcode result, char why[static ACME_TEXT])
{
	if (x->nomem || result == CURLE_OUT_OF_MEMORY)
		return ERR_NOMEM;
	if (result != CURLE_OK) {
		const char *text = x->problem  ? x->problem
				   : *t->error ? t->error
					       : curl_easy_strerror(result);
		if (text_format(why, ACME_TEXT, "%s", text))
			why[ACME_TEXT - 1] = 0; /* the beginning says enough */
		return ERR_AGAIN;
	}
	return curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &x->response->status) == CURLE_OK
		       ? OK
		       : ERR_NOMEM;
}

int transport_send(
	struct transport *t, const struct request *q, struct response *out, char why[static ACME_TEXT])
{
	*out = (struct response){.retry_after = -1};
	struct transfer x = {.request = q, .response = out};
	CURLcode result = CURLE_OUT_OF_MEMORY;
	why[0] = t->error[0] = 0;
	struct curl_slist *lines = header_lines(q);
	int rc = lines && make_room(&x, 1) && prepare(t->easy, q, lines, &x) ? OK : ERR_NOMEM;
	if (!rc) {
		out->body[0] = 0;
		rc = curl_multi_add_handle(t->multi, t->easy) == CURLM_OK ? drive(t, &result) : ERR_NOMEM;
		(void)curl_multi_remove_handle(t->multi, t->easy);
	}
	if (!rc)
		rc = conclude(t, &x, result, why);
	curl_slist_free_all(lines);
	if (rc)
		response_free(out);
	return rc;
}
