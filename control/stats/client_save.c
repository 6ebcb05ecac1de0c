/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of tracked clients, as octets. */
#include "client_state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x334b5254u /* "TRK3" */
#define LATEST_S (1ull << 40)
#define EMPTY_MOST 1000000u

struct head {
	uint32_t magic, interval_s, clients, turns;
	uint64_t left_out, begun_s;
	double total[FT_VANTAGE_CAP];
};

int tracks_save(const struct tracks *t, state_write_fn *write, void *ctx)
{
	struct head h = {.magic = MAGIC,
			 .interval_s = t->interval_s,
			 .clients = (uint32_t)t->n,
			 .turns = t->turns,
			 .left_out = t->left_out,
			 .begun_s = t->begun_s};
	const struct track *x;
	size_t at = 0;

	memcpy(h.total, t->total, sizeof(h.total));
	int result = write(ctx, &h, sizeof(h));
	while (result == 0 && (x = track_next(t, &at)) != NULL)
		result = write(ctx, x, sizeof(*x));
	return result != 0 ? result : write(ctx, t->turn, t->turns * sizeof(*t->turn));
}

static bool is_rate(double x)
{
	return isfinite(x) && x >= 0;
}

/* A bool, out of any octet. */
static bool is_bool(const void *p)
{
	return *(const uint8_t *)p <= 1;
}

static bool is_sound(const struct tracks *t, const struct track *x)
{
	if (x->key[0] >= FT_VANTAGE_CAP || track_find(t, x->key) != NULL)
		return false;
	if (!is_bool(&x->seen) || !is_bool(&x->silent) || !is_bool(&x->tap_loss) ||
	    !is_bool(&x->couples) || !is_bool(&x->turned) || !is_bool(&x->by_server))
		return false;
	if (!is_rate(x->mean) || !is_rate(x->var) || !is_rate(x->qps) || !is_rate(x->qps_before) ||
	    !is_rate(x->turned_before) || x->servers > FT_DIARY_SERVERS || x->empty > EMPTY_MOST)
		return false;
	for (unsigned i = 0; i < x->servers; i++)
		if (!is_rate(x->server[i].qps) || !is_rate(x->server[i].before) ||
		    !is_rate(x->server[i].answered) || x->server[i].at_s > LATEST_S)
			return false;
	return x->since_s <= LATEST_S && x->last_s <= LATEST_S && x->silent_from_s <= LATEST_S &&
	       x->back_s <= LATEST_S && x->turned_s <= LATEST_S && x->turned_last_s <= LATEST_S &&
	       x->turned_in_s <= LATEST_S && x->coupling.first_s <= LATEST_S &&
	       x->coupling.last_s <= LATEST_S;
}

static int load_head(struct tracks *t, const struct head *h)
{
	if (h->magic != MAGIC || h->clients > TRACK_CAP || h->turns > TURNS_CAP ||
	    h->begun_s > LATEST_S)
		return -EBADMSG;
	if (h->interval_s != t->interval_s)
		return -EINVAL; /* rates are learnt by interval */
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		if (!is_rate(h->total[v]))
			return -EBADMSG;
	memcpy(t->total, h->total, sizeof(t->total));
	t->left_out = h->left_out;
	t->begun_s = h->begun_s;
	return 0;
}

int tracks_load(struct tracks *t, state_read_fn *read, void *ctx)
{
	struct head h;
	struct track x;
	int result = read(ctx, &h, sizeof(h));

	if (result == 0)
		result = load_head(t, &h);
	for (uint32_t i = 0; result == 0 && i < h.clients; i++) {
		result = read(ctx, &x, sizeof(x));
		if (result == 0 && !is_sound(t, &x))
			result = -EBADMSG;
		struct track *mine = result == 0 ? track_enter(t, x.key) : NULL;
		if (mine != NULL)
			memcpy(mine, &x, sizeof(x));
		else if (result == 0)
			result = -ENOMEM;
	}
	if (result == 0)
		result = read(ctx, t->turn, h.turns * sizeof(*t->turn));
	for (uint32_t i = 0; result == 0 && i < h.turns; i++)
		if (t->turn[i].key[0] >= FT_VANTAGE_CAP || t->turn[i].at_s > LATEST_S ||
		    !is_rate(t->turn[i].before))
			result = -EBADMSG;
	t->turns = result == 0 ? h.turns : 0;
	return result;
}
