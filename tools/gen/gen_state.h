/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator's inside: its state, its queue of frames by time, its books.
 * Called from the generator's thread; the rooms of this folder share it, nobody else does.
 */
#ifndef FLUXTAP_GEN_STATE_H
#define FLUXTAP_GEN_STATE_H

#include <fluxtap/gen.h>
#include "gen_frame.h"
#include "gen_msg.h"
#include "gen_rand.h"

/* --- frames that wait for their time --- */

enum { GEN_SLOT_SIZES = 3 };

struct gen_slot {
	struct gen_slot *next; /* in a free list */
	uint32_t len;
	uint8_t size; /* which free list */
	uint8_t data[];
};

struct gen_wait {
	uint64_t ts_us;
	uint64_t serial; /* frames of one time leave in the order in which they came */
	struct gen_slot *slot;
};

struct gen_chunk {
	struct gen_chunk *next;
	uint64_t align;
	uint8_t data[];
};

struct gen_queue {
	struct gen_wait *heap;
	size_t len, cap;
	uint64_t serial;
	struct gen_slot *spare[GEN_SLOT_SIZES];
	struct gen_chunk *chunks;
};

void gen_queue_init(struct gen_queue *q);
void gen_queue_fini(struct gen_queue *q);

/* Gives a slot with room for `len` octets (at most 1,600), len set; NULL where memory lacks. */
struct gen_slot *gen_queue_get(struct gen_queue *q, uint32_t len);
void gen_queue_put(struct gen_queue *q, struct gen_slot *slot);

/* Returns 0 or -ENOMEM; the queue owns the slot either way. */
int gen_queue_push(struct gen_queue *q, uint64_t ts_us, struct gen_slot *slot);

/* Takes out the earliest; the queue is not empty; the caller puts the slot back. */
struct gen_slot *gen_queue_pop(struct gen_queue *q, uint64_t *ts_us);

/* --- books --- */

/* A set of non-zero 64-bit hashes, open addressing. */
struct gen_set {
	uint64_t *cell;
	size_t len, cap;
};

struct gen_sheet {
	struct ft_gen_row row;
	struct gen_set clients, names;
	size_t rtt_cap;
};

struct gen_books {
	bool is_kept;
	bool is_short_of_memory;
	uint32_t interval_s;
	uint64_t first;            /* interval number of sheet 0 */
	struct gen_sheet **sheets; /* [interval - first][vantage] */
	size_t intervals;
	struct ft_gen_row *rows; /* after closing */
	struct ft_gen_truth truth;
	bool is_closed;
	struct ft_gen_message *messages; /* scenario tunnels */
	size_t message_cap;
};

void gen_truth_init(struct gen_books *b, bool is_kept, uint32_t interval_s, uint64_t start_us);
void gen_truth_fini(struct gen_books *b);

/* One line of the books for each query: answered or not; and for each response that belongs to
 * none. */
void gen_truth_pair(struct gen_books *b, const struct gen_ask *ask, const struct gen_reply *reply);
void gen_truth_timeout(struct gen_books *b, const struct gen_ask *ask);
void gen_truth_unsolicited(struct gen_books *b, const struct gen_ask *ask,
			   const struct gen_reply *reply);

/* A frame of a wrapping; is_part as in struct ft_gen_wrap. */
void gen_truth_wrapped(struct gen_books *b, unsigned wrap, bool is_part, uint32_t len);

/* Sorts and counts out; returns 0 or -ENOMEM. */
int gen_truth_close(struct gen_books *b);

/* --- the generator --- */

struct ft_gen {
	struct ft_gen_opts opts;
	struct gen_rng rng;
	struct gen_queue queue;
	struct gen_books books;
	bool is_short_of_memory;
	uint64_t step_us, step_rest; /* duration = pairs * step + rest */
	uint64_t at;                 /* transactions (zoo: scenes) begun */
	uint64_t next_us;            /* when the next of them begins */
	uint32_t flows;              /* ids and ports given out */
	uint32_t connections;
	uint32_t id_salt;
	uint64_t
	    turn[64]; /* zoo: a counter for each scene, for lists that are gone through in order */
	struct gen_slot *lent;           /* the frame the caller looks at */
	struct ft_gen_totals *totals;    /* in the books' truth */
	struct gen_flux *flux;           /* scenario cname-flux: what was sent; else NULL */
	struct gen_kumamoto *kumamoto;   /* its scenario: every second's queries; else NULL */
	struct gen_errors *errors;       /* scenario errors: counts; else NULL */
	struct gen_cookies *cookies;     /* scenario cookies: counts; else NULL */
	struct gen_transport *transport; /* scenario transport: counts; else NULL */
	struct gen_hijack *hijack;       /* scenario hijack: counts; else NULL */
	struct gen_caches *caches;       /* scenario caches: counts; else NULL */
	struct gen_servers *servers;     /* scenario servers: counts; else NULL */
	struct gen_botnet *botnet;       /* NULL: another scenario */
	uint8_t *l4; /* GEN_L4_CAP octets: a datagram or segment under construction */
};

enum { GEN_L4_CAP = GEN_L4_ROOM + GEN_MSG_CAP };

/* Begins what begins at `ts_us`; frames go to the queue. */
void gen_mix_step(struct ft_gen *g, uint64_t ts_us);
void gen_zoo_step(struct ft_gen *g, uint64_t ts_us);
void gen_flux_step(struct ft_gen *g, uint64_t ts_us);

