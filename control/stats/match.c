/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `match`: what each rule hit, by registered domain; of blocklist queries what
 * was asked about and what the list said.
 *
 * Merges the entries of all workers by what they are about. Of an interval the
 * MATCH_BUDGET records with the lowest order are kept, whole and exact; the rest is
 * summed up in a record of kind ALL. */
#include "match_spikes.h"
#include "rows.h"
#include "stat.h"

#include "../../dataplane/few.h"
#include "../../dataplane/name_text.h"
#include "../envelope.h"
#include "../field.h"
#include "../rules.h"

#include <fluxtap/rec_match.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MATCH_BUDGET 32768u
#define BUCKETS 4096u

struct sample {
	uint64_t hash;
	char *text; /* NULL: no more */
};

struct item {
	struct item *next; /* of its bucket */
	struct ft_match_id id;
	struct ft_match_counts counts;
	struct few *names, *clients; /* NULL until one comes */
	char *domain, *zone, *subject;
	struct sample sample[FT_MATCH_SAMPLES + 1]; /* rising; the last one is for a moment */
};

struct row {
	struct stat_row head;
	struct item *bucket[BUCKETS];
	struct item *heap[MATCH_BUDGET]; /* the greatest order first */
	uint32_t n;
	bool full;                                       /* records were left out */
	uint64_t by_class[FT_VANTAGE_CAP][FT_CLASS_CAP]; /* of all, left out or not */
};

struct match {
	const struct stat_run *run;
	struct stat_row *rows;
	struct match_spikes *spikes;
};

static void *match_create(const struct stat_run *run)
{
	struct match *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->spikes = match_spikes_create(run);
	if (s->spikes == NULL) {
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

static void item_free(struct item *it)
{
	for (unsigned i = 0; i < FT_MATCH_SAMPLES; i++)
		free(it->sample[i].text);
	free(it->names);
	free(it->clients);
	free(it->domain);
	free(it->zone);
	free(it->subject);
	free(it);
}

static void row_free(struct row *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		item_free(r->heap[i]);
	free(r);
}

static void match_destroy(void *stat)
{
	struct match *s = stat;

	if (s == NULL)
		return;
	while (s->rows != NULL)
		row_free(rows_pop(&s->rows));
	match_spikes_destroy(s->spikes);
	free(s);
}

/* --- the records of a row: a hash table, and a heap that knows which goes next --- */

static bool same(const struct ft_match_id *a, const struct ft_match_id *b)
{
	return a->rule == b->rule && a->domain_key == b->domain_key &&
	       a->subject_key == b->subject_key && a->vantage == b->vantage && a->form == b->form &&
	       a->result == b->result;
}

static struct item **bucket_of(struct row *r, const struct ft_match_id *id)
{
	/* The keys are hashes with this run's secret. */
	const uint64_t h = (id->domain_key ^ id->subject_key) + id->rule * 0x9e3779b97f4a7c15ull;

	return &r->bucket[(h ^ h >> 32) % BUCKETS];
}

static bool goes_before(const struct item *a, const struct item *b)
{
	return a->id.order != b->id.order ? a->id.order > b->id.order
					  : a->id.domain_key > b->id.domain_key;
}

static void heap_up(struct row *r, uint32_t at)
{
	struct item *it = r->heap[at];

	for (; at != 0 && goes_before(it, r->heap[(at - 1) / 2]); at = (at - 1) / 2)
		r->heap[at] = r->heap[(at - 1) / 2];
	r->heap[at] = it;
}

static void heap_down(struct row *r, uint32_t at)
{
	struct item *it = r->heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child + 1 < r->n && goes_before(r->heap[child + 1], r->heap[child]))
			child++;
		if (child >= r->n || !goes_before(r->heap[child], it))
			break;
		r->heap[at] = r->heap[child];
		at = child;
	}
	r->heap[at] = it;
}

/* A record that has gone never comes back: only lower ones have stayed since. */
static void drop_greatest(struct row *r)
{
	struct item *it = r->heap[0];
	struct item **at = bucket_of(r, &it->id);

	while (*at != it)
		at = &(*at)->next;
	*at = it->next;
	r->heap[0] = r->heap[--r->n];
	if (r->n != 0)
		heap_down(r, 0);
	item_free(it);
}

