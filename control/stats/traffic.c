/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `traffic`: totals, mixes, per-second series, response times and distinct
 * counts of each interval and vantage point. Sees every packet, never sampled. */
#include "rows.h"
#include "stat.h"

#include "../../dataplane/sketch.h"
#include "../base64.h"
#include "../envelope.h"
#include "../field.h"

#include <fluxtap/dns.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SPARSE_RCODES 4096u /* 12 bits, RFC 6891 6.1.3 */
#define SPARSE_QTYPES 65536u

struct view {
	bool used;
	uint64_t dense[FT_TRAFFIC_DENSE_CAP];
	uint64_t rtt[DD_BINS];
	struct distinct distinct[FT_DISTINCT_CAP];
	uint64_t *sparse_rcode, *sparse_qtype; /* NULL until one comes */
	uint32_t *series;                      /* [interval_s][FT_QGROUP_CAP] */
};

struct row {
	struct stat_row head;
	struct view view[FT_VANTAGE_CAP];
};

struct traffic {
	const struct stat_run *run;
	struct stat_row *rows;
	uint64_t rtt[DD_BINS];
	struct traffic_sums sums;
};

static void *traffic_create(const struct stat_run *run)
{
	struct traffic *s = calloc(1, sizeof(*s));

	if (s != NULL) {
		s->run = run;
		s->sums.rtt = s->rtt;
		dd_init();
	}
	return s;
}

static void row_free(struct row *r)
{
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		free(r->view[v].sparse_rcode);
		free(r->view[v].sparse_qtype);
		free(r->view[v].series);
	}
	free(r);
}

static void traffic_destroy(void *stat)
{
	struct traffic *s = stat;

	while (s != NULL && s->rows != NULL)
		row_free(rows_pop(&s->rows));
	free(s);
}

static int add_sparse(uint64_t **table, uint32_t cap, uint32_t id, uint64_t value)
{
	if (id >= cap)
		return -EBADMSG;
	if (*table == NULL)
		*table = calloc(cap, sizeof(**table));
	if (*table == NULL)
		return -ENOMEM;
	(*table)[id] += value;
	return 0;
}

static int add_counters(struct view *v, const struct stat_record *rec)
{
	const struct ft_pair64 *p = rec->body;

	for (size_t i = 0; i < rec->bytes / sizeof(*p); i++) {
		int r = 0;
		if (p[i].id == FT_TRAFFIC_RTT_MAX) {
			if (p[i].value > v->dense[p[i].id])
				v->dense[p[i].id] = p[i].value;
		} else if (p[i].id < FT_TRAFFIC_DENSE_CAP) {
			v->dense[p[i].id] += p[i].value;
		} else if (p[i].id >= FT_TRAFFIC_SPARSE_QTYPE) {
			r = add_sparse(&v->sparse_qtype, SPARSE_QTYPES,
				       p[i].id - FT_TRAFFIC_SPARSE_QTYPE, p[i].value);
		} else if (p[i].id >= FT_TRAFFIC_SPARSE_RCODE) {
			r = add_sparse(&v->sparse_rcode, SPARSE_RCODES,
				       p[i].id - FT_TRAFFIC_SPARSE_RCODE, p[i].value);
		} else {
			r = -EBADMSG;
		}
		if (r != 0)
			return r;
	}
	return 0;
}

static int add_rtt(struct view *v, const struct stat_record *rec)
{
	const struct ft_pair64 *p = rec->body;

	for (size_t i = 0; i < rec->bytes / sizeof(*p); i++) {
		if (p[i].id >= DD_BINS)
			return -EBADMSG;
		v->rtt[p[i].id] += p[i].value;
	}
	return 0;
}

static int add_series(const struct traffic *s, struct view *v, const struct stat_record *rec)
{
	const struct ft_series *b = rec->body;

	if (rec->bytes < sizeof(*b) || b->second >= s->run->interval_s)
		return -EBADMSG;
	if (v->series == NULL)
		v->series = calloc(s->run->interval_s, FT_QGROUP_CAP * sizeof(*v->series));
	if (v->series == NULL)
		return -ENOMEM;
	for (unsigned g = 0; g < FT_QGROUP_CAP; g++)
		v->series[b->second * FT_QGROUP_CAP + g] += b->count[g];
	return 0;
}

static int add_distinct(struct view *v, const struct stat_record *rec)
{
	const uint64_t *hash = rec->body;

	if (rec->hdr->which >= FT_DISTINCT_CAP)
		return -EBADMSG;
	struct distinct *d = &v->distinct[rec->hdr->which];
	if (rec->hdr->type == FT_REC_DISTINCT_REGS) {
		if (rec->bytes != FT_DISTINCT_REGS)
			return -EBADMSG;
		distinct_merge_regs(d, rec->body);
		return 0;
	}
	for (size_t i = 0; i < rec->bytes / sizeof(*hash); i++)
		distinct_add(d, hash[i]);
	return 0;
}

