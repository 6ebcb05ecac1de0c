/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets `nxdomain` and `dnserror`: the two error channels, a record for each distinct
 * (qname, qtype, qclass, response_ip, soa_rrname, rcode) of an interval and vantage
 * point. Where there are more than the budget, those with the lowest keyed hashes
 * stay, and a record of kind ALL says how many transactions have none. */
#include "errors.h"

#include "../../dataplane/handful.h"
#include "../../dataplane/name_text.h"
#include "../envelope.h"
#include "keep.h"
#include "stat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_CAP (1u << 19) /* keys of an interval */
#define TEXT_CAP (48u << 20) /* octets of their names */
#define SETS 2u              /* 0: nxdomain */

struct item {
	struct keep_item keep; /* rank: the key */
	uint64_t count;
	uint64_t time_us;
	struct handful clients;
	uint16_t rcode, qtype, qclass;
	uint8_t what, qname_len, soa_len;
	uint8_t server[16];
	uint8_t pad[3];
};

struct row {
	struct keep keep;
	struct {
		uint64_t count, left_out;
	} total[FT_VANTAGE_CAP][SETS];
};

struct errors {
	const struct stat_run *run;
	struct stat_row *rows;
	uint64_t closed_end; /* rows below are closed */
	struct keep_settings set;
};

static unsigned set_of(uint8_t what)
{
	return (what & FT_ERROR_NXDOMAIN) != 0 ? 0 : 1;
}

static void leave_out(struct row *r, uint8_t what, uint64_t count)
{
	r->total[what & FT_ERROR_VANTAGE][set_of(what)].left_out += count;
}

static void drop(struct keep *k, const void *item)
{
	const struct item *i = item;

	leave_out((struct row *)k, i->what, i->count);
}

static void *errors_create(const struct stat_run *run)
{
	struct errors *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->set = (struct keep_settings){
	    .item_bytes = sizeof(struct item),
	    .items_cap = ITEMS_CAP,
	    .text_cap = TEXT_CAP,
	    .row_bytes = sizeof(struct row),
	    .drop = drop,
	};
	return s;
}

void errors_set_budget(void *stat, size_t items, size_t text_bytes)
{
	struct errors *s = stat;

	s->set.items_cap = items;
	s->set.text_cap = text_bytes;
}

static void errors_destroy(void *stat)
{
	struct errors *s = stat;

	while (s != NULL && s->rows != NULL)
		keep_pop(&s->rows);
	free(s);
}

/* NULL with *result 0: left out, and counted as such. */
static struct item *item_get(struct row *r, uint64_t key, uint8_t what, uint64_t count, int *result)
{
	bool fresh, left_out;
	struct item *i = keep_get(&r->keep, key, key, &fresh, &left_out);

	r->total[what & FT_ERROR_VANTAGE][set_of(what)].count += count;
	*result = i == NULL && !left_out ? -ENOMEM : 0;
	if (i != NULL && fresh)
		i->what = what & (FT_ERROR_VANTAGE | FT_ERROR_TIMEOUT | FT_ERROR_NXDOMAIN);
	if (i == NULL && left_out)
		leave_out(r, what, count);
	return i;
}

static int add(struct row *r, const struct ft_error *x)
{
	int result;
	struct item *i = item_get(r, x->key, x->what, x->count, &result);

	if (i == NULL)
		return result;
	i->count += x->count;
	handful_merge(&i->clients, x->clients, x->octets);
	return 0;
}

/* Is the text before the one that is there? */
static bool is_earlier(const struct keep *k, const struct item *i, uint64_t time_us,
		       const uint8_t *both, uint32_t n)
{
	if (i->keep.text_bytes == 0 || time_us != i->time_us)
		return i->keep.text_bytes == 0 || time_us < i->time_us;
	const uint32_t least = n < i->keep.text_bytes ? n : i->keep.text_bytes;
	const int d = memcmp(both, keep_text(k, i), least);
	return d < 0 || (d == 0 && n < i->keep.text_bytes);
}

static int add_text(const struct errors *s, struct row *r, const struct ft_error_text *x)
{
	const uint64_t time_us =
	    r->keep.head.number * s->run->interval_s * 1000000 + (uint64_t)x->time_us;
	/* A name is never empty here: a key without a question has the octet 0xff. */
	uint8_t both[2 * FT_NAME_CAP + 1] = {0xff};
	uint32_t n = 1;
	int result;
	struct item *i = item_get(r, x->key, x->what, 1, &result);

	if (i == NULL)
		return result;
	i->count++;
	handful_add(&i->clients, x->client);
	memcpy(both + n, x->qname, x->qname_len);
	n += x->qname_len;
	if (x->soa_len != 0)
		memcpy(both + n, x->soa, x->soa_len);
	n += x->soa_len;
	if (!is_earlier(&r->keep, i, time_us, both, n))
		return 0;
	i->time_us = time_us;
	i->rcode = x->rcode;
	i->qtype = x->qtype;
	i->qclass = x->qclass;
	i->what = x->what & (FT_ERROR_VANTAGE | FT_ERROR_TIMEOUT | FT_ERROR_NXDOMAIN | FT_ERROR_V6);
	i->qname_len = x->qname_len;
	i->soa_len = x->soa_len;
	memcpy(i->server, x->server, (x->what & FT_ERROR_V6) != 0 ? 16 : 4);
	result = keep_put_text(&r->keep, i, both, n);
	return result < 0 ? result : 0;
}

