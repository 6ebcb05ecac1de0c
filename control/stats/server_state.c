/* SPDX-License-Identifier: BSD-3-Clause */
#include "server_state.h"

#include <math.h>
#include <string.h>

#define Z 3.2905267314919255 /* 99.9 %, two-sided */
#define ODD 0.01             /* answered share of a type that counts as never answered */

const char *const server_state_texts[] = {NULL, "UP", "DEGRADED", "DOWN"};

double server_state_bound(uint64_t k, uint64_t n)
{
	const double m = (double)n, p = (double)k / m, z2 = Z * Z;

	if (n == 0)
		return 0;
	return (p + z2 / (2 * m) - Z * sqrt(p * (1 - p) / m + z2 / (4 * m * m))) / (1 + z2 / m);
}

static unsigned type_get(struct server_health *h, uint16_t qtype)
{
	for (unsigned i = 0; i < h->types; i++)
		if (h->type[i].qtype == qtype)
			return i;
	if (h->types == SERVER_STATE_TYPES)
		return SERVER_STATE_TYPES - 1;
	h->type[h->types].qtype = qtype;
	return h->types++;
}

static bool is_odd(const struct server_health *h, uint16_t qtype)
{
	for (unsigned i = 0; i < h->types; i++)
		if (h->type[i].qtype == qtype)
			return (double)h->type[i].answered < ODD * (double)h->type[i].queries;
	return false;
}

static void learn(struct server_health *h, const struct server_window *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const unsigned t = type_get(h, w[i].qtype);
		h->type[t].queries += w[i].queries;
		h->type[t].answered += w[i].queries - w[i].unanswered;
		h->answers |= w[i].queries != w[i].unanswered;
	}
}

/* The window's sums, without odd types while others are answered. */
static void sum_window(const struct server_health *h, const struct server_window *w, size_t n,
		       uint64_t *queries, uint64_t *unanswered)
{
	uint64_t odd = 0;

	*queries = *unanswered = 0;
	for (size_t i = 0; i < n; i++) {
		*queries += w[i].queries;
		*unanswered += w[i].unanswered;
		if (is_odd(h, w[i].qtype))
			odd += w[i].queries;
	}
	uint64_t others = 0, missing = 0;
	for (size_t i = 0; i < n && odd != 0; i++) {
		if (is_odd(h, w[i].qtype))
			continue;
		others += w[i].queries;
		missing += w[i].unanswered;
	}
	if (others > missing) {
		*queries = others;
		*unanswered = missing;
	}
}

static enum server_state judge(const struct server_health *h, uint64_t number)
{
	uint64_t queries = 0, unanswered = 0;

	for (unsigned i = 0; i < FT_SERVER_WINDOW_CAP; i++) {
		if (h->last[i].number + FT_SERVER_WINDOW_CAP <= number)
			continue;
		queries += h->last[i].queries;
		unanswered += h->last[i].unanswered;
	}
	const double bound = server_state_bound(unanswered, queries);
	if (queries < SERVER_STATE_N || bound < SERVER_STATE_DEGRADED)
		return h->answers || queries >= SERVER_STATE_N ? SERVER_UP : SERVER_UNKNOWN;
	return bound < SERVER_STATE_DOWN ? SERVER_DEGRADED : SERVER_DOWN;
}

bool server_state_step(struct server_health *h, const struct server_window *w, size_t n,
		       bool believe)
{
	const uint64_t number = w[0].number;
	const unsigned at = (unsigned)(number % FT_SERVER_WINDOW_CAP);
	const enum server_state before = h->state;
	uint64_t queries, unanswered;

	if (!believe)
		return false;
	learn(h, w, n);
	sum_window(h, w, n, &queries, &unanswered);
	h->last[at].number = number;
	h->last[at].queries = queries;
	h->last[at].unanswered = unanswered;
	const bool clean =
	    queries > unanswered && server_state_bound(unanswered, queries) < SERVER_STATE_DEGRADED;
	enum server_state now = judge(h, number);
	if (before >= SERVER_DEGRADED) {
		h->clean = clean ? h->clean + 1 : 0;
		if (h->clean >= SERVER_STATE_CLEAN) {
			now = SERVER_UP;
			memset(h->last, 0, sizeof(h->last));
		} else if (now < before && (clean || now < SERVER_DEGRADED)) {
			now = before; /* better, but not for long enough */
		}
	}
	if (now == before || now == SERVER_UNKNOWN)
		return false;
	h->state = now;
	h->clean = 0;
	h->since_us = (number + (before != SERVER_UNKNOWN)) * FT_SERVER_WINDOW_S * 1000000;
	return before != SERVER_UNKNOWN || now != SERVER_UP;
}
