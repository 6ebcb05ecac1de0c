/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_ip_state.h"

#include "../../dataplane/sketch.h"
#include "../envelope.h"
#include "../field.h"
#include "flux_ns.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHARED_DOMAINS 1000u
#define SATURATED_EPOCHS 20u
#define TTL_CAP_S 1800u
#define SAMPLE_CAP 8u

static bool is_shared(const struct flux_ip *s, const struct flux_owner *o)
{
	const struct keep *nets = (const struct keep *)s->nets;
	const struct flux_addr *a = flux_owner_addrs(o);
	unsigned shared = 0;

	for (unsigned i = 0; nets != NULL && i < o->n.addr; i++) {
		const struct flux_net *net = keep_find(nets, flux_ip_net_key(o, &a[i]));
		shared += net != NULL && hll_count(net->reg, NET_P) > SHARED_DOMAINS + 1;
	}
	return 2 * shared > o->n.addr;
}

/* In the order in which they are looked at; NULL: nothing speaks for a content network. */
static const char *suppressed_by(const struct flux_ip *s, const struct flux_owner *o,
				 const struct flux_facts *f)
{
	if (flux_ip_is_gated(o))
		return "ttl";
	if (s->run->lookups != NULL && s->run->lookups->cdn != NULL &&
	    cdn_has(s->run->lookups->cdn, o->name, o->name_len))
		return "cdn_list";
	if (10 * f->top_count >= 8 * f->n_a)
		return "top_asn";
	if (10 * f->n_a < 13 * f->half && o->epochs >= SATURATED_EPOCHS)
		return "saturated";
	if (f->static_views >= 3)
		return "geo";
	return is_shared(s, o) ? "shared" : NULL;
}

static bool is_flux(const struct flux_ip *s, const struct flux_owner *o, const struct flux_facts *f)
{
	return o->f_milli > FLUX_HOLZ_MILLI && suppressed_by(s, o, f) == NULL &&
	       f->ttl_med <= TTL_CAP_S && f->n_16 >= 5 && 10 * f->n_a >= 13 * f->half &&
	       2 * f->top_count < f->n_a;
}

/* To three decimals. */
static void set_real(json_t *o, const char *key, double x)
{
	json_object_set_new(o, key, json_real(round(x * 1000) / 1000));
}

static int compare_addrs(const void *a, const void *b)
{
	const struct flux_addr *x = a, *y = b;

	if (x->hi != y->hi)
		return x->hi < y->hi ? -1 : 1;
	return (x->lo > y->lo) - (x->lo < y->lo);
}

