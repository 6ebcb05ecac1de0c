/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng_look and pcapng_pass over a file that comes in chunks of any size: octets
 * keep their number and order, all come out, and what is handed out does not depend
 * on how the file was cut. The first octet of the input chooses the cuts. */
#include "pcapng.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_pcapng.c:%d: %s\n", line, what);
	abort();
}

/* Passes input[0..size) in chunks of `step` octets into file[], where it is edited in
 * place; a block head that is cut gets more octets behind it, or at the end of the
 * file is passed as it is. */
static void pass(const uint8_t *input, size_t size, size_t step, uint8_t *file)
{
	struct pcapng g;
	size_t done = 0, there = 0;

	memset(&g, 0, sizeof(g));
	/* As capfile does: the whole beginning is looked at before anything goes out. */
	(void)pcapng_look(&g, input, size);
	memcpy(file, input, size);
	while (done < size) {
		there = there + step < size ? there + step : size;
		/* Of its own size, for the sanitizer. */
		uint8_t *chunk = malloc(there - done);
		memcpy(chunk, file + done, there - done);
		const size_t n = pcapng_pass(&g, chunk, there - done, step);
		CHECK(n <= there - done && n <= step);
		memcpy(file + done, chunk, there - done);
		done += n;
		free(chunk);
		if (n == 0 && there == size)
			g.on = false; /* nothing more will come */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (size < 2 || size > 65536)
		return 0;
	const size_t n = size - 1, step = 1 + input[0];
	uint8_t *whole = malloc(n), *cut = malloc(n);

	pass(input + 1, n, n, whole);
	pass(input + 1, n, step, cut);
	CHECK(memcmp(whole, cut, n) == 0);
	free(whole);
	free(cut);
	return 0;
}
