/* SPDX-License-Identifier: BSD-3-Clause */
#include "sinks.h"

#include "few.h"
#include "mem.h"
#include "name.h"
#include "sinklist.h"
#include "vantage.h"

#include <fluxtap/rec_sink.h>

#include <errno.h>
#include <stdlib.h>

#define TAGS_CAP 256u
#define STEP_BYTES 24576u /* emitted in one step of closing: less than a block */
#define STEP_SETS 1024u
#define SOA_FIXED_BYTES 20u /* serial, refresh, retry, expire, minimum */

struct domain {
	_Alignas(CACHE_LINE) struct keyed_entry head;
	uint64_t domain, bytes;
	uint32_t rule, minute;
	uint64_t neg_ttl, ans_ttl; /* and 1 */
	uint32_t by_class[FT_CLASS_CAP];
	uint8_t vantage;
	struct few clients;
};

struct client {
	_Alignas(CACHE_LINE) struct keyed_entry head;
	uint64_t client;
	uint32_t rule, queries;
	uint8_t vantage;
};

struct sinks {
	struct tally *tally;
	struct sinks_settings set;
	const struct ruleset *rules;
	struct ruleset_scratch *scratch;
	struct keyed *domains, *clients;
	uint64_t *sent;
	bool closing_clients;
	size_t emitted; /* octets, in this step of closing */
};

static void emit(struct sinks *s, uint64_t row, const struct ft_sink_rec *r)
{
	uint8_t *p = tally_entry_begin(s->tally, FT_REC_SINK, row, FT_SINK_ENTRY_CAP);
	const size_t n = ft_sink_write(r, p);

	s->emitted += n;
	tally_entry_end(s->tally, p + n);
}

static void emit_domain(void *ctx, const void *entry)
{
	const struct domain *d = entry;
	uint8_t wire[FT_FEW_WIRE_CAP];
	struct ft_sink_rec r = {
	    .part = FT_SINK_COUNTS,
	    .vantage = d->vantage,
	    .rule = d->rule,
	    .domain = d->domain,
	    .minute = d->minute,
	    .bytes = d->bytes,
	    .neg_ttl = d->neg_ttl,
	    .ans_ttl = d->ans_ttl,
	};

	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		r.by_class[i] = d->by_class[i];
	emit(ctx, d->head.row, &r);
	r.part = FT_SINK_CLIENTS;
	r.data = wire;
	r.data_bytes = few_write(&d->clients, wire);
	emit(ctx, d->head.row, &r);
}

static void emit_client(void *ctx, const void *entry)
{
	const struct client *c = entry;
	const struct ft_sink_rec r = {
	    .part = FT_SINK_CLIENT,
	    .vantage = c->vantage,
	    .rule = c->rule,
	    .hash = c->client,
	    .queries = c->queries,
	};

	emit(ctx, c->head.row, &r);
}

static void close_begin(void *ctx, uint64_t row)
{
	struct sinks *s = ctx;

	(void)row;
	s->closing_clients = false;
	keyed_close_begin(s->domains);
	keyed_close_begin(s->clients);
}

static bool close_step(void *ctx, uint64_t row)
{
	struct sinks *s = ctx;

	s->emitted = 0;
	for (uint32_t sets = 0; sets < STEP_SETS && s->emitted < STEP_BYTES; sets++) {
		if (!s->closing_clients)
			s->closing_clients = keyed_close(s->domains, row, 1);
		else if (keyed_close(s->clients, row, 1))
			return true;
	}
	return false;
}

struct sinks *sinks_create(struct tally *t, const struct sinks_settings *settings)
{
	struct sinks *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->tally = t;
	s->set = *settings;
	s->domains = keyed_create(settings->domains, sizeof(struct domain), emit_domain, s);
	s->clients = keyed_create(settings->clients, sizeof(struct client), emit_client, s);
	s->sent = mem_map(settings->sent * sizeof(*s->sent));
	if (s->domains == NULL || s->clients == NULL || s->sent == NULL) {
		sinks_destroy(s);
		errno = ENOMEM;
		return NULL;
	}
	tally_add_part(t, (struct tally_part){.begin = close_begin, .step = close_step, .ctx = s});
	return s;
}

void sinks_destroy(struct sinks *s)
{
	if (s == NULL)
		return;
	keyed_destroy(s->domains);
	keyed_destroy(s->clients);
	mem_unmap(s->sent, s->set.sent * sizeof(*s->sent));
	free(s);
}

