// SPDX-License-Identifier: GPL-3.0-or-later
/* Names people and clients send, and the zones of the configuration. */
#include <string.h>
#include <strings.h>

#include "keeper/internal.h"
#include "util/text.h"

const struct keeper_zone *zone_by_id(const struct keeper_settings *s, uint16_t id)
{
	for (size_t i = 0; i < s->zone_count; i++)
		if (s->zones[i].id == id)
			return &s->zones[i];
	return NULL;
}

static size_t without_final_dot(const char *name)
{
	size_t len = strlen(name);
	return len && name[len - 1] == '.' ? len - 1 : len;
}

const struct keeper_zone *zone_by_name(const struct keeper_settings *s, const char *name)
{
	size_t len = without_final_dot(name);
	for (size_t i = 0; i < s->zone_count; i++)
		if (strlen(s->zones[i].name) == len && strncasecmp(s->zones[i].name, name, len) == 0)
			return &s->zones[i];
	return NULL;
}

void name_lower(const char *label, char out[static DELEGATE_LABEL_MAX + 1])
{
	size_t len = strnlen(label, DELEGATE_LABEL_MAX);
	for (size_t i = 0; i < len; i++)
		out[i] = (char)text_lower((uint8_t)label[i]);
	out[len] = 0;
}

/* A delegate's label has no dot, so the first one is where its zone begins. */
bool name_parse(const struct keeper_settings *s, const char *name, struct delegate_id *out)
{
	const char *dot = strchr(name, '.');
	if (!dot || dot == name || dot - name > DELEGATE_LABEL_MAX)
		return false;
	const struct keeper_zone *zone = zone_by_name(s, dot + 1);
	if (!zone)
		return false;
	char label[DELEGATE_LABEL_MAX + 1] = "";
	memcpy(label, name, (size_t)(dot - name));
	name_lower(label, out->label);
	out->zone = zone->id;
	return true;
}

/* `name` is `tail`, or ends with a dot and `tail`. */
static bool is_below_or_at(const char *name, size_t len, const char *tail)
{
	size_t tail_len = strlen(tail);
	if (len < tail_len || strncasecmp(name + len - tail_len, tail, tail_len) != 0)
		return false;
	return len == tail_len || name[len - tail_len - 1] == '.';
}

/* The key decides which delegate changes; the name a httpreq client sends along can only show a mix-up. lego
 * sends the delegate (it follows the CNAME), others the user's own _acme-challenge name. What is refused is
 * somebody else's name in our zones. */
bool name_fits(const struct keeper_settings *s, const char *name, const struct delegate_id *id)
{
	static const char challenge[] = "_acme-challenge.";
	char own[IPC_NAME_MAX + 2];
	size_t len = without_final_dot(name);
	const struct keeper_zone *zone = zone_by_id(s, id->zone);
	if (!zone || text_format(own, sizeof own, "%s.%s", id->label, zone->name))
		return false;
	size_t skip = strncasecmp(name, challenge, sizeof challenge - 1) == 0 ? sizeof challenge - 1 : 0;
	if (len >= skip && len - skip == strlen(own) && strncasecmp(name + skip, own, len - skip) == 0)
		return true;
	for (size_t i = 0; i < s->zone_count; i++)
		if (is_below_or_at(name, len, s->zones[i].name))
			return false;
	return true;
}
