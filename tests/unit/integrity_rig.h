/* SPDX-License-Identifier: BSD-3-Clause */
/* Responses through the dataplane's look at watched RRsets, the ring, and set `integrity`.
 *
 *	integrity_rig_init(&r, watch_list_text);
 *	integrity_rig_response(&r, message, len, client, server, t_us); ...
 *	integrity_rig_end(&r);      all intervals are closed; records went to r.write
 *	integrity_rig_fini(&r);
 *
 * For tests alone, one thread: aborts where it gets no memory. */
#ifndef TESTS_UNIT_INTEGRITY_RIG_H
#define TESTS_UNIT_INTEGRITY_RIG_H

#include "integrity.h"
#include "parse.h"
#include "ring.h"
#include "rules_rig.h"
#include "stats/stat.h"

#include <zstd.h>

#define INTEGRITY_RIG_SEED 0x8badf00d5eed1234u
#define INTEGRITY_RIG_RING (256u << 10)

struct integrity_rig {
	char dir[32], path[64], psl[64];
	struct rules *rules;
	struct ruleset *set;
	struct evclock clock;
	struct ft_ring *ring;
	_Atomic int abandon;
	struct seal *seal;
	struct tally *tally;
	struct integrity *integrity;
	struct msgs *msgs;
	struct stat_run run;
	void *stat;
	uint64_t row; /* the next to close; 0: none yet */
};

static inline void *integrity_rig_need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* Another list from now on, as by a reload. */
static inline void integrity_rig_load(struct integrity_rig *r, const char *list)
{
	struct ruleset *old = r->set;
	char err[1024] = "";

	rules_rig_put(r->path, list);
	r->set = rules_load(r->rules, err, sizeof(err));
	if (r->set == NULL) {
		fprintf(stderr, "%s\n", err);
		abort();
	}
	if (r->integrity != NULL)
		integrity_adopt(r->integrity, r->set);
	ruleset_destroy(old);
}

static inline void integrity_rig_init(struct integrity_rig *r, const char *list,
				      uint32_t interval_s)
{
	const struct rules_settings settings = {
	    .watch = r->path, .psl_path = r->psl, .name_seed = INTEGRITY_RIG_SEED};
	const struct integrity_settings set = {INTEGRITY_RIG_SEED, 64, 64};

	memset(r, 0, sizeof(*r));
	strcpy(r->dir, "/tmp/fluxtap-rig-XXXXXX");
	(void)integrity_rig_need(mkdtemp(r->dir));
	snprintf(r->path, sizeof(r->path), "%s/watch", r->dir);
	snprintf(r->psl, sizeof(r->psl), "%s/psl", r->dir);
	rules_rig_put(r->psl, "example\ncom\n");
	r->rules = integrity_rig_need(rules_create(&settings));
	integrity_rig_load(r, list);
	r->clock.interval_us = interval_s * 1000000ull;
	r->ring =
	    integrity_rig_need(aligned_alloc(64, sizeof(struct ft_ring) + INTEGRITY_RIG_RING));
	ring_init(r->ring, INTEGRITY_RIG_RING);
	r->seal = integrity_rig_need(seal_create(r->ring, 0, false, &r->abandon));
	r->tally = integrity_rig_need(tally_create(&r->clock, r->seal));
	r->integrity = integrity_rig_need(integrity_create(r->tally, &set));
	integrity_adopt(r->integrity, r->set);
	r->msgs = integrity_rig_need(calloc(1, sizeof(*r->msgs)));
	r->run = (struct stat_run){.probe = "rig",
				   .workers = 1,
				   .interval_s = interval_s,
				   .rules = r->rules,
				   .name_seed = INTEGRITY_RIG_SEED};
	r->stat = integrity_rig_need(stat_integrity.create(&r->run));
}

static inline void integrity_rig_block(struct integrity_rig *r, const uint8_t *p, uint32_t n)
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
		if (stat_integrity.record(r->stat, &x) != 0)
			abort();
		at += rec->bytes;
	}
}

static inline void integrity_rig_drain(struct integrity_rig *r)
{
	const uint8_t *p;
	uint32_t n;

	while ((p = ring_peek(r->ring, &n)) != NULL) {
		integrity_rig_block(r, p, n);
		ring_pop(r->ring);
	}
}

/* A response at t_us, none earlier than those before; its octets stay the caller's. */
static inline void integrity_rig_response(struct integrity_rig *r, const uint8_t *data,
					  uint32_t len, const struct addr *client,
					  const struct addr *server, uint64_t t_us)
{
	struct msg *m = &r->msgs->m[0];
	struct verdict v = {0};
	const uint32_t *types;

	r->clock.now_us = t_us;
	if (r->row == 0)
		r->row = t_us / r->clock.interval_us;
	(void)tally_ledger(r->tally, t_us);
	*m = (struct msg){.data = data, .len = (uint16_t)len, .t_us = t_us};
	r->msgs->n = 1;
	parse_step(r->msgs, INTEGRITY_RIG_SEED);
	if (m->drop == FT_MSG_KEPT && msg_is_response(m)) {
		v.watched = VERDICT_NEAR;
		if (ruleset_watched(r->set, m->name_key, &types) != 0)
			v.watched |= VERDICT_WATCHED;
		const struct txn x = {
		    .q = {.t_us = t_us, .vantage = FT_VANTAGE_CAP, .edns = m->edns},
		    .settled_us = t_us,
		    .response_us = t_us,
		    .has_query = true,
		    .has_response = true,
		    .aa = (m->dns_flags & DNS_AA) != 0,
		    .ra = (m->dns_flags & DNS_RA) != 0,
		    .class = m->class,
		    .vantage = FT_VANTAGE_CAP,
		    .rcode = m->rcode,
		    .name_len = m->name_len,
		    .name = r->msgs->names + m->name_off,
		    .client = client,
		    .server = server,
		    .response = m,
		    .verdict = &v,
		};
		integrity_step(r->integrity, r->msgs, &x, 1);
	}
	while (tally_close(r->tally, false) == CLOSE_MORE)
		;
	integrity_rig_drain(r);
	r->msgs->n = 0;
}

/* Everything goes out, and intervals up to that of t_us close. */
static inline void integrity_rig_close(struct integrity_rig *r, uint64_t t_us)
{
	while (tally_close(r->tally, true) != CLOSE_DONE)
		integrity_rig_drain(r);
	integrity_rig_drain(r);
	for (; r->row != 0 && r->row <= t_us / r->clock.interval_us; r->row++) {
		struct stat_interval in = {.row = r->row,
					   .start_s = r->row * r->run.interval_s,
					   .end_s = (r->row + 1) * r->run.interval_s};
		stat_integrity.close(r->stat, &in);
	}
}

static inline void integrity_rig_fini(struct integrity_rig *r)
{
	stat_integrity.destroy(r->stat);
	integrity_destroy(r->integrity);
	tally_destroy(r->tally);
	seal_destroy(r->seal);
	ruleset_destroy(r->set);
	rules_destroy(r->rules);
	free(r->msgs);
	free(r->ring);
	unlink(r->path);
	unlink(r->psl);
	rmdir(r->dir);
}

#endif
