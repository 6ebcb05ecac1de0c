/* SPDX-License-Identifier: BSD-3-Clause */
/* Set `integrity`: changes of watched RRsets and their ends, and how well they were seen.
 *
 * Observations of an interval wait until it closes, are laid in order of time and go
 * through the state of their RRset and side (integrity_state.h): no order between workers
 * shows. What cannot be kept of an interval is counted. Control's thread. */
#include "integrity.h"

#include "../../dataplane/name.h"
#include "../../dataplane/name_text.h"
#include "../envelope.h"
#include "../keyed_merge.h"
#include "../lookups.h"
#include "../rules.h"
#include "integrity_rows.h"
#include "integrity_state.h"

#include <fluxtap/rec_integrity.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DAY_S 86400u
#define DAY_US (DAY_S * 1000000ull)
#define SLOT_US 300000000ull
#define SLOTS 288u
#define HOSTS_CAP 65536u /* addresses of name servers */
#define NO_ZONE SIZE_MAX
#define STATE_MAGIC 0x3159544947544e49ull /* "INTGITY1" */

static const char *const state_texts[] = {"SUSPECT", "CHANGED", "REVERTED", "ACCEPTED"};
static const char *const auth_texts[] = {"AUTHORISED", "UNAUTHORISED", "UNKNOWN"};
static const char *const class_texts[] = {NULL, "POISON_SUSPECT", "DELEGATION_HIJACK", "ZONE_EDIT"};
#define X(n, s) s,
static const char *const flag_texts[] = {INTEGRITY_FLAGS(X)};
#undef X

enum { CHILD, PARENT, SIDES };

/* How well an RRset was seen in a UTC day. */
struct cover {
	uint64_t observations, by_vantage[FT_VANTAGE_CAP];
	uint64_t slots[(SLOTS + 63) / 64];
};

struct watched {
	const struct watch_entry *entry; /* in the list, as of the last interval that closed */
	uint64_t key;                    /* keyed hash of the owner */
	uint16_t qtype;
	size_t zone, ds; /* the entries of the NS and DS of its zone, or NO_ZONE */
	bool made[SIDES];
	struct integrity_machine side[SIDES];
	struct cover cover;
	uint64_t last_auth_us; /* 0: never */
};

struct host {
	uint64_t key; /* of its name */
	uint8_t addr[16];
};

struct integrity {
	const struct stat_run *run;
	const struct watch_list *list; /* that `v` was made from, and its serial */
	uint32_t serial;
	struct watched *v; /* by key, then type */
	size_t n;
	struct stat_row *rows;
	struct host *host; /* rising */
	size_t hosts, hosts_room;
	uint64_t begin_us, end_us; /* of the first interval, of the last one */
	uint64_t day;              /* since 1970 and 1; 0: none yet */
	uint64_t day_left_out, day_loss_ppm;
	bool failed; /* no memory: said once */
	_Atomic uint64_t alarms;
	struct stat_interval *in; /* being closed */
	const struct watched *telling;
};

uint64_t integrity_alarms(const void *stat)
{
	return atomic_load_explicit(&((const struct integrity *)stat)->alarms,
				    memory_order_relaxed);
}

/* --- life --- */

static void watched_fini(struct watched *w)
{
	for (unsigned i = 0; i < SIDES; i++)
		if (w->made[i])
			integrity_machine_fini(&w->side[i]);
}

static void integrity_destroy_stat(void *stat)
{
	struct integrity *s = stat;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		watched_fini(&s->v[i]);
	while (s->rows != NULL)
		integrity_row_free(rows_pop(&s->rows));
	free(s->v);
	free(s->host);
	free(s);
}

static void *integrity_create_stat(const struct stat_run *run)
{
	struct integrity *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->run = run;
	return s;
}

