/* SPDX-License-Identifier: BSD-3-Clause */
/* RRset observations straight into the statistics: what workers would have sent, split
 * over any number of them and in any order.
 *
 *	flux_rig_init(&r, interval_s, asn_text);
 *	flux_rig_see(&r, &(struct sight){...}); ...      any order of time
 *	flux_rig_run(&r, workers, seed);                 all rows, in order, and the end
 *	... r.record[0..r.n) ...
 *	flux_rig_fini(&r);
 *
 * For tests alone, one thread: aborts where it gets no memory. */
#ifndef TESTS_UNIT_FLUX_ADDR_RIG_H
#define TESTS_UNIT_FLUX_ADDR_RIG_H

#include "lookups.h"
#include "name.h"
#include "name_text.h"
#include "stats/flux_ip.h"
#include "stats/flux_ns.h"
#include "parts.h"
#include "stats/rrsets.h"
#include "stats/stat.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUX_RIG_DAY 1767225600u
#define FLUX_RIG_SEED 0x1badb002cafef00du
#define SIGHT_CAP 64u

/* A set of addresses or names, seen once. */
struct sight {
	const char *owner;
	uint8_t type; /* enum ft_rrset_type */
	bool referral, aa;
	uint8_t vantage;
	uint32_t view, t_s, ttl; /* t_s: since FLUX_RIG_DAY */
	unsigned n;
	const char *rdata[SIGHT_CAP]; /* texts, each once; beyond the test they stay */
};

struct flux_rig {
	struct stat_run run;
	struct lookups lookups;
	uint64_t seed; /* of the names' keys */
	struct sight *sight;
	size_t sights, room;
	void *rrsets, *ns, *ip;
	json_t **record;
	size_t n, cap;
	uint64_t random;
	/* Called between two rows; may be NULL. */
	void (*between)(struct flux_rig *r, uint64_t row);
};

static inline void *flux_rig_need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static inline uint64_t flux_rig_random(struct flux_rig *r)
{
	r->random = r->random * 6364136223846793005u + 1442695040888963407u;
	return hash_mix(r->random);
}

static inline void flux_rig_write(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	struct flux_rig *r = ctx;

	(void)start_s;
	if (strcmp(set, "flux") != 0)
		abort();
	if (r->n == r->cap) {
		r->cap = r->cap == 0 ? 64 : 2 * r->cap;
		r->record = flux_rig_need(realloc(r->record, r->cap * sizeof(json_t *)));
	}
	r->record[r->n++] = record;
}

static inline void flux_rig_init(struct flux_rig *r, uint32_t interval_s, const char *asn,
				 const char *cdn)
{
	char err[256] = "";

	memset(r, 0, sizeof(*r));
	r->seed = FLUX_RIG_SEED;
	if (asn != NULL)
		r->lookups.asn =
		    flux_rig_need(asn_create_text(asn, strlen(asn), "asn", err, sizeof(err)));
	if (cdn != NULL)
		r->lookups.cdn =
		    flux_rig_need(cdn_create_text(cdn, strlen(cdn), "cdn", err, sizeof(err)));
	r->run = (struct stat_run){.probe = "rig",
				   .workers = 1,
				   .interval_s = interval_s,
				   .lookups = &r->lookups,
				   .write = flux_rig_write,
				   .ctx = r};
}

static inline void flux_rig_forget(struct flux_rig *r)
{
	for (size_t i = 0; i < r->n; i++)
		json_decref(r->record[i]);
	r->n = 0;
}

static inline void flux_rig_fini(struct flux_rig *r)
{
	flux_rig_forget(r);
	free(r->record);
	free(r->sight);
	lookups_fini(&r->lookups);
}

static inline void flux_rig_see(struct flux_rig *r, const struct sight *s)
{
	if (r->sights == r->room) {
		r->room = r->room == 0 ? 1024 : 2 * r->room;
		r->sight = flux_rig_need(realloc(r->sight, r->room * sizeof(*r->sight)));
	}
	r->sight[r->sights++] = *s;
}

