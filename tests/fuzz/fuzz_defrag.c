/* SPDX-License-Identifier: BSD-3-Clause */
/* defrag against a slow model of it: the same fate for every fragment, the same
 * octets in every datagram, every held fragment settled once, at the same time,
 * for the same reason, whoever calls defrag_expire and when.
 *
 * Input: octet 0 sets how many datagrams may wait, then six octets a fragment:
 * [more|lie|expire|v6|key] [offset, 2] [length, 2] [time]. */
#include "defrag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define MODEL_SLOTS 4
#define MODEL_PIECES 128
#define MODEL_FRAGMENTS 600

static uint8_t pattern[4096 + 256];            /* what the octet at each offset is */
static struct defrag *defrag[MODEL_SLOTS + 1]; /* kept from run to run; each leaves it empty */

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_defrag.c:%d: %s\n", line, what);
	abort();
}

struct model_piece {
	uint32_t off, end;
	bool more;
	uint64_t held_us;
};

struct model_slot {
	bool used;
	uint32_t key;
	uint64_t born_us, order;
	enum ft_pkt_drop given_up;
	uint32_t n;
	uint8_t first_proto;
	struct model_piece piece[MODEL_PIECES];
	uint8_t data[65536];
};

struct fates {
	uint64_t n, sum; /* the sum does not know order */
};

static struct {
	struct model_slot slot[MODEL_SLOTS];
	uint32_t slots;
	uint64_t order, held;
	struct fates fates;
} model;

static void fate(struct fates *f, uint64_t held_us, uint64_t settled_us, enum ft_pkt_drop why)
{
	uint64_t x = hash_mix(held_us + 1);

	x = hash_mix(x ^ settled_us);
	f->sum += hash_mix(x + (uint64_t)why);
	f->n++;
}

static void on_settle(void *ctx, uint64_t held_us, uint64_t settled_us, enum ft_pkt_drop why)
{
	CHECK(settled_us >= held_us);
	fate(ctx, held_us, settled_us, why);
}

static void model_settle(struct model_slot *s, uint64_t at_us, enum ft_pkt_drop why)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const uint64_t held_us = s->piece[i].held_us;
		fate(&model.fates, held_us, at_us > held_us ? at_us : held_us, why);
	}
	model.held -= s->n;
	s->n = 0;
}

static void model_expire(uint64_t now_us, bool all)
{
	for (uint32_t i = 0; i < model.slots; i++) {
		struct model_slot *s = &model.slot[i];
		const uint64_t end_us = s->born_us + DEFRAG_WAIT_US;
		if (!s->used || (now_us < end_us && !all))
			continue;
		model_settle(s, now_us < end_us ? now_us : end_us, FT_PKT_FRAG_TIMEOUT);
		s->used = false;
	}
}

static struct model_slot *model_slot_of(uint32_t key, const struct fragment *f)
{
	struct model_slot *spare = NULL, *oldest = NULL;

	for (uint32_t i = 0; i < model.slots; i++) {
		struct model_slot *s = &model.slot[i];
		if (s->used && s->key == key)
			return s;
		if (!s->used)
			spare = s;
		else if (oldest == NULL || s->order < oldest->order)
			oldest = s;
	}
	if (spare == NULL) {
		spare = oldest;
		model_settle(spare, f->t_us, FT_PKT_FRAG_FULL);
	}
	spare->used = true;
	spare->key = key;
	spare->born_us = f->now_us;
	spare->order = model.order++;
	spare->given_up = FT_PKT_CARRIED;
	spare->n = 0;
	return spare;
}

static enum ft_pkt_drop model_judge(const struct model_slot *s, const struct fragment *f)
{
	const uint32_t end = f->off + f->len;
	bool overlap = false, beyond = false;

	if (f->off % 8 != 0 || end > 65535 || (f->more && (f->len == 0 || f->len % 8 != 0)))
		return FT_PKT_FRAG_BAD;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct model_piece *x = &s->piece[i];
		if (x->off == f->off && x->end == end && x->more == f->more &&
		    (f->len == 0 || memcmp(s->data + f->off, f->data, f->len) == 0))
			return FT_PKT_FRAG_DUPLICATE;
		if ((x->off > f->off ? x->off : f->off) < (x->end < end ? x->end : end))
			overlap = true;
		if (!x->more && (!f->more || end > x->end))
			beyond = true;
		if (!f->more && x->end > end)
			beyond = true;
	}
	if (overlap)
		return FT_PKT_FRAG_OVERLAP;
	return beyond || s->n == MODEL_PIECES ? FT_PKT_FRAG_BAD : FT_PKT_HELD;
}

