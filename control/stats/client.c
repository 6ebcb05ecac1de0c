/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `client`: who asks most, whose queries for A and AAAA go together, who has fallen
 * silent, who turned to another server, and how mixed clients and names are. Reads what
 * `tables` leaves in an interval. */
#include "client_entropy.h"
#include "client_top.h"
#include "client_track.h"
#include "stat.h"
#include "tables.h"

#include "../envelope.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S 86400u

struct client {
	const struct stat_run *run;
	struct client_top *top;
	struct tracks *tracks;
	struct entropy_past past[FT_VANTAGE_CAP];
	struct entropy_day *entropies;
	const struct stat_interval *in; /* that closes now */
	uint64_t day, day_end_s, day_loss_ppm;
	uint32_t day_level, level; /* of sampling, the highest */
	uint64_t next_row;         /* 0: none yet */
};

static void client_destroy(void *stat)
{
	struct client *s = stat;

	if (s == NULL)
		return;
	client_top_destroy(s->top);
	tracks_destroy(s->tracks);
	entropy_day_destroy(s->entropies);
	free(s);
}

static void *client_create(const struct stat_run *run)
{
	struct client *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->top = client_top_create();
	s->tracks = tracks_create(run->interval_s, run->sample_key);
	s->entropies = entropy_day_create(run->sample_key);
	if (s->top != NULL && s->tracks != NULL && s->entropies != NULL)
		return s;
	client_destroy(s);
	errno = ENOMEM;
	return NULL;
}

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void set_real(json_t *o, const char *key, double x)
{
	json_object_set_new(o, key, json_real(x));
}

