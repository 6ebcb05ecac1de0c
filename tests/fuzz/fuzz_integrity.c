/* SPDX-License-Identifier: BSD-3-Clause */
/* Watch lists, and any responses about watched names, to the records of set `integrity`.
 *
 * Input: an octet; where it is 0 a watch list follows, else messages, each behind two
 * octets: its length, and how (bits 0-1: client; bit 2: server; bit 3: a minute later). */
#include "integrity_rig.h"
#include "watchlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define T0 1767225600000000ull

static void drop_record(void *ctx, const char *set, uint64_t start_s, json_t *o)
{
	(void)ctx;
	(void)set;
	(void)start_s;
	if (o == NULL)
		abort();
	json_decref(o);
}

static void read_list(const uint8_t *input, size_t size)
{
	char err[256], *copy = integrity_rig_need(malloc(size + 1));

	memcpy(copy, input, size);
	struct watchlist *l = watchlist_parse("list", copy, size, err, sizeof(err));
	for (size_t i = 0; l != NULL && i < l->n; i++) {
		struct rdata one;
		json_decref(rdset_texts(l->v[i].qtype, &l->v[i].baseline, NULL));
		for (uint32_t at = 0; rdset_next(&l->v[i].baseline, &at, &one);)
			(void)watchlist_allows(&l->v[i], &one);
	}
	watchlist_destroy(l);
	free(copy);
}

static void see_messages(const uint8_t *input, size_t size)
{
	struct integrity_rig r;
	uint64_t t_us = T0;

	integrity_rig_init(&r,
			   "www.a.example A,AAAA,TXT,CNAME baseline=192.0.2.1\n"
			   "a.example NS,MX,SOA,DS,DNSKEY,CAA\nns.a.example A\n",
			   60);
	r.run.write = drop_record;
	while (size >= 2) {
		const uint32_t len = input[0] < size - 2 ? input[0] : (uint32_t)size - 2;
		const unsigned how = input[1];
		const struct addr client = {{(uint8_t)(how & 3)}},
				  server = {{(uint8_t)(9 + (how & 4))}};
		uint8_t *copy = integrity_rig_need(malloc(len + 1u)); /* of this size */
		memcpy(copy, input + 2, len);
		t_us += (how & 8) != 0 ? 60000000 : 1000;
		integrity_rig_response(&r, copy, len, &client, &server, t_us);
		free(copy);
		input += 2 + len;
		size -= 2 + len;
	}
	integrity_rig_close(&r, t_us + 600000000);
	stat_integrity.end(r.stat);
	integrity_rig_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (size == 0)
		return 0;
	if (input[0] == 0)
		read_list(input + 1, size - 1);
	else
		see_messages(input + 1, size - 1);
	return 0;
}
