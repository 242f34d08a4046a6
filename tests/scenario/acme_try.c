// SPDX-License-Identifier: GPL-3.0-or-later
/* Runs the ACME client by itself. Its hooks are lines on standard output; whoever reads them answers those
 * that ask with "ok", or anything else, on standard input. Ends on SIGTERM.
 *
 * usage: acme-try KEY=VALUE...   directory= ca= contact= eab_key_id= eab_hmac_key= chain= profile= folder=
 * fresh= name= (each time one more), and the times of struct acme_times by their names */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "acme/acme.h"

static struct acme_settings settings;
static const char *names[ACME_NAMES + 1];

static const struct {
	const char *key;
	const char **text;
	int64_t *number;
} keys[] = {
	{"directory", &settings.directory, NULL},
	{"ca", &settings.ca_file, NULL},
	{"contact", &settings.contact, NULL},
	{"eab_key_id", &settings.eab_key_id, NULL},
	{"eab_hmac_key", &settings.eab_hmac_key, NULL},
	{"chain", &settings.preferred_chain, NULL},
	{"profile", &settings.profile, NULL},
	{"folder", &settings.folder, NULL},
	{"request", NULL, &settings.times.request},
	{"poll", NULL, &settings.times.poll},
	{"wait", NULL, &settings.times.wait},
	{"patience", NULL, &settings.times.patience},
	{"first_retry", NULL, &settings.times.first_retry},
	{"longest_retry", NULL, &settings.times.longest_retry},
	{"check", NULL, &settings.times.check},
};

static int ask(void)
{
	char line[64];
	fflush(stdout);
	return fgets(line, sizeof line, stdin) && strcmp(line, "ok\n") == 0 ? OK : ERR_SYSTEM;
}

static int publish(void *ctx, const char *name, const char *const *values, size_t count)
{
	(void)ctx;
	printf("publish %s", name);
	for (size_t i = 0; i < count; i++)
		printf(" %s", values[i]);
	printf("\n");
	return ask();
}

static int permit(void *ctx, const struct acme_state *state)
{
	(void)ctx;
	printf("permit %s", state->account);
	for (size_t i = 0; i < ACME_IDENTITIES && *state->identities[i]; i++)
		printf(" %s", state->identities[i]);
	printf("\n");
	return ask();
}

static void renewed(void *ctx, const struct acme_state *state)
{
	(void)ctx;
	printf("renewed %lld\n", (long long)state->not_after);
	fflush(stdout);
}

static void report(void *ctx, const struct acme_state *state)
{
	(void)ctx;
	printf("report account=%s not_after=%lld last_attempt=%lld last_success=%lld next_attempt=%lld failures=%u "
	       "error=%s\n",
		state->account, (long long)state->not_after, (long long)state->last_attempt,
		(long long)state->last_success, (long long)state->next_attempt, state->failures,
		state->error);
	fflush(stdout);
}

static bool take(const char *argument)
{
	const char *value = strchr(argument, '=');
	if (!value)
		return false;
	size_t len = (size_t)(value++ - argument);
	if (strncmp(argument, "name=", 5) == 0 && settings.name_count <= ACME_NAMES) {
		names[settings.name_count++] = value;
		return true;
	}
	settings.fresh |= strcmp(argument, "fresh=1") == 0;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (strlen(keys[i].key) != len || strncmp(keys[i].key, argument, len) != 0)
			continue;
		if (keys[i].text)
			*keys[i].text = value;
		else
			*keys[i].number = strtoll(value, NULL, 10);
		return true;
	}
	return settings.fresh;
}

int main(int count, char **arguments)
{
	static const struct acme_hooks hooks = {
		.publish = publish, .permit = permit, .renewed = renewed, .report = report};
	sigset_t term;
	settings.names = names;
	for (int i = 1; i < count; i++)
		if (!take(arguments[i])) {
			fprintf(stderr, "acme-try: what is %s?\n", arguments[i]);
			return 2;
		}
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	int stop = signalfd(-1, &term, SFD_CLOEXEC);
	if (stop < 0)
		return 2;
	int rc = acme_run(&settings, &hooks, stop);
	if (rc)
		fprintf(stderr, "acme-try: %s\n", error_text(rc));
	return rc ? 1 : 0;
}
