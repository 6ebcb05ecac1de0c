/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SET_FIRST_CAP = 1024,
	RTT_FIRST_CAP = 1024,
	COUNTS_FIRST_CAP = 16,
};

void gen_truth_init(struct gen_books *b, bool is_kept, uint32_t interval_s, uint64_t start_us)
{
	memset(b, 0, sizeof(*b));
	b->is_kept = is_kept;
	b->interval_s = interval_s;
	b->first = start_us / 1000000 / interval_s;
	b->truth.interval_s = interval_s;
}

static void sheet_destroy(struct gen_sheet *s)
{
	if (!s)
		return;
	free(s->row.by_qtype.row);
	free(s->row.by_rcode.row);
	free(s->row.by_opcode.row);
	free(s->row.rtt_us);
	for (unsigned k = 0; k < FT_GEN_GROUPS; k++)
		free(s->row.series[k]);
	free(s->clients.cell);
	free(s->names.cell);
	free(s);
}

void gen_truth_fini(struct gen_books *b)
{
	for (size_t i = 0; i < b->intervals * FT_GEN_VANTAGES; i++)
		sheet_destroy(b->sheets[i]);
	free(b->sheets);
	free(b->rows);
	free(b->messages);
	memset(b, 0, sizeof(*b));
}

static bool set_grow(struct gen_set *s)
{
	struct gen_set wide = {.cap = s->cap ? s->cap * 2 : SET_FIRST_CAP};

	wide.cell = calloc(wide.cap, sizeof(*wide.cell));
	if (!wide.cell)
		return false;
	for (size_t i = 0; i < s->cap; i++) {
		uint64_t h = s->cell[i];
		size_t at = h & (wide.cap - 1);

		if (!h)
			continue;
		while (wide.cell[at])
			at = (at + 1) & (wide.cap - 1);
		wide.cell[at] = h;
	}
	wide.len = s->len;
	free(s->cell);
	*s = wide;
	return true;
}

static bool set_add(struct gen_set *s, uint64_t h)
{
	size_t at;

	h += !h;
	if (s->len * 2 >= s->cap && !set_grow(s))
		return false;
	for (at = h & (s->cap - 1); s->cell[at]; at = (at + 1) & (s->cap - 1))
		if (s->cell[at] == h)
			return true;
	s->cell[at] = h;
	s->len++;
	return true;
}

static bool counts_add(struct ft_gen_counts *c, uint32_t key)
{
	struct ft_gen_count *row;

	for (size_t i = 0; i < c->len; i++) {
		if (c->row[i].key == key) {
			c->row[i].n++;
			return true;
		}
	}
	if (c->len == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : COUNTS_FIRST_CAP;

		row = realloc(c->row, cap * sizeof(*row));
		if (!row)
			return false;
		c->row = row;
		c->cap = cap;
	}
	c->row[c->len++] = (struct ft_gen_count){key, 1};
	return true;
}

static bool rtt_add(struct gen_sheet *s, uint32_t rtt_us)
{
	if (s->row.rtt_count == s->rtt_cap) {
		size_t cap = s->rtt_cap ? s->rtt_cap * 2 : RTT_FIRST_CAP;
		uint32_t *wide = realloc(s->row.rtt_us, cap * sizeof(*wide));

		if (!wide)
			return false;
		s->row.rtt_us = wide;
		s->rtt_cap = cap;
	}
	s->row.rtt_us[s->row.rtt_count++] = rtt_us;
	return true;
}

static bool sheets_reach(struct gen_books *b, size_t interval)
{
	size_t intervals = interval + 8;
	size_t was = b->intervals * FT_GEN_VANTAGES, is = intervals * FT_GEN_VANTAGES;
	struct gen_sheet **sheets;

	if (interval < b->intervals)
		return true;
	sheets = realloc(b->sheets, is * sizeof(struct gen_sheet *));
	if (!sheets)
		return false;
	memset(sheets + was, 0, (is - was) * sizeof(struct gen_sheet *));
	b->sheets = sheets;
	b->intervals = intervals;
	return true;
}

/* The page of a time and vantage; NULL where no books are kept or memory lacks. */
static struct gen_sheet *sheet_at(struct gen_books *b, uint64_t ts_us, enum ft_gen_vantage vantage)
{
	size_t interval = (size_t)(ts_us / 1000000 / b->interval_s - b->first);
	struct gen_sheet **s;

	if (!b->is_kept || b->is_short_of_memory)
		return NULL;
	if (!sheets_reach(b, interval))
		goto short_of_memory;
	s = &b->sheets[interval * FT_GEN_VANTAGES + vantage];
	if (*s)
		return *s;
	*s = calloc(1, sizeof(**s));
	if (!*s)
		goto short_of_memory;
	(*s)->row.start_s = (b->first + interval) * b->interval_s;
	(*s)->row.vantage = vantage;
	return *s;

short_of_memory:
	b->is_short_of_memory = true;
	return NULL;
}

