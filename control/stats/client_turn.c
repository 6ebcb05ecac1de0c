/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that turn to another server: to one that they never asked when a client of the
 * tap falls silent (a resolver behind which they were), or away from one that answers no
 * more. */
#include "client_state.h"

#include "../../dataplane/tables.h"

#include <math.h>
#include <string.h>

#define TURN_QUERIES 20u /* to a server in an interval that may mean something */
#define LOOK_QUERIES 5u  /* to one that a client may have turned to */
#define LEFT_QUERIES 3u  /* to one that does not answer */
#define LEFT_ANSWERED 0.1
#define LEFT_SHARE 0.5
#define LEFT_RISE 0.45   /* half: who asks both by turns is a query short now and then */
#define LOOK_UPS 64u     /* of addresses in an interval: each goes through all servers */
#define END_SHARE 0.2    /* of the rate since: less is the end */
#define END_QUERIES 20.0 /* at that rate, or the end of the input is too near to tell */

static double decay(const struct tracks *t, const struct track_server *s)
{
	return exp2(-(double)(t->in->end_s - s->at_s) / TRACK_HALF_LIFE_S);
}

static struct track_server *server_of(struct track *x, uint32_t id)
{
	for (unsigned i = 0; i < x->servers; i++)
		if (x->server[i].id == id)
			return &x->server[i];
	return NULL;
}

static double qps_of(const struct tracks *t, struct track *x, uint32_t id)
{
	const struct track_server *s = server_of(x, id);

	return s != NULL ? s->qps * decay(t, s) : 0;
}

/* Before it turned there: the first interval with queries may have been the turn's. */
static double qps_before(const struct tracks *t, struct track *x, uint32_t id)
{
	const struct track_server *s = server_of(x, id);

	return s != NULL ? fmin(s->qps, s->before) * decay(t, s) : 0;
}

struct asked {
	uint32_t id;
	uint8_t addr[16];
	bool found;
};

static void find_server(void *ctx, const struct table_sum *sum)
{
	struct asked *a = ctx;
	struct addr addr;

	memcpy(&addr, sum->id, sizeof(addr));
	if (tables_server_id(&addr) != a->id || (a->found && memcmp(sum->id, a->addr, 16) > 0))
		return;
	memcpy(a->addr, sum->id, 16);
	a->found = true;
}

/* The address of a server asked in this interval; zeros: it was left out. */
static void address_of(const struct tracks *t, uint32_t id, uint8_t out[16])
{
	struct asked a = {.id = id};

	tables_each(t->in->tables, FT_TABLE_SERVERS, find_server, &a);
	memcpy(out, a.addr, 16);
}

/* At least one. */
static uint64_t seconds(uint64_t from_s, uint64_t to_s)
{
	return to_s > from_s ? to_s - from_s : 1;
}

static void tell(const struct tracks *t, const struct track *x, enum track_kind kind)
{
	const uint64_t span = kind == TRACK_TURNED ? seconds(x->turned_s, track_known_s(t))
						   : x->turned_last_s - x->turned_s + 1;
	struct track_event e = {
	    .kind = kind,
	    .key = x->key,
	    .from = x->turned_from,
	    .at_s = x->turned_s,
	    .end_s = x->turned_last_s,
	    .qps_before = x->turned_before,
	    .qps_during = (double)x->turned_queries / (double)span,
	};

	memcpy(e.to, x->turned_to, 16);
	t->tell(t->ctx, &e);
}

