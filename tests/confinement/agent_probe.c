// SPDX-License-Identifier: GPL-3.0-or-later
/* Does in the agent's sandbox what an ACME client does. usage: agent_probe STORE CA-FILE URL FILE...
 * Prints a word for each thing that worked; the last ones are FILEs that could be read. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "app/internal.h"

static void say(bool worked, const char *what)
{
	if (worked)
		puts(what);
	fflush(stdout);
}

static bool resolves(const char *name)
{
	struct addrinfo *found = NULL;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	int rc = getaddrinfo(name, "443", &hints, &found);
	if (found)
		freeaddrinfo(found);
	return rc == 0;
}

static bool fetches(const char *url, const char *ca_file)
{
	CURL *c = curl_easy_init();
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 10L);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, stderr);
	CURLcode rc = curl_easy_perform(c);
	if (rc)
		fprintf(stderr, "curl: %s\n", curl_easy_strerror(rc));
	curl_easy_cleanup(c);
	return rc == CURLE_OK;
}

/* By a new file and a rename, synced, as files are replaced safely. */
static bool replaces(const char *store)
{
	char folder[256], new[300], old[300];
	snprintf(folder, sizeof folder, "%s/acme", store);
	snprintf(new, sizeof new, "%s/certificate.pem.new", folder);
	snprintf(old, sizeof old, "%s/certificate.pem", folder);
	int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && at >= 0 && write(fd, "x", 1) == 1 && fchmod(fd, 0600) == 0 && fsync(fd) == 0 &&
	       close(fd) == 0 && rename(new, old) == 0 && fsync(at) == 0 && access(old, R_OK) == 0;
}

int main(int argc, char **argv)
{
	if (argc < 4 || curl_global_init(CURL_GLOBAL_DEFAULT))
		return 2;
	if (sandbox_enter_supervisor(argv[1], NULL) || sandbox_enter_agent(argv[1], argv[2], NULL)) {
		perror("sandbox");
		return 2;
	}
	say(resolves("localhost"), "resolves");
	say(fetches(argv[3], argv[2]), "fetches");
	say(replaces(argv[1]), "replaces");
	for (int i = 4; i < argc; i++)
		say(open(argv[i], O_RDONLY | O_CLOEXEC) >= 0, argv[i]);
	curl_global_cleanup();
	return 0;
}
