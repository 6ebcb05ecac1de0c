/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of sinkhole lists: any octets give entries or one sentence a line, and it
 * ends where they end; names and prefixes that it reads are sound. */
#include "sinkholes.h"

#include <fluxtap/varint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look_at(const struct sinkhole_line *l)
{
	if (l->group.len == 0 || l->group.len > RULES_ID_CAP || l->kind >= SINKHOLE_KIND_CAP)
		abort();
	if (l->kind != SINKHOLE_IP) {
		uint32_t labels = 0;
		for (uint32_t at = 0; l->name[at] != 0; at += l->name[at] + 1u)
			labels++;
		if (!ft_name_is_whole(l->name, l->name_len) || labels != l->labels || labels == 0)
			abort();
		return;
	}
	for (unsigned b = l->prefix.bits; b < 128; b++)
		if ((l->prefix.addr[b / 8] >> (7 - b % 8) & 1) != 0)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct rules_file f = {"F", (char *)(uintptr_t)data, len};
	struct sinkhole_line line = {0};
	char err[1024];
	size_t at = 0, before = 0;
	int rc;

	do {
		err[0] = '\0';
		rc = sinkholes_next(&f, &at, &line, err, sizeof(err));
		if (at > len || (rc != 0 && at <= before) || (rc < 0) != (err[0] != '\0'))
			abort();
		before = at;
		if (rc == 1)
			look_at(&line);
	} while (rc != 0);
	return at == len ? 0 : (abort(), 0);
}
