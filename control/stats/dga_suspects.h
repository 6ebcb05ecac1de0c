/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients for which the sequential test has some evidence: what it is made of, which
 * names, whether there was an alarm, and what answered behind it.
 *
 * Bounded: beyond SUSPECTS_CAP a new one is not taken in. Who has no evidence and no alarm
 * is forgotten when an interval closes. Control's thread. */
#ifndef CONTROL_STATS_DGA_SUSPECTS_H
#define CONTROL_STATS_DGA_SUSPECTS_H

#include "dga_names.h"
#include "dga_test.h"
#include "diaries.h"
#include "state.h"

#include <jansson.h>

#define SUSPECTS_CAP 32768u
#define SUSPECT_KEY_BYTES 17u /* vantage, address */
#define SUSPECT_NAMES 64u     /* names that are not counted again */
#define SUSPECT_SAMPLES 8u
#define SUSPECT_C2_S 3600u /* after the alarm */

struct suspect {
	uint8_t key[SUSPECT_KEY_BYTES];
	struct dga_evidence evidence;
	uint64_t first_s, last_s; /* names that do not exist */
	uint64_t nx, made_up;     /* distinct ones, and those that look generated */
	uint32_t family[64];      /* names that have each shape */
	char *sample[SUSPECT_SAMPLES];
	unsigned samples;
	struct {
		uint64_t hash;
		uint64_t second;
		uint8_t kind;
	} known[SUSPECT_NAMES];
	unsigned n_known;
	uint64_t alarm_s; /* of the name that raised it; 0: none */
	bool told;        /* its alarm was exported */
	char *c2;         /* the first name answered since; NULL: none yet */
	json_t *c2_addresses;
};

struct suspects;

/* NULL + errno. */
struct suspects *suspects_create(void);
/* Accepts NULL. */
void suspects_destroy(struct suspects *s);
size_t suspects_count(const struct suspects *s);
/* Clients that found no room. */
uint64_t suspects_left_out(const struct suspects *s);
/* The suspect of a key, made where it is not there and `make`; NULL: no room. */
struct suspect *suspects_get(struct suspects *s, const uint8_t *key, bool make);
/* One after the other, in no order: *at is 0 at first. NULL at the end. */
struct suspect *suspects_next(const struct suspects *s, size_t *at);
/* Forgets those without evidence or alarm, as of second now_s. */
void suspects_sweep(struct suspects *s, const struct dga_params *p, uint64_t now_s);

/* For a snapshot, as of stat.h; family: hashes of the names of the shapes, by bit. After a
 * load that fails the suspects are of no use. */
int suspects_save(const struct suspects *s, const uint64_t family[64], state_write_fn *write,
		  void *ctx);
int suspects_load(struct suspects *s, const uint64_t family[64], state_read_fn *read, void *ctx);

/* What a client's interval, which begins at start_s, adds. True where it asked for names that
 * do not exist, new ones or not, or the first answer came. */
bool suspect_learn(struct suspect *s, const struct dga_params *p, const struct diary_sum *sum,
		   const struct dga_names *names, uint64_t start_s);

#endif
