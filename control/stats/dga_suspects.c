/* SPDX-License-Identifier: BSD-3-Clause */
#include "dga_suspects.h"

#include "../../dataplane/name_text.h"

#include <fluxtap/dns.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOTS (2u * SUSPECTS_CAP)

struct suspects {
	struct suspect *slot[SLOTS]; /* open addressing */
	size_t n;
	uint64_t left_out;
};

/* A name of the interval in the order of the test. */
struct seen {
	uint64_t hash;
	uint32_t second;
	uint8_t kind;
	const struct dga_name *name; /* NULL: not known */
};

struct suspects *suspects_create(void)
{
	return calloc(1, sizeof(struct suspects));
}

static void suspect_free(struct suspect *s)
{
	for (unsigned i = 0; i < s->samples; i++)
		free(s->sample[i]);
	free(s->c2);
	json_decref(s->c2_addresses);
	free(s);
}

void suspects_destroy(struct suspects *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		if (s->slot[i] != NULL)
			suspect_free(s->slot[i]);
	free(s);
}

size_t suspects_count(const struct suspects *s)
{
	return s->n;
}

uint64_t suspects_left_out(const struct suspects *s)
{
	return s->left_out;
}

static struct suspect **place_of(struct suspects *s, const uint8_t *key)
{
	size_t at = XXH3_64bits(key, SUSPECT_KEY_BYTES) % SLOTS;

	while (s->slot[at] != NULL && memcmp(s->slot[at]->key, key, SUSPECT_KEY_BYTES) != 0)
		at = (at + 1) % SLOTS;
	return &s->slot[at];
}

struct suspect *suspects_get(struct suspects *s, const uint8_t *key, bool make)
{
	struct suspect **place = place_of(s, key);

	if (*place != NULL || !make)
		return *place;
	if (s->n == SUSPECTS_CAP) {
		s->left_out++;
		return NULL;
	}
	*place = calloc(1, sizeof(**place));
	if (*place == NULL)
		return NULL;
	memcpy((*place)->key, key, SUSPECT_KEY_BYTES);
	s->n++;
	return *place;
}

struct suspect *suspects_next(const struct suspects *s, size_t *at)
{
	while (*at < SLOTS)
		if (s->slot[(*at)++] != NULL)
			return s->slot[*at - 1];
	return NULL;
}

void suspects_sweep(struct suspects *s, const struct dga_params *p, uint64_t now_s)
{
	struct suspect **kept = malloc((s->n + 1) * sizeof(struct suspect *));
	size_t n = 0;

	if (kept == NULL)
		return; /* the next time */
	for (size_t i = 0; i < SLOTS; i++) {
		struct suspect *x = s->slot[i];
		if (x == NULL)
			continue;
		if (dga_forget(&x->evidence, p, now_s) > 0 || x->alarm_s != 0)
			kept[n++] = x;
		else
			suspect_free(x);
	}
	memset(s->slot, 0, sizeof(s->slot));
	for (size_t i = 0; i < n; i++)
		*place_of(s, kept[i]->key) = kept[i];
	s->n = n;
	free(kept);
}

/* --- one client's interval --- */

