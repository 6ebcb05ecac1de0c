/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `ttl`: what falling TTLs of watched RRsets say about each resolver's caches, a record
 * a day (DOMAIN section 9.1).
 *
 * Answers wait until their interval closes; then they are laid in the order of time, so
 * that it does not matter which worker saw them, and drawn as lines (ttl_lines.h). Beyond
 * the budget the keys with the lowest hash stay. */
#include "../../dataplane/name_text.h"
#include "../envelope.h"
#include "server.h"
#include "sieve.h"
#include "ttl_lines.h"

#include <fluxtap/rec_ttl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DAY_S 86400u
#define SECOND_US 1000000ull
#define ANSWERS (1u << 20) /* that wait: 50 MB */
#define OWNERS (1u << 16)  /* of the list; more are left out */
#define OWNER_SLOTS (2 * OWNERS)
#define LINES 16384u /* pairs of an RRset and a server: 5 KB each at most */
#define LINE_SLOTS (2 * LINES)

/* A watched RRset; stays. What it is called never changes, so that a snapshot can be
 * written while records make others. */
struct owner {
	uint64_t hash;
	uint32_t aa_s, aa_before_s; /* greatest TTL with AA: of this day, of the last with any */
	uint16_t type;
	uint8_t len, name[];
};

struct answer {
	uint64_t hash; /* of the line; with AA: of the owner */
	uint64_t t_us;
	struct owner *owner;
	uint8_t addr[16];
	uint32_t ttl_s;
	uint8_t flags, vantage;
};

struct line {
	uint64_t hash;
	struct owner *owner;
	uint8_t addr[16];
	uint8_t vantages; /* bits */
	struct ttl_lines lines;
};

struct ttl {
	const struct stat_run *run;
	struct sieve answers;
	struct owner **owner; /* [OWNER_SLOTS] */
	size_t owners;
	struct line **line; /* [LINE_SLOTS] */
	size_t lines;
	uint64_t day;      /* since 1970, of what the lines hold; 0: none yet */
	uint64_t loss_ppm; /* the greatest of the day's intervals */
	uint64_t left_out; /* answers without a line */
};

static void line_free(struct line *l)
{
	if (l != NULL)
		ttl_lines_fini(&l->lines);
	free(l);
}

static void ttl_destroy(void *stat)
{
	struct ttl *s = stat;

	if (s == NULL)
		return;
	for (size_t i = 0; s->line != NULL && i < LINE_SLOTS; i++)
		line_free(s->line[i]);
	for (size_t i = 0; s->owner != NULL && i < OWNER_SLOTS; i++)
		free(s->owner[i]);
	sieve_fini(&s->answers);
	free(s->line);
	free(s->owner);
	free(s);
}

static void *ttl_create(const struct stat_run *run)
{
	struct ttl *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->answers = (struct sieve){.size = sizeof(struct answer), .cap = ANSWERS};
	s->owner = calloc(OWNER_SLOTS, sizeof(struct owner *));
	s->line = calloc(LINE_SLOTS, sizeof(struct line *));
	if (s->owner != NULL && s->line != NULL)
		return s;
	ttl_destroy(s);
	return NULL;
}

/* --- owners and lines by hash --- */

/* -ENOMEM; 0 and *out, NULL: no room. */
static int owner_get(struct ttl *s, const uint8_t *name, uint32_t len, uint16_t type,
		     struct owner **out)
{
	const uint64_t hash = XXH3_64bits_withSeed(name, len, s->run->sample_key + type);
	size_t at = hash % OWNER_SLOTS;

	for (; s->owner[at] != NULL; at = (at + 1) % OWNER_SLOTS) {
		struct owner *o = s->owner[at];
		if (o->hash == hash && o->type == type && o->len == len &&
		    memcmp(o->name, name, len) == 0) {
			*out = o;
			return 0;
		}
	}
	*out = NULL;
	if (s->owners == OWNERS)
		return 0;
	struct owner *o = calloc(1, sizeof(*o) + len);
	if (o == NULL)
		return -ENOMEM;
	o->hash = hash;
	o->type = type;
	o->len = (uint8_t)len;
	memcpy(o->name, name, len);
	s->owner[at] = o;
	s->owners++;
	*out = o;
	return 0;
}

static uint64_t line_hash(const struct owner *o, const uint8_t *addr)
{
	return XXH3_64bits_withSeed(addr, 16, o->hash);
}

static struct line **line_place(struct line **table, uint64_t hash)
{
	size_t at = hash % LINE_SLOTS;

	while (table[at] != NULL && table[at]->hash != hash)
		at = (at + 1) % LINE_SLOTS;
	return &table[at];
}

