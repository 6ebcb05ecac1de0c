/* SPDX-License-Identifier: BSD-3-Clause */
#include "servers.h"

#include "mem.h"
#include "sketch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define STEP_BYTES 24576u /* emitted in one step of closing: less than a block */
#define STEP_PARTS 4096u
#define MINUTE_S 60u

/* What a part counts, in one word beside its server's key. */
#define WHAT(kind, part, minute) ((uint64_t)(kind) << 56 | (uint64_t)(part) << 32 | (minute))

struct part {
	_Alignas(CACHE_LINE) uint64_t key; /* 0: free */
	uint64_t row;
	struct addr addr;
	uint8_t vantage, kind;
	uint16_t part;
	uint32_t more; /* sketch: greatest value; windows: minute of the interval */
	uint16_t c[FT_SERVER_PART];
};
static_assert(sizeof(struct part) == CACHE_LINE, "one line a part");

struct servers {
	struct tally *tally;
	struct servers_settings set;
	struct part *part; /* [entries], two to a set; the first is the one made last */
	uint64_t row;      /* of the row asked for last: */
	uint32_t row_s;    /* its first second within its UTC minute */
	size_t close_at;   /* next part to look at */
	struct servers_stats stats;
};

static size_t emit_part(struct servers *s, const struct part *p)
{
	struct ft_server_part r = {.kind = p->kind, .vantage = p->vantage, .part = p->part};
	uint8_t *out = tally_entry_begin(s->tally, FT_REC_SERVER_PART, p->row, FT_SERVER_ENTRY_CAP);

	memcpy(r.addr, &p->addr, sizeof(r.addr));
	r.minute = r.kind == FT_SERVER_WINDOWS ? p->more : 0;
	r.max_us = r.kind == FT_SERVER_WINDOWS ? 0 : p->more;
	for (unsigned i = 0; i < FT_SERVER_PART; i++)
		r.c[i] = p->c[i];
	const uint8_t *end = ft_server_write_part(&r, out);
	tally_entry_end(s->tally, end);
	return (size_t)(end - out);
}

static void close_begin(void *ctx, uint64_t row)
{
	struct servers *s = ctx;

	(void)row;
	s->close_at = 0;
}

static bool close_step(void *ctx, uint64_t row)
{
	struct servers *s = ctx;
	size_t emitted = 0;

	for (uint32_t n = 0; n < STEP_PARTS && emitted < STEP_BYTES && s->close_at < s->set.entries;
	     n++) {
		struct part *p = &s->part[s->close_at++];
		if (p->key == 0 || p->row > row)
			continue;
		emitted += emit_part(s, p);
		p->key = 0;
	}
	return s->close_at == s->set.entries;
}

struct servers *servers_create(struct tally *tally, const struct servers_settings *settings)
{
	struct servers *s = calloc(1, sizeof(*s));