/* *whole: length of the datagram in s->data, where CARRIED. */
static enum ft_pkt_drop model_put(uint32_t key, const struct fragment *f, struct model_slot **slot,
				  uint32_t *whole)
{
	model_expire(f->now_us, false);
	*slot = NULL;
	if (f->off == 0 && !f->more && f->len <= 65535)
		return FT_PKT_CARRIED;
	struct model_slot *s = *slot = model_slot_of(key, f);
	if (s->given_up != FT_PKT_CARRIED)
		return s->given_up;
	const enum ft_pkt_drop why = model_judge(s, f);
	if (why == FT_PKT_FRAG_DUPLICATE)
		return why;
	if (why != FT_PKT_HELD) {
		s->given_up = why;
		model_settle(s, f->t_us, why);
		return why;
	}
	if (f->len > 0)
		memcpy(s->data + f->off, f->data, f->len);
	s->piece[s->n++] = (struct model_piece){f->off, f->off + f->len, f->more, f->t_us};
	if (f->off == 0)
		s->first_proto = f->proto;
	uint32_t octets = 0, end = UINT32_MAX;
	for (uint32_t i = 0; i < s->n; i++) {
		octets += s->piece[i].end - s->piece[i].off;
		end = s->piece[i].more ? end : s->piece[i].end;
	}
	if (octets != end) {
		model.held++;
		return FT_PKT_HELD;
	}
	*whole = end;
	s->n--; /* the last one was never held */
	model_settle(s, f->t_us, FT_PKT_CARRIED);
	s->used = false;
	return FT_PKT_CARRIED;
}

static void one_fragment(struct defrag *d, const uint8_t *in, uint64_t *now_us)
{
	const uint32_t key = in[0] & 7;
	const uint32_t off = (uint32_t)in[1] << 8 | in[2];
	const uint32_t len = ((uint32_t)in[3] << 8 | in[4]) & 0xfff;
	const struct addr src = {{1, (uint8_t)(key & 1)}}, dst = {{2}};
	const bool v6 = key & 4;

	*now_us += (uint64_t)(in[5] & 0x7f) * (in[5] & 0x80 ? 40000 : 1);
	struct fragment f = {.src = &src,
			     .dst = &dst,
			     .id = key & 2 ? 7 : 70000,
			     .v6 = v6,
			     .proto = v6 ? (uint8_t)(off & 0xff) : 17,
			     .more = in[0] & 0x80,
			     .off = in[0] & 0x08 ? off : (off & 0x1fff) * 8,
			     .len = in[0] & 0x08 ? len : len & ~7u,
			     .now_us = *now_us,
			     .t_us = *now_us - (in[5] & 3)};
	uint8_t *data = malloc(f.len > 0 ? f.len : 1); /* of this size, for the sanitizer */
	if (f.len > 0)
		memcpy(data, pattern + ((f.off + key * 37) & 255), f.len);
	if (in[0] & 0x40 && f.len > 0)
		data[f.len - 1] ^= 1;
	f.data = f.len > 0 ? data : NULL;
	if (in[0] & 0x20)
		defrag_expire(d, *now_us);

	struct model_slot *slot;
	struct datagram out = {0};
	uint32_t whole = 0;
	const enum ft_pkt_drop want = model_put(key, &f, &slot, &whole);
	CHECK(defrag_put(d, &f, &out) == want);
	CHECK(defrag_held(d) == model.held);
	if (want == FT_PKT_CARRIED && slot == NULL) {
		CHECK(out.data == f.data && out.len == f.len && out.proto == f.proto);
	} else if (want == FT_PKT_CARRIED) {
		CHECK(out.len == whole && memcmp(out.data, slot->data, whole) == 0);
		CHECK(out.proto == slot->first_proto);
	}
	if (in[0] & 0x10)
		defrag_expire(d, *now_us);
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct fates fates;
	uint64_t now_us = 1700000000000000;

	if (size < 1)
		return 0;
	model.slots = 1 + input[0] % MODEL_SLOTS;
	model.held = 0;
	fates = model.fates = (struct fates){0, 0};
	for (uint32_t i = 0; i < MODEL_SLOTS; i++)
		model.slot[i].used = false, model.slot[i].n = 0;
	if (defrag[model.slots] == NULL) {
		defrag[model.slots] = defrag_create(model.slots, 0x1234, on_settle, &fates);
		for (uint32_t i = 0; i < sizeof pattern; i++)
			pattern[i] = (uint8_t)((i & 255) * 7 + 1);
	}
	struct defrag *d = defrag[model.slots];
	CHECK(d != NULL);
	for (size_t at = 1, n = 0; at + 6 <= size && n < MODEL_FRAGMENTS; at += 6, n++)
		one_fragment(d, input + at, &now_us);
	model_expire(now_us, true);
	defrag_flush(d, now_us);
	CHECK(defrag_held(d) == 0 && model.held == 0);
	CHECK(fates.n == model.fates.n && fates.sum == model.fates.sum);
	return 0;
}
