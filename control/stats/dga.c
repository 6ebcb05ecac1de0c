/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `dga`: clients that ask for generated names, by a sequential test over the
 * registered domains that do not exist, and clusters of such names by shape and suffix.
 *
 * Names come as records of their own, who asked for them stands in the diaries of the
 * merged table of clients. No name by itself is ever an alarm. */
#include "dga_clusters.h"
#include "dga_suspects.h"
#include "rows.h"
#include "stat.h"
#include "tables.h"

#include "../../dataplane/name_text.h"
#include "../envelope.h"
#include "../rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DAY_S 86400u
#define CLUSTER_NAMES 2u   /* a single name is no cluster */
#define CLUSTER_ROWS 1000u /* records of a day and vantage */
#define FAMILIES_SHOWN 16u

struct names_row {
	struct stat_row head;
	struct dga_names *names;
};

struct dga {
	const struct stat_run *run;
	struct stat_row *rows;
	struct dga_params params;
	struct suspects *suspects;
	struct clusters *clusters;
	struct diary_sum scratch;
	/* Hashes of the names of shapes, by bit; the rules' own may change while a snapshot
	 * is written. */
	uint64_t family[64];
	uint64_t day, end_s, loss_ppm; /* of what the clusters hold; end_s 0: nothing */
};

static void row_free(struct names_row *r)
{
	if (r != NULL)
		dga_names_destroy(r->names);
	free(r);
}

static void dga_destroy(void *stat)
{
	struct dga *s = stat;

	if (s == NULL)
		return;
	while (s->rows != NULL)
		row_free(rows_pop(&s->rows));
	suspects_destroy(s->suspects);
	clusters_destroy(s->clusters);
	diary_sum_fini(&s->scratch);
	free(s);
}

static void hash_families(struct dga *s)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		const char *name = s->run->rules != NULL ? rules_family(s->run->rules, bit) : NULL;
		s->family[bit] = name != NULL ? XXH3_64bits(name, strlen(name)) : 0;
	}
}

static void *dga_create(const struct stat_run *run)
{
	struct dga *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->params = dga_params_of(run->dga_p0 > 0 ? run->dga_p0 : DGA_P0);
	s->suspects = suspects_create();
	s->clusters = clusters_create();
	if (s->suspects != NULL && s->clusters != NULL)
		return s;
	dga_destroy(s);
	return NULL;
}

static int dga_record(void *stat, const struct stat_record *rec)
{
	struct dga *s = stat;

	if (rec->hdr->type != FT_REC_DGA_NAME)
		return 0;
	struct names_row *r = rows_get(&s->rows, rec->hdr->row, sizeof(*r));
	if (r != NULL && r->names == NULL)
		r->names = dga_names_create(s->run->sample_key);
	return r != NULL && r->names != NULL ? dga_names_add(r->names, rec->body, rec->bytes)
					     : -ENOMEM;
}

static uint64_t dga_first_row(const void *stat)
{
	return rows_first(((const struct dga *)stat)->rows);
}

/* --- writing --- */

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void set_addr(json_t *o, const char *key, const uint8_t id[16])
{
	char text[INET6_ADDRSTRLEN] = "";

	if (ft_addr_is_v4(id))
		(void)inet_ntop(AF_INET, id + 12, text, sizeof(text));
	else
		(void)inet_ntop(AF_INET6, id, text, sizeof(text));
	json_object_set_new(o, key, json_string(text));
}

static void add_family(const struct dga *s, json_t *list, unsigned bit)
{
	const char *family = s->run->rules != NULL ? rules_family(s->run->rules, bit) : NULL;

	if (family != NULL && json_array_size(list) < FAMILIES_SHOWN)
		json_array_append_new(list, json_string(family));
}

/* The families whose shape most of the names have: nine tenths of what the first one has. */
static json_t *families_of(const struct dga *s, const struct suspect *x)
{
	json_t *list = json_array();
	uint32_t most = 0;

	for (unsigned i = 0; i < 64; i++)
		most = x->family[i] > most ? x->family[i] : most;
	for (unsigned i = 0; i < 64 && most != 0; i++)
		if (10 * x->family[i] >= 9 * most)
			add_family(s, list, i);
	return list;
}