static int errors_record(void *stat, const struct stat_record *rec)
{
	struct errors *s = stat;
	struct ft_reader r = ft_reader_init(rec->body, rec->bytes), body;

	if (rec->hdr->type != FT_REC_ERROR && rec->hdr->type != FT_REC_ERROR_TEXT)
		return 0;
	struct row *row = (struct row *)keep_row(&s->rows, rec->hdr->row, &s->set);
	if (row == NULL)
		return -ENOMEM;
	while (ft_entry_next(&r, &body)) {
		struct ft_error_text text;
		struct ft_error x;
		int result = -EBADMSG;
		if (rec->hdr->type == FT_REC_ERROR && ft_error_read(&body, &x))
			result = add(row, &x);
		else if (rec->hdr->type == FT_REC_ERROR_TEXT && ft_error_text_read(&body, &text))
			result = add_text(s, row, &text);
		if (result != 0)
			return result;
	}
	return r.bad ? -EBADMSG : 0;
}

static uint64_t errors_first_row(const void *stat)
{
	const struct errors *s = stat;
	const struct stat_row *r = s->rows;

	while (r != NULL && r->number < s->closed_end)
		r = r->next;
	return rows_first(r);
}

static void row_each(const struct keep *k, void (*each)(void *ctx, const struct error_row *x),
		     void *ctx)
{
	for (size_t n = 0; n < k->n; n++) {
		const struct item *i = keep_at(k, n);
		const uint8_t *names = keep_text(k, i) + 1;
		if (i->keep.text_bytes == 0)
			continue; /* lost with a block, to a full ring */
		const struct error_row x = {
		    .text = {.key = i->keep.key,
			     .rcode = i->rcode,
			     .qtype = i->qtype,
			     .qclass = i->qclass,
			     .what = i->what,
			     .qname_len = i->qname_len,
			     .soa_len = i->soa_len,
			     .server = i->server,
			     .qname = names,
			     .soa = names + i->qname_len},
		    .time_us = i->time_us,
		    .count = i->count,
		    .clients = handful_count(&i->clients),
		    .client_set = &i->clients,
		};
		each(ctx, &x);
	}
}

void errors_each(const void *stat, uint64_t row, void (*each)(void *ctx, const struct error_row *x),
		 void *ctx)
{
	const struct keep *k = rows_find(((const struct errors *)stat)->rows, row);

	if (k != NULL)
		row_each(k, each, ctx);
}

uint64_t errors_total(const void *stat, uint64_t row, uint64_t *left_out)
{
	const struct row *r =
	    (const struct row *)rows_find(((const struct errors *)stat)->rows, row);
	uint64_t count = 0;

	*left_out = 0;
	for (unsigned i = 0; r != NULL && i < FT_VANTAGE_CAP * SETS; i++) {
		count += r->total[i / SETS][i % SETS].count;
		*left_out += r->total[i / SETS][i % SETS].left_out;
	}
	return count;
}

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