static void begin(const struct tracks *t, struct track *x, const struct turn *turn,
		  const uint8_t from[16])
{
	x->turned = true;
	x->turned_id = turn->id;
	x->turned_s = turn->at_s;
	x->turned_before = turn->before;
	x->turned_queries = turn->queries;
	x->turned_in_s = t->in->end_s;
	memcpy(x->turned_from, from, 16);
	address_of(t, turn->id, x->turned_to);
	tell(t, x, TRACK_TURNED);
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* The silent client that fell silent nearest to the turn; ties by address. */
static const struct track *find_silent(const struct tracks *t, const struct turn *turn)
{
	const struct track *best = NULL, *x;
	size_t at = 0;

	while ((x = track_next(t, &at)) != NULL) {
		const uint64_t d = apart(x->silent_from_s, turn->at_s);
		if (!x->silent || x->tap_loss || x->key[0] != turn->key[0] ||
		    d > FAILOVER_WITHIN_S || memcmp(x->key, turn->key, TRACK_KEY_BYTES) == 0)
			continue;
		if (best == NULL || d < apart(best->silent_from_s, turn->at_s) ||
		    (d == apart(best->silent_from_s, turn->at_s) &&
		     memcmp(x->key, best->key, TRACK_KEY_BYTES) < 0))
			best = x;
	}
	return best;
}

/* It began to ask a server: because another client fell silent? */
static void look_for_silence(struct tracks *t, struct track *x, const struct turn *turn)
{
	const struct track *silent = find_silent(t, turn);

	if (silent != NULL)
		begin(t, x, turn, silent->key + 1);
	else if (t->turns < TURNS_CAP)
		t->turn[t->turns++] = *turn;
}

void track_match_turns(struct tracks *t, const struct track *silent)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < t->turns; i++) {
		const struct turn *turn = &t->turn[i];
		struct track *x = track_find(t, turn->key);
		if (x != NULL && !x->turned && turn->key[0] == silent->key[0] &&
		    apart(silent->silent_from_s, turn->at_s) <= FAILOVER_WITHIN_S && x != silent) {
			x->turned_last_s = x->last_s;
			begin(t, x, turn, silent->key + 1);
		} else
			t->turn[kept++] = *turn;
	}
	t->turns = kept;
}

/* It fell silent within the last interval and is hardly asked since. */
static bool was_just_left(const struct tracks *t, const struct track_server *s)
{
	return s->at_s == t->in->start_s && s->missed >= LEFT_QUERIES;
}

/* The server that had most of its queries and does not answer; NULL: none. */
static const struct track_server *find_left(const struct tracks *t, struct track *x,
					    const struct diary_sum *d)
{
	const struct track_server *most = NULL;
	double sum = 0;

	for (unsigned i = 0; i < x->servers; i++) {
		sum += qps_of(t, x, x->server[i].id);
		if (most == NULL ||
		    x->server[i].qps * decay(t, &x->server[i]) > most->qps * decay(t, most))
			most = &x->server[i];
	}
	if (most == NULL || sum <= 0 || most->qps * decay(t, most) < LEFT_SHARE * sum)
		return NULL;
	for (unsigned i = 0; i < d->servers; i++) {
		const struct ft_diary_server *s = &d->server[i];
		if (s->id != most->id)
			continue;
		if (s->queries >= LEFT_QUERIES)
			return (double)(s->queries - s->unanswered) <
				       LEFT_ANSWERED * (double)s->queries
				   ? most
				   : NULL;
		if (s->unanswered != s->queries)
			return NULL;
	}
	return most->answered < LEFT_ANSWERED || was_just_left(t, most) ? most : NULL;
}

/* More than half of what it asks has gone over to one server. */
static void look_for_left(struct tracks *t, struct track *x, const struct diary_sum *d,
			  const struct turn *turn, uint64_t queries, uint64_t sum)
{
	const struct track_server *left = find_left(t, x, d);
	struct turn mine = *turn;
	double before = 0;
	uint8_t from[16];

	if (left == NULL || left->id == turn->id)
		return;
	for (unsigned i = 0; i < x->servers; i++)
		before += qps_of(t, x, x->server[i].id);
	mine.before = qps_before(t, x, turn->id);
	if ((double)queries / (double)sum - mine.before / before < LEFT_RISE)
		return;
	address_of(t, left->id, from);
	if (memcmp(from, (const uint8_t[16]){0}, 16) == 0)
		memcpy(from, left->addr, 16); /* nobody asks it any more */
	if (memcmp(from, (const uint8_t[16]){0}, 16) == 0)
		return;
	x->by_server = true;
	begin(t, x, &mine, from);
}

