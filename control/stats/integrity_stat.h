/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of set `integrity`: what it keeps, for the files that it consists of.
 *
 * integrity.c takes what comes and closes intervals, integrity_hosts.c knows who may speak
 * for a zone, integrity_write.c says it, integrity_past.c outlives a restart. */
#ifndef CONTROL_STATS_INTEGRITY_STAT_H
#define CONTROL_STATS_INTEGRITY_STAT_H

#include "integrity_rows.h"
#include "integrity_state.h"

#include <stdatomic.h>

#define DAY_S 86400u
#define SLOT_US 300000000ull
#define SLOTS 288u
#define NO_ZONE SIZE_MAX
#define HOSTS_CAP 65536u /* addresses of name servers */

enum { CHILD, PARENT, SIDES };

/* How well an RRset was seen in a UTC day. */
struct cover {
	uint64_t observations, by_vantage[FT_VANTAGE_CAP];
	uint64_t slots[(SLOTS + 63) / 64];
};

struct watched {
	const struct watchlist_entry *entry; /* in the list, as of the last interval that closed */
	uint64_t key;                        /* keyed hash of the owner */
	uint16_t qtype;
	size_t zone, ds; /* the entries of the NS and DS of its zone, or NO_ZONE */
	bool made[SIDES];
	struct integrity_machine side[SIDES];
	struct cover cover;
	uint64_t last_auth_us; /* 0: never */
};

struct host {
	uint64_t key; /* of its name */
	uint8_t addr[16];
};

struct integrity {
	const struct stat_run *run;
	const struct watchlist *list; /* that `v` was made from, and its serial */
	uint32_t serial;
	struct watched *v; /* by key, then type */
	size_t n;
	struct stat_row *rows;
	struct host *host; /* rising */
	size_t hosts, hosts_room;
	uint64_t begin_us, end_us; /* of the first interval, of the last one */
	uint64_t day;              /* since 1970 and 1; 0: none yet */
	uint64_t day_left_out, day_loss_ppm;
	bool failed; /* no memory: said once */
	_Atomic uint64_t alarms;
	struct stat_interval *in; /* being closed */
	const struct watched *telling;
};

/* integrity.c: takes over the list of the generation that holds; what was there goes on. */
int integrity_adopt_list(struct integrity *s, uint64_t now_us);
struct watched *integrity_find(const struct integrity *s, uint64_t key, uint16_t qtype);
void integrity_watched_fini(struct watched *w);

/* integrity_hosts.c: an address of a name server; -ENOMEM. */
int integrity_host_add(struct integrity *s, uint64_t key, const uint8_t *addr);
/* Addresses that a set of A or AAAA gives its owner. */
int integrity_host_add_set(struct integrity *s, uint64_t key, uint16_t qtype,
			   const struct rdset *set);
/* Whether a server may speak for the zone: one of the baseline's or the current set's; any,
 * where these or their addresses are not known. */
bool integrity_is_known_server(const struct integrity *s, const struct watched *w,
			       const uint8_t *server);

/* integrity_write.c: a note of s->telling, ctx the statistic. */
void integrity_tell(void *ctx, const struct integrity_machine *m, const struct integrity_note *n);
/* The coverage of an RRset, which begins anew. */
void integrity_write_cover(struct integrity *s, struct watched *w, uint64_t start_s,
			   uint64_t now_us);

/* integrity_past.c: as save and load of struct stat_ops. */
int integrity_save(const void *stat, state_write_fn *write, void *ctx);
int integrity_load(void *stat, state_read_fn *read, void *ctx);

#endif
