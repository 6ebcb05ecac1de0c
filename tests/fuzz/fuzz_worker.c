/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole way of a packet: whatever frames come, whenever they say they came,
 * the ledger closes in every interval, nothing is left held, every block can be
 * read, and the records do not depend on how the source cuts its batches.
 *
 * To make a worker and its statistics takes longer than to use them: they serve many inputs,
 * each later than the one before and ended by a flush, then new ones take their place.
 * Input: octet 0 sets the tables' sizes, whether copies are looked for, and the start of
 * time of new ones. Then frames:
 * [link 3 bits | unit 2 | back | cut | ip] [time step] [length, 2, little-endian]
 * [octets]. `unit` is 1 us, 10 ms, 1 s or 37 h; `back` runs the time backwards;
 * `cut`: the wire's frame was longer; `ip`: the same octets once more as raw IP. */
#include "leaks.h"
#include "small_psl.h"

#define RIG_PSL small_psl()
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__, NULL))
#define CHECK_TEXT(x, text) ((x) ? (void)0 : check_failed(#x, __LINE__, text))
#define FRAMES_CAP 600u
#define RING_BYTES ((size_t)4 << 20)
#define LANES 16u
#define LANE_INPUTS 128u          /* before a lane is made anew */
#define PAUSE_US 200000000u       /* of event time between two inputs: all is over by then */
#define TIME_CAP (UINT64_MAX / 4) /* far enough from the end of time */

static void check_failed(const char *what, int line, const char *text)
{
	fprintf(stderr, "fuzz_worker.c:%d: %s\n%s\n", line, what, text != NULL ? text : "");
	abort();
}

struct source {
	struct rx rx;
	struct pkt frame[FRAMES_CAP];
	uint32_t n, at;
	uint32_t most; /* frames of a batch */
};

static int source_recv(struct rx *rx, struct batch *b)
{
	struct source *s = (struct source *)rx;

	for (b->n = 0; b->n < s->most && s->at < s->n; b->n++, s->at++) {
		b->pkt[b->n] = s->frame[s->at];
		rx_stamp(rx, &b->pkt[b->n], s->frame[s->at].ts_us);
	}
	return b->n != 0 ? (int)b->n : RX_END;
}

static void source_release(struct rx *rx, struct batch *b)
{
	(void)rx;
	(void)b;
}

static uint64_t source_zero(struct rx *rx)
{
	(void)rx;
	return 0;
}

static const struct rx_ops source_ops = {
    .recv = source_recv,
    .release = source_release,
    .clock = source_zero,
    .dropped = source_zero,
};

/* In a block of exactly its size, so that a sanitizer sees every overrun. */
static void add_frame(struct source *s, uint8_t how, const uint8_t *data, uint32_t len,
		      uint64_t t_us)
{
	uint8_t *copy = malloc(len != 0 ? len : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, data, len);
	s->frame[s->n++] = (struct pkt){
	    .data = copy,
	    .ts_us = t_us,
	    .cap_len = len,
	    .wire_len = len + (how & 0x40 ? 100 : 0),
	    .link = (uint8_t)(how & 0x80 ? LINK_RAW_IP : (how & 7) % LINK_TYPE_CAP),
	};
}

static void read_frames(struct source *s, const uint8_t *in, size_t size, uint64_t t_us)
{
	static const uint64_t units[4] = {1, 10000, 1000000, 37ull * 3600 * 1000000};

	for (size_t at = 0; at + 4 <= size && s->n + 2 <= FRAMES_CAP;) {
		const uint64_t step = in[at + 1] * units[in[at] >> 3 & 3];
		uint32_t len = (uint32_t)in[at + 2] | (uint32_t)in[at + 3] << 8;
		const uint8_t how = in[at];
		at += 4;
		if (len > size - at)
			len = (uint32_t)(size - at);
		if ((how & 0x20) == 0)
			t_us += step;
		else
			t_us -= step < t_us ? step : t_us;
		add_frame(s, how & 0x7f, in + at, len, t_us);
		if (how & 0x80)
			add_frame(s, how, in + at, len, t_us);
		at += len;
	}
}

static void forget_frames(struct source *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		free((void *)(uintptr_t)s->frame[i].data);
	s->n = 0;
}

/* In place of all of them: those that look at each entry, without those that go through
 * tables of their own in every interval, for which there are other targets. */
const struct stat_ops *const stat_all[] = {&stat_ledger, &stat_traffic, &stat_match,
					   &stat_tap,    &stat_domains, NULL};

const struct merge_ops *const merge_all[STAT_MERGES] = {[STAT_TABLES] = &merge_tables,
							[STAT_RRSETS] = &merge_rrsets,
							[STAT_ERRORS] = &merge_errors,
							[STAT_SERVERS] = &merge_servers};

/* A worker, its source and all behind it. The two of a lane differ in their batches. */
struct lane {
	struct rig rig;
	struct source source;
	struct worker *w;
	struct ft_ledger before; /* sums at the input's begin */
	uint64_t merged;
	uint32_t inputs;
};