/* Takes out one line, or (NULL) all that nothing is known of any more. */
static int line_remove(struct ttl *s, const struct line *gone)
{
	struct line **table = calloc(LINE_SLOTS, sizeof(struct line *));

	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < LINE_SLOTS; i++) {
		struct line *l = s->line[i];
		if (l == NULL)
			continue;
		if (gone != NULL ? l == gone : l->lines.n == 0 && l->lines.max_before_s == 0) {
			line_free(l);
			s->lines--;
		} else {
			*line_place(table, l->hash) = l;
		}
	}
	free(s->line);
	s->line = table;
	return 0;
}

/* Full: the one with the highest hash goes, which may be the new one. False: it is. */
static bool make_room(struct ttl *s, uint64_t hash)
{
	const struct line *highest = NULL;

	for (size_t i = 0; i < LINE_SLOTS; i++)
		if (s->line[i] != NULL && (highest == NULL || s->line[i]->hash > highest->hash))
			highest = s->line[i];
	if (highest == NULL || highest->hash < hash)
		return false;
	s->left_out += highest->lines.answers;
	return line_remove(s, highest) == 0;
}

/* NULL: left out, or no memory. */
static struct line *line_get(struct ttl *s, struct owner *o, const uint8_t *addr)
{
	const uint64_t hash = line_hash(o, addr);
	struct line **place = line_place(s->line, hash);

	if (*place != NULL)
		return *place;
	if (s->lines == LINES && !make_room(s, hash))
		return NULL;
	struct line *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->hash = hash;
	l->owner = o;
	l->lines.day_us = s->day * DAY_S * SECOND_US;
	memcpy(l->addr, addr, sizeof(l->addr));
	*line_place(s->line, hash) = l;
	s->lines++;
	return l;
}

/* --- records --- */

static int add_answer(struct ttl *s, const struct ft_ttl_rec *r, uint64_t t_us)
{
	struct answer a = {.t_us = t_us, .ttl_s = r->ttl, .flags = r->flags, .vantage = r->vantage};
	const int result = owner_get(s, r->owner, r->owner_len, r->type, &a.owner);

	if (a.owner == NULL) {
		s->answers.left_out += result == 0;
		return result;
	}
	memcpy(a.addr, r->addr, sizeof(a.addr));
	a.hash = (r->flags & FT_TTL_AA) != 0 ? a.owner->hash : line_hash(a.owner, a.addr);
	return sieve_put(&s->answers, &a);
}

static int ttl_record(void *stat, const struct stat_record *rec)
{
	struct ttl *s = stat;
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;
	uint32_t left = ft_rec_records(rec->hdr);
	struct ft_ttl_rec one;
	int result = 0;

	if (rec->hdr->type != FT_REC_TTL)
		return 0;
	for (; result == 0 && ft_entry_next(&r, &body); left--) {
		if (left == 0 || !ft_ttl_read(&body, &one))
			return -EBADMSG;
		result = add_answer(s, &one,
				    rec->hdr->row * s->run->interval_s * SECOND_US + one.off_us);
	}
	return result != 0 ? result : r.bad || left != 0 ? -EBADMSG : 0;
}

/* Others see to it that intervals close. */
static uint64_t ttl_first_row(const void *stat)
{
	(void)stat;
	return UINT64_MAX;
}

/* --- records that go out --- */

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

/* Where most of its clients are likely to be. */
static enum ft_vantage vantage_of(const struct line *l)
{
	static const enum ft_vantage order[] = {FT_VANTAGE_S2R, FT_VANTAGE_X, FT_VANTAGE_R2A};

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if ((l->vantages >> order[i] & 1) != 0)
			return order[i];
	return FT_VANTAGE_AUTH;
}

static void write_line(const struct ttl *s, struct line *l)
{
	const uint64_t start = s->day * DAY_S;
	const struct owner *w = l->owner;
	char owner[NAME_TEXT_CAP], server[INET6_ADDRSTRLEN], type[16];
	struct ttl_report r;

	ttl_lines_report(&l->lines, (start + DAY_S) * SECOND_US,
			 w->aa_s != 0 ? w->aa_s : w->aa_before_s, &r);
	if (r.answers == 0)
		return;
	json_t *o = envelope_create("ttl", s->run->probe, ft_vantage_texts[vantage_of(l)], start,
				    start + DAY_S, 1, s->loss_ppm);
	(void)name_text(w->name, w->len, owner, true);
	server_text(l->addr, server);
	json_object_set_new(o, "owner", json_string(owner));
	json_object_set_new(o, "type", json_string(ft_qtype_text(w->type, type, sizeof(type))));
	json_object_set_new(o, "server", json_string(server));
	set_count(o, "ttl_max", r.ttl_max_s);
	set_count(o, "fills", r.fills);
	set_count(o, "live_caches", r.live);
	json_object_set_new(o, "idle_us",
			    r.idles != 0 ? json_integer((json_int_t)r.idle_us) : json_null());
	json_object_set_new(o, "demand_qps",
			    r.idle_us != 0 ? json_real(1e6 / (double)r.idle_us) : json_null());
	json_object_set_new(o, "randomised", json_boolean(r.randomised));
	json_object_set_new(o, "stretched", json_boolean(r.stretched));
	set_count(o, "answers", r.answers);
	set_count(o, "idles", r.idles);
	set_count(o, "age_us", r.age_us);
	set_count(o, "evicted", r.evicted);
	s->run->write(s->run->ctx, "ttl", start, o);
}

