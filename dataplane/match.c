/* SPDX-License-Identifier: BSD-3-Clause */
#include "match.h"

#include "name.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

void match_step(const struct match *settings, struct msgs *batch)
{
	const uint64_t seed = settings->sketch_seed;

	for (uint32_t i = 0; i < batch->n; i++) {
		struct msg *m = &batch->m[i];
		if (m->drop != FT_MSG_KEPT)
			continue;
		const bool response = msg_is_response(m);
		const struct addr *client = response ? &m->dst : &m->src;
		const struct addr *server = response ? &m->src : &m->dst;
		m->vantage = vantage_of_addrs(settings->vantage, client, server);
		if (response)
			continue;
		/* Distinct counts are over queries: who asked, and for what. */
		m->client_sketch = XXH3_64bits_withSeed(client, sizeof(*client), seed);
		m->name_sketch = name_hash(batch->names + m->name_off, m->name_len, seed);
	}
}
