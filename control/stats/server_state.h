/* SPDX-License-Identifier: BSD-3-Clause */
/* Is a server up? From what was asked and what stayed unanswered in windows of ten seconds.
 *
 * DEGRADED and DOWN by the lower bound of Wilson's interval (99.9 %) for the unanswered
 * share of the last sixty seconds; UP again after three clean windows, which restarts the
 * evidence. A query type that the server never answers is left out while others are
 * answered (RFC 8906). Pure; control's thread. */
#ifndef CONTROL_STATS_SERVER_STATE_H
#define CONTROL_STATS_SERVER_STATE_H

#include <fluxtap/rec_server.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_STATE_N 20u /* queries that a judgement needs */
#define SERVER_STATE_DEGRADED 0.02
#define SERVER_STATE_DOWN 0.5
#define SERVER_STATE_CLEAN 3u
#define SERVER_STATE_TYPES 24u /* told apart; further ones count together */

enum server_state { SERVER_UNKNOWN, SERVER_UP, SERVER_DEGRADED, SERVER_DOWN };
extern const char *const server_state_texts[]; /* NULL: unknown */

/* One query type in one window. */
struct server_window {
	uint64_t number; /* of the window, since 1970 */
	uint16_t qtype;
	uint64_t queries, unanswered;
};

struct server_health {
	enum server_state state;
	uint64_t since_us;
	unsigned clean;
	bool answers; /* it has answered something */
	struct {
		uint64_t number, queries, unanswered;
	} last[FT_SERVER_WINDOW_CAP];
	struct {
		uint16_t qtype;
		uint64_t queries, answered;
	} type[SERVER_STATE_TYPES];
	unsigned types;
};

/* Lower bound of the share k / n at 99.9 % (Wilson, JASA 22, 1927). */
double server_state_bound(uint64_t k, uint64_t n);
/* Takes one window: n query types of it, n > 0. believe: what is unanswered may be held
 * against the server. True where the state is another one now. */
bool server_state_step(struct server_health *h, const struct server_window *w, size_t n,
		       bool believe);

#endif
