/* SPDX-License-Identifier: BSD-3-Clause */
#include "flood_state.h"

#include "../../dataplane/name_text.h"

#include <fluxtap/dns.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x31444c46u /* "FLD1" */
#define PASTS_CAP (1u << 22)
#define HISTORY_CAP 1e18

struct head {
	uint32_t magic, interval_s;
	uint64_t closed, pasts;
};

struct image {
	uint64_t key, since_us;
	double history;
	uint16_t text_len; /* 0: none */
	uint8_t vantage, flooded, pad[4];
};

int flood_save(const void *stat, state_write_fn *write, void *ctx)
{
	const struct flood *s = stat;
	struct head h = {MAGIC, s->run->interval_s, s->closed, 0};
	int result;

	for (unsigned i = 0; i < FLOOD_BUCKETS; i++)
		for (const struct past *p = s->past[i]; p != NULL; p = p->next)
			h.pasts++;
	result = write(ctx, &h, sizeof(h));
	for (unsigned i = 0; i < FLOOD_BUCKETS; i++) {
		for (const struct past *p = s->past[i]; p != NULL && result == 0; p = p->next) {
			const struct image x = {
			    .key = p->key,
			    .since_us = p->since_us,
			    .history = p->history,
			    .text_len = (uint16_t)(p->text != NULL ? strlen(p->text) : 0),
			    .vantage = p->vantage,
			    .flooded = p->flooded,
			};
			result = write(ctx, &x, sizeof(x));
			if (result == 0 && x.text_len != 0)
				result = write(ctx, p->text, x.text_len);
		}
	}
	return result;
}

static bool is_sound(const struct flood *s, const struct image *x)
{
	if (x->vantage >= FT_VANTAGE_CAP || x->flooded > 1 || x->text_len >= NAME_TEXT_CAP ||
	    !(x->history >= 0 && x->history <= HISTORY_CAP) || x->since_us > INT64_MAX)
		return false;
	for (const struct past *p = s->past[flood_bucket(x->key, x->vantage)]; p != NULL;
	     p = p->next)
		if (p->key == x->key && p->vantage == x->vantage)
			return false;
	return true;
}

static int get_past(struct flood *s, state_read_fn *read, void *ctx)
{
	struct image x;
	char text[NAME_TEXT_CAP];
	int result = read(ctx, &x, sizeof(x));

	if (result == 0 && !is_sound(s, &x))
		result = -EBADMSG;
	if (result == 0 && x.text_len != 0)
		result = read(ctx, text, x.text_len);
	if (result != 0)
		return result;
	for (unsigned i = 0; i < x.text_len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return -EBADMSG;
	struct past *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->key = x.key;
	p->since_us = x.since_us;
	p->history = x.history;
	p->vantage = x.vantage;
	p->flooded = x.flooded != 0;
	struct past **bucket = &s->past[flood_bucket(p->key, p->vantage)];
	p->next = *bucket;
	*bucket = p;
	p->text = x.text_len != 0 ? strndup(text, x.text_len) : NULL;
	return p->text != NULL || x.text_len == 0 ? 0 : -ENOMEM;
}

int flood_load(void *stat, state_read_fn *read, void *ctx)
{
	struct flood *s = stat;
	struct head h;
	int result = read(ctx, &h, sizeof(h));

	if (result == 0 && (h.magic != MAGIC || h.pasts > PASTS_CAP))
		result = -EBADMSG;
	if (result == 0 && h.interval_s != s->run->interval_s)
		result = -EINVAL; /* histories are names an interval */
	for (uint64_t i = 0; result == 0 && i < h.pasts; i++)
		result = get_past(s, read, ctx);
	if (result == 0) {
		s->closed = h.closed;
		return 0;
	}
	for (unsigned i = 0; i < FLOOD_BUCKETS; i++) {
		while (s->past[i] != NULL) {
			struct past *next = s->past[i]->next;
			free(s->past[i]->text);
			free(s->past[i]);
			s->past[i] = next;
		}
	}
	return result;
}
