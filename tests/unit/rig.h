/* SPDX-License-Identifier: BSD-3-Clause */
/* The inner part of a probe without a machine around it: a segment in ordinary
 * memory, the drain over it, and every record it writes, kept.
 *
 *	struct rig r;
 *	rig_init(&r, workers, interval_s, ring_bytes, live);
 *	...worker_create() with rig_settings(&r, i, rx), or blocks by hand...
 *	while (drain_step(r.drain)) ...
 *	rig_fini(&r);
 *
 * For tests alone, one thread at a time: aborts where it gets no memory. */
#ifndef TESTS_UNIT_RIG_H
#define TESTS_UNIT_RIG_H

#include "drain.h"
#include "ring.h"
#include "worker.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RIG_WORKERS 4u
#ifndef RIG_PSL
#define RIG_PSL NULL /* the system's list of public suffixes */
#endif

struct rig_record {
	const char *set;
	uint64_t start_s;
	json_t *json;
};

struct rig {
	struct segment segment;
	struct stat_run run;
	struct drain *drain;
	struct vantage_rules vantage;
	struct rig_record *record;
	size_t n, cap;
	uint64_t intervals, last_row;         /* that have closed */
	bool in_order;                        /* each row was greater than the one before */
	uint64_t source_dropped[RIG_WORKERS]; /* given out once */
	/* Called when an interval has closed; may be NULL. */
	void (*closed)(void *ctx, const struct stat_interval *in);
	void *closed_ctx;
};

static inline uint64_t rig_take_dropped(void *ctx, unsigned worker)
{
	struct rig *r = ctx;
	const uint64_t n = r->source_dropped[worker];

	r->source_dropped[worker] = 0;
	return n;
}

static inline void rig_write(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	struct rig *r = ctx;

	if (r->n == r->cap) {
		r->cap = r->cap == 0 ? 64 : 2 * r->cap;
		r->record = realloc(r->record, r->cap * sizeof(*r->record));
		if (r->record == NULL)
			abort();
	}
	r->record[r->n++] = (struct rig_record){set, start_s, record};
}

static inline void rig_closed(void *ctx, const struct stat_interval *in)
{
	struct rig *r = ctx;

	r->in_order &= r->intervals == 0 || in->row > r->last_row;
	r->last_row = in->row;
	r->intervals++;
	if (r->closed != NULL)
		r->closed(r->closed_ctx, in);
}

static inline size_t rig_round(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

/* The layout of segment.c, in memory of our own. */
static inline void rig_lay_out(struct rig *r, unsigned workers, size_t ring_bytes)
{
	const size_t head = rig_round(sizeof(struct ft_shm));
	const size_t worker = rig_round(sizeof(struct ft_shm_worker));
	const size_t ring = rig_round(sizeof(struct ft_ring) + ring_bytes);

	r->segment.bytes = head + workers * (worker + ring);
	r->segment.shm = aligned_alloc(64, r->segment.bytes);
	if (r->segment.shm == NULL)
		abort();
	memset(r->segment.shm, 0, head + workers * worker); /* rings may hold anything */
	r->segment.shm->worker_off = head;
	r->segment.shm->worker_stride = worker;
	r->segment.shm->ring_off = head + workers * worker;
	r->segment.shm->ring_stride = ring;
	for (unsigned i = 0; i < workers; i++)
		ring_init(segment_ring(&r->segment, i), ring_bytes);
}

static inline void rig_init(struct rig *r, unsigned workers, uint32_t interval_s, size_t ring_bytes,
			    bool live)
{
	memset(r, 0, sizeof(*r));
	r->in_order = true;
	rig_lay_out(r, workers, ring_bytes);
	r->run = (struct stat_run){
	    .probe = "rig",
	    .workers = workers,
	    .interval_s = interval_s,
	    .psl = RIG_PSL,
	    .source_dropped = rig_take_dropped,
	    .write = rig_write,
	    .ctx = r,
	};
	const struct drain_opts o = {
	    .segment = &r->segment,
	    .run = &r->run,
	    .live = live,
	    .closed = rig_closed,
	    .ctx = r,
	};
	r->drain = drain_create(&o);
	if (r->drain == NULL)
		abort();
}

static inline void rig_fini(struct rig *r)
{
	drain_destroy(r->drain);
	for (size_t i = 0; i < r->n; i++)
		json_decref(r->record[i].json);
	free(r->record);
	free(r->segment.shm);
}

/* Small tables; change what a test wants otherwise. */
static inline struct worker_settings rig_settings(struct rig *r, unsigned i, struct rx *rx)
{
	return (struct worker_settings){
	    .number = i,
	    .rx = rx,
	    .shm = segment_worker(&r->segment, i),
	    .ring = segment_ring(&r->segment, i),
	    .ports = {.port = {53}, .n = 1},
	    .vantage = &r->vantage,
	    .interval_us = r->run.interval_s * 1000000ull,
	    .wait_us = 5000000,
	    .hash_key = 0x9216d5d98979fb1bull,
	    .sketch_seed = 1,
	    .pair_entries = 65536,
	    .verdict_entries = 1024,
	    .match_entries = 64,
	    .domain_entries = 1024,
	    .client_entries = 1024,
	    .server_entries = 64,
	    .rrset_entries = 1024,
	    .error_entries = 1024,
	    .datagrams = 256,
	    .connections = 4096,
	    .stream_bytes = 8 << 20,
	};
}

static inline const struct ledger_sums *rig_sums(const struct rig *r)
{
	return ledger_sums_get(drain_stat(r->drain, 0));
}

/* The record of a set and interval in which `key` is the string `value`; NULL. */
static inline json_t *rig_find(const struct rig *r, const char *set, uint64_t start_s,
			       const char *key, const char *value)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct rig_record *x = &r->record[i];
		const char *s = json_string_value(json_object_get(x->json, key));
		if (x->start_s == start_s && strcmp(x->set, set) == 0 && s != NULL &&
		    strcmp(s, value) == 0)
			return x->json;
	}
	return NULL;
}

/* A field that is a whole number; 0 where it is missing. */
static inline uint64_t rig_number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

#endif
