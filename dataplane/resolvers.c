/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolvers.h"

#include "mem.h"
#include "mini.h"
#include "vantage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STEP_BYTES 24576u
#define STEP_SETS 1024u
#define CUT_SLOTS 8192u /* truncated answers that wait for their TCP query: 64 KB */

struct resolver {
	_Alignas(CACHE_LINE) struct keyed_entry e;
	struct addr addr;
	union ft_mini_set ports;
	uint8_t ports_n, vantage;
	uint8_t spare[6];
	uint16_t c[FT_RESOLVER_COUNTERS];
};
static_assert(sizeof(struct resolver) == 2 * CACHE_LINE, "two lines");

struct resolvers {
	struct tally *tally;
	struct resolvers_settings set;
	struct keyed *table;
	uint64_t *cut; /* hashes of (client, server, name, type); 0: free */
	size_t emitted;
};

static void emit(void *ctx, const void *entry)
{
	struct resolvers *r = ctx;
	const struct resolver *e = entry;
	struct ft_resolver_rec rec = {.vantage = e->vantage,
				      .ports = {.n = e->ports_n, .u = e->ports}};
	uint8_t *out =
	    tally_entry_begin(r->tally, FT_REC_RESOLVER, e->e.row, FT_RESOLVER_ENTRY_CAP);

	memcpy(rec.addr, &e->addr, sizeof(rec.addr));
	for (unsigned i = 0; i < FT_RESOLVER_COUNTERS; i++)
		rec.c[i] = e->c[i];
	const uint8_t *end = ft_resolver_write(&rec, out);
	tally_entry_end(r->tally, end);
	r->emitted += (size_t)(end - out);
}

static void close_begin(void *ctx, uint64_t row)
{
	(void)row;
	keyed_close_begin(((struct resolvers *)ctx)->table);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct resolvers *r = ctx;

	r->emitted = 0;
	for (uint32_t sets = 0; sets < STEP_SETS && r->emitted < STEP_BYTES; sets += 4)
		if (keyed_close(r->table, row, 4))
			return true;
	return false;
}

struct resolvers *resolvers_create(struct tally *tally, const struct resolvers_settings *settings)
{
	struct resolvers *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->tally = tally;
	r->set = *settings;
	r->table = keyed_create(settings->entries, sizeof(struct resolver), emit, r);
	r->cut = mem_map(CUT_SLOTS * sizeof(*r->cut));
	if (r->table == NULL || r->cut == NULL) {
		resolvers_destroy(r);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(tally, (struct tally_part){close_begin, close_step, r});
	return r;
}

void resolvers_destroy(struct resolvers *r)
{
	if (r == NULL)
		return;
	mem_unmap(r->cut, CUT_SLOTS * sizeof(*r->cut));
	keyed_destroy(r->table);
	free(r);
}

/* Whether the answer is truncated, or is the one over TCP to a truncated one before. */
static void follow_cut(struct resolvers *r, const struct txn *x, uint16_t *c)
{
	const bool tcp = x->q.transport >= FT_TRANSPORT_tcp4;
	const uint64_t group = pair_group(x->q.client_sketch, x->q.name_sketch, x->q.qtype);

	if (!x->has_response || (!tcp && !x->tc))
		return;
	const uint64_t key = hash_fold(group, addr_fold(x->server, r->set.hash_key)) | 1;
	uint64_t *slot = &r->cut[(key >> 32) % CUT_SLOTS];
	if (!tcp) {
		c[FT_RESOLVER_TC]++;
		*slot = key;
	} else if (*slot == key) {
		c[FT_RESOLVER_TC_RETRY]++;
		*slot = 0;
	}
}

/* At or above the registered domain, and of the types that resolvers ask with. */
static bool is_minimised(const struct txn *x)
{
	return x->q.has_name && x->verdict != NULL && x->verdict->domain_off == 0 &&
	       (x->q.qtype == FT_QTYPE_A || x->q.qtype == FT_QTYPE_NS);
}

static void count_one(struct resolvers *r, const struct txn *x, uint8_t vantage)
{
	const uint64_t row = clock_row(r->tally->clock, x->q.t_us);
	const uint32_t edns = x->q.edns;
	bool fresh;
	struct resolver *e = keyed_get(
	    r->table, addr_fold(x->client, hash_mix(row ^ r->set.hash_key) ^ vantage), row, &fresh);

	if (fresh) {
		e->addr = *x->client;
		e->vantage = vantage;
	}
	uint16_t *c = e->c;
	const bool bits[FT_RESOLVER_TC] = {
	    [FT_RESOLVER_QUERIES] = true,
	    [FT_RESOLVER_EDNS] = edns >> FT_EDNS_queries & 1,
	    [FT_RESOLVER_DO] = edns >> FT_EDNS_do & 1,
	    [FT_RESOLVER_CD] = x->q.cd,
	    [FT_RESOLVER_ECS] = edns >> FT_EDNS_ecs & 1,
	    [FT_RESOLVER_NSID] = edns >> FT_EDNS_nsid & 1,
	    [FT_RESOLVER_COOKIE] = edns >> FT_EDNS_cookie & 1,
	    [FT_RESOLVER_MIXED_CASE] = x->q.capitals,
	    [FT_RESOLVER_QNAME_MIN] = is_minimised(x),
	    [FT_RESOLVER_TCP] = x->q.transport >= FT_TRANSPORT_tcp4,
	};
	for (unsigned i = 0; i < FT_RESOLVER_TC; i++)
		c[i] = (uint16_t)(c[i] + bits[i]);
	const uint32_t band = edns >> FT_EDNS_bufsize_511 & ((1u << FT_RESOLVER_BANDS) - 1);
	if (band != 0)
		c[FT_RESOLVER_BUFSIZE + __builtin_ctz(band)]++;
	follow_cut(r, x, c);
	mini_add(&e->ports_n, &e->ports, hash_mix(x->q.port + 1u));
	if (c[FT_RESOLVER_QUERIES] < UINT16_MAX)
		return; /* it is the greatest */
	emit(r, e);
	memset(c, 0, sizeof(e->c));
}

STAGE void resolvers_step(struct resolvers *r, const struct txn *txn, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct txn *x = &txn[i];
		if (!x->has_query)
			continue;
		const enum ft_vantage vantage = vantage_of_txn(x);
		if (vantage == FT_VANTAGE_AUTH || vantage == FT_VANTAGE_R2A)
			count_one(r, x, (uint8_t)vantage);
	}
}