static int integrity_record(void *stat, const struct stat_record *rec)
{
	struct integrity *s = stat;

	if (rec->hdr->type < FT_REC_INTEGRITY || rec->hdr->type > FT_REC_INTEGRITY_ADDR)
		return 0;
	return integrity_rows_add(&s->rows, s->run->sample_key, rec);
}

static uint64_t integrity_first_row(const void *stat)
{
	return rows_first(((const struct integrity *)stat)->rows);
}

/* --- the list --- */

static int order_watched(const void *left, const void *right)
{
	const struct watched *a = left, *b = right;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return (a->qtype > b->qtype) - (a->qtype < b->qtype);
}

static struct watched *find(struct watched *v, size_t n, uint64_t key, uint16_t qtype)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		const size_t mid = (lo + hi) / 2;
		if (v[mid].key < key || (v[mid].key == key && v[mid].qtype < qtype))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && v[lo].key == key && v[lo].qtype == qtype ? &v[lo] : NULL;
}

/* The nearest entry of a type at or above the owner. */
static size_t find_zone(const struct integrity *s, const struct watch_entry *e, uint16_t qtype)
{
	for (uint32_t at = 0;; at += e->owner[at] + 1u) {
		const uint64_t key = name_hash(e->owner + at, e->owner_len - at, s->run->name_seed);
		const struct watched *w = find(s->v, s->n, key, qtype);
		if (w != NULL)
			return (size_t)(w - s->v);
		if (e->owner[at] == 0)
			return NO_ZONE;
	}
}

static uint64_t learn_until(const struct integrity *s, uint64_t now_us)
{
	/* A line that came later is learned from then on. */
	return (s->n == 0 ? s->begin_us : now_us) + INTEGRITY_LEARN_US;
}

/* Takes over the list of the generation that holds; what was there goes on. */
static int adopt(struct integrity *s, uint64_t now_us)
{
	const struct watch_list *list = s->run->rules != NULL ? rules_watch(s->run->rules) : NULL;
	const size_t n = list != NULL ? list->n : 0;
	const uint64_t until_us = learn_until(s, now_us);

	/* The old list is gone by now: not a word of it is looked at. */
	if (list == NULL || list->serial == s->serial)
		return 0;
	struct watched *v = calloc(n + 1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		v[i].entry = &list->v[i];
		v[i].qtype = list->v[i].qtype;
		v[i].key = name_hash(list->v[i].owner, list->v[i].owner_len, s->run->name_seed);
	}
	qsort(v, n, sizeof(*v), order_watched);
	for (size_t i = 0; i < n; i++) {
		const struct watch_entry *e = v[i].entry;
		struct watched *old = find(s->v, s->n, v[i].key, e->qtype);
		if (old != NULL) {
			v[i] = *old;
			v[i].entry = e;
			memset(old->made, 0, sizeof(old->made));
			for (unsigned k = 0; k < SIDES; k++) /* they point into themselves */
				v[i].side[k].notes_end = &v[i].side[k].notes;
		}
		for (unsigned k = 0; k < SIDES; k++) {
			if (!v[i].made[k])
				integrity_machine_init(&v[i].side[k], e->qtype, k == PARENT,
						       until_us);
			v[i].made[k] = true;
			integrity_machine_config(&v[i].side[k], e);
		}
	}
	for (size_t i = 0; i < s->n; i++)
		watched_fini(&s->v[i]);
	free(s->v);
	s->v = v;
	s->n = n;
	s->list = list;
	s->serial = list->serial;
	for (size_t i = 0; i < n; i++) {
		v[i].zone = find_zone(s, v[i].entry, FT_QTYPE_NS);
		v[i].ds = find_zone(s, v[i].entry, FT_QTYPE_DS);
	}
	return 0;
}

/* --- addresses of name servers --- */

static int order_host(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct host));
}