static uint64_t address_hash(const struct gen_path *path)
{
	uint64_t h = path->is_v6;

	for (unsigned i = 0; i < 16; i += 8) {
		uint64_t word;

		memcpy(&word, path->client.b + i, sizeof(word));
		h = gen_mix64(h ^ word) + i;
	}
	return h;
}

static enum ft_gen_group group_of(uint16_t qtype)
{
	switch (qtype) {
	case GEN_A: return FT_GEN_GROUP_A;
	case GEN_AAAA: return FT_GEN_GROUP_AAAA;
	case GEN_PTR: return FT_GEN_GROUP_PTR;
	case GEN_MX: return FT_GEN_GROUP_MX;
	case GEN_TXT: return FT_GEN_GROUP_TXT;
	case GEN_NS: return FT_GEN_GROUP_NS;
	case GEN_SOA: return FT_GEN_GROUP_SOA;
	case GEN_SRV: return FT_GEN_GROUP_SRV;
	case GEN_SVCB:
	case GEN_HTTPS: return FT_GEN_GROUP_HTTPS;
	case GEN_DS: return FT_GEN_GROUP_DS;
	case GEN_DNSKEY: return FT_GEN_GROUP_DNSKEY;
	case GEN_ANY: return FT_GEN_GROUP_ANY;
	default: return FT_GEN_GROUP_OTHER;
	}
}

static bool series_add(struct gen_sheet *s, const struct gen_ask *ask, uint32_t interval_s)
{
	uint32_t **series = &s->row.series[group_of(ask->qtype)];

	if (!*series)
		*series = calloc(interval_s, sizeof(**series));
	if (!*series)
		return false;
	(*series)[ask->ts_us / 1000000 - s->row.start_s]++;
	return true;
}

static void book_edns(struct ft_gen_row *row, const struct gen_ask *ask)
{
	row->edns[FT_GEN_EDNS_QUERIES]++;
	row->edns[FT_GEN_EDNS_DO] += ask->is_do;
	row->edns[FT_GEN_EDNS_ECS] += (ask->options & GEN_OPTION_ECS) != 0;
	row->edns[FT_GEN_EDNS_COOKIE] +=
	    (ask->options & (GEN_OPTION_COOKIE | GEN_OPTION_COOKIE_FULL)) != 0;
	row->edns[FT_GEN_EDNS_NSID] += (ask->options & GEN_OPTION_NSID) != 0;
	row->edns[FT_GEN_EDNS_PADDING] += (ask->options & GEN_OPTION_PADDING) != 0;
	row->edns[FT_GEN_EDNS_BADVERSION] += ask->version != 0;
}

static void book_query(struct gen_books *b, struct gen_sheet *s, const struct gen_ask *ask)
{
	bool is_well = true;

	s->row.queries++;
	s->row.query_bytes += ask->bytes;
	s->row.by_transport[(ask->path.is_tcp ? FT_GEN_TCP4 : FT_GEN_UDP4) +
			    (ask->path.is_v6 ? 1 : 0)]++;
	is_well &= counts_add(&s->row.by_opcode, ask->opcode);
	is_well &= set_add(&s->clients, address_hash(&ask->path));
	if (ask->has_opt)
		book_edns(&s->row, ask);
	if (ask->has_question) {
		is_well &= counts_add(&s->row.by_qtype, ask->qtype);
		is_well &= set_add(&s->names, gen_name_hash(&ask->name));
		is_well &= series_add(s, ask, b->interval_s);
	}
	if (!is_well)
		b->is_short_of_memory = true;
}

static void book_response(struct gen_books *b, struct gen_sheet *s, const struct gen_reply *reply)
{
	s->row.responses++;
	s->row.response_bytes += reply->bytes;
	if (!counts_add(&s->row.by_rcode, reply->rcode))
		b->is_short_of_memory = true;
}

/* DOMAIN.md 0.1, the heuristic for taps without configured addresses. */
static enum ft_gen_vantage vantage_of(const struct gen_ask *ask, const struct gen_reply *reply)
{
	if (ask->rd)
		return reply->ra ? FT_GEN_S2R : FT_GEN_X;
	return reply->aa || gen_msg_class(ask, reply) == FT_GEN_REFERRAL ? FT_GEN_R2A : FT_GEN_X;
}

void gen_truth_wrapped(struct gen_books *b, unsigned wrap, bool is_part, uint32_t len)
{
	struct ft_gen_wrap *w = &b->truth.wraps[wrap];

	*(is_part ? &w->part_packets : &w->packets) += 1;
	*(is_part ? &w->part_bytes : &w->bytes) += len;
}

