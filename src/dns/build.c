// SPDX-License-Identifier: GPL-3.0-or-later
/* From configuration to zones. Order matters: all names of zones first, so that every name finds the zone it
 * belongs to even where zones lie within zones; then what each zone needs to be one; static records last, so
 * that a conflict is reported at the record. Problems are collected; only a lack of memory stops the
 * building. */
#include <stdlib.h>

#include <libknot/descriptor.h>

#include "dns/build.h"
#include "util/cursor.h"

/* SOA timers, for secondaries: within the ranges of RFC 1912 section 2.2, and long enough for Zonemaster. */
enum { SOA_REFRESH = 14400, SOA_RETRY = 3600, SOA_EXPIRE = 1209600 };

/* The serial never changes. Values come and go many times a second without a zone transfer that could carry
 * them, and a serial that moves between two answers makes resolvers fail that compare whole replies (Unbound
 * when the 0x20 check failed once). */
enum { SOA_SERIAL = 1 };

/* --- Nodes --- */

static int node_insert(struct dns_zone *z, size_t at, const uint8_t *name, size_t len, unsigned labels)
{
	struct dns_node *grown = realloc(z->nodes, (z->node_count + 1) * sizeof *grown);
	if (!grown)
		return ERR_NOMEM;
	z->nodes = grown;
	uint8_t *copy = malloc(len);
	if (!copy)
		return ERR_NOMEM;
	memcpy(copy, name, len);
	memmove(&grown[at + 1], &grown[at], (z->node_count - at) * sizeof *grown);
	grown[at] = (struct dns_node){.name = copy, .len = (uint8_t)len, .labels = (uint8_t)labels};
	z->node_count++;
	if (labels > z->node_labels)
		z->node_labels = labels;
	return OK;
}

static int node_add(struct dns_zone *z, const struct dns_name *n, unsigned from, struct dns_node **out)
{
	const uint8_t *name = n->wire + n->start[from];
	size_t len = n->len - n->start[from], at = 0;
	while (at < z->node_count && dns_name_order(z->nodes[at].name, z->nodes[at].len, name, len) < 0)
		at++;
	int err = OK;
	if (at == z->node_count || dns_name_order(z->nodes[at].name, z->nodes[at].len, name, len))
		err = node_insert(z, at, name, len, n->labels - from);
	if (!err)
		*out = &z->nodes[at];
	return err;
}

int build_name(struct dns_zone *z, const uint8_t *name, struct dns_node **out)
{
	struct dns_name n;
	dns_name_split(&n, name);
	for (unsigned i = n.labels - z->labels;; i--) {
		int err = node_add(z, &n, i, out);
		if (err || i == 0)
			return err;
	}
}

static knot_rrset_t *set_new(struct dns_node *n, uint16_t type, uint32_t ttl)
{
	knot_rrset_t *grown = realloc(n->sets, (n->set_count + 1) * sizeof *grown);
	if (!grown)
		return NULL;
	n->sets = grown;
	knot_rrset_init(&grown[n->set_count], n->name, type, KNOT_CLASS_IN, ttl);
	return &grown[n->set_count++];
}

int build_record(struct dns_node *n, uint16_t type, uint32_t ttl, const uint8_t *rdata, size_t len)
{
	knot_rrset_t *set = (knot_rrset_t *)dns_node_set(n, type);
	if (!set)
		set = set_new(n, type, ttl);
	if (!set || knot_rrset_add_rdata(set, rdata, (uint16_t)len, NULL))
		return ERR_NOMEM;
	if (ttl < set->ttl)
		set->ttl = ttl;
	return OK;
}

/* --- What makes a zone --- */

struct dns_zone *build_owner_zone(const struct build *b, const uint8_t *name)
{
	struct dns_name n;
	dns_name_split(&n, name);
	return (struct dns_zone *)dns_zones_find(b->zones, &n, 0);
}

