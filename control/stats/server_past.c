/* SPDX-License-Identifier: BSD-3-Clause */
#include "server.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define WAITS_CAP (1u << 18) /* windows by type of one server: more are not looked at */
#define FORGET_S 3600u
#define AT_ONCE 3u /* servers that fall silent together: it is the tap */

void server_text(const uint8_t *addr, char *text)
{
	const bool v4 = ft_addr_is_v4(addr);

	(void)inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, text, INET6_ADDRSTRLEN);
}

static struct server_past **place_of(struct server_stat *s, const uint8_t *key)
{
	size_t at = XXH3_64bits_withSeed(key, SERVER_KEY, s->run->name_seed) % SERVER_PAST_SLOTS;

	while (s->past[at] != NULL && memcmp(s->past[at]->key, key, SERVER_KEY) != 0)
		at = (at + 1) % SERVER_PAST_SLOTS;
	return &s->past[at];
}

struct server_past *server_past_get(struct server_stat *s, const uint8_t *key, uint64_t now_s)
{
	struct server_past **place = place_of(s, key);

	if (*place == NULL && s->pasts < SERVER_PASTS) {
		*place = calloc(1, sizeof(**place));
		if (*place == NULL)
			return NULL;
		memcpy((*place)->key, key, SERVER_KEY);
		s->pasts++;
	}
	if (*place != NULL)
		(*place)->seen_s = now_s;
	return *place;
}

void server_past_wait(struct server_past *p, const struct server_window *w)
{
	if (p->n == p->room) {
		const size_t room = p->room != 0 ? 2 * p->room : 16;
		struct server_window *v =
		    room <= WAITS_CAP ? realloc(p->waits, room * sizeof(*v)) : NULL;
		if (v == NULL)
			return;
		p->waits = v;
		p->room = room;
	}
	p->waits[p->n++] = *w;
}

static int order(const void *left, const void *right)
{
	const struct server_window *a = left, *b = right;

	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return (a->qtype > b->qtype) - (a->qtype < b->qtype);
}

/* By number and type; what two intervals have of one window becomes one. */
static void sort_waits(struct server_past *p)
{
	size_t n = 0;

	qsort(p->waits, p->n, sizeof(*p->waits), order);
	for (size_t i = 0; i < p->n; i++) {
		if (n != 0 && order(&p->waits[n - 1], &p->waits[i]) == 0) {
			p->waits[n - 1].queries += p->waits[i].queries;
			p->waits[n - 1].unanswered += p->waits[i].unanswered;
		} else {
			p->waits[n++] = p->waits[i];
		}
	}
	p->n = n;
}

bool server_past_one_way(const struct server_stat *s, uint64_t queries, uint64_t unanswered,
			 size_t active)
{
	return queries >= SERVER_STATE_N && 2 * unanswered > queries &&
	       (active >= AT_ONCE || !s->answers);
}

/* A server's part of a window; the others are behind it. */
static size_t window_end(const struct server_past *p, size_t at)
{
	const uint64_t number = p->waits[at].number;

	while (at < p->n && p->waits[at].number == number)
		at++;
	return at;
}

/* The last minute's sums over all servers, with this window. */
static bool one_way(struct server_stat *s, struct server_past **list, const size_t *at, size_t n,
		    uint64_t number)
{
	const unsigned k = (unsigned)(number % FT_SERVER_WINDOW_CAP);
	uint64_t queries = 0, unanswered = 0;
	size_t active = 0;

	s->all[k].number = number;
	s->all[k].queries = s->all[k].unanswered = 0;
	for (size_t i = 0; i < n; i++) {
		const struct server_past *p = list[i];
		if (at[i] == p->n || p->waits[at[i]].number != number)
			continue;
		active++;
		for (size_t w = at[i]; w < window_end(p, at[i]); w++) {
			s->all[k].queries += p->waits[w].queries;
			s->all[k].unanswered += p->waits[w].unanswered;
		}
	}
	for (unsigned i = 0; i < FT_SERVER_WINDOW_CAP; i++) {
		if (s->all[i].number + FT_SERVER_WINDOW_CAP <= number)
			continue;
		queries += s->all[i].queries;
		unanswered += s->all[i].unanswered;
	}
	s->answers |= queries > unanswered;
	return server_past_one_way(s, queries, unanswered, active);
}

static uint64_t first_number(struct server_past **list, const size_t *at, size_t n)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < n; i++)
		if (at[i] < list[i]->n && list[i]->waits[at[i]].number < first)
			first = list[i]->waits[at[i]].number;
	return first;
}

static int order_past(const void *left, const void *right)
{
	return memcmp((*(struct server_past *const *)left)->key,
		      (*(struct server_past *const *)right)->key, SERVER_KEY);
}

static void step_windows(struct server_stat *s, struct server_past **list, size_t *at, size_t n,
			 uint64_t end, bool believe, server_past_fn fn, void *ctx)
{
	uint64_t number;

	while ((number = first_number(list, at, n)) < end) {
		const bool asym = one_way(s, list, at, n, number);
		for (size_t i = 0; i < n; i++) {
			struct server_past *p = list[i];
			if (at[i] == p->n || p->waits[at[i]].number != number)
				continue;
			const size_t next = window_end(p, at[i]);
			if (server_state_step(&p->health, &p->waits[at[i]], next - at[i],
					      believe && !asym))
				fn(ctx, p);
			at[i] = next;
		}
	}
}

void server_past_step(struct server_stat *s, uint64_t end_s, bool believe, server_past_fn fn,
		      void *ctx)
{
	struct server_past **list = malloc((s->pasts + 1) * sizeof(*list));
	size_t *at = calloc(s->pasts + 1, sizeof(*at)), n = 0;

	for (size_t i = 0; list != NULL && at != NULL && i < SERVER_PAST_SLOTS; i++) {
		if (s->past[i] == NULL || s->past[i]->n == 0)
			continue;
		sort_waits(s->past[i]);
		list[n++] = s->past[i];
	}
	if (n != 0) {
		qsort(list, n, sizeof(*list), order_past);
		step_windows(s, list, at, n, end_s / FT_SERVER_WINDOW_S, believe, fn, ctx);
	}
	for (size_t i = 0; i < n; i++) {
		list[i]->n -= at[i];
		memmove(list[i]->waits, list[i]->waits + at[i],
			list[i]->n * sizeof(*list[i]->waits));
	}
	free(list);
	free(at);
}

void server_past_forget(struct server_stat *s, uint64_t now_s)
{
	struct server_past **old = s->past;

	if (s->pasts < SERVER_PASTS)
		return;
	s->past = calloc(SERVER_PAST_SLOTS, sizeof(*s->past));
	if (s->past == NULL) {
		s->past = old;
		return;
	}
	s->pasts = 0;
	for (size_t i = 0; i < SERVER_PAST_SLOTS; i++) {
		if (old[i] == NULL)
			continue;
		if (old[i]->seen_s + FORGET_S < now_s) {
			free(old[i]->waits);
			free(old[i]);
			continue;
		}
		*place_of(s, old[i]->key) = old[i];
		s->pasts++;
	}
	free(old);
}