struct flux_rig_piece {
	uint8_t octets[FT_NAME_CAP + 1];
	uint32_t len;
};

static inline int flux_rig_compare(const void *a, const void *b)
{
	const struct flux_rig_piece *x = a, *y = b;
	const uint32_t least = x->len < y->len ? x->len : y->len;
	const int d = memcmp(x->octets, y->octets, least);

	return d != 0 ? d : (int)x->len - (int)y->len;
}

/* The octets of a set in rising order; its key; its owner. */
static inline void flux_rig_text(const struct flux_rig *r, const struct sight *s, uint64_t row,
				 struct ft_rrset_text *out, uint8_t *room)
{
	struct flux_rig_piece piece[SIGHT_CAP];
	const char *why;
	uint8_t *p = room + FT_NAME_CAP;
	const uint64_t t_s = FLUX_RIG_DAY + s->t_s, base = row * r->run.interval_s / 60;

	memset(piece, 0, sizeof(piece));
	for (unsigned i = 0; i < s->n; i++) {
		struct flux_rig_piece *x = &piece[i];
		x->len = s->type == FT_RRSET_A ? 4 : 16;
		if (s->type <= FT_RRSET_AAAA) {
			if (inet_pton(s->type == FT_RRSET_A ? AF_INET : AF_INET6, s->rdata[i],
				      x->octets) != 1)
				abort();
			continue;
		}
		x->len =
		    name_from_text(s->rdata[i], (uint32_t)strlen(s->rdata[i]), x->octets + 1, &why);
		x->octets[0] = (uint8_t)x->len++;
	}
	qsort(piece, s->n, sizeof(*piece), flux_rig_compare);
	*out = (struct ft_rrset_text){
	    .first = {.what = (uint8_t)(s->type | (s->referral ? FT_RRSET_REFERRAL : 0) |
					s->vantage << FT_RRSET_VANTAGE_SHIFT |
					(s->aa ? FT_RRSET_AA : 0)),
		      .records = (uint8_t)s->n,
		      .view = (uint32_t)hash_mix(s->view ^ r->seed),
		      .minute = (uint32_t)(t_s / 60 - base),
		      .ttl_min = s->ttl,
		      .ttl_max = s->ttl,
		      .seconds = 1ull << t_s % 60,
		      .count = 1},
	    .owner = room,
	    .owner_len = name_from_text(s->owner, (uint32_t)strlen(s->owner), room, &why),
	    .rdata = p,
	    .texts = s->n,
	};
	for (unsigned i = 0; i < s->n; i++) {
		out->first.set_key += name_hash(piece[i].octets, piece[i].len, r->seed);
		p = ft_put_bytes(p, piece[i].octets, piece[i].len);
	}
	out->rdata_bytes = (uint32_t)(p - out->rdata);
	out->first.owner_key = name_hash(out->owner, out->owner_len, r->seed);
}

static inline void flux_rig_give(struct flux_rig *r, uint64_t row, enum ft_rec_type type,
				 const uint8_t *entry, size_t n)
{
	const struct ft_rec_hdr h = {.type = (uint16_t)type, .row = row};
	const struct stat_record rec = {.hdr = &h, .body = entry, .bytes = n};

	if (merge_rrsets.record(r->rrsets, &rec) != 0)
		abort();
}

/* One observation; as text where its worker has not sent that before. */
static inline void flux_rig_send(struct flux_rig *r, const struct sight *s, uint64_t row, bool text)
{
	uint8_t room[FT_NAME_CAP + SIGHT_CAP * (FT_NAME_CAP + 1)], out[FT_ENTRY_CAP];
	struct ft_rrset_text t;

	flux_rig_text(r, s, row, &t, room);
	if (text) {
		const size_t n = ft_rrset_text_write(&t, out);
		flux_rig_give(r, row, FT_REC_RRSET_TEXT, out, n);
	} else {
		const size_t n = ft_rrset_write(&t.first, out);
		flux_rig_give(r, row, FT_REC_RRSET, out, n);
	}
}