/* 0 and *out; *out is NULL where the record is left out. -ENOMEM. */
static int item_get(struct row *r, const struct ft_match_id *id, struct item **out)
{
	struct item **bucket = bucket_of(r, id);
	const struct item asked = {.id = *id};

	for (*out = *bucket; *out != NULL && !same(&(*out)->id, id);)
		*out = (*out)->next;
	if (*out != NULL)
		return 0;
	if (r->n == MATCH_BUDGET) {
		r->full = true;
		if (goes_before(&asked, r->heap[0]))
			return 0;
		drop_greatest(r);
	}
	struct item *it = calloc(1, sizeof(*it));
	if (it == NULL)
		return -ENOMEM;
	it->id = *id;
	it->next = *bucket;
	*bucket = it;
	r->heap[r->n++] = it;
	heap_up(r, r->n - 1);
	*out = it;
	return 0;
}

/* --- merging --- */

static void add_counts(struct row *r, struct item *it, const struct ft_match_entry *e)
{
	const struct ft_match_counts *c = &e->counts;

	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		r->by_class[e->id.vantage][i] += c->by_class[i];
	if (it == NULL)
		return;
	for (unsigned i = 0; i < FT_CLASS_CAP; i++)
		it->counts.by_class[i] += c->by_class[i];
	if (it->counts.first_us == 0 || c->first_us < it->counts.first_us)
		it->counts.first_us = c->first_us;
	if (c->last_us > it->counts.last_us)
		it->counts.last_us = c->last_us;
	for (unsigned i = 0; i < FT_MATCH_CODES; i++) {
		uint32_t code = c->code[i];
		for (unsigned k = 0; k < FT_MATCH_CODES && code != 0; k++) {
			const uint32_t there = it->counts.code[k];
			if (there == code)
				break;
			if (there != 0 && there < code)
				continue;
			it->counts.code[k] = code;
			code = there;
		}
	}
}

static int add_distinct(struct few **f, const struct ft_match_entry *e)
{
	if (*f == NULL)
		*f = calloc(1, sizeof(**f));
	if (*f == NULL)
		return -ENOMEM;
	return few_merge(*f, e->data, e->bytes) ? 0 : -EBADMSG;
}

static char *text_of(const uint8_t *name, size_t len)
{
	char text[NAME_TEXT_CAP];

	(void)name_text(name, (uint32_t)len, text, true);
	return strdup(text);
}

/* The texts that all names of the record share. */
static int add_shared(struct item *it, const struct ft_match_entry *e)
{
	const struct ft_match_text *t = &e->text;

	if (it->domain == NULL)
		it->domain = text_of(e->data + t->domain_off, t->name_len - (size_t)t->domain_off);
	if (it->zone == NULL)
		it->zone = text_of(e->data + t->zone_off, t->name_len - (size_t)t->zone_off);
	if (it->subject == NULL)
		it->subject = strndup((const char *)e->data + t->name_len, t->subject_len);
	return it->domain != NULL && it->zone != NULL && it->subject != NULL ? 0 : -ENOMEM;
}

static int add_text(struct item *it, const struct ft_match_entry *e)
{
	const uint64_t hash = e->text.name_sketch;
	unsigned at = 0;

	if (add_shared(it, e) != 0)
		return -ENOMEM;
	while (at < FT_MATCH_SAMPLES && it->sample[at].text != NULL && it->sample[at].hash < hash)
		at++;
	if (at == FT_MATCH_SAMPLES || (it->sample[at].text != NULL && it->sample[at].hash == hash))
		return 0;
	char *text = text_of(e->data, e->text.name_len);
	if (text == NULL)
		return -ENOMEM;
	memmove(&it->sample[at + 1], &it->sample[at],
		(FT_MATCH_SAMPLES - at) * sizeof(*it->sample));
	it->sample[at] = (struct sample){hash, text};
	free(it->sample[FT_MATCH_SAMPLES].text);
	it->sample[FT_MATCH_SAMPLES] = (struct sample){0};
	return 0;
}