	assert(settings->entries >= 2 && (settings->entries & (settings->entries - 1)) == 0);
	if (s == NULL)
		return NULL;
	s->tally = tally;
	s->set = *settings;
	s->row = UINT64_MAX;
	s->part = mem_map(settings->entries * sizeof(*s->part));
	if (s->part == NULL) {
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(tally, (struct tally_part){close_begin, close_step, s});
	return s;
}

void servers_destroy(struct servers *s)
{
	if (s == NULL)
		return;
	mem_unmap(s->part, s->set.entries * sizeof(*s->part));
	free(s);
}

const struct servers_stats *servers_stats_get(const struct servers *s)
{
	return &s->stats;
}

/* The second of a set has been there for longer, or was not asked for since. */
static __attribute__((noinline)) struct part *make_part(struct servers *s, struct part *set,
							uint64_t key, const struct part *first)
{
	if (set[1].key != 0) {
		s->stats.evicted++;
		emit_part(s, &set[1]);
	}
	s->stats.made++;
	set[1] = set[0];
	set[0] = *first;
	set[0].key = key;
	return &set[0];
}

/* The part of a server for `what`; NULL: it is not there. */
static inline struct part *get_part(struct servers *s, uint64_t server, uint64_t what,
				    uint64_t *key, struct part **set)
{
	*key = (server ^ what * 0x9e3779b97f4a7c15ull) | 1;
	*set = &s->part[(*key >> 44) & (s->set.entries - 2)];
	return (*set)[0].key == *key ? &(*set)[0] : (*set)[1].key == *key ? &(*set)[1] : NULL;
}

static __attribute__((noinline)) void empty_part(struct servers *s, struct part *p)
{
	emit_part(s, p);
	memset(p->c, 0, sizeof(p->c));
}

static inline void add_value(struct servers *s, enum ft_server_kind kind, uint64_t server,
			     uint64_t row, const struct addr *addr, uint8_t vantage, uint64_t us,
			     uint32_t bin)
{
	const uint32_t most = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX,
		       part = bin / FT_SERVER_PART;
	struct part *set;
	uint64_t key;
	struct part *p = get_part(s, server, WHAT(kind, part, 0), &key, &set);

	if (p == NULL)
		p = make_part(s, set, key,
			      &(struct part){.row = row,
					     .addr = *addr,
					     .vantage = vantage,
					     .kind = (uint8_t)kind,
					     .part = (uint16_t)part});
	p->more = most > p->more ? most : p->more;
	if (++p->c[bin - part * FT_SERVER_PART] == UINT16_MAX)
		empty_part(s, p);
}

/* Minutes and windows begin with UTC's, whatever the interval is. */
static inline void count_window(struct servers *s, const struct txn *x, uint64_t server,
				uint64_t row, uint32_t second, uint8_t vantage)
{
	if (row != s->row) {
		s->row = row;
		s->row_s = (uint32_t)(row * s->tally->clock->interval_us / 1000000 % MINUTE_S);
	}
	const uint32_t at = s->row_s + second, minute = at / MINUTE_S;
	const uint32_t window = at % MINUTE_S / FT_SERVER_WINDOW_S;
	const uint16_t qtype = x->q.has_name ? x->q.qtype : 0;
	struct part *set;
	uint64_t key;
	struct part *p = get_part(s, server, WHAT(FT_SERVER_WINDOWS, qtype, minute), &key, &set);

	if (p == NULL)
		p = make_part(s, set, key,
			      &(struct part){.row = row,
					     .addr = *x->server,
					     .vantage = vantage,
					     .kind = FT_SERVER_WINDOWS,
					     .part = qtype,
					     .more = minute});
	p->c[2 * window + 1] = (uint16_t)(p->c[2 * window + 1] + !x->has_response);
	if (++p->c[2 * window] == UINT16_MAX) /* and so are the unanswered ones of them */
		empty_part(s, p);
}

/* Where no caller has a key of the server at hand. */
static uint64_t key_of(const struct servers *s, uint64_t row, const struct addr *addr,
		       uint8_t vantage)
{
	return addr_fold(addr, hash_mix(row ^ s->set.hash_key) ^ vantage);
}

static __attribute__((noinline)) void count_left(struct servers *s, const struct txn *x,
						 uint64_t row)
{
	const struct retry_left *l = x->left;
	const bool same = memcmp(&l->server, x->server, sizeof(*x->server)) == 0;

	add_value(s, same ? FT_SERVER_RETRY_SAME : FT_SERVER_RETRY_OTHER,
		  key_of(s, row, &l->server, l->vantage), row, &l->server, l->vantage, l->delay_us,
		  dd_bin(l->delay_us));
}

static __attribute__((noinline)) void emit_asked(struct servers *s, const struct txn *x,
						 uint64_t row)
{
	const uint64_t group = pair_group(x->q.client_sketch, x->q.name_sketch, x->q.qtype);
	struct ft_server_asked a = {.group = group,
				    .begin_us = x->q.t_us,
				    .end_us = x->has_response ? x->settled_us : UINT64_MAX};

	if (s->set.asked_level != 0 && group >> (64 - s->set.asked_level) != 0)
		return;
	a.vantage = pair_vantage(x->q.vantage, x->q.rd);
	memcpy(a.addr, x->server, sizeof(a.addr));
	uint8_t *out = tally_entry_begin(s->tally, FT_REC_ASKED, row, FT_SERVER_ENTRY_CAP);
	tally_entry_end(s->tally, ft_server_write_asked(&a, out));
}

void servers_count(struct servers *s, const struct txn *x, uint64_t key, uint64_t row,
		   uint32_t second, uint8_t vantage)
{
	count_window(s, x, key, row, second, vantage);
	if (x->has_response)
		add_value(s, FT_SERVER_RTT, key, row, x->server, vantage, x->rtt_us, x->rtt_bin);
	if (s->set.asks && x->q.has_name && !x->q.dup)
		emit_asked(s, x, row);
	if (x->left != NULL)
		count_left(s, x, row);
}

void servers_handshake(struct servers *s, const struct addr *server, uint8_t vantage, uint64_t t_us,
		       uint64_t tcp_us)
{
	const uint64_t row = clock_row(s->tally->clock, t_us);

	add_value(s, FT_SERVER_TCP_RTT, key_of(s, row, server, vantage), row, server, vantage,
		  tcp_us, dd_bin(tcp_us));
}
