/* SPDX-License-Identifier: BSD-3-Clause */
/* Observations of CNAMEs on their way through what workers do to them: split over tables
 * that evict at random, with a text where a table sees a set for the first time, in
 * records that come in any order. The statistics `rrsets` and `flux` get them by row.
 * For tests alone: aborts where it gets no memory. */
#ifndef TESTS_UNIT_FLUX_RIG_H
#define TESTS_UNIT_FLUX_RIG_H

#include "flow.h"
#include "parts.h"
#include "stats/flux_cname.h"
#include "stats/rrsets.h"
#include "stats/stat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUX_RIG_T0 1767225600u /* 2026-01-01, begins a day */

/* One answer that was seen. */
struct flux_obs {
	uint32_t at; /* second after FLUX_RIG_T0 */
	uint32_t owner, target, view, ttl;
	uint8_t vantage; /* enum ft_vantage */
	bool is_long;    /* only a mark */
	bool is_multi;   /* two targets in one answer */
};

struct flux_rig {
	uint64_t secret, random;
	unsigned workers;
	uint32_t interval_s;
	struct stat_run run;
	void *rrsets, *flux;
	char **line; /* records as JSON */
	size_t lines;
	uint64_t loss_ppm;
	bool lose_texts;
};

static inline void *flux_rig_need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* A snapshot in memory, for what saves and loads one. */
struct flux_rig_bytes {
	uint8_t *b;
	size_t n, at;
};

static inline int flux_rig_put_bytes(void *ctx, const void *data, size_t len)
{
	struct flux_rig_bytes *b = ctx;

	b->b = flux_rig_need(realloc(b->b, b->n + len));
	memcpy(b->b + b->n, data, len);
	b->n += len;
	return 0;
}

static inline int flux_rig_get_bytes(void *ctx, void *data, size_t len)
{
	struct flux_rig_bytes *b = ctx;

	if (len > b->n - b->at)
		return -1;
	memcpy(data, b->b + b->at, len);
	b->at += len;
	return 0;
}

static inline uint64_t flux_rig_rand(struct flux_rig *r, uint64_t n)
{
	r->random = r->random * 6364136223846793005ull + 1442695040888963407ull;
	return (r->random >> 33) % n;
}

static inline void flux_rig_write(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	struct flux_rig *r = ctx;

	if (record == NULL || strcmp(set, "flux") != 0 ||
	    start_s != (uint64_t)json_integer_value(json_object_get(record, "start")))
		abort();
	r->line = flux_rig_need(realloc(r->line, (r->lines + 1) * sizeof(*r->line)));
	r->line[r->lines++] = flux_rig_need(json_dumps(record, JSON_COMPACT));
	json_decref(record);
}

static inline void flux_rig_init(struct flux_rig *r, uint64_t secret, unsigned workers,
				 uint32_t interval_s)
{
	*r = (struct flux_rig){
	    .secret = secret, .random = secret, .workers = workers, .interval_s = interval_s};
	r->run = (struct stat_run){.probe = "rig",
				   .workers = workers,
				   .interval_s = interval_s,
				   .write = flux_rig_write,
				   .ctx = r};
	r->rrsets = flux_rig_need(merge_rrsets.create(&r->run, 1));
	r->flux = flux_rig_need(stat_flux_cname.create(&r->run));
}

/* With --flux-sliding; before the first row. */
static inline void flux_rig_slide(struct flux_rig *r)
{
	stat_flux_cname.destroy(r->flux);
	r->run.flux_sliding = true;
	r->flux = flux_rig_need(stat_flux_cname.create(&r->run));
}

static inline void flux_rig_fini(struct flux_rig *r)
{
	merge_rrsets.destroy(r->rrsets);
	stat_flux_cname.destroy(r->flux);
	for (size_t i = 0; i < r->lines; i++)
		free(r->line[i]);
	free(r->line);
}

static inline uint32_t flux_rig_name(char *text, uint8_t *wire)
{
	uint32_t n = 0;

	for (char *label = strtok(text, "."); label != NULL; label = strtok(NULL, ".")) {
		wire[n++] = (uint8_t)strlen(label);
		memcpy(wire + n, label, strlen(label));
		n += (uint32_t)strlen(label);
	}
	wire[n++] = 0;
	return n;
}

/* Targets of even number are below one domain, the others below one each. */
static inline const char *flux_rig_target(uint32_t target, char *text)
{
	(void)sprintf(text, target % 2 == 0 ? "t%u.pool.net." : "www.d%u.com.", target);
	return text;
}

static inline const char *flux_rig_owner(uint32_t owner, char *text)
{
	(void)sprintf(text, "o%u.example.org.", owner);
	return text;
}

static inline uint64_t flux_rig_key(const struct flux_rig *r, uint64_t what, uint64_t n)
{
	return hash_mix(hash_mix(r->secret + what) + n);
}

static inline void flux_rig_fill(const struct flux_rig *r, const struct flux_obs *o,
				 struct ft_rrset *x)
{
	const uint32_t row_s = o->at / r->interval_s * r->interval_s;

	*x = (struct ft_rrset){
	    .what = (uint8_t)(FT_RRSET_CNAME | o->vantage << FT_RRSET_VANTAGE_SHIFT),
	    .records = o->is_multi ? 2 : 1,
	    .view = o->view * 0x9e3779b1u,
	    .owner_key = flux_rig_key(r, 1, o->owner),
	    .set_key = flux_rig_key(r, o->is_multi ? 3 : 2, o->target),
	    .minute = o->at / 60 - row_s / 60,
	    .ttl_min = o->ttl,
	    .ttl_max = o->ttl,
	    .seconds = 1ull << o->at % 60,
	    .count = 1,
	};
	if (o->is_long)
		*x = (struct ft_rrset){.what = x->what | FT_RRSET_LONG, .owner_key = x->owner_key};
}

