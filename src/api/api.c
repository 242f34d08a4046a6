// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "util/scarce.h"
#include "util/secure.h"

/* ---- paths ---- */

/* Repeated slashes become one and a final one goes: clients join "<base>/" and "/update". */
static int MUST_USE clean_path(const char *path, char *out, size_t max)
{
	size_t n = 0;
	for (; *path; path++) {
		if (*path == '/' && (path[1] == '/' || !path[1]))
			continue;
		if (n == max)
			return ERR_RANGE;
		out[n++] = *path;
	}
	out[n] = 0;
	return OK;
}

/* Takes the part up to the next slash off; the rest then begins with that slash or is empty. */
static size_t part_length(const char *s)
{
	return strcspn(s, "/");
}

/* Does the path have the form of the pattern? Parameters are left in *c as they stand in `path`, not yet
 * ended. */
static bool matches(const char *pattern, const char *path, struct context *c)
{
	size_t count = 0;
	memset(c->params, 0, sizeof c->params);
	while (*pattern == '/' && *path == '/') {
		size_t want = part_length(++pattern), have = part_length(++path);
		if (*pattern == '{' && have && count < PARAMS_MAX)
			c->params[count++] = path;
		else if (want != have || memcmp(pattern, path, have) != 0)
			return false;
		pattern += want;
		path += have;
	}
	return !*pattern && !*path;
}

/* RFC 9110 section 9.3.2: HEAD is GET without the body. Methods are case-sensitive: section 9.1. */
static bool has_method(const struct route *r, const char *method)
{
	return strcmp(r->method, method) == 0 ||
	       (strcmp(r->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

struct found {
	const struct route *route; /* with the method; NULL: none */
	const struct route *any;   /* with the path at least */
	char allow[64];
};

static void add_allowed(struct found *f, const char *method)
{
	const char *text = strcmp(method, "GET") == 0 ? "GET, HEAD" : method;
	size_t len = strlen(f->allow);
	(void)snprintf(f->allow + len, sizeof f->allow - len, "%s%s", len ? ", " : "", text);
}

static bool find_below(const char *path, unsigned flags, struct context *c, struct found *f)
{
	size_t count;
	struct context tried = *c;
	const struct route *routes = api_routes(&count);
	for (size_t i = 0; i < count; i++) {
		const struct route *r = &routes[i];
		if ((r->flags & flags) != flags || !matches(r->path, path, &tried))
			continue;
		f->any = r;
		add_allowed(f, r->method);
		if (!f->route && has_method(r, c->request->method)) {
			f->route = r;
			memcpy(c->params, tried.params, sizeof c->params);
		}
	}
	return f->any;
}

/* "/t/<token>/register": for clients that let their users set a base URL and nothing else. */
static bool find_with_token(char *path, struct context *c, struct found *f)
{
	if (strncmp(path, "/t/", 3) != 0)
		return false;
	char *token = path + 3, *rest = token + part_length(token);
	if (rest == token || !*rest || !find_below(rest, ROUTE_TOKEN, c, f))
		return false;
	c->token = token;
	return true;
}

static bool find_route(char *path, struct context *c, struct found *f)
{
	for (size_t i = 0; i < c->api->base_count; i++) {
		const struct base_path *b = &c->api->bases[i];
		size_t len = strlen(b->path);
		if (strncmp(path, b->path, len) != 0)
			continue;
		c->base = b;
		if (strncmp(path + len, "/v1/", 4) == 0)
			c->manner = strncmp(path + len, "/v1/admin/", 10) == 0 ? MANNER_OPERATOR : MANNER_KEY;
		if (find_below(path + len, 0, c, f) || find_with_token(path + len, c, f))
			return true;
	}
	return false;
}

/* Ends a text of the path at the next slash. */
static void end_part(const char *part)
{
	if (part)
		((char *)part)[part_length(part)] = 0;
}

static void run(struct context *c, const struct found *f)
{
	for (size_t i = 0; i < PARAMS_MAX; i++)
		end_part(c->params[i]);
	end_part(c->token);
	f->route->run(c);
}

const char *const api_class_names[API_CLASSES] = {
	"other", "register", "update", "health", "httpreq", "v1", "admin"};

_Static_assert((int)API_CLASSES <= (int)HTTP_CLASSES, "each class has a counter");

static enum api_class class_of(const struct route *r)
{
	static const struct {
		const char *end;
		enum api_class class;
	} names[] = {{"/register", API_REGISTER}, {"/update", API_UPDATE}, {"/health", API_HEALTH},
		{"/present", API_HTTPREQ}, {"/cleanup", API_HTTPREQ}};
	const char *end = strrchr(r->path, '/');
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(end, names[i].end) == 0)
			return names[i].class;
	return r->manner == MANNER_OPERATOR ? API_ADMIN : API_V1;
}

void api_handle(void *ctx, struct http_exchange *x, const struct http_request *r)
{
	char path[PATH_LEN_MAX + 1];
	struct found f = {0};
	struct context c = {.api = ctx, .exchange = x, .request = r, .manner = MANNER_ACMEDNS};
	if (clean_path(r->path, path, PATH_LEN_MAX) || !find_route(path, &c, &f)) {
		answer_error(&c, "not_found");
		return;
	}
	c.manner = f.any->manner;
	http_classify(x, class_of(f.any));
	if (!f.route)
		answer_refusal(x, c.manner, refusal_called(c.manner, "method_not_allowed"), f.allow, 0);
	else if (!(f.route->flags & ROUTE_PLAIN) && !r->secure)
		answer_error(&c, "https_required");
	else
		run(&c, &f);
	secure_wipe(path, sizeof path); /* it may hold a token */
}

/* ---- start and end ---- */

static int MUST_USE set_base(struct base_path *b, const char *path, const char *url)
{
	char clean[BASE_PATH_MAX + 1];
	if (clean_path(path, clean, BASE_PATH_MAX))
		return ERR_RANGE;
	b->path = strdup(clean);
	if (!b->path || (url && asprintf(&b->server_url, "%s%s", url, clean) < 0)) {
		b->server_url = NULL;
		return ERR_NOMEM;
	}
	return OK;
}

int api_new(const struct api_settings *s, struct ipc_client *client, struct api **out)
{
	struct api *a = calloc(1, sizeof *a);
	int r = ERR_NOMEM;
	*out = NULL;
	if (!a)
		return r;
	TAILQ_INIT(&a->held);
	TAILQ_INIT(&a->impatient);
	json_set_alloc_funcs(scarce_malloc, scarce_free);
	/* Now, while /dev/urandom can be read: later jansson would take the time of day, and whoever guesses
	 * that could send objects whose keys all collide. */
	json_object_seed(0);
	a->client = client;
	a->problem = s->problem;
	a->problem_ctx = s->problem_ctx;
	a->bases = calloc(s->base_path_count + 1, sizeof *a->bases);
	if (!a->bases)
		goto fail;
	for (; a->base_count < s->base_path_count; a->base_count++) {
		r = set_base(&a->bases[a->base_count], s->base_paths[a->base_count], s->url);
		if (r)
			goto fail_base;
	}
	*out = a;
	return OK;
fail_base:
	a->base_count++; /* so that the half-made one is freed too */
fail:
	api_free(&a);
	return r;
}

void api_free(struct api **api)
{
	struct api *a = *api;
	if (!a)
		return;
	for (size_t i = 0; i < a->base_count; i++) {
		free(a->bases[i].path);
		free(a->bases[i].server_url);
	}
	free(a->bases);
	free(a);
	*api = NULL;
}