static int traffic_record(void *stat, const struct stat_record *rec)
{
	struct traffic *s = stat;

	if (rec->hdr->type < FT_REC_TRAFFIC || rec->hdr->type > FT_REC_DISTINCT_REGS)
		return 0;
	if (rec->hdr->vantage >= FT_VANTAGE_CAP)
		return -EBADMSG;
	struct row *r = rows_get(&s->rows, rec->hdr->row, sizeof(struct row));
	if (r == NULL)
		return -ENOMEM;
	struct view *v = &r->view[rec->hdr->vantage];
	v->used = true;
	switch ((enum ft_rec_type)rec->hdr->type) {
	case FT_REC_TRAFFIC: return add_counters(v, rec);
	case FT_REC_RTT: return add_rtt(v, rec);
	case FT_REC_SERIES: return add_series(s, v, rec);
	case FT_REC_DISTINCT_LIST:
	case FT_REC_DISTINCT_REGS: return add_distinct(v, rec);
	default: return 0;
	}
}

static uint64_t traffic_first_row(const void *stat)
{
	const struct traffic *s = stat;

	return rows_first(s->rows);
}

/* An object of those counters from `base` on that are not zero. */
static json_t *mix(const struct view *v, unsigned base, unsigned cap, const char *const *texts)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < cap; i++)
		if (v->dense[base + i] != 0)
			field_count(o, texts[i], v->dense[base + i]);
	return o;
}

static json_t *mix_qtype(const struct view *v)
{
	json_t *o = json_object();
	char text[16];

	for (uint32_t i = 0; i < FT_TRAFFIC_QTYPE_DENSE; i++)
		if (v->dense[FT_TRAFFIC_QTYPE + i] != 0)
			field_count(o, ft_qtype_text((uint16_t)i, text, sizeof(text)),
				    v->dense[FT_TRAFFIC_QTYPE + i]);
	for (uint32_t i = 0; v->sparse_qtype != NULL && i < SPARSE_QTYPES; i++)
		if (v->sparse_qtype[i] != 0)
			field_count(o, ft_qtype_text((uint16_t)i, text, sizeof(text)),
				    v->sparse_qtype[i]);
	return o;
}

static json_t *mix_rcode(const struct view *v)
{
	json_t *o = json_object();
	char text[16];

	for (uint32_t i = 0; i < FT_TRAFFIC_RCODE_DENSE; i++)
		if (v->dense[FT_TRAFFIC_RCODE + i] != 0)
			field_count(o, ft_rcode_text((uint16_t)i, text, sizeof(text)),
				    v->dense[FT_TRAFFIC_RCODE + i]);
	for (uint32_t i = 0; v->sparse_rcode != NULL && i < SPARSE_RCODES; i++)
		if (v->sparse_rcode[i] != 0)
			field_count(o, ft_rcode_text((uint16_t)i, text, sizeof(text)),
				    v->sparse_rcode[i]);
	return o;
}

static json_t *mix_opcode(const struct view *v)
{
	json_t *o = json_object();
	char text[16];

	for (uint8_t i = 0; i < 16; i++)
		if (v->dense[FT_TRAFFIC_OPCODE + i] != 0)
			field_count(o, ft_opcode_text(i, text, sizeof(text)),
				    v->dense[FT_TRAFFIC_OPCODE + i]);
	return o;
}

static json_t *rtt(const struct view *v)
{
	static const struct {
		const char *key;
		double q;
	} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
	const uint64_t count = v->dense[FT_TRAFFIC_PAIRS], max = v->dense[FT_TRAFFIC_RTT_MAX];
	json_t *o = json_object(), *bins = json_array();

	field_count(o, "count", count);
	for (unsigned i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++) {
		const uint64_t us = (uint64_t)llround(dd_quantile(v->rtt, count, quantiles[i].q));
		json_object_set_new(o, quantiles[i].key,
				    count != 0 ? json_integer((json_int_t)(us < max ? us : max))
					       : json_null());
	}
	json_object_set_new(o, "max", count != 0 ? json_integer((json_int_t)max) : json_null());
	json_object_set_new(o, "alpha", json_real(DD_ALPHA));
	for (uint32_t i = 0; i < DD_BINS; i++)
		if (v->rtt[i] != 0)
			json_array_append_new(
			    bins, json_pack("[I,I]", (json_int_t)i, (json_int_t)v->rtt[i]));
	json_object_set_new(o, "bins", bins);
	return o;
}