static void set_us(json_t *o, const char *key, uint64_t second, bool known)
{
	json_object_set_new(o, key,
			    known ? json_integer((json_int_t)(second * 1000000)) : json_null());
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

static json_t *begin(const struct client *s, unsigned vantage, const char *kind)
{
	json_t *o =
	    envelope_create("client", s->run->probe, ft_vantage_texts[vantage], s->in->start_s,
			    s->in->end_s, ldexp(1, -(int)s->level), s->in->loss_ppm);

	json_object_set_new(o, "kind", json_string(kind));
	return o;
}

static json_t *begin_day(const struct client *s, unsigned vantage, const char *kind, uint32_t level)
{
	json_t *o =
	    envelope_create("client", s->run->probe, ft_vantage_texts[vantage], s->day * DAY_S,
			    s->day_end_s, 1.0 / (double)(1u << level), s->day_loss_ppm);

	json_object_set_new(o, "kind", json_string(kind));
	return o;
}

/* --- top --- */

static void gather(void *ctx, const struct table_sum *t)
{
	struct client *s = ctx;

	client_top_add(s->top, t->vantage, t->id, t->c + FT_CLIENT_QGROUP);
	s->level = t->level > s->level ? t->level : s->level;
}

/* A part's standard error is its share of the sum's: types are alike in all flows. */
static void estimate(void *ctx, unsigned vantage, unsigned type, struct top_client *c)
{
	const struct client *s = ctx;
	struct table_sum t;

	if (!tables_get(s->in->tables, FT_TABLE_CLIENTS, (uint8_t)vantage, c->id, &t) ||
	    t.level == 0)
		return;
	const struct estimate all = tables_queries(&t);
	c->est = type == TOP_ALL ? all.value : tables_estimate(&t, FT_CLIENT_QGROUP + type);
	c->se = all.value > 0 ? all.se * c->est / all.value : 0;
}

/* One list of an interval or day, begun by `o` for each row. */
static void write_list(const struct client *s, unsigned vantage, unsigned type, bool day,
		       const struct top_client *v, size_t n)
{
	const uint32_t level = day ? s->day_level : s->level;

	for (size_t i = 0; i < n && i < s->run->top_clients; i++) {
		json_t *o = day ? begin_day(s, vantage, "top", level) : begin(s, vantage, "top");
		json_object_set_new(o, "span", json_string(day ? "day" : "interval"));
		json_object_set_new(o, "qtype",
				    json_string(type == TOP_ALL ? "ALL" : ft_qgroup_texts[type]));
		set_count(o, "rank", i + 1);
		set_addr(o, "client", v[i].id);
		set_count(o, "queries", v[i].queries);
		set_count(o, "err", v[i].err);
		if (level != 0) {
			set_real(o, "est_queries", v[i].est);
			set_real(o, "se_queries", v[i].se);
		}
		s->run->write(s->run->ctx, "client", day ? s->day * DAY_S : s->in->start_s, o);
	}
}

static void write_tops(struct client *s, bool day)
{
	size_t n;

	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		for (unsigned type = 0; type < TOP_TYPES; type++) {
			const struct top_client *list =
			    day ? client_top_day(s->top, v, type, &n)
				: client_top_interval(s->top, v, type, s->run->top_clients, &n);
			write_list(s, v, type, day, list, n);
		}
}

/* --- what happens to tracked clients --- */

static void write_silence(const struct client *s, const struct track_event *e)
{
	json_t *o = begin(s, e->key[0], "silence");

	set_addr(o, "client", e->key + 1);
	json_object_set_new(o, "state", json_string(e->kind == TRACK_BACK ? "end" : "onset"));
	set_us(o, "from_us", e->from_s, true);
	set_us(o, "to_us", e->to_s, e->kind == TRACK_BACK);
	set_real(o, "qps_before", e->qps_before);
	json_object_set_new(o, "cause", json_string(e->tap_loss ? "TAP_LOSS" : "SILENT"));
	s->run->write(s->run->ctx, "client", s->in->start_s, o);
}

static void write_failover(const struct client *s, const struct track_event *e)
{
	json_t *o = begin(s, e->key[0], "failover");
	const bool ends = e->kind == TRACK_TURNED_BACK;

	set_addr(o, "client", e->key + 1);
	set_addr(o, "from", e->from);
	set_addr(o, "to", e->to);
	json_object_set_new(o, "state", json_string(ends ? "end" : "onset"));
	set_us(o, "at_us", e->at_s, true);
	set_us(o, "end_us", e->end_s, ends);
	set_real(o, "qps_before", e->qps_before);
	set_real(o, "qps_during", e->qps_during);
	s->run->write(s->run->ctx, "client", s->in->start_s, o);
}

static void tell(void *ctx, const struct track_event *e)
{
	const struct client *s = ctx;

	if (e->kind == TRACK_SILENT || e->kind == TRACK_BACK)
		write_silence(s, e);
	else
		write_failover(s, e);
}

static void write_coupling(void *ctx, const uint8_t *key, const struct coupling_result *r)
{
	const struct client *s = ctx;
	json_t *o = begin_day(s, key[0], "coupling", s->day_level);

	set_addr(o, "client", key + 1);
	set_count(o, "n", r->n);
	set_count(o, "sx", r->sx);
	set_count(o, "sy", r->sy);
	set_real(o, "r2_1s", r->r2_1s);
	set_real(o, "r2_5s", r->r2_5s);
	set_real(o, "ratio", r->ratio);
	json_object_set_new(o, "coupled", json_boolean(r->coupled));
	s->run->write(s->run->ctx, "client", s->day * DAY_S, o);
}

/* --- entropies --- */

static void write_entropies(struct client *s)
{
	static const char *const readings[] = {
	    [ENTROPY_TARGETED] = "TARGETED",
	    [ENTROPY_RANDOM] = "RANDOM",
	    [ENTROPY_HOST_SEARCH] = "HOST_SEARCH",
	};
	struct entropy e[FT_VANTAGE_CAP];

	entropy_of(s->in->tables, e);
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		if (!e[v].used)
			continue;
		entropy_step(&s->past[v], &e[v], s->in->start_s, s->run->interval_s);
		json_t *o = begin(s, v, "entropy");
		json_object_set_new(o, "span", json_string("interval"));
		set_real(o, "h_client", e[v].h_client);
		set_real(o, "h_qname", e[v].h_qname);
		json_object_set_new(o, "reading",
				    e[v].reading != ENTROPY_USUAL
					? json_string(readings[e[v].reading])
					: json_null());
		s->run->write(s->run->ctx, "client", s->in->start_s, o);
	}
}

static void write_day_entropies(struct client *s)
{
	struct entropy e[FT_VANTAGE_CAP];

	(void)entropy_day_end(s->entropies, e);
	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++) {
		if (!e[v].used)
			continue;
		json_t *o = begin_day(s, v, "entropy", s->day_level);
		json_object_set_new(o, "span", json_string("day"));
		set_real(o, "h_client", e[v].h_client);
		set_real(o, "h_qname", e[v].h_qname);
		json_object_set_new(o, "reading", json_null());
		s->run->write(s->run->ctx, "client", s->day * DAY_S, o);
	}
}