static void lane_make(struct lane *l, uint8_t sizes, uint32_t most)
{
	const size_t few = (size_t)(sizes >> 2 & 3);

	memset(l, 0, sizeof(*l));
	l->source.rx = (struct rx){.ops = &source_ops};
	l->source.most = most;
	rig_init(&l->rig, 1, few % 2 != 0 ? 60 : 1, RING_BYTES, false);
	struct worker_settings set = rig_settings(&l->rig, 0, &l->source.rx);
	set.wait_us = sizes & 2 ? 1000000 : 5000000;
	set.pair_entries = 3 + 20 * few;
	set.domain_entries = set.client_entries = set.rrset_entries = set.error_entries = 64;
	set.datagrams = 2 + few;
	set.connections = 2 + 4 * few;
	set.stream_bytes = few << 12;
	set.dedup_us = sizes & 16 ? 10000 : 0;
	set.dedup_entries = 64;
	leaks_off(); /* it reaches its parts through mappings, where nobody looks for pointers */
	l->w = worker_create(&set);
	leaks_on();
	CHECK(l->w != NULL);
}

static void lane_drop(struct lane *l)
{
	if (l->w == NULL)
		return;
	atomic_store(&segment_worker(&l->rig.segment, 0)->ended, 1);
	CHECK(!drain_step(l->rig.drain)); /* the statistics write what they still have */
	worker_destroy(l->w);
	rig_fini(&l->rig);
	l->w = NULL;
}

static void forget_records(struct rig *r)
{
	for (size_t i = 0; i < r->n; i++)
		json_decref(r->record[i].json);
	r->n = 0;
}

/* Without the fields that go by blocks. */
static void strip(const struct rig *r)
{
	static const char *const exempt[] = {"records", "merged", "blocks", "block_bytes",
					     "block_bytes_raw"};

	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < sizeof(exempt) / sizeof(*exempt); k++)
			json_object_del(r->record[i].json, exempt[k]);
}

static uint64_t grown(const struct lane *l, unsigned counter)
{
	return rig_sums(&l->rig)->sum.c[counter] - l->before.c[counter];
}

/* One input through one of the two; the books of it must close. */
static void run(struct lane *l, const struct source *frames)
{
	struct ft_shm_worker *shm = segment_worker(&l->rig.segment, 0);
	const struct ledger_sums *sums = rig_sums(&l->rig);

	memcpy(l->source.frame, frames->frame, frames->n * sizeof(*frames->frame));
	l->source.n = frames->n;
	l->source.at = 0;
	l->before = sums->sum;
	l->merged = sums->merged;
	while (worker_turn(l->w) != RX_END)
		CHECK(drain_step(l->rig.drain));
	/* It has flushed and says that it is over: it is not, for it gets another input. */
	atomic_store(&shm->ended, 0);
	CHECK(drain_step(l->rig.drain));
	worker_rewind(l->w);
	l->inputs++;

	CHECK(drain_bad_blocks(l->rig.drain) == 0);
	CHECK_TEXT(sums->broken == 0, sums->broken_text);
	CHECK(grown(l, FT_CTR_RX_PACKETS) == frames->n);
	CHECK(sums->sum.c[FT_CTR_HELD] == 0 && sums->sum.c[FT_CTR_HELD_PACKETS] == 0);
	CHECK(grown(l, FT_CTR_RECORDS) == sums->merged - l->merged);
	CHECK(sums->sum.c[FT_CTR_RING_FULL_RECORDS] == 0);
	CHECK(l->rig.in_order);
	strip(&l->rig);
}

static void show_difference(const json_t *a, const json_t *b)
{
	char *x = json_dumps(a, JSON_COMPACT), *y = json_dumps(b, JSON_COMPACT);
	char text[800];
	size_t i = 0;

	CHECK(x != NULL && y != NULL);
	while (x[i] == y[i])
		i++;
	i = i > 80 ? i - 80 : 0;
	(void)snprintf(text, sizeof(text), "%.300s\n---\n%.300s", x + i, y + i);
	check_failed("equal records", __LINE__, text);
}

static void compare(const struct rig *a, const struct rig *b)
{
	CHECK(a->n == b->n);
	for (size_t i = 0; i < a->n; i++)
		if (!json_equal(a->record[i].json, b->record[i].json))
			show_difference(a->record[i].json, b->record[i].json);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct lane lanes[LANES][2];
	static struct source frames;
	struct lane *l;

	if (size < 1)
		return 0;
	l = lanes[input[0] >> 1 & (LANES - 1)];
	if (l->w != NULL && (l->inputs == LANE_INPUTS || l->source.rx.clock_us > TIME_CAP)) {
		lane_drop(&l[0]);
		lane_drop(&l[1]);
	}
	if (l->w == NULL) {
		lane_make(&l[0], input[0], BATCH_CAP);
		lane_make(&l[1], input[0], 1);
	}
	const uint64_t begin_us = l->inputs != 0 ? l->source.rx.clock_us + PAUSE_US
				  : input[0] & 1 ? 0
						 : 1700000000000000;
	read_frames(&frames, input + 1, size - 1, begin_us);
	/* The pause passes, wherever the frames' own times go: rows that have closed are over. */
	for (unsigned i = 0; i < 2 && l->inputs != 0; i++)
		l[i].source.rx.clock_us = begin_us;
	run(&l[0], &frames);
	run(&l[1], &frames);
	compare(&l[0].rig, &l[1].rig);
	forget_records(&l[0].rig);
	forget_records(&l[1].rig);
	forget_frames(&frames);
	return 0;
}
