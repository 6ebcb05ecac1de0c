/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers without packets: DNS messages go through parse, match and pair into the
 * keyed tables of RRsets and errors, and their blocks into the two statistics.
 *
 *	txn_rig_init(&r, workers, entries, interval_s, ERRORS_AUTO);
 *	txn_rig_message(&r, data, len, &client, &server, port, response, t_us); ...
 *	txn_rig_end(&r);            everything is in r.rrsets and r.errors now
 *	txn_rig_fini(&r);
 *
 * For tests alone, one thread: aborts where it gets no memory. */
#ifndef TESTS_UNIT_TXN_RIG_H
#define TESTS_UNIT_TXN_RIG_H

#include "errors.h"
#include "match.h"
#include "parse.h"
#include "ring.h"
#include "parts.h"
#include "rrsets.h"
#include "stats/stat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define TXN_RIG_WORKERS 4u
#define TXN_RIG_SEED 0x8badf00d5eed1234u
#define TXN_RIG_SKETCH 77u
#define TXN_RIG_RING (256u << 10)
#define TXN_RIG_BYTES (1u << 20) /* of the messages of a batch */

struct txn_rig_worker {
	struct evclock clock;
	struct ft_ring *ring;
	_Atomic int abandon;
	struct seal *seal;
	struct tally *tally;
	struct rrsets *rrsets;
	struct errors *errors;
	struct match *match;
	struct pair *pair;
	struct msgs *msgs;
	uint8_t *bytes;
	size_t used;
};

struct txn_rig {
	uint32_t workers, interval_s;
	struct vantage_rules vantage;
	struct txn_rig_worker w[TXN_RIG_WORKERS];
	uint64_t now_us, expire_us;
	struct stat_run run;
	void *rrsets, *errors;     /* merges */
	uint64_t records, entries; /* that came */
};

static inline void *txn_rig_need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static inline void txn_rig_init_worker(struct txn_rig *r, struct txn_rig_worker *w, size_t entries,
				       enum errors_channels channels)
{
	const struct rrsets_settings rrsets = {
	    .name_seed = TXN_RIG_SEED,
	    .view_seed = TXN_RIG_SEED,
	    .entries = entries,
	    .ttl_cap_s = {1800, 1800, 10800, 0},
	};
	const struct errors_settings errors = {TXN_RIG_SEED, TXN_RIG_SKETCH, entries, channels};
	const struct match_settings match = {TXN_RIG_SEED, TXN_RIG_SKETCH, 256, &r->vantage};

	w->clock.interval_us = r->interval_s * 1000000ull;
	w->ring = txn_rig_need(aligned_alloc(64, sizeof(struct ft_ring) + TXN_RIG_RING));
	ring_init(w->ring, TXN_RIG_RING);
	w->seal = txn_rig_need(seal_create(w->ring, 0, false, &w->abandon));
	w->tally = txn_rig_need(tally_create(&w->clock, w->seal));
	w->rrsets = txn_rig_need(rrsets_create(w->tally, &rrsets));
	w->errors = txn_rig_need(errors_create(w->tally, &errors));
	w->match = txn_rig_need(match_create(&match));
	w->pair = txn_rig_need(pair_create(1 << 14, 5000000, w->clock.interval_us, 3, true));
	w->msgs = txn_rig_need(calloc(1, sizeof(*w->msgs)));
	w->bytes = txn_rig_need(malloc(TXN_RIG_BYTES));
}

static inline void txn_rig_init(struct txn_rig *r, uint32_t workers, size_t entries,
				uint32_t interval_s, enum errors_channels channels)
{
	memset(r, 0, sizeof(*r));
	r->workers = workers;
	r->interval_s = interval_s;
	dd_init();
	for (uint32_t i = 0; i < workers; i++)
		txn_rig_init_worker(r, &r->w[i], entries, channels);
	r->run = (struct stat_run){.probe = "rig", .workers = workers, .interval_s = interval_s};
	r->rrsets = txn_rig_need(merge_rrsets.create(&r->run, 1));
	r->errors = txn_rig_need(merge_errors.create(&r->run, 1));
}

static inline void txn_rig_fini(struct txn_rig *r)
{
	for (uint32_t i = 0; i < r->workers; i++) {
		struct txn_rig_worker *w = &r->w[i];
		rrsets_destroy(w->rrsets);
		errors_destroy(w->errors);
		tally_destroy(w->tally);
		seal_destroy(w->seal);
		match_destroy(w->match);
		pair_destroy(w->pair);
		free(w->msgs);
		free(w->bytes);
		free(w->ring);
	}
	merge_rrsets.destroy(r->rrsets);
	merge_errors.destroy(r->errors);
}

static inline void txn_rig_block(struct txn_rig *r, const uint8_t *p, uint32_t n)
{
	static _Alignas(8) uint8_t raw[FT_BLOCK_RAW_CAP];
	struct ft_block_hdr h;

	memcpy(&h, p, sizeof(h));
	if (ZSTD_decompress(raw, sizeof(raw), p + sizeof(h), n - sizeof(h)) != h.raw_bytes)
		abort();
	for (size_t at = 0; at < h.raw_bytes;) {
		const struct ft_rec_hdr *rec = (const struct ft_rec_hdr *)(raw + at);
		const struct stat_record x = {&h, rec, rec + 1,
					      rec->bytes - sizeof(*rec) - rec->pad};
		if (merge_rrsets.record(r->rrsets, &x) != 0 ||
		    merge_errors.record(r->errors, &x) != 0)
			abort();
		if (rec->type >= FT_REC_DOMAIN) {
			r->records++;
			r->entries += ft_rec_records(rec);
		}
		at += rec->bytes;
	}
}