static int soa_add(const struct build *b, struct dns_zone *z, const uint8_t *mname, size_t mname_len)
{
	const struct conf_zone *c = z->conf;
	uint8_t rname[DNS_NAME_MAX], rdata[2 * DNS_NAME_MAX + 20];
	char text[KNOT_DNAME_TXT_MAXLEN + sizeof "hostmaster@"] = "hostmaster@";
	if (!c->contact && !knot_dname_to_str(text + strlen(text), z->name, KNOT_DNAME_TXT_MAXLEN))
		return ERR_NOMEM;
	size_t rname_len = dns_name_from_mail(c->contact ? c->contact : text, rname);
	if (!rname_len) {
		diag_error(b->diag, b->file, c->line, "zone %s: contact '%s' is not an e-mail address",
			c->name, c->contact ? c->contact : text);
		return OK;
	}
	struct writer w = writer_over(rdata, sizeof rdata);
	write_bytes(&w, mname, mname_len);
	write_bytes(&w, rname, rname_len);
	write_u32(&w, SOA_SERIAL);
	write_u32(&w, SOA_REFRESH);
	write_u32(&w, SOA_RETRY);
	write_u32(&w, SOA_EXPIRE);
	write_u32(&w, c->negative_ttl);
	size_t len;
	int err = writer_finish(&w, &len);
	struct dns_node *apex;
	if (!err)
		err = build_name(z, z->name, &apex);
	return err ? err : build_record(apex, KNOT_RRTYPE_SOA, DNS_TTL, rdata, len);
}

static int address_add(struct dns_node *n, const struct address *a)
{
	if (address_is_ipv4(a))
		return build_record(n, KNOT_RRTYPE_A, DNS_TTL, a->bytes + 12, 4);
	return build_record(n, KNOT_RRTYPE_AAAA, DNS_TTL, a->bytes, 16);
}

/* The addresses go where resolvers will ask for them, which may be another of our zones within this one. */
static int addresses_add(const struct build *b, const uint8_t *name, const struct conf_nameserver *ns)
{
	struct dns_node *node;
	int err = build_name(build_owner_zone(b, name), name, &node);
	for (size_t i = 0; i < ns->address_count && !err; i++)
		err = address_add(node, &ns->addresses[i]);
	return err;
}

static int nameserver_add(
	const struct build *b, struct dns_zone *z, const struct conf_nameserver *ns, bool first)
{
	uint8_t name[DNS_NAME_MAX];
	size_t len = dns_name_from_text(ns->name, name);
	if (len <= 1) {
		diag_error(b->diag, b->file, ns->line, "name server '%s' is not a domain name", ns->name);
		return OK;
	}
	bool inside = knot_dname_in_bailiwick(name, z->name) >= 0;
	if (inside != (ns->address_count > 0)) {
		diag_error(b->diag, b->file, ns->line,
			inside ? "name server %s lies in zone %s and needs addresses"
			       : "name server %s lies outside zone %s: its addresses are not ours to give",
			ns->name, z->conf->name);
		return OK;
	}
	struct dns_node *apex;
	int err = first ? soa_add(b, z, name, len) : OK;
	if (!err)
		err = build_name(z, z->name, &apex);
	if (!err)
		err = build_record(apex, KNOT_RRTYPE_NS, DNS_TTL, name, len);
	return err || !inside ? err : addresses_add(b, name, ns);
}

/* A zone within another: the outer one must know the names down to it, or it would deny the names between
 * (RFC 8020). The node of the inner zone's name answers what belongs to the outer zone: DS, RFC 4035
 * section 3.1.4.1. */
static int nested_add(const struct build *b, const struct dns_zone *z)
{
	struct dns_name n;
	struct dns_node *node;
	dns_name_split(&n, z->name);
	struct dns_zone *outer = (struct dns_zone *)dns_zones_find(b->zones, &n, 1);
	return outer ? build_name(outer, z->name, &node) : OK;
}

static int zone_fill(const struct build *b, struct dns_zone *z)
{
	const struct conf_zone *c = z->conf;
	struct dns_node *apex;
	int err = build_name(z, z->name, &apex);
	if (!c->nameserver_count)
		diag_error(b->diag, b->file, c->line, "zone %s has no name servers", c->name);
	for (size_t i = 0; i < c->nameserver_count && !err; i++)
		err = nameserver_add(b, z, &c->nameservers[i], i == 0);
	return err ? err : nested_add(b, z);
}

/* --- Static records --- */

/* Why the record cannot stand at its owner, or NULL. */
static const char *misplaced(const struct dns_record *r, const struct dns_node *n)
{
	/* RFC 1034 section 3.6.2 */
	if (r->type == KNOT_RRTYPE_CNAME && n->set_count)
		return "a CNAME must be the only record of its name";
	if (r->type != KNOT_RRTYPE_CNAME && dns_node_set(n, KNOT_RRTYPE_CNAME))
		return "there is a CNAME at this name, which must be its only record";
	return NULL;
}

