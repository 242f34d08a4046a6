// SPDX-License-Identifier: GPL-3.0-or-later
/* Runs a fuzz harness over every file of the folders named on the command line, with any compiler. An empty
 * or missing corpus is a failure: a replay of nothing proves nothing. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_file(const char *folder, const char *name)
{
	char path[4096];
	if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
		return -1;
	FILE *f = fopen(path, "rb");
	if (!f)
		return -1;
	/* Exactly as large as the input, so that the sanitizer sees every read behind its end. */
	uint8_t buffer[1 << 17];
	size_t len = fread(buffer, 1, sizeof buffer, f);
	fclose(f);
	uint8_t *exact = malloc(len ? len : 1);
	if (!exact)
		return -1;
	memcpy(exact, buffer, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned files = 0;
	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		for (struct dirent *e; d && (e = readdir(d));) {
			if (e->d_name[0] == '.')
				continue;
			if (replay_file(argv[i], e->d_name)) {
				fprintf(stderr, "%s/%s: cannot be read\n", argv[i], e->d_name);
				return 1;
			}
			files++;
		}
		if (d)
			closedir(d);
	}
	printf("%u inputs replayed\n", files);
	return files ? 0 : 1;
}