void sinks_adopt(struct sinks *s, const struct ruleset *rules, struct ruleset_scratch *scratch)
{
	s->rules = rules;
	s->scratch = scratch;
}

const struct keyed_stats *sinks_stats_get(const struct sinks *s)
{
	return keyed_stats_get(s->domains);
}

/* What a transaction's parts have in common. */
struct seen {
	const struct txn *x;
	uint64_t row, domain;
	uint32_t minute;
	uint8_t vantage;
};

static uint64_t key_of(const struct sinks *s, const struct seen *of, uint32_t rule, uint64_t more)
{
	const uint64_t key =
	    hash_mix(hash_mix(of->row ^ s->set.hash_key) + ((uint64_t)rule << 8 | of->vantage)) ^
	    more;

	return hash_mix(key) | 1;
}

/* True where something was not sent in this interval, as far as is remembered. */
static bool is_new(struct sinks *s, uint64_t key)
{
	uint64_t *slot = &s->sent[key >> 8 & (s->set.sent - 1)];

	if (*slot == key)
		return false;
	*slot = key;
	return true;
}

static void send_text(struct sinks *s, const struct seen *of, uint32_t rule, uint8_t signals)
{
	const struct txn *x = of->x;
	const struct ft_sink_rec r = {
	    .part = FT_SINK_TEXT,
	    .vantage = of->vantage,
	    .rule = rule,
	    .domain = of->domain,
	    .signals = signals,
	    .data = x->name + x->verdict->domain_off,
	    .data_bytes = (size_t)x->name_len - x->verdict->domain_off,
	};

	if (is_new(s, key_of(s, of, rule, x->verdict->domain_key + 1 + signals)))
		emit(s, of->row, &r);
}

static void send_name(struct sinks *s, const struct seen *of, uint32_t rule)
{
	const uint64_t sketch = of->x->verdict->name_sketch;
	const struct ft_sink_rec r = {
	    .part = FT_SINK_NAME,
	    .vantage = of->vantage,
	    .rule = rule,
	    .domain = of->domain,
	    .hash = sketch,
	};

	if (is_new(s,
		   key_of(s, of, rule, hash_mix(of->x->verdict->name_key) + 0x9e3779b97f4a7c15ull)))
		emit(s, of->row, &r);
}

/* min(SOA.ttl, SOA.minimum), RFC 2308 section 5, and 1; 0: no SOA. */
static uint64_t negative_ttl(const struct msg *m, const struct rr *rr)
{
	for (uint32_t i = 0; i < m->rrs; i++) {
		if (rr[i].section != RR_AUTHORITY || rr[i].type != FT_QTYPE_SOA ||
		    rr[i].rdlen < SOA_FIXED_BYTES + 2)
			continue;
		const uint32_t minimum = load_u32_be(m->data + rr[i].rdata_off + rr[i].rdlen - 4);
		/* RFC 2181 section 8: what has the top bit is zero. */
		const uint32_t ttl = rr[i].ttl > INT32_MAX ? 0 : rr[i].ttl;
		const uint32_t least = minimum > INT32_MAX ? 0 : minimum;
		return (ttl < least ? ttl : least) + 1ull;
	}
	return 0;
}

/* The least TTL along the answer, or of the delegation, and 1: so long a cache may stay
 * with it. */
static uint64_t answer_ttl(const struct msg *m, const struct rr *rr, bool referral)
{
	const uint8_t section = referral ? RR_AUTHORITY : RR_ANSWER;
	uint64_t least = 0;

	for (uint32_t i = 0; i < m->rrs; i++) {
		const uint64_t ttl = (rr[i].ttl > INT32_MAX ? 0 : rr[i].ttl) + 1ull;
		if (rr[i].section != section || (referral && rr[i].type != FT_QTYPE_NS))
			continue;
		if (least == 0 || ttl < least)
			least = ttl;
	}
	return least;
}

static void count_ttls(const struct msgs *batch, const struct txn *x, struct domain *d)
{
	const struct msg *m = x->response;
	uint64_t ttl;

	if (m == NULL || !x->has_response)
		return;
	const struct rr *rr = batch->rr + m->rr_off;
	switch ((enum ft_class)x->class) {
	case FT_CLASS_NXDOMAIN:
	case FT_CLASS_NODATA:
		ttl = negative_ttl(m, rr);
		d->neg_ttl = ttl > d->neg_ttl ? ttl : d->neg_ttl;
		return;
	case FT_CLASS_DATA:
	case FT_CLASS_CNAME_ONLY:
	case FT_CLASS_REFERRAL:
		ttl = answer_ttl(m, rr, x->class == FT_CLASS_REFERRAL);
		d->ans_ttl = ttl > d->ans_ttl ? ttl : d->ans_ttl;
		return;
	default: return;
	}
}