static int static_add(
	const struct build *b, struct dns_zone *z, const char *origin, const struct conf_record *c)
{
	const struct dns_record *r = b->record;
	const char *why = NULL;
	int err = dns_record_parse(b->scanner, origin, c->text, b->record, &why);
	if (err == ERR_INVALID) {
		diag_error(b->diag, b->file, c->line, "record '%s': %s", c->text, why);
		return OK;
	}
	if (err)
		return err;
	if (knot_dname_in_bailiwick(r->owner, z->name) < 0 || build_owner_zone(b, r->owner) != z) {
		diag_error(b->diag, b->file, c->line, "record '%s': its name does not belong to zone %s",
			c->text, z->conf->name);
		return OK;
	}
	struct dns_node *node;
	err = build_name(z, r->owner, &node);
	if (err)
		return err;
	why = misplaced(r, node);
	why = why ? why : own_refusal(b, r);
	if (why) {
		diag_error(b->diag, b->file, c->line, "record '%s': %s", c->text, why);
		return OK;
	}
	const knot_rrset_t *set = dns_node_set(node, r->type);
	if (set && set->ttl != r->ttl)
		diag_warning(b->diag, b->file, c->line,
			"record '%s': its TTL differs from others of name and type; "
			"the smallest counts",
			c->text);
	return build_record(node, r->type, r->ttl, r->rdata, r->rdata_len);
}

static int statics_add(const struct build *b, struct dns_zone *z)
{
	knot_dname_txt_storage_t origin;
	if (!knot_dname_to_str(origin, z->name, sizeof origin))
		return ERR_NOMEM;
	int err = OK;
	for (size_t i = 0; i < z->conf->record_count && !err; i++)
		err = static_add(b, z, origin, &z->conf->records[i]);
	return err;
}

/* --- Links, made when no node moves any more --- */

static void node_link(struct dns_zone *z, struct dns_node *n)
{
	for (size_t i = 0; i < n->set_count; i++) {
		if (!n->smallest || knot_rrset_size(&n->sets[i]) < knot_rrset_size(n->smallest))
			n->smallest = &n->sets[i];
	}
	if (!knot_dname_is_wildcard(n->name))
		return;
	struct dns_name name;
	dns_name_split(&name, n->name);
	struct dns_node *parent = (struct dns_node *)dns_zone_node(z, &name, 1);
	if (parent)
		parent->wildcard = n;
}

static int glue_add(struct dns_zone *z, const knot_rrset_t *set)
{
	const knot_rrset_t **grown = realloc(z->glue, (z->glue_count + 1) * sizeof(const knot_rrset_t *));
	if (!grown)
		return ERR_NOMEM;
	z->glue = grown;
	grown[z->glue_count++] = set;
	return OK;
}

static int glue_of(const struct build *b, struct dns_zone *z, const uint8_t *server)
{
	struct dns_name name;
	dns_name_split(&name, server);
	const struct dns_zone *home = dns_zones_find(b->zones, &name, 0);
	const struct dns_node *node = home ? dns_zone_node(home, &name, 0) : NULL;
	int err = OK;
	for (size_t i = 0; node && i < node->set_count && !err; i++) {
		uint16_t type = node->sets[i].type;
		if (type == KNOT_RRTYPE_A || type == KNOT_RRTYPE_AAAA)
			err = glue_add(z, &node->sets[i]);
	}
	return err;
}

static int zone_link(const struct build *b, struct dns_zone *z)
{
	struct dns_name name;
	dns_name_split(&name, z->name);
	z->apex = dns_zone_node(z, &name, 0);
	for (size_t i = 0; i < z->node_count; i++)
		node_link(z, &z->nodes[i]);

	/* RFC 2308 sections 3 and 5: a negative answer lives as long as the smaller of TTL and MINIMUM. */
	const knot_rrset_t *soa = dns_node_set(z->apex, KNOT_RRTYPE_SOA),
			   *ns = dns_node_set(z->apex, KNOT_RRTYPE_NS);
	if (soa)
		z->negative_soa = *soa;
	if (z->conf->negative_ttl < DNS_TTL)
		z->negative_soa.ttl = z->conf->negative_ttl;

	int err = OK;
	for (uint16_t i = 0; ns && i < ns->rrs.count && !err; i++) {
		const uint8_t *server = knot_rdataset_at(&ns->rrs, i)->data;
		if (knot_dname_in_bailiwick(server, z->name) >= 0)
			err = glue_of(b, z, server);
	}
	z->conf = NULL;
	return err ? err : dns_negative_render(z);
}