static void write_client(const struct dga *s, const struct stat_interval *in,
			 const struct suspect *x, const char *state)
{
	json_t *o = envelope_create("dga", s->run->probe, ft_vantage_texts[x->key[0]], in->start_s,
				    in->end_s, 1, in->loss_ppm);
	json_t *sample = json_array();

	json_object_set_new(o, "kind", json_string("client"));
	json_object_set_new(o, "state", json_string(state));
	set_addr(o, "client", x->key + 1);
	json_object_set_new(o, "llr", json_real(x->evidence.llr));
	set_count(o, "nx", x->nx);
	set_count(o, "flagged", x->made_up);
	json_object_set_new(o, "families", families_of(s, x));
	set_count(o, "alarm_us", x->alarm_s * 1000000);
	set_count(o, "first_us", x->first_s * 1000000);
	set_count(o, "last_us", x->last_s * 1000000);
	for (unsigned i = 0; i < x->samples; i++)
		json_array_append_new(sample, json_string(x->sample[i]));
	json_object_set_new(o, "sample", sample);
	json_object_set_new(
	    o, "c2",
	    x->c2 != NULL ? json_pack("{s:s, s:O}", "name", x->c2, "addresses", x->c2_addresses)
			  : json_null());
	s->run->write(s->run->ctx, "dga", in->start_s, o);
}

static void write_cluster(const struct dga *s, const struct cluster *c)
{
	json_t *o = envelope_create("dga", s->run->probe, ft_vantage_texts[c->vantage],
				    s->day * DAY_S, s->end_s, 1, s->loss_ppm);
	json_t *families = json_array();
	char text[NAME_TEXT_CAP];

	for (uint64_t left = c->shapes; left != 0; left &= left - 1)
		add_family(s, families, (unsigned)__builtin_ctzll(left));
	(void)name_text(c->tld, c->tld_len, text, true);
	json_object_set_new(o, "kind", json_string("cluster"));
	json_object_set_new(o, "families", families);
	json_object_set_new(o, "tld", json_string(text));
	set_count(o, "names", few_count(&c->names));
	set_count(o, "clients", few_count(&c->clients));
	set_count(o, "left_out", clusters_left_out(s->clusters));
	s->run->write(s->run->ctx, "dga", s->day * DAY_S, o);
}

static void end_day(struct dga *s)
{
	unsigned rows[FT_VANTAGE_CAP] = {0};
	size_t n;

	if (s->end_s == 0)
		return;
	const struct cluster *const *c = clusters_sorted(s->clusters, &n);
	for (size_t i = 0; i < n; i++)
		if (few_count(&c[i]->names) >= CLUSTER_NAMES &&
		    rows[c[i]->vantage]++ < CLUSTER_ROWS)
			write_cluster(s, c[i]);
	clusters_clear(s->clusters);
	s->end_s = 0;
	s->loss_ppm = 0;
}

/* --- an interval --- */

/* Clients that the test has to look at: those that asked for a name that looks made up,
 * and the suspects among the others. */
struct list {
	struct candidate {
		uint8_t key[SUSPECT_KEY_BYTES];
		const struct diary_acc *diary;
	} * v;
	size_t n, cap;
	bool no_memory;
};

static void list_add(struct list *l, uint8_t vantage, const uint8_t *id,
		     const struct diary_acc *diary)
{
	if (l->n == l->cap) {
		const size_t cap = l->cap != 0 ? 2 * l->cap : 256;
		struct candidate *more = realloc(l->v, cap * sizeof(*more));
		if (more == NULL) {
			l->no_memory = true;
			return;
		}
		l->v = more;
		l->cap = cap;
	}
	struct candidate *c = &l->v[l->n++];
	c->key[0] = vantage;
	memcpy(c->key + 1, id, 16);
	c->diary = diary;
}

static void pick(void *ctx, const struct table_sum *t)
{
	if (t->diary->made_up)
		list_add(ctx, t->vantage, t->id, t->diary);
}

