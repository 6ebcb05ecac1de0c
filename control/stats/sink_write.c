/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of set `sinkhole`: one of each domain of a group, and one of the group. */
#include "../base64.h"
#include "../envelope.h"
#include "../field.h"
#include "../rules.h"
#include "sink_stat.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S 86400u

/* Six digits; null where it is not known. */
static json_t *number(double x)
{
	char text[32];

	if (!isfinite(x))
		return json_null();
	(void)snprintf(text, sizeof(text), "%.6g", x);
	return json_real(strtod(text, NULL));
}

static void set_number(json_t *o, const char *key, double x)
{
	json_object_set_new(o, key, number(x));
}

/* TTLs stand with one added; 0: none. */
static void set_ttl(json_t *o, const char *key, uint64_t ttl)
{
	json_object_set_new(o, key, ttl != 0 ? json_integer((json_int_t)ttl - 1) : json_null());
}

static void set_class(json_t *o, const char *key, uint8_t class)
{
	json_object_set_new(
	    o, key, class < FT_CLASS_CAP ? json_string(ft_class_texts[class]) : json_null());
}

static void put_names(const struct sinkhole *s, json_t *o, const struct sink_line *l)
{
	const struct rule_info *info =
	    s->run->rules != NULL ? rules_info(s->run->rules, l->key.rule) : NULL;
	char group[16];

	(void)snprintf(group, sizeof(group), "#%u", l->key.rule);
	json_object_set_new(
	    o, "group", json_string(info != NULL ? info->id + strlen(SINKHOLE_ID_PREFIX) : group));
	if (l->text != NULL)
		field_name(o, "name", l->text, l->text_bytes);
	else
		json_object_set_new(o, "name", json_string("ALL"));
}

static void put_rates(json_t *o, const struct sink_line *l, double seconds)
{
	const double qps = (l->level != 0 ? l->est_queries : (double)l->queries) / seconds;
	json_t *classes = json_object();

	field_count(o, "queries", l->queries);
	if (l->level != 0) {
		set_number(o, "est_queries", l->est_queries);
		set_number(o, "se_queries", l->se_queries);
	}
	set_number(o, "qps", qps);
	field_count(o, "names", l->names);
	field_count(o, "domains", l->domains);
	field_count(o, "clients", l->clients);
	set_number(o, "qps_per_name", l->names != 0 ? qps / (double)l->names : NAN);
	set_number(o, "qps_per_domain", l->domains != 0 ? qps / (double)l->domains : NAN);
	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		if (l->total[i] != 0)
			field_count(classes, ft_class_texts[i], l->total[i]);
	json_object_set_new(o, "by_class", classes);
	set_ttl(o, "neg_ttl", l->neg_ttl);
	set_ttl(o, "ans_ttl", l->ans_ttl);
	field_count(o, "response_bytes", l->bytes);
}

static void put_switch(const struct sinkhole *s, json_t *o, const struct sink_line *l)
{
	const struct sink_past *p = l->item != NULL ? &l->item->past : NULL;
	const bool has = p != NULL && p->switch_us != 0;
	const double before = has ? p->before : NAN;
	const double after = !has              ? NAN
			     : l->text != NULL ? sink_past_after(p, &s->table.clock)
					       : p->after;

	json_object_set_new(o, "switch_us",
			    has ? json_integer((json_int_t)p->switch_us) : json_null());
	set_class(o, "from_class", has ? p->from_class : SINK_NONE);
	set_class(o, "to_class", has ? p->to_class : SINK_NONE);
	set_number(o, "before", before);
	set_number(o, "after", after);
	set_number(o, "ratio", after > 0 ? before / after : NAN);
}

static void put_multipliers(json_t *o, const struct sink_line *l)
{
	static const char *const basis[] = {"minute", "hour_of_week"};
	json_t *all = json_object();
	struct sink_multiplier m;
	unsigned used = 0; /* bits: which of both */

	for (unsigned c = 0; l->item != NULL && c < SINK_CLASS_CAP; c++) {
		if (!sink_past_multiplier(&l->item->past, (enum sink_class)c, &m))
			continue;
		used |= 1u << m.hourly;
		json_object_set_new(all, ft_class_texts[sink_class_as[c]],
				    json_pack("{s:o, s:o, s:o, s:I, s:s}", "est", number(m.est),
					      "lo", number(m.lo), "hi", number(m.hi), "n",
					      (json_int_t)m.n, "basis", basis[m.hourly]));
	}
	json_object_set_new(o, "multipliers", all);
	json_object_set_new(o, "basis",
			    used == 0   ? json_null()
			    : used == 3 ? json_string("mixed")
					: json_string(basis[used >> 1]));
}

static void put_signals(json_t *o, const struct sink_line *l)
{
	static const char *const texts[] = {"IP", "NS", "CNAME", "NAME", "NXDOMAIN"};
	json_t *list = json_array();

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if ((l->signals >> i & 1) != 0)
			json_array_append_new(list, json_string(texts[i]));
	if (l->text == NULL)
		json_object_set_new(o, "class", json_null());
	else
		json_object_set_new(
		    o, "class",
		    json_string(json_array_size(list) >= 2 ? "SINKHOLED" : "SINKHOLE_MAYBE"));
	json_object_set_new(o, "signals", list);
}

static void put_sketch(json_t *o, const char *key, const struct hashes *h)
{
	uint8_t regs[FT_DISTINCT_REGS];
	char text[BASE64_CAP(FT_DISTINCT_REGS)];

	hashes_regs(h, regs);
	base64_write(regs, sizeof(regs), text);
	json_object_set_new(o, key, json_pack("{s:i,s:s}", "p", FT_DISTINCT_P, "regs", text));
}

static void put_group(const struct sinkhole *s, json_t *o, const struct sink_line *l)
{
	const bool known = l->group != NULL && l->top_client != 0 && l->queries != 0;

	set_number(o, "top_client_share", known ? (double)l->top_client / (double)l->queries : NAN);
	field_count(o, "left_out_queries", l->left_out);
	field_count(o, "without_past", s->table.refused);
	if (l->group == NULL) {
		json_object_set_new(o, "hll", json_null());
		return;
	}
	json_t *hll = json_object();
	put_sketch(hll, "clients", &l->group->clients);
	put_sketch(hll, "names", &l->group->names);
	json_object_set_new(o, "hll", hll);
}

void sink_write(const struct sinkhole *s, const struct stat_interval *in, const struct sink_line *l)
{
	json_t *o = envelope_create("sinkhole", s->run->probe, ft_vantage_texts[l->key.vantage],
				    in->start_s, in->end_s, ldexp(1, -(int)l->level), in->loss_ppm);
	const uint64_t gap_s = state_gap_of(s->run->gap, in->start_s / DAY_S);

	put_names(s, o, l);
	put_rates(o, l, (double)(in->end_s - in->start_s));
	put_switch(s, o, l);
	put_multipliers(o, l);
	put_signals(o, l);
	if (l->text == NULL)
		put_group(s, o, l);
	else
		json_object_set_new(o, "found", json_string(l->automatic ? "answer" : "name"));
	if (gap_s != 0)
		field_count(o, "gap_s", gap_s);
	s->run->write(s->run->ctx, "sinkhole", in->start_s, o);
}
