// SPDX-License-Identifier: GPL-3.0-or-later
/* Every operation there is; openapi.json describes them, and a test holds the two together. */
#include "api/internal.h"

#define KEY(method, path, run)                                                                               \
	{                                                                                                    \
		method, "/v1" path, run, MANNER_KEY, 0                                                       \
	}
#define OPERATOR(method, path, run)                                                                          \
	{                                                                                                    \
		method, "/v1/admin" path, run, MANNER_OPERATOR, 0                                            \
	}

static const struct route routes[] = {
	{"POST", "/register", acmedns_register, MANNER_ACMEDNS, ROUTE_TOKEN},
	{"POST", "/update", acmedns_update, MANNER_ACMEDNS, ROUTE_TOKEN},
	{"GET", "/health", acmedns_health, MANNER_ACMEDNS, ROUTE_TOKEN | ROUTE_PLAIN},
	{"POST", "/present", httpreq_present, MANNER_ACMEDNS, ROUTE_TOKEN},
	{"POST", "/cleanup", httpreq_cleanup, MANNER_ACMEDNS, ROUTE_TOKEN},

	{"POST", "/v1/register", own_register, MANNER_KEY, ROUTE_TOKEN},
	{"GET", "/v1/openapi.json", own_openapi, MANNER_KEY, ROUTE_PLAIN},
	KEY("GET", "/check", own_check),
	KEY("GET", "/delegate", own_show),
	KEY("DELETE", "/delegate", own_remove),
	KEY("PUT", "/delegate/allowfrom", own_allow),
	KEY("PUT", "/delegate/aliases", own_aliases),
	KEY("GET", "/values", own_values),
	KEY("POST", "/values", own_put_value),
	KEY("DELETE", "/values", own_clear),
	KEY("DELETE", "/values/{value}", own_withdraw),
	KEY("GET", "/keys", own_keys),
	KEY("POST", "/keys", own_key_add),
	KEY("POST", "/keys/{id}/rotate", own_key_rotate),
	KEY("DELETE", "/keys/{id}", own_key_revoke),
	KEY("GET", "/credentials", own_credentials),
	KEY("GET", "/storage", storage_all),
	KEY("GET", "/storage/{domain}", storage_get),
	KEY("POST", "/storage/{domain}", storage_put),

	{"GET", "/v1/health", operator_health, MANNER_OPERATOR, 0},
	OPERATOR("GET", "/status", operator_status),
	OPERATOR("GET", "/delegates", operator_delegates),
	OPERATOR("POST", "/delegates", operator_delegate_add),
	OPERATOR("GET", "/delegates/{name}", operator_delegate),
	OPERATOR("DELETE", "/delegates/{name}", operator_remove),
	OPERATOR("PUT", "/delegates/{name}/allowfrom", operator_allow),
	OPERATOR("PUT", "/delegates/{name}/aliases", operator_aliases),
	OPERATOR("DELETE", "/delegates/{name}/values", operator_clear),
	OPERATOR("POST", "/delegates/{name}/keys", operator_key_add),
	OPERATOR("POST", "/delegates/{name}/keys/{id}/rotate", operator_key_rotate),
	OPERATOR("DELETE", "/delegates/{name}/keys/{id}", operator_key_revoke),
	OPERATOR("GET", "/tokens", operator_tokens),
	OPERATOR("POST", "/tokens", operator_token_add),
	OPERATOR("DELETE", "/tokens/{id}", operator_token_revoke),
	OPERATOR("GET", "/events", operator_events),
};

const struct route *api_routes(size_t *count)
{
	*count = sizeof routes / sizeof *routes;
	return routes;
}