/* Names of letters, digits and hyphens alone: no escapes. */
static void write_name(char *p, const struct gen_name *name)
{
	for (unsigned at = 0; name->wire[at] != 0; at += name->wire[at] + 1U) {
		memcpy(p, name->wire + at + 1, name->wire[at]);
		p += name->wire[at];
		*p++ = '.';
	}
	*p = 0;
}

/* Notes a message; reply NULL: the query. */
static void note_message(struct gen_books *b, const struct gen_ask *ask,
			 const struct gen_reply *reply)
{
	struct ft_gen_truth *t = &b->truth;

	if (!b->is_kept || b->is_short_of_memory || t->wrap_count == 0)
		return;
	if (t->message_count == b->message_cap) {
		const size_t cap = b->message_cap ? 2 * b->message_cap : 1024;
		struct ft_gen_message *m = realloc(b->messages, cap * sizeof(*m));

		if (!m) {
			b->is_short_of_memory = true;
			return;
		}
		b->messages = m;
		b->message_cap = cap;
		t->messages = m;
	}
	struct ft_gen_message *m = &b->messages[t->message_count++];

	*m = (struct ft_gen_message){
	    .ts_us = reply ? reply->ts_us : ask->ts_us,
	    .id = ask->id,
	    .qtype = ask->qtype,
	    .rcode = reply ? reply->rcode : 0,
	    .answers = reply ? reply->answers : 0,
	    .opcode = ask->opcode,
	    .is_response = reply != NULL,
	    .is_tcp = ask->path.is_tcp,
	    .is_v6 = ask->path.is_v6,
	    .wrap = ask->path.wrap,
	};
	write_name(m->qname, &ask->name);
}

void gen_truth_pair(struct gen_books *b, const struct gen_ask *ask, const struct gen_reply *reply)
{
	struct gen_sheet *s = sheet_at(b, ask->ts_us, vantage_of(ask, reply));

	if (!s)
		return;
	note_message(b, ask, NULL);
	note_message(b, ask, reply);
	book_query(b, s, ask);
	book_response(b, s, reply);
	s->row.pairs++;
	s->row.by_class[gen_msg_class(ask, reply)]++;
	if (!rtt_add(s, (uint32_t)(reply->ts_us - ask->ts_us)))
		b->is_short_of_memory = true;
}

void gen_truth_timeout(struct gen_books *b, const struct gen_ask *ask)
{
	struct gen_sheet *s = sheet_at(b, ask->ts_us, ask->rd ? FT_GEN_S2R : FT_GEN_R2A);

	if (!s)
		return;
	book_query(b, s, ask);
	s->row.unanswered++;
	s->row.by_class[FT_GEN_TIMEOUT]++;
}

void gen_truth_unsolicited(struct gen_books *b, const struct gen_ask *ask,
			   const struct gen_reply *reply)
{
	struct gen_sheet *s = sheet_at(b, reply->ts_us, vantage_of(ask, reply));

	if (!s)
		return;
	book_response(b, s, reply);
	s->row.unsolicited++;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int compare_count(const void *a, const void *b)
{
	return compare_u32(&((const struct ft_gen_count *)a)->key,
			   &((const struct ft_gen_count *)b)->key);
}

static void counts_sort(struct ft_gen_counts *c)
{
	if (c->len > 0)
		qsort(c->row, c->len, sizeof(*c->row), compare_count);
}

static void sheet_close(struct gen_sheet *s)
{
	struct ft_gen_row *row = &s->row;
	size_t n = row->rtt_count;

	row->clients = s->clients.len;
	row->names = s->names.len;
	counts_sort(&row->by_qtype);
	counts_sort(&row->by_rcode);
	counts_sort(&row->by_opcode);
	if (n == 0)
		return;
	qsort(row->rtt_us, n, sizeof(*row->rtt_us), compare_u32);
	row->rtt_p50_us = row->rtt_us[(n - 1) * 500 / 1000];
	row->rtt_p90_us = row->rtt_us[(n - 1) * 900 / 1000];
	row->rtt_p99_us = row->rtt_us[(n - 1) * 990 / 1000];
	row->rtt_p999_us = row->rtt_us[(n - 1) * 999 / 1000];
	row->rtt_max_us = row->rtt_us[n - 1];
}

int gen_truth_close(struct gen_books *b)
{
	size_t count = 0;

	if (b->is_short_of_memory)
		return -ENOMEM;
	if (b->is_closed || !b->is_kept)
		return 0;
	b->rows = calloc(b->intervals * FT_GEN_VANTAGES + 1, sizeof(*b->rows));
	if (!b->rows) {
		b->is_short_of_memory = true;
		return -ENOMEM;
	}
	for (size_t i = 0; i < b->intervals * FT_GEN_VANTAGES; i++) {
		if (!b->sheets[i])
			continue;
		sheet_close(b->sheets[i]);
		b->rows[count++] = b->sheets[i]->row;
	}
	b->truth.rows = b->rows;
	b->truth.row_count = count;
	b->is_closed = true;
	return 0;
}
