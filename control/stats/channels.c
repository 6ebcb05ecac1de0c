/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets `nxdomain` and `dnserror`: the two error channels, a record for each distinct
 * (qname, qtype, qclass, response_ip, soa_rrname, rcode) of an interval and vantage
 * point, and of kind ALL what says how many transactions have none. Reads what `errors`
 * leaves in an interval. */
#include "../../dataplane/handful.h"
#include "../envelope.h"
#include "../field.h"
#include "errors.h"
#include "stat.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

struct channels {
	const struct stat_run *run;
};

static void *channels_create(const struct stat_run *run)
{
	struct channels *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->run = run;
	return s;
}

static void channels_destroy(void *stat)
{
	free(stat);
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

static void set_nx_cut(json_t *o, const struct ft_error_text *x)
{
	const uint8_t *cut = NULL;
	const uint32_t n = errors_nx_cut(x, &cut);

	field_name_folded(o, "nx_cut", cut, n);
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
	const struct stat_run *run;
	const struct stat_interval *in;
};

static json_t *begin_record(const struct writing *w, unsigned set, unsigned vantage)
{
	return envelope_create(set == 0 ? "nxdomain" : "dnserror", w->run->probe,
			       ft_vantage_texts[vantage], w->in->start_s, w->in->end_s, 1,
			       w->in->loss_ppm);
}

static void end_record(const struct writing *w, unsigned set, json_t *o)
{
	w->run->write(w->run->ctx, set == 0 ? "nxdomain" : "dnserror", w->in->start_s, o);
}

static void write_row(void *ctx, const struct error_row *x)
{
	const struct writing *w = ctx;
	const struct ft_error_text *t = &x->text;
	const unsigned set = errors_set_of(t->what);
	const bool timeout = (t->what & FT_ERROR_TIMEOUT) != 0;
	json_t *o = begin_record(w, set, t->what & FT_ERROR_VANTAGE);
	char text[INET6_ADDRSTRLEN];

	field_name_folded(o, "qname", t->qname, t->qname_len);
	field_name(o, "qname_raw", t->qname, t->qname_len);
	json_object_set_new(o, "qtype", json_string(ft_qtype_text(t->qtype, text, sizeof(text))));
	set_class(o, t->qclass);
	json_object_set_new(o, "response_ip",
			    json_string(inet_ntop((t->what & FT_ERROR_V6) != 0 ? AF_INET6 : AF_INET,
						  t->server, text, sizeof(text))));
	field_name(o, "soa_rrname_raw", t->soa, t->soa_len);
	json_object_set_new(o, "response_us",
			    timeout ? json_null() : json_integer((json_int_t)x->time_us));
	field_count(o, "count", x->count);
	field_count(o, "clients", x->clients);
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

static void write_left_out(const struct writing *w, const struct errors_totals *t)
{
	for (unsigned i = 0; i < FT_VANTAGE_CAP * ERRORS_SETS; i++) {
		const unsigned vantage = i / ERRORS_SETS, set = i % ERRORS_SETS;
		if (t->of[vantage][set].left_out == 0)
			continue;
		json_t *o = begin_record(w, set, vantage);
		json_object_set_new(o, "kind", json_string("ALL"));
		field_count(o, "count", t->of[vantage][set].count);
		field_count(o, "left_out", t->of[vantage][set].left_out);
		end_record(w, set, o);
	}
}

static void channels_close(void *stat, struct stat_interval *in)
{
	const struct channels *s = stat;
	struct writing w = {.run = s->run, .in = in};
	const struct errors_totals t = errors_totals_get(in->errors);

	errors_each(in->errors, write_row, &w);
	write_left_out(&w, &t);
}

const struct stat_ops stat_channels = {
    .set = "dnserror",
    .create = channels_create,
    .close = channels_close,
    .destroy = channels_destroy,
};