static size_t host_place(const struct integrity *s, const struct host *h)
{
	size_t lo = 0, hi = s->hosts;

	while (lo < hi) {
		const size_t mid = (lo + hi) / 2;
		if (order_host(&s->host[mid], h) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int host_add(struct integrity *s, uint64_t key, const uint8_t *addr)
{
	struct host h = {.key = key};

	memcpy(h.addr, addr, sizeof(h.addr));
	const size_t at = host_place(s, &h);
	if ((at < s->hosts && order_host(&s->host[at], &h) == 0) || s->hosts == HOSTS_CAP)
		return 0;
	if (s->hosts == s->hosts_room) {
		const size_t room = s->hosts_room != 0 ? 2 * s->hosts_room : 64;
		struct host *v = realloc(s->host, room * sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		s->host = v;
		s->hosts_room = room;
	}
	memmove(s->host + at + 1, s->host + at, (s->hosts - at) * sizeof(h));
	s->host[at] = h;
	s->hosts++;
	return 0;
}

/* Addresses that a set of A or AAAA gives its owner. */
static int host_add_set(struct integrity *s, uint64_t key, uint16_t qtype, const struct rdset *set)
{
	struct rdata r;
	int result = 0;

	if (qtype != FT_QTYPE_A && qtype != FT_QTYPE_AAAA)
		return 0;
	for (uint32_t at = 0; result == 0 && rdset_next(set, &at, &r);) {
		uint8_t addr[16] = {[10] = 0xff, [11] = 0xff};
		if (r.len == 4)
			memcpy(addr + 12, r.data, 4);
		else if (r.len == 16)
			memcpy(addr, r.data, 16);
		else
			continue;
		result = host_add(s, key, addr);
	}
	return result;
}

/* Looks for a server among the hosts of a set; *whole: each host has an address. */
static bool set_has_server(const struct integrity *s, const struct rdset *ns, const uint8_t *server,
			   bool *whole)
{
	struct rdata r;

	for (uint32_t at = 0; rdset_next(ns, &at, &r);) {
		struct host h = {.key = name_hash(r.data, r.len, s->run->name_seed)};
		size_t i = host_place(s, &h);
		*whole &= i < s->hosts && s->host[i].key == h.key;
		for (; i < s->hosts && s->host[i].key == h.key; i++)
			if (memcmp(s->host[i].addr, server, 16) == 0)
				return true;
	}
	return false;
}

/* Whether a server may speak for the zone: one of the baseline's or the current set's; any,
 * where these or their addresses are not known. */
static bool is_known_server(const struct integrity *s, const struct watched *w,
			    const uint8_t *server)
{
	bool whole = true, any = false;

	if (w->zone == NO_ZONE || w->entry->qtype == FT_QTYPE_DS)
		return true;
	const struct watched *z = &s->v[w->zone];
	for (unsigned k = 0; k < SIDES; k++) {
		const struct integrity_machine *m = &z->side[k];
		const struct rdset *sets[2 + INTEGRITY_CANDIDATES] = {&m->base, &m->all};
		unsigned n = 2;
		for (unsigned i = 0; i < INTEGRITY_CANDIDATES; i++)
			if (m->candidate[i] != NULL && m->candidate[i]->by.seen != 0)
				sets[n++] = &m->candidate[i]->set;
		for (unsigned i = 0; i < n; i++) {
			any |= sets[i]->bytes != 0;
			if (set_has_server(s, sets[i], server, &whole))
				return true;
		}
	}
	return !any || !whole;
}

/* --- an interval --- */

static void cover_one(struct watched *w, const struct ft_integrity *x, uint64_t t_us,
		      uint64_t count, bool auth)
{
	w->cover.observations += count;
	w->cover.by_vantage[x->what & FT_INTEGRITY_VANTAGE] += count;
	if (!auth)
		return;
	const uint64_t slot = t_us % DAY_US / SLOT_US;
	w->cover.slots[slot / 64] |= 1ull << slot % 64;
	w->last_auth_us = t_us > w->last_auth_us ? t_us : w->last_auth_us;
}

static uint64_t hash_addr(const struct integrity *s, const uint8_t *addr)
{
	return XXH3_64bits_withSeed(addr, 16, s->run->name_seed) | 1;
}

/* What is known of the zone's DS, for those below it. */
static void note_ds(struct integrity *s, struct watched *w, const struct ft_integrity *x,
		    const struct rdset *set)
{
	const int8_t ds = (x->facts & FT_INTEGRITY_DS) != 0      ? 1
			  : (x->facts & FT_INTEGRITY_NO_DS) != 0 ? 0
								 : -1;

	if (ds >= 0 && w->entry->qtype == FT_QTYPE_NS)
		w->side[CHILD].ds = w->side[PARENT].ds = ds;
	int8_t known = -1;
	if (w->zone != NO_ZONE)
		known = s->v[w->zone].side[PARENT].ds;
	if (w->ds != NO_ZONE) {
		const struct integrity_machine *m = &s->v[w->ds].side[PARENT];
		if (m->observed || m->known)
			known = (m->changed ? m->shown.bytes : m->base.bytes) != 0;
	}
	if (w->qtype == FT_QTYPE_DS)
		known = set->bytes != 0;
	if (known >= 0)
		w->side[CHILD].ds = w->side[PARENT].ds = known;
}

static int see(struct integrity *s, const struct integrity_seen *o)
{
	const struct ft_integrity *x = o->x;
	struct watched *w = find(s->v, s->n, x->owner_key, x->qtype);
	const bool parent = (x->what & FT_INTEGRITY_PARENT) != 0;

	if (w == NULL)
		return 0; /* not on the list any more */
	const bool own = (x->what & FT_INTEGRITY_VANTAGE) == FT_VANTAGE_AUTH;
	const bool referral = (x->what & FT_INTEGRITY_REFERRAL) != 0;
	const bool auth = referral || ((x->what & FT_INTEGRITY_AA) != 0 &&
				       (own || is_known_server(s, w, x->server)));
	note_ds(s, w, x, o->set);
	cover_one(w, x, o->t_us, o->count, auth);
	const struct integrity_event e = {
	    .t_us = o->t_us,
	    .client = auth ? hash_addr(s, x->client) : 0,
	    .server = hash_addr(s, x->server),
	    .set = o->set,
	    .count = o->count,
	    .ttl = x->ttl,
	    .rrsig_s = x->rrsig_s,
	    .facts = x->facts,
	    .vantage = x->what & FT_INTEGRITY_VANTAGE,
	    .cached = !auth,
	    .own = own && auth,
	};
	int result = integrity_machine_see(&w->side[parent ? PARENT : CHILD], w->entry, &e);
	if (result == 0 && auth)
		result = host_add_set(s, w->key, x->qtype, o->set);
	return result;
}

/* --- records --- */

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
	const struct watch_entry *e = w->entry;
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

static void tell(void *ctx, const struct integrity_machine *m, const struct integrity_note *n)
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
			    json_pack("{s:o, s:o, s:o}", "ds", known(m->ds), "ad", known(m->ad),
				      "rrsig", known(m->rrsig)));
	if (n->data && n->state == INTEGRITY_CHANGED && n->auth == INTEGRITY_UNAUTHORISED)
		say_alarm(s, o, n);
	s->run->write(s->run->ctx, "integrity", s->in->start_s, o);
}

static void write_cover(struct integrity *s, struct watched *w, uint64_t start_s, uint64_t now_us)
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

/* The day is over, or the input is. */
static void end_day(struct integrity *s, uint64_t now_us)
{
	const uint64_t start_s = (s->day - 1) * DAY_S;

	for (size_t i = 0; i < s->list->n; i++) { /* in the list's order: keys differ by run */
		const struct watch_entry *e = &s->list->v[i];
		struct watched *w = find(
		    s->v, s->n, name_hash(e->owner, e->owner_len, s->run->name_seed), e->qtype);
		if (w != NULL)
			write_cover(s, w, start_s, now_us);
	}
	s->day = s->day_left_out = s->day_loss_ppm = 0;
}

/* --- closing --- */

static bool parent_is_off(const struct integrity *s, const struct watched *w)
{
	return (w->zone != NO_ZONE && integrity_machine_is_off(&s->v[w->zone].side[PARENT])) ||
	       (w->ds != NO_ZONE && integrity_machine_is_off(&s->v[w->ds].side[PARENT]));
}

/* The end of the interval for all, in the list's order. */
static int step_all(struct integrity *s, uint64_t now_us)
{
	bool *off = calloc(s->n + 1, sizeof(*off));
	int result = off != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; off != NULL && i < s->n; i++)
		off[i] = parent_is_off(s, &s->v[i]);
	for (size_t i = 0; result == 0 && i < s->list->n; i++) {
		const struct watch_entry *e = &s->list->v[i];
		struct watched *w = find(
		    s->v, s->n, name_hash(e->owner, e->owner_len, s->run->name_seed), e->qtype);
		s->telling = w;
		for (unsigned k = 0; k < SIDES && w != NULL && result == 0; k++)
			result = integrity_machine_step(&w->side[k], w->entry, now_us,
							off[w - s->v], tell, s);
	}
	free(off);
	return result;
}

static int lay_row(struct integrity *s, struct integrity_row *r)
{
	const uint64_t empty_key = XXH3_64bits_withSeed("", 0, s->run->name_seed);
	struct integrity_seen *v = NULL;
	size_t n = 0;
	int result = 0;

	for (size_t i = 0; result == 0 && i < r->addrs; i++)
		result = host_add(s, r->addr[i].host_key, r->addr[i].addr);
	if (result == 0)
		result = integrity_row_lay(r, empty_key, &v, &n);
	for (size_t i = 0; result == 0 && i < n; i++)
		result = see(s, &v[i]);
	integrity_row_unlay(r, v);
	s->day_left_out += r->left_out;
	return result;
}

static void integrity_close(void *stat, struct stat_interval *in)
{
	struct integrity *s = stat;
	struct integrity_row *r = rows_is_first(s->rows, in->row) ? rows_pop(&s->rows) : NULL;
	const uint64_t now_us = in->end_s * 1000000;
	int result;

	if (s->begin_us == 0)
		s->begin_us = in->start_s * 1000000;
	s->in = in;
	s->end_us = now_us;
	result = adopt(s, in->start_s * 1000000);
	if (s->list == NULL || s->list->n == 0)
		goto done;
	if (s->day != 0 && s->day - 1 != in->start_s / DAY_S)
		end_day(s, s->day * DAY_US);
	s->day = in->start_s / DAY_S + 1;
	if (in->loss_ppm > s->day_loss_ppm)
		s->day_loss_ppm = in->loss_ppm;
	if (result == 0 && r != NULL)
		result = lay_row(s, r);
	if (result == 0)
		result = step_all(s, now_us);
	if (in->end_s % DAY_S == 0)
		end_day(s, now_us);
	if (result != 0 && !s->failed && s->run->alarm != NULL)
		s->run->alarm(s->run->ctx, "set integrity: not enough memory; changes of watched "
					   "names may go unseen");
	s->failed |= result != 0;
done:
	integrity_row_free(r);
	s->in = NULL;
}

static void integrity_end(void *stat)
{
	struct integrity *s = stat;

	if (s->day != 0 && adopt(s, s->end_us) == 0)
		end_day(s, s->end_us);
}

/* --- snapshots --- */

static int put(state_write_fn *write, void *ctx, uint64_t v)
{
	return write(ctx, &v, sizeof(v));
}

static int save_one(const struct watched *w, state_write_fn *write, void *ctx)
{
	const uint64_t head[] = {w->key, w->qtype, w->last_auth_us};
	int result = write(ctx, head, sizeof(head));

	if (result == 0)
		result = write(ctx, &w->cover, sizeof(w->cover));
	for (unsigned k = 0; k < SIDES && result == 0; k++)
		result = integrity_machine_save(&w->side[k], write, ctx);
	return result;
}

static int integrity_save(const void *stat, state_write_fn *write, void *ctx)
{
	const struct integrity *s = stat;
	const uint64_t head[] = {STATE_MAGIC,     s->begin_us, s->day, s->day_left_out,
				 s->day_loss_ppm, s->alarms,   s->n,   s->hosts};
	int result = write(ctx, head, sizeof(head));

	if (result == 0 && s->hosts != 0)
		result = write(ctx, s->host, s->hosts * sizeof(*s->host));
	for (size_t i = 0; i < s->n && result == 0; i++)
		result = save_one(&s->v[i], write, ctx);
	return result == 0 ? put(write, ctx, STATE_MAGIC) : result;
}

/* Into the RRset that it was of, or into nothing where that is not watched any more. */
static int load_one(struct integrity *s, state_read_fn *read, void *ctx)
{
	struct watched gone = {0};
	uint64_t head[3];
	int result = read(ctx, head, sizeof(head));

	if (result != 0)
		return result;
	struct watched *w =
	    head[1] <= UINT16_MAX ? find(s->v, s->n, head[0], (uint16_t)head[1]) : NULL;
	if (w == NULL)
		w = &gone;
	w->last_auth_us = head[2];
	result = read(ctx, &w->cover, sizeof(w->cover));
	for (unsigned k = 0; k < SIDES && result == 0; k++) {
		if (w->made[k])
			integrity_machine_fini(&w->side[k]);
		integrity_machine_init(&w->side[k], (uint16_t)head[1], k == PARENT, 0);
		w->made[k] = true;
		result = integrity_machine_load(&w->side[k], read, ctx);
		if (result == 0 && w != &gone)
			integrity_machine_config(&w->side[k], w->entry);
	}
	if (w == &gone)
		watched_fini(&gone);
	return result;
}

static int integrity_load(void *stat, state_read_fn *read, void *ctx)
{
	struct integrity *s = stat;
	uint64_t head[8], tail = 0;
	int result = read(ctx, head, sizeof(head));

	if (result != 0 || head[0] != STATE_MAGIC || head[7] > HOSTS_CAP || head[6] > UINT32_MAX)
		return result != 0 ? result : -EBADMSG;
	result = adopt(s, head[1]);
	if (result != 0)
		return result;
	for (uint64_t i = 0; i < head[7] && result == 0; i++) {
		struct host h;
		result = read(ctx, &h, sizeof(h));
		if (result == 0)
			result = host_add(s, h.key, h.addr);
	}
	for (uint64_t i = 0; i < head[6] && result == 0; i++)
		result = load_one(s, read, ctx);
	if (result == 0)
		result = read(ctx, &tail, sizeof(tail));
	if (result == 0 && tail != STATE_MAGIC)
		result = -EBADMSG;
	if (result != 0) { /* nothing unsound: all anew */
		for (size_t i = 0; i < s->n; i++)
			watched_fini(&s->v[i]);
		s->n = s->hosts = 0;
		s->list = NULL;
		s->serial = 0;
		return result;
	}
	s->begin_us = head[1];
	s->day = head[2];
	s->day_left_out = head[3];
	s->day_loss_ppm = head[4];
	atomic_store_explicit(&s->alarms, head[5], memory_order_relaxed);
	return 0;
}

const struct stat_ops stat_integrity = {
    .set = "integrity",
    .create = integrity_create_stat,
    .record = integrity_record,
    .first_row = integrity_first_row,
    .close = integrity_close,
    .end = integrity_end,
    .destroy = integrity_destroy_stat,
    .state = "integrity",
    .save = integrity_save,
    .load = integrity_load,
};
