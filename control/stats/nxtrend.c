/* SPDX-License-Identifier: BSD-3-Clause */
/* What the NXDOMAIN channel adds up to: names that do not exist and are suddenly asked for
 * (set `nxdomain`, state `spike` or `drift`), by the topmost name that does not exist; and
 * domains that do not exist where mail is looked for day after day (set `spamtrap`), by the
 * registered domain, or the topmost name that does not exist where that is below it.
 *
 * Works on what `errors` leaves in an interval; keeps pasts of bounded size. */
#include "../envelope.h"
#include "../field.h"
#include "../keyed_merge.h"
#include "../lookups.h"
#include "errors.h"
#include "spike.h"
#include "stat.h"

#include "traps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CUTS_CAP 262144u
#define QTYPE_MX 15u

struct nxtrend {
	const struct stat_run *run;
	struct spikes *spikes;
	struct traps *traps;
};

/* A name that does not exist, in one interval and at one vantage. */
struct cut {
	uint64_t count;
	uint64_t keys;       /* rows of the channel */
	const uint8_t *name; /* folded */
	uint32_t name_len;
};

/* A domain that does not exist and that mail is looked for at, likewise. */
struct wanted {
	uint64_t count, first_us, last_us;
	const uint8_t *name, *soa; /* folded */
	uint32_t name_len, soa_len;
	struct handful clients;
};

#define KEY_BYTES 17u /* vantage, hash of the folded name */

static void nxtrend_destroy(void *stat)
{
	struct nxtrend *s = stat;

	if (s == NULL)
		return;
	spikes_destroy(s->spikes);
	traps_destroy(s->traps);
	free(s);
}

