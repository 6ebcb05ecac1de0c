/* SPDX-License-Identifier: BSD-3-Clause */
/* Public suffix lists: any text gives a list or one sentence, and any list answers
 * every name with offsets of its labels. */
#include "psl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The last line of the input as a name in wire form, as far as it is one. */
static uint32_t read_name(const uint8_t *text, size_t len, uint8_t *wire)
{
	uint32_t n = 0;

	while (len > 0 && n < 190) {
		const uint8_t *dot = memchr(text, '.', len);
		const size_t label = dot != NULL ? (size_t)(dot - text) : len;
		if (label == 0 || label > 63)
			break;
		wire[n++] = (uint8_t)label;
		memcpy(wire + n, text, label);
		n += (uint32_t)label;
		len -= label + (dot != NULL);
		text += label + (dot != NULL);
	}
	wire[n++] = 0;
	return n;
}

/* Whether a label of the name, or its root, begins at `off`. */
static int is_label(const uint8_t *wire, uint32_t off)
{
	uint32_t at = 0;

	while (at < off && wire[at] != 0)
		at += wire[at] + 1u;
	return at == off;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char err[256] = "";
	size_t last = len;
	uint8_t wire[256];
	uint32_t suffix_off;

	errno = 0;
	struct psl *p = psl_create_text((const char *)data, len, "F", err, sizeof err);
	if ((p == NULL) != (err[0] != '\0') || (p == NULL && errno != EINVAL))
		abort();
	if (p == NULL)
		return 0;
	while (last > 0 && data[last - 1] != '\n')
		last--;
	const uint32_t n = read_name(data + last, len - last, wire);
	const uint32_t off = psl_domain_off(p, wire, n, &suffix_off);
	if (!is_label(wire, off) || !is_label(wire, suffix_off) ||
	    (suffix_off != 0 && off + wire[off] + 1u != suffix_off) ||
	    (suffix_off == 0 && off != 0))
		abort();
	psl_destroy(p);
	return 0;
}