/* The lowest ones; of IPv6 the /64. */
static json_t *sample_addrs(const struct flux_owner *o)
{
	struct flux_addr all[FLUX_ADDRS_CAP];
	json_t *list = json_array();
	char text[INET6_ADDRSTRLEN + 4];

	memcpy(all, flux_owner_addrs(o), o->n.addr * sizeof(*all));
	qsort(all, o->n.addr, sizeof(*all), compare_addrs);
	for (unsigned i = 0; i < o->n.addr && i < SAMPLE_CAP; i++) {
		const uint32_t v6[4] = {htonl(all[i].hi), htonl(all[i].lo)}, v4 = htonl(all[i].lo);
		const bool is_v6 = flux_owner_is_v6(o);
		(void)inet_ntop(is_v6 ? AF_INET6 : AF_INET, is_v6 ? v6 : &v4, text,
				INET6_ADDRSTRLEN);
		if (is_v6)
			(void)strcat(text, "/64");
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static void set_asn(const struct flux_ip *s, json_t *r, const struct flux_facts *f)
{
	const bool known = flux_ip_has_asn(s);

	json_object_set_new(r, "asn_missing", json_boolean(!known));
	json_object_set_new(r, "n_asn", known ? json_integer(f->n_asn) : json_null());
	json_object_set_new(r, "top_asn",
			    known && f->top_asn != 0 ? json_integer(f->top_asn) : json_null());
	/* Without systems: of the commonest /16. */
	set_real(r, "top_asn_share", f->n_a != 0 ? (double)f->top_count / f->n_a : 0);
}

static void set_scores(json_t *r, const struct flux_owner *o, const struct flux_facts *f)
{
	json_t *ttl = json_object();

	field_count(r, "n_a", f->n_a);
	field_count(r, "n_24", f->n_24);
	field_count(r, "n_16", f->n_16);
	field_count(r, "n_single", o->single);
	set_real(r, "phi", o->single != 0 ? (double)f->n_a / o->single : 0);
	set_real(r, "f_holz", o->f_milli / 1000.0);
	set_real(r, "s_zeek", o->s_zeek);
	if (f->churn >= 0)
		set_real(r, "churn", f->churn);
	else
		json_object_set_new(r, "churn", json_null());
	set_real(r, "growth", f->half != 0 ? (double)f->n_a / f->half : 1);
	field_count(ttl, "min", o->ttl_min);
	field_count(ttl, "med", f->ttl_med);
	field_count(ttl, "max", o->ttl_max);
	field_count(ttl, "changes", o->ttl_changes);
	json_object_set_new(r, "ttl", ttl);
	field_count(r, "views", f->views);
	field_count(r, "epochs", o->epochs);
}

void flux_ip_write(struct flux_ip *s, const struct flux_owner *o, bool onset)
{
	const struct flux_day *d = (const struct flux_day *)s->days;
	const uint64_t day_s = d->keep.head.number * DAY_S;
	const uint64_t start_s = onset ? s->in->start_s : day_s;
	const unsigned vantage = (o->what & FT_RRSET_VANTAGE) >> FT_RRSET_VANTAGE_SHIFT;
	struct flux_facts f;

	flux_owner_facts(o, flux_ip_has_asn(s), &f);
	const char *why = suppressed_by(s, o, &f);
	const bool flux = is_flux(s, o, &f);
	json_t *r = envelope_create("flux", s->run->probe, ft_vantage_texts[vantage], start_s,
				    d->end_s, 1, d->loss_ppm);
	json_object_set_new(r, "kind", json_string("ip"));
	json_object_set_new(r, "state", json_string(onset ? "onset" : "day"));
	field_name(r, "owner", o->name, o->name_len);
	json_object_set_new(r, "type", json_string(flux_owner_is_v6(o) ? "AAAA" : "A"));
	json_object_set_new(r, "class", flux ? json_string("FLUX") : json_null());
	json_object_set_new(r, "double_flux",
			    json_boolean(flux && s->ns != NULL &&
					 flux_ns_is_fluxing(s->ns, o->name, o->name_len, !onset)));
	json_object_set_new(r, "suppressed_by", why != NULL ? json_string(why) : json_null());
	set_scores(r, o, &f);
	set_asn(s, r, &f);
	field_count(r, "first_us", (day_s + o->first_s) * 1000000);
	field_count(r, "last_us", (day_s + o->last_s) * 1000000);
	json_object_set_new(r, "sample_addrs", sample_addrs(o));
	json_object_set_new(r, "cut", json_boolean((o->flags & FLUX_CUT) != 0));
	if (!onset && state_gap_of(s->run->gap, d->keep.head.number) != 0)
		field_count(r, "gap_s", state_gap_of(s->run->gap, d->keep.head.number));
	s->run->write(s->run->ctx, "flux", start_s, r);
}

void flux_ip_write_left_out(struct flux_ip *s, const struct flux_day *d)
{
	if (d->left_out == 0 && d->lost == 0)
		return;
	json_t *r = envelope_create("flux", s->run->probe, "ALL", d->keep.head.number * DAY_S,
				    d->end_s, 1, d->loss_ppm);
	json_object_set_new(r, "kind", json_string("ALL"));
	json_object_set_new(r, "of", json_string("ip"));
	field_count(r, "owners", d->owners);
	field_count(r, "left_out", d->left_out);
	field_count(r, "lost", d->lost);
	s->run->write(s->run->ctx, "flux", d->keep.head.number * DAY_S, r);
}