static json_t *series(const struct traffic *s, const struct view *v)
{
	json_t *o = json_object();

	for (unsigned g = 0; v->series != NULL && g < FT_QGROUP_CAP; g++) {
		uint64_t sum = 0;
		for (uint32_t t = 0; t < s->run->interval_s; t++)
			sum += v->series[t * FT_QGROUP_CAP + g];
		if (sum == 0)
			continue;
		json_t *a = json_array();
		for (uint32_t t = 0; t < s->run->interval_s; t++)
			json_array_append_new(a, json_integer(v->series[t * FT_QGROUP_CAP + g]));
		json_object_set_new(o, ft_qgroup_texts[g], a);
	}
	return o;
}

static json_t *hll(const struct view *v)
{
	static const char *const keys[FT_DISTINCT_CAP] = {"clients", "names"};
	uint8_t regs[FT_DISTINCT_REGS];
	char text[BASE64_CAP(FT_DISTINCT_REGS)];
	json_t *o = json_object();

	for (unsigned i = 0; i < FT_DISTINCT_CAP; i++) {
		distinct_regs(&v->distinct[i], regs);
		base64_write(regs, sizeof(regs), text);
		json_object_set_new(o, keys[i],
				    json_pack("{s:i,s:s}", "p", FT_DISTINCT_P, "regs", text));
	}
	return o;
}

static void write_view(const struct traffic *s, const struct stat_interval *in, unsigned vantage,
		       const struct view *v)
{
	json_t *o = envelope_create("traffic", s->run->probe, ft_vantage_texts[vantage],
				    in->start_s, in->end_s, 1, in->loss_ppm);

	field_count(o, "queries", v->dense[FT_TRAFFIC_QUERIES]);
	field_count(o, "responses", v->dense[FT_TRAFFIC_RESPONSES]);
	field_count(o, "pairs", v->dense[FT_TRAFFIC_PAIRS]);
	field_count(o, "unanswered", v->dense[FT_TRAFFIC_UNANSWERED]);
	field_count(o, "unsolicited", v->dense[FT_TRAFFIC_UNSOLICITED]);
	field_count(o, "malformed", v->dense[FT_TRAFFIC_MALFORMED]);
	json_object_set_new(o, "by_qtype", mix_qtype(v));
	json_object_set_new(o, "by_rcode", mix_rcode(v));
	json_object_set_new(o, "by_class", mix(v, FT_TRAFFIC_CLASS, FT_CLASS_CAP, ft_class_texts));
	json_object_set_new(o, "by_opcode", mix_opcode(v));
	json_object_set_new(o, "by_transport",
			    mix(v, FT_TRAFFIC_TRANSPORT, FT_TRANSPORT_CAP, ft_transport_texts));
	json_object_set_new(o, "edns", mix(v, FT_TRAFFIC_EDNS, FT_EDNS_CAP, ft_edns_texts));
	field_count(o, "query_bytes", v->dense[FT_TRAFFIC_QUERY_BYTES]);
	field_count(o, "response_bytes", v->dense[FT_TRAFFIC_RESPONSE_BYTES]);
	field_count(o, "clients", distinct_count(&v->distinct[FT_DISTINCT_CLIENTS]));
	field_count(o, "names", distinct_count(&v->distinct[FT_DISTINCT_NAMES]));
	json_object_set_new(o, "rtt_us", rtt(v));
	json_object_set_new(o, "series", series(s, v));
	json_object_set_new(o, "hll", hll(v));
	s->run->write(s->run->ctx, "traffic", in->start_s, o);
}

static void add_sums(struct traffic *s, const struct view *v)
{
	for (unsigned i = 0; i < FT_TRAFFIC_DENSE_CAP; i++) {
		if (i != FT_TRAFFIC_RTT_MAX)
			s->sums.dense[i] += v->dense[i];
		else if (v->dense[i] > s->sums.dense[i])
			s->sums.dense[i] = v->dense[i];
	}
	for (unsigned i = 0; i < DD_BINS; i++)
		s->rtt[i] += v->rtt[i];
}

static void traffic_close(void *stat, struct stat_interval *in)
{
	struct traffic *s = stat;
	struct row *r = (struct row *)s->rows;

	if (!rows_is_first(s->rows, in->row))
		return;
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		if (!r->view[v].used)
			continue;
		write_view(s, in, v, &r->view[v]);
		add_sums(s, &r->view[v]);
	}
	row_free(rows_pop(&s->rows));
}

const struct traffic_sums *traffic_sums_get(const void *stat)
{
	return &((const struct traffic *)stat)->sums;
}

const struct stat_ops stat_traffic = {
    .set = "traffic",
    .create = traffic_create,
    .record = traffic_record,
    .first_row = traffic_first_row,
    .close = traffic_close,
    .destroy = traffic_destroy,
};
