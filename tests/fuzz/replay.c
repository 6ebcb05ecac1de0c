/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a fuzz target over files and folders of seeds, as a plain regression test:
 * fuzz_X_replay PATH... Prints how many inputs it ran; fails where there was none. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long inputs;

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;

	if (f == NULL || fstat(fileno(f), &st) != 0) {
		perror(path);
		return -1;
	}
	/* Exactly as large as the input, so that a sanitizer sees every overrun. */
	uint8_t *data = malloc((size_t)st.st_size + (st.st_size == 0));
	const size_t n = data != NULL ? fread(data, 1, (size_t)st.st_size, f) : 0;
	fclose(f);
	if (data == NULL || n != (size_t)st.st_size) {
		perror(path);
		free(data);
		return -1;
	}
	(void)LLVMFuzzerTestOneInput(data, n);
	inputs++;
	free(data);
	return 0;
}

static int run_path(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char name[4096];
	int r = 0;

	if (d == NULL)
		return run_file(path);
	while (r == 0 && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		r = run_path(name);
	}
	closedir(d);
	return r;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (run_path(argv[i]) != 0)
			return 1;
	printf("%lu inputs\n", inputs);
	return inputs == 0;
}