/* Null for no name. */
static void set_name(json_t *o, const char *key, const uint8_t *name, uint32_t n, bool fold)
{
	uint8_t folded[FT_NAME_CAP];
	char text[NAME_TEXT_CAP];

	if (n == 0) {
		json_object_set_new(o, key, json_null());
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		folded[i] = fold && name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 32 : name[i];
	(void)name_text(folded, n, text, true);
	json_object_set_new(o, key, json_string(text));
}

static void set_class(json_t *o, uint16_t qclass)
{
	static const char *const texts[] = {
	    [1] = "IN", [3] = "CH", [4] = "HS", [254] = "NONE", [255] = "ANY"};
	char text[16];

	if (qclass < sizeof(texts) / sizeof(*texts) && texts[qclass] != NULL)
		(void)snprintf(text, sizeof(text), "%s", texts[qclass]);
	else /* RFC 3597 section 5 */
		(void)snprintf(text, sizeof(text), "CLASS%u", qclass);
	json_object_set_new(o, "qclass", json_string(text));
}

uint32_t errors_nx_cut(const struct ft_error_text *x, const uint8_t **name)
{
	uint32_t at = 0, cut = 0;

	if (set_of(x->what) != 0 || x->soa_len == 0 || x->soa_len >= x->qname_len)
		return 0;
	while (at < (uint32_t)x->qname_len - x->soa_len) {
		cut = at;
		at += x->qname[at] + 1u;
	}
	if (at != (uint32_t)x->qname_len - x->soa_len)
		return 0;
	for (uint32_t i = 0; i < x->soa_len; i++) {
		const uint8_t a = x->qname[at + i], b = x->soa[i];
		if (a != b && ((a ^ b) != 32 || (a | 32) < 'a' || (a | 32) > 'z'))
			return 0;
	}
	*name = x->qname + cut;
	return x->qname_len - cut;
}

static void set_nx_cut(json_t *o, const struct ft_error_text *x)
{
	const uint8_t *cut = NULL;
	const uint32_t n = errors_nx_cut(x, &cut);

	set_name(o, "nx_cut", cut, n, true);
}

static const char *class_text(const struct ft_error_text *x)
{
	if ((x->what & FT_ERROR_TIMEOUT) != 0)
		return ft_class_texts[FT_CLASS_TIMEOUT];
	switch (x->rcode) {
	case FT_RCODE_FORMERR: return ft_class_texts[FT_CLASS_FORMERR];
	case FT_RCODE_SERVFAIL: return ft_class_texts[FT_CLASS_SERVFAIL];
	case FT_RCODE_NOTIMP: return ft_class_texts[FT_CLASS_NOTIMP];
	case FT_RCODE_REFUSED: return ft_class_texts[FT_CLASS_REFUSED];
	case FT_RCODE_BADVERS: return ft_class_texts[FT_CLASS_BADVERS];
	case FT_RCODE_BADCOOKIE: return ft_class_texts[FT_CLASS_BADCOOKIE];
	default: return ft_class_texts[FT_CLASS_OTHER];
	}
}

/* The interval that is written, for the calls below. */
struct writing {
	const struct errors *stat;
	const struct stat_interval *in;
};

static json_t *begin_record(const struct writing *w, unsigned set, unsigned vantage)
{
	return envelope_create(set == 0 ? "nxdomain" : "dnserror", w->stat->run->probe,
			       ft_vantage_texts[vantage], w->in->start_s, w->in->end_s, 1,
			       w->in->loss_ppm);
}

static void end_record(const struct writing *w, unsigned set, json_t *o)
{
	w->stat->run->write(w->stat->run->ctx, set == 0 ? "nxdomain" : "dnserror", w->in->start_s,
			    o);
}

static void write_row(void *ctx, const struct error_row *x)
{
	const struct writing *w = ctx;
	const struct ft_error_text *t = &x->text;
	const unsigned set = set_of(t->what);
	const bool timeout = (t->what & FT_ERROR_TIMEOUT) != 0;
	json_t *o = begin_record(w, set, t->what & FT_ERROR_VANTAGE);
	char text[INET6_ADDRSTRLEN];

	set_name(o, "qname", t->qname, t->qname_len, true);
	set_name(o, "qname_raw", t->qname, t->qname_len, false);
	json_object_set_new(o, "qtype", json_string(ft_qtype_text(t->qtype, text, sizeof(text))));
	set_class(o, t->qclass);
	json_object_set_new(o, "response_ip",
			    json_string(inet_ntop((t->what & FT_ERROR_V6) != 0 ? AF_INET6 : AF_INET,
						  t->server, text, sizeof(text))));
	set_name(o, "soa_rrname_raw", t->soa, t->soa_len, false);
	json_object_set_new(o, "response_us",
			    timeout ? json_null() : json_integer((json_int_t)x->time_us));
	set_count(o, "count", x->count);
	set_count(o, "clients", x->clients);
	set_nx_cut(o, t);
	if (set != 0) {
		json_object_set_new(o, "rcode",
				    timeout
					? json_null()
					: json_string(ft_rcode_text(t->rcode, text, sizeof(text))));
		json_object_set_new(o, "class", json_string(class_text(t)));
	}
	end_record(w, set, o);
}

static void write_left_out(const struct writing *w, const struct row *r)
{
	for (unsigned i = 0; i < FT_VANTAGE_CAP * SETS; i++) {
		const unsigned vantage = i / SETS, set = i % SETS;
		if (r->total[vantage][set].left_out == 0)
			continue;
		json_t *o = begin_record(w, set, vantage);
		json_object_set_new(o, "kind", json_string("ALL"));
		set_count(o, "count", r->total[vantage][set].count);
		set_count(o, "left_out", r->total[vantage][set].left_out);
		end_record(w, set, o);
	}
}

static void errors_close(void *stat, struct stat_interval *in)
{
	struct errors *s = stat;
	struct writing w = {.stat = s, .in = in};

	/* A closed row stays for those behind in the list; it goes with the next one. */
	while (s->closed_end > rows_first(s->rows))
		keep_pop(&s->rows);
	s->closed_end = in->row + 1;
	in->errors = s;
	if (!rows_is_first(s->rows, in->row))
		return;
	row_each((const struct keep *)s->rows, write_row, &w);
	write_left_out(&w, (const struct row *)s->rows);
}

const struct stat_ops stat_errors = {
    .set = "dnserror",
    .create = errors_create,
    .record = errors_record,
    .first_row = errors_first_row,
    .close = errors_close,
    .destroy = errors_destroy,
};
