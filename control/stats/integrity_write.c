/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of set `integrity`, and the log line of an alarm. */
#include "../../dataplane/name_text.h"
#include "../envelope.h"
#include "../lookups.h"
#include "integrity_stat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_texts[] = {"SUSPECT", "CHANGED", "REVERTED", "ACCEPTED"};
static const char *const auth_texts[] = {"AUTHORISED", "UNAUTHORISED", "UNKNOWN"};
static const char *const class_texts[] = {NULL, "POISON_SUSPECT", "DELEGATION_HIJACK", "ZONE_EDIT"};
#define X(n, s) s,
static const char *const flag_texts[] = {INTEGRITY_FLAGS(X)};
#undef X

static void set_us(json_t *o, const char *key, uint64_t us)
{
	json_object_set_new(o, key, us != 0 ? json_integer((json_int_t)us) : json_null());
}

static void set_ttl(json_t *o, const char *key, uint32_t ttl)
{
	json_object_set_new(o, key, ttl != INTEGRITY_NO_TTL ? json_integer(ttl) : json_null());
}

static void set_text(json_t *o, const char *key, const char *text)
{
	json_object_set_new(o, key, text != NULL ? json_string(text) : json_null());
}

static json_t *known(int8_t v)
{
	return v < 0 ? json_null() : json_boolean(v != 0);
}

/* The begin of every record. */
static json_t *begin(const struct integrity *s, const struct watched *w, unsigned vantage,
		     uint64_t start_s, uint64_t end_s, uint64_t loss_ppm)
{
	const struct watchlist_entry *e = w->entry;
	const uint32_t off = lookups_domain_off(s->run->lookups, e->owner, e->owner_len);
	char text[NAME_TEXT_CAP];
	json_t *o = envelope_create("integrity", s->run->probe, ft_vantage_texts[vantage], start_s,
				    end_s, 1, loss_ppm);

	(void)name_text(e->owner + off, e->owner_len - off, text, true);
	json_object_set_new(o, "domain", json_string(text));
	(void)name_text(e->owner, e->owner_len, text, true);
	json_object_set_new(o, "owner", json_string(text));
	json_object_set_new(o, "type", json_string(ft_qtype_text(e->qtype, text, sizeof(text))));
	return o;
}

static json_t *flags_list(uint32_t flags)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < INTEGRITY_FLAG_CAP; i++)
		if ((flags >> i & 1) != 0)
			json_array_append_new(list, json_string(flag_texts[i]));
	return list;
}

static char *joined(json_t *list)
{
	char *text = json_array_size(list) != 0 ? json_dumps(list, JSON_COMPACT) : NULL;

	return text != NULL ? text : strdup("nothing");
}

/* The log line of an alarm. */
static void say_alarm(struct integrity *s, json_t *o, const struct integrity_note *n)
{
	char *old_set = joined(json_object_get(o, "old_set"));
	char *new_set = joined(json_object_get(o, "new_set"));
	const char *class = class_texts[n->class];
	char text[1024];

	atomic_fetch_add_explicit(&s->alarms, 1, memory_order_relaxed);
	(void)snprintf(
	    text, sizeof(text),
	    "UNAUTHORISED change of %s %s (%s): %.256s -> %.256s, seen by %u client%s at "
	    "%u server%s%s%s",
	    json_string_value(json_object_get(o, "owner")),
	    json_string_value(json_object_get(o, "type")),
	    json_string_value(json_object_get(o, "side")), old_set, new_set, n->clients,
	    n->clients == 1 ? "" : "s", n->servers, n->servers == 1 ? "" : "s",
	    class != NULL ? ", " : "", class != NULL ? class : "");
	if (s->run->alarm != NULL)
		s->run->alarm(s->run->ctx, text);
	free(old_set);
	free(new_set);
}