static inline void flux_rig_close(struct flux_rig *r, uint64_t row)
{
	struct stat_interval in = {
	    .row = row,
	    .start_s = row * r->run.interval_s,
	    .end_s = (row + 1) * r->run.interval_s,
	};

	struct stat_parts rrsets = parts_take(STAT_RRSETS, r->rrsets, row);
	in.rrsets = &rrsets;
	stat_flux_ns.close(r->ns, &in);
	stat_flux_ip.close(r->ip, &in);
	parts_fini(STAT_RRSETS, &rrsets);
}

static inline bool flux_rig_is_same_set(const struct sight *a, const struct sight *b)
{
	bool same = strcmp(a->owner, b->owner) == 0 && a->type == b->type &&
		    a->referral == b->referral && a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = strcmp(a->rdata[i], b->rdata[i]) == 0;
	return same;
}

/* Everything from the beginning, with this many workers and in an order of this seed. */
static inline void flux_rig_run(struct flux_rig *r, unsigned workers, uint64_t seed)
{
	uint64_t row = UINT64_MAX, last = 0;
	size_t *order = flux_rig_need(malloc((r->sights + 1) * sizeof(*order)));
	uint8_t *worker = flux_rig_need(malloc(r->sights + 1));

	r->random = seed;
	r->run.name_seed = r->seed;
	r->rrsets = flux_rig_need(merge_rrsets.create(&r->run, 1));
	r->ns = flux_rig_need(stat_flux_ns.create(&r->run));
	r->ip = flux_rig_need(stat_flux_ip.create(&r->run));
	for (size_t i = 0; i < r->sights; i++) {
		const uint64_t x = (FLUX_RIG_DAY + r->sight[i].t_s) / r->run.interval_s;
		row = x < row ? x : row;
		last = x > last ? x : last;
		worker[i] = (uint8_t)(flux_rig_random(r) % workers);
	}
	for (; row <= last && r->sights != 0; row++) {
		size_t n = 0;
		for (size_t i = 0; i < r->sights; i++)
			if ((FLUX_RIG_DAY + r->sight[i].t_s) / r->run.interval_s == row)
				order[n++] = i;
		for (size_t i = 0; i + 1 < n; i++) {
			const size_t k = i + (size_t)(flux_rig_random(r) % (n - i)), x = order[i];
			order[i] = order[k];
			order[k] = x;
		}
		for (size_t i = 0; i < n; i++) {
			bool text = true;
			for (size_t k = 0; k < i && text; k++)
				text =
				    worker[order[k]] != worker[order[i]] ||
				    !flux_rig_is_same_set(&r->sight[order[k]], &r->sight[order[i]]);
			flux_rig_send(r, &r->sight[order[i]], row, text);
		}
		if (n != 0)
			flux_rig_close(r, row);
		if (r->between != NULL)
			r->between(r, row);
	}
	stat_flux_ip.end(r->ip);
	stat_flux_ip.destroy(r->ip);
	stat_flux_ns.destroy(r->ns);
	merge_rrsets.destroy(r->rrsets);
	free(order);
	free(worker);
}

/* The record of an owner; NULL where there is none. */
static inline json_t *flux_rig_find(const struct flux_rig *r, const char *kind, const char *owner,
				    const char *type, const char *state)
{
	for (size_t i = 0; i < r->n; i++) {
		const char *const want[] = {"kind", kind, "owner", owner,
					    "type", type, "state", state};
		bool same = true;
		for (unsigned k = 0; k < 8 && same; k += 2) {
			const char *s = json_string_value(json_object_get(r->record[i], want[k]));
			same = s != NULL && strcmp(s, want[k + 1]) == 0;
		}
		if (same)
			return r->record[i];
	}
	return NULL;
}

static inline double flux_rig_number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

/* "" for null. */
static inline const char *flux_rig_string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

#endif