/* --- intervals and days --- */

static void end_day(struct client *s)
{
	if (s->day_end_s == 0)
		return;
	write_tops(s, true);
	client_top_end_day(s->top);
	tracks_end_day(s->tracks, write_coupling, s);
	write_day_entropies(s);
	s->day_end_s = 0;
	s->day_loss_ppm = 0;
	s->day_level = 0;
}

static void client_close(void *stat, struct stat_interval *in)
{
	struct client *s = stat;

	s->in = in;
	if (in->start_s / DAY_S != s->day)
		end_day(s);
	s->day = in->start_s / DAY_S;
	s->day_end_s = in->end_s;
	s->day_loss_ppm = in->loss_ppm > s->day_loss_ppm ? in->loss_ppm : s->day_loss_ppm;
	s->level = 0;
	tables_each(in->tables, FT_TABLE_CLIENTS, gather, s);
	s->day_level = s->level > s->day_level ? s->level : s->day_level;
	if (s->level != 0)
		client_top_estimate(s->top, estimate, s);
	write_tops(s, false);
	client_top_close(s->top);
	tracks_step(
	    s->tracks,
	    &(struct track_interval){.start_s = in->start_s,
				     .end_s = in->end_s,
				     .cut_s = in->cut_s,
				     .loss_ppm = in->loss_ppm,
				     .tables = in->tables,
				     .after_gap = s->next_row != 0 && in->row > s->next_row},
	    tell, s);
	write_entropies(s);
	entropy_day_add(s->entropies, in->tables);
	s->next_row = in->row + 1;
	s->in = NULL;
}

static void client_end(void *stat)
{
	end_day(stat);
}

/* --- snapshots --- */

#define MAGIC 0x32494c43u /* "CLI2" */

struct image {
	uint32_t magic, day_level;
	uint64_t day, day_end_s, day_loss_ppm, next_row;
	struct entropy_past past[FT_VANTAGE_CAP];
};

static int client_save(const void *stat, state_write_fn *write, void *ctx)
{
	const struct client *s = stat;
	struct image h = {MAGIC,           s->day_level, s->day,         s->day_end_s,
			  s->day_loss_ppm, s->next_row,  {{{0}, {0}, 0}}};

	memcpy(h.past, s->past, sizeof(h.past));
	int result = write(ctx, &h, sizeof(h));
	if (result == 0)
		result = client_top_save(s->top, write, ctx);
	return result != 0 ? result : tracks_save(s->tracks, write, ctx);
}

static bool is_sound(const struct image *h)
{
	bool sound = h->magic == MAGIC && h->day_level <= FT_SAMPLE_LEVEL_MAX &&
		     h->day <= UINT32_MAX && h->day_end_s <= (h->day + 1) * DAY_S;

	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		for (unsigned i = 0; i < 2; i++)
			sound &= isfinite(h->past[v].mean[i]) && isfinite(h->past[v].var[i]) &&
				 h->past[v].var[i] >= 0;
	return sound;
}

static int client_load(void *stat, state_read_fn *read, void *ctx)
{
	struct client *s = stat;
	struct client_top *top = client_top_create();
	struct tracks *tracks = tracks_create(s->run->interval_s, s->run->sample_key);
	struct image h;
	int result = top != NULL && tracks != NULL ? read(ctx, &h, sizeof(h)) : -ENOMEM;

	if (result == 0 && !is_sound(&h))
		result = -EBADMSG;
	if (result == 0)
		result = client_top_load(top, read, ctx);
	if (result == 0)
		result = tracks_load(tracks, read, ctx);
	if (result != 0) {
		client_top_destroy(top);
		tracks_destroy(tracks);
		return result;
	}
	client_top_destroy(s->top);
	tracks_destroy(s->tracks);
	s->top = top;
	s->tracks = tracks;
	s->day = h.day;
	s->day_end_s = h.day_end_s;
	s->day_loss_ppm = h.day_loss_ppm;
	s->day_level = h.day_level;
	s->next_row = h.next_row;
	memcpy(s->past, h.past, sizeof(s->past));
	return 0;
}

const struct stat_ops stat_client = {
    .set = "client",
    .create = client_create,
    .close = client_close,
    .end = client_end,
    .destroy = client_destroy,
    .state = "client",
    .save = client_save,
    .load = client_load,
};
