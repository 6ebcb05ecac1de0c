/* SPDX-License-Identifier: BSD-3-Clause */
/* Suspects, as octets. */
#include "dga_suspects.h"

#include "../../dataplane/name_text.h"

#include <fluxtap/dns.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x31414744u /* "DGA1" */
#define LATEST_S (1ull << 40)
#define LLR_MOST 1e6
#define TEXT_CAP 4096u /* of a name, and of addresses: a JSON list */

struct head {
	uint32_t magic, suspects;
	uint64_t left_out;
	uint64_t family[64]; /* hashes of the names of shapes: which bit is whose may change */
};

/* What a suspect has but for its texts. */
struct image {
	uint8_t key[SUSPECT_KEY_BYTES];
	uint8_t told, samples, n_known, has_c2, pad[3];
	double llr;
	uint64_t llr_s, first_s, last_s, nx, made_up, alarm_s;
	uint32_t family[64];
	uint64_t hash[SUSPECT_NAMES], second[SUSPECT_NAMES];
	uint8_t kind[SUSPECT_NAMES];
};

static int write_text(state_write_fn *write, void *ctx, const char *text)
{
	const uint32_t len = (uint32_t)strlen(text);
	const int result = write(ctx, &len, sizeof(len));

	return result != 0 || len == 0 ? result : write(ctx, text, len);
}

/* Into *text, which is the caller's to free also where this fails. */
static int read_text(state_read_fn *read, void *ctx, char **text)
{
	uint32_t len;
	int result = read(ctx, &len, sizeof(len));

	*text = NULL;
	if (result != 0 || len >= TEXT_CAP)
		return result != 0 ? result : -EBADMSG;
	*text = calloc(1, len + 1);
	if (*text == NULL)
		return -ENOMEM;
	result = len != 0 ? read(ctx, *text, len) : 0;
	for (uint32_t i = 0; result == 0 && i < len; i++)
		if ((*text)[i] < ' ' || (*text)[i] > '~')
			result = -EBADMSG;
	return result;
}

static int save_one(const struct suspect *s, state_write_fn *write, void *ctx)
{
	struct image x = {
	    .told = s->told,
	    .samples = (uint8_t)s->samples,
	    .n_known = (uint8_t)s->n_known,
	    .has_c2 = s->c2 != NULL,
	    .llr = s->evidence.llr,
	    .llr_s = s->evidence.last_s,
	    .first_s = s->first_s,
	    .last_s = s->last_s,
	    .nx = s->nx,
	    .made_up = s->made_up,
	    .alarm_s = s->alarm_s,
	};

	memcpy(x.key, s->key, sizeof(x.key));
	memcpy(x.family, s->family, sizeof(x.family));
	for (unsigned i = 0; i < s->n_known; i++) {
		x.hash[i] = s->known[i].hash;
		x.second[i] = s->known[i].second;
		x.kind[i] = s->known[i].kind;
	}
	int result = write(ctx, &x, sizeof(x));
	for (unsigned i = 0; result == 0 && i < s->samples; i++)
		result = write_text(write, ctx, s->sample[i]);
	if (result != 0 || s->c2 == NULL)
		return result;
	result = write_text(write, ctx, s->c2);
	char *addresses = json_dumps(s->c2_addresses, JSON_COMPACT);
	if (result == 0)
		result = addresses != NULL ? write_text(write, ctx, addresses) : -ENOMEM;
	free(addresses);
	return result;
}

int suspects_save(const struct suspects *s, const uint64_t family[64], state_write_fn *write,
		  void *ctx)
{
	struct head h = {.magic = MAGIC,
			 .suspects = (uint32_t)suspects_count(s),
			 .left_out = suspects_left_out(s)};
	const struct suspect *x;
	size_t at = 0;

	memcpy(h.family, family, sizeof(h.family));
	int result = write(ctx, &h, sizeof(h));
	while (result == 0 && (x = suspects_next(s, &at)) != NULL)
		result = save_one(x, write, ctx);
	return result;
}

static bool is_sound(struct suspects *s, const struct image *x)
{
	if (x->key[0] >= FT_VANTAGE_CAP || suspects_get(s, x->key, false) != NULL || x->told > 1 ||
	    x->has_c2 > 1 || x->samples > SUSPECT_SAMPLES || x->n_known > SUSPECT_NAMES ||
	    !isfinite(x->llr) || x->llr < 0 || x->llr > LLR_MOST || x->llr_s > LATEST_S ||
	    x->first_s > LATEST_S || x->last_s > LATEST_S || x->alarm_s > LATEST_S)
		return false;
	for (unsigned i = 0; i < x->n_known; i++)
		if (x->kind[i] > FT_NOTE_ANSWERED || x->second[i] > LATEST_S)
			return false;
	return true;
}

static int load_c2(struct suspect *s, state_read_fn *read, void *ctx)
{
	char *addresses = NULL;
	int result = read_text(read, ctx, &s->c2);

	if (result == 0)
		result = read_text(read, ctx, &addresses);
	if (result == 0) {
		s->c2_addresses = json_loads(addresses, 0, NULL);
		result = json_is_array(s->c2_addresses) ? 0 : -EBADMSG;
	}
	free(addresses);
	return result;
}

static int load_one(struct suspects *all, const uint64_t same, state_read_fn *read, void *ctx)
{
	struct image x;
	int result = read(ctx, &x, sizeof(x));

	if (result == 0 && !is_sound(all, &x))
		result = -EBADMSG;
	struct suspect *s = result == 0 ? suspects_get(all, x.key, true) : NULL;
	if (s == NULL)
		return result != 0 ? result : -ENOMEM;
	s->told = x.told;
	s->evidence = (struct dga_evidence){x.llr, x.llr_s};
	s->first_s = x.first_s;
	s->last_s = x.last_s;
	s->nx = x.nx;
	s->made_up = x.made_up;
	s->alarm_s = x.alarm_s;
	for (unsigned i = 0; i < 64; i++)
		s->family[i] = (same >> i & 1) != 0 ? x.family[i] : 0;
	for (unsigned i = 0; i < x.n_known; i++) {
		s->known[i].hash = x.hash[i];
		s->known[i].second = x.second[i];
		s->known[i].kind = x.kind[i];
	}
	s->n_known = x.n_known;
	while (result == 0 && s->samples < x.samples)
		result = read_text(read, ctx, &s->sample[s->samples++]);
	return result == 0 && x.has_c2 ? load_c2(s, read, ctx) : result;
}

int suspects_load(struct suspects *s, const uint64_t family[64], state_read_fn *read, void *ctx)
{
	struct head h;
	uint64_t same = 0;
	int result = read(ctx, &h, sizeof(h));

	if (result == 0 && (h.magic != MAGIC || h.suspects > SUSPECTS_CAP))
		result = -EBADMSG;
	for (unsigned i = 0; result == 0 && i < 64; i++)
		same |= (uint64_t)(h.family[i] == family[i]) << i;
	for (uint32_t i = 0; result == 0 && i < h.suspects; i++)
		result = load_one(s, same, read, ctx);
	return result;
}