/* --- The whole --- */

static int zone_order(const void *a, const void *b)
{
	const struct dns_zone *x = a, *y = b;
	return dns_name_order(x->name, x->len, y->name, y->len);
}

/* Takes the zone's name. One that cannot be used is reported and left out. */
static void zone_name(const struct build *b, const struct conf_zone *c, uint16_t id)
{
	struct dns_zone *z = &b->zones->list[b->zones->count];
	size_t len = dns_name_from_text(c->name, z->name);
	if (len <= 1) {
		diag_error(b->diag, b->file, c->line, "'%s' is not a domain name", c->name);
		return;
	}
	if (len + 1 + DELEGATE_LABEL_MAX > DNS_NAME_MAX) {
		diag_error(b->diag, b->file, c->line, "zone %s: the name is too long to have delegates in it",
			c->name);
		return;
	}
	for (size_t i = 0; i < b->zones->count; i++) {
		if (!dns_name_order(b->zones->list[i].name, b->zones->list[i].len, z->name, len)) {
			diag_error(b->diag, b->file, c->line, "zone %s is there twice", c->name);
			return;
		}
	}
	z->len = (uint8_t)len;
	z->labels = (uint8_t)knot_dname_labels(z->name, NULL);
	z->id = id;
	z->value_ttl = c->value_ttl;
	z->conf = c;
	if (z->labels > b->zones->zone_labels)
		b->zones->zone_labels = z->labels;
	b->zones->count++;
}

static int build(struct build *b, const struct conf_zone *zones, const uint16_t *ids, size_t count)
{
	struct dns_zones *z = b->zones;
	for (size_t i = 0; i < count; i++)
		zone_name(b, &zones[i], ids[i]);
	if (z->count)
		qsort(z->list, z->count, sizeof *z->list, zone_order);
	int err = OK;
	for (size_t i = 0; i < z->count && !err; i++)
		err = zone_fill(b, &z->list[i]);
	if (b->own && count)
		own_names(b, &zones[0]);
	for (size_t i = 0; i < z->count && !err; i++)
		err = statics_add(b, &z->list[i]);
	if (b->own && !err)
		err = own_records(b);
	for (size_t i = 0; i < z->count && !err; i++)
		err = zone_link(b, &z->list[i]);
	return err;
}

int dns_zones_build(const struct conf_zone *zones, const uint16_t *ids, size_t count, const char *file,
	struct diag *d, struct dns_zones **out)
{
	return dns_zones_build_own(zones, ids, count, NULL, file, d, out);
}

int dns_zones_build_own(const struct conf_zone *zones, const uint16_t *ids, size_t count,
	const struct dns_own *own, const char *file, struct diag *d, struct dns_zones **out)
{
	*out = NULL;
	size_t errors = diag_errors(d);
	struct build b = {.file = file, .diag = d, .own = own};
	b.zones = calloc(1, sizeof *b.zones);
	b.scanner = dns_scanner_new();
	b.record = calloc(1, sizeof *b.record);
	if (b.zones)
		b.zones->list = calloc(count + 1, sizeof *b.zones->list);

	int err = ERR_NOMEM;
	if (b.zones && b.zones->list && b.scanner && b.record)
		err = build(&b, zones, ids, count);
	if (!err && diag_errors(d) != errors)
		err = ERR_INVALID;
	if (err)
		dns_zones_free(&b.zones);
	*out = b.zones;
	free(b.record);
	dns_scanner_free(&b.scanner);
	return err;
}

static void zone_free(struct dns_zone *z)
{
	for (size_t i = 0; i < z->node_count; i++) {
		struct dns_node *n = &z->nodes[i];
		for (size_t k = 0; k < n->set_count; k++)
			knot_rdataset_clear(&n->sets[k].rrs, NULL);
		free(n->sets);
		free(n->name);
	}
	free(z->nodes);
	free(z->glue);
}

void dns_zones_free(struct dns_zones **z)
{
	if (!*z)
		return;
	for (size_t i = 0; i < (*z)->count; i++)
		zone_free(&(*z)->list[i]);
	free((*z)->list);
	free(*z);
	*z = NULL;
}