static void count_client(struct sinks *s, const struct seen *of, uint32_t rule)
{
	bool fresh;
	struct client *c = keyed_get(
	    s->clients, key_of(s, of, rule, of->x->q.client_sketch * 0xd6e8feb86659fd93ull),
	    of->row, &fresh);

	if (fresh) {
		c->client = of->x->q.client_sketch;
		c->rule = rule;
		c->vantage = of->vantage;
	}
	if (++c->queries < UINT32_MAX)
		return;
	emit_client(s, c);
	c->queries = 0;
}

static void count_rule(struct sinks *s, const struct msgs *batch, const struct seen *of,
		       uint32_t rule)
{
	const struct txn *x = of->x;
	const enum ft_class class = x->has_response ? (enum ft_class)x->class : FT_CLASS_TIMEOUT;
	bool fresh;

	struct domain *d = keyed_get(
	    s->domains, key_of(s, of, rule, hash_mix(x->verdict->domain_key + of->minute)), of->row,
	    &fresh);
	if (fresh) {
		d->domain = of->domain;
		d->rule = rule;
		d->minute = of->minute;
		d->vantage = of->vantage;
	}
	few_add(&d->clients, x->q.client_sketch);
	if (x->has_response)
		d->bytes += x->bytes;
	count_ttls(batch, x, d);
	if (++d->by_class[class] == UINT32_MAX) {
		emit_domain(s, d);
		memset(d->by_class, 0, sizeof(d->by_class));
		d->bytes = 0;
	}
	send_text(s, of, rule, 0);
	send_name(s, of, rule);
	count_client(s, of, rule);
}

static struct seen seen_of(struct sinks *s, const struct txn *x)
{
	const uint64_t row = clock_row(s->tally->clock, x->q.t_us);
	const uint32_t off = x->verdict->domain_off;

	return (struct seen){
	    .x = x,
	    .row = row,
	    .domain = name_sketch_hash(x->name + off, x->name_len - off, s->set.sketch_seed),
	    .minute = (uint32_t)((x->q.t_us - s->tally->clock->row_lo_us) / s->set.minute_us),
	    .vantage = (uint8_t)vantage_of_txn(x),
	};
}

static void count_tagged(struct sinks *s, const struct msgs *batch, const struct txn *x)
{
	const struct verdict *v = x->verdict;
	uint32_t more[TAGS_CAP];
	const uint32_t *tag = v->tag;
	uint32_t n = v->tags;
	struct seen of = {0};

	if (n > VERDICT_TAGS) {
		n = ruleset_tags(s->rules, s->scratch, x->name, x->name_len, more, TAGS_CAP);
		n = n < TAGS_CAP ? n : TAGS_CAP;
		tag = more;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (ruleset_kind(s->rules, tag[i]) != RULE_SINKHOLE)
			continue;
		if (of.x == NULL)
			of = seen_of(s, x);
		count_rule(s, batch, &of, tag[i]);
		send_text(s, &of, tag[i], FT_SINK_NAMED);
	}
}

static void look_at_answer(struct sinks *s, const struct sinklist *list, const struct msgs *batch,
			   const struct txn *x)
{
	struct sinklist_hit hit[SINKLIST_HITS];
	const struct msg *m = x->response;
	const uint32_t n = sinklist_look(list, m, batch->rr + m->rr_off, hit);

	if (n == 0)
		return;
	const struct seen of = seen_of(s, x);
	for (uint32_t i = 0; i < n; i++)
		send_text(s, &of, hit[i].tag, hit[i].signals);
}

STAGE void sinks_step(struct sinks *s, const struct msgs *batch, const struct txn *txn, uint32_t n)
{
	const struct sinklist *list = s->rules != NULL ? ruleset_sinks(s->rules) : NULL;

	for (uint32_t i = 0; s->rules != NULL && i < n; i++) {
		const struct txn *x = &txn[i];
		if (!x->has_query || x->verdict == NULL || x->verdict->domain_off >= x->name_len)
			continue;
		if (x->verdict->tags != 0)
			count_tagged(s, batch, x);
		if (list != NULL && x->response != NULL && x->response->rrs != 0 &&
		    x->rcode == FT_RCODE_NOERROR)
			look_at_answer(s, list, batch, x);
	}
}