/* The books of the scenario cname-flux: 0 or -ENOMEM. */
int gen_flux_init(struct ft_gen *g);
void gen_flux_fini(struct ft_gen *g);
int gen_flux_close(struct ft_gen *g, struct ft_gen_truth *truth);
void gen_ip_flux_step(struct ft_gen *g, uint64_t ts_us);
void gen_errors_step(struct ft_gen *g, uint64_t ts_us);
void gen_dga_step(struct ft_gen *g, uint64_t ts_us);

/* The plan of the scenario kumamoto: 0 or -ENOMEM. */
int gen_kumamoto_init(struct ft_gen *g);
void gen_kumamoto_fini(struct ft_gen *g);
void gen_kumamoto_step(struct ft_gen *g, uint64_t ts_us);
void gen_tunnels_init(struct ft_gen *g);
void gen_tunnels_step(struct ft_gen *g, uint64_t ts_us);
void gen_floods_step(struct ft_gen *g, uint64_t ts_us);

/* The books of the scenario errors: 0 or -ENOMEM. */
int gen_errors_init(struct ft_gen *g);
void gen_errors_fini(struct ft_gen *g);
int gen_errors_close(struct ft_gen *g, struct ft_gen_truth *truth);

/* The scenario cookies: 0 or -errno. */
int gen_cookies_init(struct ft_gen *g);
void gen_cookies_step(struct ft_gen *g, uint64_t ts_us);
void gen_cookies_fini(struct ft_gen *g);
void gen_cookies_close(struct ft_gen *g, struct ft_gen_truth *truth);

/* The scenario hijack: 0 or -ENOMEM. */
int gen_hijack_init(struct ft_gen *g);
void gen_hijack_step(struct ft_gen *g, uint64_t ts_us);
void gen_hijack_fini(struct ft_gen *g);
void gen_hijack_close(struct ft_gen *g, struct ft_gen_truth *truth);

/* The scenario caches: 0 or -ENOMEM. */
int gen_caches_init(struct ft_gen *g);
void gen_caches_step(struct ft_gen *g, uint64_t ts_us);
void gen_caches_fini(struct ft_gen *g);
void gen_caches_close(struct ft_gen *g, struct ft_gen_truth *truth);

/* The scenario servers: 0 or -ENOMEM. */
int gen_servers_init(struct ft_gen *g);
void gen_servers_step(struct ft_gen *g, uint64_t ts_us);
void gen_servers_fini(struct ft_gen *g);
int gen_servers_close(struct ft_gen *g, struct ft_gen_truth *truth);

/* The scenario transport: 0 or -ENOMEM. */
int gen_transport_init(struct ft_gen *g);
void gen_transport_step(struct ft_gen *g, uint64_t ts_us);
void gen_transport_fini(struct ft_gen *g);
void gen_transport_close(struct ft_gen *g, struct ft_gen_truth *truth);

/* gen_botnet.c: 0, or -1 without memory. The steps that the defaults of the scenario need. */
uint64_t gen_botnet_pairs(const struct ft_gen_opts *o);
int gen_botnet_create(struct ft_gen *g);
void gen_botnet_step(struct ft_gen *g, uint64_t ts_us);
const struct ft_gen_botnet *gen_botnet_truth(const struct gen_botnet *b);
/* Accepts NULL. */
void gen_botnet_destroy(struct gen_botnet *b);

/* Draws client, server, id and port, RD=1, IN, no EDNS, no question yet. */
void gen_ask_init(struct ft_gen *g, struct gen_ask *ask, uint64_t ts_us);

/* An id and port that no other transaction of the run has. */
void gen_ask_renew(struct ft_gen *g, struct gen_ask *ask);

/* Draws a name by Zipf and a qtype that suits it; returns the rank. */
uint32_t gen_ask_draw_name(struct ft_gen *g, struct gen_ask *ask);
void gen_ask_draw_edns(struct ft_gen *g, struct gen_ask *ask);

/* Compose, frame and queue over UDP; ts_us becomes the time at which the message is whole. */
void gen_send_query(struct ft_gen *g, struct gen_ask *ask);
void gen_send_reply(struct ft_gen *g, const struct gen_ask *ask, struct gen_reply *reply);

/* --- the zoo's rooms --- */

/* A scene composes, queues and books one small happening; `turn` counts the scene's own, from 0. */
typedef void gen_scene_fn(struct ft_gen *g, uint64_t ts_us, uint64_t turn);

gen_scene_fn gen_zoo_types, gen_zoo_opcodes, gen_zoo_rcodes, gen_zoo_edns, gen_zoo_names,
    gen_zoo_chaos;
gen_scene_fn gen_zoo_fragments, gen_zoo_small_fragments, gen_zoo_tags, gen_zoo_options,
    gen_zoo_checksums;
gen_scene_fn gen_zoo_tcp, gen_zoo_malformed, gen_zoo_non_dns;

/* Asks the same over TCP, as a client does after TC=1. */
void gen_zoo_tcp_retry(struct ft_gen *g, const struct gen_ask *ask, uint64_t ts_us);

/* One query and its reply over a connection of their own, cut into segments in one of a few
 * ways. */
void gen_zoo_tcp_pair(struct ft_gen *g, struct gen_ask *ask, struct gen_reply *reply,
		      uint64_t turn);

/* Draws a question and its EDNS, and RD, RA, AA so that the three vantages come in the zoo's
 * shares. */
void gen_zoo_begin(struct ft_gen *g, struct gen_ask *ask, struct gen_reply *reply, uint64_t ts_us);

/* Sends query and reply and books them as a pair. */
void gen_zoo_finish(struct ft_gen *g, struct gen_ask *ask, struct gen_reply *reply);

#endif