static int order_lines(const void *left, const void *right)
{
	const struct line *a = *(struct line *const *)left, *b = *(struct line *const *)right;
	const uint8_t least = a->owner->len < b->owner->len ? a->owner->len : b->owner->len;
	const int by_name = memcmp(a->owner->name, b->owner->name, least);

	if (by_name != 0)
		return by_name;
	if (a->owner->len != b->owner->len)
		return a->owner->len < b->owner->len ? -1 : 1;
	if (a->owner->type != b->owner->type)
		return a->owner->type < b->owner->type ? -1 : 1;
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

static void write_lines(const struct ttl *s)
{
	struct line **list = calloc(s->lines + 1, sizeof(struct line *));
	size_t n = 0;

	for (size_t i = 0; list != NULL && i < LINE_SLOTS; i++)
		if (s->line[i] != NULL)
			list[n++] = s->line[i];
	if (n != 0)
		qsort(list, n, sizeof(struct line *), order_lines);
	for (size_t i = 0; i < n; i++)
		write_line(s, list[i]);
	free(list);
}

/* The day is over, or (ended) the input. */
static void close_day(struct ttl *s, bool ended)
{
	const uint64_t end_us = (s->day + 1) * DAY_S * SECOND_US;

	for (size_t i = 0; ended && i < LINE_SLOTS; i++)
		if (s->line[i] != NULL)
			(void)ttl_lines_end(&s->line[i]->lines);
	write_lines(s);
	for (size_t i = 0; i < LINE_SLOTS; i++)
		if (s->line[i] != NULL) {
			s->line[i]->vantages = 0;
			(void)ttl_lines_next_day(&s->line[i]->lines, end_us);
		}
	for (size_t i = 0; i < OWNER_SLOTS; i++)
		if (s->owner[i] != NULL && s->owner[i]->aa_s != 0) {
			s->owner[i]->aa_before_s = s->owner[i]->aa_s;
			s->owner[i]->aa_s = 0;
		}
	(void)line_remove(s, NULL);
	s->day = 0;
	s->loss_ppm = 0;
}

/* --- answers, when their interval has closed --- */

static int is_due(const void *observation, uint64_t until_us)
{
	return ((const struct answer *)observation)->t_us < until_us;
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* So that those which count as one stand together, the first of them first. */
static int order_alike(const void *left, const void *right)
{
	const struct answer *a = left, *b = right;
	int r = compare(a->hash, b->hash);

	r = r != 0 ? r : compare(a->flags, b->flags);
	r = r != 0 ? r : compare(a->t_us / SECOND_US, b->t_us / SECOND_US);
	r = r != 0 ? r : compare(a->ttl_s, b->ttl_s);
	r = r != 0 ? r : compare(a->t_us, b->t_us);
	return r != 0 ? r : compare(a->vantage, b->vantage);
}

static bool is_alike(const struct answer *a, const struct answer *b)
{
	return a->hash == b->hash && a->flags == b->flags &&
	       a->t_us / SECOND_US == b->t_us / SECOND_US && a->ttl_s == b->ttl_s;
}

static int order_time(const void *left, const void *right)
{
	const struct answer *a = left, *b = right;
	int r = compare(a->hash, b->hash);

	r = r != 0 ? r : compare(a->t_us, b->t_us);
	return r != 0 ? r : compare(a->ttl_s, b->ttl_s);
}

static void lay(struct ttl *s, const struct answer *a)
{
	if ((a->flags & FT_TTL_AA) != 0) {
		if (a->ttl_s > a->owner->aa_s)
			a->owner->aa_s = a->ttl_s;
		return;
	}
	struct line *l = line_get(s, a->owner, a->addr);
	if (l == NULL || ttl_lines_add(&l->lines, a->t_us, a->ttl_s) != 0) {
		s->left_out++;
		return;
	}
	l->vantages |= (uint8_t)(1u << a->vantage);
}

static void lay_due(struct ttl *s, uint64_t end_s)
{
	void *due;
	const size_t n = sieve_due(&s->answers, is_due, end_s * SECOND_US, &due);
	struct answer *a = due;
	size_t kept = 0;

	if (n == 0)
		return;
	qsort(a, n, sizeof(*a), order_alike);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || !is_alike(&a[kept - 1], &a[i]))
			a[kept++] = a[i];
	qsort(a, kept, sizeof(*a), order_time);
	for (size_t i = 0; i < kept; i++)
		lay(s, &a[i]);
	sieve_drop(&s->answers, n);
}

static void write_left_out(struct ttl *s, const struct stat_interval *in)
{
	const uint64_t n = s->left_out + s->answers.left_out;

	if (n == 0)
		return;
	json_t *o = envelope_create("ttl", s->run->probe, ft_vantage_texts[FT_VANTAGE_X],
				    in->start_s, in->end_s, 1, in->loss_ppm);
	json_object_set_new(o, "kind", json_string("left_out"));
	set_count(o, "answers", n);
	s->run->write(s->run->ctx, "ttl", in->start_s, o);
	s->left_out = s->answers.left_out = 0;
}

static void ttl_close(void *stat, struct stat_interval *in)
{
	struct ttl *s = stat;
	const uint64_t day = in->start_s / DAY_S;

	if (s->day != 0 && s->day != day)
		close_day(s, false);
	s->day = day;
	if (in->loss_ppm > s->loss_ppm)
		s->loss_ppm = in->loss_ppm;
	lay_due(s, in->end_s);
	write_left_out(s, in);
	if (in->end_s / DAY_S > day)
		close_day(s, false);
}

static void ttl_end(void *stat)
{
	struct ttl *s = stat;

	if (s->day != 0)
		close_day(s, true);
}

/* --- over a restart --- */

struct saved_line {
	uint32_t aa_s, aa_before_s;
	uint16_t type;
	uint8_t vantages, len, addr[16];
};

static int ttl_save(const void *stat, state_write_fn *write, void *ctx)
{
	const struct ttl *s = stat;
	const uint64_t head[] = {s->day, s->loss_ppm, s->lines};
	int result = write(ctx, head, sizeof(head));

	for (size_t i = 0; result == 0 && i < LINE_SLOTS; i++) {
		const struct line *l = s->line[i];
		if (l == NULL)
			continue;
		struct saved_line x = {.aa_s = l->owner->aa_s,
				       .aa_before_s = l->owner->aa_before_s,
				       .type = l->owner->type,
				       .vantages = l->vantages,
				       .len = l->owner->len};
		memcpy(x.addr, l->addr, sizeof(x.addr));
		result = write(ctx, &x, sizeof(x));
		if (result == 0)
			result = write(ctx, l->owner->name, x.len);
		if (result == 0)
			result = ttl_lines_save(&l->lines, write, ctx);
	}
	return result;
}

static int load_line(struct ttl *s, state_read_fn *read, void *ctx)
{
	uint8_t name[FT_NAME_CAP];
	struct saved_line x;
	struct owner *o = NULL;
	int result = read(ctx, &x, sizeof(x));

	if (result == 0)
		result = read(ctx, name, x.len);
	if (result == 0 && (x.len == 0 || !ft_name_is_whole(name, x.len)))
		result = -EBADMSG;
	if (result == 0)
		result = owner_get(s, name, x.len, x.type, &o);
	if (result != 0)
		return result;
	struct line *l = o != NULL ? line_get(s, o, x.addr) : NULL;
	if (l == NULL)
		return -ENOMEM;
	if (l->lines.answers != 0 || l->lines.n != 0)
		return -EBADMSG; /* twice */
	o->aa_s = x.aa_s;
	o->aa_before_s = x.aa_before_s;
	l->vantages = x.vantages;
	return ttl_lines_load(&l->lines, read, ctx);
}

static int ttl_load(void *stat, state_read_fn *read, void *ctx)
{
	struct ttl *s = stat;
	uint64_t head[3];
	int result = read(ctx, head, sizeof(head));

	if (result != 0)
		return result;
	if (head[2] > LINES || head[0] > UINT32_MAX)
		return -EBADMSG;
	s->day = head[0];
	s->loss_ppm = head[1];
	for (uint64_t i = 0; result == 0 && i < head[2]; i++)
		result = load_line(s, read, ctx);
	if (result == 0)
		return 0;
	for (size_t i = 0; i < LINE_SLOTS; i++) {
		line_free(s->line[i]);
		s->line[i] = NULL;
	}
	s->lines = 0;
	s->day = 0;
	return result;
}

const struct stat_ops stat_ttl = {
    .set = "ttl",
    .create = ttl_create,
    .record = ttl_record,
    .first_row = ttl_first_row,
    .close = ttl_close,
    .end = ttl_end,
    .destroy = ttl_destroy,
    .state = "ttl",
    .save = ttl_save,
    .load = ttl_load,
};
