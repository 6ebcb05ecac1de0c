/* SPDX-License-Identifier: BSD-3-Clause */
#include "flux_ns_state.h"

#include "../../dataplane/name.h"
#include "../../dataplane/name_text.h"
#include "../envelope.h"
#include "../field.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETS_SHOWN 8u
#define MEMBERS_SHOWN 8u

static void put_members(json_t *list, const struct moves *m, const struct moves_set *x)
{
	char text[NAME_TEXT_CAP];

	for (uint32_t i = 0, shown = 0; i < x->bytes && shown < MEMBERS_SHOWN; shown++) {
		const uint8_t *p = x->rdata + i;
		switch ((enum ft_rrset_type)(m->what & FT_RRSET_TYPE)) {
		case FT_RRSET_A:
			(void)inet_ntop(AF_INET, p, text, sizeof(text));
			i += 4;
			break;
		case FT_RRSET_AAAA:
			(void)inet_ntop(AF_INET6, p, text, sizeof(text));
			i += 16;
			break;
		default: (void)name_text(p + 1, *p, text, true); i += *p + 1u;
		}
		json_array_append_new(list, json_string(text));
	}
}

static int compare_sets(const void *a, const void *b)
{
	const struct moves_set *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	if (x->first_s != y->first_s)
		return x->first_s < y->first_s ? -1 : 1;
	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The commonest sets. */
static json_t *sets_json(const struct moves *m, uint64_t day_s)
{
	struct moves_set sorted[MOVES_SETS_CAP];
	json_t *list = json_array();
	char hash[20];

	memcpy(sorted, m->set, m->sets * sizeof(*sorted));
	qsort(sorted, m->sets, sizeof(*sorted), compare_sets);
	for (unsigned i = 0; i < m->sets && i < SETS_SHOWN; i++) {
		json_t *o = json_object(), *members = json_array();
		(void)snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)sorted[i].hash);
		json_object_set_new(o, "hash", json_string(hash));
		field_count(o, "count", sorted[i].count);
		field_count(o, "first_us", (day_s + sorted[i].first_s) * 1000000);
		field_count(o, "last_us", (day_s + sorted[i].last_s) * 1000000);
		put_members(members, m, &sorted[i]);
		json_object_set_new(o, "members", members);
		json_array_append_new(list, o);
	}
	return list;
}

/* Registered domains of the name servers; each counts once. */
static json_t *count_domains(const struct flux_ns *s, const struct moves *m)
{
	uint64_t list[FT_ENTRY_CAP];
	unsigned n = 0;

	if (!flux_ns_is_delegation(m))
		return json_null();
	for (unsigned i = 0; i < m->sets; i++) {
		const struct moves_set *x = &m->set[i];
		for (uint32_t k = 0; k < x->bytes; k += x->rdata[k] + 1u) {
			const uint8_t *name = x->rdata + k + 1;
			const uint32_t len = x->rdata[k];
			const uint32_t off = lookups_domain_off(s->run->lookups, name, len);
			const uint64_t h = name_sketch_hash(name + off, len - off, 0);
			unsigned at = 0;
			while (at < n && list[at] != h)
				at++;
			if (at == n && n < FT_ENTRY_CAP)
				list[n++] = h;
		}
	}
	return json_integer(n);
}

static const char *class_of(const struct moves *m, unsigned level)
{
	if (level == 0)
		return NULL;
	if (flux_ns_is_delegation(m))
		return "DELEG_FLUX";
	return level == 2 ? "NS_FLUX" : "NS_MOVE";
}

void flux_ns_write(struct flux_ns *s, const struct moves *m, bool onset)
{
	static const char *const types[] = {"A", "AAAA", "CNAME", "NS"};
	const struct ns_day *d = (const struct ns_day *)s->days;
	const uint64_t day_s = d->keep.head.number * DAY_S;
	const uint64_t start_s = onset ? s->in->start_s : day_s;
	const unsigned vantage = (m->what & FT_RRSET_VANTAGE) >> FT_RRSET_VANTAGE_SHIFT;
	const bool parent = (m->what & FT_RRSET_REFERRAL) != 0;
	json_t *r = envelope_create("flux", s->run->probe, ft_vantage_texts[vantage], start_s,
				    d->end_s, 1, d->loss_ppm);

	json_object_set_new(r, "kind", json_string("ns"));
	json_object_set_new(r, "state", json_string(onset ? "onset" : "day"));
	field_name(r, "owner", m->name, m->name_len);
	json_object_set_new(r, "type", json_string(types[m->what & FT_RRSET_TYPE]));
	json_object_set_new(r, "side", json_string(parent ? "PARENT" : "CHILD"));
	json_object_set_new(r, "class", json_string(class_of(m, flux_ns_level(m))));
	field_count(r, "n_changes", moves_changes(m));
	field_count(r, "views", parent ? 1 : m->views_seen);
	field_count(r, "ttl_min", m->ttl_min);
	field_count(r, "ttl_max", m->ttl_max);
	field_count(r, "first_us", (day_s + m->first_s) * 1000000);
	field_count(r, "last_us", (day_s + m->last_s) * 1000000);
	json_object_set_new(r, "ns_e2lds", count_domains(s, m));
	json_object_set_new(r, "double_flux", json_boolean(m->double_flux));
	json_object_set_new(r, "sets", sets_json(m, day_s));
	if (!onset && state_gap_of(s->run->gap, d->keep.head.number) != 0)
		field_count(r, "gap_s", state_gap_of(s->run->gap, d->keep.head.number));
	s->run->write(s->run->ctx, "flux", start_s, r);
}

void flux_ns_write_left_out(struct flux_ns *s, const struct ns_day *d)
{
	if (d->left_out == 0 && d->lost == 0)
		return;
	json_t *r = envelope_create("flux", s->run->probe, "ALL", d->keep.head.number * DAY_S,
				    d->end_s, 1, d->loss_ppm);
	json_object_set_new(r, "kind", json_string("ALL"));
	json_object_set_new(r, "of", json_string("ns"));
	field_count(r, "owners", d->entries);
	field_count(r, "left_out", d->left_out);
	field_count(r, "lost", d->lost);
	s->run->write(s->run->ctx, "flux", d->keep.head.number * DAY_S, r);
}