static int add_entry(struct row *r, const struct ft_match_entry *e)
{
	struct item *it;
	const int result = item_get(r, &e->id, &it);

	if (result != 0)
		return result;
	switch ((enum ft_match_part)e->id.part) {
	case FT_MATCH_COUNTS: add_counts(r, it, e); return 0;
	case FT_MATCH_NAMES: return it != NULL ? add_distinct(&it->names, e) : 0;
	case FT_MATCH_CLIENTS: return it != NULL ? add_distinct(&it->clients, e) : 0;
	case FT_MATCH_TEXT: return it != NULL ? add_text(it, e) : 0;
	case FT_MATCH_PART_CAP: break;
	}
	return -EBADMSG;
}

static int match_record(void *stat, const struct stat_record *rec)
{
	struct match *s = stat;
	struct ft_match_entry e;
	size_t at = 0;
	int more;

	if (rec->hdr->type != FT_REC_MATCH && rec->hdr->type != FT_REC_MATCH_TEXT)
		return 0;
	struct row *r = rows_get(&s->rows, rec->hdr->row, sizeof(struct row));
	if (r == NULL)
		return -ENOMEM;
	while ((more = ft_match_next(rec->body, rec->bytes, &at, &e)) > 0) {
		const int result = add_entry(r, &e);
		if (result != 0)
			return result;
	}
	return more == 0 ? 0 : -EBADMSG;
}

static uint64_t match_first_row(const void *stat)
{
	const struct match *s = stat;

	return rows_first(s->rows);
}

/* --- writing --- */

static uint64_t put_classes(json_t *o, const uint64_t *by_class)
{
	json_t *classes = json_object();
	uint64_t sum = 0;

	for (unsigned i = 0; i < FT_CLASS_CAP; i++) {
		sum += by_class[i];
		if (by_class[i] != 0)
			field_count(classes, ft_class_texts[i], by_class[i]);
	}
	field_count(o, "queries", sum);
	json_object_set_new(o, "by_class", classes);
	return sum;
}

/* Of two texts of which one may not have come. */
static int order_texts(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "");
}

static int order_items(const void *left, const void *right)
{
	const struct item *a = *(struct item *const *)left, *b = *(struct item *const *)right;
	int r = (a->id.vantage > b->id.vantage) - (a->id.vantage < b->id.vantage);

	if (r == 0)
		r = (a->id.rule > b->id.rule) - (a->id.rule < b->id.rule);
	if (r == 0)
		r = order_texts(a->domain, b->domain);
	if (r == 0)
		r = (a->id.form > b->id.form) - (a->id.form < b->id.form);
	if (r == 0)
		r = order_texts(a->subject, b->subject);
	if (r == 0)
		r = order_texts(a->zone, b->zone);
	return r != 0 ? r : (a->id.result > b->id.result) - (a->id.result < b->id.result);
}

/* A text that has not come (its block was lost) is null. */
static void set_text(json_t *o, const char *key, const char *text)
{
	json_object_set_new(o, key, text != NULL ? json_string(text) : json_null());
}

static void put_rule(json_t *o, const struct rule_info *info, uint32_t number)
{
	static const char *const kinds[RULE_KIND_CAP] = {"exact", "suffix", "regex", "dnsbl",
							 "shape"};
	char text[16];

	(void)snprintf(text, sizeof(text), "#%u", number);
	json_object_set_new(o, "rule", json_string(info != NULL ? info->id : text));
	set_text(o, "kind", info != NULL ? kinds[info->kind] : NULL);
	set_text(o, "family", info != NULL ? info->family : NULL);
	json_object_set_new(o, "severity",
			    info != NULL && info->severity >= 0 ? json_integer(info->severity)
								: json_null());
}

static void put_dnsbl(json_t *o, const struct item *it)
{
	static const char *const forms[FT_DNSBL_FORMS] = {"IP4", "IP6", "DOMAIN", "HASH"};
#define X(n) #n,
	static const char *const results[] = {FT_DNSBL_RESULTS(X)};
#undef X
	json_t *codes = json_array();
	char text[16];

	set_text(o, "zone", it->zone);
	json_object_set_new(o, "form", json_string(forms[it->id.form]));
	set_text(o, "subject", it->subject);
	json_object_set_new(o, "result", json_string(results[it->id.result]));
	for (unsigned i = 0; i < FT_MATCH_CODES && it->counts.code[i] != 0; i++) {
		const uint32_t a = it->counts.code[i];
		(void)snprintf(text, sizeof(text), "%u.%u.%u.%u", a >> 24, a >> 16 & 255,
			       a >> 8 & 255, a & 255);
		json_array_append_new(codes, json_string(text));
	}
	json_object_set_new(o, "codes", codes);
}

