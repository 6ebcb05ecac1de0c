/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenario `errors`: block list look-ups of every form and result, and failures of every class,
 * from a plan of a few hundred questions. Truth: how often each question went how, by interval. */
#include "gen_rdata.h"
#include "gen_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUBJECTS = 60, NAMES = 140, QUESTIONS = SUBJECTS + NAMES };

/* What the counts of an interval are of: a question has a way to end of its own. */
struct gen_errors {
	uint64_t first; /* interval number of row 0 */
	size_t rows, cap;
	uint32_t *count; /* [rows][QUESTIONS] */
	struct ft_gen_error *list;
	bool is_short_of_memory;
};

static const enum ft_gen_class ways[] = {FT_GEN_NXDOMAIN, FT_GEN_SERVFAIL, FT_GEN_REFUSED,
					 FT_GEN_FORMERR,  FT_GEN_NOTIMP,   FT_GEN_TIMEOUT,
					 FT_GEN_DATA};

/* A block list's answer: the address that says so, 0: none. */
static const struct {
	const char *result;
	uint32_t address;
} results[] = {{"NOT_LISTED", 0}, {"LISTED", 0x7f000002}, {"REFUSED", 0x7ffffffe}};

static bool is_lookup(unsigned question)
{
	return question < SUBJECTS;
}

static enum ft_gen_class way_of(unsigned question)
{
	if (!is_lookup(question))
		return ways[question % (sizeof(ways) / sizeof(*ways))];
	return results[question % 3].address == 0 ? FT_GEN_NXDOMAIN : FT_GEN_DATA;
}

/* The name asked for; of a look-up the zone and the subject as a probe should say them. */
static void describe(unsigned question, struct ft_gen_error *e)
{
	const unsigned n = question;

	e->class_of = way_of(question);
	if (!is_lookup(question)) {
		(void)snprintf(e->qname, sizeof(e->qname), "n%u.d%u.example.", n, n % 23);
		return;
	}
	e->result = results[question % 3].result;
	if (question % 2 == 0) {
		(void)snprintf(e->zone, sizeof(e->zone), "bl.example.");
		(void)snprintf(e->subject, sizeof(e->subject), "192.0.2.%u", n);
		(void)snprintf(e->qname, sizeof(e->qname), "%u.2.0.192.bl.example.", n);
	} else {
		(void)snprintf(e->zone, sizeof(e->zone), "dbl.example.");
		(void)snprintf(e->subject, sizeof(e->subject), "bad%u.com", n);
		(void)snprintf(e->qname, sizeof(e->qname), "bad%u.com.dbl.example.", n);
	}
}

static void count(struct ft_gen *g, unsigned question, uint64_t ts_us)
{
	struct gen_errors *e = g->errors;
	const uint64_t row = ts_us / 1000000 / g->opts.interval_s - e->first;

	if (!g->opts.truth)
		return;
	if (row >= e->cap) {
		const size_t cap = 2 * (row + 1);
		uint32_t *more = realloc(e->count, cap * QUESTIONS * sizeof(*more));
		if (more == NULL) {
			e->is_short_of_memory = true;
			return;
		}
		memset(more + e->cap * QUESTIONS, 0, (cap - e->cap) * QUESTIONS * sizeof(*more));
		e->count = more;
		e->cap = cap;
	}
	if (row >= e->rows)
		e->rows = row + 1;
	e->count[row * QUESTIONS + question]++;
}

/* A block list says yes with an address of its own. */
static void send_listed(struct ft_gen *g, const struct gen_ask *ask, uint32_t address,
			struct gen_reply *reply)
{
	struct gen_buf b = {g->l4 + GEN_UDP_HEADER, 0};
	static const uint16_t head[] = {0x8400, 1, 1, 0, 0};