void integrity_tell(void *ctx, const struct integrity_machine *m, const struct integrity_note *n)
{
	struct integrity *s = ctx;
	const struct watched *w = s->telling;
	json_t *o = begin(s, w, n->vantage, s->in->start_s, s->in->end_s, s->in->loss_ppm);
	const uint16_t qtype = m->qtype;

	json_object_set_new(o, "side", json_string(m->parent ? "PARENT" : "CHILD"));
	json_object_set_new(o, "state", json_string(state_texts[n->state]));
	json_object_set_new(o, "old_set", rdset_texts(qtype, &n->old_set, NULL));
	json_object_set_new(o, "new_set", rdset_texts(qtype, &n->new_set, NULL));
	json_object_set_new(o, "added", rdset_texts(qtype, &n->new_set, &n->old_set));
	json_object_set_new(o, "removed", rdset_texts(qtype, &n->old_set, &n->new_set));
	set_ttl(o, "ttl_old", n->ttl_old);
	set_ttl(o, "ttl_new", n->ttl_new);
	set_us(o, "onset_lo_us", n->onset_lo_us);
	set_us(o, "onset_hi_us", n->onset_hi_us);
	set_us(o, "revert_lo_us", n->revert_lo_us);
	set_us(o, "revert_hi_us", n->revert_hi_us);
	json_object_set_new(o, "flags", flags_list(n->flags));
	json_object_set_new(o, "seen_by",
			    json_pack("{s:I, s:I}", "clients", (json_int_t)n->clients, "servers",
				      (json_int_t)n->servers));
	json_object_set_new(o, "auth", json_string(auth_texts[n->auth]));
	set_text(o, "class", class_texts[n->class]);
	json_object_set_new(o, "dnssec",
			    json_pack("{s:o, s:o, s:o, s:o}", "ds", known(m->ds), "ad",
				      known(m->ad), "rrsig", known(m->rrsig), "ede",
				      m->ede != 0 ? json_integer(m->ede - 1) : json_null()));
	if (n->data && n->state == INTEGRITY_CHANGED && n->auth == INTEGRITY_UNAUTHORISED)
		say_alarm(s, o, n);
	s->run->write(s->run->ctx, "integrity", s->in->start_s, o);
}

void integrity_write_cover(struct integrity *s, struct watched *w, uint64_t start_s,
			   uint64_t now_us)
{
	const struct cover *c = &w->cover;
	unsigned vantage = FT_VANTAGE_X, slots = 0;
	uint32_t ttl = 0;

	for (unsigned v = 0; v < FT_VANTAGE_CAP; v++)
		if (c->by_vantage[v] > c->by_vantage[vantage])
			vantage = v;
	for (size_t i = 0; i < sizeof(c->slots) / sizeof(*c->slots); i++)
		slots += (unsigned)__builtin_popcountll(c->slots[i]);
	for (unsigned k = 0; k < SIDES; k++)
		if (w->side[k].has_ttl && w->side[k].ttl > ttl)
			ttl = w->side[k].ttl;
	const uint64_t most_s = 3ull * ttl > 3600 ? 3ull * ttl : 3600;
	const uint64_t since_us = w->last_auth_us != 0 ? w->last_auth_us : s->begin_us;
	json_t *o = begin(s, w, vantage, start_s, start_s + DAY_S, s->day_loss_ppm);
	json_t *flags = json_array();
	if (now_us > since_us && now_us - since_us > most_s * 1000000)
		json_array_append_new(flags, json_string("STALE"));
	json_object_set_new(o, "kind", json_string("coverage"));
	json_object_set_new(o, "cov5", json_real((double)slots / SLOTS));
	set_us(o, "last_auth_us", w->last_auth_us);
	json_object_set_new(o, "observations", json_integer((json_int_t)c->observations));
	json_object_set_new(o, "left_out", json_integer((json_int_t)s->day_left_out));
	json_object_set_new(o, "flags", flags);
	s->run->write(s->run->ctx, "integrity", start_s, o);
	w->cover = (struct cover){0};
}