/* Written entries of a row: each becomes a record of its own. */
struct flux_rig_entry {
	uint16_t type;
	size_t n;
	uint8_t b[FT_ENTRY_CAP];
};

static inline void flux_rig_put_text(const struct ft_rrset *x, const struct flux_obs *o,
				     struct flux_rig_entry *e)
{
	uint8_t owner[64], rdata[160];
	char text[64];
	struct ft_rrset_text t = {.first = *x, .owner = owner, .rdata = rdata};

	flux_rig_owner(o->owner, text);
	t.owner_len = flux_rig_name(text, owner);
	for (t.texts = 0; t.texts < x->records; t.texts++) {
		flux_rig_target(o->target + t.texts, text);
		const uint32_t n = flux_rig_name(text, rdata + t.rdata_bytes + 1);
		rdata[t.rdata_bytes] = (uint8_t)n;
		t.rdata_bytes += n + 1;
	}
	e->n = ft_rrset_text_write(&t, e->b);
	e->type = FT_REC_RRSET_TEXT;
}

static inline void flux_rig_put(const struct ft_rrset *x, struct flux_rig_entry *e)
{
	e->n = ft_rrset_write(x, e->b);
	e->type = (x->what & FT_RRSET_LONG) != 0 ? FT_REC_RRSET_TEXT : FT_REC_RRSET;
}

static inline bool flux_rig_same(const struct ft_rrset *a, const struct ft_rrset *b)
{
	return a->what == b->what && a->view == b->view && a->owner_key == b->owner_key &&
	       a->set_key == b->set_key && a->minute == b->minute && (a->what & FT_RRSET_LONG) == 0;
}

/* The entries of n observations of a row; how many. */
static inline size_t flux_rig_entries(struct flux_rig *r, const struct flux_obs *o, size_t n,
				      struct flux_rig_entry *out)
{
	enum { SLOTS = 64 };
	struct ft_rrset slot[4][SLOTS];
	uint64_t sent[4][SLOTS];
	size_t entries = 0;

	memset(slot, 0, sizeof(slot));
	memset(sent, 0, sizeof(sent));
	for (size_t i = 0; i < n; i++) {
		const unsigned w = (unsigned)(hash_mix(o[i].view + 7) % r->workers);
		struct ft_rrset x;
		flux_rig_fill(r, &o[i], &x);
		struct ft_rrset *at = &slot[w][hash_mix(x.owner_key ^ x.set_key ^ x.view) % SLOTS];
		uint64_t *text = &sent[w][hash_mix(x.owner_key + x.set_key) % SLOTS];
		if (flux_rig_same(at, &x)) {
			at->seconds |= x.seconds;
			at->count++;
			at->ttl_min = x.ttl_min < at->ttl_min ? x.ttl_min : at->ttl_min;
			at->ttl_max = x.ttl_max > at->ttl_max ? x.ttl_max : at->ttl_max;
			continue;
		}
		if (o[i].is_long) {
			flux_rig_put(&x, &out[entries++]);
			continue;
		}
		if (*text != (x.owner_key ^ x.set_key)) {
			*text = x.owner_key ^ x.set_key;
			if (!r->lose_texts) {
				flux_rig_put_text(&x, &o[i], &out[entries++]);
				continue;
			}
		}
		if (at->count != 0)
			flux_rig_put(at, &out[entries++]);
		*at = x;
	}
	for (unsigned w = 0; w < 4; w++)
		for (unsigned i = 0; i < SLOTS; i++)
			if (slot[w][i].count != 0)
				flux_rig_put(&slot[w][i], &out[entries++]);
	return entries;
}

static inline void flux_rig_record(struct flux_rig *r, uint64_t row, const struct flux_rig_entry *e)
{
	const struct ft_rec_hdr h = {.type = e->type, .row = row};
	const struct stat_record rec = {NULL, &h, e->b, e->n};

	if (merge_rrsets.record(r->rrsets, &rec) != 0)
		abort();
}

/* A whole row; observations in rising order of time. */
static inline void flux_rig_row(struct flux_rig *r, const struct flux_obs *o, size_t n)
{
	const uint64_t start_s = FLUX_RIG_T0 + o->at / r->interval_s * r->interval_s;
	struct stat_interval in = {.row = start_s / r->interval_s,
				   .start_s = start_s,
				   .end_s = start_s + r->interval_s,
				   .loss_ppm = r->loss_ppm};
	struct flux_rig_entry *e = flux_rig_need(calloc(n * 2 + 256, sizeof(*e)));
	const size_t entries = flux_rig_entries(r, o, n, e);

	for (size_t i = entries; i > 1; i--) {
		const size_t k = flux_rig_rand(r, i);
		const struct flux_rig_entry swap = e[k];
		e[k] = e[i - 1];
		e[i - 1] = swap;
	}
	for (size_t i = 0; i < entries; i++)
		flux_rig_record(r, in.row, &e[i]);
	free(e);
	struct stat_parts rrsets = parts_take(STAT_RRSETS, r->rrsets, in.row);
	in.rrsets = &rrsets;
	stat_flux_cname.close(r->flux, &in);
	parts_fini(STAT_RRSETS, &rrsets);
}

/* Rows of observations from first on, up to those before `end`; does not end the input. */
static inline void flux_rig_rows(struct flux_rig *r, const struct flux_obs *o, size_t n)
{
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i; end < n && o[end].at / r->interval_s == o[i].at / r->interval_s;)
			end++;
		flux_rig_row(r, o + i, end - i);
	}
}

static inline void flux_rig_end(struct flux_rig *r)
{
	stat_flux_cname.end(r->flux);
}

#endif