static inline void txn_rig_drain(struct txn_rig *r, struct txn_rig_worker *w)
{
	const uint8_t *p;
	uint32_t n;

	while ((p = ring_peek(w->ring, &n)) != NULL) {
		txn_rig_block(r, p, n);
		ring_pop(w->ring);
	}
}

static inline void txn_rig_settled(struct txn_rig *r, struct txn_rig_worker *w, struct txn *txn,
				   uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (txn[i].verdict == NULL && txn[i].name_len != 0)
			txn[i].verdict = match_get(w->match, txn[i].name, txn[i].name_len);
	tally_step(w->tally, txn, n);
	rrsets_step(w->rrsets, w->msgs, txn, n);
	errors_step(w->errors, w->msgs, txn, n);
	txn_rig_drain(r, w);
}

static inline void txn_rig_step(struct txn_rig *r, struct txn_rig_worker *w)
{
	struct txn txn[MSG_CAP];

	parse_step(w->msgs, TXN_RIG_SEED);
	match_step(w->match, w->msgs);
	const uint32_t n = pair_step(w->pair, w->msgs, txn);
	txn_rig_settled(r, w, txn, n);
	w->msgs->n = 0;
	w->used = 0;
}

/* What a worker does when the clock has moved. */
static inline void txn_rig_housekeep(struct txn_rig *r, struct txn_rig_worker *w)
{
	struct txn txn[MSG_CAP];
	uint32_t n;

	txn_rig_step(r, w);
	w->clock.now_us = r->now_us;
	do {
		n = pair_expire(w->pair, r->now_us, txn, MSG_CAP);
		txn_rig_settled(r, w, txn, n);
	} while (n == MSG_CAP);
	while (tally_close(w->tally, false) == CLOSE_MORE)
		txn_rig_drain(r, w);
	txn_rig_drain(r, w);
}

/* A message at event time t_us, to the worker that its client and server give. */
static inline void txn_rig_message(struct txn_rig *r, const void *data, uint32_t len,
				   const struct addr *client, const struct addr *server,
				   uint16_t port, bool response, uint64_t t_us)
{
	struct txn_rig_worker *w = &r->w[flow_hash(client, server, 5) % r->workers];

	if (t_us > r->now_us)
		r->now_us = t_us;
	if (r->now_us > r->expire_us) {
		r->expire_us = r->now_us + 250000;
		for (uint32_t i = 0; i < r->workers; i++)
			txn_rig_housekeep(r, &r->w[i]);
	}
	if (w->msgs->n == MSG_CAP || w->used + len > TXN_RIG_BYTES)
		txn_rig_step(r, w);
	w->clock.now_us = r->now_us;
	struct msg *m = &w->msgs->m[w->msgs->n++];
	memset(m, 0, sizeof(*m));
	m->data = memcpy(w->bytes + w->used, data, len);
	w->used += len;
	m->len = (uint16_t)len;
	m->ts_us = t_us;
	m->t_us = clock_effective(&w->clock, t_us);
	m->now_us = r->now_us;
	m->src = response ? *server : *client;
	m->dst = response ? *client : *server;
	m->sport = response ? 53 : port;
	m->dport = response ? port : 53;
	(void)tally_ledger(w->tally, m->t_us);
}

static inline void txn_rig_end(struct txn_rig *r)
{
	struct txn txn[MSG_CAP];
	uint32_t n;

	for (uint32_t i = 0; i < r->workers; i++) {
		struct txn_rig_worker *w = &r->w[i];
		txn_rig_step(r, w);
		w->clock.now_us = r->now_us;
		do {
			n = pair_flush(w->pair, r->now_us, txn, MSG_CAP);
			txn_rig_settled(r, w, txn, n);
		} while (n == MSG_CAP);
		while (tally_close(w->tally, true) != CLOSE_DONE)
			txn_rig_drain(r, w);
		txn_rig_drain(r, w);
	}
}

/* Lines of text: what came and what should have come, to be sorted and compared. */
struct lines {
	char **line;
	size_t n, cap;
};

static inline void lines_add(struct lines *l, const char *text)
{
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 1024 : 2 * l->cap;
		l->line = txn_rig_need(realloc(l->line, l->cap * sizeof(*l->line)));
	}
	l->line[l->n++] = txn_rig_need(strdup(text));
}

static inline int lines_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How many lines differ; prints the first ones. */
static inline size_t lines_differ(struct lines *came, struct lines *should)
{
	size_t i = 0, k = 0, bad = 0;

	qsort(came->line, came->n, sizeof(*came->line), lines_compare);
	qsort(should->line, should->n, sizeof(*should->line), lines_compare);
	while (i < came->n || k < should->n) {
		const int d = i == came->n     ? 1
			      : k == should->n ? -1
					       : strcmp(came->line[i], should->line[k]);
		if (d != 0 && bad++ < 6)
			fprintf(stderr, "%s %s\n", d < 0 ? "came  " : "should",
				d < 0 ? came->line[i] : should->line[k]);
		i += d <= 0;
		k += d >= 0;
	}
	return bad;
}

static inline void lines_fini(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->line[i]);
	free(l->line);
	*l = (struct lines){0};
}

#endif