static void learn_server(struct tracks *t, struct track *x, const struct ft_diary_server *s)
{
	struct track_server *to = server_of(x, s->id);
	const double qps = (double)s->queries / t->interval_s;

	if (to == NULL && x->servers < FT_DIARY_SERVERS) {
		to = &x->server[x->servers++];
		*to = (struct track_server){.id = s->id, .at_s = t->in->start_s};
	}
	for (unsigned i = 0; to == NULL && i < x->servers; i++)
		if (qps_of(t, x, x->server[i].id) < FAILOVER_BASE_QPS / 2) {
			to = &x->server[i];
			*to = (struct track_server){.id = s->id, .at_s = t->in->start_s};
		}
	if (to == NULL)
		return;
	to->before = to->qps * decay(t, to);
	to->qps = to->before + (1 - t->keep) * qps;
	to->at_s = t->in->end_s;
	to->answered = (double)(s->queries - s->unanswered) / (double)s->queries;
	to->missed = (uint32_t)s->unanswered;
	if (to->missed >= LEFT_QUERIES && t->looked_up < LOOK_UPS) {
		t->looked_up++;
		address_of(t, to->id, to->addr);
	}
}

/* A turn that waits for its reason goes on. */
static void add_to_turn(struct tracks *t, const struct turn *turn)
{
	for (unsigned i = 0; i < t->turns; i++)
		if (t->turn[i].id == turn->id &&
		    memcmp(t->turn[i].key, turn->key, TRACK_KEY_BYTES) == 0)
			t->turn[i].queries += turn->queries;
}

void track_look_at_servers(struct tracks *t, struct track *x, uint64_t first_s, uint64_t last_s,
			   const struct diary_sum *d)
{
	const uint64_t span = seconds(first_s, track_known_s(t));
	uint64_t all = 0;

	x->turned_now = 0;
	if (d->many)
		return;
	for (unsigned i = 0; i < d->servers; i++)
		all += d->server[i].queries;
	for (unsigned i = 0; i < d->servers; i++) {
		const struct ft_diary_server *s = &d->server[i];
		struct turn turn = {.id = s->id,
				    .at_s = first_s,
				    .before = qps_of(t, x, s->id),
				    .queries = s->queries};
		memcpy(turn.key, x->key, TRACK_KEY_BYTES);
		const double qps = (double)s->queries / (double)span;
		if (x->turned && x->turned_id == s->id) {
			x->turned_now = s->queries;
			continue;
		}
		if (x->turned || s->queries < LOOK_QUERIES ||
		    t->in->end_s < t->begun_s + TRACK_WARM_S)
			continue;
		x->turned_last_s = last_s;
		add_to_turn(t, &turn);
		if (s->queries >= TURN_QUERIES && turn.before < FAILOVER_BASE_QPS &&
		    qps >= fmax(FAILOVER_QPS, FAILOVER_TIMES * turn.before))
			look_for_silence(t, x, &turn);
		if (!x->turned)
			look_for_left(t, x, d, &turn, s->queries, all);
	}
	for (unsigned i = 0; i < d->servers; i++)
		learn_server(t, x, &d->server[i]);
}

/* Behind what has been seen of the interval: x->last_s is the client's. */
void track_end_turn(struct tracks *t, struct track *x)
{
	const double span = (double)(x->turned_last_s - x->turned_s + 1),
		     rate = (double)x->turned_queries / span,
		     known = (double)(t->interval_s - t->in->cut_s);

	if (x->turned_in_s == t->in->end_s)
		return;
	if (x->turned_now != 0) {
		x->turned_queries += x->turned_now;
		x->turned_last_s = x->last_s;
	}
	if (((double)x->turned_now >= END_SHARE * rate * known && x->turned_now != 0) ||
	    (t->in->cut_s != 0 && rate * known < END_QUERIES)) {
		x->turned_now = 0;
		return;
	}
	x->turned_now = 0;
	tell(t, x, TRACK_TURNED_BACK);
	x->turned = false;
	/* It only went back: nobody has to miss it here. */
	if (!x->by_server) {
		x->mean = x->var = x->qps = 0;
		x->empty = 0;
	}
	x->by_server = false;
	x->turned_queries = 0;
}