static void pick_suspects(struct dga *s, const struct stat_interval *in, struct list *l)
{
	const struct suspect *x;
	struct table_sum t;
	size_t at = 0;

	while ((x = suspects_next(s->suspects, &at)) != NULL)
		if (tables_get(in->tables, FT_TABLE_CLIENTS, x->key[0], x->key + 1, &t) &&
		    !t.diary->made_up)
			list_add(l, t.vantage, t.id, t.diary);
}

static int order_keys(const void *left, const void *right)
{
	return memcmp(left, right, SUSPECT_KEY_BYTES);
}

static void cluster_names(struct dga *s, const struct candidate *c, const struct diary_sum *sum,
			  const struct dga_names *names)
{
	for (uint32_t i = 0; i < sum->slots; i++) {
		const struct dga_name *name = sum->name[i].kind == FT_NOTE_MADE_UP
						  ? dga_names_find(names, sum->name[i].hash)
						  : NULL;
		if (name != NULL)
			clusters_add(s->clusters, c->key[0], name, c->key + 1);
	}
}

static void look_at(struct dga *s, const struct stat_interval *in, const struct candidate *c,
		    const struct dga_names *names)
{
	const struct diary_sum *sum = diary_acc_read(c->diary, &s->scratch);

	if (sum == NULL)
		return;
	if (c->diary->made_up)
		cluster_names(s, c, sum, names);
	struct suspect *x = suspects_get(s->suspects, c->key, c->diary->made_up);
	if (x == NULL || !suspect_learn(x, &s->params, sum, names, in->start_s) ||
	    x->alarm_s == 0 || x->evidence.llr == 0)
		return;
	write_client(s, in, x, x->told ? "open" : "onset");
	x->told = true;
}

/* Alarms whose evidence is gone. */
static void end_alarms(struct dga *s, const struct stat_interval *in)
{
	struct suspect *x;
	size_t at = 0;

	while ((x = suspects_next(s->suspects, &at)) != NULL) {
		if (x->alarm_s == 0 || dga_forget(&x->evidence, &s->params, in->end_s) > 0)
			continue;
		if (!x->told)
			write_client(s, in, x, "onset");
		write_client(s, in, x, "end");
		x->alarm_s = 0;
	}
	suspects_sweep(s->suspects, &s->params, in->end_s);
}

static void dga_close(void *stat, struct stat_interval *in)
{
	struct dga *s = stat;
	struct names_row *r = rows_is_first(s->rows, in->row) ? rows_pop(&s->rows) : NULL;
	const struct dga_names *names = r != NULL ? r->names : NULL;
	struct list l = {0};

	if (in->start_s / DAY_S != s->day)
		end_day(s);
	s->day = in->start_s / DAY_S;
	s->end_s = in->end_s;
	s->loss_ppm = in->loss_ppm > s->loss_ppm ? in->loss_ppm : s->loss_ppm;
	tables_each(in->tables, FT_TABLE_CLIENTS, pick, &l);
	pick_suspects(s, in, &l);
	if (l.n != 0)
		qsort(l.v, l.n, sizeof(*l.v), order_keys);
	for (size_t i = 0; i < l.n; i++)
		look_at(s, in, &l.v[i], names);
	end_alarms(s, in);
	hash_families(s);
	free(l.v);
	row_free(r);
}

static void dga_end(void *stat)
{
	end_day(stat);
}

/* --- snapshots --- */

/* Clusters are not part of it: a day that a restart breaks has two records of each. */
static int dga_save(const void *stat, state_write_fn *write, void *ctx)
{
	const struct dga *s = stat;

	return suspects_save(s->suspects, s->family, write, ctx);
}

static int dga_load(void *stat, state_read_fn *read, void *ctx)
{
	struct dga *s = stat;
	struct suspects *mine = suspects_create();

	if (mine == NULL)
		return -ENOMEM;
	hash_families(s);
	const int result = suspects_load(mine, s->family, read, ctx);
	suspects_destroy(result == 0 ? s->suspects : mine);
	if (result == 0)
		s->suspects = mine;
	return result;
}

const struct stat_ops stat_dga = {
    .set = "dga",
    .create = dga_create,
    .record = dga_record,
    .first_row = dga_first_row,
    .close = dga_close,
    .end = dga_end,
    .destroy = dga_destroy,
    .state = "dga",
    .save = dga_save,
    .load = dga_load,
};