	gen_buf_u16(&b, ask->id);
	for (unsigned i = 0; i < sizeof(head) / sizeof(*head); i++)
		gen_buf_u16(&b, head[i]);
	gen_buf_octets(&b, ask->name.wire, ask->name.len);
	gen_buf_u16(&b, GEN_A);
	gen_buf_u16(&b, 1);
	const uint32_t begin = gen_rr_begin(&b, GEN_POINTER | 12, GEN_A, 1, 300);
	gen_buf_u32(&b, address);
	gen_rr_end(&b, begin);
	reply->shape = GEN_SHAPE_DATA;
	reply->bytes = b.len;
	g->totals->dns_messages++;
	reply->ts_us = gen_frame_udp(g, &ask->path, GEN_TO_CLIENT, reply->ts_us, b.len);
}

static void fill_reply(struct gen_reply *reply, enum ft_gen_class class_of)
{
	static const uint16_t rcodes[FT_GEN_CLASSES] = {[FT_GEN_NXDOMAIN] = 3,
							[FT_GEN_SERVFAIL] = 2,
							[FT_GEN_REFUSED] = 5,
							[FT_GEN_FORMERR] = 1,
							[FT_GEN_NOTIMP] = 4};

	reply->rcode = rcodes[class_of];
	reply->rrs = 1;
	reply->shape = class_of == FT_GEN_NXDOMAIN ? GEN_SHAPE_NEGATIVE
		       : class_of == FT_GEN_DATA   ? GEN_SHAPE_DATA
						   : GEN_SHAPE_EMPTY;
}

void gen_errors_step(struct ft_gen *g, uint64_t ts_us)
{
	/* Some questions are asked a hundred times as often as others. */
	const uint32_t a = (uint32_t)gen_rng_below(&g->rng, QUESTIONS);
	const uint32_t b = (uint32_t)gen_rng_below(&g->rng, a + 1);
	const unsigned question = (b * 37 + 11) % QUESTIONS;
	struct ft_gen_error e = {0};
	struct gen_reply reply = {.aa = true};
	struct gen_ask ask;

	describe(question, &e);
	gen_ask_init(g, &ask, ts_us);
	ask.rd = false;
	ask.qtype = GEN_A;
	ask.qclass = 1;
	ask.opcode = GEN_QUERY;
	ask.has_question = true;
	gen_name_text(&ask.name, e.qname);
	gen_send_query(g, &ask);
	count(g, question, ask.ts_us);
	if (e.class_of == FT_GEN_TIMEOUT) {
		gen_truth_timeout(&g->books, &ask);
		return;
	}
	reply.ts_us = ask.ts_us + 3000;
	if (is_lookup(question) && results[question % 3].address != 0) {
		send_listed(g, &ask, results[question % 3].address, &reply);
	} else {
		fill_reply(&reply, e.class_of);
		gen_send_reply(g, &ask, &reply);
	}
	gen_truth_pair(&g->books, &ask, &reply);
}

int gen_errors_init(struct ft_gen *g)
{
	g->errors = calloc(1, sizeof(*g->errors));
	if (g->errors == NULL)
		return -ENOMEM;
	g->errors->first = g->opts.start_us / 1000000 / g->opts.interval_s;
	return 0;
}

void gen_errors_fini(struct ft_gen *g)
{
	if (g->errors == NULL)
		return;
	free(g->errors->count);
	free(g->errors->list);
	free(g->errors);
}

int gen_errors_close(struct ft_gen *g, struct ft_gen_truth *truth)
{
	struct gen_errors *e = g->errors;

	if (e == NULL || e->rows == 0)
		return 0;
	if (e->is_short_of_memory)
		return -ENOMEM;
	e->list = calloc(e->rows * QUESTIONS, sizeof(*e->list));
	if (e->list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < e->rows * QUESTIONS; i++) {
		struct ft_gen_error *x = &e->list[truth->error_count];
		if (e->count[i] == 0)
			continue;
		describe((unsigned)(i % QUESTIONS), x);
		x->start_s = (e->first + i / QUESTIONS) * g->opts.interval_s;
		x->queries = e->count[i];
		truth->error_count++;
	}
	truth->errors = e->list;
	return 0;
}
