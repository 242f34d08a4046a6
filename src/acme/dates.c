// SPDX-License-Identifier: GPL-3.0-or-later
/* Dates that a CA writes. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/dates.h"

/* The part behind the seconds: a fraction, which is below what matters here, and the zone. Returns the
 * minutes east of Greenwich, or INT32_MIN. */
static int zone_minutes(const char *s)
{
	unsigned hours, minutes;
	int used = 0;
	if (*s == '.') {
		size_t digits = strspn(s + 1, "0123456789");
		if (!digits)
			return INT32_MIN;
		s += 1 + digits;
	}
	if ((*s == 'Z' || *s == 'z') && !s[1])
		return 0;
	if (*s != '+' && *s != '-')
		return INT32_MIN;
	if (strspn(s + 1, "0123456789") != 2 || sscanf(s + 1, "%2u:%2u%n", &hours, &minutes, &used) != 2 ||
		used != 5 || s[1 + used] || hours > 23 || minutes > 59)
		return INT32_MIN;
	int east = (int)(60 * hours + minutes);
	return *s == '-' ? -east : east;
}

static bool digits_as_in(const char *form, const char *s)
{
	for (; *form; form++, s++)
		if (*form == '0' ? *s < '0' || *s > '9' : *form == 'T' ? *s != 'T' && *s != 't' : *s != *form)
			return false;
	return true;
}

int date_rfc3339(const char *text, int64_t *out)
{
	struct tm tm = {0};
	if (!digits_as_in("0000-00-00T00:00:00", text))
		return ERR_INVALID;
	if (sscanf(text, "%4d-%2d-%2d%*c%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
		    &tm.tm_min, &tm.tm_sec) != 6)
		return ERR_INVALID;
	int zone = zone_minutes(text + 19);
	if (zone == INT32_MIN || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
		tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return ERR_INVALID;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*out = ((int64_t)timegm(&tm) - (int64_t)60 * zone) * 1000;
	return OK;
}

int date_retry_after(const char *text, int64_t now, int64_t *out)
{
	size_t digits = strspn(text, "0123456789");
	*out = 0;
	if (digits && !text[digits]) {
		for (; *text && *out <= DATE_RETRY_LONGEST / 1000; text++)
			*out = 10 * *out + (*text - '0');
		*out *= 1000;
	} else {
		time_t when = digits ? -1 : curl_getdate(text, NULL);
		if (when < 0)
			return ERR_INVALID;
		*out = (int64_t)when * 1000 - now;
	}
	*out = *out < 0 ? 0 : *out > DATE_RETRY_LONGEST ? DATE_RETRY_LONGEST : *out;
	return OK;
}

const char *date_show(int64_t ms, char out[static DATE_SHOWN])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	if (!gmtime_r(&seconds, &tm) || !strftime(out, DATE_SHOWN, "%Y-%m-%dT%H:%M:%SZ", &tm))
		out[0] = 0;
	return out;
}
