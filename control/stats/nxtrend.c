/* SPDX-License-Identifier: BSD-3-Clause */
/* What the NXDOMAIN channel adds up to: names that do not exist and are suddenly asked for
 * (set `nxdomain`, state `spike` or `drift`), and domains that do not exist where mail is
 * looked for day after day (set `spamtrap`). Both by the topmost name that does not exist.
 *
 * Works on what `errors` leaves in an interval; keeps pasts of bounded size. */
#include "../envelope.h"
#include "../field.h"
#include "../keyed_merge.h"
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
	uint64_t count, mx_count;
	uint64_t keys; /* rows of the channel */
	uint64_t mx_first_us, mx_last_us;
	const uint8_t *name, *soa; /* name: folded */
	uint32_t name_len, soa_len;
	struct handful mx_clients;
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
	struct keyed_merge *cuts;
	uint64_t seed;
	bool no_memory;
};

static void add_mx(struct cut *c, const struct error_row *x)
{
	if (c->mx_count == 0 || x->time_us < c->mx_first_us)
		c->mx_first_us = x->time_us;
	if (x->time_us > c->mx_last_us)
		c->mx_last_us = x->time_us;
	c->mx_count += x->count;
	handful_merge(&c->mx_clients, x->client_set->n, x->client_set->u.regs);
}

static int begin_cut(struct gathering *g, struct cut *c, const struct error_row *x,
		     const uint8_t *folded, uint32_t n)
{
	c->name = keyed_merge_keep(g->cuts, folded, n);
	c->soa = keyed_merge_keep(g->cuts, x->text.soa, x->text.soa_len);
	c->name_len = n;
	c->soa_len = x->text.soa_len;
	return c->name != NULL && c->soa != NULL ? 0 : -ENOMEM;
}

static void gather(void *ctx, const struct error_row *x)
{
	struct gathering *g = ctx;
	const uint8_t *name = NULL;
	uint8_t folded[FT_NAME_CAP], key[KEY_BYTES] = {x->text.what & FT_ERROR_VANTAGE};
	const uint32_t n = errors_nx_cut(&x->text, &name);
	void *acc;

	if (n == 0 || g->no_memory)
		return;
	for (uint32_t i = 0; i < n; i++)
		folded[i] = (uint8_t)(name[i] + (name[i] >= 'A' && name[i] <= 'Z' ? 32 : 0));
	const XXH128_hash_t h = XXH3_128bits_withSeed(folded, n, g->seed);
	memcpy(key + 1, &h, 16);
	const int r = keyed_merge_get(g->cuts, key, &acc);
	struct cut *c = acc;
	if (r == 0 && c->keys == 0 && begin_cut(g, c, x, folded, n) != 0)
		c->name_len = 0;
	g->no_memory |= r < 0 || (r == 0 && c->name_len == 0);
	if (r != 0 || c->name_len == 0)
		return;
	c->keys++;
	c->count += x->count;
	if (x->text.qtype == QTYPE_MX)
		add_mx(c, x);
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
		       const struct cut *c, const struct trap *t)
{
	json_t *o = begin(s, in, vantage, "spamtrap");

	field_name(o, "domain", c->name, c->name_len);
	field_count(o, "q30d", t->count);
	field_count(o, "clients", t->clients);
	field_count(o, "days", t->days);
	field_count(o, "first_us", t->first_us);
	field_count(o, "last_us", t->last_us);
	field_name(o, "nx_by", c->soa, c->soa_len);
	s->run->write(s->run->ctx, "spamtrap", in->start_s, o);
}

static void look_at_cut(struct nxtrend *s, const struct stat_interval *in, const uint8_t *key,
			const struct cut *c)
{
	const uint64_t hash = XXH3_64bits(key, KEY_BYTES);
	const struct spike spike =
	    spikes_step(s->spikes, hash + (hash == 0), in->start_s, c->count);
	struct trap trap;

	if (spike.kind != SPIKE_NONE)
		write_spike(s, in, key[0], c, &spike);
	if (c->mx_count != 0 &&
	    traps_step(s->traps, key,
		       &(struct trap_day){in->start_s / 86400, c->mx_count, c->mx_first_us,
					  c->mx_last_us, &c->mx_clients},
		       &trap))
		write_trap(s, in, key[0], c, &trap);
}

static void close_cuts(struct nxtrend *s, const struct stat_interval *in)
{
	const struct keyed_merge_settings set = {.key_bytes = KEY_BYTES,
						 .acc_bytes = sizeof(struct cut),
						 .budget = CUTS_CAP,
						 .seed = s->run->sample_key,
						 .leave = never_mind};
	struct gathering g = {.cuts = keyed_merge_create(&set), .seed = s->run->sample_key};
	size_t n = 0;

	if (g.cuts == NULL)
		return; /* the rows of the channel are there all the same */
	errors_each(in->errors, gather, &g);
	const void *const *sorted = keyed_merge_sorted(g.cuts, &n);
	for (size_t i = 0; sorted != NULL && i < n; i++)
		look_at_cut(s, in, keyed_merge_key(g.cuts, sorted[i]), sorted[i]);
	keyed_merge_destroy(g.cuts);
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
