/* SPDX-License-Identifier: BSD-3-Clause */
#include "match_spikes.h"

#include "../envelope.h"
#include "../keyed_merge.h"
#include "spike.h"

#include <fluxtap/dns.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEYS_CAP 262144u
#define KEY_BYTES 17u /* vantage, hash of the texts */

struct match_spikes {
	const struct stat_run *run;
	struct spikes *spikes;
	struct keyed_merge *sums; /* of this interval; NULL: none yet */
};

struct sum {
	const char *rule, *zone, *subject; /* subject NULL: the whole list */
	uint64_t queries;
};

struct match_spikes *match_spikes_create(const struct stat_run *run)
{
	struct match_spikes *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->run = run;
	s->spikes = spikes_create(run->interval_s, SPIKE_KEYS);
	if (s->spikes == NULL) {
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

void match_spikes_destroy(struct match_spikes *s)
{
	if (s == NULL)
		return;
	spikes_destroy(s->spikes);
	keyed_merge_destroy(s->sums);
	free(s);
}

static void never_mind(void *ctx, const void *acc)
{
	(void)ctx;
	(void)acc;
}

static void add(struct match_spikes *s, const struct match_spikes_item *item, const char *subject)
{
	uint8_t key[KEY_BYTES] = {(uint8_t)item->vantage};
	XXH3_state_t state;
	void *acc;

	XXH3_INITSTATE(&state);
	(void)XXH3_128bits_reset_withSeed(&state, s->run->sample_key);
	(void)XXH3_128bits_update(&state, item->rule, strlen(item->rule) + 1);
	(void)XXH3_128bits_update(&state, item->zone, strlen(item->zone) + 1);
	if (subject != NULL)
		(void)XXH3_128bits_update(&state, subject, strlen(subject) + 1);
	const XXH128_hash_t h = XXH3_128bits_digest(&state);
	memcpy(key + 1, &h, 16);
	if (keyed_merge_get(s->sums, key, &acc) != 0)
		return;
	struct sum *sum = acc;
	sum->rule = item->rule;
	sum->zone = item->zone;
	sum->subject = subject;
	sum->queries += item->queries;
}

void match_spikes_add(struct match_spikes *s, const struct match_spikes_item *item)
{
	const struct keyed_merge_settings set = {.key_bytes = KEY_BYTES,
						 .acc_bytes = sizeof(struct sum),
						 .budget = KEYS_CAP,
						 .seed = s->run->sample_key,
						 .leave = never_mind};

	if (s->sums == NULL)
		s->sums = keyed_merge_create(&set);
	if (s->sums == NULL)
		return; /* the records are there all the same */
	add(s, item, NULL);
	if (item->subject != NULL)
		add(s, item, item->subject);
}

static void write_spike(const struct match_spikes *s, const struct stat_interval *in,
			unsigned vantage, const struct sum *sum, const struct spike *spike)
{
	json_t *o = envelope_create("match", s->run->probe, ft_vantage_texts[vantage], in->start_s,
				    in->end_s, 1, in->loss_ppm);

	json_object_set_new(o, "rule", json_string(sum->rule));
	json_object_set_new(o, "kind", json_string("dnsbl"));
	json_object_set_new(o, "state",
			    json_string(spike->kind == SPIKE_SUDDEN ? "spike" : "drift"));
	json_object_set_new(o, "zone", json_string(sum->zone));
	json_object_set_new(o, "subject",
			    sum->subject != NULL ? json_string(sum->subject) : json_null());
	json_object_set_new(o, "queries", json_integer((json_int_t)sum->queries));
	json_object_set_new(o, "expected", json_real(spike->expected));
	json_object_set_new(o, "dispersion", json_real(spike->dispersion));
	s->run->write(s->run->ctx, "match", in->start_s, o);
}

void match_spikes_close(struct match_spikes *s, const struct stat_interval *in)
{
	size_t n = 0;

	if (s->sums == NULL)
		return;
	const void *const *sorted = keyed_merge_sorted(s->sums, &n);
	for (size_t i = 0; sorted != NULL && i < n; i++) {
		const uint8_t *key = keyed_merge_key(s->sums, sorted[i]);
		const struct sum *sum = sorted[i];
		const uint64_t hash = XXH3_64bits(key, KEY_BYTES);
		const struct spike spike =
		    spikes_step(s->spikes, hash + (hash == 0), in->start_s, sum->queries);
		if (spike.kind != SPIKE_NONE)
			write_spike(s, in, key[0], sum, &spike);
	}
	keyed_merge_destroy(s->sums);
	s->sums = NULL;
}

int match_spikes_save(const struct match_spikes *s, state_write_fn *write, void *ctx)
{
	return spikes_save(s->spikes, write, ctx);
}

int match_spikes_load(struct match_spikes *s, state_read_fn *read, void *ctx)
{
	return spikes_load(s->spikes, read, ctx);
}
