/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of one watched RRset at one side of the cut: BASE, SUSPECT, CHANGED and back.
 *
 * Fed with observations in order of time, a step at each interval's end; says what there is
 * to tell as notes. DOMAIN.md 3 and DESIGN.md 7 ("Integrity") say what they mean. Memory is
 * bounded: sets by SET_CAP, views and suspicions by count. Control's thread. */
#ifndef CONTROL_STATS_INTEGRITY_STATE_H
#define CONTROL_STATS_INTEGRITY_STATE_H

#include "../watchlist.h"
#include "state.h"

enum integrity_state {
	INTEGRITY_SUSPECT,
	INTEGRITY_CHANGED,
	INTEGRITY_REVERTED,
	INTEGRITY_ACCEPTED,
	INTEGRITY_STATES
};
enum integrity_auth { INTEGRITY_AUTHORISED, INTEGRITY_UNAUTHORISED, INTEGRITY_UNKNOWN };
enum integrity_class {
	INTEGRITY_NONE,
	INTEGRITY_POISON_SUSPECT,
	INTEGRITY_DELEGATION_HIJACK,
	INTEGRITY_ZONE_EDIT
};

#define INTEGRITY_FLAGS(X)                                                                         \
	X(SHORT_LIVED, "SHORT_LIVED")                                                              \
	X(TRANSIENT, "TRANSIENT")                                                                  \
	X(TTL_ZERO, "TTL_ZERO")                                                                    \
	X(TTL_DROP, "TTL_DROP")                                                                    \
	X(TTL_RAISE, "TTL_RAISE")                                                                  \
	X(DS_REMOVED, "DS_REMOVED")                                                                \
	X(DS_CHANGED, "DS_CHANGED")                                                                \
	X(UNSIGNED_WHILE_DS, "UNSIGNED_WHILE_DS")                                                  \
	X(AD_LOST, "AD_LOST")                                                                      \
	X(RRSIG_EXPIRY, "RRSIG_EXPIRY<24h")
enum integrity_flag {
#define X(n, s) INTEGRITY_##n,
	INTEGRITY_FLAGS(X)
#undef X
	    INTEGRITY_FLAG_CAP
};

#define INTEGRITY_NO_TTL UINT32_MAX
#define INTEGRITY_CANDIDATES 4u
#define INTEGRITY_LEARN_US 86400000000u

/* Different clients, servers or pairs, by hash: exact up to a cap, rising. */
struct integrity_views {
	uint64_t *v;
	uint32_t n, room;
};

/* Who saw something. */
struct integrity_group {
	struct integrity_views pairs, clients, servers;
	uint64_t seen; /* observations */
};

/* One observation. */
struct integrity_event {
	uint64_t t_us;
	uint64_t client, server; /* hashes; client 0: out of a cache */
	const struct rdset *set;
	uint64_t count;
	uint32_t ttl, rrsig_s;
	uint16_t ede; /* as struct ft_integrity has it */
	uint8_t facts, vantage;
	bool cached; /* else authoritative, or a delegation by the parent */
	bool own;    /* from a server of the operator's */
};

/* A set that is not the baseline and not yet confirmed. */
struct integrity_candidate {
	struct rdset set;
	uint64_t lo_us, first_us, last_us;
	uint32_t ttl;
	uint8_t vantage;
	bool own, others;          /* others: who still gets the baseline */
	bool told, told_poison;    /* said so, and that it is one resolver's */
	struct integrity_group by; /* but for caches: authoritative observations alone */
};

/* Something to tell. */
struct integrity_note {
	struct integrity_note *next;
	enum integrity_state state;
	enum integrity_auth auth;
	enum integrity_class class;
	bool data;                     /* the set changed, and not its TTL or signatures alone */
	struct rdset old_set, new_set; /* owned */
	uint32_t ttl_old, ttl_new;
	uint64_t onset_lo_us, onset_hi_us, revert_lo_us, revert_hi_us; /* 0: unknown, none */
	uint32_t flags; /* 1 << enum integrity_flag */
	uint32_t clients, servers;
	uint8_t vantage;
};

struct integrity_machine {
	uint16_t qtype;
	bool parent;
	/* The baseline. */
	bool known; /* it is fixed: by configuration, or the time of learning is over */
	bool observed, has_ttl, clipped;
	bool may_be_empty; /* it was, sometimes, while it was learned */
	uint32_t whole_n;  /* observations in a row of all of it, up to those that count */
	struct rdset base, accepted;
	uint32_t base_ttl;
	uint64_t learn_until_us, last_base_us;
	struct integrity_candidate *candidate[INTEGRITY_CANDIDATES];
	/* The change that holds. */
	bool changed, classed, others;
	struct rdset shown, all; /* the set told last; all that it brought */
	uint64_t onset_lo_us, onset_hi_us, last_new_us, revert_hi_us;
	uint64_t others_us; /* when others got the baseline first, since the onset; 0: never */
	uint32_t new_ttl, flags;
	enum integrity_class class;
	struct integrity_group by;
	uint8_t vantage;
	/* What caches may still hold of it when it is over. */
	struct rdset past;
	uint64_t past_us;
	/* The TTL that holds, and one that may. */
	uint32_t ttl, ttl_next, ttl_told;
	uint64_t ttl_last_us, ttl_lo_us, ttl_first_us, ttl_day;
	uint64_t ttl_on_lo_us, ttl_on_hi_us;
	struct integrity_group ttl_by; /* of the one that may */
	/* DNSSEC: -1 unknown. */
	int8_t ds, ad, rrsig;
	uint16_t ede; /* the last one, and 1; 0: none */
	bool unsigned_told, expiry_told, ad_told;
	uint64_t unsigned_first_us;
	struct integrity_group unsigned_by;
	uint64_t ad_slot, ad_n, ad_yes;
	bool ad_was_high;
	struct integrity_note *notes, **notes_end; /* to be told at the next step */
};

void integrity_machine_init(struct integrity_machine *m, uint16_t qtype, bool parent,
			    uint64_t learn_until_us);
void integrity_machine_fini(struct integrity_machine *m);
/* The watch list's line, at the start and where it has changed: a change that it allows now
 * is accepted. */
void integrity_machine_config(struct integrity_machine *m, const struct watchlist_entry *e);

/* An observation, none earlier than those before. -ENOMEM. */
int integrity_machine_see(struct integrity_machine *m, const struct watchlist_entry *e,
			  const struct integrity_event *x);

/* The end of an interval: `tell` gets each note once, in order. parent_changed: the NS or DS
 * of the zone, as its parent has them, changed too. -ENOMEM. */
typedef void integrity_tell_fn(void *ctx, const struct integrity_machine *m,
			       const struct integrity_note *note);
int integrity_machine_step(struct integrity_machine *m, const struct watchlist_entry *e,
			   uint64_t now_us, bool parent_changed, integrity_tell_fn *tell,
			   void *ctx);
/* Whether its set is, or may be, not the baseline. */
bool integrity_machine_is_off(const struct integrity_machine *m);

/* All that is remembered; load: into one that was initialised for the same RRset and side. */
int integrity_machine_save(const struct integrity_machine *m, state_write_fn *write, void *ctx);
int integrity_machine_load(struct integrity_machine *m, state_read_fn *read, void *ctx);

#endif