static int order_names(const struct dga_name *a, const struct dga_name *b)
{
	if (a == NULL || b == NULL)
		return (a == NULL) - (b == NULL);
	const uint32_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
	const int d = memcmp(a->name, b->name, n);

	return d != 0 ? d : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

/* By time; within a second ordinary names first, so that hashes decide nothing. */
static int order_seen(const void *left, const void *right)
{
	const struct seen *a = left, *b = right;

	if (a->second != b->second)
		return a->second < b->second ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return order_names(a->name, b->name);
}

static bool is_known(const struct suspect *s, uint64_t hash, uint8_t kind)
{
	for (unsigned i = 0; i < s->n_known; i++)
		if (s->known[i].hash == hash && s->known[i].kind == kind)
			return true;
	return false;
}

static void put_sample(struct suspect *s, const struct dga_name *name)
{
	char text[NAME_TEXT_CAP];

	if (s->samples == SUSPECT_SAMPLES || name == NULL)
		return;
	(void)name_text(name->name, name->name_len, text, true);
	s->sample[s->samples] = strdup(text);
	s->samples += s->sample[s->samples] != NULL;
}

static void count_families(struct suspect *s, const struct dga_name *name)
{
	for (uint64_t left = name != NULL ? name->shapes : 0; left != 0; left &= left - 1)
		s->family[__builtin_ctzll(left)]++;
}

static void take_name(struct suspect *s, const struct dga_params *p, const struct seen *x,
		      uint64_t start_s)
{
	const uint64_t now_s = start_s + x->second;
	const bool made_up = x->kind == FT_NOTE_MADE_UP;

	if (s->nx++ == 0)
		s->first_s = now_s;
	s->last_s = now_s;
	if (made_up) {
		s->made_up++;
		put_sample(s, x->name);
		count_families(s, x->name);
	}
	const double llr = dga_learn(&s->evidence, p, now_s, made_up);
	/* Behind a resolver many clients are mixed: there the share has to speak, too. */
	const bool mixed = s->key[0] == FT_VANTAGE_AUTH || s->key[0] == FT_VANTAGE_R2A;
	if (llr >= p->alarm && s->alarm_s == 0 && (!mixed || 2 * s->made_up >= s->nx))
		s->alarm_s = now_s;
	if (llr == 0 && s->alarm_s == 0) { /* what comes begins anew */
		s->nx = s->made_up = 0;
		memset(s->family, 0, sizeof(s->family));
		while (s->samples != 0)
			free(s->sample[--s->samples]);
	}
}

static void put_c2(struct suspect *s, const struct dga_name *name)
{
	char text[NAME_TEXT_CAP], addr[INET6_ADDRSTRLEN];

	(void)name_text(name->name, name->name_len, text, true);
	s->c2 = strdup(text);
	s->c2_addresses = json_array();
	for (unsigned i = 0; i < name->addrs; i++)
		if (inet_ntop(name->v6[i] ? AF_INET6 : AF_INET, name->addr[i], addr,
			      sizeof(addr)) != NULL)
			json_array_append_new(s->c2_addresses, json_string(addr));
}

static bool take_answer(struct suspect *s, const struct seen *x, uint64_t start_s)
{
	const uint64_t now_s = start_s + x->second;

	if (s->alarm_s == 0 || s->c2 != NULL || x->name == NULL || now_s < s->alarm_s ||
	    now_s > s->alarm_s + SUSPECT_C2_S)
		return false;
	put_c2(s, x->name);
	return s->c2 != NULL;
}

/* Keeps the names of the latest seconds, whole seconds, as many as there is room for. */
static void remember(struct suspect *s, const struct seen *seen, size_t n, uint64_t start_s)
{
	size_t first = n;

	while (first > 0 && n - first < SUSPECT_NAMES)
		first--;
	while (first > 0 && first < n && seen[first].second == seen[first - 1].second)
		first++;
	const unsigned fresh = (unsigned)(n - first);
	unsigned kept = first == 0 ? s->n_known : 0; /* older ones only where all had room */
	if (kept > SUSPECT_NAMES - fresh) {
		unsigned skip = kept - (SUSPECT_NAMES - fresh);
		while (skip < kept && s->known[skip].second == s->known[skip - 1].second)
			skip++;
		memmove(s->known, s->known + skip, (kept - skip) * sizeof(*s->known));
		kept -= skip;
	}
	for (size_t i = first; i < n; i++) {
		s->known[kept].hash = seen[i].hash;
		s->known[kept].kind = seen[i].kind;
		s->known[kept++].second = start_s + seen[i].second;
	}
	s->n_known = kept;
}

bool suspect_learn(struct suspect *s, const struct dga_params *p, const struct diary_sum *sum,
		   const struct dga_names *names, uint64_t start_s)
{
	struct seen *seen =
	    sum->names != 0 && !sum->over ? malloc(sum->names * sizeof(*seen)) : NULL;
	size_t n = 0, fresh = 0;
	bool asked = false;

	if (seen == NULL)
		return false;
	for (uint32_t i = 0; i < sum->slots; i++) {
		const struct diary_name *x = &sum->name[i];
		if (x->kind == FT_NOTE_PLAIN)
			continue;
		seen[n++] = (struct seen){
		    .hash = x->hash,
		    .second = x->second,
		    .kind = x->kind,
		    .name = x->kind != FT_NOTE_MISSING ? dga_names_find(names, x->hash) : NULL};
	}
	if (n > 1)
		qsort(seen, n, sizeof(*seen), order_seen);
	for (size_t i = 0; i < n; i++) {
		if (seen[i].kind == FT_NOTE_ANSWERED) {
			asked |= take_answer(s, &seen[i], start_s);
			continue;
		}
		asked = true;
		if (!is_known(s, seen[i].hash, seen[i].kind)) {
			take_name(s, p, &seen[i], start_s);
			seen[fresh++] = seen[i];
		} else if (s->nx != 0 && start_s + seen[i].second > s->last_s) {
			s->last_s = start_s + seen[i].second;
		}
	}
	remember(s, seen, fresh, start_s);
	free(seen);
	return asked;
}
