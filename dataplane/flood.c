/* SPDX-License-Identifier: BSD-3-Clause */
#include "flood.h"

#include "few.h"
#include "keyed.h"
#include "vantage.h"

#include <fluxtap/rec_flood.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define STEP_BYTES 24576u /* emitted in one step of closing: less than a block */
#define STEP_SETS 1024u
#define TEXT_AT 2u /* names */

struct domain {
	_Alignas(CACHE_LINE) struct keyed_entry head;
	struct ft_flood_id id;
	struct ft_flood_counts counts;
	bool told; /* its text went out */
	struct few names;
};

struct who {
	_Alignas(CACHE_LINE) struct keyed_entry head;
	struct ft_flood_id id;
	struct addr client;
};
static_assert(sizeof(struct who) == CACHE_LINE, "one line a client");

struct flood {
	struct tally *tally;
	struct keyed *domains, *clients;
	size_t emitted; /* octets, in this step of closing */
	bool domains_done;
};

static void emit(struct flood *f, uint64_t row, struct ft_flood_id id, enum ft_flood_part part,
		 const void *body, size_t bytes)
{
	uint8_t out[FT_FLOOD_ENTRY_CAP];

	id.part = (uint8_t)part;
	id.bytes = (uint16_t)(sizeof(id) + bytes);
	memcpy(out, &id, sizeof(id));
	memcpy(out + sizeof(id), body, bytes);
	tally_emit_entry(f->tally, FT_REC_FLOOD, row, out, id.bytes);
	f->emitted += id.bytes;
}

static void emit_domain(void *ctx, const void *entry)
{
	const struct domain *d = entry;
	uint8_t body[sizeof(d->counts) + FT_FEW_WIRE_CAP];

	memcpy(body, &d->counts, sizeof(d->counts));
	const uint32_t n = few_write(&d->names, body + sizeof(d->counts));
	emit(ctx, d->head.row, d->id, FT_FLOOD_COUNTS, body, sizeof(d->counts) + n);
}

static void emit_client(void *ctx, const void *entry)
{
	const struct who *w = entry;

	emit(ctx, w->head.row, w->id, FT_FLOOD_CLIENT, &w->client, sizeof(w->client));
}

static void close_begin(void *ctx, uint64_t row)
{
	struct flood *f = ctx;

	(void)row;
	f->domains_done = false;
	keyed_close_begin(f->domains);
	keyed_close_begin(f->clients);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct flood *f = ctx;

	f->emitted = 0;
	for (uint32_t sets = 0; sets < STEP_SETS && f->emitted < STEP_BYTES; sets++) {
		if (!f->domains_done)
			f->domains_done = keyed_close(f->domains, row, 1);
		else if (keyed_close(f->clients, row, 1))
			return true;
	}
	return false;
}

struct flood *flood_create(struct tally *t, const struct flood_settings *settings)
{
	struct flood *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->tally = t;
	f->domains = keyed_create(settings->domains, sizeof(struct domain), emit_domain, f);
	f->clients = keyed_create(settings->clients, sizeof(struct who), emit_client, f);
	if (f->domains == NULL || f->clients == NULL) {
		flood_destroy(f);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(t, (struct tally_part){.begin = close_begin, .step = close_step, .ctx = f});
	return f;
}

void flood_destroy(struct flood *f)
{
	if (f == NULL)
		return;
	keyed_destroy(f->clients);
	keyed_destroy(f->domains);
	free(f);
}

static uint64_t key_of(const struct ft_flood_id *id, uint64_t row, const struct addr *client)
{
	struct {
		uint64_t row, domain_key, vantage;
		struct addr client;
	} facts = {row, id->domain_key, id->vantage, {{0}}};

	if (client != NULL)
		facts.client = *client;
	const uint64_t key = XXH3_64bits(&facts, sizeof(facts));
	return key != 0 ? key : 1;
}

static bool is_failure(const struct txn *x)
{
	return !x->has_response || x->class == FT_CLASS_NXDOMAIN || x->class == FT_CLASS_SERVFAIL ||
	       x->class == FT_CLASS_REFUSED;
}

static void count_domain(struct flood *f, const struct txn *x, const struct ft_flood_id *id,
			 uint64_t row)
{
	const uint64_t interval_us = f->tally->clock->interval_us;
	const uint8_t off = x->verdict->domain_off;
	bool fresh;
	struct domain *d = keyed_get(f->domains, key_of(id, row, NULL), row, &fresh);

	if (fresh)
		d->id = *id;
	d->id.count++;
	d->counts.failed += is_failure(x);
	d->counts.bin[(x->q.t_us - row * interval_us) * FT_FLOOD_BINS / interval_us]++;
	few_add(&d->names, x->verdict->name_sketch);
	if (!d->told && d->names.n >= TEXT_AT) {
		d->told = true;
		emit(f, row, *id, FT_FLOOD_TEXT, x->name + off, (size_t)(x->name_len - off));
	}
}

static void count_client(struct flood *f, const struct txn *x, const struct ft_flood_id *id,
			 uint64_t row)
{
	bool fresh;
	struct who *w = keyed_get(f->clients, key_of(id, row, x->client), row, &fresh);

	if (fresh) {
		w->id = *id;
		w->client = *x->client;
	}
	w->id.count++;
}

STAGE void flood_step(struct flood *f, const struct txn *txn, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct txn *x = &txn[i];
		if (!x->has_query || x->verdict == NULL || x->name_len == 0 ||
		    x->verdict->name_sketch % FT_FLOOD_NAMES != 0)
			continue;
		const uint64_t row = x->q.t_us / f->tally->clock->interval_us;
		const struct ft_flood_id id = {.vantage = (uint8_t)vantage_of_txn(x),
					       .domain_key = x->verdict->domain_key};
		count_domain(f, x, &id, row);
		if (x->verdict->name_sketch % FT_FLOOD_CLIENTS == 0)
			count_client(f, x, &id, row);
	}
}