static void put_samples(json_t *o, const struct item *it)
{
	json_t *names = json_array();

	for (unsigned i = 0; i < FT_MATCH_SAMPLES && it->sample[i].text != NULL; i++)
		json_array_append_new(names, json_string(it->sample[i].text));
	json_object_set_new(o, "sample_names", names);
}

static json_t *begin(const struct match *s, const struct stat_interval *in, unsigned vantage)
{
	return envelope_create("match", s->run->probe, ft_vantage_texts[vantage], in->start_s,
			       in->end_s, 1, in->loss_ppm);
}

/* Returns the queries it speaks for. */
static uint64_t write_item(const struct match *s, const struct stat_interval *in,
			   const struct item *it)
{
	const struct rule_info *info =
	    s->run->rules != NULL ? rules_info(s->run->rules, it->id.rule) : NULL;
	json_t *o = begin(s, in, it->id.vantage);

	put_rule(o, info, it->id.rule);
	json_object_set_new(o, "domain",
			    it->domain != NULL ? json_string(it->domain) : json_null());
	field_count(o, "names", it->names != NULL ? few_count(it->names) : 0);
	const uint64_t queries = put_classes(o, it->counts.by_class);
	field_count(o, "clients", it->clients != NULL ? few_count(it->clients) : 0);
	field_count(o, "first_us", it->counts.first_us);
	field_count(o, "last_us", it->counts.last_us);
	put_samples(o, it);
	if (it->id.subject_key != 0)
		put_dnsbl(o, it);
	if (it->id.subject_key != 0 && it->zone != NULL && it->subject != NULL && info != NULL)
		match_spikes_add(s->spikes,
				 &(struct match_spikes_item){it->id.vantage, info->id, it->zone,
							     it->subject, queries});
	s->run->write(s->run->ctx, "match", in->start_s, o);
	return queries;
}

/* What the budget left out; `kept` are the queries of the records above. */
static void write_rest(const struct match *s, const struct stat_interval *in, const struct row *r,
		       const uint64_t *kept)
{
	for (unsigned v = 0; v < FT_VANTAGE_CAP && r->full; v++) {
		uint64_t sum = 0;
		for (unsigned i = 0; i < FT_CLASS_CAP; i++)
			sum += r->by_class[v][i];
		if (sum == kept[v])
			continue;
		json_t *o = begin(s, in, v);
		json_object_set_new(o, "kind", json_string("ALL"));
		(void)put_classes(o, r->by_class[v]);
		field_count(o, "left_out_queries", sum - kept[v]);
		s->run->write(s->run->ctx, "match", in->start_s, o);
	}
}

static void match_close(void *stat, struct stat_interval *in)
{
	struct match *s = stat;
	struct row *r = (struct row *)s->rows;
	uint64_t kept[FT_VANTAGE_CAP] = {0};

	if (!rows_is_first(s->rows, in->row))
		return;
	qsort(r->heap, r->n, sizeof(*r->heap), order_items);
	for (uint32_t i = 0; i < r->n; i++) {
		/* Its counts were in a block that the ring had no room for. */
		if (r->heap[i]->counts.first_us != 0)
			kept[r->heap[i]->id.vantage] += write_item(s, in, r->heap[i]);
	}
	match_spikes_close(s->spikes, in);
	write_rest(s, in, r, kept);
	row_free(rows_pop(&s->rows));
}

static int match_save(const void *stat, state_write_fn *write, void *ctx)
{
	return match_spikes_save(((const struct match *)stat)->spikes, write, ctx);
}

static int match_load(void *stat, state_read_fn *read, void *ctx)
{
	return match_spikes_load(((struct match *)stat)->spikes, read, ctx);
}

const struct stat_ops stat_match = {
    .set = "match",
    .create = match_create,
    .record = match_record,
    .first_row = match_first_row,
    .close = match_close,
    .destroy = match_destroy,
    .state = "match_spikes",
    .save = match_save,
    .load = match_load,
};
