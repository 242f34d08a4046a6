// SPDX-License-Identifier: GPL-3.0-or-later
/* What "init" asks, and what it makes of the answers. Nothing here keeps a secret. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "util/address.h"

enum {
	INIT_ADDRESSES = 8, /* of the server, and of one name */
	INIT_SERVERS = 13,  /* as many as the configuration takes */
	INIT_NAME = 256,
	INIT_TEXT = 1024 /* of one answer */
};

enum init_tls { INIT_TLS_UNANSWERED, INIT_TLS_ACME, INIT_TLS_FILES, INIT_TLS_PROXY };

struct init_addresses {
	struct address all[INIT_ADDRESSES];
	size_t count;
};

struct init_server {
	char name[INIT_NAME];            /* no final dot */
	struct init_addresses addresses; /* of its own; none: those of the answers */
};

/* Empty texts and counts of 0 are not answered yet. */
struct init_answers {
	char zone[INIT_NAME]; /* no final dot */
	struct init_addresses addresses;
	struct init_server servers[INIT_SERVERS];
	size_t server_count;
	char contact[INIT_NAME];
	char url[INIT_TEXT];
	enum init_tls tls;
	char certificate[INIT_TEXT], key[INIT_TEXT];
	char directory[INIT_TEXT], acme_contact[INIT_NAME];
	char registration[16];
	bool exact; /* DNS listens on the addresses, not on all the machine has */
};

/* ---- init_answers.c ---- */

/* One answer into its place. False: what is wrong with it is in `why`. Texts are one line of ASCII. */
typedef bool init_set(struct init_answers *a, const char *text, char why[static INIT_TEXT]);
init_set init_set_zone, init_set_addresses, init_set_servers, init_set_contact, init_set_url, init_set_tls,
	init_set_certificate, init_set_key, init_set_directory, init_set_acme_contact, init_set_registration;

/* The addresses of this machine's interfaces, without loopback and link-local ones. */
void init_find_addresses(struct init_addresses *out);
/* Whether another program has port 53 of one of the machine's addresses, but not of these. */
bool init_port_is_shared(const struct init_addresses *a);

/* The addresses of a name server: none where they are another zone's business. */
const struct init_addresses *init_addresses_of(const struct init_answers *a, const struct init_server *s);
bool init_in_zone(const struct init_answers *a, const char *name);
/* The host of the URL, in lower case, and its port (443 where it has none). */
unsigned init_url_host(const struct init_answers *a, char host[static INIT_NAME]);

/* The configuration, bare. What is not answered has something in its place that is sound. */
void init_write(const struct init_answers *a, FILE *to);

/* ---- init_print.c ---- */

/* What is to be done now: records for the parent, firewall, commands. */
void init_print_next(const struct init_answers *a, const char *file, FILE *to);