static void *nxtrend_create(const struct stat_run *run)
{
	struct nxtrend *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->spikes = spikes_create(run->interval_s, SPIKE_KEYS);
	s->traps = traps_create(TRAPS_CAP);
	if (s->spikes == NULL || s->traps == NULL) {
		nxtrend_destroy(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

/* --- names that do not exist --- */

static void never_mind(void *ctx, const void *acc)
{
	(void)ctx;
	(void)acc;
}

struct gathering {
	const struct stat_run *run;
	struct keyed_merge *cuts, *wanted;
	bool no_memory;
};

/* What is counted of a name; NULL: nothing, for want of room. */
static void *get(struct gathering *g, struct keyed_merge *m, uint8_t vantage, const uint8_t *folded,
		 uint32_t n)
{
	const XXH128_hash_t h = XXH3_128bits_withSeed(folded, n, g->run->sample_key);
	uint8_t key[KEY_BYTES] = {vantage};
	void *acc;

	memcpy(key + 1, &h, 16);
	const int r = keyed_merge_get(m, key, &acc);
	g->no_memory |= r < 0;
	return r == 0 ? acc : NULL;
}

/* Keeps a name for as long as the merge; its length, 0 where there is no memory. */
static uint32_t keep(struct gathering *g, struct keyed_merge *m, const uint8_t *folded, uint32_t n,
		     const uint8_t **name)
{
	*name = keyed_merge_keep(m, folded, n);
	g->no_memory |= *name == NULL;
	return *name != NULL ? n : 0;
}

static void add_cut(struct gathering *g, const struct error_row *x, const uint8_t *folded,
		    uint32_t n)
{
	struct cut *c = get(g, g->cuts, x->text.what & FT_ERROR_VANTAGE, folded, n);

	if (c == NULL)
		return;
	if (c->keys++ == 0)
		c->name_len = keep(g, g->cuts, folded, n, &c->name);
	c->count += x->count;
}

/* Of several zones that say so the least, so that their order does not show. */
static void note_soa(struct gathering *g, struct wanted *w, const struct error_row *x)
{
	const uint32_t n = x->text.soa_len;
	uint8_t soa[FT_NAME_CAP];

	if (n == 0 || (w->soa_len != 0 && n > w->soa_len))
		return;
	field_fold(soa, x->text.soa, n);
	if (n != w->soa_len || memcmp(soa, w->soa, n) < 0)
		w->soa_len = keep(g, g->wanted, soa, n, &w->soa);
}

static void add_wanted(struct gathering *g, const struct error_row *x, const uint8_t *folded,
		       uint32_t n)
{
	struct wanted *w = get(g, g->wanted, x->text.what & FT_ERROR_VANTAGE, folded, n);

	if (w == NULL)
		return;
	if (w->count == 0) {
		w->name_len = keep(g, g->wanted, folded, n, &w->name);
		w->first_us = x->time_us;
	}
	note_soa(g, w, x);
	if (x->time_us < w->first_us)
		w->first_us = x->time_us;
	if (x->time_us > w->last_us)
		w->last_us = x->time_us;
	w->count += x->count;
	handful_merge(&w->clients, x->client_set->n, x->client_set->u.regs);
}

static void gather(void *ctx, const struct error_row *x)
{
	struct gathering *g = ctx;
	const uint32_t len = x->text.qname_len;
	const uint8_t *name = NULL;
	uint8_t folded[FT_NAME_CAP];

	if (errors_set_of(x->text.what) != 0 || len <= 1 || g->no_memory)
		return;
	field_fold(folded, x->text.qname, len);
	const uint32_t cut = errors_nx_cut(&x->text, &name);
	if (cut != 0)
		add_cut(g, x, folded + len - cut, cut);
	/* A zone elsewhere speaks of an alias's target. */
	if (x->text.qtype != QTYPE_MX || (cut == 0 && x->text.soa_len != 0) || g->no_memory)
		return;
	const uint32_t domain = len - lookups_domain_off(g->run->lookups, folded, len);
	const uint32_t n = cut > domain ? cut : domain;
	add_wanted(g, x, folded + len - n, n);
}

static json_t *begin(const struct nxtrend *s, const struct stat_interval *in, unsigned vantage,
		     const char *set)
{
	return envelope_create(set, s->run->probe, ft_vantage_texts[vantage], in->start_s,
			       in->end_s, 1, in->loss_ppm);
}

static void write_spike(const struct nxtrend *s, const struct stat_interval *in, unsigned vantage,
			const struct cut *c, const struct spike *spike)
{
	json_t *o = begin(s, in, vantage, "nxdomain");

	json_object_set_new(o, "state",
			    json_string(spike->kind == SPIKE_SUDDEN ? "spike" : "drift"));
	field_name(o, "nx_cut", c->name, c->name_len);
	field_count(o, "count", c->count);
	field_count(o, "keys", c->keys);
	json_object_set_new(o, "expected", json_real(spike->expected));
	json_object_set_new(o, "dispersion", json_real(spike->dispersion));
	s->run->write(s->run->ctx, "nxdomain", in->start_s, o);
}

static void write_trap(const struct nxtrend *s, const struct stat_interval *in, unsigned vantage,
		       const struct wanted *w, const struct trap *t)
{
	json_t *o = begin(s, in, vantage, "spamtrap");

	field_name(o, "domain", w->name, w->name_len);
	field_count(o, "q30d", t->count);
	field_count(o, "clients", t->clients);
	field_count(o, "days", t->days);
	field_count(o, "first_us", t->first_us);
	field_count(o, "last_us", t->last_us);
	field_name(o, "nx_by", w->soa, w->soa_len);
	s->run->write(s->run->ctx, "spamtrap", in->start_s, o);
}

static void look_at_cut(struct nxtrend *s, const struct stat_interval *in, const uint8_t *key,
			const void *acc)
{
	const struct cut *c = acc;
	const uint64_t hash = XXH3_64bits(key, KEY_BYTES);
	const struct spike spike =
	    spikes_step(s->spikes, hash + (hash == 0), in->start_s, c->count);

	if (spike.kind != SPIKE_NONE)
		write_spike(s, in, key[0], c, &spike);
}

static void look_at_wanted(struct nxtrend *s, const struct stat_interval *in, const uint8_t *key,
			   const void *acc)
{
	const struct wanted *w = acc;
	const struct trap_day day = {in->start_s / 86400, w->count, w->first_us, w->last_us,
				     &w->clients};
	struct trap trap;

	if (traps_step(s->traps, key, &day, &trap))
		write_trap(s, in, key[0], w, &trap);
}

static void look_at_all(struct nxtrend *s, const struct stat_interval *in, struct keyed_merge *m,
			void (*look)(struct nxtrend *s, const struct stat_interval *in,
				     const uint8_t *key, const void *acc))
{
	size_t n = 0;
	const void *const *sorted = keyed_merge_sorted(m, &n);

	for (size_t i = 0; sorted != NULL && i < n; i++)
		look(s, in, keyed_merge_key(m, sorted[i]), sorted[i]);
}

static struct keyed_merge *create_merge(const struct nxtrend *s, size_t acc_bytes)
{
	const struct keyed_merge_settings set = {.key_bytes = KEY_BYTES,
						 .acc_bytes = acc_bytes,
						 .budget = CUTS_CAP,
						 .seed = s->run->sample_key,
						 .leave = never_mind};

	return keyed_merge_create(&set);
}

static void close_cuts(struct nxtrend *s, const struct stat_interval *in)
{
	struct gathering g = {.run = s->run,
			      .cuts = create_merge(s, sizeof(struct cut)),
			      .wanted = create_merge(s, sizeof(struct wanted))};

	if (g.cuts != NULL && g.wanted != NULL) { /* the channel's rows are there all the same */
		errors_each(in->errors, gather, &g);
		look_at_all(s, in, g.cuts, look_at_cut);
		look_at_all(s, in, g.wanted, look_at_wanted);
	}
	keyed_merge_destroy(g.cuts);
	keyed_merge_destroy(g.wanted);
}

static void nxtrend_close(void *stat, struct stat_interval *in)
{
	struct nxtrend *s = stat;

	if (in->errors != NULL)
		close_cuts(s, in);
}

static int nxtrend_save(const void *stat, state_write_fn *write, void *ctx)
{
	const struct nxtrend *s = stat;
	const int result = spikes_save(s->spikes, write, ctx);

	return result != 0 ? result : traps_save(s->traps, write, ctx);
}

static int nxtrend_load(void *stat, state_read_fn *read, void *ctx)
{
	struct nxtrend *s = stat;
	const int result = spikes_load(s->spikes, read, ctx);

	return result != 0 ? result : traps_load(s->traps, read, ctx);
}

const struct stat_ops stat_nxtrend = {
    .set = "spamtrap",
    .create = nxtrend_create,
    .close = nxtrend_close,
    .destroy = nxtrend_destroy,
    .state = "nxtrend",
    .save = nxtrend_save,
    .load = nxtrend_load,
};
